//! Joining tensors along an axis, and taking one apart.

use super::array::index_tensor;
use crate::dtype::by_width;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, apply_one, arity, int_values,
    ints, on_strings, one_int, same_dtype, with_rank,
};
use crate::shape::{MAX_RANK, count, normalize_axis, write_row_major};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use std::sync::Arc;

/// Writes `x` into the row-major `out` from index `start` of `axis` on.
fn put<T: Pod>(x: &View, out: &mut ViewMut, axis: usize, start: usize) -> Result<()> {
    let (dims, mut strides) = (out.dims(), [0; MAX_RANK]);
    let strides = &mut strides[..dims.len()];
    write_row_major(dims, strides);
    let offset = if x.is_empty() { 0 } else { start * strides[axis].unsigned_abs() };
    modulor_kernels::place(x.elements::<T>()?, out.elements()?, strides, offset)
        .ok_or_else(|| Error::internal("a part of a tensor reaches beyond it"))
}

/// Fills `out` with the part of `x` that begins at index `start` of `axis`.
fn take<T: Pod>(x: &View, out: &mut ViewMut, axis: usize, start: usize) -> Result<()> {
    let shift = if out.dims().contains(&0) { 0 } else { start as isize * x.strides()[axis] };
    modulor_kernels::copy(x.shifted::<T>(shift, out.dims(), x.strides())?, out.elements()?);
    Ok(())
}

/// So many outputs of one spec. A number read from a damaged file must not exhaust the memory.
fn outputs(number: i64, spec: Spec) -> Result<Vec<Spec>> {
    match usize::try_from(number) {
        Ok(number) if number < 1 << 20 => Ok(vec![spec; number]),
        _ => Err(Error::invalid_argument(format!("a tensor cannot be taken into {number} parts"))),
    }
}

/// Tensors one after the other along an axis.
#[derive(Debug, Default)]
struct ConcatV2;

/// The dims of tensors joined along `axis`; `shapes` is not empty.
fn joined(shapes: &[&Shape], axis: i64) -> Result<Shape> {
    let Some(rank) = shapes.iter().find_map(|shape| shape.rank()) else { return Ok(Shape::unknown()) };
    if rank == 0 {
        return Err(Error::invalid_argument("scalars have no axis to be joined along; use `stack`"));
    }
    let axis = normalize_axis(axis, rank)?;
    let (mut all, mut length) = (Shape::of_rank(rank), Some(0_usize));
    for (i, shape) in shapes.iter().enumerate() {
        length = match (length, shape.dim(axis)) {
            (Some(length), Some(dim)) => Some(length.checked_add(dim).ok_or_else(|| too_long(axis))?),
            _ => None,
        };
        let rest = shape.dims().map_or(Shape::unknown(), |mut dims| {
            dims.iter_mut().skip(axis).take(1).for_each(|dim| *dim = None);
            dims.into()
        });
        all = all.merge(&rest).ok_or_else(|| {
            Error::invalid_argument(format!(
                "tensors that are joined along axis {axis} must agree in all other dims: shape[0] = {} vs. \
                 shape[{i}] = {shape}",
                shapes[0]
            ))
        })?;
    }
    let mut dims = all.dims().unwrap_or_default();
    dims[axis] = length;
    Ok(dims.into())
}

fn too_long(axis: usize) -> Error {
    Error::invalid_argument(format!("the lengths along axis {axis} add up to more than can be counted"))
}

