//! How near a result must come to TensorFlow's, by the class of the op.

use super::case::{Case, reals, run, widened};
use super::report::{Report, difference};
use modulor::op::Accuracy;
use modulor::{DType, Error, Result, Tensor};
use num_complex::Complex64;

/// Ops that are sums of products of their inputs: the sum of the magnitudes of the terms is the same op over the
/// magnitudes of the inputs, in float64. For others of class `Sum`, the largest magnitude among the results stands
/// for it, which is less, so that the bound is stricter.
const SUMS_OF_TERMS: &[&str] = &[
    "AddN",
    "BatchMatMulV2",
    "BiasAddGrad",
    "Cumprod",
    "Cumsum",
    "L2Loss",
    "MatMul",
    "Mean",
    "Prod",
    "ScatterNd",
    "Sum",
    "UnsortedSegmentSum",
];

/// Whether an op is a Fourier transform: of magnitudes, the first element of what it gives is the sum that all others are less
/// than.
fn is_transform(name: &str) -> bool {
    name.trim_end_matches("2D").trim_end_matches("3D").ends_with("FFT")
}

/// Compares what was computed with what TensorFlow recorded.
pub fn check(case: &Case, found: &[Tensor], report: &mut Report) {
    if found.len() != case.outputs.len() {
        return report.add(case, "number of outputs", found.len(), case.outputs.len());
    }
    let (mut found, mut outputs, mut references) = (found.to_vec(), case.outputs.clone(), case.reference.clone());
    let determined: Option<fn(&mut [Tensor])> = match case.def.name {
        "Eig" => Some(determined_complex_eigenvectors),
        "Qr" => Some(determined),
        "SelfAdjointEigV2" => Some(determined_eigenvectors),
        "Svd" => Some(determined_singular_vectors),
        _ => None,
    };
    if let Some(determined) = determined {
        determined(&mut found);
        determined(&mut outputs);
        let wide: Option<Vec<Tensor>> = references.iter().cloned().collect();
        references = wide.map_or(references, |mut wide| {
            determined(&mut wide);
            wide.into_iter().map(Some).collect()
        });
    }
    for (k, (found, recorded)) in found.iter().zip(&outputs).enumerate() {
        if found.spec() != recorded.spec() {
            report.add(case, "spec", found.spec(), recorded.spec());
            continue;
        }
        // Where a reference is NaN and the narrow result is not, the float64 kernel is at fault.
        let finer = |r: &Tensor| reals(r).iter().zip(reals(recorded)).all(|(r, t)| !r.is_nan() || t.is_nan());
        let reference = references.get(k).cloned().flatten().filter(finer);
        let class = match case.def.accuracy {
            class if found.dtype().is_float() => class,
            // Parts of products are sums of products.
            class if found.dtype().is_complex() && class != Accuracy::Exact => Accuracy::Sum,
            _ => Accuracy::Exact,
        };
        let expected = if class == Accuracy::Exact { recorded } else { reference.as_ref().unwrap_or(recorded) };
        match kept_subnormals(case, k, found, recorded, expected) {
            Err((found, expected)) => report.add(case, "subnormal", found, expected),
            Ok(found) => match class {
                Accuracy::Exact => exact(case, &found, expected, report),
                Accuracy::Ulp4 => ulps(case, 4, &found, expected, report),
                Accuracy::Special => ulps(case, 64, &found, expected, report),
                Accuracy::Sum => sum(case, k, &found, expected, report),
            },
        }
    }
}

/// What a matrix determines of its Q and R: up to the signs of Q's columns and R's rows, which are made those of a positive
/// diagonal of R, and without the columns of a full Q for which R has zeros.
fn determined(factors: &mut [Tensor]) {
    let [q, r] = factors else { panic!("a QR decomposition has two outputs") };
    let (q_dims, r_dims) = (q.dims().expect("a value").to_vec(), r.dims().expect("a value").to_vec());
    let [rows, width, columns] = [q_dims[q_dims.len() - 2], q_dims[q_dims.len() - 1], r_dims[r_dims.len() - 1]];
    let (mut qs, mut rs) = (reals(q), reals(r));
    for (q, r) in qs.chunks_mut((rows * width).max(1)).zip(rs.chunks_mut((width * columns).max(1))) {
        for i in 0..width {
            let sign = if i >= rows.min(columns) { 0.0 } else { 1_f64.copysign(r[i * columns + i]) };
            q.iter_mut().skip(i).step_by(width).for_each(|x| *x *= sign);
            r[i * columns..][..columns].iter_mut().for_each(|x| *x *= sign);
        }
    }
    *q = again(&q_dims, q.dtype(), qs);
    *r = again(&r_dims, r.dtype(), rs);
}

