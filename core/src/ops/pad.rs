//! Repeating a tensor, putting borders around it, blanking parts of it.

use super::array::{copy_view, index_tensor};
use crate::dtype::{by_width, dispatch};
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Operand, Scratch, View, ViewMut, allowed, apply_one, arity,
    at_least_rank, ints, on_strings, one_int, rank_unknown, same_dtype, unsupported, with_rank,
};
use crate::shape::{MAX_RANK, count, write_row_major};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Binary, Number, Strided};
use std::sync::Arc;

/// The elements before and after each axis, where they are known; one row for each axis.
fn borders(paddings: &Input, x: &Shape) -> Result<Option<Vec<[usize; 2]>>> {
    let values = ints(paddings, "paddings")?;
    let shape = with_rank(&paddings.spec.shape, 2, "paddings")?;
    if shape.merge(&[x.rank(), Some(2)].into()).is_none() {
        return Err(Error::invalid_argument(format!(
            "paddings are two numbers for each axis of {x}, found a tensor of shape {shape}"
        )));
    }
    let Some(values) = values else { return Ok(None) };
    let wide = |&value: &i64| {
        usize::try_from(value).map_err(|_| Error::invalid_argument(format!("paddings cannot be negative: {values:?}")))
    };
    let values = values.iter().map(wide).collect::<Result<Vec<_>>>()?;
    Ok(Some(values.as_chunks().0.to_vec()))
}

/// The shape with borders around it.
fn padded(x: &Shape, borders: Option<&[[usize; 2]]>) -> Result<Shape> {
    let (Some(dims), Some(borders)) = (x.dims(), borders) else {
        return Ok(x.rank().or(borders.map(<[_]>::len)).map_or(Shape::unknown(), Shape::of_rank));
    };
    let grown = dims.iter().zip(borders).map(|(&dim, &[before, after])| {
        dim.map(|dim| dim.checked_add(before).and_then(|dim| dim.checked_add(after)).ok_or_else(too_large)).transpose()
    });
    let shape: Shape = grown.collect::<Result<Vec<_>>>()?.into();
    shape.known().map(count).transpose()?;
    Ok(shape)
}

fn too_large() -> Error {
    Error::invalid_argument("the dims and their paddings add up to more than can be counted")
}

/// Calls `f` with each axis of an output, and the elements before and after it, from the last axis to the first.
fn each_border(paddings: &View, rank: usize, f: &mut dyn FnMut(usize, [usize; 2]) -> Result<()>) -> Result<()> {
    let strides = paddings.strides();
    (0..rank).rev().try_for_each(|axis| {
        let mut border = [0; 2];
        for (side, value) in border.iter_mut().enumerate() {
            let at = axis as isize * strides[0] + side as isize * strides[1];
            *value = paddings.int_at(at)? as usize;
        }
        f(axis, border)
    })
}

/// Writes `x` into the middle of `out`.
fn put_inside(x: &View, paddings: &View, out: &mut ViewMut) -> Result<()> {
    let (dims, mut strides) = (out.dims(), [0; MAX_RANK]);
    let strides = &mut strides[..dims.len()];
    write_row_major(dims, strides);
    let mut offset = 0;
    if !x.is_empty() {
        each_border(paddings, dims.len(), &mut |axis, [before, _]| {
            offset += before * strides[axis].unsigned_abs();
            Ok(())
        })?;
    }
    by_width!(x.dtype(), T => modulor_kernels::place(x.elements::<T>()?, out.elements()?, strides, offset))
        .ok_or_else(|| Error::internal("a padded tensor reaches beyond its borders"))
}

/// The gradient of a padding: what lies within the borders.
fn unpadded(dy: &Tensor, x: &Tensor, paddings: &Tensor) -> Result<Tensor> {
    let before = paddings.slice((.., 0))?;
    let size = x.shape_tensor()?.cast(before.dtype())?;
    super::slice::block(dy, &before, &size)
}

/// A border of zeros.
#[derive(Debug, Default)]
struct Pad;

