//! How often numbers come, or what goes with them adds up to.

use super::composite::composite;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Operand, Scratch, View, ViewMut, allowed, apply_one, arity, one_int,
    same_dtype, unsupported, with_rank,
};
use crate::shape::count;
use crate::tensor::bytes_of;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use std::sync::Arc;

/// float32, float64, int32 and int64.
fn wide(dtype: DType, what: &str) -> Result<DType> {
    let wide = |d| matches!(d, DType::F32 | DType::F64 | DType::I32 | DType::I64);
    allowed(dtype, wide, &format!("{what} of float32, float64, int32 or int64"))
}

/// A weight, and what sums of it are kept in.
trait Weight: Pod {
    type Sum: Pod + Default;
    fn add(sum: Self::Sum, weight: Self) -> Self::Sum;
    /// One more of what is counted.
    fn next(sum: Self::Sum) -> Self::Sum;
    fn total(sum: Self::Sum) -> Self;
}

macro_rules! weights {
    ($($t:ty, $sum:ty: |$a:ident, $b:ident| $add:expr, $one:expr, |$total:ident| $narrow:expr;)*) => { $(
        impl Weight for $t {
            type Sum = $sum;
            fn add($a: $sum, $b: $t) -> $sum {
                $add
            }
            fn next(sum: $sum) -> $sum {
                <$t>::add(sum, $one)
            }
            fn total($total: $sum) -> $t {
                $narrow
            }
        }
    )* };
}
weights! {
    f32, f64: |a, b| a + f64::from(b), 1.0, |sum| sum as f32;
    f64, f64: |a, b| a + b, 1.0, |sum| sum;
    i32, i64: |a, b| a.wrapping_add(i64::from(b)), 1, |sum| sum as i32;
    i64, i64: |a, b| a.wrapping_add(b), 1, |sum| sum;
}

/// How many bins an input says there are.
fn bins(size: &Input, dtype: DType) -> Result<Option<usize>> {
    with_rank(&size.spec.shape, 0, "size")?;
    let Some(size) = one_int(size, "size")? else { return Ok(None) };
    let bins =
        usize::try_from(size).map_err(|_| Error::invalid_argument(format!("size ({size}) must be non-negative")))?;
    bytes_of(dtype, count(&[bins])?)?;
    Ok(Some(bins))
}

/// Refuses weights that are neither as many as there are numbers nor none.
fn check_weights(x: &Input, weights: &Input) -> Result<DType> {
    let shape = &weights.spec.shape;
    if !shape.is_compatible_with(&x.spec.shape) && !shape.is_compatible_with(&Shape::from([0])) {
        return Err(Error::invalid_argument(format!(
            "weights must have the shape of what is counted, {}, or be none, found {shape}",
            x.spec.shape
        )));
    }
    wide(weights.spec.dtype, "weights")
}

/// Words of scratch for [`count_rows`].
fn count_room(inputs: &[View], out: &ViewMut) -> usize {
    inputs[0].ints_room() + inputs[2].dense_room() + out.dims().last().map_or(0, |bins| bins.div_ceil(2))
}

/// Counts numbers in each row of bins, or adds up their weights; of `binary` bins, writes which have one.
fn count_rows(inputs: &[View], binary: bool, out: &mut ViewMut, scratch: &mut Scratch) -> Result<()> {
    let room = scratch.take(count_room(inputs, out))?;
    let (numbers, room) = inputs[0].ints(room)?;
    if let Some(&wrong) = numbers.iter().find(|&&number| number < 0) {
        return Err(Error::invalid_argument(format!("what is counted must not be negative, found {wrong}")));
    }
    let bins = out.dims().last().copied().unwrap_or(0);
    let (sums, room) =
        room.split_at_mut_checked(bins.div_ceil(2)).ok_or_else(|| Error::internal("there is no room for sums"))?;
    match out.dtype() {
        DType::F32 => count_into::<f32>(numbers, &inputs[2], binary, out, sums, room),
        DType::F64 => count_into::<f64>(numbers, &inputs[2], binary, out, sums, room),
        DType::I32 => count_into::<i32>(numbers, &inputs[2], binary, out, sums, room),
        DType::I64 => count_into::<i64>(numbers, &inputs[2], binary, out, sums, room),
        dtype => Err(unsupported(dtype)),
    }
}

