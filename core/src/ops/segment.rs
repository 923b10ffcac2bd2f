//! Parts that carry the same number, taken together, and parts of a tensor changed at some coordinates.

use super::array::copy_view;
use super::gather::{
    BadIndices, UnsortedSegmentSum, check_indices, check_updates, gather_nd, indexed, matrix, of_each_part, rows,
    rows_room, segment_ids, segmented, sum_rows, sums_room,
};
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, at_least_rank,
    ints, rank_unknown, same_dtype, unsupported, with_rank,
};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use half::{bf16, f16};
use modulor_kernels::{Matrix, each_row};
use num_complex::{Complex32, Complex64};
use std::ops::Div;
use std::sync::Arc;

/// How two elements become one.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Add,
    Sub,
    Prod,
    /// The greater, or the other one where one is NaN.
    Max,
    /// The lesser, or the other one where one is NaN.
    Min,
    /// The other one where it is greater.
    Raise,
    /// The other one where it is less.
    Lower,
}

/// An element of which two can become one.
trait Combined: Pod + Send + Sync {
    const ZERO: Self;
    const ONE: Self;
    /// The lowest and the highest that is finite.
    const ENDS: [Self; 2];
    /// What two of them are. Complex numbers have no order.
    fn combined(self, other: Self, way: Way) -> Self;
}

macro_rules! combined {
    (integers $($t:ty)*) => { $(
        impl Combined for $t {
            const ZERO: $t = 0;
            const ONE: $t = 1;
            const ENDS: [$t; 2] = [<$t>::MIN, <$t>::MAX];
            #[inline]
            fn combined(self, other: $t, way: Way) -> $t {
                match way {
                    Way::Add => self.wrapping_add(other),
                    Way::Sub => self.wrapping_sub(other),
                    Way::Prod => self.wrapping_mul(other),
                    Way::Max | Way::Raise => self.max(other),
                    Way::Min | Way::Lower => self.min(other),
                }
            }
        }
    )* };
    (floats $($t:ty: $zero:expr, $one:expr;)*) => { $(
        impl Combined for $t {
            const ZERO: $t = $zero;
            const ONE: $t = $one;
            const ENDS: [$t; 2] = [<$t>::MIN, <$t>::MAX];
            #[inline]
            fn combined(self, other: $t, way: Way) -> $t {
                match way {
                    Way::Add => self + other,
                    Way::Sub => self - other,
                    Way::Prod => self * other,
                    Way::Max => if self > other { self } else { other },
                    Way::Min => if self < other { self } else { other },
                    Way::Raise => if other > self { other } else { self },
                    Way::Lower => if other < self { other } else { self },
                }
            }
        }
    )* };
    (complex $($t:ty: $part:ty;)*) => { $(
        impl Combined for $t {
            const ZERO: $t = <$t>::new(0.0, 0.0);
            const ONE: $t = <$t>::new(1.0, 0.0);
            const ENDS: [$t; 2] = [<$t>::new(0.0, 0.0); 2];
            #[inline]
            fn combined(self, other: $t, way: Way) -> $t {
                match way {
                    Way::Add => self + other,
                    Way::Sub => self - other,
                    Way::Prod => self * other,
                    Way::Max | Way::Min | Way::Raise | Way::Lower => self,
                }
            }
        }
    )* };
}
combined!(integers i8 i16 i32 i64 u8 u16 u32 u64);
combined!(floats
    f32: 0.0, 1.0;
    f64: 0.0, 1.0;
    f16: f16::ZERO, f16::ONE;
    bf16: bf16::ZERO, bf16::ONE;
);
combined!(complex Complex32: f32; Complex64: f64;);

impl Way {
    /// The numbers it takes, or an error.
    fn check(self, dtype: DType) -> Result<DType> {
        let ordered = matches!(self, Way::Max | Way::Min | Way::Raise | Way::Lower);
        allowed(dtype, |d| d.is_float() || d.is_integer() || d.is_complex() && !ordered, "numbers")
    }
    /// What it makes of no element.
    fn of_none<T: Combined>(self) -> T {
        match self {
            Way::Add | Way::Sub => T::ZERO,
            Way::Prod => T::ONE,
            Way::Max | Way::Raise => T::ENDS[0],
            Way::Min | Way::Lower => T::ENDS[1],
        }
    }
}

/// The elements of a row from which on several threads are worth it: each looks through the numbers of all rows.
const WIDE: usize = 16;
/// Picoseconds for an element.
const ELEMENT: usize = 300;
/// The parts of the output that are made side by side.
const GROUPS: usize = 8;

