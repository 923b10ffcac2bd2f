//! Softmax and the losses made of it, row by row.

use crate::dispatch::{LANES, blocks};
use crate::float::Real;
use crate::fold::{Reduce, Sum, join_lanes};
use crate::narrow::Stored;
use crate::operation::Fault;
use crate::parts::{Matrix, by_rows};
use crate::transcendental::Transcendental;

/// Elements that are compared with as many at a time.
const WIDTH: usize = 64;
/// What an element costs, in elements that are but read or written.
const WORK: usize = 4;

/// What the elements of a row are scaled by: the greatest one, Σ e^(x − greatest), and the logarithm of that.
struct Scale<R> {
    greatest: R,
    sum: R,
    log_sum: R,
}

/// x / sum, of what `part`, 1 / sum, was computed from once: a product and what it is off by, so that sum / sum is 1.
#[inline(always)]
fn quotient<R: Real, const FUSED: bool>(x: R, sum: R, part: R) -> R {
    if FUSED {
        let near = x * part;
        (-near).mul_add(sum, x).mul_add(part, near)
    } else {
        x / sum
    }
}

/// e^(x − greatest), the rounding error of the difference included.
#[inline(always)]
fn exp_below<R: Transcendental, const FUSED: bool>(x: R, greatest: R) -> R {
    let difference = x - greatest;
    let part = difference - x;
    let error = (x - (difference - part)) - (greatest + part);
    // There is no error of an infinite difference.
    difference.exp_below::<FUSED>(if difference >= R::LEAST_EXP { error } else { R::ZERO })
}

/// The greatest of a row; NaN does not count.
#[inline(always)]
fn greatest<T: Stored>(row: &[T]) -> T::Wide {
    let greater = |a: T::Wide, b: T::Wide| if b > a { b } else { a };
    let (wide_blocks, rest) = row.as_chunks::<WIDTH>();
    let mut lanes = [T::Wide::NEG_INFINITY; WIDTH];
    for block in wide_blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = greater(*lane, x.widen());
        }
    }
    let mut greatest = if wide_blocks.is_empty() { T::Wide::NEG_INFINITY } else { join_lanes(&mut lanes, greater) };
    for &x in rest {
        greatest = greater(greatest, x.widen());
    }
    greatest
}

/// A function of the elements of a block, which `keeps` leaves in `out` where `T` can hold it.
macro_rules! terms {
    ($keeps:expr, $n:expr, $row:expr => $out:expr, |$x:ident| $f:expr) => {{
        let mut wide = [T::Wide::ZERO; $n];
        for (wide, &$x) in wide.iter_mut().zip($row) {
            *wide = $f;
        }
        if T::IS_WIDE && $keeps {
            for (out, &wide) in $out.iter_mut().zip(&wide) {
                *out = T::narrow(wide);
            }
        }
        wide
    }};
}

/// The sum of a function of every element of a row, two and two of the terms being added as they are. With `keeps`
/// the function is left in `out` where `T` can hold it.
macro_rules! sum_of {
    ($keeps:expr, $row:expr => $out:expr, |$x:ident| $f:expr) => {{
        let mut lanes = [Sum::start(); LANES];
        let (pairs, rest) = $row.as_chunks::<{ 2 * LANES }>();
        let (out_pairs, out_rest) = $out.as_chunks_mut::<{ 2 * LANES }>();
        for (row, out) in pairs.iter().zip(out_pairs) {
            let wide = terms!($keeps, 2 * LANES, row => out, |$x| $f);
            let (low, high) = wide.split_at(LANES);
            for ((lane, &low), &high) in lanes.iter_mut().zip(low).zip(high) {
                *lane = Sum::push(*lane, low + high);
            }
        }
        let (single, rest) = rest.as_chunks::<LANES>();
        for (row, out) in single.iter().zip(out_rest.as_chunks_mut::<LANES>().0) {
            let wide = terms!($keeps, LANES, row => out, |$x| $f);
            for (lane, &wide) in lanes.iter_mut().zip(&wide) {
                *lane = Sum::push(*lane, wide);
            }
        }
        if rest.is_empty() {
        } else if let (Some(row), Some(out)) = ($row.last_chunk::<LANES>(), $out.last_chunk_mut::<LANES>()) {
            // The first of these are done again, and count once.
            let wide = terms!($keeps, LANES, row => out, |$x| $f);
            let done = LANES - rest.len();
            for (i, (lane, &wide)) in lanes.iter_mut().zip(&wide).enumerate() {
                *lane = Sum::push(*lane, if i < done { T::Wide::ZERO } else { wide });
            }
        } else {
            blocks!(LANES, T::narrow(T::Wide::NEG_INFINITY), $row => $out, |row, out| {
                let wide = terms!($keeps, LANES, row => out, |$x| $f);
                for (lane, &wide) in lanes.iter_mut().zip(&wide) {
                    *lane = Sum::push(*lane, wide);
                }
            });
        }
        join_lanes(&mut lanes, Sum::join)
    }};
}