/// The sign of the greatest element of a column.
fn sign(matrix: &[f64], columns: usize, i: usize) -> f64 {
    let column = matrix.iter().skip(i).step_by(columns);
    1_f64.copysign(column.fold(0.0, |most: f64, &x| if x.abs() > most.abs() { x } else { most }))
}

/// Multiplies a column.
fn scale(matrix: &mut [f64], columns: usize, i: usize, by: f64) {
    matrix.iter_mut().skip(i).step_by(columns).for_each(|x| *x *= by);
}

/// What a matrix determines of its eigenvectors: up to their signs, which are made those of their greatest elements.
fn determined_eigenvectors(both: &mut [Tensor]) {
    let [_, v] = both else { panic!("eigenvalues and eigenvectors") };
    let dims = v.dims().expect("a value").to_vec();
    let [.., rows, columns] = *dims else { return };
    let mut vs = reals(v);
    for v in vs.chunks_mut((rows * columns).max(1)) {
        (0..columns).for_each(|i| scale(v, columns, i, sign(v, columns, i)));
    }
    *v = again(&dims, v.dtype(), vs);
}

/// Eigenvalues, those of about one real part by their imaginary ones, and eigenvectors whose greatest element is real.
fn determined_complex_eigenvectors(both: &mut [Tensor]) {
    // There are no references of complex numbers.
    let [e, v] = both else { return };
    let [e_dims, v_dims] = [&*e, &*v].map(|t| t.dims().expect("a value").to_vec());
    let Some(&size) = e_dims.last() else { return };
    let numbers = |t: &Tensor| -> Vec<Complex64> { reals(t).chunks(2).map(|z| Complex64::new(z[0], z[1])).collect() };
    let (mut es, mut vs) = (numbers(e), numbers(v));
    let has_vectors = v_dims.len() > 1;
    for (i, e) in es.chunks_mut(size.max(1)).enumerate() {
        let v = if has_vectors { &mut vs[i * size * size..][..size * size] } else { &mut [] };
        let near = 1e-4 * e.iter().fold(0.0, |most: f64, x| most.max(x.norm()));
        let is_before = |a: Complex64, b: Complex64| if (a.re - b.re).abs() > near { a.re < b.re } else { a.im < b.im };
        for k in 0..size {
            let next = (k..size).fold(k, |next, i| if is_before(e[i], e[next]) { i } else { next });
            e.swap(k, next);
            v.chunks_mut(size).for_each(|row| row.swap(k, next));
            let greatest = v
                .chunks(size)
                .map(|row| row[k])
                .fold(Complex64::ZERO, |most, x| if x.norm() > most.norm() + 1e-3 { x } else { most });
            let turn = greatest.conj() / greatest.norm();
            v.chunks_mut(size).for_each(|row| row[k] *= turn);
        }
    }
    for (t, dims, numbers) in [(e, e_dims, es), (v, v_dims, vs)] {
        *t = match t.dtype() {
            DType::Complex64 => {
                let narrow = |z: Complex64| num_complex::Complex32::new(z.re as f32, z.im as f32);
                Tensor::new(dims, numbers.into_iter().map(narrow).collect::<Vec<_>>())
            }
            _ => Tensor::new(dims, numbers),
        }
        .expect("the same shape");
    }
}

/// What a matrix determines of its singular vectors: up to the signs of pairs, and without those of singular values of 0.
fn determined_singular_vectors(all: &mut [Tensor]) {
    let [s, u, v] = all else { panic!("singular values and vectors of two sides") };
    let [u_dims, v_dims] = [&*u, &*v].map(|t| t.dims().expect("a value").to_vec());
    let ([.., m, left], [.., n, right]) = (&*u_dims, &*v_dims) else { return };
    let ((m, left), (n, right)) = ((*m, *left), (*n, *right));
    let least = m.min(n);
    let (ss, mut us, mut vs) = (reals(s), reals(u), reals(v));
    let pairs = us.chunks_mut((m * left).max(1)).zip(vs.chunks_mut((n * right).max(1)));
    for ((u, v), s) in pairs.zip(ss.chunks(least.max(1))) {
        for i in 0..left.max(right) {
            let counts = i < least && s[i] > 1e-6 * s[0];
            let by = if counts { sign(u, left, i) } else { 0.0 };
            if i < left {
                scale(u, left, i, by);
            }
            if i < right {
                scale(v, right, i, by);
            }
        }
    }
    *u = again(&u_dims, u.dtype(), us);
    *v = again(&v_dims, v.dtype(), vs);
}

/// Numbers of a float dtype as a tensor of it.
fn again(dims: &[usize], dtype: DType, values: Vec<f64>) -> Tensor {
    match dtype {
        DType::F16 => Tensor::new(dims, values.into_iter().map(half::f16::from_f64).collect::<Vec<_>>()),
        DType::BF16 => Tensor::new(dims, values.into_iter().map(half::bf16::from_f64).collect::<Vec<_>>()),
        DType::F32 => Tensor::new(dims, values.into_iter().map(|x| x as f32).collect::<Vec<_>>()),
        _ => Tensor::new(dims, values),
    }
    .expect("as many elements as before")
}