/// Combines each row of `x` into the row of `out` whose number stands in `rows`; a negative number is none. With `anew`, the
/// first of rows of one number that follow each other takes the place of what is there.
fn combine_rows<T: Combined>(way: Way, x: &[T], rows: &[i64], width: usize, out: &mut [T], anew: bool) {
    let groups = if width < WIDE { 1 } else { GROUPS };
    let each = out.len().checked_div(width).unwrap_or(0).div_ceil(groups) * width;
    let cost = x.len().saturating_mul(ELEMENT) / groups;
    let groups = out.len().div_ceil(each.max(1));
    each_row(groups, cost, Matrix::new(out, each), |group, out| {
        let (first, count) = (group * each / width, out.len() / width);
        let mut before = usize::MAX;
        for (&row, x) in rows.iter().zip(x.chunks_exact(width)) {
            let row = usize::try_from(row).ok().and_then(|row| row.checked_sub(first));
            let Some(row) = row.filter(|&row| row < count) else { continue };
            let out = &mut out[row * width..][..width];
            if anew && row != before {
                out.copy_from_slice(x);
            } else {
                out.iter_mut().zip(x).for_each(|(out, &x)| *out = out.combined(x, way));
            }
            before = row;
        }
    });
}

/// Words of scratch for [`combine_parts`].
fn combine_room(inputs: &[View], _: &ViewMut) -> usize {
    inputs[0].dense_room() + inputs[1].ints_room()
}

/// Combines parts by their numbers, of a number into `none`, or, with `anew`, from its first part on, which numbers that do
/// not fall allow; `none` is what a number without parts has.
fn combine_parts<T: Combined>(
    way: Way,
    none: T,
    anew: bool,
    inputs: &[View],
    out: &mut ViewMut,
    room: &mut [u128],
) -> Result<()> {
    let [count, width] = parts_of(out.dims());
    let (ids, room) = segment_ids(&inputs[1], count, room)?;
    let (x, _) = inputs[0].dense::<T>(room)?;
    let out = out.elements::<T>()?;
    out.fill(none);
    combine_rows(way, x, ids, width, out, anew);
    Ok(())
}

/// How many parts there are, and the elements of each.
fn parts_of(dims: &[usize]) -> [usize; 2] {
    dims.split_first().map_or([0, 0], |(&count, part)| [count, part.iter().product()])
}

/// The gradient of greatest or least elements: it goes to those of a part that are, in equal shares.
fn to_extremes(b: &Backward, sum: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let (x, ids, y, dy) = (b.input(0), b.input(1), b.output(0), b.dy(0));
    let chosen = x.equal(of_each_part(y, x, ids)?)?.cast(dy.dtype())?;
    let shares = dy.div_no_nan(sum(&chosen)?)?;
    Ok(chosen * of_each_part(&shares, x, ids)?)
}

/// The gradient of products: to each element the product of the others of its part, also where some are 0.
fn to_factors(
    b: &Backward,
    sum: impl Fn(&Tensor) -> Result<Tensor>,
    prod: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let (x, ids, y, dy) = (b.input(0), b.input(1), b.output(0), b.dy(0));
    let zero = x.equal(0.0)?;
    let zeros = sum(&zero.cast(DType::I32)?)?;
    let factors = zero.select(&x.ones_like()?, x)?;
    let dy = zeros.greater(1.0)?.select(&dy.zeros_like()?, dy)?;
    let others = zero.select(&of_each_part(&prod(&factors)?, x, ids)?, &(of_each_part(y, x, ids)? / &factors))?;
    of_each_part(&dy, x, ids)?.mul(others)
}

