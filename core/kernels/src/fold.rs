//! Reductions, extremes and running totals.
//!
//! The order of every sum is a function of the shape and of the axes that are reduced, never of how a view lies in
//! memory. Where the innermost axis is reduced, term i goes to lane i mod [`LANES`](crate::dispatch::LANES) and the lanes are joined in a fixed
//! tree; else every column has one sum, in order. Sums of f32 and below are kept in f64, those of f64 with their
//! rounding errors beside them, so the result is within one rounding or two of the exact sum.

use bytemuck::Pod;
use half::{bf16, f16};
use num_complex::Complex;

use crate::complex;
use crate::dispatch::LANES;
use crate::narrow::Half;
use crate::operation::{Fold, Unsupported};
use crate::strided::{Place, Reader, Strided, TILE, copy, read_run};

/// Columns that are reduced side by side: their totals stay in the first cache.
const COLUMNS: usize = 128;

/// How terms of type `T` become one number.
pub(crate) trait Reduce<T> {
    type Total: Copy;
    fn start() -> Self::Total;
    fn push(total: Self::Total, term: T) -> Self::Total;
    fn join(a: Self::Total, b: Self::Total) -> Self::Total;
    /// The result of `count` terms.
    fn finish(total: Self::Total, count: usize) -> T;
}

pub(crate) struct Sum;
pub(crate) struct Mean;
pub(crate) struct Product;
pub(crate) struct Greatest;
pub(crate) struct Least;

/// Writes one `impl Reduce` out of its five expressions.
macro_rules! reduce {
    ($name:ident of $t:ty as $total:ty { $start:expr, $push:expr, $join:expr, $finish:expr }) => {
        impl Reduce<$t> for $name {
            type Total = $total;
            #[inline(always)]
            fn start() -> $total {
                $start
            }
            #[inline(always)]
            fn push(total: $total, term: $t) -> $total {
                let push: fn($total, $t) -> $total = $push;
                push(total, term)
            }
            #[inline(always)]
            fn join(a: $total, b: $total) -> $total {
                let join: fn($total, $total) -> $total = $join;
                join(a, b)
            }
            #[inline(always)]
            fn finish(total: $total, count: usize) -> $t {
                let finish: fn($total, usize) -> $t = $finish;
                finish(total, count)
            }
        }
    };
}

/// A sum and the error of its roundings (Knuth's TwoSum, as in Ogita, Rump and Oishi 2005).
#[derive(Clone, Copy)]
pub(crate) struct Exact {
    sum: f64,
    error: f64,
}

impl Exact {
    const ZERO: Self = Self { sum: 0.0, error: 0.0 };

    #[inline(always)]
    fn plus(self, term: f64) -> Self {
        let sum = self.sum + term;
        let part = sum - self.sum;
        let error = (self.sum - (sum - part)) + (term - part);
        Self { sum, error: self.error + error }
    }

    #[inline(always)]
    fn join(self, other: Self) -> Self {
        let Self { sum, error } = self.plus(other.sum);
        Self { sum, error: error + other.error }
    }

    /// An infinite sum has no error to correct.
    #[inline(always)]
    fn value(self) -> f64 {
        if self.sum.is_finite() { self.sum + self.error } else { self.sum }
    }
}

#[inline(always)]
fn greater<T: Copy + PartialOrd>(total: T, term: T) -> T {
    let greater = if term > total { term } else { total };
    // A NaN replaces what is there, and nothing replaces a NaN.
    #[allow(clippy::eq_op)]
    if term != term { term } else { greater }
}

#[inline(always)]
fn lesser<T: Copy + PartialOrd>(total: T, term: T) -> T {
    let lesser = if term < total { term } else { total };
    #[allow(clippy::eq_op)]
    if term != term { term } else { lesser }
}

