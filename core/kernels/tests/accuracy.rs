//! Every kernel against the plain definition in f64.

use half::{bf16, f16};
use modulor_kernels::{Binary, Float, Fold, Number, Strided, Unary, cast};

fn slice<T: Copy>(x: &[T]) -> Strided<'_, T> {
    let (shape, strides) = (Box::leak(Box::new([x.len()])), &[1]);
    Strided::new(x, shape, strides, 0).expect("contiguous")
}

/// The spacing of the floats of `digits` binary digits around x.
fn ulp(x: f64, digits: i32, least: i32) -> f64 {
    let exponent = if x == 0.0 { least } else { x.abs().log2().floor() as i32 - digits + 1 };
    2_f64.powi(exponent.max(least))
}

/// Points from `low` to `high`: some evenly spaced, some close to 0.
fn points(low: f64, high: f64) -> Vec<f32> {
    let even = (0..=400).map(|i| low + (high - low) * f64::from(i) / 400.0);
    let close = (-20..3).flat_map(|e| [2_f64.powi(e) * 1.3, -(2_f64.powi(e)) * 1.7]);
    even.chain(close.filter(|x| (low..=high).contains(x))).map(|x| x as f32).collect()
}

#[track_caller]
fn check_unary(op: Unary, low: f64, high: f64, f: impl Fn(f64) -> f64) {
    let x = points(low, high);
    let mut narrow = vec![0.0_f32; x.len()];
    f32::unary(op, slice(&x), &mut narrow).expect("floats take everything");
    for (&x, &found) in x.iter().zip(&narrow) {
        let expected = f(x.into());
        let error = (f64::from(found) - expected).abs() / ulp(expected, 24, -149);
        assert!(error <= 4.0 || f64::from(found) == expected, "{op:?}({x}) = {found}, not {expected}: {error:.1} ulp");
    }
    let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let mut wide = vec![0.0_f64; x.len()];
    f64::unary(op, slice(&x), &mut wide).expect("floats take everything");
    for (&x, &found) in x.iter().zip(&wide) {
        let expected = f(x);
        let error = (found - expected).abs() / ulp(expected, 53, -1074);
        // The platform's own functions err by a little, and sums of two of them by more.
        assert!(error <= 8.0 || found == expected, "{op:?}({x}) = {found}, not {expected}: {error:.1} ulp of f64");
    }
    let mut half = vec![f16::ZERO; x.len()];
    cast(slice(&x), &mut half);
    let mut found = half.clone();
    f16::unary(op, slice(&half), &mut found).expect("floats take everything");
    for (x, found) in half.iter().zip(found) {
        let expected = f(x.to_f64());
        let error = (found.to_f64() - expected).abs() / ulp(expected, 11, -24);
        // One rounding of a value that is right to 4 ulp of f32.
        assert!(error <= 0.501 || !found.is_finite() || expected.is_nan(), "{op:?}({x}) = {found}, not {expected}");
    }
}

fn sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// 2√(2/π)(x + 0.044715x³)
fn nearly_logit(x: f64) -> f64 {
    2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))
}