impl Op for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, paddings] = arity(inputs)?;
        allowed(x.spec.dtype, DType::has_elements, "numbers, bools and strings")?;
        let borders = borders(paddings, &x.spec.shape)?;
        Ok(vec![Spec::new(x.spec.dtype, padded(&x.spec.shape, borders.as_deref())?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        outputs[0].bytes().fill(0);
        put_inside(&inputs[0], &inputs[1], &mut outputs[0])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(unpadded(b.dy(0), b.input(0), b.input(1))?), None])
    }
}

/// A border of one value.
#[derive(Debug, Default)]
struct PadV2;

impl Op for PadV2 {
    fn name(&self) -> &'static str {
        "PadV2"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, paddings, value] = arity(inputs)?;
        allowed(same_dtype(&[*x, *value])?, DType::has_elements, "numbers, bools and strings")?;
        with_rank(&value.spec.shape, 0, "the value")?;
        let borders = borders(paddings, &x.spec.shape)?;
        Ok(vec![Spec::new(x.spec.dtype, padded(&x.spec.shape, borders.as_deref())?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [x, paddings, value] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        super::fill::fill(value, &mut outputs[0])?;
        put_inside(x, paddings, &mut outputs[0])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        // As TensorFlow has it, the value is a constant.
        Ok(vec![Some(unpadded(b.dy(0), b.input(0), b.input(1))?), None, None])
    }
}

/// Whether a mirrored border begins with the outermost elements themselves (`SYMMETRIC`) or those within (`REFLECT`).
#[derive(Clone, Copy, Debug)]
struct Mirror {
    symmetric: bool,
}

impl Mirror {
    fn parse(attrs: &Attrs) -> Result<Mirror> {
        match &*attrs.string("mode", None)? {
            "SYMMETRIC" => Ok(Mirror { symmetric: true }),
            "REFLECT" => Ok(Mirror { symmetric: false }),
            other => Err(Error::invalid_argument(format!("mode is REFLECT or SYMMETRIC, found {other}"))),
        }
    }

    fn attrs(self) -> Attrs {
        Attrs::new().with("mode", if self.symmetric { "SYMMETRIC" } else { "REFLECT" })
    }

    /// Refuses borders wider than what there is to mirror in an axis of `dim` without them.
    fn check(self, axis: usize, dim: usize, border: [usize; 2]) -> Result<()> {
        let most = if self.symmetric { dim } else { dim.saturating_sub(1) };
        match border.iter().find(|&&width| width > most) {
            Some(width) => Err(Error::invalid_argument(format!(
                "axis {axis} of {dim} elements can be mirrored by at most {most}, found {width}"
            ))),
            None => Ok(()),
        }
    }

    /// Calls `f(border, inside)` with each place of an axis's border, outermost last, and the place it mirrors.
    fn each(self, length: usize, [before, after]: [usize; 2], f: &mut dyn FnMut(usize, usize)) {
        let away = if self.symmetric { 0 } else { 1 };
        (0..before).for_each(|i| f(before - 1 - i, before + away + i));
        (0..after).for_each(|i| f(length - after + i, length - after - 1 - away - i));
    }
}

/// A border that mirrors what lies within.
#[derive(Debug)]
struct MirrorPad {
    mirror: Mirror,
}

impl Op for MirrorPad {
    fn name(&self) -> &'static str {
        "MirrorPad"
    }
    fn attrs(&self) -> Attrs {
        self.mirror.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, paddings] = arity(inputs)?;
        allowed(x.spec.dtype, DType::has_elements, "numbers, bools and strings")?;
        let borders = borders(paddings, &x.spec.shape)?;
        for (axis, &border) in borders.iter().flatten().enumerate() {
            if let Some(dim) = x.spec.shape.dim(axis) {
                self.mirror.check(axis, dim, border)?;
            }
        }
        Ok(vec![Spec::new(x.spec.dtype, padded(&x.spec.shape, borders.as_deref())?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let out = &mut outputs[0];
        put_inside(&inputs[0], &inputs[1], out)?;
        let (dims, size) = (out.dims(), out.dtype().size());
        let bytes = out.bytes();
        // The axes after one have their borders already when its own are copied; what lies in the borders of those
        // before it is overwritten in their turn.
        each_border(&inputs[1], dims.len(), &mut |axis, border| {
            let (length, row) = (dims[axis], dims[axis + 1..].iter().product::<usize>() * size);
            if border != [0, 0] && !bytes.is_empty() {
                for block in bytes.chunks_mut(length * row) {
                    let mut copy = |to: usize, from: usize| block.copy_within(from * row..(from + 1) * row, to * row);
                    self.mirror.each(length, border, &mut copy);
                }
            }
            Ok(())
        })
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(MirrorPadGrad { mirror: self.mirror }, &[b.dy(0), b.input(1)])?), None])
    }
}

