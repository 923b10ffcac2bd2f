//! Tensors made from a few numbers.

use super::array::{dims_tensor, index_tensor, shape_input};
use super::composite::composite;
use crate::dtype::{by_width, dispatch};
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, on_strings,
    one_int, same_dtype, unsupported, with_rank,
};
use crate::shape::{MAX_RANK, count, normalize_axis};
use crate::tensor::bytes_of;
use crate::{DType, Element, Error, Result, Shape, Spec, Tensor};
use half::{bf16, f16};
use std::sync::Arc;

/// One value everywhere.
#[derive(Debug, Default)]
struct Fill;

/// Fills a buffer with a scalar's value.
pub(crate) fn fill(value: &View, out: &mut ViewMut) -> Result<()> {
    let (dims, strides) = (out.dims(), [0; MAX_RANK]);
    let strides = &strides[..dims.len()];
    by_width!(value.dtype(), T => modulor_kernels::copy(value.restrided::<T>(dims, strides)?, out.elements()?));
    Ok(())
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "Fill"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [dims, value] = arity(inputs)?;
        with_rank(&value.spec.shape, 0, "the value")?;
        let shape = shape_input(dims, "dims")?;
        if let Some(elements) = shape.elements() {
            bytes_of(value.spec.dtype, elements)?;
        }
        Ok(vec![Spec::new(value.spec.dtype, shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        fill(&inputs[1], &mut outputs[0])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, Some(b.dy(0).reshape([-1])?.sum(0)?)])
    }
}

/// Numbers at equal distances up to a limit.
#[derive(Debug, Default)]
struct Range;

/// A number that counts, in the arithmetic of its own type.
trait Ranged: Element<Stored = Self> + Copy + PartialOrd + Default {
    /// How many numbers there are from `start` on, `delta` apart and before `limit`, where `delta` leads to it.
    fn count(start: Self, limit: Self, delta: Self) -> Option<usize>;
    /// `start + i·delta`
    fn at(start: Self, i: usize, delta: Self) -> Self;
}

macro_rules! ranged {
    (integers $($t:ty)*) => { $(
        impl Ranged for $t {
            fn count(start: $t, limit: $t, delta: $t) -> Option<usize> {
                usize::try_from(limit.abs_diff(start).div_ceil(delta.abs_diff(0))).ok()
            }
            fn at(start: $t, i: usize, delta: $t) -> $t {
                start.wrapping_add((i as $t).wrapping_mul(delta))
            }
        }
    )* };
    (floats $($t:ty: $of:expr;)*) => { $(
        impl Ranged for $t {
            fn count(start: $t, limit: $t, delta: $t) -> Option<usize> {
                let count = f64::from((limit - start) / delta).abs().ceil();
                (count < i64::MAX as f64).then_some(count as usize)
            }
            fn at(start: $t, i: usize, delta: $t) -> $t {
                let of: fn(usize) -> $t = $of;
                start + of(i) * delta
            }
        }
    )* };
}

ranged!(integers i8 i16 i32 i64 u8 u16 u32 u64);
ranged!(floats
    f32: |i| i as f32;
    f64: |i| i as f64;
    f16: |i| f16::from_f64(i as f64);
    bf16: |i| bf16::from_f64(i as f64);
);

/// How many numbers a range holds.
fn range_count<T: Ranged + std::fmt::Debug>(start: &Tensor, limit: &Tensor, delta: &Tensor) -> Result<usize> {
    let (start, limit, delta) = (start.item::<T>()?, limit.item::<T>()?, delta.item::<T>()?);
    let zero = T::default();
    let leads = if delta > zero { start <= limit } else { delta < zero && start >= limit };
    leads.then(|| T::count(start, limit, delta)).flatten().ok_or_else(|| {
        Error::invalid_argument(format!("no range goes from {start:?} to {limit:?} by steps of {delta:?}"))
    })
}