macro_rules! narrow_floats {
    ($($t:ident: $widen:expr, $narrow:expr;)*) => {
        $(reduce!(Sum of $t as f64 { 0.0, |a, x| a + f64::from($widen(x)), |a, b| a + b, |a, _| $narrow(a as f32) });
        reduce!(Mean of $t as f64 {
            0.0, |a, x| a + f64::from($widen(x)), |a, b| a + b, |a, n| $narrow((a / n as f64) as f32)
        });
        reduce!(Product of $t as f64 { 1.0, |a, x| a * f64::from($widen(x)), |a, b| a * b, |a, _| $narrow(a as f32) });
        reduce!(Greatest of $t as f32 { f32::NEG_INFINITY, |a, x| greater(a, $widen(x)), greater, |a, _| $narrow(a) });
        reduce!(Least of $t as f32 { f32::INFINITY, |a, x| lesser(a, $widen(x)), lesser, |a, _| $narrow(a) });)*
    };
}
narrow_floats! {
    f32: std::convert::identity, std::convert::identity;
    f16: Half::widen, Half::narrow;
    bf16: Half::widen, Half::narrow;
}
reduce!(Sum of f64 as Exact { Exact::ZERO, Exact::plus, Exact::join, |a, _| a.value() });
reduce!(Mean of f64 as Exact { Exact::ZERO, Exact::plus, Exact::join, |a, n| a.value() / n as f64 });
reduce!(Product of f64 as f64 { 1.0, |a, x| a * x, |a, b| a * b, |a, _| a });
reduce!(Greatest of f64 as f64 { f64::NEG_INFINITY, greater, greater, |a, _| a });
reduce!(Least of f64 as f64 { f64::INFINITY, lesser, lesser, |a, _| a });

macro_rules! integers {
    ($wide:ident: $($t:ident),*) => {
        $(reduce!(Sum of $t as $t { 0, |a, x| a.wrapping_add(x), |a, b| a.wrapping_add(b), |a, _| a });
        reduce!(Mean of $t as $wide {
            0, |a, x| a.wrapping_add($wide::from(x)), |a, b| a.wrapping_add(b),
            |a, n| if n == 0 { 0 } else { (a / n as $wide) as $t }
        });
        reduce!(Product of $t as $t { 1, |a, x| a.wrapping_mul(x), |a, b| a.wrapping_mul(b), |a, _| a });
        reduce!(Greatest of $t as $t { $t::MIN, |a, x| a.max(x), |a, b| a.max(b), |a, _| a });
        reduce!(Least of $t as $t { $t::MAX, |a, x| a.min(x), |a, b| a.min(b), |a, _| a });)*
    };
}
integers!(i64: i8, i16, i32, i64);
integers!(u64: u8, u16, u32, u64);

reduce!(Sum of Complex<f32> as Complex<f64> { Complex::new(0.0, 0.0), |a, x| complex::add(a, wide(x)), complex::add, |a, _| slim(a) });
reduce!(Mean of Complex<f32> as Complex<f64> {
    Complex::new(0.0, 0.0), |a, x| complex::add(a, wide(x)), complex::add,
    |a, n| slim(Complex::new(a.re / n as f64, a.im / n as f64))
});
reduce!(Product of Complex<f32> as Complex<f64> { Complex::new(1.0, 0.0), |a, x| complex::mul(a, wide(x)), complex::mul, |a, _| slim(a) });
reduce!(Sum of Complex<f64> as (Exact, Exact) {
    (Exact::ZERO, Exact::ZERO), |a, x| (a.0.plus(x.re), a.1.plus(x.im)), |a, b| (a.0.join(b.0), a.1.join(b.1)),
    |a, _| Complex::new(a.0.value(), a.1.value())
});
reduce!(Mean of Complex<f64> as (Exact, Exact) {
    (Exact::ZERO, Exact::ZERO), |a, x| (a.0.plus(x.re), a.1.plus(x.im)), |a, b| (a.0.join(b.0), a.1.join(b.1)),
    |a, n| Complex::new(a.0.value() / n as f64, a.1.value() / n as f64)
});
reduce!(Product of Complex<f64> as Complex<f64> { Complex::new(1.0, 0.0), complex::mul, complex::mul, |a, _| a });

#[inline(always)]
fn wide(x: Complex<f32>) -> Complex<f64> {
    Complex::new(x.re.into(), x.im.into())
}

#[inline(always)]
fn slim(x: Complex<f64>) -> Complex<f32> {
    Complex::new(x.re as f32, x.im as f32)
}

