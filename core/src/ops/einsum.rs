//! Sums of products by the labels of their axes.
//!
//! Each operand is first summed over what nothing else has. Then labels are gathered into four axes, of which none is moved
//! if its parts lie one after the other: batch, rows, columns, and what is summed over; and one product of matrices for each
//! index of the batch gives the result, which is written again only where the output wants another order.

mod equation;

use super::array::layout_of;
use super::linalg::multiplies;
use super::reduce::unbroadcast;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, apply_one, rank_unknown, same_dtype,
    unsupported,
};
use crate::shape::{MAX_RANK, broadcast, write_row_major};
use crate::tensor::Layout;
use crate::{Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use equation::{Equation, LETTERS, Label, Parts, distinct, letters};
use modulor_kernels::{Binary, Fold, Number, Strided, copy, place};
use std::sync::Arc;

/// The most axes that the labels of an equation stand for.
const AXES: usize = LETTERS + MAX_RANK;

/// Products of the elements of one or two operands, summed over the labels that the output has not got.
#[derive(Debug)]
struct Einsum {
    text: String,
    equation: Equation,
    parts: Parts,
}

impl Einsum {
    fn parse(text: &str) -> Result<Einsum> {
        Einsum::of(Equation::parse(text)?)
    }

    fn of(equation: Equation) -> Result<Einsum> {
        if let count @ (0 | 3..) = equation.operands.len() {
            return Err(Error::invalid_argument(format!("expecting 1 or 2 operands in `{equation}`, found {count}")));
        }
        Ok(Einsum { text: equation.to_string(), parts: Parts::of(&equation), equation })
    }

    fn two(&self) -> bool {
        self.equation.operands.len() == 2
    }

    /// Whether a label occurs more than once in the output.
    fn repeats(&self) -> bool {
        self.parts.output.len() < self.equation.output.len()
    }
}

/// The dims of an operand by its labels: of each letter, and those of the ellipsis, if all are known.
fn labelled(labels: &[Label], input: &Input, number: usize) -> Result<(Vec<(u8, Option<usize>)>, Option<Shape>)> {
    let shape = &input.spec.shape;
    let has_ellipsis = labels.contains(&Label::Ellipsis);
    let least = labels.len() - usize::from(has_ellipsis);
    let Some(dims) = shape.dims() else {
        let letters = labels.iter().filter_map(|label| match label {
            Label::Letter(letter) => Some((*letter, None)),
            Label::Ellipsis => None,
        });
        return Ok((letters.collect(), (!has_ellipsis).then(|| Shape::of_rank(0))));
    };
    if dims.len() < least || dims.len() > least && !has_ellipsis {
        let expected = if has_ellipsis { "at least " } else { "" };
        return Err(Error::invalid_argument(format!(
            "expected input {number} to have rank {expected}{least}, found shape {shape}"
        )));
    }
    let (mut letters, mut others, mut at) = (Vec::new(), Vec::new(), 0);
    for label in labels {
        match label {
            Label::Letter(letter) => {
                letters.push((*letter, dims[at]));
                at += 1;
            }
            Label::Ellipsis => {
                others = dims[at..][..dims.len() - least].to_vec();
                at += others.len();
            }
        }
    }
    Ok((letters, Some(others.into())))
}

impl Op for Einsum {
    fn name(&self) -> &'static str {
        "Einsum"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("equation", self.text.clone())
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let (expected, found) = (self.equation.operands.len(), inputs.len());
        if expected != found {
            return Err(Error::invalid_argument(format!("expected {expected} inputs, and {found} were given")));
        }
        let dtype = multiplies(same_dtype(inputs)?)?;
        let mut dims: [Option<usize>; LETTERS] = [None; LETTERS];
        let mut ellipsis = Some(Shape::of_rank(0));
        for (number, (labels, input)) in self.equation.operands.iter().zip(inputs).enumerate() {
            let (letters, others) = labelled(labels, input, number)?;
            for (letter, dim) in letters {
                let known = &mut dims[Label::place(letter)];
                if let (Some(one), Some(other)) = (*known, dim)
                    && one != other
                {
                    let label = char::from(letter);
                    return Err(Error::invalid_argument(format!(
                        "the dims of `{label}` must be equal: {one} vs. {other}, in `{}`",
                        self.text
                    )));
                }
                *known = known.or(dim);
            }
            ellipsis = match (ellipsis, others) {
                (Some(one), Some(other)) => Some(broadcast(&one, &other)?),
                _ => None,
            };
        }
        let kept = self.equation.output.contains(&Label::Ellipsis);
        if let Some(others) = ellipsis.as_ref().filter(|shape| !kept && shape.rank() != Some(0)) {
            return Err(Error::invalid_argument(format!(
                "the output of `{}` has no ellipsis for the axes of shape {others}",
                self.text
            )));
        }
        let mut shape = Vec::new();
        for label in &self.equation.output {
            match (label, ellipsis.as_ref().and_then(Shape::dims)) {
                (Label::Letter(letter), _) => shape.push(dims[Label::place(*letter)]),
                (Label::Ellipsis, Some(others)) => shape.extend(others),
                (Label::Ellipsis, None) => return Ok(vec![Spec::new(dtype, Shape::unknown())]),
            }
        }
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn view(&self, inputs: &[&Tensor], _: &Spec) -> Result<Option<Layout>> {
        if self.two() || self.repeats() || !self.parts.own[0].is_empty() {
            return Ok(None);
        }
        let view = View::of(inputs[0])?;
        let run = Run::of(&Axes::of(self, &[view]), 0, &self.parts.output);
        let (dims, strides) = (run.dims[..run.rank].to_vec(), run.strides[..run.rank].to_vec());
        Ok(Some(Layout { dims, strides, offset: layout_of(inputs[0])?.offset }))
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        dispatch!(outputs[0].dtype(), arithmetic T => {
            self.sizes::<T>(&Axes::of(self, inputs)).iter().sum::<usize>() * size_of::<T>()
        }, else => 0)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let dtype = outputs[0].dtype();
        dispatch!(dtype, arithmetic T => {
            self.compute::<T>(inputs, &mut outputs[0], scratch)
        }, else => Err(unsupported(dtype)))
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        if !b.dy(0).dtype().is_float() {
            return Err(Error::unimplemented("the gradient of an einsum of complex numbers is not there"));
        }
        (0..b.inputs().len()).map(|i| b.when(i, || self.gradient(b, i))).collect()
    }
}

/// What the labels stand for: axes at their places, of these dims, and the strides of each operand along them, 0 where it
/// has no such axis.
struct Axes {
    /// The number of axes that the ellipsis stands for.
    others: usize,
    dims: [usize; AXES],
    strides: [[isize; AXES]; 2],
}

impl Axes {
    fn of(einsum: &Einsum, inputs: &[View]) -> Axes {
        let operands = || einsum.equation.operands.iter().zip(inputs);
        let own = |labels: &[Label], view: &View| match labels.contains(&Label::Ellipsis) {
            true => view.dims().len() + 1 - labels.len(),
            false => 0,
        };
        let others = operands().map(|(labels, view)| own(labels, view)).max().unwrap_or(0);
        let mut axes = Axes { others, dims: [1; AXES], strides: [[0; AXES]; 2] };
        for ((labels, view), strides) in operands().zip(&mut axes.strides) {
            let mut ends = view.dims().iter().zip(view.strides());
            for label in labels {
                match label {
                    Label::Letter(letter) => {
                        let Some((&dim, &stride)) = ends.next() else { continue };
                        axes.dims[Label::place(*letter)] = dim;
                        // A label that occurs twice is the diagonal.
                        strides[Label::place(*letter)] += stride;
                    }
                    Label::Ellipsis => {
                        let own = own(labels, view);
                        for (at, (&dim, &stride)) in (LETTERS + others - own..).zip(ends.by_ref().take(own)) {
                            if dim != 1 {
                                (axes.dims[at], strides[at]) = (dim, stride);
                            }
                        }
                    }
                }
            }
        }
        axes
    }

    /// The places of some labels' axes.
    fn places<'a>(&self, labels: &'a [Label]) -> impl DoubleEndedIterator<Item = usize> + use<'a> {
        let others = self.others;
        labels.iter().flat_map(move |label| match label {
            Label::Letter(letter) => Label::place(*letter)..Label::place(*letter) + 1,
            Label::Ellipsis => LETTERS..LETTERS + others,
        })
    }

    fn count(&self, labels: &[Label]) -> usize {
        self.places(labels).map(|at| self.dims[at]).product()
    }

    /// The dim and the stride of the axis that an operand's axes are together; `None` where they do not lie like one.
    fn together(&self, operand: usize, labels: &[Label]) -> Option<(usize, isize)> {
        let (mut dim, mut stride) = (1, 0);
        for at in self.places(labels).rev().filter(|&at| self.dims[at] != 1) {
            let own = self.strides[operand][at];
            match dim {
                1 => stride = own,
                dim if own == stride.wrapping_mul(dim as isize) => {}
                _ => return None,
            }
            dim *= self.dims[at];
        }
        Some((dim, stride))
    }

    /// Whether an operand can be a factor as it lies.
    fn fits(&self, operand: usize, parts: &Parts) -> bool {
        let [_, rest @ ..] = parts.best(operand);
        parts.own[operand].is_empty() && rest.iter().all(|labels| self.together(operand, labels).is_some())
    }

    /// The places of the axes that a copy of an operand has: those of the batch only where it differs along them.
    fn copied<'a>(&'a self, operand: usize, parts: &'a Parts) -> impl DoubleEndedIterator<Item = usize> + use<'a> {
        let [batch, rest @ ..] = parts.best(operand);
        let batch = self.places(batch).filter(move |&at| self.strides[operand][at] != 0);
        batch.chain(rest.into_iter().flat_map(|labels| self.places(labels)))
    }

    /// An operand, summed over what nothing else has, as a copy in `room` that can be a factor.
    fn dense<'r, T: Pod + Number>(
        &mut self,
        operand: usize,
        view: Strided<T>,
        parts: &Parts,
        room: &'r mut [T],
    ) -> Result<&'r [T]> {
        let mut run = Run::new();
        self.copied(operand, parts).for_each(|at| run.push_axis(self.dims[at], self.strides[operand][at]));
        run.sum(self, operand, view, &parts.own[operand], room)?;
        let mut strides = [0; AXES];
        let mut step = 1;
        for at in self.copied(operand, parts).rev() {
            strides[at] = step;
            step *= self.dims[at] as isize;
        }
        self.strides[operand] = strides;
        Ok(room)
    }
}

