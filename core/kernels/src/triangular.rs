//! Linear equations with a triangular matrix, by substitution.

use crate::elimination::{STEP, Triangle, product_work};

/// The elements of work that [`solve`] wants, for a matrix of so many rows and as many columns of solutions: none of a small
/// one.
pub fn solve_work(rows: usize, columns: usize) -> usize {
    if rows > STEP { product_work(rows - 1, columns) } else { 0 }
}

/// Overwrites `x`, row-major of `columns` columns, by the solution of `a·x = x` or, `adjoint`, `aᵀ·x = x`, where `a` is a
/// row-major square matrix of which the lower or the upper triangle counts. `work` holds [`solve_work`] elements.
///
/// Every sum runs in the order of the rows that are solved, some at a time, so the bits depend on the shape and the elements
/// alone. A zero on the diagonal makes infinities and NaNs.
///
/// ```
/// use modulor_kernels::triangular::solve;
///
/// let a = [2.0, 0.0, 1.0, 4.0];
/// let mut x = [2.0, 9.0];
/// solve(&a, &mut x, 1, true, false, &mut []);
/// assert_eq!(x, [1.0, 2.0]);
/// ```
///
/// # Panics
///
/// When `a` is not square, `x` has not as many rows, or `work` is too short.
pub fn solve(a: &[f64], x: &mut [f64], columns: usize, lower: bool, adjoint: bool, work: &mut [f64]) {
    let rows = a.len().isqrt();
    assert!(rows * rows == a.len() && rows * columns == x.len(), "a square matrix, and as many rows");
    let triangle = Triangle::of(a, rows, lower);
    let triangle = if adjoint { triangle.turned() } else { triangle };
    triangle.solve(x, columns, work);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_solution_solves_the_equations() {
        let rows = 5;
        let a: Vec<f64> = (0..rows * rows).map(|i| libm::sin((i * i) as f64) + f64::from(i % 6 == 0) * 3.0).collect();
        let b: Vec<f64> = (0..rows * 2).map(|i| libm::cos(i as f64)).collect();
        for (lower, adjoint) in [(true, false), (true, true), (false, false), (false, true)] {
            let mut x = b.clone();
            solve(&a, &mut x, 2, lower, adjoint, &mut []);
            for i in 0..rows {
                for column in 0..2 {
                    let counts = |row: usize, column: usize| if lower { column <= row } else { column >= row };
                    let term = |j: usize| {
                        let (row, column_of_a) = if adjoint { (j, i) } else { (i, j) };
                        let factor = if counts(row, column_of_a) { a[row * rows + column_of_a] } else { 0.0 };
                        factor * x[j * 2 + column]
                    };
                    let found: f64 = (0..rows).map(term).sum();
                    assert!((found - b[i * 2 + column]).abs() < 1e-14, "{lower} {adjoint}: row {i}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_solved_of_nothing() {
        solve(&[], &mut [], 3, true, false, &mut []);
        solve(&[1.0], &mut [], 0, true, false, &mut []);
    }
}
