//! Cholesky decomposition.

/// Overwrites the row-major square matrix `a`, of which the lower triangle counts, by the lower triangle L with positive
/// diagonal and `L·Lᵀ = a`, and zeros above it. Says whether there is one: whether the matrix is positive definite. If
/// not, it holds garbage.
///
/// Every sum runs in the order of the columns, so the bits depend on the shape and the elements alone. NaNs make NaNs.
///
/// ```
/// use modulor_kernels::cholesky::cholesky;
///
/// let mut a = [4.0, 7.0, 2.0, 10.0];
/// assert!(cholesky(2, &mut a));
/// assert_eq!(a, [2.0, 0.0, 1.0, 3.0]);
/// assert!(!cholesky(1, &mut [-1.0]));
/// ```
///
/// # Panics
///
/// When `a` has not `rows` squared elements.
pub fn cholesky(rows: usize, a: &mut [f64]) -> bool {
    assert!(a.len() == rows * rows, "a square matrix of {rows} rows");
    for i in 0..rows {
        let (above, row) = a.split_at_mut(i * rows);
        for (j, known) in above.chunks_exact(rows).enumerate() {
            let sum: f64 = row[..j].iter().zip(&known[..j]).map(|(x, y)| x * y).sum();
            row[j] = (row[j] - sum) / known[j];
        }
        let square = row[i] - row[..i].iter().map(|x| x * x).sum::<f64>();
        if square <= 0.0 {
            return false;
        }
        row[i] = square.sqrt();
        row[i + 1..rows].fill(0.0);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_the_triangle_is_the_matrix() {
        for rows in [0, 1, 2, 3, 7, 20] {
            let factor: Vec<f64> = (0..rows * rows).map(|i| libm::sin((i * i) as f64)).collect();
            let mut a = vec![f64::INFINITY; rows * rows];
            for i in 0..rows {
                for j in 0..=i {
                    let dot: f64 = (0..rows).map(|k| factor[i * rows + k] * factor[j * rows + k]).sum();
                    a[i * rows + j] = dot + f64::from(i == j);
                }
            }
            let matrix = a.clone();
            assert!(cholesky(rows, &mut a));
            for i in 0..rows {
                for j in 0..rows {
                    let product: f64 = (0..rows).map(|k| a[i * rows + k] * a[j * rows + k]).sum();
                    assert!(j > i && a[i * rows + j] == 0.0 || (product - matrix[i * rows + j]).abs() < 1e-13);
                }
                assert!(a[i * rows + i] > 0.0);
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_has_none() {
        assert!(!cholesky(2, &mut [1.0, 0.0, 1.0, 1.0]));
        assert!(!cholesky(2, &mut [0.0, 0.0, 0.0, 1.0]));
        let mut a = [1.0, 0.0, f64::NAN, 1.0];
        assert!(cholesky(2, &mut a) && a[3].is_nan());
    }
}