impl Op for ConcatV2 {
    fn name(&self) -> &'static str {
        "ConcatV2"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let Some((axis, parts)) = inputs.split_last() else {
            return Err(Error::invalid_argument("expected tensors and an axis, and nothing was given"));
        };
        let dtype = same_dtype(parts)?;
        let shapes: Vec<&Shape> = parts.iter().map(|part| &part.spec.shape).collect();
        let shape = match one_int(axis, "the axis")? {
            Some(axis) => joined(&shapes, axis)?,
            None => shapes.iter().find_map(|shape| shape.rank()).map_or(Shape::unknown(), Shape::of_rank),
        };
        if let Some(dims) = shape.known() {
            count(dims)?;
        }
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [parts @ .., axis] = inputs else { return Err(Error::internal("an axis was inferred")) };
        let out = &mut outputs[0];
        let axis = normalize_axis(axis.int(0)?, out.dims().len())?;
        let mut start = 0;
        for part in parts {
            by_width!(out.dtype(), T => put::<T>(part, out, axis, start)?);
            start += part.dims()[axis];
        }
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        inputs.split_last().is_some_and(|(_, parts)| parts.iter().all(|part| part.rank().is_none()))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let Some((axis, parts)) = b.inputs().split_last() else {
            return Err(Error::internal("an axis was inferred"));
        };
        let (false, Some(rank)) = (axis.is_symbolic(), b.dy(0).rank()) else {
            return Err(Error::unimplemented("the gradient of joined tensors needs the axis and the rank"));
        };
        let axis_value = normalize_axis(int_values(axis)?[0], rank)?;
        let sizes = parts.iter().map(|part| part.length(axis_value)).collect::<Result<Vec<_>>>()?;
        let sizes = Tensor::stack(&sizes, 0)?;
        let gradients = apply(SplitV { num_split: parts.len() as i64 }, &[b.dy(0), &sizes, axis])?;
        Ok(gradients.into_iter().map(Some).chain([None]).collect())
    }
}

/// Where each of several tensors of these shapes begins in what they are joined to along an axis: zeros, but for that axis.
#[derive(Debug, Default)]
struct ConcatOffset;

impl Op for ConcatOffset {
    fn name(&self) -> &'static str {
        "ConcatOffset"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [axis, shapes @ ..] = inputs else {
            return Err(Error::invalid_argument("expected an axis and shapes, and nothing was given"));
        };
        if shapes.len() < 2 {
            let message = format!("expected at least 2 shapes, and {} were given", shapes.len());
            return Err(Error::invalid_argument(message));
        }
        allowed(axis.spec.dtype, |d| d == DType::I32, "an axis of int32")?;
        let axis = one_int(axis, "the axis")?;
        let dtype = allowed(same_dtype(shapes)?, |d| matches!(d, DType::I32 | DType::I64), "shapes of int32 or int64")?;
        let mut all = Shape::of_rank(1);
        for shape in shapes {
            let own = with_rank(&shape.spec.shape, 1, "a shape")?;
            all = all.merge(&own).ok_or_else(|| {
                Error::invalid_argument(format!("shapes must be of one rank, found vectors of shape {all} and {own}"))
            })?;
        }
        if let (Some(axis), Some(rank)) = (axis, all.dim(0)) {
            normalize_axis(axis, rank)?;
        }
        Ok(vec![Spec::new(dtype, all); shapes.len()])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [axis, shapes @ ..] = inputs else { return Err(Error::internal("an axis was inferred")) };
        let rank = shapes[0].len();
        let axis = normalize_axis(axis.int(0)?, rank)?;
        let mut start = 0_i64;
        for (i, (shape, out)) in shapes.iter().zip(outputs).enumerate() {
            for at in (0..rank).filter(|&at| at != axis) {
                let (first, dim) = (shapes[0].int(at)?, shape.int(at)?);
                if first != dim {
                    return Err(Error::invalid_argument(format!(
                        "tensors that are joined along axis {axis} must agree in all other dims: dim {at} of shape 0 is \
                         {first}, and of shape {i} {dim}"
                    )));
                }
            }
            out.bytes().fill(0);
            match out.dtype() {
                DType::I32 => out.elements::<i32>()?[axis] = i32::try_from(start).map_err(|_| too_long(axis))?,
                _ => out.elements::<i64>()?[axis] = start,
            }
            start = start.checked_add(shape.int(axis)?).ok_or_else(|| too_long(axis))?;
        }
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; b.inputs().len()])
    }
}

/// Parts of one length along an axis.
#[derive(Debug)]
struct Split {
    num_split: i64,
}

