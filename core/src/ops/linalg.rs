//! Products of matrices, and the bias that follows them.

use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Operand, Scalar, Scratch, View, ViewMut, allowed, apply_one, arity,
    at_least_rank, elements, of_product, rank_unknown, same_dtype, unsupported, with_rank,
};
use crate::shape::{Brackets, MAX_RANK, broadcast};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use modulor_kernels::{Binary, Epilogue, Float, Fold, Number, Strided, Unary};
use std::any::Any;
use std::sync::Arc;

pub(super) fn multiplies(dtype: DType) -> Result<DType> {
    allowed(dtype, |d| d.is_float() || d.is_complex() || matches!(d, DType::I32 | DType::I64), "floats, int32, int64")
}

/// The dim that both operands share must be equal; these are the notes' and TensorFlow's eager words.
fn inner(a: &Shape, b: &Shape, k: Option<usize>, l: Option<usize>) -> Result<()> {
    match (k, l) {
        (Some(k), Some(l)) if k != l => Err(Error::invalid_argument(format!(
            "In[0] mismatch In[1] shape: {k} vs. {l}: {} {}",
            Brackets(a),
            Brackets(b)
        ))),
        _ => Ok(()),
    }
}

/// The product of two matrices, each transposed on the way if asked.
#[derive(Debug, Default)]
pub(crate) struct MatMul {
    pub(crate) transpose_a: bool,
    pub(crate) transpose_b: bool,
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("transpose_a", self.transpose_a).with("transpose_b", self.transpose_b)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [a, b] = arity(inputs)?;
        let dtype = multiplies(same_dtype(inputs)?)?;
        let (a, b) = (with_rank(&a.spec.shape, 2, "In[0]")?, with_rank(&b.spec.shape, 2, "In[1]")?);
        let [m, k] = if self.transpose_a { [1, 0] } else { [0, 1] };
        let [l, n] = if self.transpose_b { [1, 0] } else { [0, 1] };
        inner(&a, &b, a.dim(k), b.dim(l))?;
        Ok(vec![Spec::new(dtype, [a.dim(m), b.dim(n)])])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        scratch(inputs, outputs, self.transpose_a)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        products(inputs, &mut outputs[0], scratch, self.transpose_a, self.transpose_b)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        gradient(b, self.transpose_a, self.transpose_b)
    }
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        of_factors(inputs, outputs, self.transpose_a)
    }
}

/// Products of matrices over leading axes that broadcast.
#[derive(Debug, Default)]
pub(crate) struct BatchMatMulV2 {
    pub(crate) adj_x: bool,
    pub(crate) adj_y: bool,
}

