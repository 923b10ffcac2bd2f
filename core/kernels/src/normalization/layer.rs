//! Layer normalisation and that by the root of the mean square: every row by itself.

use std::ops::Range;

use super::{Element, LANES, Total, by_lanes, fma, load, moments, store};
use crate::float::Real;
use crate::fold::{Reduce, join_lanes};
use crate::parts::{Matrix, by_rows};

/// Rows whose terms are added as they are before they join the sums of their columns.
pub(super) const QUAD: usize = 4;

/// The rows of a group, whose columns are summed by one thread.
pub(super) fn group(rows: usize) -> usize {
    rows.div_ceil(16).next_multiple_of(QUAD).clamp(QUAD, 256)
}

/// Writes the normalised rows and what they were normalised by. Without `mean` rows are not centred.
#[inline(always)]
pub(super) fn normalize_rows<T: Element, const FUSED: bool>(
    x: &[T],
    [gamma, beta]: [Option<&[T]>; 2],
    n: usize,
    epsilon: f64,
    y: &mut [T],
    mut mean: Option<&mut [T::Wide]>,
    inverse: &mut [T::Wide],
) {
    for (row, (x, y)) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)).enumerate() {
        let [centre, square] = match &mean {
            Some(_) => moments::of_row::<T, FUSED>(x),
            None => [0.0, mean_square::<T>(x)],
        };
        let scale = T::Wide::narrow(1.0 / (square + epsilon).sqrt());
        // What the rounding of the mean loses matters where it is far greater than the deviations.
        let high = T::Wide::narrow(centre);
        let low = T::Wide::narrow(centre - high.into());
        macro_rules! normal {
            ($x:expr) => {
                (($x.widen() - high) - low) * scale
            };
        }
        match (gamma, beta) {
            (None, None) => {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = T::narrow(normal!(x));
                }
            }
            (Some(gamma), None) => {
                for ((y, &x), &gamma) in y.iter_mut().zip(x).zip(gamma) {
                    *y = T::narrow(normal!(x) * gamma.widen());
                }
            }
            (None, Some(beta)) => {
                for ((y, &x), &beta) in y.iter_mut().zip(x).zip(beta) {
                    *y = T::narrow(normal!(x) + beta.widen());
                }
            }
            (Some(gamma), Some(beta)) => {
                for (((y, &x), &gamma), &beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                    *y = T::narrow(fma::<T::Wide, FUSED>(normal!(x), gamma.widen(), beta.widen()));
                }
            }
        }
        if let Some(mean) = &mut mean {
            mean[row] = high;
        }
        inverse[row] = scale;
    }
}