/// The dims and the strides of a view.
struct Run {
    dims: [usize; AXES],
    strides: [isize; AXES],
    rank: usize,
}

impl Run {
    fn new() -> Run {
        Run { dims: [0; AXES], strides: [0; AXES], rank: 0 }
    }

    /// That of an operand's axes.
    fn of(axes: &Axes, operand: usize, labels: &[Label]) -> Run {
        let mut run = Run::new();
        run.push(axes, operand, labels);
        run
    }

    fn push_axis(&mut self, dim: usize, stride: isize) {
        (self.dims[self.rank], self.strides[self.rank]) = (dim, stride);
        self.rank += 1;
    }

    fn push(&mut self, axes: &Axes, operand: usize, labels: &[Label]) {
        axes.places(labels).for_each(|at| self.push_axis(axes.dims[at], axes.strides[operand][at]));
    }

    fn view<'a, T>(&'a self, data: &'a [T], offset: usize) -> Result<Strided<'a, T>> {
        Strided::new(data, &self.dims[..self.rank], &self.strides[..self.rank], offset)
            .ok_or_else(|| Error::internal("an operand reaches beyond its storage"))
    }

    /// Writes the elements of an operand along these axes, summed over others.
    fn sum<T: Pod + Number>(
        mut self,
        axes: &Axes,
        operand: usize,
        view: Strided<T>,
        over: &[Label],
        out: &mut [T],
    ) -> Result<()> {
        let (data, offset, kept) = (view.data(), view.offset(), self.rank);
        self.push(axes, operand, over);
        let whole = self.view(data, offset)?;
        if kept == self.rank {
            copy(whole, out);
            return Ok(());
        }
        let mut summed = [true; AXES];
        summed[..kept].fill(false);
        T::fold(Fold::Sum, whole, &summed[..self.rank], out).map_err(|_| Error::internal("numbers are summed"))
    }
}