impl Op for BatchMatMulV2 {
    fn name(&self) -> &'static str {
        "BatchMatMulV2"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("adj_x", self.adj_x).with("adj_y", self.adj_y)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [a, b] = arity(inputs)?;
        let dtype = multiplies(same_dtype(inputs)?)?;
        allowed(dtype, |d| !d.is_complex() || !(self.adj_x || self.adj_y), "real numbers where it takes adjoints")?;
        let (a, b) = (&a.spec.shape, &b.spec.shape);
        at_least_rank(a, 2, "In[0]")?;
        at_least_rank(b, 2, "In[1]")?;
        let (Some(x), Some(y)) = (a.dims(), b.dims()) else {
            return Ok(vec![Spec::new(dtype, Shape::unknown())]);
        };
        let ((x, [p, q]), (y, [r, s])) = (split_last_two(&x), split_last_two(&y));
        let (m, k) = if self.adj_x { (q, p) } else { (p, q) };
        let (l, n) = if self.adj_y { (s, r) } else { (r, s) };
        inner(a, b, k, l)?;
        let batch = broadcast(&x.to_vec().into(), &y.to_vec().into())?;
        let mut dims = batch.dims().unwrap_or_default();
        dims.extend([m, n]);
        Ok(vec![Spec::new(dtype, dims)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        scratch(inputs, outputs, self.adj_x)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        products(inputs, &mut outputs[0], scratch, self.adj_x, self.adj_y)
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        gradient(b, self.adj_x, self.adj_y)
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        of_factors(inputs, outputs, self.adj_x)
    }
}

/// The operations of a product, of which the left factor says how many terms each sum has.
fn of_factors(inputs: &[Spec], outputs: &[Spec], transpose_a: bool) -> u64 {
    let (Some(a), Some(output)) = (inputs.first(), outputs.first()) else { return 0 };
    let rank = a.shape.rank().unwrap_or_default();
    let depth = rank.checked_sub(if transpose_a { 2 } else { 1 }).and_then(|axis| a.shape.dim(axis));
    of_product(output, depth)
}

pub(super) fn split_last_two<T: Copy>(dims: &[T]) -> (&[T], [T; 2]) {
    let (batch, last) = dims.split_at(dims.len() - 2);
    (batch, [last[0], last[1]])
}

/// m, k, n of the product of the last two axes; of all rows where that is one product.
fn sizes(inputs: &[View], out: &ViewMut, transpose_a: bool) -> [usize; 3] {
    let (_, [m, n]) = split_last_two(out.dims());
    let (_, [rows, columns]) = split_last_two(inputs[0].dims());
    let m = all_rows(inputs, out.dims(), transpose_a).map_or(m, |([rows, _], _)| rows);
    [m, if transpose_a { rows } else { columns }, n]
}

/// The dims and strides of a matrix.
type Matrix = ([usize; 2], [isize; 2]);

/// Both factors where all is one product.
fn one_product(inputs: &[View], out: &[usize], ta: bool, tb: bool) -> Option<(Matrix, Matrix)> {
    let matrix = |view: &View, turned: bool| {
        let (&[rows, columns], &[down, across]) = (view.dims(), view.strides()) else { return None };
        Some(if turned { ([columns, rows], [across, down]) } else { ([rows, columns], [down, across]) })
    };
    let b = matrix(&inputs[1], tb)?;
    match out.len() {
        2 => Some((matrix(&inputs[0], ta)?, b)),
        _ => Some((all_rows(inputs, out, ta)?, b)),
    }
}

/// The dims and strides of all left factors as one, where they are multiplied by one right factor and their rows lie at equal
/// distances: a row has the same bits alone and in any product.
fn all_rows(inputs: &[View], out: &[usize], transpose_a: bool) -> Option<Matrix> {
    let (a, b) = (&inputs[0], &inputs[1]);
    let (dims, strides, last) = (a.dims(), a.strides(), out.len() - 1);
    if transpose_a || last < 2 || b.dims().len() != 2 || dims.len() != out.len() || dims[..last] != out[..last] {
        return None;
    }
    let (mut rows, mut step) = (1, None);
    for axis in (0..last).rev().filter(|&axis| dims[axis] != 1) {
        let own = *step.get_or_insert(strides[axis]);
        if strides[axis] != own * rows as isize {
            return None;
        }
        rows *= dims[axis];
    }
    Some(([rows, dims[last]], [step.unwrap_or(0), strides[last]]))
}

fn scratch(inputs: &[View], outputs: &[ViewMut], transpose_a: bool) -> usize {
    let [m, k, n] = sizes(inputs, &outputs[0], transpose_a);
    dispatch!(outputs[0].dtype(), arithmetic T => T::matmul_scratch(m, k, n) * size_of::<T>(), else => 0)
}

/// The products for every index of the leading axes: the one way into the matmul kernel.
fn products(inputs: &[View], out: &mut ViewMut, scratch: &mut Scratch, ta: bool, tb: bool) -> Result<()> {
    let dtype = out.dtype();
    dispatch!(dtype, arithmetic T => products_of::<T>(inputs, out, scratch, ta, tb), else => Err(unsupported(dtype)))
}

/// As [`products`], of one type: a function of its own, so that the room for strides is on the stack once.
#[inline(never)]
fn products_of<T: Pod + Number>(
    inputs: &[View],
    out: &mut ViewMut,
    scratch: &mut Scratch,
    ta: bool,
    tb: bool,
) -> Result<()> {
    let [m, k, n] = sizes(inputs, out, ta);
    let scratch = scratch.take::<T>(T::matmul_scratch(m, k, n))?;
    if let Some((a, b)) = one_product(inputs, out.dims(), ta, tb) {
        let (a, b) = (inputs[0].restrided(&a.0, &a.1)?, inputs[1].restrided(&b.0, &b.1)?);
        T::matmul(a, b, out.elements()?, scratch);
        return Ok(());
    }
    let (batch, _) = split_last_two(out.dims());
    let (a, b) = (Stack::<T>::of(&inputs[0], batch, ta)?, Stack::<T>::of(&inputs[1], batch, tb)?);
    let (mut a_room, mut b_room) = (Room::new(), Room::new());
    T::matmul(a.whole(batch, &mut a_room)?, b.whole(batch, &mut b_room)?, out.elements()?, scratch);
    Ok(())
}

/// Products, and what follows each element of them in the same pass, to the same bits: inputs are both factors, then the bias,
/// of the last axis, and a tensor like the result, where there are such. Of floats.
#[derive(Debug)]
pub(crate) struct ProductWith {
    pub(crate) transpose_a: bool,
    pub(crate) transpose_b: bool,
    pub(crate) bias: bool,
    pub(crate) activation: Option<Unary>,
    pub(crate) add: bool,
    pub(crate) spec: Spec,
}

/// A right factor in the form that products read.
#[derive(Debug)]
pub(crate) struct Packed(Box<dyn Any + Send + Sync>);

impl ProductWith {
    /// The scratch of the product of all rows, and of those of each matrix.
    fn room<T: Float>(&self, inputs: &[View], out: &ViewMut) -> usize {
        let [rows, k, n] = sizes(inputs, out, self.transpose_a);
        let (_, [m, _]) = split_last_two(out.dims());
        T::matmul_with_scratch(rows, k, n).max(T::matmul_with_scratch(m, k, n))
    }