/// Compares the kind of an error with TensorFlow's class of it, and looks for the op's name.
pub fn check_error(case: &Case, error: &Error, expected: &str, report: &mut Report) {
    let kind = format!("{:?}Error", error.kind());
    // TensorFlow blames itself for an integer division by zero in some kernels and the caller in others; it is the
    // caller's.
    let expected = if expected == "InternalError" { "InvalidArgumentError" } else { expected };
    if kind != expected {
        report.add(case, "kind of error", format!("{error:?}"), expected);
    }
    if case.op().is_ok() && error.op() != Some(case.def.name) {
        report.add(case, "op of error", format!("{error:?}"), case.def.name);
    }
}

/// The output, with what is expected in place of elements that are right but not comparable.
///
/// TensorFlow flushes subnormal numbers to zero; here they are numbers like others. So where an input is subnormal, or
/// one of the two results, the element is compared with the same op over float64, in which narrower subnormals are
/// ordinary numbers. Those of float64 itself have no such reference. The error is what was found and expected.
fn kept_subnormals(
    case: &Case,
    k: usize,
    found: &Tensor,
    recorded: &Tensor,
    expected: &Tensor,
) -> Result<Tensor, (String, String)> {
    let dtype = found.dtype();
    if !dtype.is_float() {
        return Ok(found.clone());
    }
    let inputs: Vec<(DType, Vec<f64>)> = case.inputs.iter().map(|input| (input.dtype(), reals(input))).collect();
    // Of an input of as many elements as the output, the one in the same place is what counts.
    let count = found.shape().elements().expect("a value");
    let enters = |i: usize| {
        inputs.iter().any(|(dtype, values)| {
            let values = if values.len() == count { &values[i..=i] } else { values };
            values.iter().any(|&x| is_subnormal(x, *dtype))
        })
    };
    let (mut values, theirs) = (reals(found), reals(recorded));
    let leaves = |value: f64| is_subnormal(value, dtype);
    let touched: Vec<usize> = (0..count)
        .filter(|&i| values[i] != theirs[i] && (enters(i) || leaves(values[i]) || leaves(theirs[i])))
        .collect();
    if touched.is_empty() {
        return Ok(found.clone());
    }
    if dtype != DType::F64 && case.inputs.iter().all(|input| input.dtype() != DType::F64) {
        let inputs: Vec<Tensor> = case.inputs.iter().map(widened).collect();
        let wide =
            case.widened().and_then(|op| run(&op, &inputs)).map_err(|e| (e.to_string(), "a result".to_owned()))?;
        let wide = reals(&wide[k]);
        let most = if case.def.accuracy == Accuracy::Exact { 0 } else { 4 };
        if let Some(&i) = touched.iter().find(|&&i| distance(values[i], round(wide[i], dtype), dtype) > most) {
            return Err((format!("[{i}] {:?}", values[i]), format!("{:?}", round(wide[i], dtype))));
        }
    }
    let expected = reals(expected);
    touched.into_iter().for_each(|i| values[i] = round(expected[i], dtype));
    Ok(again(found.dims().expect("a value"), dtype, values))
}

/// Whether a value is below the normal range of a dtype.
fn is_subnormal(x: f64, dtype: DType) -> bool {
    let smallest = match dtype {
        DType::F16 => half::f16::MIN_POSITIVE.to_f64(),
        DType::BF16 => half::bf16::MIN_POSITIVE.to_f64(),
        DType::F32 => f32::MIN_POSITIVE.into(),
        DType::F64 => f64::MIN_POSITIVE,
        _ => 0.0,
    };
    x != 0.0 && x.abs() < smallest
}

/// Bit for bit, but that any NaN is as good as another.
fn exact(case: &Case, found: &Tensor, expected: &Tensor, report: &mut Report) {
    if found.dtype() == DType::String {
        if let Some((found, expected)) = difference(found, expected) {
            report.add(case, "bits", found, expected);
        }
        return;
    }
    let (found, expected) = (elements(found), elements(expected));
    let same = |(a, x): (f64, u128), (b, y): (f64, u128)| x == y || a.is_nan() && b.is_nan();
    for i in (0..found.len()).filter(|&i| !same(found[i], expected[i])) {
        report.add_element(case, "bits", i, [found[i].0, expected[i].0], "");
    }
}