impl Einsum {
    /// The labels along which a result lies before it is arranged.
    fn order(&self) -> [&[Label]; 3] {
        let parts = &self.parts;
        match self.multiplies() {
            true => [&parts.batch, &parts.rows, &parts.columns],
            false => [&parts.output, &[], &[]],
        }
    }

    /// Whether it is a product of matrices, and not of elements.
    fn multiplies(&self) -> bool {
        !self.parts.summed.is_empty()
    }

    /// Whether results are written where they belong.
    fn in_place(&self) -> bool {
        !self.repeats() && (!self.multiplies() || self.parts.lie_in_order())
    }

    /// The elements of room: for a copy of each operand, for the result, and for the product.
    fn sizes<T: Number>(&self, axes: &Axes) -> [usize; 4] {
        let parts = &self.parts;
        let result = if self.in_place() { 0 } else { axes.count(&parts.output) };
        if !self.two() {
            return [0, 0, result, 0];
        }
        let copy = |operand: usize| match self.copies(axes, operand) {
            true => axes.copied(operand, parts).map(|at| axes.dims[at]).product(),
            false => 0,
        };
        let product = match self.multiplies() {
            true => T::matmul_scratch(axes.count(&parts.rows), axes.count(&parts.summed), axes.count(&parts.columns)),
            false => 0,
        };
        [copy(0), copy(1), result, product]
    }