    /// The right factor as products read it; none where they are several, or there is no memory for it.
    pub(crate) fn packed(&self, inputs: &[View], out: &[usize]) -> Option<Packed> {
        let (_, (dims, strides)) = one_product(inputs, out, self.transpose_a, self.transpose_b)?;
        dispatch!(self.spec.dtype, float T => {
            let factor = T::packed(inputs[1].restrided(&dims, &strides).ok()?).ok()?;
            Some(Packed(Box::new(factor)))
        }, else => None)
    }

    /// As [`run`](Op::run), to the same bits, by the right factor in the form that [`packed`](Self::packed) gives, if it is there.
    pub(crate) fn multiply(
        &self,
        inputs: &[View],
        packed: Option<&Packed>,
        out: &mut ViewMut,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let dtype = self.spec.dtype;
        dispatch!(dtype, float T => self.run_of::<T>(inputs, packed, out, scratch), else => Err(unsupported(dtype)))
    }

    #[inline(never)]
    fn run_of<T: Float>(
        &self,
        inputs: &[View],
        packed: Option<&Packed>,
        out: &mut ViewMut,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let n = out.dims()[out.dims().len() - 1];
        let wanted = self.room::<T>(inputs, out);
        let mut rest = inputs[2..].iter();
        let bias = if self.bias { rest.next() } else { None };
        let room = bias.map_or(0, View::dense_room);
        let words = scratch.take::<u128>(room + words::<T>(wanted))?;
        let (bias, words) = match bias {
            Some(bias) => {
                let (bias, words) = bias.dense::<T>(words)?;
                (Some(bias), words)
            }
            None => (None, words),
        };
        let add = match rest.next().filter(|_| self.add) {
            Some(add) => Some(add.elements()?),
            None => None,
        };
        let epilogue = Epilogue { bias, activation: self.activation, add, accumulate: false };
        let scratch: &mut [T] = bytemuck::cast_slice_mut(words);
        let one = one_product(inputs, out.dims(), self.transpose_a, self.transpose_b);
        if let Some((a, b)) = one {
            let (flat, steps) = ([a.0[0], n], [n as isize, 1]);
            // What is added lies like the result; else each matrix is multiplied by itself.
            let add = epilogue.add.map(|add| add.as_slice());
            if !matches!(add, Some(None)) || out.dims().len() == 2 {
                let (a, b) = (inputs[0].restrided(&a.0, &a.1)?, inputs[1].restrided(&b.0, &b.1)?);
                let flat = add.flatten().and_then(|add| Strided::new(add, &flat, &steps, 0));
                let epilogue = Epilogue { add: flat.or(epilogue.add), ..epilogue };
                match packed.and_then(|packed| packed.0.downcast_ref::<modulor_kernels::Packed<T>>()) {
                    Some(packed) => T::matmul_packed(a, packed, epilogue, out.elements()?, scratch),
                    None => T::matmul_with(a, b, epilogue, out.elements()?, scratch),
                }
                return Ok(());
            }
        }
        let (batch, _) = split_last_two(out.dims());
        let (a, b) = (
            Stack::<T>::of(&inputs[0], batch, self.transpose_a)?,
            Stack::<T>::of(&inputs[1], batch, self.transpose_b)?,
        );
        let (mut a_room, mut b_room) = (Room::new(), Room::new());
        let (a, b) = (a.whole(batch, &mut a_room)?, b.whole(batch, &mut b_room)?);
        T::matmul_with(a, b, epilogue, out.elements()?, scratch);
        Ok(())
    }
}

/// So many elements as words of scratch.
fn words<T>(elements: usize) -> usize {
    (elements * size_of::<T>()).div_ceil(size_of::<u128>())
}

impl Op for ProductWith {
    fn name(&self) -> &'static str {
        "MatMul"
    }
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        let others = u64::from(self.bias) + u64::from(self.activation.is_some()) + u64::from(self.add);
        of_factors(inputs, outputs, self.transpose_a) + others * outputs.iter().map(elements).sum::<u64>()
    }
    fn describe(&self) -> String {
        let bias = if self.bias { ", BiasAdd" } else { "" };
        let activation = self.activation.map_or_else(String::new, |function| format!(", {function:?}"));
        let add = if self.add { ", AddV2" } else { "" };
        format!("MatMul{bias}{activation}{add}")
    }
    fn infer(&self, _: &[Input]) -> Result<Vec<Spec>> {
        Ok(vec![self.spec.clone()])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let bias = if self.bias { inputs[2].dense_room() } else { 0 };
        let words = dispatch!(self.spec.dtype, float T => words::<T>(self.room::<T>(inputs, &outputs[0])), else => 0);
        (bias + words) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        self.multiply(inputs, None, &mut outputs[0], scratch)
    }
}