#[inline(always)]
fn mean_square<T: Element>(row: &[T]) -> f64 {
    let mut lanes = [T::Sum::start(); LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            let x: f64 = x.widen().into();
            *lane = T::Sum::push(*lane, x * x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        let x: f64 = x.widen().into();
        *lane = T::Sum::push(*lane, x * x);
    }
    T::Sum::finish(join_lanes(&mut lanes, T::Sum::join), 1) / row.len() as f64
}

/// What a row was normalised by, and the means over it of dŷ = γ·dy and of dŷ·x̂.
#[derive(Clone, Copy)]
struct Row<R> {
    mean: R,
    inverse: R,
    plain: R,
    along: R,
}

/// The gradient by the rows of some groups and, for each group, the sums over them of dy·x̂ and of dy.
#[inline(always)]
pub(super) fn rows_gradient<T: Element, const FUSED: bool>(
    inputs: [&[T]; 2],
    mean: Option<&[T::Wide]>,
    inverse: &[T::Wide],
    gamma: Option<&[T]>,
    [n, group]: [usize; 2],
    dx: &mut [T],
    mut sums: Option<&mut [f64]>,
) {
    let rows = inverse.len();
    let zero = T::Wide::ZERO;
    for first in (0..rows).step_by(QUAD) {
        let count = QUAD.min(rows - first);
        let quad_place = first * n..(first + count) * n;
        let [dy, x] = [&inputs[0][quad_place.clone()], &inputs[1][quad_place.clone()]];
        let mut quad = [Row { mean: zero, inverse: zero, plain: zero, along: zero }; QUAD];
        for (i, own) in quad.iter_mut().take(count).enumerate() {
            if let Some(mean) = mean {
                own.mean = mean[first + i];
            }
            own.inverse = inverse[first + i];
            let (mut plain, mut along) = ([T::Sum::start(); LANES], [T::Sum::start(); LANES]);
            let [dy, x] = [&dy[i * n..][..n], &x[i * n..][..n]];
            by_lanes!(n, add_row([dy, x], gamma, *own, &mut plain, &mut along));
            // Rows that are not centred lose nothing along 1.
            if mean.is_some() {
                own.plain = T::Wide::narrow(T::Sum::finish(join_lanes(&mut plain, T::Sum::join), 1) / n as f64);
            }
            own.along = T::Wide::narrow(T::Sum::finish(join_lanes(&mut along, T::Sum::join), 1) / n as f64);
        }
        let dx = &mut dx[quad_place];
        let mut sums = match &mut sums {
            Some(sums) => {
                let sums = &mut sums[first / group * 2 * n..][..2 * n];
                if first % group == 0 {
                    sums.fill(0.0);
                }
                Some(sums.split_at_mut(n))
            }
            None => None,
        };
        by_lanes!(n, gradient_of_columns([dy, x], gamma, &quad[..count], n, &mut *dx, &mut sums));
    }
}

/// Adds dŷ and dŷ·x̂ of some columns of a row to the sums of their lanes.
#[inline(always)]
fn add_row<T: Element, const FULL: bool, const FUSED: bool>(
    columns: Range<usize>,
    [dy, x]: [&[T]; 2],
    gamma: Option<&[T]>,
    own: Row<T::Wide>,
    plain: &mut [Total<T>; LANES],
    along: &mut [Total<T>; LANES],
) {
    let gamma = factor::<T, FULL>(gamma, &columns);
    let (dy, x) = (load::<T, FULL>(&dy[columns.clone()]), load::<T, FULL>(&x[columns]));
    for i in 0..LANES {
        let part = dy[i] * gamma[i];
        plain[i] = T::Sum::push(plain[i], part.into());
        along[i] = T::Sum::push(along[i], (part * ((x[i] - own.mean) * own.inverse)).into());
    }
}

/// Writes the gradient by some columns of a few rows, and adds to the sums of the columns.
#[inline(always)]
fn gradient_of_columns<T: Element, const FULL: bool, const FUSED: bool>(
    columns: Range<usize>,
    [dy, x]: [&[T]; 2],
    gamma: Option<&[T]>,
    rows: &[Row<T::Wide>],
    n: usize,
    dx: &mut [T],
    sums: &mut Option<(&mut [f64], &mut [f64])>,
) {
    let gamma = factor::<T, FULL>(gamma, &columns);
    let (mut along, mut plain) = ([T::Wide::ZERO; LANES], [T::Wide::ZERO; LANES]);
    for (row, own) in rows.iter().enumerate() {
        let place = row * n + columns.start..row * n + columns.end;
        let (dy, x) = (load::<T, FULL>(&dy[place.clone()]), load::<T, FULL>(&x[place.clone()]));
        let mut out = [T::Wide::ZERO; LANES];
        for i in 0..LANES {
            let normal = (x[i] - own.mean) * own.inverse;
            along[i] = fma::<T::Wide, FUSED>(dy[i], normal, along[i]);
            plain[i] = plain[i] + dy[i];
            let part = dy[i] * gamma[i] - own.plain;
            out[i] = fma::<T::Wide, FUSED>(-normal, own.along, part) * own.inverse;
        }
        store::<T, FULL>(&out, &mut dx[place]);
    }
    if let Some((of_gamma, of_beta)) = sums {
        add::<_, FULL>(&mut of_gamma[columns.clone()], &along);
        add::<_, FULL>(&mut of_beta[columns], &plain);
    }
}

/// Adds to the sums of up to [`LANES`] columns.
#[inline(always)]
pub(super) fn add<R: Real + Into<f64>, const FULL: bool>(sums: &mut [f64], terms: &[R; LANES]) {
    if FULL {
        let sums = sums.first_chunk_mut::<LANES>().expect("full lanes");
        for (sum, &term) in sums.iter_mut().zip(terms) {
            *sum += term.into();
        }
    } else {
        for (sum, &term) in sums.iter_mut().zip(terms) {
            *sum += term.into();
        }
    }
}

/// γ of some columns, 1 where there is none.
#[inline(always)]
fn factor<T: Element, const FULL: bool>(gamma: Option<&[T]>, columns: &Range<usize>) -> [T::Wide; LANES] {
    match gamma {
        Some(gamma) => load::<T, FULL>(&gamma[columns.clone()]),
        None => [T::Wide::ONE; LANES],
    }
}

/// The total of the sums at one place of each group.
#[inline(always)]
pub(super) fn total<T: Element>(sums: &[f64], group: usize, place: usize) -> f64 {
    let mut total = T::Sum::start();
    for group in sums.chunks_exact(group) {
        total = T::Sum::push(total, group[place]);
    }
    T::Sum::finish(total, 1)
}

/// The elements of scratch that the gradient of so many rows wants.
pub(super) fn scratch(rows: usize, n: usize) -> usize {
    rows.div_ceil(group(rows)) * 2 * n
}

/// Normalises rows, on the pool.
pub(super) fn normalize<T: Element>(
    x: &[T],
    parameters: [Option<&[T]>; 2],
    n: usize,
    epsilon: f64,
    y: &mut [T],
    mean: Option<&mut [T::Wide]>,
    inverse: &mut [T::Wide],
) {
    let rows = inverse.len();
    let fits = parameters.iter().flatten().all(|x| x.len() == n) && mean.as_ref().is_none_or(|mean| mean.len() == rows);
    assert!(x.len() == rows * n && y.len() == x.len() && fits, "rows, their parameters and their means fit each other");
    if n == 0 {
        mean.into_iter().for_each(|mean| mean.fill(T::Wide::narrow(f64::NAN)));
        return inverse.fill(T::Wide::narrow(f64::NAN));
    }
    let outputs = (Matrix::new(y, n), (mean.map(|mean| Matrix::new(mean, 1)), Matrix::new(inverse, 1)));
    by_rows(rows, x.len().saturating_mul(2), outputs, |rows, (y, (mean, inverse))| {
        T::normalize_rows(&x[rows.start * n..rows.end * n], parameters, n, epsilon, y, mean, inverse);
    });
}

/// The gradients of normalised rows, on the pool.
#[allow(clippy::too_many_arguments)]
pub(super) fn normalize_gradient<T: Element>(
    [dy, x]: [&[T]; 2],
    mean: Option<&[T::Wide]>,
    inverse: &[T::Wide],
    gamma: Option<&[T]>,
    n: usize,
    dx: &mut [T],
    parameters: [Option<&mut [T]>; 2],
    scratch: &mut [f64],
) {
    let rows = inverse.len();
    let fits = parameters.iter().flatten().all(|x| x.len() == n)
        && gamma.is_none_or(|gamma| gamma.len() == n)
        && mean.is_none_or(|mean| mean.len() == rows)
        && scratch.len() >= self::scratch(rows, n);
    let lengths = [dy.len(), x.len(), dx.len()];
    assert!(lengths == [rows * n; 3] && fits, "rows, their parameters, means and scratch fit each other");
    if n == 0 {
        return;
    }
    let (group, wanted) = (group(rows), parameters.iter().any(Option::is_some));
    let groups = rows.div_ceil(group);
    let sums = &mut scratch[..groups * 2 * n];
    let outputs = (Matrix::new(dx, group * n), wanted.then(|| Matrix::new(sums, 2 * n)));
    by_rows(groups, x.len().saturating_mul(3), outputs, |groups, (dx, sums)| {
        let rows = groups.start * group..rows.min(groups.end * group);
        let place = rows.start * n..rows.end * n;
        let mean = mean.map(|mean| &mean[rows.clone()]);
        T::rows_gradient([&dy[place.clone()], &x[place]], mean, &inverse[rows], gamma, [n, group], dx, sums);
    });
    let sums = &scratch[..groups * 2 * n];
    for (out, first) in parameters.into_iter().zip([0, n]) {
        for (i, out) in out.into_iter().flatten().enumerate() {
            *out = T::narrow(T::Wide::narrow(total::<T>(sums, 2 * n, first + i)));
        }
    }
}