impl Op for Split {
    fn name(&self) -> &'static str {
        "Split"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("num_split", self.num_split)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [axis, x] = arity(inputs)?;
        let parts = self.num_split;
        if parts < 1 {
            return Err(Error::invalid_argument(format!("a tensor is split into at least one part, found {parts}")));
        }
        let shape = match (one_int(axis, "the axis")?, x.spec.shape.dims()) {
            (Some(axis), Some(mut dims)) => {
                let axis = normalize_axis(axis, dims.len())?;
                if let Some(dim) = &mut dims[axis] {
                    if *dim as i64 % parts != 0 {
                        return Err(Error::invalid_argument(format!(
                            "axis {axis} of shape {} cannot be split into {parts} parts of one length",
                            x.spec.shape
                        )));
                    }
                    *dim /= parts as usize;
                }
                dims.into()
            }
            (None, Some(dims)) => Shape::of_rank(dims.len()),
            (_, None) => Shape::unknown(),
        };
        outputs(parts, Spec::new(x.spec.dtype, shape))
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [axis, x] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        take_all(x, outputs, normalize_axis(axis.int(0)?, x.dims().len())?)
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, Some(join_again(b, b.input(0))?)])
    }
}

/// Fills each output with the part of `x` that follows the one before.
fn take_all(x: &View, outputs: &mut [ViewMut], axis: usize) -> Result<()> {
    let mut start = 0;
    for out in outputs {
        by_width!(out.dtype(), T => take::<T>(x, out, axis, start)?);
        start += out.dims()[axis];
    }
    Ok(())
}

/// The gradients at the parts, joined along the axis they were split along.
fn join_again(b: &Backward, axis: &Tensor) -> Result<Tensor> {
    apply_one(ConcatV2, &b.dys().iter().chain([axis]).collect::<Vec<_>>())
}

/// Parts of given lengths along an axis.
#[derive(Debug)]
struct SplitV {
    num_split: i64,
}

/// The lengths of parts that fill `dim`; one may be -1 for whatever is left.
fn lengths(sizes: &[i64], dim: Option<usize>) -> Result<Vec<Option<usize>>> {
    let refused = |why: &str| Error::invalid_argument(format!("cannot split {} into {sizes:?}: {why}", Length(dim)));
    if sizes.iter().any(|&size| size < -1) || sizes.iter().filter(|&&size| size == -1).count() > 1 {
        return Err(refused("a length is at least 0, and one may be -1 for what is left"));
    }
    let fixed = sizes.iter().filter(|&&size| size >= 0).try_fold(0_i64, |sum, &size| sum.checked_add(size));
    let fixed = fixed.ok_or_else(|| refused("the lengths add up to more than can be counted"))? as usize;
    let left = dim.map(|dim| dim.checked_sub(fixed).ok_or_else(|| refused("the lengths exceed it"))).transpose()?;
    if !sizes.contains(&-1) && left.is_some_and(|left| left > 0) {
        return Err(refused(&format!("the lengths add up to {fixed}")));
    }
    Ok(sizes.iter().map(|&size| usize::try_from(size).ok().or(left)).collect())
}

struct Length(Option<usize>);

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(length) => write!(f, "a length of {length}"),
            None => f.write_str("an unknown length"),
        }
    }
}

impl Op for SplitV {
    fn name(&self) -> &'static str {
        "SplitV"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("num_split", self.num_split)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, sizes, axis] = arity(inputs)?;
        let (sizes, axis) = (ints(sizes, "lengths")?, one_int(axis, "the axis")?);
        let mut specs = outputs(self.num_split, Spec::new(x.spec.dtype, Shape::unknown()))?;
        let given = sizes.as_ref().map_or(specs.len(), Vec::len);
        if specs.is_empty() || given != specs.len() {
            let message = format!("{} parts need as many lengths, and at least one, found {given}", specs.len());
            return Err(Error::invalid_argument(message));
        }
        let Some(dims) = x.spec.shape.dims() else { return Ok(specs) };
        let axis = axis.map(|axis| normalize_axis(axis, dims.len())).transpose()?;
        let lengths = match (axis, sizes) {
            (Some(axis), Some(sizes)) => lengths(&sizes, dims[axis])?,
            _ => vec![None; specs.len()],
        };
        for (spec, length) in specs.iter_mut().zip(lengths) {
            spec.shape = match axis {
                Some(axis) => dims.iter().enumerate().map(|(i, &dim)| if i == axis { length } else { dim }).collect(),
                None => Shape::of_rank(dims.len()),
            };
        }
        Ok(specs)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [x, _, axis] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        take_all(x, outputs, normalize_axis(axis.int(0)?, x.dims().len())?)
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(join_again(b, b.input(2))?), None, None])
    }
}