#[test]
fn elementwise_functions_are_within_4_ulp() {
    let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
    check_unary(Unary::Neg, -9.0, 9.0, |x| -x);
    check_unary(Unary::Abs, -9.0, 9.0, f64::abs);
    check_unary(Unary::Exp, -100.0, 88.0, f64::exp);
    check_unary(Unary::Expm1, -20.0, 88.0, f64::exp_m1);
    check_unary(Unary::Log, 1e-6, 1e6, f64::ln);
    check_unary(Unary::Log, 0.5, 2.0, f64::ln);
    check_unary(Unary::Log1p, -0.999, 100.0, f64::ln_1p);
    check_unary(Unary::Sqrt, 0.0, 1e6, f64::sqrt);
    check_unary(Unary::Rsqrt, 1e-6, 1e6, |x| 1.0 / x.sqrt());
    check_unary(Unary::Square, -9.0, 9.0, |x| x * x);
    check_unary(Unary::Reciprocal, -9.0, 9.0, |x| 1.0 / x);
    check_unary(Unary::Sin, -1e4, 1e4, f64::sin);
    check_unary(Unary::Cos, -1e4, 1e4, f64::cos);
    check_unary(Unary::Tan, -7.0, 7.0, f64::tan);
    check_unary(Unary::Sinh, -88.0, 88.0, f64::sinh);
    check_unary(Unary::Cosh, -88.0, 88.0, f64::cosh);
    check_unary(Unary::Tanh, -12.0, 12.0, f64::tanh);
    check_unary(Unary::Asin, -1.0, 1.0, f64::asin);
    check_unary(Unary::Acos, -1.0, 1.0, f64::acos);
    check_unary(Unary::Atan, -50.0, 50.0, f64::atan);
    check_unary(Unary::Asinh, -50.0, 50.0, libm::asinh);
    check_unary(Unary::Acosh, 1.0, 50.0, libm::acosh);
    check_unary(Unary::Atanh, -0.99, 0.99, libm::atanh);
    check_unary(Unary::Sigmoid, -100.0, 100.0, sigmoid);
    check_unary(Unary::Softplus, -80.0, 80.0, |x| x.max(0.0) + (-x.abs()).exp().ln_1p());
    check_unary(Unary::Softsign, -50.0, 50.0, |x| x / (1.0 + x.abs()));
    check_unary(Unary::Erf, -5.0, 5.0, libm::erf);
    check_unary(Unary::Erfc, -5.0, 9.0, libm::erfc);
    check_unary(Unary::Lgamma, 3.0, 100.0, libm::lgamma);
    check_unary(Unary::Floor, -9.0, 9.0, f64::floor);
    check_unary(Unary::Ceil, -9.0, 9.0, f64::ceil);
    check_unary(Unary::Rint, -9.0, 9.0, f64::round_ties_even);
    check_unary(Unary::Relu, -9.0, 9.0, |x| x.max(0.0));
    check_unary(Unary::Relu6, -9.0, 9.0, |x| x.clamp(0.0, 6.0));
    check_unary(Unary::LeakyRelu(0.25), -9.0, 9.0, |x| if x > 0.0 { x } else { 0.25 * x });
    check_unary(Unary::Elu, -20.0, 9.0, |x| if x < 0.0 { x.exp_m1() } else { x });
    // Below, an error of the argument counts for more.
    check_unary(Unary::Gelu, -0.75, 9.0, |x| 0.5 * x * libm::erfc(x * -std::f64::consts::FRAC_1_SQRT_2));
    check_unary(Unary::GeluTanh, -0.75, 9.0, |x| x * sigmoid(nearly_logit(x)));
    check_unary(Unary::Selu, -20.0, 9.0, |x| scale * if x < 0.0 { alpha * x.exp_m1() } else { x });
}

#[track_caller]
fn check_binary(op: Binary, (low, high): (f64, f64), (low_b, high_b): (f64, f64), f: impl Fn(f64, f64) -> f64) {
    for (i, &b) in points(low_b, high_b).iter().enumerate().step_by(7) {
        let a = &points(low, high)[i % 5..];
        let mut out = vec![0.0_f32; a.len()];
        let b_everywhere = vec![b; a.len()];
        f32::binary(op, slice(a), slice(&b_everywhere), &mut out).expect("floats take everything");
        for (&a, &found) in a.iter().zip(&out) {
            let expected = f(a.into(), b.into());
            let error = (f64::from(found) - expected).abs() / ulp(expected, 24, -149);
            assert!(error <= 4.0 || f64::from(found) == expected, "{op:?}({a}, {b}) = {found}, not {expected}");
        }
    }
}

