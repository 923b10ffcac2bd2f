//! QR decomposition by Householder reflections.

/// The elements of scratch that [`qr`] needs.
pub fn qr_work(rows: usize, cols: usize) -> usize {
    rows + rows.min(cols) + rows.max(cols)
}

/// Factors the row-major `rows × cols` matrix `a` into Q with orthonormal columns times an upper triangular R.
///
/// `q` receives `width` columns of Q, at least k = min(rows, cols), which are enough to give `a` back, and at most
/// `rows`. The first k rows of `a` become R's and the others zero; `work` holds [`qr_work`] elements. Signs are TensorFlow's: an entry of R's diagonal is positive where the element that its
/// reflection met there was negative, and is that element itself where nothing was left below it to reflect.
///
/// Every sum runs in the order of the indices, so the bits depend on the shape and the elements alone. An element that
/// is not finite, or whose square is not, makes NaNs.
///
/// # Panics
///
/// When a slice is shorter than said, or `width` out of its range.
pub fn qr(rows: usize, cols: usize, width: usize, a: &mut [f64], q: &mut [f64], work: &mut [f64]) {
    let k = rows.min(cols);
    assert!(k <= width && width <= rows, "Q of {rows} rows has {k} to {rows} columns, not {width}");
    let (a, q) = (&mut a[..rows * cols], &mut q[..rows * width]);
    let (v, work) = work.split_at_mut(rows);
    let (scales, sums) = work.split_at_mut(k);

    // Reflection j leaves rows above j alone and has 1 in row j; what it has below goes where it made zeros.
    for j in 0..k {
        for i in j..rows {
            v[i] = a[i * cols + j];
        }
        let diagonal;
        (diagonal, scales[j]) = reflection(&mut v[j..]);
        reflect(&v[j..], scales[j], &mut a[j * cols..], cols, j + 1, sums);
        a[j * cols + j] = diagonal;
        for i in j + 1..rows {
            a[i * cols + j] = v[i];
        }
    }

    // Q is the reflections' product. With the last applied first, column j and those before it are still the unit
    // matrix's when reflection j comes.
    q.fill(0.0);
    q.iter_mut().step_by(width + 1).take(width).for_each(|x| *x = 1.0);
    for j in (0..k).rev() {
        v[j] = 1.0;
        for i in j + 1..rows {
            v[i] = std::mem::take(&mut a[i * cols + j]);
        }
        reflect(&v[j..], scales[j], &mut q[j * width..], width, j, sums);
    }
}

/// Turns the vector `x` into the v of the reflection `I - scale·v·vᵀ` that sends it to `(diagonal, 0, …, 0)`, with
/// v₀ = 1; returns `(diagonal, scale)`.
fn reflection(x: &mut [f64]) -> (f64, f64) {
    let first = std::mem::replace(&mut x[0], 1.0);
    let below: f64 = x[1..].iter().map(|x| x * x).sum();
    if below <= f64::MIN_POSITIVE {
        x[1..].fill(0.0);
        return (first, 0.0);
    }
    let norm = (first * first + below).sqrt();
    // Of the two images, the one whose difference from x has no cancellation.
    let diagonal = if first >= 0.0 { -norm } else { norm };
    for x in &mut x[1..] {
        *x /= first - diagonal;
    }
    (diagonal, (diagonal - first) / diagonal)
}