/// [`Number::fold`](crate::Number::fold) of the types that have an order.
#[inline(always)]
pub(crate) fn ordered<T, const FUSED: bool>(
    op: Fold,
    x: Strided<T>,
    reduced: &[bool],
    out: &mut [T],
) -> Result<(), Unsupported>
where
    T: Pod,
    Sum: Reduce<T>,
    Mean: Reduce<T>,
    Product: Reduce<T>,
    Greatest: Reduce<T>,
    Least: Reduce<T>,
{
    match op {
        Fold::Max => reduce::<T, Greatest>(x, reduced, out),
        Fold::Min => reduce::<T, Least>(x, reduced, out),
        _ => return unordered::<T, FUSED>(op, x, reduced, out),
    }
    Ok(())
}

/// [`Number::fold`](crate::Number::fold) of the types that have none.
#[inline(always)]
pub(crate) fn unordered<T, const FUSED: bool>(
    op: Fold,
    x: Strided<T>,
    reduced: &[bool],
    out: &mut [T],
) -> Result<(), Unsupported>
where
    T: Pod,
    Sum: Reduce<T>,
    Mean: Reduce<T>,
    Product: Reduce<T>,
{
    match op {
        Fold::Sum => reduce::<T, Sum>(x, reduced, out),
        Fold::Mean => reduce::<T, Mean>(x, reduced, out),
        Fold::Prod => reduce::<T, Product>(x, reduced, out),
        Fold::Max | Fold::Min => return Err(Unsupported),
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn reduce<T: Pod, R: Reduce<T>>(x: Strided<T>, reduced: &[bool], out: &mut [T]) {
    assert_eq!(x.shape().len(), reduced.len(), "a reduction says of each axis whether it is reduced");
    let axes = x.shape().iter().zip(reduced);
    let outputs: usize = axes.clone().filter(|&(_, &reduced)| !reduced).map(|(&dim, _)| dim).product();
    let count: usize = axes.clone().filter(|&(_, &reduced)| reduced).map(|(&dim, _)| dim).product();
    assert_eq!(outputs, out.len(), "a reduction has one result for each index of the axes that stay");
    if outputs == 0 {
        return;
    }
    if count == 0 {
        return out.fill(R::finish(R::start(), 0));
    }
    let (kept, gone) = (Reader::over(x, reduced, false), Reader::over(x, reduced, true));
    let innermost = axes.rev().find(|&(&dim, _)| dim != 1);
    if innermost.is_none_or(|(_, &reduced)| reduced) {
        for (i, slot) in out.iter_mut().enumerate() {
            *slot = R::finish(sum_lanes::<T, R>(gone.from(kept.locate(i).at), count), count);
        }
    } else {
        let mut done = 0;
        while done < outputs {
            let Place { at, left } = kept.locate(done);
            let columns = left.min(COLUMNS).min(outputs - done);
            reduce_columns::<T, R>(gone.from(at), x.data(), kept.step(), count, &mut out[done..done + columns]);
            done += columns;
        }
    }
}

/// The total of `count` terms, spread over lanes.
#[inline(always)]
fn sum_lanes<T: Pod, R: Reduce<T>>(terms: Reader<T>, count: usize) -> R::Total {
    let mut lanes = [R::start(); LANES];
    let mut buffer = [T::zeroed(); TILE];
    for start in (0..count).step_by(TILE) {
        let chunk = terms.chunk(start, &mut buffer[..TILE.min(count - start)]);
        let blocks = chunk.chunks_exact(LANES);
        let rest = blocks.remainder();
        for block in blocks {
            for (lane, &term) in lanes.iter_mut().zip(block) {
                *lane = R::push(*lane, term);
            }
        }
        for (lane, &term) in lanes.iter_mut().zip(rest) {
            *lane = R::push(*lane, term);
        }
    }
    join_lanes(&mut lanes, R::join)
}

/// Joins each lane of the lower half with that of the upper half, and so on.
#[inline(always)]
pub(crate) fn join_lanes<T: Copy, const N: usize>(lanes: &mut [T; N], join: impl Fn(T, T) -> T) -> T {
    let mut width = N / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// The totals of columns that lie `step` apart, each over the same `count` places.
#[inline(always)]
fn reduce_columns<T: Pod, R: Reduce<T>>(rows: Reader<T>, data: &[T], step: isize, count: usize, out: &mut [T]) {
    let mut totals = [R::start(); COLUMNS];
    let totals = &mut totals[..out.len()];
    let mut buffer = [T::zeroed(); COLUMNS];
    let mut row = 0;
    while row < count {
        let Place { mut at, left } = rows.locate(row);
        let now = left.min(count - row);
        let pairs = if step == 1 { now / 2 } else { 0 };
        for _ in 0..pairs {
            let next = at + rows.step();
            let (above, below) = (&data[at as usize..][..out.len()], &data[next as usize..][..out.len()]);
            for ((total, &above), &below) in totals.iter_mut().zip(above).zip(below) {
                *total = R::push(R::push(*total, above), below);
            }
            at = next + rows.step();
        }
        for _ in 2 * pairs..now {
            let terms = if step == 1 {
                &data[at as usize..][..out.len()]
            } else {
                read_run(data, at, step, &mut buffer[..out.len()]);
                &buffer[..out.len()]
            };
            for (total, &term) in totals.iter_mut().zip(terms) {
                *total = R::push(*total, term);
            }
            at += rows.step();
        }
        row += now;
    }
    for (slot, &total) in out.iter_mut().zip(&*totals) {
        *slot = R::finish(total, count);
    }
}

/// [`Number::arg_extreme`](crate::Number::arg_extreme) of the types that have an order.
#[inline(always)]
pub(crate) fn arg_extreme<T: Pod + PartialOrd>(
    max: bool,
    x: Strided<T>,
    axis: usize,
    out: &mut [i64],
) -> Result<(), Unsupported> {
    if max {
        arg_best(x, axis, out, |term, best| term > best);
    } else {
        arg_best(x, axis, out, |term, best| term < best);
    }
    Ok(())
}

#[inline(always)]
fn arg_best<T: Pod + PartialOrd>(x: Strided<T>, axis: usize, out: &mut [i64], better: impl Fn(T, T) -> bool) {
    let count = x.shape()[axis];
    let inner: usize = x.shape()[axis + 1..].iter().product();
    assert!(x.is_empty() || out.len() * count == x.len(), "an extreme is sought for each index of the other axes");
    if x.is_empty() {
        return out.fill(0);
    }
    // NaN is below everything, and the first of equals is taken.
    #[allow(clippy::eq_op)]
    let replaces = |term: T, best: T| better(term, best) || (best != best && term == term);
    let (reader, mut buffer) = (Reader::new(x), [T::zeroed(); TILE]);
    if inner == 1 {
        for (row, slot) in out.iter_mut().enumerate() {
            let (mut best, mut index) = (T::zeroed(), None);
            for start in (0..count).step_by(TILE) {
                let chunk = reader.chunk(row * count + start, &mut buffer[..TILE.min(count - start)]);
                for (i, &term) in chunk.iter().enumerate() {
                    if index.is_none() || replaces(term, best) {
                        (best, index) = (term, Some((start + i) as i64));
                    }
                }
            }
            *slot = index.expect("the axis is not empty");
        }
        return;
    }
    for (outer, out) in out.chunks_mut(inner).enumerate() {
        for (tile, out) in out.chunks_mut(TILE).enumerate() {
            let mut best = [T::zeroed(); TILE];
            for i in 0..count {
                let start = (outer * count + i) * inner + tile * TILE;
                let terms = reader.chunk(start, &mut buffer[..out.len()]);
                for ((slot, best), &term) in out.iter_mut().zip(&mut best).zip(terms) {
                    if i == 0 || replaces(term, *best) {
                        (*best, *slot) = (term, i as i64);
                    }
                }
            }
        }
    }
}

/// [`Number::cumulate`](crate::Number::cumulate).
#[inline(always)]
pub(crate) fn cumulate<T: Pod, R: Reduce<T>>(
    x: Strided<T>,
    axis: usize,
    exclusive: bool,
    reverse: bool,
    out: &mut [T],
) {
    copy(x, out);
    if out.is_empty() {
        return;
    }
    let count = x.shape()[axis];
    let inner: usize = x.shape()[axis + 1..].iter().product();
    for out in out.chunks_mut(count * inner) {
        for first in (0..inner).step_by(COLUMNS) {
            let columns = COLUMNS.min(inner - first);
            let mut totals = [R::start(); COLUMNS];
            for i in 0..count {
                let place = if reverse { count - 1 - i } else { i };
                let row = &mut out[place * inner + first..][..columns];
                for (slot, total) in row.iter_mut().zip(&mut totals) {
                    let before = *total;
                    *total = R::push(before, *slot);
                    *slot = R::finish(if exclusive { before } else { *total }, 1);
                }
            }
        }
    }
}