/// One way to combine the parts that carry the same number, in any order, a row.
macro_rules! unsorted {
    ($($(#[$doc:meta])* $class:ident $op:ident $method:ident $way:ident, |$b:ident, $sum:ident, $own:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let shape = segmented(inputs)?;
                    check_indices(&inputs[1])?;
                    Ok(vec![Spec::new(Way::$way.check(inputs[0].spec.dtype)?, shape)])
                }
                fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
                    combine_room(inputs, &outputs[0]) * size_of::<u128>()
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let out = &mut outputs[0];
                    let room = scratch.take(combine_room(inputs, out))?;
                    dispatch!(out.dtype(), arithmetic T => {
                        combine_parts::<T>(Way::$way, Way::$way.of_none(), false, inputs, out, room)
                    }, else => Err(unsupported(out.dtype())))
                }
                fn grad_waits(&self, inputs: &[Tensor]) -> bool {
                    rank_unknown(inputs)
                }
                fn grad(&self, $b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    let $sum = |x: &Tensor| apply_one(UnsortedSegmentSum, &[x, $b.input(1), $b.input(2)]);
                    #[allow(unused_variables)]
                    let $own = |x: &Tensor| apply_one($op, &[x, $b.input(1), $b.input(2)]);
                    Ok(vec![Some($grad), None, None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                ///
                /// Numbers and parts are as those of [`segment_sum`](Tensor::segment_sum).
                #[doc = concat!("TensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self, ids: &Tensor, segments: usize) -> Result<Tensor> {
                    let segments = i64::try_from(segments).unwrap_or(i64::MAX);
                    apply_one($op, &[self, ids, &Tensor::scalar(segments)])
                }
            }
        )*
        const UNSORTED: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::$class)),*];
    };
}

unsorted! {
    /// The products of the parts that carry the same number, element by element; 1 for a number that none carries.
    Sum UnsortedSegmentProd segment_prod Prod, |b, sum, prod| to_factors(b, sum, prod)?;
    /// The greatest elements of the parts that carry the same number, of those that follow the last NaN, or NaN where none
    /// does; without NaN at least the lowest finite number, which stands for a number that none carries.
    Exact UnsortedSegmentMax segment_max Max, |b, sum, own| to_extremes(b, sum)?;
    /// The least elements of the parts that carry the same number, of those that follow the last NaN, or NaN where none does;
    /// without NaN at most the greatest finite number, which stands for a number that none carries.
    Exact UnsortedSegmentMin segment_min Min, |b, sum, own| to_extremes(b, sum)?;
}

/// The shape of one part for each number up to the last, which must not fall.
fn sorted_parts(inputs: &[Input]) -> Result<Shape> {
    let [x, ids] = arity(inputs)?;
    check_indices(ids)?;
    at_least_rank(&x.spec.shape, 1, "the data")?;
    let length = with_rank(&ids.spec.shape, 1, "segment_ids")?.dim(0);
    if let (Some(length), Some(first)) = (length, x.spec.shape.dim(0))
        && length != first
    {
        return Err(Error::invalid_argument(format!("segment_ids has {length} numbers, and the data {first} parts")));
    }
    let number = match ints(ids, "segment_ids")? {
        None => None,
        Some(ids) => {
            if let Some(i) = (0..ids.len()).find(|&i| ids[i] < i.checked_sub(1).map_or(0, |before| ids[before])) {
                let what = if ids[i] < 0 { "is negative" } else { "is less than the one before" };
                return Err(Error::invalid_argument(format!("segment_ids[{i}] = {} {what}", ids[i])));
            }
            Some(ids.last().map_or(0, |&last| last as usize + 1))
        }
    };
    let Some(dims) = x.spec.shape.dims() else { return Ok(Shape::unknown()) };
    let shape: Shape = std::iter::once(number).chain(dims[1..].iter().copied()).collect();
    shape.known().map(crate::shape::count).transpose()?;
    Ok(shape)
}

/// One way to combine the parts of numbers that do not fall a row: its kernel over the inputs, the output and scratch.
macro_rules! sorted {
    ($($(#[$doc:meta])* $class:ident $op:ident $method:ident $way:ident, $room:ident, $kernel:ident,
        |$b:ident, $sum:ident, $own:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let shape = sorted_parts(inputs)?;
                    Ok(vec![Spec::new(Way::$way.check(inputs[0].spec.dtype)?, shape)])
                }
                fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
                    $room(inputs, &outputs[0]) * size_of::<u128>()
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let room = scratch.take($room(inputs, &outputs[0]))?;
                    $kernel(Way::$way, inputs, &mut outputs[0], room)
                }
                fn grad_waits(&self, inputs: &[Tensor]) -> bool {
                    rank_unknown(inputs)
                }
                fn grad(&self, $b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    #[allow(unused_variables)]
                    let $sum = |x: &Tensor| apply_one(SegmentSum, &[x, $b.input(1)]);
                    #[allow(unused_variables)]
                    let $own = |x: &Tensor| apply_one($op, &[x, $b.input(1)]);
                    Ok(vec![Some($grad), None])
                }
            }

            impl Tensor {
                $(#[$doc])*
                ///
                /// The numbers, `ids`, stand for the first axis and do not fall; there are as many results as the last
                #[doc = concat!("number and one. TensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self, ids: &Tensor) -> Result<Tensor> {
                    apply_one($op, &[self, ids])
                }
            }
        )*
        const SORTED: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::$class)),*];
    };
}

