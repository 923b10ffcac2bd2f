//! What TensorFlow 2.21 answers where the definition of an operation leaves room.

use half::{bf16, f16};
use modulor_kernels::{Binary, Fault, Float, Fold, Number, Strided, Unary, Unsupported, cast};
use num_complex::Complex;

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

fn slice<T: Copy>(x: &[T]) -> Strided<'_, T> {
    let (shape, strides) = (Box::leak(Box::new([x.len()])), &[1]);
    Strided::new(x, shape, strides, 0).expect("contiguous")
}

/// Equal values, NaN being equal to itself and 0 not to −0.
#[track_caller]
fn check(what: &str, found: &[f32], expected: &[f32]) {
    let same = |(&a, &b): (&f32, &f32)| a.is_nan() && b.is_nan() || a.to_bits() == b.to_bits();
    assert!(found.iter().zip(expected).all(same), "{what}: {found:?}, not {expected:?}");
}

fn unary(op: Unary, x: &[f32]) -> Vec<f32> {
    let mut out = vec![9.0; x.len()];
    f32::unary(op, slice(x), &mut out).expect("floats take everything");
    out
}

fn binary(op: Binary, a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut out = vec![9.0; a.len()];
    f32::binary(op, slice(a), slice(b), &mut out).expect("floats take everything");
    out
}

#[test]
fn functions_of_special_values() {
    let x = [NAN, 0.0, -0.0, INF, -INF];
    check("Sign", &unary(Unary::Sign, &x), &[NAN, 0.0, 0.0, 1.0, -1.0]);
    check("Rint", &unary(Unary::Rint, &[2.5, 3.5, -2.5, -1.5, 0.5, -0.5]), &[2.0, 4.0, -2.0, -2.0, 0.0, -0.0]);
    check("Sigmoid", &unary(Unary::Sigmoid, &x), &[NAN, 0.5, 0.5, 1.0, 0.0]);
    check("Softplus", &unary(Unary::Softplus, &[NAN, INF, -INF, 100.0]), &[NAN, INF, 0.0, 100.0]);
    check("Rsqrt", &unary(Unary::Rsqrt, &x), &[NAN, INF, -INF, 0.0, NAN]);
    check("Reciprocal", &unary(Unary::Reciprocal, &x), &[NAN, INF, -INF, 0.0, -0.0]);
    check("Softsign", &unary(Unary::Softsign, &x), &[NAN, 0.0, -0.0, NAN, NAN]);
    check("Relu", &unary(Unary::Relu, &x), &[NAN, 0.0, 0.0, INF, 0.0]);
    check("Relu6", &unary(Unary::Relu6, &x), &[NAN, 0.0, 0.0, 6.0, 0.0]);
    check("Elu", &unary(Unary::Elu, &x), &[NAN, 0.0, -0.0, INF, -1.0]);
    check("Selu", &unary(Unary::Selu, &x), &[NAN, 0.0, -0.0, INF, -1.758_099_3]);
    check("LeakyRelu", &unary(Unary::LeakyRelu(0.2), &x), &[NAN, 0.0, -0.0, INF, -INF]);
    check("LeakyRelu", &unary(Unary::LeakyRelu(0.0), &x), &[NAN, 0.0, -0.0, INF, NAN]);
    check("LeakyRelu", &unary(Unary::LeakyRelu(1.5), &[-2.0, 3.0]), &[-3.0, 3.0]);
    check("Lgamma", &unary(Unary::Lgamma, &x), &[NAN, INF, INF, INF, INF]);
    check("Acosh", &unary(Unary::Acosh, &x), &[NAN, NAN, NAN, INF, NAN]);
    check("Atanh", &unary(Unary::Atanh, &x), &[NAN, 0.0, -0.0, NAN, NAN]);
}