#[test]
fn functions_of_two_arguments_are_within_4_ulp() {
    let both = (-9.0, 9.0);
    check_binary(Binary::Add, both, both, |a, b| a + b);
    check_binary(Binary::Sub, both, both, |a, b| a - b);
    check_binary(Binary::Mul, both, both, |a, b| a * b);
    check_binary(Binary::Div, both, (0.1, 9.0), |a, b| a / b);
    check_binary(Binary::Pow, (0.01, 9.0), both, f64::powf);
    check_binary(Binary::Atan2, both, (0.1, 9.0), f64::atan2);
    check_binary(Binary::Maximum, both, both, f64::max);
    check_binary(Binary::Minimum, both, both, f64::min);
    check_binary(Binary::SquaredDifference, both, both, |a, b| (a - b) * (a - b));
    check_binary(Binary::Xlogy, both, (1.1, 9.0), |a, b| a * b.ln());
    check_binary(Binary::Xlog1py, both, (-0.5, 9.0), |a, b| if a == 0.0 { 0.0 } else { a * b.ln_1p() });
    check_binary(Binary::TruncateMod, both, (0.1, 9.0), |a, b| a % b);
    check_binary(Binary::SoftplusGrad, both, (-50.0, 50.0), |dy, x| dy * sigmoid(x));
    check_binary(Binary::SoftsignGrad, both, both, |dy, x| dy / ((1.0 + x.abs()) * (1.0 + x.abs())));
    check_binary(Binary::EluGrad, both, (-0.5, 2.0), |dy, y| if y < 0.0 { dy * (y + 1.0) } else { dy });
    check_binary(Binary::TanhGrad, (-0.5, 0.5), both, |y, dy| dy * (1.0 - y * y));
    check_binary(Binary::SigmoidGrad, (0.1, 0.5), both, |y, dy| dy * y * (1.0 - y));
    check_binary(Binary::SqrtGrad, (0.1, 9.0), both, |y, dy| dy / (2.0 * y));
    check_binary(Binary::RsqrtGrad, (0.1, 9.0), both, |y, dy| -0.5 * dy * y * y * y);
    check_binary(Binary::GeluGrad, both, (0.0, 3.0), |dy, x| {
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        dy * (0.5 * libm::erfc(x * -std::f64::consts::FRAC_1_SQRT_2) + x * density)
    });
    check_binary(Binary::GeluTanhGrad, both, (0.0, 3.0), |dy, x| {
        let (below, above) = (sigmoid(nearly_logit(x)), sigmoid(-nearly_logit(x)));
        let slope = 2.0 * (2.0 / std::f64::consts::PI).sqrt() * (1.0 + 3.0 * 0.044_715 * x * x);
        dy * (below + x * below * above * slope)
    });
    check_binary(Binary::SigmoidCrossEntropy, (0.0, 9.0), (-1.0, 0.0), |x, z| {
        x.max(0.0) - x * z + (-x.abs()).exp().ln_1p()
    });
    check_binary(Binary::ReciprocalGrad, (0.1, 9.0), both, |y, dy| -dy * y * y);
}

/// Integers of both signs and of very different sizes, of `bits` binary digits before up to 8 zeros.
fn fixed_points(n: usize, bits: u32, seed: u64) -> Vec<i64> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let magnitude = (state >> 1) as i64 >> (63 - bits);
            let scaled = magnitude << ((state >> 5) % 9);
            if state & 16 == 0 { scaled } else { -scaled }
        })
        .collect()
}