/// The shape and strides of a batch.
struct Room {
    shape: [usize; MAX_RANK],
    strides: [isize; MAX_RANK],
}

impl Room {
    fn new() -> Self {
        Self { shape: [0; MAX_RANK], strides: [0; MAX_RANK] }
    }
}

/// Matrices along leading axes, repeated to those of the output.
struct Stack<'a, T> {
    elements: Strided<'a, T>,
    strides: [isize; MAX_RANK],
    dims: [usize; 2],
    steps: [isize; 2],
}

impl<'a, T: Pod> Stack<'a, T> {
    fn of(view: &View<'a>, batch: &[usize], transpose: bool) -> Result<Self> {
        let elements: Strided<T> = view.elements()?;
        let (own, mut dims) = split_last_two(view.dims());
        let (own_strides, mut steps) = split_last_two(view.strides());
        if transpose {
            dims.reverse();
            steps.reverse();
        }
        let mut strides = [0; MAX_RANK];
        for (axis, stride) in strides[..batch.len()].iter_mut().enumerate() {
            if let Some(old) = (axis + own.len()).checked_sub(batch.len())
                && own[old] == batch[axis]
            {
                *stride = own_strides[old];
            }
        }
        Ok(Stack { elements, strides, dims, steps })
    }

    /// All the matrices as one view, whose shape and strides go to `room`.
    fn whole<'b>(&self, batch: &[usize], room: &'b mut Room) -> Result<Strided<'b, T>>
    where
        'a: 'b,
    {
        let (at, rank) = (batch.len(), batch.len() + 2);
        let Room { shape, strides } = room;
        shape[..at].copy_from_slice(batch);
        shape[at..rank].copy_from_slice(&self.dims);
        strides[..at].copy_from_slice(&self.strides[..at]);
        strides[at..rank].copy_from_slice(&self.steps);
        Strided::new(self.elements.data(), &shape[..rank], &strides[..rank], self.elements.offset())
            .ok_or_else(|| Error::internal("the matrices of a batch reach beyond their storage"))
    }
}