#[test]
fn divisions_and_their_remainders() {
    let a = [7.0, -7.0, 7.0, -7.0, 5.5, -5.5, 0.0, 1.0, -1.0, INF, 5.0, -5.0, NAN, -1e-30, 6.0, -6.0];
    let b = [3.0, 3.0, -3.0, -3.0, 0.0, 0.0, 0.0, INF, INF, 2.0, -INF, -INF, 2.0, 3.0, 3.0, 3.0];
    let found = binary(Binary::FloorDiv, &a, &b);
    check("FloorDiv", &found, &[2.0, -3.0, -3.0, 2.0, INF, -INF, NAN, 0.0, -0.0, INF, -0.0, 0.0, NAN, -1.0, 2.0, -2.0]);
    let found = binary(Binary::FloorMod, &a, &b);
    check("FloorMod", &found, &[1.0, 2.0, -2.0, -1.0, NAN, NAN, NAN, 1.0, INF, NAN, -INF, -5.0, NAN, 3.0, 0.0, -0.0]);
    let found = binary(Binary::TruncateMod, &a, &b);
    check(
        "TruncateMod",
        &found,
        &[1.0, -1.0, 1.0, -1.0, NAN, NAN, NAN, 1.0, -1.0, NAN, 5.0, -5.0, NAN, -1e-30, 0.0, -0.0],
    );
    let found = binary(Binary::DivNoNan, &a[4..8], &b[4..8]);
    check("DivNoNan", &found, &[0.0, 0.0, 0.0, 0.0]);
    check("Xdivy", &binary(Binary::Xdivy, &[0.0, 0.0, -0.0, 5.5], &[0.0, NAN, 2.0, 0.0]), &[0.0, 0.0, -0.0, INF]);
    check("Xlogy", &binary(Binary::Xlogy, &[0.0, 5.5, 7.0], &[0.0, 0.0, -3.0]), &[0.0, -INF, NAN]);
    check("Xlog1py", &binary(Binary::Xlog1py, &[0.0, 5.5, 7.0], &[-1.0, 0.0, -3.0]), &[0.0, 0.0, NAN]);
    check(
        "Pow",
        &binary(Binary::Pow, &[-2.0, -8.0, 0.0, 0.0, NAN, 1.0], &[0.5, 0.3, 0.0, -1.0, 0.0, NAN]),
        &[NAN, NAN, 1.0, INF, 1.0, 1.0],
    );
    check("Maximum", &binary(Binary::Maximum, &[NAN, 1.0, INF], &[1.0, NAN, 2.0]), &[NAN, NAN, INF]);
    check("Minimum", &binary(Binary::Minimum, &[NAN, 1.0, -INF], &[1.0, NAN, 2.0]), &[NAN, NAN, -INF]);
}

