//! Reductions, extremes and running totals.
//!
//! The order of every sum is a function of the shape and of the axes that are reduced, never of how a view lies in
//! memory. Where there are many terms they are cut into segments of one length, whose totals are joined in order. Where the
//! innermost axis is reduced, term i of a segment goes to lane i mod [`LANES`](crate::dispatch::LANES) and the lanes are
//! joined in a fixed tree; else every column has one sum, in order. Sums of f32 and below are kept in f64, those of f64 with their
//! rounding errors beside them, so the result is within one rounding or two of the exact sum.

use std::ops::Range;

use bytemuck::Pod;
use half::{bf16, f16};
use num_complex::Complex;

use crate::complex;
use crate::dispatch::LANES;
use crate::narrow::Half;
use crate::operation::{Fold, Unsupported};
use crate::parts::{Parts, divide, divide_slice};
use crate::strided::{Place, Reader, Strided, TILE, copy, read_run};

/// Columns that are reduced side by side: their totals stay in the first cache.
const COLUMNS: usize = 128;
/// The terms of a segment, at least, and the most segments.
const SEGMENT: usize = 1 << 14;
const SEGMENTS: usize = 64;
/// Totals of segments that wait to be joined.
const WAITING: usize = 1024;
/// Columns of which a thread has several.
const FEW: usize = 16;
/// Picoseconds that a byte takes which is added to a sum.
const ADDED: usize = 40;
/// Picoseconds of a step that waits for the one before.
const FOLLOWED: usize = 1000;

/// A view, as the axes that stay and those that are reduced.
pub(crate) struct Axes<'a, T> {
    kept: Reader<'a, T>,
    gone: Reader<'a, T>,
    data: &'a [T],
    /// Whether the innermost axis is reduced.
    in_rows: bool,
}

/// How terms of type `T` become one number.
pub(crate) trait Reduce<T> {
    type Total: Copy + Send + Sync;
    fn start() -> Self::Total;
    fn push(total: Self::Total, term: T) -> Self::Total;
    fn join(a: Self::Total, b: Self::Total) -> Self::Total;
    /// The result of `count` terms.
    fn finish(total: Self::Total, count: usize) -> T;
    /// Writes the totals of the outputs from `first` on over some of the terms, by the instruction set of this machine.
    fn totals(axes: &Axes<T>, first: usize, terms: Range<usize>, totals: &mut [Self::Total]);
}

pub(crate) struct Sum;
pub(crate) struct Mean;
pub(crate) struct Product;
pub(crate) struct Greatest;
pub(crate) struct Least;

/// Writes one `impl Reduce` out of its five expressions.
macro_rules! reduction {
    ($name:ident of $t:ty as $total:ty { $start:expr, $push:expr, $join:expr, $finish:expr }) => {
        impl $crate::fold::Reduce<$t> for $name {
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
            $crate::dispatch::by_instruction_set!(fn totals(
                axes: &$crate::fold::Axes<$t>, first: usize, terms: std::ops::Range<usize>, totals: &mut [$total]
            ) = totals_by::<$t, $name>);
        }
    };
}
pub(crate) use reduction;

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
        $(reduction!(Sum of $t as f64 { 0.0, |a, x| a + f64::from($widen(x)), |a, b| a + b, |a, _| $narrow(a as f32) });
        reduction!(Mean of $t as f64 {
            0.0, |a, x| a + f64::from($widen(x)), |a, b| a + b, |a, n| $narrow((a / n as f64) as f32)
        });
        reduction!(Product of $t as f64 { 1.0, |a, x| a * f64::from($widen(x)), |a, b| a * b, |a, _| $narrow(a as f32) });
        reduction!(Greatest of $t as f32 { f32::NEG_INFINITY, |a, x| greater(a, $widen(x)), greater, |a, _| $narrow(a) });
        reduction!(Least of $t as f32 { f32::INFINITY, |a, x| lesser(a, $widen(x)), lesser, |a, _| $narrow(a) });)*
    };
}
narrow_floats! {
    f32: std::convert::identity, std::convert::identity;
    f16: Half::widen, Half::narrow;
    bf16: Half::widen, Half::narrow;
}
reduction!(Sum of f64 as Exact { Exact::ZERO, Exact::plus, Exact::join, |a, _| a.value() });
reduction!(Mean of f64 as Exact { Exact::ZERO, Exact::plus, Exact::join, |a, n| a.value() / n as f64 });
reduction!(Product of f64 as f64 { 1.0, |a, x| a * x, |a, b| a * b, |a, _| a });
reduction!(Greatest of f64 as f64 { f64::NEG_INFINITY, greater, greater, |a, _| a });
reduction!(Least of f64 as f64 { f64::INFINITY, lesser, lesser, |a, _| a });

