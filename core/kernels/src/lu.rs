//! LU decomposition with pivots, and what follows from it: solutions, inverses, determinants.

use crate::dispatch::by_instruction_set;
use crate::elimination::{STEP, Triangle, product_work, subtract, subtract_product};
use crate::strided::Strided;

/// The elements of work that [`lu`] wants, for a matrix of so many rows: none of a small one.
pub fn lu_work(rows: usize) -> usize {
    if rows > STEP { rows * STEP + product_work(rows - STEP, rows - STEP) } else { 0 }
}

/// Overwrites the row-major square matrix `a` by L below its diagonal and U on and above it: L has ones on its diagonal,
/// and `L·U` is `a` with row `i` and row `pivots[i]`, which is `i` or below, exchanged for each `i` in turn. Returns
/// whether the exchanges are an odd number. `work` holds [`lu_work`] elements.
///
/// The pivot is the first of the largest magnitudes in its column, and NaN only where it is the first; where that is 0, so is
/// the diagonal of U.
/// Every sum runs in the order of the columns, some at a time, so the bits depend on the shape and the elements alone.
///
/// # Panics
///
/// When `a` has not the square of as many elements as `pivots`, or `work` is too short.
pub fn lu(a: &mut [f64], pivots: &mut [usize], work: &mut [f64]) -> bool {
    let rows = pivots.len();
    assert!(a.len() == rows * rows, "a square matrix of {rows} rows");
    if rows <= STEP {
        return eliminate(a, pivots);
    }
    let (room, work) = work.split_at_mut(rows * STEP);
    let mut odd = false;
    for (start, pivots) in (0..rows).step_by(STEP).zip(pivots.chunks_mut(STEP)) {
        // The columns of the block, side by side.
        let (width, end) = (pivots.len(), start + pivots.len());
        let panel = &mut room[..(rows - start) * width];
        for (to, from) in panel.chunks_exact_mut(width).zip(a[start * rows..].chunks_exact(rows)) {
            to.copy_from_slice(&from[start..end]);
        }
        odd ^= eliminate(panel, pivots);
        for (i, pivot) in (start..).zip(pivots) {
            *pivot += start;
            exchange(a, rows, i, *pivot);
        }
        for (from, to) in panel.chunks_exact(width).zip(a[start * rows..].chunks_exact_mut(rows)) {
            to[start..end].copy_from_slice(from);
        }
        if end == rows {
            break;
        }
        let (above, below) = a.split_at_mut(end * rows);
        let unit = Triangle { unit: true, ..Triangle::of(panel, width, true) };
        unit.substitute(above, [start * rows + end, rows], rows - end);
        let (shape, strides) = ([rows - end, width], [width as isize, 1]);
        let left = Strided::new(panel, &shape, &strides, width * width).expect("they are so many rows");
        let (shape, strides) = ([width, rows - end], [rows as isize, 1]);
        let right = Strided::new(above, &shape, &strides, start * rows + end).expect("they are in their rows");
        subtract_product(left, right, below, [end, rows], work);
    }
    odd
}

by_instruction_set!(
    /// [`lu`] of the columns of a matrix, of which there are as many as pivots, row by row.
    fn eliminate(a: &mut [f64], pivots: &mut [usize]) -> bool = eliminate_by::<>
);

#[inline(always)]
fn eliminate_by<const FUSED: bool>(a: &mut [f64], pivots: &mut [usize]) -> bool {
    let columns = pivots.len();
    let rows = a.len().checked_div(columns).unwrap_or(0);
    let mut odd = false;
    for i in 0..columns {
        let mut pivot = i;
        for j in i + 1..rows {
            if a[j * columns + i].abs() > a[pivot * columns + i].abs() {
                pivot = j;
            }
        }
        pivots[i] = pivot;
        odd ^= pivot != i;
        exchange(a, columns, i, pivot);
        let (above, below) = a.split_at_mut((i + 1) * columns);
        let row = &above[i * columns..];
        if row[i] == 0.0 {
            continue;
        }
        for other in below.chunks_exact_mut(columns) {
            let factor = other[i] / row[i];
            other[i] = factor;
            subtract(&mut other[i + 1..], &row[i + 1..], factor);
        }
    }
    odd
}

/// Overwrites `x`, row-major of `columns` columns, by the solution of `a·x = x` or, `adjoint`, `aᵀ·x = x`, where [`lu`] made
/// `factors` and `pivots` of `a`. `work` holds as many elements as of equations with a triangle,
/// [`solve_work`](crate::triangular::solve_work).
///
/// # Panics
///
/// When the lengths do not fit.
pub fn solve(factors: &[f64], pivots: &[usize], x: &mut [f64], columns: usize, adjoint: bool, work: &mut [f64]) {
    let rows = pivots.len();
    assert!(factors.len() == rows * rows && x.len() == rows * columns, "as many rows as pivots");
    let lower = Triangle { unit: true, ..Triangle::of(factors, rows, true) };
    let upper = Triangle::of(factors, rows, false);
    if adjoint {
        upper.turned().solve(x, columns, work);
        lower.turned().solve(x, columns, work);
        pivots.iter().enumerate().rev().for_each(|(i, &pivot)| exchange(x, columns, i, pivot));
    } else {
        pivots.iter().enumerate().for_each(|(i, &pivot)| exchange(x, columns, i, pivot));
        lower.solve(x, columns, work);
        upper.solve(x, columns, work);
    }
}

