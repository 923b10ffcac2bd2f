//! Cholesky decomposition.

use crate::dispatch::by_instruction_set;
use crate::elimination::{STEP, product_work, subtract, subtract_product};
use crate::parts::{Matrix, divide_rows};
use crate::strided::Strided;

/// The columns of the rest of a matrix that one product is subtracted from: what it computes above the diagonal is wasted.
const WIDE: usize = 3 * STEP;
/// Picoseconds for a row below a block.
const ROW: usize = 300_000;

/// The elements of work that [`cholesky`] wants, for a matrix of so many rows: none of a small one.
pub fn cholesky_work(rows: usize) -> usize {
    match rows.checked_sub(STEP) {
        None | Some(0) => 0,
        Some(below) => STEP * STEP + below * STEP + product_work(below, WIDE),
    }
}

/// Overwrites the row-major square matrix `a`, of which the lower triangle counts, by the lower triangle L with positive
/// diagonal and `L·Lᵀ = a`, and zeros above it. Says whether there is one: whether the matrix is positive definite. If
/// not, it holds garbage. `work` holds [`cholesky_work`] elements.
///
/// Every sum runs in the order of the columns, some at a time, so the bits depend on the shape and the elements alone. NaNs
/// make NaNs.
///
/// ```
/// use modulor_kernels::cholesky::cholesky;
///
/// let mut a = [4.0, 7.0, 2.0, 10.0];
/// assert!(cholesky(2, &mut a, &mut []));
/// assert_eq!(a, [2.0, 0.0, 1.0, 3.0]);
/// assert!(!cholesky(1, &mut [-1.0], &mut []));
/// ```
///
/// # Panics
///
/// When `a` has not `rows` squared elements, or `work` is too short.
pub fn cholesky(rows: usize, a: &mut [f64], work: &mut [f64]) -> bool {
    assert!(a.len() == rows * rows, "a square matrix of {rows} rows");
    let (triangle, work) = work.split_at_mut(if rows > STEP { STEP * STEP } else { 0 });
    for start in (0..rows).step_by(STEP) {
        let (width, end) = (STEP.min(rows - start), rows.min(start + STEP));
        if !on_diagonal(&mut a[start * rows + start..], rows, width) {
            return false;
        }
        if end == rows {
            break;
        }
        // The rows below of the block's columns, by its triangle.
        for (i, row) in a[start * rows..].chunks_exact(rows).take(width).enumerate() {
            row[start..end].iter().enumerate().for_each(|(j, &x)| triangle[j * width + i] = x);
        }
        let triangle = &*triangle;
        let below = &mut a[end * rows..];
        divide_rows(rows - end, ROW, Matrix::new(below, rows), |_, below| {
            below.chunks_exact_mut(rows).for_each(|row| substitute(triangle, &mut row[start..end]));
        });
        let (panel, work) = work.split_at_mut((rows - end) * width);
        for (to, row) in panel.chunks_exact_mut(width).zip(a[end * rows..].chunks_exact(rows)) {
            to.copy_from_slice(&row[start..end]);
        }
        for first in (end..rows).step_by(WIDE) {
            let offset = (first - end) * width;
            let (shape, strides) = ([rows - first, width], [width as isize, 1]);
            let left = Strided::new(panel, &shape, &strides, offset).expect("they are so many rows");
            let (shape, strides) = ([width, WIDE.min(rows - first)], [1, width as isize]);
            let right = Strided::new(panel, &shape, &strides, offset).expect("they are so many rows");
            subtract_product(left, right, &mut a[first * rows..], [first, rows], work);
        }
    }
    for (i, row) in a.chunks_exact_mut(rows.max(1)).enumerate() {
        row[i + 1..].fill(0.0);
    }
    true
}

/// [`cholesky`] of so many rows, which are `pitch` apart; what is above the diagonal stays.
fn on_diagonal(a: &mut [f64], pitch: usize, rows: usize) -> bool {
    for i in 0..rows {
        let (above, row) = a.split_at_mut(i * pitch);
        for (j, known) in above.chunks_exact(pitch).enumerate() {
            let sum: f64 = row[..j].iter().zip(&known[..j]).map(|(x, y)| x * y).sum();
            row[j] = (row[j] - sum) / known[j];
        }
        let square = row[i] - row[..i].iter().map(|x| x * x).sum::<f64>();
        if square <= 0.0 {
            return false;
        }
        row[i] = square.sqrt();
    }
    true
}

by_instruction_set!(
    /// Overwrites the row `x` by the solution of `x·triangle = x`, of an upper triangle of so many rows.
    fn substitute(triangle: &[f64], x: &mut [f64]) = substitute_by::<>
);

#[inline(always)]
fn substitute_by<const FUSED: bool>(triangle: &[f64], x: &mut [f64]) {
    let columns = x.len();
    for j in 0..columns {
        let (solved, rest) = x.split_at_mut(j + 1);
        let row = &triangle[j * columns..][..columns];
        solved[j] /= row[j];
        subtract(rest, &row[j + 1..], solved[j]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_the_triangle_is_the_matrix() {
        for rows in [0, 1, 2, 3, 7, 20, 63, 64, 65, 131, 257] {
            let factor: Vec<f64> = (0..rows * rows).map(|i| libm::sin((i * i) as f64)).collect();
            let mut a = vec![f64::INFINITY; rows * rows];
            for i in 0..rows {
                for j in 0..=i {
                    let dot: f64 = (0..rows).map(|k| factor[i * rows + k] * factor[j * rows + k]).sum();
                    a[i * rows + j] = dot + f64::from(i == j);
                }
            }
            let matrix = a.clone();
            assert!(cholesky(rows, &mut a, &mut vec![f64::NAN; cholesky_work(rows)]));
            for i in 0..rows {
                for j in 0..rows {
                    let product: f64 = (0..rows).map(|k| a[i * rows + k] * a[j * rows + k]).sum();
                    assert!(j > i && a[i * rows + j] == 0.0 || (product - matrix[i * rows + j]).abs() < 1e-12);
                }
                assert!(a[i * rows + i] > 0.0);
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_has_none() {
        assert!(!cholesky(2, &mut [1.0, 0.0, 1.0, 1.0], &mut []));
        assert!(!cholesky(2, &mut [0.0, 0.0, 0.0, 1.0], &mut []));
        let mut a = [1.0, 0.0, f64::NAN, 1.0];
        assert!(cholesky(2, &mut a, &mut []) && a[3].is_nan());
    }
}