macro_rules! integers {
    ($wide:ident: $($t:ident),*) => {
        $(reduction!(Sum of $t as $t { 0, |a, x| a.wrapping_add(x), |a, b| a.wrapping_add(b), |a, _| a });
        reduction!(Mean of $t as $wide {
            0, |a, x| a.wrapping_add($wide::from(x)), |a, b| a.wrapping_add(b),
            |a, n| if n == 0 { 0 } else { (a / n as $wide) as $t }
        });
        reduction!(Product of $t as $t { 1, |a, x| a.wrapping_mul(x), |a, b| a.wrapping_mul(b), |a, _| a });
        reduction!(Greatest of $t as $t { $t::MIN, |a, x| a.max(x), |a, b| a.max(b), |a, _| a });
        reduction!(Least of $t as $t { $t::MAX, |a, x| a.min(x), |a, b| a.min(b), |a, _| a });)*
    };
}
integers!(i64: i8, i16, i32, i64);
integers!(u64: u8, u16, u32, u64);

reduction!(Sum of Complex<f32> as Complex<f64> { Complex::new(0.0, 0.0), |a, x| complex::add(a, wide(x)), complex::add, |a, _| slim(a) });
reduction!(Mean of Complex<f32> as Complex<f64> {
    Complex::new(0.0, 0.0), |a, x| complex::add(a, wide(x)), complex::add,
    |a, n| slim(Complex::new(a.re / n as f64, a.im / n as f64))
});
reduction!(Product of Complex<f32> as Complex<f64> { Complex::new(1.0, 0.0), |a, x| complex::mul(a, wide(x)), complex::mul, |a, _| slim(a) });
reduction!(Sum of Complex<f64> as (Exact, Exact) {
    (Exact::ZERO, Exact::ZERO), |a, x| (a.0.plus(x.re), a.1.plus(x.im)), |a, b| (a.0.join(b.0), a.1.join(b.1)),
    |a, _| Complex::new(a.0.value(), a.1.value())
});
reduction!(Mean of Complex<f64> as (Exact, Exact) {
    (Exact::ZERO, Exact::ZERO), |a, x| (a.0.plus(x.re), a.1.plus(x.im)), |a, b| (a.0.join(b.0), a.1.join(b.1)),
    |a, n| Complex::new(a.0.value() / n as f64, a.1.value() / n as f64)
});
reduction!(Product of Complex<f64> as Complex<f64> { Complex::new(1.0, 0.0), complex::mul, complex::mul, |a, _| a });

#[inline(always)]
fn wide(x: Complex<f32>) -> Complex<f64> {
    Complex::new(x.re.into(), x.im.into())
}

#[inline(always)]
fn slim(x: Complex<f64>) -> Complex<f32> {
    Complex::new(x.re as f32, x.im as f32)
}

/// [`Number::fold`](crate::Number::fold) of the types that have an order.
pub(crate) fn ordered<T>(op: Fold, x: Strided<T>, reduced: &[bool], out: &mut [T]) -> Result<(), Unsupported>
where
    T: Pod + Send + Sync,
    Sum: Reduce<T>,
    Mean: Reduce<T>,
    Product: Reduce<T>,
    Greatest: Reduce<T>,
    Least: Reduce<T>,
{
    match op {
        Fold::Max => reduce::<T, Greatest>(x, reduced, out),
        Fold::Min => reduce::<T, Least>(x, reduced, out),
        _ => return unordered::<T>(op, x, reduced, out),
    }
    Ok(())
}