    /// Whether one of two operands is copied.
    fn copies(&self, axes: &Axes, operand: usize) -> bool {
        !self.parts.own[operand].is_empty() || self.multiplies() && !axes.fits(operand, &self.parts)
    }

    fn compute<T: Pod + Number>(&self, inputs: &[View], out: &mut ViewMut, scratch: &mut Scratch) -> Result<()> {
        let mut axes = Axes::of(self, inputs);
        let sizes = self.sizes::<T>(&axes);
        let (dims, out) = (out.dims(), out.elements::<T>()?);
        let room = scratch.take::<T>(sizes.iter().sum())?;
        let (first, room) = room.split_at_mut(sizes[0]);
        let (second, room) = room.split_at_mut(sizes[1]);
        let (result, product) = room.split_at_mut(sizes[2]);
        let target = if self.in_place() { &mut *out } else { &mut *result };
        match inputs {
            [x] => Run::of(&axes, 0, &self.parts.output).sum(&axes, 0, x.elements()?, &self.parts.own[0], target)?,
            [x, y] => {
                let (x, y) = (x.elements::<T>()?, y.elements::<T>()?);
                let mut operands = [(x.data(), x.offset()), (y.data(), y.offset())];
                for ((i, view), room) in [x, y].into_iter().enumerate().zip([first, second]) {
                    if self.copies(&axes, i) {
                        operands[i] = (axes.dense(i, view, &self.parts, room)?, 0);
                    }
                }
                self.multiply(&axes, operands, target, product)?;
            }
            _ => return Err(Error::internal("one or two inputs were inferred")),
        }
        if self.in_place() { Ok(()) } else { self.arrange(&axes, result, dims, out) }
    }