/// What lies within a mirrored border, each element with those that mirror it added: the gradient of [`MirrorPad`].
#[derive(Debug)]
struct MirrorPadGrad {
    mirror: Mirror,
}

impl Op for MirrorPadGrad {
    fn name(&self) -> &'static str {
        "MirrorPadGrad"
    }
    fn attrs(&self) -> Attrs {
        self.mirror.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [dy, paddings] = arity(inputs)?;
        let dtype = allowed(dy.spec.dtype, |d| d.is_float() || d.is_integer() || d.is_complex(), "numbers")?;
        let borders = borders(paddings, &dy.spec.shape)?;
        let (Some(dims), Some(borders)) = (dy.spec.shape.dims(), borders) else {
            return Ok(vec![Spec::new(dtype, dy.spec.shape.rank().map_or(Shape::unknown(), Shape::of_rank))]);
        };
        let inside = dims.iter().zip(borders).enumerate().map(|(axis, (&dim, border))| {
            let Some(dim) = dim else { return Ok(None) };
            let inside = dim.checked_sub(border[0]).and_then(|dim| dim.checked_sub(border[1])).ok_or_else(|| {
                Error::invalid_argument(format!("axis {axis} of {dim} elements is shorter than its borders {border:?}"))
            })?;
            self.mirror.check(axis, inside, border)?;
            Ok(Some(inside))
        });
        Ok(vec![Spec::new(dtype, inside.collect::<Result<Vec<_>>>()?)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        // The gradient, and two rows of it.
        3 * inputs[0].len() * inputs[0].dtype().size()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [dy, paddings] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        dispatch!(dy.dtype(), arithmetic T => self.fold::<T>(dy, paddings, &mut outputs[0], scratch),
            else => Err(unsupported(dy.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(MirrorPad { mirror: self.mirror }, &[b.dy(0), b.input(1)])?), None])
    }
}

impl MirrorPadGrad {
    fn fold<T: Number>(&self, dy: &View, paddings: &View, out: &mut ViewMut, scratch: &mut Scratch) -> Result<()> {
        let dims = dy.dims();
        let (folded, pair) = scratch.take::<T>(3 * dy.len())?.split_at_mut(dy.len());
        modulor_kernels::copy(dy.elements::<T>()?, folded);
        let (mut strides, mut offset, mut added) = ([0; MAX_RANK], 0, true);
        let strides = &mut strides[..dims.len()];
        write_row_major(dims, strides);
        each_border(paddings, dims.len(), &mut |axis, border| {
            let (length, width) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
            offset += border[0] * width;
            if border != [0, 0] && !folded.is_empty() {
                for block in folded.chunks_mut(length * width) {
                    self.mirror.each(length, border, &mut |from, to| {
                        let (a, b) = pair[..2 * width].split_at_mut(width);
                        a.copy_from_slice(&block[to * width..][..width]);
                        b.copy_from_slice(&block[from * width..][..width]);
                        let row = &mut block[to * width..][..width];
                        let rows = [a, b].map(|row| Strided::new(&*row, &dims[axis + 1..], &strides[axis + 1..], 0));
                        let sum =
                            if let [Some(a), Some(b)] = rows { T::binary(Binary::Add, a, b, row).ok() } else { None };
                        added &= sum.is_some();
                    });
                }
            }
            Ok(())
        })?;
        if !added {
            return Err(unsupported(dy.dtype()));
        }
        let inside = Strided::new(&*folded, out.dims(), strides, offset)
            .ok_or_else(|| Error::internal("borders reach beyond their tensor"))?;
        modulor_kernels::copy(inside, out.elements()?);
        Ok(())
    }
}

/// A tensor repeated so many times along each axis.
#[derive(Debug, Default)]
struct Tile;

impl Op for Tile {
    fn name(&self) -> &'static str {
        "Tile"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, multiples] = arity(inputs)?;
        let times = ints(multiples, "multiples")?;
        let length = with_rank(&multiples.spec.shape, 1, "multiples")?;
        if length.merge(&[x.spec.shape.rank()].into()).is_none() {
            return Err(Error::invalid_argument(format!(
                "multiples are one number for each axis of {}, found {length}",
                x.spec.shape
            )));
        }
        let (Some(dims), Some(times)) = (x.spec.shape.dims(), times) else {
            let rank = x.spec.shape.rank().or(length.dim(0));
            return Ok(vec![Spec::new(x.spec.dtype, rank.map_or(Shape::unknown(), Shape::of_rank))]);
        };
        let tiled = dims.iter().zip(&times).map(|(&dim, &times)| {
            let wrong = || Error::invalid_argument(format!("a tensor cannot be repeated {times} times"));
            let times = usize::try_from(times).map_err(|_| wrong())?;
            dim.map(|dim| dim.checked_mul(times).ok_or_else(wrong)).transpose()
        });
        let shape: Shape = tiled.collect::<Result<Vec<_>>>()?.into();
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(x.spec.dtype, shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let (x, out) = (inputs[0], &mut outputs[0]);
        // Each axis as two: the repetitions, which take no step, and the axis itself.
        let (mut dims, mut strides) = ([0; 2 * MAX_RANK], [0; 2 * MAX_RANK]);
        let rank = x.dims().len();
        for axis in 0..rank {
            dims[2 * axis] = inputs[1].int(axis)? as usize;
            dims[2 * axis + 1] = x.dims()[axis];
            strides[2 * axis + 1] = x.strides()[axis];
        }
        let (dims, strides) = (&dims[..2 * rank], &strides[..2 * rank]);
        by_width!(x.dtype(), T => modulor_kernels::copy(x.restrided::<T>(dims, strides)?, out.elements()?));
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(&inputs[..1])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, multiples) = (b.input(0), b.input(1));
        let Some(rank) = x.rank() else {
            return Err(Error::unimplemented("the gradient of a repeated tensor needs its rank"));
        };
        let each = Tensor::stack(&[multiples.clone(), x.shape_tensor()?.cast(multiples.dtype())?], 1)?;
        let apart = b.dy(0).reshape_by(&each.reshape([-1])?)?;
        let repetitions: Vec<i64> = (0..rank).map(|axis| 2 * axis as i64).collect();
        Ok(vec![Some(apart.sum(repetitions)?.reshape_as(x)?), None])
    }
}