/// [`Number::fold`](crate::Number::fold) of the types that have none.
pub(crate) fn unordered<T>(op: Fold, x: Strided<T>, reduced: &[bool], out: &mut [T]) -> Result<(), Unsupported>
where
    T: Pod + Send + Sync,
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

/// The terms of each segment but the last.
fn segment(count: usize) -> usize {
    if count < 2 * SEGMENT { count } else { count.div_ceil(SEGMENTS).max(SEGMENT).next_multiple_of(TILE) }
}

pub(crate) fn reduce<T: Pod + Send + Sync, R: Reduce<T>>(x: Strided<T>, reduced: &[bool], out: &mut [T]) {
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
    let innermost = axes.rev().find(|&(&dim, _)| dim != 1);
    let in_rows = innermost.is_none_or(|(_, &reduced)| reduced);
    let (kept, gone) = (Reader::over(x, reduced, false), Reader::over(x, reduced, true));
    let axes = Axes { kept, gone, data: x.data(), in_rows };
    let (segment, cost) = (segment(count), ADDED * size_of::<T>());
    let terms = |number: usize| number * segment..count.min((number + 1) * segment);
    let segments = count.div_ceil(segment);
    if segments > 1 && segments * outputs <= WAITING {
        let mut waiting = [R::start(); WAITING];
        let parts = Parts::new(&mut waiting);
        divide(segments, cost.saturating_mul(segment * outputs), 1, &|range, _| {
            for number in range {
                // SAFETY: each segment has totals of its own, and is in one range.
                #[allow(unsafe_code)]
                let totals = unsafe { parts.part(number * outputs..(number + 1) * outputs) };
                R::totals(&axes, 0, terms(number), totals);
            }
        });
        for (i, slot) in out.iter_mut().enumerate() {
            let totals = (1..segments).map(|number| waiting[number * outputs + i]);
            *slot = R::finish(totals.fold(waiting[i], R::join), count);
        }
        return;
    }
    divide_slice(out, cost.saturating_mul(count), if in_rows { 1 } else { FEW }, |first, out| {
        for (block, out) in out.chunks_mut(COLUMNS).enumerate() {
            let first = first + block * COLUMNS;
            let (mut totals, mut more) = ([R::start(); COLUMNS], [R::start(); COLUMNS]);
            let (totals, more) = (&mut totals[..out.len()], &mut more[..out.len()]);
            R::totals(&axes, first, terms(0), totals);
            for number in 1..segments {
                R::totals(&axes, first, terms(number), more);
                totals.iter_mut().zip(&*more).for_each(|(total, &more)| *total = R::join(*total, more));
            }
            for (slot, &total) in out.iter_mut().zip(&*totals) {
                *slot = R::finish(total, count);
            }
        }
    });
}

/// See [`Reduce::totals`].
#[inline(always)]
pub(crate) fn totals_by<T: Pod, R: Reduce<T>, const FUSED: bool>(
    axes: &Axes<T>,
    first: usize,
    terms: Range<usize>,
    totals: &mut [R::Total],
) {
    if axes.in_rows {
        let mut buffer = [T::zeroed(); TILE];
        for (i, total) in totals.iter_mut().enumerate() {
            let places = axes.gone.from(axes.kept.locate(first + i).at);
            *total = sum_lanes::<T, R>(places, terms.clone(), &mut buffer);
        }
        return;
    }
    let mut done = 0;
    while done < totals.len() {
        let Place { at, left } = axes.kept.locate(first + done);
        let columns = left.min(COLUMNS).min(totals.len() - done);
        let (rows, step) = (axes.gone.from(at), axes.kept.step());
        sum_columns::<T, R>(rows, axes.data, step, terms.clone(), &mut totals[done..done + columns]);
        done += columns;
    }
}