    /// Writes the product of two operands in the order of [`order`](Einsum::order).
    fn multiply<T: Pod + Number>(
        &self,
        axes: &Axes,
        operands: [(&[T], usize); 2],
        out: &mut [T],
        scratch: &mut [T],
    ) -> Result<()> {
        let run = |operand: usize| {
            if !self.multiplies() {
                return Ok(Run::of(axes, operand, &self.parts.output));
            }
            let [batch, rest @ ..] = self.parts.best(operand);
            let mut run = Run::of(axes, operand, batch);
            for labels in rest {
                let (dim, stride) = axes
                    .together(operand, labels)
                    .ok_or_else(|| Error::internal("the axes of a factor do not lie like one"))?;
                run.push_axis(dim, stride);
            }
            Ok(run)
        };
        let (left, right) = (self.parts.left, 1 - self.parts.left);
        let (a, b) = (run(left)?, run(right)?);
        let (a, b) = (a.view(operands[left].0, operands[left].1)?, b.view(operands[right].0, operands[right].1)?);
        if self.multiplies() {
            T::matmul(a, b, out, scratch);
            return Ok(());
        }
        T::binary(Binary::Mul, a, b, out).map_err(|_| Error::internal("numbers are multiplied"))
    }

    /// Writes a result where the output wants it: in another order, or on diagonals among zeros.
    fn arrange<T: Pod + Number>(&self, axes: &Axes, result: &[T], dims: &[usize], out: &mut [T]) -> Result<()> {
        let order = self.order();
        let places = || order.into_iter().flat_map(|labels| axes.places(labels));
        let mut strides = [0; AXES];
        let mut step = 1;
        for at in places().rev() {
            strides[at] = step;
            step *= axes.dims[at] as isize;
        }
        let mut run = Run::new();
        if !self.repeats() {
            axes.places(&self.parts.output).for_each(|at| run.push_axis(axes.dims[at], strides[at]));
            copy(run.view(result, 0)?, out);
            return Ok(());
        }
        places().for_each(|at| run.push_axis(axes.dims[at], strides[at]));
        let mut steps = [0; MAX_RANK];
        write_row_major(dims, &mut steps[..dims.len()]);
        let mut targets = [0; AXES];
        for (at, step) in axes.places(&self.equation.output).zip(steps) {
            targets[at] += step;
        }
        let mut to = [0; AXES];
        for (to, at) in to.iter_mut().zip(places()) {
            *to = targets[at];
        }
        out.fill(T::zeroed());
        place(run.view(result, 0)?, out, &to[..run.rank], 0).ok_or_else(|| Error::internal("a diagonal has its places"))
    }