/// The scale of a row, and with `keeps`, where `T` can hold them, e^(x − greatest) in `exps`.
#[inline(always)]
fn scale<T: Stored, const FUSED: bool>(row: &[T], exps: &mut [T], keeps: bool) -> Scale<T::Wide>
where
    Sum: Reduce<T::Wide>,
{
    let greatest = greatest(row);
    let total = sum_of!(keeps, row => exps, |x| exp_below::<T::Wide, FUSED>(x.widen(), greatest));
    let sum = Sum::finish(total, row.len());
    // The greatest itself counts 1: without it the logarithm is exact also where one element outweighs the others.
    let others = Sum::finish(Sum::push(total, -T::Wide::ONE), row.len());
    Scale { greatest, sum, log_sum: others.log1p::<FUSED>() }
}

/// What was computed of `x`: from `kept` where that is it.
macro_rules! again {
    ($kept:expr, $f:expr) => {
        if T::IS_WIDE { $kept.widen() } else { $f }
    };
}

/// See [`Float::softmax`](crate::Float::softmax); `rows` does it for some rows.
pub(crate) fn softmax<T: Send + Sync>(
    x: &[T],
    n: usize,
    out: &mut [T],
    log: bool,
    rows: impl Fn(&[T], usize, &mut [T], bool) + Sync,
) {
    assert!(x.len() == out.len(), "a softmax has as many elements as its input");
    if n == 0 {
        return;
    }
    by_rows(x.len() / n, x.len().saturating_mul(WORK), Matrix::new(out, n), |part, out| {
        rows(&x[part.start * n..part.end * n], n, out, log);
    });
}

#[inline(always)]
pub(crate) fn softmax_rows<T: Stored, const FUSED: bool>(x: &[T], n: usize, out: &mut [T], log: bool)
where
    Sum: Reduce<T::Wide>,
{
    for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        if log {
            let Scale { greatest, log_sum, .. } = scale::<T, FUSED>(x, out, false);
            for (out, &x) in out.iter_mut().zip(x) {
                *out = T::narrow((x.widen() - greatest) - log_sum);
            }
        } else {
            shares::<T, FUSED>(x, out);
        }
    }
}

/// The softmax of a row.
#[inline(always)]
fn shares<T: Stored, const FUSED: bool>(x: &[T], out: &mut [T])
where
    Sum: Reduce<T::Wide>,
{
    let greatest = greatest(x);
    if greatest.abs() <= T::Wide::narrow(1024.0) {
        // The quotients are the same when all e^x have another factor than e^−greatest: one of a power of 2 costs nothing
        // and is exact.
        let (factor, least) = (greatest.factor_below::<FUSED>(), greatest + T::Wide::LEAST_EXP);
        let exp = |x: T::Wide| (if x < least { least } else { x }).exp_times::<FUSED>(factor);
        let sum = Sum::finish(sum_of!(true, x => out, |x| exp(x.widen())), x.len());
        let part = T::Wide::ONE / sum;
        for (out, &x) in out.iter_mut().zip(x) {
            *out = T::narrow(quotient::<_, FUSED>(again!(*out, exp(x.widen())), sum, part));
        }
    } else {
        let Scale { greatest, sum, .. } = scale::<T, FUSED>(x, out, true);
        let part = T::Wide::ONE / sum;
        for (out, &x) in out.iter_mut().zip(x) {
            let exp = again!(*out, exp_below::<T::Wide, FUSED>(x.widen(), greatest));
            *out = T::narrow(quotient::<_, FUSED>(exp, sum, part));
        }
    }
}