/// Applies `I - scale·v·vᵀ` to the columns from `from` on of the `v.len() × cols` matrix `m`.
fn reflect(v: &[f64], scale: f64, m: &mut [f64], cols: usize, from: usize, sums: &mut [f64]) {
    if scale == 0.0 || from >= cols {
        return;
    }
    let sums = &mut sums[..cols - from];
    sums.fill(0.0);
    for (v, row) in v.iter().zip(m.chunks_exact(cols)) {
        for (sum, x) in sums.iter_mut().zip(&row[from..]) {
            *sum += v * x;
        }
    }
    for (v, row) in v.iter().zip(m.chunks_exact_mut(cols)) {
        let v = scale * v;
        for (sum, x) in sums.iter().zip(&mut row[from..]) {
            *x -= v * sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(rows: usize, cols: usize, a: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let thin = factors_of_width(rows, cols, rows.min(cols), a);
        let full = factors_of_width(rows, cols, rows, a);
        assert_eq!(format!("{:?}", thin.1), format!("{:?}", full.1));
        for (thin, full) in thin.0.chunks(rows.min(cols).max(1)).zip(full.0.chunks(rows.max(1))) {
            assert_eq!(format!("{thin:?}"), format!("{:?}", &full[..thin.len()]));
        }
        thin
    }

    fn factors_of_width(rows: usize, cols: usize, width: usize, a: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut r, mut q) = (a.to_vec(), vec![f64::NAN; rows * width]);
        qr(rows, cols, width, &mut r, &mut q, &mut vec![f64::NAN; qr_work(rows, cols)]);
        (q, r)
    }

    fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        for (x, y) in found.iter().zip(expected) {
            assert!((x - y).abs() <= tolerance, "{found:?} is not {expected:?}");
        }
    }

    const TALL_Q: [f64; 6] = [
        -0.16903085094570325,
        -0.21398024625545647,
        0.5070925528371099,
        -0.8559209850218258,
        -0.8451542547285166,
        -0.4707565417620042,
    ];
    const TALL_R: [f64; 6] = [-5.916079783099616, -3.3806170189140667, 0.0, -6.676183683170241, 0.0, 0.0];
    const WIDE_Q: [f64; 4] = [-0.24253562503633308, 0.970142500145332, 0.970142500145332, 0.24253562503633286];
    const WIDE_R: [f64; 6] =
        [4.123105625617661, 4.365641250653994, 5.093248125762992, 0.0, 3.1529631254723283, 4.365641250653994];

    /// `tf.linalg.qr` of TensorFlow 2.21 in float64.
    #[test]
    fn factors_are_tensorflows() {
        let (q, r) = factors(3, 2, &[1.0, 2.0, -3.0, 4.0, 5.0, 6.0]);
        assert_near(&q, &TALL_Q, 1e-14);
        assert_near(&r, &TALL_R, 1e-14);
        let (q, r) = factors(2, 3, &[-1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_near(&q, &WIDE_Q, 1e-14);
        assert_near(&r, &WIDE_R, 1e-14);
    }

    #[test]
    fn the_product_is_the_matrix_and_the_columns_are_orthonormal() {
        for (rows, cols) in [(1, 1), (1, 4), (4, 1), (5, 5), (17, 9), (9, 17), (40, 40)] {
            let a: Vec<f64> = (0..rows * cols).map(|i| libm::sin((i * i + 3 * i) as f64)).collect();
            factors(rows, cols, &a);
            let (q, r) = factors_of_width(rows, cols, rows, &a);
            let k = rows;
            for i in 0..rows {
                for j in 0..cols {
                    let product: f64 = (0..k).map(|l| q[i * k + l] * r[l * cols + j]).sum();
                    assert!((product - a[i * cols + j]).abs() < 1e-13, "{rows}x{cols}: product at {i}, {j}");
                    assert!(j >= i || r[i * cols + j] == 0.0, "{rows}x{cols}: R at {i}, {j}");
                }
            }
            for i in 0..k {
                for j in 0..k {
                    let product: f64 = (0..rows).map(|l| q[l * k + i] * q[l * k + j]).sum();
                    assert!((product - f64::from(i == j)).abs() < 1e-14, "{rows}x{cols}: QᵀQ at {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn empty_and_singular_matrices_have_factors_too() {
        assert_eq!(factors(0, 3, &[]), (vec![], vec![]));
        assert_eq!(factors(2, 0, &[]), (vec![], vec![]));
        assert_eq!(factors(2, 2, &[0.0; 4]), (vec![1.0, 0.0, 0.0, 1.0], vec![0.0; 4]));
        for at in 0..4 {
            let mut a = [1.0, 4.0, 2.0, 3.0];
            a[at] = f64::NAN;
            assert!(factors(2, 2, &a).1.iter().any(|x| x.is_nan()));
        }
    }
}