/// y = op(a)·op(b):  da = dy·op(b)ᵀ,  db = op(a)ᵀ·dy, and each transposed again where the operand was.
fn gradient(back: &Backward, ta: bool, tb: bool) -> Result<Vec<Option<Tensor>>> {
    // Of complex factors the conjugates; others are these.
    let (a, b, dy) = (&back.input(0).conj()?, &back.input(1).conj()?, back.dy(0));
    let da = back.when(0, || if ta { b.matmul_with(dy, tb, true) } else { dy.matmul_with(b, false, !tb) })?;
    if let (Some(rank), Some(2), false) = (a.rank().filter(|&rank| rank > 2), b.rank(), ta) {
        // One product of all rows, and not one of each matrix and their sum.
        let db = back.when(1, || {
            let [k, n] = [usize::from(tb), usize::from(!tb)].map(|axis| b.shape().dim(axis));
            let (a, dy) = (rows_of_all(a, rank, k)?, rows_of_all(dy, rank, n)?);
            if tb { dy.matmul_with(&a, true, false) } else { a.matmul_with(&dy, true, false) }
        })?;
        return Ok(vec![da, db]);
    }
    let db = back.when(1, || if tb { dy.matmul_with(a, true, ta) } else { a.matmul_with(dy, !ta, false) })?;
    Ok(vec![da, db])
}

/// The rows of all matrices of a tensor of this rank as those of one, of so many columns if these are known.
fn rows_of_all(x: &Tensor, rank: usize, columns: Option<usize>) -> Result<Tensor> {
    if let Some(columns) = columns.filter(|&columns| columns > 0) {
        return x.reshape([-1, columns as i64]);
    }
    let rows = x.shape_tensor()?.slice(..-1)?.prod(0)?;
    x.reshape_by(&Tensor::stack(&[rows, x.length(rank - 1)?], 0)?)
}

/// Adds a vector along the axis of channels.
#[derive(Debug)]
struct BiasAdd {
    channels_first: bool,
}

impl Op for BiasAdd {
    fn name(&self) -> &'static str {
        "BiasAdd"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("data_format", data_format(self.channels_first))
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, bias] = arity(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, |d| d.is_float() || d.is_integer() || d.is_complex(), "numbers")?;
        let (x, bias) = (&x.spec.shape, with_rank(&bias.spec.shape, 1, "the bias")?);
        at_least_rank(x, 2, "the value")?;
        if let (Some(rank), Some(n)) = (x.rank(), bias.dim(0))
            && let Some(channels) = x.dim(channel_axis(self.channels_first, rank))
            && channels != n
        {
            return Err(Error::invalid_argument(format!(
                "the bias must have one element for each channel: {n} vs. {channels}, bias {bias}, value {x}"
            )));
        }
        Ok(vec![Spec::new(dtype, x)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [x, bias] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        let dims = x.dims();
        let mut strides = [0; MAX_RANK];
        strides[channel_axis(self.channels_first, dims.len())] = bias.strides()[0];
        dispatch!(x.dtype(), arithmetic T => {
            let bias = bias.restrided(dims, &strides[..dims.len()])?;
            T::binary(Binary::Add, x.elements()?, bias, outputs[0].elements()?).map_err(|_| unsupported(x.dtype()))
        }, else => Err(unsupported(x.dtype())))
    }
    fn scalar(&self) -> Option<Scalar> {
        (!self.channels_first).then_some(Scalar::Binary(Binary::Add))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let dy = b.dy(0);
        let dbias = b.when(1, || apply_one(BiasAddGrad { channels_first: self.channels_first }, &[dy]))?;
        Ok(vec![Some(dy.clone()), dbias])
    }
}

/// The sum over all axes but that of channels.
#[derive(Debug)]
struct BiasAddGrad {
    channels_first: bool,
}

impl Op for BiasAddGrad {
    fn name(&self) -> &'static str {
        "BiasAddGrad"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("data_format", data_format(self.channels_first))
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [dy] = arity(inputs)?;
        let dtype = allowed(dy.spec.dtype, |d| d.is_float() || d.is_integer() || d.is_complex(), "numbers")?;
        let shape = &dy.spec.shape;
        at_least_rank(shape, 2, "the gradient")?;
        let channels = shape.rank().and_then(|rank| shape.dim(channel_axis(self.channels_first, rank)));
        Ok(vec![Spec::new(dtype, [channels])])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let (dy, rank) = (inputs[0], inputs[0].dims().len());
        let mut summed = [true; MAX_RANK];
        summed[channel_axis(self.channels_first, rank)] = false;
        dispatch!(dy.dtype(), arithmetic T => {
            T::fold(Fold::Sum, dy.elements()?, &summed[..rank], outputs[0].elements()?)
                .map_err(|_| unsupported(dy.dtype()))
        }, else => Err(unsupported(dy.dtype())))
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        self.channels_first && rank_unknown(inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, mut g) = (b.input(0), b.dy(0).clone());
        if self.channels_first {
            let rank = x.rank().ok_or_else(|| {
                Error::unimplemented("the gradient of a sum over all axes but the second needs the rank")
            })?;
            for _ in 2..rank {
                g = g.expand_dims(-1)?;
            }
        }
        Ok(vec![Some(g.broadcast_like(x)?)])
    }
}