sorted! {
    /// The sums of the parts that carry the same number, 0 for a number that none carries.
    Sum SegmentSum sorted_segment_sum Add, total_room, totals, |b, sum, own| of_each_part(b.dy(0), b.input(0), b.input(1))?;
    /// The means of the parts that carry the same number, 0 for a number that none carries; those of integers lose their
    /// fractions.
    Sum SegmentMean sorted_segment_mean Add, mean_room, means, |b, sum, own| {
        let (x, ids) = (b.input(0), b.input(1));
        of_each_part(&b.dy(0).div_no_nan(sum(&x.ones_like()?)?)?, x, ids)?
    };
    /// The products of the parts that carry the same number, 1 for a number that none carries.
    Sum SegmentProd sorted_segment_prod Prod, combine_room, combine_sorted, |b, sum, own| to_factors(b, sum, own)?;
    /// The greatest elements of the parts that carry the same number, of those that follow the last NaN, or NaN where none
    /// does; 0 for a number that none carries. TensorFlow passes over NaN in parts of 8 elements and more.
    Exact SegmentMax sorted_segment_max Max, combine_room, combine_sorted, |b, sum, own| to_extremes(b, sum)?;
    /// The least elements of the parts that carry the same number, of those that follow the last NaN, or NaN where none
    /// does; 0 for a number that none carries. TensorFlow passes over NaN in parts of 8 elements and more.
    Exact SegmentMin sorted_segment_min Min, combine_room, combine_sorted, |b, sum, own| to_extremes(b, sum)?;
}

fn combine_sorted(way: Way, inputs: &[View], out: &mut ViewMut, room: &mut [u128]) -> Result<()> {
    dispatch!(out.dtype(), arithmetic T => {
        let none = if way == Way::Prod { <T as Combined>::ONE } else { <T as Combined>::ZERO };
        combine_parts::<T>(way, none, true, inputs, out, room)
    }, else => Err(unsupported(out.dtype())))
}

fn total_room(inputs: &[View], out: &ViewMut) -> usize {
    inputs[1].ints_room() + sums_room(&inputs[0], inputs[1].len(), parts_of(out.dims())[0])
}

fn totals(_: Way, inputs: &[View], out: &mut ViewMut, room: &mut [u128]) -> Result<()> {
    let sizes = parts_of(out.dims());
    let (ids, room) = segment_ids(&inputs[1], sizes[0], room)?;
    sum_rows(&inputs[0], ids, sizes, out, room)
}

/// The same and a place for the numbers again, which sums take as scratch.
fn mean_room(inputs: &[View], out: &ViewMut) -> usize {
    inputs[1].ints_room() + total_room(inputs, out)
}

fn means(_: Way, inputs: &[View], out: &mut ViewMut, room: &mut [u128]) -> Result<()> {
    let sizes = parts_of(out.dims());
    let (ids, room) = segment_ids(&inputs[1], sizes[0], room)?;
    totals(Way::Add, inputs, out, room)?;
    let dtype = out.dtype();
    dispatch!(dtype, arithmetic T => {
        let (out, width) = (out.elements::<T>()?, sizes[1]);
        let mut rest = ids;
        while let Some(&id) = rest.first() {
            let (own, after) = rest.split_at(rest.partition_point(|&other| other == id));
            rest = after;
            let count = <T as Counted>::counted(own.len());
            out[id as usize * width..][..width].iter_mut().for_each(|sum| *sum = Counted::over(*sum, count));
        }
        Ok(())
    }, else => Err(unsupported(dtype)))
}

/// A number that is divided by how many there are.
trait Counted: Pod {
    type Count: Copy;
    fn counted(count: usize) -> Self::Count;
    fn over(self, count: Self::Count) -> Self;
}