    /// The gradient of operand `i`: `dy` and the other operand, multiplied and summed into this one's labels; what it was
    /// summed over beforehand is repeated, and what was taken of its diagonals is put there again.
    fn gradient(&self, b: &Backward, i: usize) -> Result<Tensor> {
        let (x, dy) = (b.input(i), b.dy(0));
        let labels = &self.equation.operands[i];
        let own: Vec<Label> = self.parts.own[i].clone();
        let has_ellipsis = labels.contains(&Label::Ellipsis);
        let shared = distinct(labels).into_iter().filter(|label| !own.contains(label) && *label != Label::Ellipsis);
        let shared: Vec<Label> = shared.collect();
        let (mut from, mut other) = (self.equation.output.clone(), self.equation.operands.get(1 - i).cloned());
        // The axes of an ellipsis that this operand has not got are summed over, for which they need letters.
        let mut spread = from.contains(&Label::Ellipsis);
        if let (true, false, Some(rank), Some(labels)) = (spread, has_ellipsis, dy.rank(), &mut other) {
            let free = letters()
                .filter(|&letter| !self.equation.operands.iter().flatten().any(|l| *l == Label::Letter(letter)));
            let names: Vec<Label> = free.take(rank + 1 - from.len()).map(Label::Letter).collect();
            if names.len() == rank + 1 - from.len() {
                for labels in [&mut from, labels] {
                    *labels = labels
                        .iter()
                        .flat_map(|label| if *label == Label::Ellipsis { names.clone() } else { vec![*label] })
                        .collect();
                }
                spread = false;
            }
        }
        let ellipsis = || std::iter::repeat_n(Label::Ellipsis, usize::from(spread));
        let kept: Vec<Label> = ellipsis().chain(shared.iter().copied()).collect();
        let others = b.inputs().iter().enumerate().filter(|(at, _)| *at != i).map(|(_, other)| other);
        let operands: Vec<&Tensor> = [dy].into_iter().chain(others).collect();
        let mut g = einsum([from].into_iter().chain(other), kept.clone(), &operands)?;
        if spread {
            // Of the shape that this operand has along these labels.
            let like = match has_ellipsis {
                true => einsum([labels.clone()], kept.clone(), &[x])?,
                false => einsum([labels.clone()], shared.clone(), &[x])?,
            };
            g = unbroadcast(&g, &like)?;
        }
        let kept: Vec<Label> = if has_ellipsis { kept } else { shared };
        let whole: Vec<Label> = own.iter().chain(&kept).copied().collect();
        if !own.is_empty() {
            g = g.broadcast_like(&einsum([labels.clone()], whole.clone(), &[x])?)?;
        }
        if whole == *labels { Ok(g) } else { einsum([whole], labels.clone(), &[&g]) }
    }
}

/// Calls the op, of labels.
fn einsum(operands: impl IntoIterator<Item = Vec<Label>>, output: Vec<Label>, inputs: &[&Tensor]) -> Result<Tensor> {
    apply_one(Einsum::of(Equation { operands: operands.into_iter().collect(), output })?, inputs)
}

impl Tensor {
    /// Products of elements, summed over the axes whose labels the output has not got. NumPy's and TensorFlow's `einsum`.
    ///
    /// In `equation` each operand has a letter for each of its axes, and `...` for all that have none; after `->` come the
    /// letters of the output. A letter that an operand has twice is its diagonal. Axes of one letter are of one length;
    /// those of `...` broadcast from the right. Without `->` the output has the letters that occur once, in order.
    ///
    /// More than two operands are multiplied one after the other, the first two first; each axis is summed over as soon as
    /// nothing else needs it. An error says which letter does not fit. TensorFlow's `Einsum`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (a, b) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([[1.0, 0.0], [2.0, 1.0]]));
    /// assert_eq!(Tensor::einsum("ij,jk->ik", &[&a, &b])?.to_vec::<f64>()?, [5.0, 2.0, 11.0, 4.0]);
    /// assert_eq!(Tensor::einsum("ij,ij->", &[&a, &b])?.item::<f64>()?, 11.0);
    /// assert_eq!(Tensor::einsum("ii->i", &[&a])?.to_vec::<f64>()?, [1.0, 4.0]);
    /// assert_eq!(Tensor::einsum("ij,jk,kl", &[&a, &b, &a])?.to_vec::<f64>()?, [11.0, 18.0, 23.0, 38.0]);
    /// let error = Tensor::einsum("ij,jk->ik", &[&a, &a.slice(..1)?]).unwrap_err();
    /// assert_eq!(error.to_string(), "the dims of `j` must be equal: 2 vs. 1, in `ij,jk->ik` [Op:Einsum]");
    /// # Ok(())
    /// # }
    /// ```
    pub fn einsum(equation: &str, operands: &[&Tensor]) -> Result<Tensor> {
        let in_op = |error: Error| error.in_op("Einsum");
        let Equation { operands: labels, output } = Equation::read(equation).map_err(in_op)?;
        if labels.len() != operands.len() {
            let (expected, found) = (labels.len(), operands.len());
            let message = format!("`{equation}` has {expected} operands, and {found} were given");
            return Err(in_op(Error::invalid_argument(message)));
        }
        let (Some((first, rest)), Some((held, others))) = (operands.split_first(), labels.split_first()) else {
            return Err(in_op(Error::invalid_argument("expected at least one operand")));
        };
        if rest.is_empty() {
            return einsum([held.clone()], output, &[first]);
        }
        let (mut held, mut product) = (held.clone(), (*first).clone());
        for (i, (labels, operand)) in others.iter().zip(rest).enumerate() {
            let needed = |label: &Label| output.contains(label) || others[i + 1..].iter().any(|l| l.contains(label));
            let kept = match i + 1 == others.len() {
                true => output.clone(),
                false => distinct(&[&*held, labels].concat()).into_iter().filter(needed).collect(),
            };
            product = einsum([held, labels.clone()], kept.clone(), &[&product, operand])?;
            held = kept;
        }
        Ok(product)
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[OpDef {
    name: "Einsum",
    parse: |attrs| Ok(Arc::new(Einsum::parse(&attrs.string("equation", String::new())?)?)),
    accuracy: Accuracy::Sum,
}]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, ErrorKind, GradientTape, graph::trace};