/// Exchanges row `i` with another that is not above it.
#[inline(always)]
fn exchange(x: &mut [f64], columns: usize, i: usize, j: usize) {
    if i != j {
        let (above, below) = x.split_at_mut(j * columns);
        above[i * columns..][..columns].swap_with_slice(&mut below[..columns]);
    }
}

/// The sign, 0 of a singular matrix, and the logarithm of the magnitude of the determinant of the matrix of which [`lu`]
/// made `factors` by an odd number of exchanges or not.
pub fn log_determinant(factors: &[f64], rows: usize, odd: bool) -> (f64, f64) {
    let (mut sign, mut log) = (if odd { -1.0 } else { 1.0 }, 0.0);
    for pivot in factors.iter().step_by(rows + 1) {
        if *pivot == 0.0 {
            return (0.0, f64::NEG_INFINITY);
        }
        sign *= if pivot.is_nan() { f64::NAN } else { pivot.signum() };
        log += libm::log(pivot.abs());
    }
    (sign, log)
}

/// The determinant, likewise.
pub fn determinant(factors: &[f64], rows: usize, odd: bool) -> f64 {
    // Magnitude and power of two apart, so that no part of the product overflows.
    let (mut product, mut power) = (if odd { -1.0 } else { 1.0 }, 0_i32);
    for pivot in factors.iter().step_by(rows + 1) {
        let (part, more) = libm::frexp(product * pivot);
        if part == 0.0 || !part.is_finite() {
            return product * pivot;
        }
        (product, power) = (part, power.saturating_add(more));
    }
    libm::ldexp(product, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize) -> Vec<f64> {
        (0..rows * rows).map(|i| libm::sin((i * i + i / 3 + 1) as f64) * if i % 11 == 3 { 0.0 } else { 2.0 }).collect()
    }

    #[test]
    fn solutions_solve_the_equations() {
        for rows in [1, 2, 3, 8, 21] {
            for columns in [0, 1, 3] {
                let a = matrix(rows);
                let b: Vec<f64> = (0..rows * columns).map(|i| libm::cos(i as f64)).collect();
                let (mut factors, mut pivots) = (a.clone(), vec![usize::MAX; rows]);
                lu(&mut factors, &mut pivots, &mut []);
                for adjoint in [false, true] {
                    let mut x = b.clone();
                    solve(&factors, &pivots, &mut x, columns, adjoint, &mut []);
                    for (at, b) in b.iter().enumerate() {
                        let (i, column) = (at / columns, at % columns);
                        let of = |j: usize| if adjoint { a[j * rows + i] } else { a[i * rows + j] };
                        let found: f64 = (0..rows).map(|j| of(j) * x[j * columns + column]).sum();
                        assert!((found - b).abs() < 1e-11, "{rows} {columns} {adjoint}: {found} {b}");
                    }
                }
            }
        }
    }

    fn determinants(a: &[f64], rows: usize) -> (f64, f64, f64) {
        let (mut factors, mut pivots) = (a.to_vec(), vec![0; rows]);
        let odd = lu(&mut factors, &mut pivots, &mut []);
        let (sign, log) = log_determinant(&factors, rows, odd);
        (determinant(&factors, rows, odd), sign, log)
    }

    #[test]
    fn determinants_have_their_signs() {
        assert_eq!(determinants(&[], 0), (1.0, 1.0, 0.0));
        assert_eq!(determinants(&[0.0, 1.0, 1.0, 0.0], 2), (-1.0, -1.0, 0.0));
        let (value, sign, log) = determinants(&[1.0, 2.0, 3.0, 4.0], 2);
        assert!((value + 2.0).abs() < 1e-15 && sign == -1.0 && (log - std::f64::consts::LN_2).abs() < 1e-15);
        assert_eq!(determinants(&[1.0, 2.0, 2.0, 4.0], 2), (0.0, 0.0, f64::NEG_INFINITY));
        let (value, sign, _) = determinants(&[f64::NAN, 1.0, 1.0, 1.0], 2);
        assert!(value.is_nan() && sign.is_nan());
    }

    #[test]
    fn a_product_may_pass_what_overflows() {
        let mut a = [0.0; 16];
        for (i, x) in [1e200, 1e200, 1e-200, 1e-150].into_iter().enumerate() {
            a[i * 5] = x;
        }
        let (value, _, log) = determinants(&a, 4);
        assert!((value / 1e50 - 1.0).abs() < 1e-12 && (log - 50.0 * std::f64::consts::LN_10).abs() < 1e-10);
    }
}