/// Sums of every shape that changes how terms are grouped, against integer arithmetic, which is exact.
fn check_sums<T: Number>(bits: u32, eps: f64) {
    // Below 16, so that no sum leaves the range of f16.
    let unit = 1.0 / (1_u64 << (bits + 4)) as f64;
    for (rows, columns) in [(1, 1), (1, 15), (1, 17), (3, 511), (2, 513), (1, 5000), (517, 3), (130, 129), (5000, 1)] {
        let fixed = fixed_points(rows * columns, bits, (rows * 31 + columns) as u64);
        let wide: Vec<f64> = fixed.iter().map(|&x| x as f64 * unit).collect();
        let mut x = vec![T::zeroed(); wide.len()];
        cast(slice(&wide), &mut x);
        let (shape, strides) = ([rows, columns], [columns as isize, 1]);
        let x = Strided::new(&x, &shape, &strides, 0).expect("contiguous");
        for (reduced, groups) in [([false, true], rows), ([true, false], columns), ([true, true], 1)] {
            let mut out = vec![T::zeroed(); groups];
            T::fold(Fold::Sum, x, &reduced, &mut out).expect("every number has a sum");
            let mut sums = vec![0.0_f64; groups];
            cast(slice(&out), &mut sums);
            let mut means = vec![0.0_f64; groups];
            T::fold(Fold::Mean, x, &reduced, &mut out).expect("every number has a mean");
            cast(slice(&out), &mut means);
            let (mut exact, mut scale) = (vec![0_i128; groups], vec![0_i128; groups]);
            for (i, &term) in fixed.iter().enumerate() {
                let group = match reduced {
                    [false, true] => i / columns,
                    [true, false] => i % columns,
                    _ => 0,
                };
                exact[group] += i128::from(term);
                scale[group] += i128::from(term.abs());
            }
            let count = (rows * columns / groups) as f64;
            for group in 0..groups {
                let (exact, bound) = (exact[group] as f64 * unit, 4.0 * eps * scale[group] as f64 * unit);
                let (sum, mean) = (sums[group], means[group]);
                assert!((sum - exact).abs() <= bound, "{rows}×{columns} {reduced:?}: {sum}, not {exact}");
                assert!((mean - exact / count).abs() <= bound / count, "{rows}×{columns} {reduced:?}");
            }
        }
    }
}

#[test]
fn sums_err_by_4_eps_of_the_sum_of_magnitudes() {
    check_sums::<f32>(20, f32::EPSILON.into());
    check_sums::<f64>(45, f64::EPSILON);
    check_sums::<f16>(9, f16::EPSILON.into());
    check_sums::<bf16>(7, bf16::EPSILON.into());
}

#[test]
fn a_long_sum_of_one_value_does_not_drift() {
    let x = vec![0.1_f32; 1_000_003];
    let mut out = [0.0];
    f32::fold(Fold::Sum, slice(&x), &[true], &mut out).expect("floats have sums");
    let exact = f64::from(0.1_f32) * 1_000_003.0;
    assert!((f64::from(out[0]) - exact).abs() <= exact * f64::from(f32::EPSILON));
    let mut running = vec![0.0; x.len()];
    f32::cumulate(true, slice(&x), 0, false, false, &mut running);
    assert_eq!(running.last(), Some(&out[0]));
}

#[test]
fn infinities_sum_to_infinity() {
    for terms in [[1.0, f64::INFINITY, 2.0], [f64::MAX, f64::MAX, 1.0]] {
        let mut out = [0.0];
        f64::fold(Fold::Sum, slice(&terms), &[true], &mut out).expect("floats have sums");
        assert_eq!(out, [f64::INFINITY]);
    }
    let mut out = [0.0];
    f64::fold(Fold::Sum, slice(&[f64::INFINITY, f64::NEG_INFINITY]), &[true], &mut out).expect("floats have sums");
    assert!(out[0].is_nan());
}

/// Products of shapes around the tiles, strips and blocks, with values whose products are exact in f64.
fn check_products<T: Number>(eps: f64, bound: f64) {
    for (m, k, n) in [
        (0, 3, 2),
        (2, 0, 3),
        (3, 2, 0),
        (1, 1, 1),
        (1, 7, 33),
        (5, 17, 1),
        (13, 127, 31),
        (12, 128, 32),
        (11, 129, 33),
        (3, 257, 515),
        (29, 16, 48),
        (40, 300, 10),
    ] {
        let values = |n: usize, seed| -> (Vec<f64>, Vec<T>) {
            let fixed = fixed_points(n, 7, seed);
            let wide: Vec<f64> = fixed.iter().map(|&x| x as f64 / (1 << 15) as f64 * bound).collect();
            let (mut own, mut back) = (vec![T::zeroed(); n], vec![0.0; n]);
            cast(slice(&wide), &mut own);
            cast(slice(&own), &mut back);
            (back, own)
        };
        let ((a, own_a), (b, own_b)) = (values(m * k, 1), values(k * n, 2));
        let mut out = vec![T::zeroed(); m * n];
        let mut scratch = vec![T::zeroed(); T::matmul_scratch(m, k, n)];
        let (a_shape, a_strides, b_shape, b_strides) = ([m, k], [k as isize, 1], [k, n], [n as isize, 1]);
        T::matmul(
            Strided::new(&own_a, &a_shape, &a_strides, 0).expect("contiguous"),
            Strided::new(&own_b, &b_shape, &b_strides, 0).expect("contiguous"),
            &mut out,
            &mut scratch,
        );
        let mut found = vec![0.0_f64; m * n];
        cast(slice(&out), &mut found);
        for (i, &found) in found.iter().enumerate() {
            let terms = || (0..k).map(|p| a[i / n * k + p] * b[p * n + i % n]);
            let (exact, scale): (f64, f64) = (terms().sum(), terms().map(f64::abs).sum());
            assert!((found - exact).abs() <= 4.0 * eps * scale, "{m}×{k}×{n}: {found}, not {exact}");
        }
    }
}