impl Op for Range {
    fn name(&self) -> &'static str {
        "Range"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = allowed(same_dtype(inputs)?, |d| d.is_float() || d.is_integer(), "numbers")?;
        let inputs: &[Input; 3] = arity(inputs)?;
        for (input, what) in inputs.iter().zip(["start", "limit", "delta"]) {
            with_rank(&input.spec.shape, 0, what)?;
        }
        let [Some(start), Some(limit), Some(delta)] = inputs.map(|input| input.value) else {
            return Ok(vec![Spec::new(dtype, [None])]);
        };
        let elements = dispatch!(dtype, number T => range_count::<T>(start, limit, delta)?,
            else => return Err(unsupported(dtype)));
        bytes_of(dtype, count(&[elements])?)?;
        Ok(vec![Spec::new(dtype, [elements])])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let (dtype, out) = (outputs[0].dtype(), &mut outputs[0]);
        dispatch!(dtype, number T => {
            let (start, delta) = (one::<T>(&inputs[0])?, one::<T>(&inputs[2])?);
            out.elements::<T>()?.iter_mut().enumerate().for_each(|(i, place)| *place = Ranged::at(start, i, delta));
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3])
    }
}

/// [`Tensor::range`] of numbers that are tensors.
pub(super) fn range(start: &Tensor, limit: &Tensor, delta: &Tensor) -> Result<Tensor> {
    apply_one(Range, &[start, limit, delta])
}

/// The element of a scalar.
fn one<T: bytemuck::Pod>(x: &View) -> Result<T> {
    let element = x.elements::<T>()?.as_slice().and_then(<[T]>::first).copied();
    element.ok_or_else(|| Error::internal("a scalar was inferred"))
}

/// So many numbers at equal distances, both ends among them.
#[derive(Debug, Default)]
struct LinSpace;

impl Op for LinSpace {
    fn name(&self) -> &'static str {
        "LinSpace"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [start, stop, num] = arity(inputs)?;
        let dtype = allowed(same_dtype(&[*start, *stop])?, DType::is_float, "floats")?;
        for (input, what) in [(start, "start"), (stop, "stop"), (num, "num")] {
            with_rank(&input.spec.shape, 0, what)?;
        }
        let elements = one_int(num, "num")?;
        let elements = elements.map(|num| match usize::try_from(num) {
            Ok(num) if num > 0 => bytes_of(dtype, count(&[num])?).map(|_| num),
            _ => Err(Error::invalid_argument(format!("num is at least 1, found {num}"))),
        });
        Ok(vec![Spec::new(dtype, [elements.transpose()?])])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let (dtype, out) = (outputs[0].dtype(), &mut outputs[0]);
        dispatch!(dtype, float T => {
            let (start, stop) = (one::<T>(&inputs[0])?, one::<T>(&inputs[1])?);
            let out = out.elements::<T>()?;
            let gaps = out.len() - 1;
            out.fill(start);
            if let (true, Some(last)) = (gaps > 0, out.last_mut()) {
                *last = stop;
                // 0 + gaps·1 is the number of gaps in this type.
                let delta = (stop - start) / Ranged::at(T::default(), gaps, T::from(1_u8));
                // The first is the start, however large the distance is.
                let between = out[..gaps].iter_mut().enumerate().skip(1);
                between.for_each(|(i, place)| *place = Ranged::at(start, i, delta));
            }
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Err(Error::unimplemented("TensorFlow has no gradient of LinSpace; write `start + range·delta`"))
    }
}

/// One value at the index that each element is, and another elsewhere, along a new axis.
#[derive(Debug)]
struct OneHot {
    axis: i64,
}

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "OneHot"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("axis", self.axis)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [indices, depth, on, off] = arity(inputs)?;
        allowed(indices.spec.dtype, DType::is_integer, "indices that are integers")?;
        let dtype = allowed(same_dtype(&[*on, *off])?, DType::has_elements, "numbers, bools and strings")?;
        for (input, what) in [(depth, "depth"), (on, "on_value"), (off, "off_value")] {
            with_rank(&input.spec.shape, 0, what)?;
        }
        let depth = one_int(depth, "depth")?.map(|depth| {
            usize::try_from(depth)
                .map_err(|_| Error::invalid_argument(format!("depth must be non-negative, got: {depth}")))
        });
        let depth = depth.transpose()?;
        let Some(mut dims) = indices.spec.shape.dims() else { return Ok(vec![Spec::new(dtype, Shape::unknown())]) };
        dims.insert(normalize_axis(self.axis, dims.len() + 1)?, depth);
        let shape = Shape::from(dims);
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].ints_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [indices, _, on, off] = inputs else { return Err(Error::internal("four inputs were inferred")) };
        let out = &mut outputs[0];
        fill(off, out)?;
        let axis = normalize_axis(self.axis, out.dims().len())?;
        let (depth, inner) = (out.dims()[axis], out.dims()[axis + 1..].iter().product::<usize>());
        let (indices, _) = indices.ints(scratch.take(indices.ints_room())?)?;
        by_width!(out.dtype(), T => {
            let on = one::<T>(on)?;
            let out = out.elements::<T>()?;
            for (i, &index) in indices.iter().enumerate() {
                // An index that is no place along the axis leaves all of it off.
                if let Some(index) = usize::try_from(index).ok().filter(|&index| index < depth) {
                    out[(i / inner * depth + index) * inner + i % inner] = on;
                }
            }
        });
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 4])
    }
}