fn count_into<T: Weight>(
    numbers: &[i64],
    weights: &View,
    binary: bool,
    out: &mut ViewMut,
    sums: &mut [u128],
    room: &mut [u128],
) -> Result<()> {
    let (weights, _) = weights.dense::<T>(room)?;
    let bins = out.dims().last().copied().unwrap_or(0);
    let sums = &mut bytemuck::cast_slice_mut::<u128, T::Sum>(sums)[..bins];
    let out = out.elements::<T>()?;
    let rows = out.len().checked_div(bins).unwrap_or(0);
    let each = numbers.len().checked_div(rows).unwrap_or(0);
    for (row, out) in out.chunks_mut(bins.max(1)).enumerate() {
        sums.fill(T::Sum::default());
        for (i, &number) in numbers.iter().enumerate().skip(row * each).take(each) {
            let Some(sum) = usize::try_from(number).ok().and_then(|number| sums.get_mut(number)) else { continue };
            *sum = match weights.get(i).filter(|_| !binary) {
                Some(&weight) => T::add(*sum, weight),
                None if binary => T::next(T::Sum::default()),
                None => T::next(*sum),
            };
        }
        out.iter_mut().zip(&*sums).for_each(|(out, &sum)| *out = T::total(sum));
    }
    Ok(())
}

/// How often each number comes.
#[derive(Debug, Default)]
struct Bincount;

impl Op for Bincount {
    fn name(&self) -> &'static str {
        "Bincount"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, size, weights] = arity(inputs)?;
        allowed(x.spec.dtype, |d| d == DType::I32, "an int32 tensor")?;
        let dtype = check_weights(x, weights)?;
        Ok(vec![Spec::new(dtype, [bins(size, dtype)?])])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        count_room(inputs, &outputs[0]) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        count_rows(inputs, false, &mut outputs[0], scratch)
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3])
    }
}

/// How often each number comes, in each row.
#[derive(Debug)]
struct DenseBincount {
    binary_output: bool,
}

impl Op for DenseBincount {
    fn name(&self) -> &'static str {
        "DenseBincount"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("binary_output", self.binary_output)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, size, weights] = arity(inputs)?;
        allowed(x.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "an int32 or int64 tensor")?;
        let dtype = check_weights(x, weights)?;
        let bins = bins(size, dtype)?;
        let shape = match x.spec.shape.rank() {
            None => Shape::unknown(),
            Some(0 | 1) => [bins].into(),
            Some(2) => vec![x.spec.shape.dim(0), bins].into(),
            Some(rank) => {
                let message = format!("what is counted has at most rank 2, found {} of rank {rank}", x.spec.shape);
                return Err(Error::invalid_argument(message));
            }
        };
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        count_room(inputs, &outputs[0]) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        count_rows(inputs, self.binary_output, &mut outputs[0], scratch)
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3])
    }
}

/// How many numbers lie in each of some parts of a range.
#[derive(Debug)]
struct HistogramFixedWidth {
    dtype: DType,
}