    /// Numbers without pattern.
    fn wave(dims: &[usize]) -> Tensor {
        let count = dims.iter().product::<usize>();
        Tensor::new(dims, (0..count).map(|i| (1.0 + i as f64 * 1.37).sin()).collect::<Vec<_>>()).unwrap()
    }

    /// The room for copies of both operands and for the result.
    fn copied(equation: &str, x: &Tensor, y: &Tensor) -> [bool; 3] {
        let einsum = Einsum::parse(equation).unwrap();
        let views = [View::of(x).unwrap(), View::of(y).unwrap()];
        let [first, second, result, _] = einsum.sizes::<f64>(&Axes::of(&einsum, &views));
        [first, second, result].map(|elements| elements > 0)
    }

    #[test]
    fn what_lies_well_is_not_copied() {
        let (x, y) = (wave(&[2, 3, 2, 4]), wave(&[2, 5, 2, 4]));
        assert_eq!(copied("BTNH,BSNH->BNTS", &x, &y), [false; 3]);
        assert_eq!(copied("BSNH,BTNH->BNTS", &y, &x), [false; 3]);
        assert_eq!(copied("BNTS,BSNH->BTNH", &wave(&[2, 2, 3, 5]), &y), [false, false, true]);
        let (x, kernel) = (wave(&[2, 3, 4]), wave(&[4, 2, 5]));
        assert_eq!(copied("abc,cde->abde", &x, &kernel), [false; 3]);
        assert_eq!(copied("...x,xyz->...yz", &x, &kernel), [false; 3]);
        assert_eq!(copied("abde,abc->cde", &wave(&[2, 3, 2, 5]), &x), [false; 3]);
        let turned = x.permute([1, 0, 2]).unwrap();
        assert_eq!(copied("bac,cde->bade", &turned, &kernel), [true, false, false]);
        assert_eq!(copied("abc,cd->abd", &turned.reshape([3, 2, 4]).unwrap(), &wave(&[4, 2])), [true, false, false]);
        assert_eq!(
            copied("ab,bc->ca", &wave(&[3, 4]), &wave(&[4, 2]).transpose().unwrap().transpose().unwrap()),
            [false; 3]
        );
        assert_eq!(copied("abx,bc->ac", &x.permute([0, 2, 1]).unwrap(), &wave(&[4, 2])), [true, false, false]);
    }