impl Tensor {
    /// A scalar's value everywhere. TensorFlow's `Fill`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::fill([3], &Tensor::scalar(7_u8))?.to_vec::<u8>()?, [7, 7, 7]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fill(dims: impl AsRef<[usize]>, value: &Tensor) -> Result<Tensor> {
        apply_one(Fill, &[&dims_tensor(dims.as_ref())?, value])
    }

    /// Ones of a numeric dtype.
    pub fn ones(dims: impl AsRef<[usize]>, dtype: DType) -> Result<Tensor> {
        Tensor::fill(dims, &Tensor::number(1.0, dtype)?)
    }

    /// The numbers from `start` on, `delta` apart, before `limit`. TensorFlow's `Range`.
    ///
    /// An error when `delta` is 0 or leads away from the limit.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::range(0, 5, 2)?.to_vec::<i32>()?, [0, 2, 4]);
    /// assert_eq!(Tensor::range(1.0, 0.0, -0.5)?.to_vec::<f64>()?, [1.0, 0.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn range<T: Element>(start: T, limit: T, delta: T) -> Result<Tensor> {
        self::range(&Tensor::scalar(start), &Tensor::scalar(limit), &Tensor::scalar(delta))
    }

    /// `num` floats at equal distances from `start` to `stop`, which are the first and the last. TensorFlow's `LinSpace`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::linspace(0.0_f32, 1.0, 5)?.to_vec::<f32>()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn linspace<T: Element>(start: T, stop: T, num: usize) -> Result<Tensor> {
        let num = i64::try_from(num).unwrap_or(i64::MAX);
        apply_one(LinSpace, &[&Tensor::scalar(start), &Tensor::scalar(stop), &Tensor::scalar(num)])
    }

    /// Integers as vectors along a new last axis: 1 at the index that each is, 0 elsewhere; an integer that is no index
    /// below `depth` gives zeros. TensorFlow's `OneHot`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let classes = Tensor::from([1, 0, -1]);
    /// assert_eq!(classes.one_hot(2, DType::F32)?.to_vec::<f32>()?, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn one_hot(&self, depth: usize, dtype: DType) -> Result<Tensor> {
        let (on, off) = match dtype {
            DType::Bool => (Tensor::scalar(true), Tensor::scalar(false)),
            _ => (Tensor::number(1.0, dtype)?, Tensor::number(0.0, dtype)?),
        };
        self.one_hot_with(depth, -1, &on, &off)
    }

    /// Which of `num_classes` numbers are among the integers along the last axis, as vectors of 1 and 0 in its place; a scalar is
    /// among itself. Keras's `ops.multi_hot`, of labels of up to two axes.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let labels = Tensor::from([[0, 2], [1, 1]]);
    /// assert_eq!(labels.multi_hot(3, DType::F32)?.to_vec::<f32>()?, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn multi_hot(&self, num_classes: usize, dtype: DType) -> Result<Tensor> {
        composite("multi_hot", || {
            let each = self.one_hot(num_classes, dtype)?;
            match (self.rank(), dtype) {
                (Some(0), _) => Ok(each),
                (_, DType::Bool) => each.any(-2),
                _ => each.max(-2),
            }
        })
    }

    /// As [`one_hot`](Tensor::one_hot), along a new axis anywhere, with the values of two scalars.
    pub fn one_hot_with(&self, depth: usize, axis: i64, on: &Tensor, off: &Tensor) -> Result<Tensor> {
        let depth = index_tensor(&[i64::try_from(depth).unwrap_or(i64::MAX)])?.reshape([])?;
        apply_one(OneHot { axis }, &[self, &depth, on, off])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef::plain::<Fill>("Fill", Accuracy::Exact),
    OpDef::plain::<Range>("Range", Accuracy::Exact),
    OpDef::plain::<LinSpace>("LinSpace", Accuracy::Exact),
    OpDef {
        name: "OneHot",
        parse: |attrs| Ok(Arc::new(OneHot { axis: attrs.int("axis", -1)? })),
        accuracy: Accuracy::Exact,
    },
]];
