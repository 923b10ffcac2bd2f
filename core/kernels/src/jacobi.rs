//! Eigenvalues and singular values by Jacobi's rotations.
//!
//! A rotation of two axes makes one element 0, and others that were 0 not; but what lies beside the diagonal becomes
//! less each time, and in the end at a quadratic rate. Rotations come in the order of the indices, so the bits depend on the
//! shape and the elements alone.

/// Rounds over all pairs of axes, which is more than any matrix was seen to need.
const ROUNDS: usize = 64;

/// The cosine and sine of the rotation that makes the symmetric matrix `[[p, x], [x, q]]` diagonal, of the two the smaller.
fn rotation(p: f64, x: f64, q: f64) -> (f64, f64) {
    let ratio = (q - p) / (2.0 * x);
    let tangent = 1.0_f64.copysign(ratio) / (ratio.abs() + libm::hypot(ratio, 1.0));
    let cosine = 1.0 / libm::hypot(tangent, 1.0);
    (cosine, tangent * cosine)
}

/// Rotates two rows of a matrix.
fn rotate(rows: &mut [f64], width: usize, [p, q]: [usize; 2], (cosine, sine): (f64, f64)) {
    let (above, below) = rows.split_at_mut(q * width);
    for (x, y) in above[p * width..][..width].iter_mut().zip(&mut below[..width]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

/// Exchanges two rows of a matrix.
fn exchange(rows: &mut [f64], width: usize, [p, q]: [usize; 2]) {
    let (above, below) = rows.split_at_mut(q * width);
    above[p * width..][..width].swap_with_slice(&mut below[..width]);
}

/// The unit matrix.
fn unit(rows: usize, a: &mut [f64]) {
    a.fill(0.0);
    a.iter_mut().step_by(rows + 1).for_each(|x| *x = 1.0);
}

/// The eigenvalues of a symmetric matrix, from the least on, and its eigenvectors, of length 1.
///
/// Of the row-major `a` the lower triangle counts; it is overwritten. Eigenvector `i` becomes row `i` of `vectors`. Says
/// whether there are any: not of a matrix with NaNs or infinities.
///
/// ```
/// use modulor_kernels::jacobi::eigen;
///
/// let (mut values, mut vectors) = ([0.0; 2], [0.0; 4]);
/// assert!(eigen(&mut [2.0, 0.0, 1.0, 2.0], &mut values, &mut vectors));
/// assert!((values[0] - 1.0).abs() < 1e-15 && (values[1] - 3.0).abs() < 1e-15);
/// assert!((vectors[0] + vectors[1]).abs() < 1e-15);
/// ```
///
/// # Panics
///
/// When `a` and `vectors` do not have the square of as many elements as `values`.
pub fn eigen(a: &mut [f64], values: &mut [f64], vectors: &mut [f64]) -> bool {
    let rows = values.len();
    assert!(a.len() == rows * rows && vectors.len() == rows * rows, "square matrices of {rows} rows");
    for i in 0..rows {
        for j in 0..i {
            a[j * rows + i] = a[i * rows + j];
        }
    }
    let largest = a.iter().fold(0.0_f64, |most, x| if x.abs() > most || x.is_nan() { x.abs() } else { most });
    if !largest.is_finite() {
        return false;
    }
    let scale = power_of(largest);
    a.iter_mut().for_each(|x| *x *= 1.0 / scale);
    unit(rows, vectors);
    // What is less than this changes no eigenvalue.
    let nothing = f64::EPSILON / 64.0 * a.iter().map(|x| x * x).sum::<f64>().sqrt();
    for _ in 0..ROUNDS {
        let mut turned = false;
        for p in 0..rows {
            for q in p + 1..rows {
                let x = a[p * rows + q];
                if x.abs() <= nothing {
                    continue;
                }
                turned = true;
                let (dp, dq) = (a[p * rows + p], a[q * rows + q]);
                let turn = rotation(dp, x, dq);
                rotate(a, rows, [p, q], turn);
                // The columns are the rows, but for the two places on the diagonal.
                for i in 0..rows {
                    a[i * rows + p] = a[p * rows + i];
                    a[i * rows + q] = a[q * rows + i];
                }
                let change = x * (turn.1 / turn.0);
                (a[p * rows + p], a[q * rows + q]) = (dp - change, dq + change);
                (a[p * rows + q], a[q * rows + p]) = (0.0, 0.0);
                rotate(vectors, rows, [p, q], turn);
            }
        }
        if !turned {
            break;
        }
    }
    for (i, value) in values.iter_mut().enumerate() {
        *value = a[i * rows + i] * scale;
    }
    for i in 0..rows {
        let least = (i + 1..rows).fold(i, |least, j| if values[j] < values[least] { j } else { least });
        if least != i {
            values.swap(i, least);
            exchange(vectors, rows, [i, least]);
        }
    }
    true
}

/// The singular values of a matrix, from the greatest on, and its singular vectors, of length 1.
///
/// The matrix has `short` columns of at least as many elements, `long`, and comes as its transpose: row `i` of the row-major
/// `left` is its column `i`. `left` is overwritten by as many left singular vectors as it has rows, at least `short` and at
/// most `long`: those without a singular value complete the others. Right singular vector `i` becomes row `i` of `right`.
/// Says whether there are any: not of a matrix with NaNs or infinities.
///
/// # Panics
///
/// When the lengths do not fit: `left` has a multiple of `long` elements, `right` the square of `short`.
pub fn singular(long: usize, values: &mut [f64], left: &mut [f64], right: &mut [f64]) -> bool {
    let short = values.len();
    let width = left.len().checked_div(long).unwrap_or(0);
    assert!(short <= long && short <= width && width <= long, "{short} columns of {long} elements, and {width} wanted");
    assert!(left.len() == width * long && right.len() == short * short, "vectors of {long} and of {short} elements");
    let (own, more) = left.split_at_mut(short * long);
    let largest = own.iter().fold(0.0_f64, |most, x| if x.abs() > most || x.is_nan() { x.abs() } else { most });
    if !largest.is_finite() {
        return false;
    }
    let scale = power_of(largest);
    own.iter_mut().for_each(|x| *x *= 1.0 / scale);
    unit(short, right);
    // A product of orthogonal rows is as much, by rounding.
    let nothing = f64::EPSILON / 2.0 * (long as f64).sqrt();
    for _ in 0..ROUNDS {
        let mut turned = false;
        for p in 0..short {
            for q in p + 1..short {
                let dot = |i: usize, j: usize| -> f64 {
                    own[i * long..][..long].iter().zip(&own[j * long..][..long]).map(|(x, y)| x * y).sum()
                };
                let (dp, x, dq) = (dot(p, p), dot(p, q), dot(q, q));
                if x.abs() <= nothing * (dp.sqrt() * dq.sqrt()) {
                    continue;
                }
                turned = true;
                let turn = rotation(dp, x, dq);
                rotate(own, long, [p, q], turn);
                rotate(right, short, [p, q], turn);
            }
        }
        if !turned {
            break;
        }
    }
    for (value, row) in values.iter_mut().zip(own.chunks_exact(long)) {
        *value = row.iter().map(|x| x * x).sum::<f64>().sqrt();
    }
    for i in 0..short {
        let most = (i + 1..short).fold(i, |most, j| if values[j] > values[most] { j } else { most });
        if most != i {
            values.swap(i, most);
            exchange(own, long, [i, most]);
            exchange(right, short, [i, most]);
        }
    }
    more.fill(0.0);
    let mut known = 0;
    for (value, row) in values.iter_mut().zip(own.chunks_exact_mut(long)) {
        if *value > 0.0 {
            known += 1;
            row.iter_mut().for_each(|x| *x /= *value);
        }
        *value *= scale;
    }
    for i in known..width {
        complete(left, long, i);
    }
    true
}

/// Makes row `i` one of length 1 that is orthogonal to those above it.
fn complete(rows: &mut [f64], width: usize, i: usize) {
    let (above, below) = rows.split_at_mut(i * width);
    let row = &mut below[..width];
    // The axis of which least lies in the space of the rows.
    let part = |axis: usize| above.iter().skip(axis).step_by(width).map(|x| x * x).sum::<f64>();
    let axis = (1..width).fold((0, part(0)), |least, axis| {
        let own = part(axis);
        if own < least.1 { (axis, own) } else { least }
    });
    row.fill(0.0);
    row[axis.0] = 1.0;
    // Once more, since the first subtraction may leave what is small beside what it took.
    for _ in 0..2 {
        for other in above.chunks_exact(width) {
            let dot: f64 = row.iter().zip(other).map(|(x, y)| x * y).sum();
            row.iter_mut().zip(other).for_each(|(x, y)| *x -= dot * y);
        }
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
}

/// A power of two near a number, so that squares neither overflow nor vanish and quotients are exact; 1 for 0.
fn power_of(largest: f64) -> f64 {
    if largest == 0.0 {
        return 1.0;
    }
    let (_, power) = libm::frexp(largest);
    libm::ldexp(1.0, power.clamp(-1000, 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize) -> Vec<f64> {
        (0..rows * columns).map(|i| libm::sin((i * i + 3 * i) as f64)).collect()
    }

    fn assert_orthonormal(rows: &[f64], width: usize, what: &str) {
        for (i, x) in rows.chunks(width.max(1)).enumerate() {
            for (j, y) in rows.chunks(width.max(1)).enumerate() {
                let dot: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                assert!((dot - f64::from(i == j)).abs() < 1e-14 * width.max(10) as f64 / 10.0, "{what}: {i} {j} {dot}");
            }
        }
    }

    #[test]
    fn eigenvectors_are_turned_nowhere_by_the_matrix() {
        for rows in [0, 1, 2, 3, 6, 17, 40] {
            for scale in [1.0, 1e-170, 1e170] {
                let mut a: Vec<f64> = matrix(rows, rows).iter().map(|x| x * scale).collect();
                let lower = |i: usize, j: usize| i.max(j) * rows + i.min(j);
                let matrix = a.clone();
                let (mut values, mut vectors) = (vec![f64::NAN; rows], vec![f64::NAN; rows * rows]);
                assert!(eigen(&mut a, &mut values, &mut vectors));
                assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
                assert_orthonormal(&vectors, rows, "eigenvectors");
                for (value, vector) in values.iter().zip(vectors.chunks(rows.max(1))) {
                    for i in 0..rows {
                        let turned: f64 = (0..rows).map(|j| matrix[lower(i, j)] * vector[j]).sum();
                        assert!((turned - value * vector[i]).abs() < 1e-14 * rows as f64 * scale, "{rows} {scale}");
                    }
                }
            }
        }
    }

    #[test]
    fn eigenvalues_of_special_matrices() {
        let (mut values, mut vectors) = ([0.0; 3], [0.0; 9]);
        assert!(eigen(&mut [0.0; 9], &mut values, &mut vectors) && values == [0.0; 3]);
        assert_orthonormal(&vectors, 3, "of zeros");
        let mut equal = [2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0];
        assert!(eigen(&mut equal, &mut values, &mut vectors) && values == [2.0; 3]);
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(!eigen(&mut [1.0, 0.0, bad, 1.0], &mut values[..2], &mut vectors[..4]));
        }
    }

    fn factors(long: usize, short: usize, width: usize, columns: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let (mut left, mut right) = (vec![f64::NAN; width * long], vec![f64::NAN; short * short]);
        left[..short * long].copy_from_slice(columns);
        let mut values = vec![f64::NAN; short];
        assert!(singular(long, &mut values, &mut left, &mut right));
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]) && values.iter().all(|&value| value >= 0.0));
        assert_orthonormal(&left, long, "left vectors");
        assert_orthonormal(&right, short, "right vectors");
        (values, left, right)
    }

    #[test]
    fn the_product_is_the_matrix() {
        for (long, short) in [(1, 1), (4, 1), (3, 3), (7, 4), (23, 11), (9, 0)] {
            for width in [short, long] {
                for scale in [1.0, 1e-200, 1e200] {
                    let columns: Vec<f64> = matrix(short, long).iter().map(|x| x * scale).collect();
                    let (values, left, right) = factors(long, short, width, &columns);
                    for (at, x) in columns.iter().enumerate() {
                        let (column, row) = (at / long, at % long);
                        let product: f64 =
                            (0..short).map(|k| left[k * long + row] * values[k] * right[k * short + column]).sum();
                        assert!((product - x).abs() < 1e-13 * scale, "{long} {short} {scale}");
                    }
                }
            }
        }
    }

    #[test]
    fn matrices_of_less_rank_have_whole_bases() {
        let (values, ..) = factors(4, 3, 4, &[0.0; 12]);
        assert_eq!(values, [0.0; 3]);
        let (values, ..) = factors(3, 2, 3, &[1.0, 2.0, 2.0, 2.0, 4.0, 4.0]);
        assert!((values[0] - 45.0_f64.sqrt()).abs() < 1e-14 && values[1] < 1e-15);
        let mut values = [0.0];
        assert!(!singular(2, &mut values, &mut [1.0, f64::NAN], &mut [0.0]));
    }
}