    #[test]
    fn several_operands_are_multiplied_one_after_the_other() {
        let (a, b, c) = (wave(&[2, 3]), wave(&[3, 4]), wave(&[4, 2]));
        let product = |equation: &str, of: &[&Tensor]| Tensor::einsum(equation, of).unwrap().to_vec::<f64>().unwrap();
        let chain = a.matmul(&b).unwrap().matmul(&c).unwrap();
        assert_eq!(product("ab, bc, cd -> ad", &[&a, &b, &c]), chain.to_vec::<f64>().unwrap());
        assert_eq!(product("ab,bc,cd", &[&a, &b, &c]), chain.to_vec::<f64>().unwrap());
        assert_eq!(product("ab,bc,ca", &[&a, &b, &c]), product("aa->", &[&chain]));
        assert_eq!(product("...b,bc,cd", &[&a, &b, &c]), chain.to_vec::<f64>().unwrap());
        assert_eq!(product("ba", &[&a]), a.transpose().unwrap().to_vec::<f64>().unwrap());
        assert_eq!(product("a...->...", &[&a]), a.sum(0).unwrap().to_vec::<f64>().unwrap());
        let outer = Tensor::einsum("a,b,c->cab", &[&wave(&[2]), &wave(&[3]), &wave(&[4])]).unwrap();
        assert_eq!(*outer.shape(), [4, 2, 3]);
    }

    #[test]
    fn what_an_equation_cannot_say_is_an_error() {
        let x = wave(&[2, 3]);
        let rows: [(&str, &[&Tensor], &str); 8] = [
            ("ab->ac", &[&x], "`c` is a label of the output alone in the equation `ab->ac`"),
            ("ab->ab->ab", &[&x], "expecting exactly one `->` in the equation `ab->ab->ab`"),
            ("a1->a", &[&x], "`a1` has something other than letters and `...`"),
            ("...a...->a", &[&x], "`...a...` has more than one ellipsis"),
            ("ab,bc->ac", &[&x], "`ab,bc->ac` has 2 operands, and 1 were given"),
            ("", &[], "`` has 1 operands, and 0 were given"),
            ("abc->a", &[&x], "expected input 0 to have rank 3, found shape (2, 3)"),
            ("ab...c->a", &[&x], "expected input 0 to have rank at least 3, found shape (2, 3)"),
        ];
        for (equation, operands, words) in rows {
            let error = Tensor::einsum(equation, operands).unwrap_err();
            assert!(error.message().starts_with(words), "{error}");
            assert_eq!((error.kind(), error.op()), (ErrorKind::InvalidArgument, Some("Einsum")));
        }
        let strings = Tensor::strings([1], ["a"]).unwrap();
        assert_eq!(Tensor::einsum("a->a", &[&strings]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    /// Gradients of both operands in a graph that knows no rank are those that are computed from values.
    #[test]
    fn gradients_need_no_rank() {
        for (equation, dims) in [
            ("...x,xyz->...yz", [&[2, 3, 4][..], &[4, 2, 3]]),
            ("...ab,...bc->...ac", [&[5, 1, 2, 3], &[4, 3, 2]]),
            ("aab,bc->ac", [&[2, 2, 3], &[3, 4]]),
            ("abx,bc...->a...", [&[2, 3, 2], &[3, 4, 5]]),
        ] {
            let gradients = |x: &[Tensor]| {
                let tape = GradientTape::new();
                x.iter().for_each(|x| tape.watch(x));
                let y = tape.record(|| Tensor::einsum(equation, &[&x[0], &x[1]])?.square())?;
                tape.gradients(&y, x)?.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| Error::internal("none"))
            };
            let x = dims.map(wave);
            let graph =
                trace(gradients, &[Spec::new(DType::F64, Shape::unknown()), Spec::new(DType::F64, Shape::unknown())]);
            let traced = graph.unwrap().run(&[&x[0], &x[1]]).unwrap();
            for (traced, eager) in traced.iter().zip(gradients(&x).unwrap()) {
                assert_eq!(traced.shape(), eager.shape(), "{equation}");
                for (a, b) in traced.to_vec::<f64>().unwrap().iter().zip(eager.to_vec::<f64>().unwrap()) {
                    assert!((a - b).abs() < 1e-12, "{equation}: {a} is not {b}");
                }
            }
        }
    }
}