/// The numbers of a plain dtype, or the parts of complex ones, each with its bits.
fn elements(tensor: &Tensor) -> Vec<(f64, u128)> {
    let (numbers, bytes) = (reals(tensor), tensor.to_bytes().expect("a plain dtype"));
    let size = bytes.len() / numbers.len().max(1);
    let bits = bytes.chunks(size.max(1)).map(|chunk| chunk.iter().fold(0, |bits, &byte| bits << 8 | u128::from(byte)));
    numbers.into_iter().zip(bits).collect()
}

/// Within so many units in the last place of the reference, rounded.
fn ulps(case: &Case, most: u64, found: &Tensor, reference: &Tensor, report: &mut Report) {
    let (values, expected) = (reals(found), reals(reference));
    let what = format!("more than {most} ulp");
    for (i, (&value, &expected)) in values.iter().zip(&expected).enumerate() {
        let apart = distance(value, round(expected, found.dtype()), found.dtype());
        if apart > most {
            report.add_element(case, &what, i, [value, expected], &format!(" ({apart} ulp)"));
        }
    }
}

/// Within `4·eps·Σ|terms|` of the reference.
fn sum(case: &Case, k: usize, found: &Tensor, reference: &Tensor, report: &mut Report) {
    let (values, expected) = (reals(found), reals(reference));
    let largest = |values: &[f64]| values.iter().filter(|x| x.is_finite()).fold(0.0_f64, |most, x| most.max(x.abs()));
    let terms = match magnitudes(case, k) {
        Some(all) if is_transform(case.def.name) => vec![largest(&all); expected.len()],
        Some(each) => each,
        None => vec![largest(&expected); expected.len()],
    };
    let eps = epsilon(found.dtype());
    let right = |i: usize| {
        let (value, expected) = (values[i], round(expected[i], found.dtype()));
        value == expected || value.is_nan() && expected.is_nan() || (value - expected).abs() <= 4.0 * eps * terms[i]
    };
    for i in (0..values.len()).filter(|&i| !right(i)) {
        let error = (values[i] - expected[i]).abs() / (eps * terms[i]);
        let note = format!(" (off by {error:.1} eps sum of terms)");
        report.add_element(case, "more than 4 eps sum of terms", i, [values[i], expected[i]], &note);
    }
}

fn magnitudes(case: &Case, k: usize) -> Option<Vec<f64>> {
    let is_transform = is_transform(case.def.name);
    if !is_transform && (!SUMS_OF_TERMS.contains(&case.def.name) || case.outputs[k].dtype().is_complex()) {
        return None;
    }
    // Parts of a transform that NaN and infinity do not reach have the terms that are left.
    let size = |x: &f64| if is_transform && !x.is_finite() { 0.0 } else { x.abs() };
    let magnitude = |t: &Tensor| {
        let dims = t.dims().ok()?.to_vec();
        match t.dtype() {
            dtype if dtype.is_float() => Tensor::new(dims, reals(t).iter().map(size).collect::<Vec<_>>()).ok(),
            dtype if dtype.is_complex() => {
                let sizes: Vec<num_complex::Complex64> =
                    reals(t).chunks_exact(2).map(|parts| (size(&parts[0]) + size(&parts[1])).into()).collect();
                Tensor::new(dims, sizes).ok()
            }
            _ => Some(widened(t)),
        }
    };
    let inputs: Option<Vec<Tensor>> = case.inputs.iter().map(magnitude).collect();
    run(&case.widened().ok()?, &inputs?).ok().map(|outputs| reals(&outputs[k]))
}

/// The distance from 1 to the next number.
fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => half::f16::EPSILON.to_f64(),
        DType::BF16 => half::bf16::EPSILON.to_f64(),
        DType::F32 | DType::Complex64 => f32::EPSILON.into(),
        _ => f64::EPSILON,
    }
}

/// The nearest value of a dtype.
fn round(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F16 => half::f16::from_f64(x).to_f64(),
        DType::BF16 => half::bf16::from_f64(x).to_f64(),
        DType::F32 | DType::Complex64 => f64::from(x as f32),
        _ => x,
    }
}

/// How many values of a dtype lie between two, both of which are values of it.
fn distance(a: f64, b: f64, dtype: DType) -> u64 {
    // The bits of a float, read as sign and magnitude, count its values in order.
    let place = |x: f64| {
        let bits = match dtype {
            DType::F16 => i64::from(half::f16::from_f64(x.abs()).to_bits()),
            DType::BF16 => i64::from(half::bf16::from_f64(x.abs()).to_bits()),
            DType::F32 | DType::Complex64 => i64::from((x.abs() as f32).to_bits()),
            _ => x.abs().to_bits() as i64,
        };
        if x.is_sign_negative() { -i128::from(bits) } else { i128::from(bits) }
    };
    match (a.is_nan(), b.is_nan()) {
        (true, true) => 0,
        (false, false) => u64::try_from((place(a) - place(b)).unsigned_abs()).unwrap_or(u64::MAX),
        _ => u64::MAX,
    }
}