/// See [`Float::cross_entropy`](crate::Float::cross_entropy); `rows` does it for some rows.
pub(crate) fn cross_entropy<T: Stored + Send + Sync>(
    logits: &[T],
    labels: &[T],
    n: usize,
    loss: &mut [T],
    gradient: &mut [T],
    rows: impl Fn(&[T], &[T], usize, &mut [T], &mut [T]) + Sync,
) {
    let sizes = [logits.len(), labels.len(), gradient.len()];
    assert_eq!(sizes, [loss.len() * n; 3], "there is one loss for each row");
    if n == 0 {
        return loss.fill(T::narrow(T::Wide::ZERO));
    }
    let outputs = (Matrix::new(&mut *loss, 1), Matrix::new(gradient, n));
    by_rows(logits.len() / n, logits.len().saturating_mul(WORK), outputs, |part, (loss, gradient)| {
        let place = part.start * n..part.end * n;
        rows(&logits[place.clone()], &labels[place], n, loss, gradient);
    });
}

#[inline(always)]
pub(crate) fn cross_entropy_rows<T: Stored, const FUSED: bool>(
    logits: &[T],
    labels: &[T],
    n: usize,
    loss: &mut [T],
    gradient: &mut [T],
) where
    Sum: Reduce<T::Wide>,
{
    let rows = logits.chunks_exact(n).zip(labels.chunks_exact(n)).zip(gradient.chunks_exact_mut(n));
    for (((logits, labels), gradient), loss) in rows.zip(loss) {
        let Scale { greatest, sum, log_sum } = scale::<T, FUSED>(logits, gradient, true);
        let part = T::Wide::ONE / sum;
        for ((gradient, &x), &label) in gradient.iter_mut().zip(logits).zip(labels) {
            let exp = again!(*gradient, exp_below::<T::Wide, FUSED>(x.widen(), greatest));
            *gradient = T::narrow(quotient::<_, FUSED>(exp, sum, part) - label.widen());
        }
        let mut lanes = [Sum::start(); LANES];
        for (logits, labels) in logits.chunks(LANES).zip(labels.chunks(LANES)) {
            for ((lane, &x), &label) in lanes.iter_mut().zip(logits).zip(labels) {
                *lane = Sum::push(*lane, label.widen() * (log_sum - (x.widen() - greatest)));
            }
        }
        *loss = T::narrow(Sum::finish(join_lanes(&mut lanes, Sum::join), n));
    }
}

/// See [`Float::sparse_cross_entropy`](crate::Float::sparse_cross_entropy); `rows` does it for some rows.
pub(crate) fn sparse_cross_entropy<T: Send + Sync>(
    logits: &[T],
    labels: &[i64],
    n: usize,
    loss: &mut [T],
    gradient: &mut [T],
    rows: impl Fn(&[T], &[i64], usize, &mut [T], &mut [T]) + Sync,
) -> Result<(), Fault> {
    let sizes = [logits.len(), gradient.len()];
    assert!(sizes == [loss.len() * n; 2] && labels.len() == loss.len(), "there is one label and one loss for each row");
    let is_column = |&label: &i64| usize::try_from(label).is_ok_and(|label| label < n);
    if let Some(element) = labels.iter().position(|label| !is_column(label)) {
        return Err(Fault::LabelOutOfRange { element });
    }
    if n == 0 {
        return Ok(());
    }
    let outputs = (Matrix::new(&mut *loss, 1), Matrix::new(gradient, n));
    by_rows(labels.len(), logits.len().saturating_mul(WORK), outputs, |part, (loss, gradient)| {
        rows(&logits[part.start * n..part.end * n], &labels[part], n, loss, gradient);
    });
    Ok(())
}

/// Of labels that are columns.
#[inline(always)]
pub(crate) fn sparse_cross_entropy_rows<T: Stored, const FUSED: bool>(
    logits: &[T],
    labels: &[i64],
    n: usize,
    loss: &mut [T],
    gradient: &mut [T],
) where
    Sum: Reduce<T::Wide>,
{
    let rows = logits.chunks_exact(n).zip(labels).zip(gradient.chunks_exact_mut(n));
    for (((logits, &label), gradient), loss) in rows.zip(loss) {
        let Scale { greatest, sum, log_sum } = scale::<T, FUSED>(logits, gradient, true);
        let part = T::Wide::ONE / sum;
        for (gradient, &x) in gradient.iter_mut().zip(logits) {
            let exp = again!(*gradient, exp_below::<T::Wide, FUSED>(x.widen(), greatest));
            *gradient = T::narrow(quotient::<_, FUSED>(exp, sum, part));
        }
        let chosen = logits[label as usize].widen();
        let share = quotient::<_, FUSED>(exp_below::<_, FUSED>(chosen, greatest), sum, part);
        gradient[label as usize] = T::narrow(share - T::Wide::ONE);
        *loss = T::narrow(log_sum - (chosen - greatest));
    }
}