#[test]
fn gradients_at_special_values() {
    let (x, two) = ([NAN, 0.0, -0.0, 7.0, -2.0, 6.0], [2.0; 6]);
    check("ReluGrad", &binary(Binary::ReluGrad, &two, &x), &[0.0, 0.0, 0.0, 2.0, 0.0, 2.0]);
    check("Relu6Grad", &binary(Binary::Relu6Grad, &two, &x), &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    check("LeakyReluGrad", &binary(Binary::LeakyReluGrad(0.25), &two, &x), &[0.5, 0.5, 0.5, 2.0, 0.5, 2.0]);
    check("EluGrad", &binary(Binary::EluGrad, &two, &x), &[2.0, 2.0, 2.0, 2.0, -2.0, 2.0]);
    let scale = 2.101_402;
    check("SeluGrad", &binary(Binary::SeluGrad, &two[..4], &x[..4]), &[scale; 4]);
    check("TanhGrad", &binary(Binary::TanhGrad, &x, &two), &[NAN, 2.0, 2.0, -96.0, -6.0, -70.0]);
    check("SigmoidGrad", &binary(Binary::SigmoidGrad, &x, &two), &[NAN, 0.0, -0.0, -84.0, -12.0, -60.0]);
}

/// −7, 7 and the like by 3 and −3, in any signed integer.
fn check_signed<T: Number + std::fmt::Debug + PartialEq + From<i8>>() {
    let [a, b] = [[7, -7, 7, -7, 0], [3, 3, -3, -3, 5]].map(|x| x.map(T::from));
    for (op, expected) in [
        (Binary::FloorDiv, [2, -3, -3, 2, 0]),
        (Binary::FloorMod, [1, 2, -2, -1, 0]),
        (Binary::TruncateDiv, [2, -2, -2, 2, 0]),
        (Binary::Div, [2, -2, -2, 2, 0]),
        (Binary::TruncateMod, [1, -1, 1, -1, 0]),
    ] {
        let mut out = [T::from(9); 5];
        T::binary(op, slice(&a), slice(&b), &mut out).expect("no divisor is 0");
        assert_eq!(out, expected.map(T::from), "{op:?}");
        let divisors = [T::from(1), T::from(0)];
        let fault = T::binary(op, slice(&a[..2]), slice(&divisors), &mut out[..2]);
        assert_eq!(fault, Err(Fault::ZeroDivisor { element: 1 }), "{op:?}");
    }
    let mut out = [T::from(9); 4];
    let [base, exponent] = [[2, 3, 0, 1], [5, 0, 0, 100]].map(|x| x.map(T::from));
    T::binary(Binary::Pow, slice(&base), slice(&exponent), &mut out).expect("no exponent is negative");
    assert_eq!(out, [32, 1, 1, 1].map(T::from));
    let fault = T::binary(Binary::Pow, slice(&base), slice(&[0, 0, 0, -1].map(T::from)), &mut out);
    assert_eq!(fault, Err(Fault::NegativeExponent { element: 3 }));
    let mut mean = [T::from(9)];
    for (terms, expected) in [([100, 101, 103], 101), ([-100, -101, -103], -101)] {
        T::fold(Fold::Mean, slice(&terms.map(T::from)), &[true], &mut mean).expect("integers have means");
        assert_eq!(mean, [T::from(expected)]);
    }
    assert_eq!(T::unary(Unary::Exp, slice(&a), &mut [T::from(0); 5]), Err(Unsupported));
}

#[test]
fn integers_divide_and_wrap() {
    check_signed::<i8>();
    check_signed::<i16>();
    check_signed::<i32>();
    check_signed::<i64>();
    let mut out = [0_i8; 2];
    for (op, expected) in [
        (Binary::Add, [127, -56]),
        (Binary::Mul, [-128, 16]),
        (Binary::TruncateDiv, [-128, 1]),
        (Binary::FloorDiv, [-128, 1]),
        (Binary::FloorMod, [0, 0]),
    ] {
        i8::binary(op, slice(&[-128, 100]), slice(&[-1, 100]), &mut out).expect("no divisor is 0");
        assert_eq!(out, expected, "{op:?}");
    }
    i8::binary(Binary::Pow, slice(&[3, 2]), slice(&[50, 10]), &mut out).expect("no exponent is negative");
    assert_eq!(out, [-55, 0]);
    for op in [Unary::Neg, Unary::Abs] {
        i8::unary(op, slice(&[-128, -1]), &mut out).expect("integers have signs");
        assert_eq!(out, [-128, 1]);
    }
    i8::fold(Fold::Sum, slice(&[100, 100]), &[true], &mut out[..1]).expect("integers have sums");
    assert_eq!(out[0], -56);
}

fn check_empty<T: Number + std::fmt::Debug>(expected: [f64; 5]) {
    for (op, expected) in [Fold::Sum, Fold::Mean, Fold::Prod, Fold::Max, Fold::Min].into_iter().zip(expected) {
        let (mut out, mut wide) = ([T::zeroed(); 2], [0.0; 2]);
        let nothing = Strided::new(&[], &[2, 0], &[0, 1], 0).expect("nothing is in bounds");
        T::fold(op, nothing, &[false, true], &mut out).expect("an order");
        cast(slice(&out), &mut wide);
        assert!(wide.iter().all(|&x| x == expected || x.is_nan() && expected.is_nan()), "{op:?}: {wide:?}");
    }
}

#[test]
fn reductions_of_nothing() {
    check_empty::<f32>([0.0, f64::NAN, 1.0, f64::NEG_INFINITY, f64::INFINITY]);
    check_empty::<f16>([0.0, f64::NAN, 1.0, f64::NEG_INFINITY, f64::INFINITY]);
    check_empty::<i8>([0.0, 0.0, 1.0, -128.0, 127.0]);
    check_empty::<u8>([0.0, 0.0, 1.0, 0.0, 255.0]);
}

#[test]
fn extremes_and_nan() {
    let rows = [[1.0, NAN, 2.0], [NAN, 1.0, 2.0], [1.0, 2.0, NAN]];
    for (row, places) in rows.into_iter().zip([[2, 0], [2, 1], [1, 0]]) {
        for (max, place) in [true, false].into_iter().zip(places) {
            let (mut value, mut index) = ([0.0], [9]);
            f32::fold(if max { Fold::Max } else { Fold::Min }, slice(&row), &[true], &mut value).expect("an order");
            assert!(value[0].is_nan());
            f32::arg_extreme(max, slice(&row), 0, &mut index).expect("an order");
            assert_eq!(index, [place]);
        }
    }
    for (row, max, min) in
        [([2.0, 2.0, 1.0, 2.0], 0, 2), ([-INF; 4], 0, 0), ([NAN; 4], 0, 0), ([INF, NAN, INF, NAN], 0, 0)]
    {
        let mut index = [9];
        f32::arg_extreme(true, slice(&row), 0, &mut index).expect("an order");
        assert_eq!(index, [max]);
        f32::arg_extreme(false, slice(&row), 0, &mut index).expect("an order");
        assert_eq!(index, [min]);
        // The same along the first of two axes.
        let columns: Vec<f32> = row.iter().flat_map(|&x| [x, x]).collect();
        let mut indices = [9; 2];
        let view = Strided::new(&columns, &[4, 2], &[2, 1], 0).expect("contiguous");
        f32::arg_extreme(true, view, 0, &mut indices).expect("an order");
        assert_eq!(indices, [max; 2]);
    }
}

#[test]
fn running_totals() {
    let mut out = [0.0; 4];
    for (sum, exclusive, reverse, expected) in [
        (true, false, false, [1.0, 3.0, 6.0, 10.0]),
        (true, true, false, [0.0, 1.0, 3.0, 6.0]),
        (true, false, true, [10.0, 9.0, 7.0, 4.0]),
        (true, true, true, [9.0, 7.0, 4.0, 0.0]),
        (false, false, false, [1.0, 2.0, 6.0, 24.0]),
        (false, true, true, [24.0, 12.0, 4.0, 1.0]),
    ] {
        f32::cumulate(sum, slice(&[1.0, 2.0, 3.0, 4.0]), 0, exclusive, reverse, &mut out);
        assert_eq!(out, expected);
    }
}

#[test]
fn softmax_of_infinities() {
    let mut out = [9.0; 3];
    for (x, log, expected) in [
        ([-INF, 1.0, 1.0], false, [0.0, 0.5, 0.5]),
        ([-INF; 3], false, [NAN; 3]),
        ([-INF; 3], true, [NAN; 3]),
        ([INF; 3], false, [NAN; 3]),
        ([1e30, -1e30, -1e30], false, [1.0, 0.0, 0.0]),
        ([1e30, -1e30, -1e30], true, [0.0, -2e30, -2e30]),
    ] {
        f32::softmax(&x, 3, &mut out, log);
        check("softmax", &out, &expected);
    }
    let (mut loss, mut gradient) = ([9.0; 2], [9.0; 6]);
    let logits = [1.0, 2.0, 3.0, -INF, 1.0, 1.0];
    f32::sparse_cross_entropy(&logits, &[0, 0], 3, &mut loss, &mut gradient).expect("labels in range");
    check("loss", &loss, &[2.407_606, INF]);
    check("gradient", &gradient[3..], &[-1.0, 0.5, 0.5]);
    for bad in [3, -1, i64::MIN] {
        let fault = f32::sparse_cross_entropy(&logits, &[0, bad], 3, &mut loss, &mut gradient);
        assert_eq!(fault, Err(Fault::LabelOutOfRange { element: 1 }));
    }
    f32::cross_entropy(&logits[3..], &[0.0, 1.0, 0.0], 3, &mut loss[..1], &mut gradient[..3]);
    check("loss", &loss[..1], &[NAN]);
    check("gradient", &gradient[..3], &[0.0, -0.5, 0.5]);
}

#[test]
fn casts() {
    fn to<A: Number, B: Number>(x: &[A]) -> Vec<B> {
        let mut out = vec![B::zeroed(); x.len()];
        cast(slice(x), &mut out);
        out
    }
    assert_eq!(to::<f32, i8>(&[3.9, -3.9, 300.0, -INF, NAN]), [3, -3, 127, -128, 0]);
    assert_eq!(to::<f64, u64>(&[1e30, -1.0, 2.5]), [u64::MAX, 0, 2]);
    assert_eq!(to::<i64, i8>(&[300, -300, 128]), [44, -44, -128]);
    assert_eq!(to::<i8, u32>(&[-1]), [u32::MAX]);
    assert_eq!(to::<u8, f32>(&[0, 1]), [0.0, 1.0]);
    // By way of f32, where the first is halfway.
    let close = [1.0 + 2_f64.powi(-11) + 2_f64.powi(-30), 1.0 + 2_f64.powi(-11)];
    assert_eq!(to::<f64, f16>(&close), [f16::ONE; 2]);
    assert_eq!(to::<i64, bf16>(&[(1 << 56) + (1 << 48) + 1]), [bf16::from_f32((1_i64 << 56) as f32)]);
    assert_eq!(to::<i32, f16>(&[70000, 2049, 65519]), [f16::INFINITY, f16::from_f32(2048.0), f16::MAX]);
    assert_eq!(to::<f16, bf16>(&[f16::from_f32(1.5)]), [bf16::from_f32(1.5)]);
    assert_eq!(to::<Complex<f32>, f64>(&[Complex::new(1.5, 2.0)]), [1.5]);
    assert_eq!(to::<f64, Complex<f32>>(&[1.5]), [Complex::new(1.5, 0.0)]);
    assert_eq!(to::<Complex<f64>, Complex<f32>>(&[Complex::new(1.5, 2.0)]), [Complex::new(1.5, 2.0)]);
    let mut truths = [9; 3];
    f32::nonzero(slice(&[NAN, 0.0, -0.0]), &mut truths);
    assert_eq!(truths, [1, 0, 0]);
    Complex::<f32>::nonzero(
        slice(&[Complex::new(0.0, 2.0), Complex::new(0.0, 0.0), Complex::new(1.0, 0.0)]),
        &mut truths,
    );
    assert_eq!(truths, [0, 0, 1]);
}

#[test]
fn complex_arithmetic() {
    let (a, b) = (Complex::new(1.0_f32, 2.0), Complex::new(0.0_f32, 3.0));
    for (op, expected) in [
        (Binary::Add, Complex::new(1.0, 5.0)),
        (Binary::Sub, Complex::new(1.0, -1.0)),
        (Binary::Mul, Complex::new(-6.0, 3.0)),
        (Binary::SquaredDifference, Complex::new(2.0, 0.0)),
    ] {
        let mut out = [Complex::default()];
        Complex::binary(op, slice(&[a]), slice(&[b]), &mut out).expect("complex numbers take it");
        assert_eq!(out, [expected], "{op:?}");
    }
    let mut out = [Complex::default(); 2];
    let divisors = [Complex::new(3.0, 4.0), Complex::new(0.0, 0.0)];
    Complex::binary(Binary::DivNoNan, slice(&[Complex::new(5.0, 10.0), a]), slice(&divisors), &mut out)
        .expect("takes it");
    assert_eq!(out, [Complex::new(2.2, 0.4), Complex::new(0.0, 0.0)]);
    Complex::unary(Unary::Reciprocal, slice(&[a, b]), &mut out).expect("complex numbers take it");
    assert_eq!(out, [Complex::new(0.2, -0.4), Complex::new(0.0, -1.0 / 3.0)]);
    Complex::fold(Fold::Prod, slice(&[a, b]), &[true], &mut out[..1]).expect("complex numbers have products");
    assert_eq!(out[0], Complex::new(-6.0, 3.0));
    Complex::fold(Fold::Mean, slice(&[a, b]), &[true], &mut out[..1]).expect("complex numbers have means");
    assert_eq!(out[0], Complex::new(0.5, 2.5));
    assert_eq!(Complex::fold(Fold::Max, slice(&[a, b]), &[true], &mut out[..1]), Err(Unsupported));
}