#[test]
fn products_err_by_4_eps_of_the_sum_of_magnitudes() {
    check_products::<f32>(f32::EPSILON.into(), 1.0);
    check_products::<f64>(f64::EPSILON, 1.0);
    check_products::<f16>(f16::EPSILON.into(), 1.0);
    check_products::<bf16>(bf16::EPSILON.into(), 1.0);
    check_products::<num_complex::Complex<f32>>(f32::EPSILON.into(), 1.0);
    check_products::<i32>(0.0, 100.0);
    check_products::<i64>(0.0, 100.0);
}

#[test]
fn softmax_and_its_losses_follow_their_definitions() {
    for n in [1, 2, 10, 513] {
        let fixed = fixed_points(3 * n, 10, n as u64);
        let x: Vec<f32> = fixed.iter().map(|&x| x as f32 / 4096.0).collect();
        let labels: Vec<f32> = (0..3 * n).map(|i| (i % 5) as f32 / 8.0).collect();
        let classes: Vec<i64> = (0..3).map(|row| (row * 7 % n) as i64).collect();
        let (mut shares, mut logs) = (vec![0.0; 3 * n], vec![0.0; 3 * n]);
        f32::softmax(&x, n, &mut shares, false);
        f32::softmax(&x, n, &mut logs, true);
        let (mut loss, mut gradient) = ([0.0; 3], vec![0.0; 3 * n]);
        f32::cross_entropy(&x, &labels, n, &mut loss, &mut gradient);
        let (mut sparse_loss, mut sparse_gradient) = ([0.0; 3], vec![0.0; 3 * n]);
        f32::sparse_cross_entropy(&x, &classes, n, &mut sparse_loss, &mut sparse_gradient).expect("labels in range");
        for row in 0..3 {
            let wide: Vec<f64> = x[row * n..][..n].iter().map(|&x| f64::from(x)).collect();
            let greatest = wide.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = wide.iter().map(|x| (x - greatest).exp()).sum();
            let (mut expected_loss, mut scale) = (0.0, 0.0);
            for (i, &x) in wide.iter().enumerate() {
                let (at, share, log) = (row * n + i, (x - greatest).exp() / sum, x - greatest - sum.ln());
                let label = f64::from(labels[at]);
                let is_class = if i as i64 == classes[row] { 1.0 } else { 0.0 };
                let eps = f64::from(f32::EPSILON);
                assert!((f64::from(shares[at]) - share).abs() <= 4.0 * ulp(share, 24, -149), "share {share}");
                assert!((f64::from(logs[at]) - log).abs() <= 4.0 * eps * log.abs(), "log {log}");
                assert!((f64::from(gradient[at]) - (share - label)).abs() <= 4.0 * ulp(share + label, 24, -149));
                assert!(
                    (f64::from(sparse_gradient[at]) - (share - is_class)).abs()
                        <= 4.0 * ulp(share + is_class, 24, -149)
                );
                if is_class == 1.0 {
                    assert!((f64::from(sparse_loss[row]) + log).abs() <= 4.0 * eps * log.abs());
                }
                expected_loss -= label * log;
                scale += label * log.abs();
            }
            assert!((f64::from(loss[row]) - expected_loss).abs() <= 4.0 * f64::from(f32::EPSILON) * scale);
        }
    }
}