impl Op for HistogramFixedWidth {
    fn name(&self) -> &'static str {
        "HistogramFixedWidth"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("dtype", self.dtype)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [values, range, nbins] = arity(inputs)?;
        wide(same_dtype(&[*values, *range])?, "values")?;
        if !range.spec.shape.is_compatible_with(&Shape::from([2])) {
            return Err(Error::invalid_argument(format!("value_range has two ends, found shape {}", range.spec.shape)));
        }
        with_rank(&nbins.spec.shape, 0, "nbins")?;
        let nbins = match one_int(nbins, "nbins")? {
            Some(nbins) if nbins > 0 => Some(bytes_of(self.dtype, count(&[nbins as usize])?).map(|_| nbins as usize)?),
            Some(nbins) => return Err(Error::invalid_argument(format!("nbins must be positive, found {nbins}"))),
            None => None,
        };
        Ok(vec![Spec::new(self.dtype, [nbins])])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        (inputs[0].dense_room() + inputs[1].dense_room()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [values, range, _] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let (dtype, out) = (values.dtype(), &mut outputs[0]);
        let room = scratch.take(values.dense_room() + range.dense_room())?;
        dispatch!(dtype, number T => {
            let (range, room) = range.dense::<T>(room)?;
            let (low, high) = (range[0], range[1]);
            if low.partial_cmp(&high) != Some(std::cmp::Ordering::Less) {
                return Err(Error::invalid_argument(format!("value_range must rise, found {low:?} to {high:?}")));
            }
            let (values, _) = values.dense::<T>(room)?;
            if values.iter().any(|x| x.partial_cmp(x).is_none()) {
                return Err(Error::invalid_argument("what is counted must not be NaN"));
            }
            let bins = out.len();
            let step = Real::real(Real::less(high, low)) / bins as f64;
            let place = |x: T| {
                let above = if x > low { Real::real(Real::less(x, low)) / step } else { 0.0 };
                above.min((bins - 1) as f64) as usize
            };
            match out.dtype() {
                DType::I32 => tally(values, place, out.elements::<i32>()?),
                _ => tally(values, place, out.elements::<i64>()?),
            }
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3])
    }
}

/// A number that is subtracted in its own type and read as float64.
trait Real: Copy {
    fn less(self, other: Self) -> Self;
    fn real(self) -> f64;
}

macro_rules! reals {
    ($($t:ty: |$a:ident, $b:ident| $less:expr, $real:expr;)*) => { $(
        impl Real for $t {
            fn less(self, other: $t) -> $t {
                let ($a, $b) = (self, other);
                $less
            }
            fn real(self) -> f64 {
                let $a = self;
                $real
            }
        }
    )* };
    (integers $($t:ty)*) => { reals! { $($t: |a, b| a.wrapping_sub(b), a as f64;)* } };
}
reals!(integers i8 i16 i32 i64 u8 u16 u32 u64);
reals! {
    f32: |a, b| a - b, a.into();
    f64: |a, b| a - b, a;
    half::f16: |a, b| a - b, a.into();
    half::bf16: |a, b| a - b, a.into();
}

/// Counts values by their places.
fn tally<T: Copy, C: Pod + std::ops::AddAssign + From<bool>>(values: &[T], place: impl Fn(T) -> usize, out: &mut [C]) {
    out.fill(C::from(false));
    values.iter().for_each(|&x| out[place(x)] += C::from(true));
}