macro_rules! counted {
    ($($t:ty, $count:ty: $from:expr, $over:expr;)*) => { $(
        impl Counted for $t {
            type Count = $count;
            fn counted(count: usize) -> $count {
                let from: fn(usize) -> $count = $from;
                from(count)
            }
            fn over(self, count: $count) -> $t {
                let over: fn($t, $count) -> $t = $over;
                over(self, count)
            }
        }
    )* };
    (integers $($t:ty)*) => { counted! { $($t, i128: |count| count as i128, |x, count| (i128::from(x) / count) as $t;)* } };
}
counted!(integers i8 i16 i32 i64 u8 u16 u32 u64);
counted! {
    f32, f32: |count| count as f32, Div::div;
    f64, f64: |count| count as f64, Div::div;
    f16, f32: |count| count as f32, |x, count| f16::from_f32(x.to_f32() / count);
    bf16, f32: |count| count as f32, |x, count| bf16::from_f32(x.to_f32() / count);
    Complex32, f32: |count| count as f32, |x, count| x / count;
    Complex64, f64: |count| count as f64, |x, count| x / count;
}

/// One way to combine parts of a tensor with others at some coordinates a row.
macro_rules! scattered {
    ($($(#[$doc:meta])* $class:ident $op:ident $method:ident $way:ident, |$b:ident, $bad:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op {
                bad: BadIndices,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    self.bad.attrs()
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x, indices, updates] = arity(inputs)?;
                    Way::$way.check(same_dtype(&[*x, *updates])?)?;
                    check_indices(indices)?;
                    check_updates(&updates.spec.shape, &indexed(&x.spec.shape, indices)?)?;
                    Ok(vec![x.spec.clone()])
                }
                fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
                    (rows_room(&inputs[1]) + inputs[2].dense_room()) * size_of::<u128>()
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let [x, indices, updates] = inputs else { return Err(Error::internal("three inputs were inferred")) };
                    let out = &mut outputs[0];
                    copy_view(*x, out)?;
                    let room = scratch.take(rows_room(indices) + updates.dense_room())?;
                    let (rows, room) = rows(indices, x.dims(), self.bad, room)?;
                    let [_, width] = matrix(x.dims(), indices);
                    dispatch!(x.dtype(), arithmetic T => {
                        let (updates, out) = (updates.dense::<T>(room)?.0, out.elements::<T>()?);
                        combine_rows::<T>(Way::$way, updates, rows, width, out, false);
                        Ok(())
                    }, else => Err(unsupported(x.dtype())))
                }
                fn grad(&self, $b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    let $bad = self.bad;
                    Ok($grad)
                }
            }

            impl Tensor {
                $(#[$doc])*
                ///
                /// Coordinates and updates are as those of [`scatter_update`](Tensor::scatter_update).
                #[doc = concat!("TensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self, indices: &Tensor, updates: &Tensor) -> Result<Tensor> {
                    apply_one($op::default(), &[self, indices, updates])
                }
            }
        )*
        const SCATTERED: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { bad: BadIndices::of(attrs)? })),
            accuracy: Accuracy::$class,
        }),*];
    };
}

scattered! {
    /// This with `updates` added to the parts at coordinates, in their order.
    Sum TensorScatterAdd scatter_add Add, |b, bad| {
        vec![Some(b.dy(0).clone()), None, b.when(2, || gather_nd(b.dy(0), b.input(1), bad))?]
    };
    /// This with `updates` taken from the parts at coordinates, in their order.
    Sum TensorScatterSub scatter_sub Sub, |b, bad| {
        vec![Some(b.dy(0).clone()), None, b.when(2, || gather_nd(b.dy(0), b.input(1), bad)?.neg())?]
    };
    /// This with the updates that are greater than what is there at coordinates: NaN stays, and no update is one that is NaN.
    Exact TensorScatterMax scatter_max Raise, |b, bad| to_greatest(b, bad)?;
    /// This with the updates that are less than what is there at coordinates: NaN stays, and no update is one that is NaN.
    Exact TensorScatterMin scatter_min Lower, |b, bad| to_greatest(b, bad)?;
}

/// The gradients of greatest or least elements: to those that are, in equal shares.
fn to_greatest(b: &Backward, bad: BadIndices) -> Result<Vec<Option<Tensor>>> {
    let (x, indices, updates, y, dy) = (b.input(0), b.input(1), b.input(2), b.output(0), b.dy(0));
    let of_x = x.equal(y)?.cast(dy.dtype())?;
    let of_updates = updates.equal(gather_nd(y, indices, bad)?)?.cast(dy.dtype())?;
    let shares = dy / apply_one(TensorScatterAdd { bad }, &[&of_x, indices, &of_updates])?;
    Ok(vec![Some(&of_x * &shares), None, Some(gather_nd(&shares, indices, bad)? * of_updates)])
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[UNSORTED, SORTED, SCATTERED];