/// The total of some terms, spread over lanes.
#[inline(always)]
fn sum_lanes<T: Pod, R: Reduce<T>>(places: Reader<T>, terms: Range<usize>, buffer: &mut [T; TILE]) -> R::Total {
    let mut lanes = [R::start(); LANES];
    for start in terms.clone().step_by(TILE) {
        let chunk = places.chunk(start, &mut buffer[..TILE.min(terms.end - start)]);
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

/// The totals of columns that lie `step` apart, each over the same places.
#[inline(always)]
fn sum_columns<T: Pod, R: Reduce<T>>(
    places: Reader<T>,
    data: &[T],
    step: isize,
    terms: Range<usize>,
    totals: &mut [R::Total],
) {
    totals.fill(R::start());
    let mut buffer = [T::zeroed(); COLUMNS];
    let buffer = &mut buffer[..totals.len()];
    let mut row = terms.start;
    while row < terms.end {
        let Place { mut at, left } = places.locate(row);
        let now = left.min(terms.end - row);
        let pairs = if step == 1 { now / 2 } else { 0 };
        for _ in 0..pairs {
            let next = at + places.step();
            let (above, below) = (&data[at as usize..][..totals.len()], &data[next as usize..][..totals.len()]);
            for ((total, &above), &below) in totals.iter_mut().zip(above).zip(below) {
                *total = R::push(R::push(*total, above), below);
            }
            at = next + places.step();
        }
        for _ in 2 * pairs..now {
            let terms = if step == 1 {
                &data[at as usize..][..totals.len()]
            } else {
                read_run(data, at, step, buffer);
                &*buffer
            };
            for (total, &term) in totals.iter_mut().zip(terms) {
                *total = R::push(*total, term);
            }
            at += places.step();
        }
        row += now;
    }
}

/// [`Number::arg_extreme`](crate::Number::arg_extreme) of the types that have an order.
#[inline(always)]
pub(crate) fn arg_extreme<T: Pod + Send + Sync + PartialOrd>(
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
fn arg_best<T: Pod + Send + Sync + PartialOrd>(
    x: Strided<T>,
    axis: usize,
    out: &mut [i64],
    better: impl Fn(T, T) -> bool + Sync,
) {
    let count = x.shape()[axis];
    let inner: usize = x.shape()[axis + 1..].iter().product();
    assert!(x.is_empty() || out.len() * count == x.len(), "an extreme is sought for each index of the other axes");
    if x.is_empty() {
        return out.fill(0);
    }
    // NaN is below everything, and the first of equals is taken.
    #[allow(clippy::eq_op)]
    let replaces = |term: T, best: T| better(term, best) || (best != best && term == term);
    let (reader, cost) = (Reader::new(x), FOLLOWED * count);
    if inner == 1 {
        return divide_slice(out, cost, 1, |first, out| {
            let mut buffer = [T::zeroed(); TILE];
            for (row, slot) in out.iter_mut().enumerate() {
                let (mut best, mut index) = (T::zeroed(), None);
                for start in (0..count).step_by(TILE) {
                    let buffer = &mut buffer[..TILE.min(count - start)];
                    let chunk = reader.chunk((first + row) * count + start, buffer);
                    for (i, &term) in chunk.iter().enumerate() {
                        if index.is_none() || replaces(term, best) {
                            (best, index) = (term, Some((start + i) as i64));
                        }
                    }
                }
                *slot = index.expect("the axis is not empty");
            }
        });
    }
    divide_slice(out, cost, inner, |first, out| {
        let mut buffer = [T::zeroed(); TILE];
        for (outer, out) in out.chunks_mut(inner).enumerate() {
            for (tile, out) in out.chunks_mut(TILE).enumerate() {
                let mut best = [T::zeroed(); TILE];
                for i in 0..count {
                    let start = ((first / inner + outer) * count + i) * inner + tile * TILE;
                    let terms = reader.chunk(start, &mut buffer[..out.len()]);
                    for ((slot, best), &term) in out.iter_mut().zip(&mut best).zip(terms) {
                        if i == 0 || replaces(term, *best) {
                            (*best, *slot) = (term, i as i64);
                        }
                    }
                }
            }
        }
    });
}

/// [`Number::cumulate`](crate::Number::cumulate).
#[inline(always)]
pub(crate) fn cumulate<T: Pod + Send + Sync, R: Reduce<T>>(
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
    divide_slice(out, FOLLOWED, count * inner, |_, out| {
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
    });
}
