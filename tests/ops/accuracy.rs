//! How near a result must come to TensorFlow's, by the class of the op.

use super::case::{Case, reals, run, widened};
use super::report::{Report, difference};
use modulor::op::Accuracy;
use modulor::{DType, Error, Tensor};

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

/// Compares what was computed with what TensorFlow recorded.
pub fn check(case: &Case, found: &[Tensor], report: &mut Report) {
    if found.len() != case.outputs.len() {
        return report.add(case, "number of outputs", found.len(), case.outputs.len());
    }
    for (k, (found, recorded)) in found.iter().zip(&case.outputs).enumerate() {
        if found.spec() != recorded.spec() {
            report.add(case, "spec", found.spec(), recorded.spec());
            continue;
        }
        let reference = case.reference.get(k).cloned().flatten();
        let class = if found.dtype().is_float() { case.def.accuracy } else { Accuracy::Exact };
        match (class, reference) {
            (Accuracy::Exact, _) => exact(case, found, recorded, report),
            (Accuracy::Ulp4, reference) => ulps(case, 4, found, reference.as_ref().unwrap_or(recorded), report),
            (Accuracy::Special, reference) => ulps(case, 64, found, reference.as_ref().unwrap_or(recorded), report),
            (Accuracy::Sum, reference) => sum(case, k, found, reference.as_ref().unwrap_or(recorded), report),
        }
    }
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
    if case.op.is_ok() && error.op() != Some(case.def.name) {
        report.add(case, "op of error", format!("{error:?}"), case.def.name);
    }
}

/// Bit for bit, but that any NaN is as good as another.
fn exact(case: &Case, found: &Tensor, expected: &Tensor, report: &mut Report) {
    if !found.dtype().is_float() && !found.dtype().is_complex() {
        if let Some((found, expected)) = difference(found, expected) {
            report.add(case, "bits", found, expected);
        }
        return;
    }
    let (found, expected) = (reals(found), reals(expected));
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    if let Some(at) = (0..found.len()).find(|&i| !same(found[i], expected[i])) {
        report.add(case, "bits", format!("[{at}] {:?}", found[at]), format!("{:?}", expected[at]));
    }
}

/// Within so many units in the last place of the reference, rounded.
fn ulps(case: &Case, most: u64, found: &Tensor, reference: &Tensor, report: &mut Report) {
    let (values, expected) = (reals(found), reals(reference));
    let rounded: Vec<f64> = expected.iter().map(|&x| round(x, found.dtype())).collect();
    let apart = |i: usize| distance(values[i], rounded[i], found.dtype());
    if let Some(at) = (0..values.len()).max_by_key(|&i| apart(i)).filter(|&i| apart(i) > most) {
        let what = format!("more than {most} ulp");
        report.add(case, &what, format!("[{at}] {:?} ({} ulp)", values[at], apart(at)), format!("{:?}", rounded[at]));
    }
}

/// Within `4·eps·Σ|terms|` of the reference.
fn sum(case: &Case, k: usize, found: &Tensor, reference: &Tensor, report: &mut Report) {
    let (values, expected) = (reals(found), reals(reference));
    let terms = magnitudes(case, k).unwrap_or_else(|| {
        let largest = expected.iter().filter(|x| x.is_finite()).fold(0.0_f64, |most, x| most.max(x.abs()));
        vec![largest; expected.len()]
    });
    let eps = epsilon(found.dtype());
    let right = |i: usize| {
        let (value, expected) = (values[i], round(expected[i], found.dtype()));
        value == expected || value.is_nan() && expected.is_nan() || (value - expected).abs() <= 4.0 * eps * terms[i]
    };
    if let Some(at) = (0..values.len()).find(|&i| !right(i)) {
        let error = (values[at] - expected[at]).abs() / (eps * terms[at]);
        let found = format!("[{at}] {:?} (off by {error:.1} eps sum of terms)", values[at]);
        report.add(case, "more than 4 eps sum of terms", found, format!("{:?}", expected[at]));
    }
}

fn magnitudes(case: &Case, k: usize) -> Option<Vec<f64>> {
    if !SUMS_OF_TERMS.contains(&case.def.name) {
        return None;
    }
    let magnitude = |t: &Tensor| match t.dtype().is_float() {
        true => Tensor::new(t.dims().ok()?.to_vec(), reals(t).into_iter().map(f64::abs).collect::<Vec<_>>()).ok(),
        false => Some(widened(t)),
    };
    let inputs: Option<Vec<Tensor>> = case.inputs.iter().map(magnitude).collect();
    run(&case.widened().ok()?, &inputs?).ok().map(|outputs| reals(&outputs[k]))
}

/// The distance from 1 to the next number.
fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => half::f16::EPSILON.to_f64(),
        DType::BF16 => half::bf16::EPSILON.to_f64(),
        DType::F32 => f32::EPSILON.into(),
        _ => f64::EPSILON,
    }
}

/// The nearest value of a dtype.
fn round(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F16 => half::f16::from_f64(x).to_f64(),
        DType::BF16 => half::bf16::from_f64(x).to_f64(),
        DType::F32 => f64::from(x as f32),
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
            DType::F32 => i64::from((x.abs() as f32).to_bits()),
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