/// The axis of channels: the second or the last.
fn channel_axis(channels_first: bool, rank: usize) -> usize {
    if channels_first { 1 } else { rank - 1 }
}

fn data_format(channels_first: bool) -> &'static str {
    if channels_first { "NCHW" } else { "NHWC" }
}

/// Whether the attributes put the channels first.
fn channels_first(attrs: &Attrs) -> Result<bool> {
    match &*attrs.string("data_format", "NHWC".to_owned())? {
        "NHWC" => Ok(false),
        "NCHW" => Ok(true),
        other => Err(Error::invalid_argument(format!("data_format is NHWC or NCHW, found {other}"))),
    }
}

impl Tensor {
    /// The product of matrices: `[.., m, k] · [.., k, n]` is `[.., m, n]`; leading axes broadcast.
    ///
    /// TensorFlow's `MatMul` of two matrices, `BatchMatMulV2` of more axes. An error names both shapes where the inner
    /// dims differ.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let a = Tensor::from([[1.0_f32, 2.0]]);
    /// assert_eq!(a.matmul(&Tensor::from([[3.0_f32], [4.0]]))?.item::<f32>()?, 11.0);
    /// let error = a.matmul(&a).unwrap_err();
    /// assert_eq!(error.to_string(), "In[0] mismatch In[1] shape: 2 vs. 1: [1,2] [1,2] [Op:MatMul]");
    /// # Ok(())
    /// # }
    /// ```
    pub fn matmul(&self, other: impl Operand) -> Result<Tensor> {
        self.matmul_with(other, false, false)
    }

    /// The product, each side transposed on the way (its last two axes) where asked; no copy is made for it. Where a rank is
    /// unknown, that of batches, which matrices are too.
    pub fn matmul_with(&self, other: impl Operand, transpose_self: bool, transpose_other: bool) -> Result<Tensor> {
        self.check()?;
        let other = other.operand(self.dtype())?;
        let is_matrix = |t: &Tensor| t.rank().is_some_and(|rank| rank <= 2);
        if is_matrix(self) && is_matrix(&other) {
            apply_one(MatMul { transpose_a: transpose_self, transpose_b: transpose_other }, &[self, &other])
        } else if self.dtype().is_complex() {
            // The op knows adjoints, which are conjugates, too.
            let turned = |x: &Tensor, turn: bool| if turn { x.swap_axes(-1, -2) } else { Ok(x.clone()) };
            let (one, other) = (turned(self, transpose_self)?, turned(&other, transpose_other)?);
            apply_one(BatchMatMulV2 { adj_x: false, adj_y: false }, &[&one, &other])
        } else {
            apply_one(BatchMatMulV2 { adj_x: transpose_self, adj_y: transpose_other }, &[self, &other])
        }
    }

    /// Adds a vector along the last axis. TensorFlow's `BiasAdd`.
    pub fn bias_add(&self, bias: impl Operand) -> Result<Tensor> {
        self.check()?;
        apply_one(BiasAdd { channels_first: false }, &[self, &bias.operand(self.dtype())?])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "MatMul",
        parse: |attrs| {
            let transpose_a = attrs.bool("transpose_a", false)?;
            Ok(Arc::new(MatMul { transpose_a, transpose_b: attrs.bool("transpose_b", false)? }))
        },
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "BatchMatMulV2",
        parse: |attrs| {
            Ok(Arc::new(BatchMatMulV2 { adj_x: attrs.bool("adj_x", false)?, adj_y: attrs.bool("adj_y", false)? }))
        },
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "BiasAdd",
        parse: |attrs| Ok(Arc::new(BiasAdd { channels_first: channels_first(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "BiasAddGrad",
        parse: |attrs| Ok(Arc::new(BiasAddGrad { channels_first: channels_first(attrs)? })),
        accuracy: Accuracy::Sum,
    },
]];