/// The diagonals of matrices between two, and zeros elsewhere.
#[derive(Debug, Default)]
struct MatrixBandPart;

impl Op for MatrixBandPart {
    fn name(&self) -> &'static str {
        "MatrixBandPart"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, lower, upper] = arity(inputs)?;
        at_least_rank(&x.spec.shape, 2, "the matrices")?;
        allowed(x.spec.dtype, |d| d.size() > 0, "plain elements")?;
        let rank = x.spec.shape.rank().unwrap_or(0);
        for (input, axis, what) in [(lower, 2, "num_lower"), (upper, 1, "num_upper")] {
            with_rank(&input.spec.shape, 0, what)?;
            let dim = rank.checked_sub(axis).and_then(|axis| x.spec.shape.dim(axis));
            if let (Some(number), Some(dim)) = (one_int(input, what)?, dim)
                && number > dim as i64
            {
                let message = format!("{what} must be negative or at most {dim}, found {number}");
                return Err(Error::invalid_argument(message));
            }
        }
        Ok(vec![x.spec.clone()])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [x, lower, upper] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let out = &mut outputs[0];
        copy_view(*x, out)?;
        let (rank, size) = (out.dims().len(), out.dtype().size());
        let (rows, columns) = (out.dims()[rank - 2], out.dims()[rank - 1]);
        let reach = |number: i64, all: usize| usize::try_from(number).unwrap_or(all);
        let (lower, upper) = (reach(lower.int(0)?, rows), reach(upper.int(0)?, columns));
        if columns > 0 {
            for (i, row) in out.bytes().chunks_mut(columns * size).enumerate() {
                let row_number = i % rows;
                let first = row_number.saturating_sub(lower).min(columns);
                let last = row_number.saturating_add(upper).saturating_add(1).min(columns);
                row[..first * size].fill(0);
                row[last * size..].fill(0);
            }
        }
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(MatrixBandPart, &[b.dy(0), b.input(1), b.input(2)])?), None, None])
    }
}