impl Tensor {
    /// How often each number below `size` comes among these int32 or int64 of rank 0 to 2, in each row of a matrix, or
    /// what the weights of its occurrences add up to; what is `size` or more is not counted. Counts are of the dtype of
    /// the weights; without weights, int32. TensorFlow's `DenseBincount`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([0, 2, 2, 7]);
    /// assert_eq!(x.bincount(3, None)?.to_vec::<i32>()?, [1, 0, 2]);
    /// let weights = Tensor::from([0.5_f32, 1.0, 2.0, 4.0]);
    /// assert_eq!(x.bincount(3, Some(&weights))?.to_vec::<f32>()?, [0.5, 0.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bincount(&self, size: usize, weights: Option<&Tensor>) -> Result<Tensor> {
        self.bins(size, weights, false)
    }

    /// As [`bincount`](Tensor::bincount): 1 where a number comes at all, else 0, of this dtype.
    pub fn occurs(&self, size: usize, dtype: DType) -> Result<Tensor> {
        self.bins(size, Some(&Tensor::zeros([0], dtype)?), true)
    }

    fn bins(&self, size: usize, weights: Option<&Tensor>, binary_output: bool) -> Result<Tensor> {
        let none = Tensor::zeros([0], DType::I32)?;
        let size = Tensor::scalar(i64::try_from(size).unwrap_or(i64::MAX)).cast(self.dtype())?;
        apply_one(DenseBincount { binary_output }, &[self, &size, weights.unwrap_or(&none)])
    }

    /// How many elements lie in each of `bins` parts of equal width of the range from `low` to `high` (int32); what lies
    /// outside goes to the first and the last. TensorFlow's `HistogramFixedWidth`, for float32, float64, int32 and int64.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([-1.0_f32, 0.0, 1.5, 2.0, 5.0, 15.0]);
    /// assert_eq!(x.histogram_fixed_width(0.0, 5.0, 5)?.to_vec::<i32>()?, [2, 1, 1, 0, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn histogram_fixed_width(&self, low: impl Operand, high: impl Operand, bins: usize) -> Result<Tensor> {
        self.check()?;
        let range = Tensor::stack(&[low.operand(self.dtype())?, high.operand(self.dtype())?], 0)?;
        let bins = Tensor::scalar(i32::try_from(bins).unwrap_or(i32::MAX));
        apply_one(HistogramFixedWidth { dtype: DType::I32 }, &[self, &range, &bins])
    }
}

impl Tensor {
    /// How many floats lie in each of `bins` parts of equal width (int32), and the ends of the parts, one more than there are: from
    /// the least float to the greatest or between the two that are given, beyond which none is counted. The greatest end belongs to
    /// its part. Keras's `ops.histogram`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (counts, ends) = Tensor::from([1.0_f32, 2.0, 2.5, 5.0]).histogram(2, None)?;
    /// assert_eq!((counts.to_vec::<i32>()?, ends.to_vec::<f32>()?), (vec![3, 1], vec![1.0, 3.0, 5.0]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For no bins, and for numbers that are no floats.
    pub fn histogram(&self, bins: usize, range: impl Into<Option<[f64; 2]>>) -> Result<(Tensor, Tensor)> {
        self.check()?;
        let dtype = allowed(self.dtype(), |dtype| dtype.is_float(), "floats")?;
        let count = i64::try_from(bins)
            .ok()
            .filter(|&bins| bins > 0)
            .ok_or_else(|| Error::invalid_argument(format!("there must be at least one bin, found {bins}")))?;
        composite("histogram", || {
            let [low, high] = match range.into() {
                Some([low, high]) => [low.operand(dtype)?, high.operand(dtype)?],
                None => [self.min(..)?, self.max(..)?],
            };
            let flat = self.reshape([-1])?;
            let step = high.sub(&low)?.div(count as f64)?;
            let ends = Tensor::range(0, count, 1)?.cast(dtype)?.mul(&step)?.add(&low)?;
            let place = ends.slice(1..)?.search_sorted(&flat, true)?;
            let within = flat.greater_equal(&low)?.logical_and(&flat.less_equal(&high)?)?.cast(DType::I32)?;
            let counts = place.bincount(bins, Some(&within))?;
            Ok((counts, Tensor::concat(&[ends, high.reshape([1])?], 0)?))
        })
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef::plain::<Bincount>("Bincount", Accuracy::Sum),
    OpDef {
        name: "DenseBincount",
        parse: |attrs| Ok(Arc::new(DenseBincount { binary_output: attrs.bool("binary_output", false)? })),
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "HistogramFixedWidth",
        parse: |attrs| {
            let dtype = allowed(
                attrs.dtype("dtype", DType::I32)?,
                |d| matches!(d, DType::I32 | DType::I64),
                "a dtype of int32 or int64",
            )?;
            Ok(Arc::new(HistogramFixedWidth { dtype }))
        },
        accuracy: Accuracy::Exact,
    },
]];