/// Tensors of one shape side by side along a new axis.
#[derive(Debug)]
struct Pack {
    axis: i64,
}

impl Op for Pack {
    fn name(&self) -> &'static str {
        "Pack"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("axis", self.axis)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = same_dtype(inputs)?;
        let mut shape = Shape::unknown();
        for input in inputs {
            shape = shape.merge(&input.spec.shape).ok_or_else(|| {
                let message = format!("the tensors to stack must have one shape: {shape} vs. {}", input.spec.shape);
                Error::invalid_argument(message)
            })?;
        }
        if let Some(mut dims) = shape.dims() {
            dims.insert(normalize_axis(self.axis, dims.len() + 1)?, Some(inputs.len()));
            shape = dims.into();
        }
        if let Some(dims) = shape.known() {
            count(dims)?;
        }
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let out = &mut outputs[0];
        let (dims, mut strides) = (out.dims(), [0; MAX_RANK]);
        let axis = normalize_axis(self.axis, dims.len())?;
        write_row_major(dims, &mut strides[..dims.len()]);
        let step = strides[axis].unsigned_abs();
        strides.copy_within(axis + 1..dims.len(), axis);
        let strides = &strides[..dims.len() - 1];
        by_width!(out.dtype(), T => inputs.iter().enumerate().try_for_each(|(i, x)| {
            let offset = if x.is_empty() { 0 } else { i * step };
            modulor_kernels::place(x.elements::<T>()?, out.elements()?, strides, offset)
                .ok_or_else(|| Error::internal("a tensor of a stack reaches beyond it"))
        }))
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let parts = apply(Unpack { num: b.inputs().len() as i64, axis: self.axis }, &[b.dy(0)])?;
        Ok(parts.into_iter().map(Some).collect())
    }
}

/// The tensors that lie side by side along an axis.
#[derive(Debug)]
struct Unpack {
    num: i64,
    axis: i64,
}

impl Op for Unpack {
    fn name(&self) -> &'static str {
        "Unpack"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("num", self.num).with("axis", self.axis)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let shape = match x.spec.shape.dims() {
            Some(mut dims) => {
                let axis = normalize_axis(self.axis, dims.len())?;
                if let Some(dim) = dims.remove(axis)
                    && dim as i64 != self.num
                {
                    return Err(Error::invalid_argument(format!(
                        "axis {axis} of shape {} holds {dim} tensors, not {}",
                        x.spec.shape, self.num
                    )));
                }
                dims.into()
            }
            None => Shape::unknown(),
        };
        outputs(self.num, Spec::new(x.spec.dtype, shape))
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let x = inputs[0];
        let (rank, mut strides) = (x.dims().len(), [0; MAX_RANK]);
        let axis = normalize_axis(self.axis, rank)?;
        strides[..axis].copy_from_slice(&x.strides()[..axis]);
        strides[axis..rank - 1].copy_from_slice(&x.strides()[axis + 1..]);
        by_width!(x.dtype(), T => outputs.iter_mut().enumerate().try_for_each(|(i, out)| {
            let shift = if x.is_empty() { 0 } else { i as isize * x.strides()[axis] };
            modulor_kernels::copy(x.shifted::<T>(shift, out.dims(), &strides[..rank - 1])?, out.elements()?);
            Ok(())
        }))
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        if b.dys().is_empty() {
            return Ok(vec![Some(b.input(0).zeros_like()?)]);
        }
        Ok(vec![Some(Tensor::stack(b.dys(), self.axis)?)])
    }
}

