//! LU decomposition with pivots, and what follows from it: solutions, inverses, determinants.

/// Overwrites the row-major square matrix `a` by L below its diagonal and U on and above it: L has ones on its diagonal,
/// and `L·U` is `a` with row `i` and row `pivots[i]`, which is `i` or below, exchanged for each `i` in turn. Returns
/// whether the exchanges are an odd number.
///
/// The pivot is the first of the largest magnitudes in its column; where that is 0, so is the diagonal of U.
/// Every sum runs in the order of the columns, so the bits depend on the shape and the elements alone.
///
/// # Panics
///
/// When `a` has not the square of as many elements as `pivots`.
pub fn lu(a: &mut [f64], pivots: &mut [usize]) -> bool {
    let rows = pivots.len();
    assert!(a.len() == rows * rows, "a square matrix of {rows} rows");
    let mut odd = false;
    for i in 0..rows {
        let mut pivot = i;
        for j in i + 1..rows {
            // A NaN is larger than any, so that it stays to be seen.
            if !(a[j * rows + i].abs() <= a[pivot * rows + i].abs() || a[pivot * rows + i].is_nan()) {
                pivot = j;
            }
        }
        pivots[i] = pivot;
        if pivot != i {
            odd = !odd;
            let (above, below) = a.split_at_mut(pivot * rows);
            above[i * rows..][..rows].swap_with_slice(&mut below[..rows]);
        }
        let (above, below) = a.split_at_mut((i + 1) * rows);
        let row = &above[i * rows..];
        if row[i] == 0.0 {
            continue;
        }
        for other in below.chunks_exact_mut(rows) {
            let factor = other[i] / row[i];
            other[i] = factor;
            for (x, y) in other[i + 1..].iter_mut().zip(&row[i + 1..]) {
                *x -= factor * y;
            }
        }
    }
    odd
}

/// Overwrites `x`, row-major of `columns` columns, by the solution of `a·x = x` or, `adjoint`, `aᵀ·x = x`, where [`lu`] made
/// `factors` and `pivots` of `a`.
///
/// # Panics
///
/// When the lengths do not fit.
pub fn solve(factors: &[f64], pivots: &[usize], x: &mut [f64], columns: usize, adjoint: bool) {
    let rows = pivots.len();
    assert!(factors.len() == rows * rows && x.len() == rows * columns, "as many rows as pivots");
    if columns == 0 {
        return;
    }
    if !adjoint {
        for (i, &pivot) in pivots.iter().enumerate() {
            exchange(x, columns, i, pivot);
        }
    }
    // Lᵀ and Uᵀ change places: the first triangle is solved downwards, the other upwards.
    let factor = |i: usize, j: usize| if adjoint { factors[j * rows + i] } else { factors[i * rows + j] };
    for i in 0..rows {
        for j in 0..i {
            subtract(x, columns, i, j, factor(i, j));
        }
        if adjoint {
            x[i * columns..][..columns].iter_mut().for_each(|x| *x /= factors[i * rows + i]);
        }
    }
    for i in (0..rows).rev() {
        for j in i + 1..rows {
            subtract(x, columns, i, j, factor(i, j));
        }
        if !adjoint {
            x[i * columns..][..columns].iter_mut().for_each(|x| *x /= factors[i * rows + i]);
        }
    }
    if adjoint {
        for (i, &pivot) in pivots.iter().enumerate().rev() {
            exchange(x, columns, i, pivot);
        }
    }
}

/// Two rows, the first of them mutable.
fn two(x: &mut [f64], columns: usize, i: usize, j: usize) -> (&mut [f64], &mut [f64]) {
    let (above, below) = x.split_at_mut(i.max(j) * columns);
    let (high, low) = (&mut above[i.min(j) * columns..][..columns], &mut below[..columns]);
    if i < j { (high, low) } else { (low, high) }
}

fn exchange(x: &mut [f64], columns: usize, i: usize, j: usize) {
    if i != j {
        let (one, other) = two(x, columns, i, j);
        one.swap_with_slice(other);
    }
}

/// Subtracts so many times row `j` from row `i`.
fn subtract(x: &mut [f64], columns: usize, i: usize, j: usize, factor: f64) {
    let (of, from) = two(x, columns, i, j);
    for (x, y) in of.iter_mut().zip(from) {
        *x -= factor * *y;
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
                lu(&mut factors, &mut pivots);
                for adjoint in [false, true] {
                    let mut x = b.clone();
                    solve(&factors, &pivots, &mut x, columns, adjoint);
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
        let odd = lu(&mut factors, &mut pivots);
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