/// Rows of two numbers, as an input.
fn pairs(paddings: &[[i64; 2]]) -> Result<Tensor> {
    index_tensor(paddings.as_flattened())?.reshape([paddings.len() as i64, 2])
}

/// [`Tensor::pad`] by paddings that are a tensor.
pub(crate) fn pad(x: &Tensor, paddings: &Tensor) -> Result<Tensor> {
    apply_one(Pad, &[x, paddings])
}

impl Tensor {
    /// With zeros (empty strings) around it: so many before and after each axis. TensorFlow's `Pad`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([1, 2]).pad([[1, 2]])?.to_vec::<i32>()?, [0, 1, 2, 0, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pad(&self, paddings: impl AsRef<[[i64; 2]]>) -> Result<Tensor> {
        pad(self, &pairs(paddings.as_ref())?)
    }

    /// With a scalar's value around it: so many before and after each axis. No gradient flows to the value.
    /// TensorFlow's `PadV2`.
    pub fn pad_with(&self, paddings: impl AsRef<[[i64; 2]]>, value: impl Operand) -> Result<Tensor> {
        self.check()?;
        apply_one(PadV2, &[self, &pairs(paddings.as_ref())?, &value.operand(self.dtype())?])
    }

    /// With its mirror image around it, so many elements before and after each axis; the outermost elements are the
    /// mirror, and not repeated. TensorFlow's `MirrorPad` of mode `REFLECT`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.pad_reflect([[2, 0]])?.to_vec::<i32>()?, [3, 2, 1, 2, 3]);
    /// assert_eq!(x.pad_symmetric([[2, 0]])?.to_vec::<i32>()?, [2, 1, 1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pad_reflect(&self, paddings: impl AsRef<[[i64; 2]]>) -> Result<Tensor> {
        apply_one(MirrorPad { mirror: Mirror { symmetric: false } }, &[self, &pairs(paddings.as_ref())?])
    }

    /// As [`pad_reflect`](Tensor::pad_reflect), with the outermost elements repeated. Mode `SYMMETRIC`.
    pub fn pad_symmetric(&self, paddings: impl AsRef<[[i64; 2]]>) -> Result<Tensor> {
        apply_one(MirrorPad { mirror: Mirror { symmetric: true } }, &[self, &pairs(paddings.as_ref())?])
    }

    /// Repeated so many times along each axis. TensorFlow's `Tile`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[1, 2]]).tile([2, 2])?.to_vec::<i32>()?, [1, 2, 1, 2, 1, 2, 1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tile(&self, multiples: impl AsRef<[i64]>) -> Result<Tensor> {
        apply_one(Tile, &[self, &index_tensor(multiples.as_ref())?])
    }

    /// The matrices of the last two axes with zeros below the `lower`-th diagonal under the main one and above the
    /// `upper`-th over it; a negative number keeps all of that side. TensorFlow's `MatrixBandPart`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).band_part(-1, 0)?.to_vec::<i32>()?, [1, 0, 3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn band_part(&self, lower: i64, upper: i64) -> Result<Tensor> {
        apply_one(MatrixBandPart, &[self, &Tensor::scalar(lower), &Tensor::scalar(upper)])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef::plain::<Pad>("Pad", Accuracy::Exact),
    OpDef::plain::<PadV2>("PadV2", Accuracy::Exact),
    OpDef {
        name: "MirrorPad",
        parse: |attrs| Ok(Arc::new(MirrorPad { mirror: Mirror::parse(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "MirrorPadGrad",
        parse: |attrs| Ok(Arc::new(MirrorPadGrad { mirror: Mirror::parse(attrs)? })),
        accuracy: Accuracy::Sum,
    },
    OpDef::plain::<Tile>("Tile", Accuracy::Exact),
    OpDef::plain::<MatrixBandPart>("MatrixBandPart", Accuracy::Exact),
]];