impl Tensor {
    /// Tensors one after the other along an axis; all other dims agree. TensorFlow's `ConcatV2`, `tf.concat`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (a, b) = (Tensor::from([[1, 2], [3, 4]]), Tensor::from([[5], [6]]));
    /// assert_eq!(Tensor::concat(&[a, b], -1)?.to_vec::<i32>()?, [1, 2, 5, 3, 4, 6]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn concat(tensors: &[Tensor], axis: i64) -> Result<Tensor> {
        let axis = index_tensor(&[axis])?.reshape([])?;
        apply_one(ConcatV2, &tensors.iter().chain([&axis]).collect::<Vec<_>>())
    }

    /// Tensors of one shape side by side along a new axis. TensorFlow's `Pack`, `tf.stack`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (a, b) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
    /// assert_eq!(Tensor::stack(&[a, b], 1)?.to_vec::<i32>()?, [1, 3, 2, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stack(tensors: &[Tensor], axis: i64) -> Result<Tensor> {
        apply_one(Pack { axis }, &tensors.iter().collect::<Vec<_>>())
    }

    /// So many parts of one length along an axis. TensorFlow's `Split`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let parts = Tensor::from([1, 2, 3, 4]).split(2, 0)?;
    /// assert_eq!(parts[1].to_vec::<i32>()?, [3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(&self, parts: usize, axis: i64) -> Result<Vec<Tensor>> {
        let num_split = i64::try_from(parts).unwrap_or(i64::MAX);
        apply(Split { num_split }, &[&index_tensor(&[axis])?.reshape([])?, self])
    }

    /// Parts of these lengths along an axis; one may be -1 for whatever is left. TensorFlow's `SplitV`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let parts = Tensor::from([1, 2, 3, 4]).split_lengths([1, -1], 0)?;
    /// assert_eq!(parts[1].to_vec::<i32>()?, [2, 3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn split_lengths(&self, lengths: impl AsRef<[i64]>, axis: i64) -> Result<Vec<Tensor>> {
        let lengths = lengths.as_ref();
        let axis = index_tensor(&[axis])?.reshape([])?;
        apply(SplitV { num_split: lengths.len() as i64 }, &[self, &index_tensor(lengths)?, &axis])
    }

    /// The tensors that lie side by side along an axis, which goes: what [`stack`](Tensor::stack) put together.
    /// TensorFlow's `Unpack`, `tf.unstack`. An error for a symbol whose dim there is unknown.
    pub fn unstack(&self, axis: i64) -> Result<Vec<Tensor>> {
        self.check()?;
        let known = self.rank().map(|rank| normalize_axis(axis, rank)).transpose();
        let known = known.map_err(|error| error.in_op("Unpack"))?.and_then(|axis| self.shape().dim(axis));
        let num = known.ok_or_else(|| {
            let message = format!("taking {} apart along axis {axis} needs the dim there", self.spec());
            Error::failed_precondition(message).in_op("Unpack")
        })?;
        apply(Unpack { num: num as i64, axis }, &[self])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef::plain::<ConcatV2>("ConcatV2", Accuracy::Exact),
    OpDef::plain::<ConcatOffset>("ConcatOffset", Accuracy::Exact),
    OpDef {
        name: "Split",
        parse: |attrs| Ok(Arc::new(Split { num_split: attrs.int("num_split", None)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "SplitV",
        parse: |attrs| Ok(Arc::new(SplitV { num_split: attrs.int("num_split", None)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "Pack",
        parse: |attrs| Ok(Arc::new(Pack { axis: attrs.int("axis", 0)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "Unpack",
        parse: |attrs| Ok(Arc::new(Unpack { num: attrs.int("num", None)?, axis: attrs.int("axis", 0)? })),
        accuracy: Accuracy::Exact,
    },
]];
