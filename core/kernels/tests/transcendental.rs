//! exp, log and their kin over all floats: near libm's in f64, the same bits by every instruction set that has fused
//! multiplication and addition, and right where a function ends or breaks off.

use modulor_kernels::{Binary, Float, Fold, InstructionSet, Number, Strided, Unary, with_instruction_set};

type Oracle = (Unary, fn(f64) -> f64);

/// What is meant, and by what.
const FUNCTIONS: [Oracle; 24] = [
    (Unary::Exp, libm::exp),
    (Unary::Expm1, libm::expm1),
    (Unary::Log, libm::log),
    (Unary::Log1p, libm::log1p),
    (Unary::Sin, libm::sin),
    (Unary::Cos, libm::cos),
    (Unary::Tan, libm::tan),
    (Unary::Sinh, libm::sinh),
    (Unary::Cosh, libm::cosh),
    (Unary::Tanh, libm::tanh),
    (Unary::Asin, libm::asin),
    (Unary::Acos, libm::acos),
    (Unary::Atan, libm::atan),
    (Unary::Asinh, libm::asinh),
    (Unary::Acosh, |x| if x < 1.0 { f64::NAN } else { libm::acosh(x) }),
    (Unary::Atanh, libm::atanh),
    (Unary::Erf, libm::erf),
    (Unary::Erfc, libm::erfc),
    (Unary::Gelu, |x| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)),
    (Unary::Sigmoid, |x| if x < 0.0 { libm::exp(x) / (1.0 + libm::exp(x)) } else { 1.0 / (1.0 + libm::exp(-x)) }),
    (Unary::Softplus, |x| x.max(0.0) + if x.is_nan() { x } else { libm::log1p(libm::exp(-x.abs())) }),
    (Unary::Rsqrt, |x| 1.0 / x.sqrt()),
    (Unary::Elu, |x| if x < 0.0 { libm::expm1(x) } else { x }),
    (Unary::Selu, |x| {
        let alpha = 1.673_263_242_354_377_2;
        1.050_700_987_355_480_5 * if x < 0.0 { alpha * libm::expm1(x) } else { x }
    }),
];

fn slice<'a, T: Copy>(x: &'a [T], shape: &'a [usize; 1]) -> Strided<'a, T> {
    Strided::new(x, shape, &[1], 0).expect("contiguous")
}

fn unary<T: Number>(op: Unary, x: &[T]) -> Vec<T> {
    let mut out = vec![T::zeroed(); x.len()];
    T::unary(op, slice(x, &[x.len()]), &mut out).expect("floats take everything");
    out
}

fn binary<T: Number>(op: Binary, a: &[T], b: &[T]) -> Vec<T> {
    let mut out = vec![T::zeroed(); a.len()];
    T::binary(op, slice(a, &[a.len()]), slice(b, &[b.len()]), &mut out).expect("floats take everything");
    out
}

/// The floats by their bits, every `step`-th; all signs and exponents, subnormal numbers, infinities and NaNs.
fn floats(step: usize) -> impl Iterator<Item = f32> {
    (0..=u32::MAX).step_by(step).map(f32::from_bits)
}

/// The floats between two of one sign are as many as their bits are apart.
fn distance(a: f32, b: f32) -> u32 {
    let place = |x: f32| if x.is_sign_negative() { -i64::from(x.to_bits() & !(1 << 31)) } else { x.to_bits().into() };
    (place(a) - place(b)).unsigned_abs() as u32
}

/// The sets of this machine, the best of which also has the oracle.
fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_here())
}

/// Whether two results are one, with no regard to what a NaN says.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

fn check(step: usize) {
    for (op, oracle) in FUNCTIONS {
        let (mut worst, mut at) = (vec![0; 3], vec![0.0; 3]);
        let mut input = floats(step).peekable();
        while input.peek().is_some() {
            let x: Vec<f32> = input.by_ref().take(1 << 16).collect();
            let expected: Vec<f32> = x.iter().map(|&x| oracle(x.into()) as f32).collect();
            let mut fused: Option<Vec<f32>> = None;
            for (i, set) in sets().enumerate() {
                let found = with_instruction_set(set, || unary(op, &x));
                for ((&x, &found), &expected) in x.iter().zip(&found).zip(&expected) {
                    assert_eq!(
                        found.is_nan(),
                        expected.is_nan(),
                        "{op:?}({x:e}) = {found:e}, not {expected:e}, {set:?}"
                    );
                    let off = if found.is_nan() { 0 } else { distance(found, expected) };
                    if off > worst[i] {
                        (worst[i], at[i]) = (off, x);
                    }
                }
                if set != InstructionSet::Portable {
                    let first = fused.get_or_insert_with(|| found.clone());
                    let differs = first.iter().zip(&found).position(|(&a, &b)| !same(a, b));
                    assert_eq!(differs.map(|i| x[i]), None, "{op:?} {set:?}");
                }
            }
        }
        assert!(worst.iter().all(|&worst| worst <= 4), "{op:?}: {worst:?} ulp at {at:?}");
    }
}

/// Functions of f64 that are ours, over all exponents. libm's own last bits are its own.
#[test]
fn functions_of_doubles_are_within_4_ulp() {
    let place = |x: f64| if x.is_sign_negative() { -((x.to_bits() & !(1 << 63)) as i64) } else { x.to_bits() as i64 };
    let ours = [
        Unary::Exp,
        Unary::Expm1,
        Unary::Log,
        Unary::Log1p,
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Erf,
        Unary::Erfc,
        Unary::Sigmoid,
        Unary::Softplus,
    ];
    let everywhere = (0..=u64::MAX).step_by(92_233_720_368_547).map(f64::from_bits);
    let close = (-40_000..40_000).map(|i| f64::from(i) / 512.0);
    // Where sine and cosine are 0, up to where they are libm's.
    let turns = (1..640_000)
        .step_by(53)
        .flat_map(|i| [1.0, -1.0].map(|sign| sign * f64::from(i) * std::f64::consts::FRAC_PI_2));
    let x: Vec<f64> = everywhere.chain(close).chain(turns).collect();
    for (op, oracle) in FUNCTIONS.into_iter().filter(|(op, _)| ours.contains(op)) {
        let mut fused: Option<Vec<u64>> = None;
        for set in sets() {
            let found = with_instruction_set(set, || unary(op, &x));
            for (&x, &found) in x.iter().zip(&found) {
                let expected = oracle(x);
                let near = place(found).abs_diff(place(expected)) <= 4;
                assert!(
                    near || found.is_nan() && expected.is_nan(),
                    "{op:?}({x:e}) = {found:e}, not {expected:e}, {set:?}"
                );
            }
            if set != InstructionSet::Portable {
                let bits: Vec<u64> = found.iter().filter(|x| !x.is_nan()).map(|x| x.to_bits()).collect();
                assert!(*fused.get_or_insert_with(|| bits.clone()) == bits, "{op:?} {set:?}");
            }
        }
    }
}

/// Its fraction ends where it is rounded to 1: all floats before that, and some of the doubles.
#[test]
fn tanh_is_not_above_1() {
    let floats: Vec<f32> = (8.0_f32.to_bits()..10.0_f32.to_bits()).map(f32::from_bits).collect();
    let doubles: Vec<f64> = (0..3_000_000).map(|i| 15.0 + 5.0 * f64::from(i) / 3e6).collect();
    for set in sets() {
        with_instruction_set(set, || {
            let out = unary(Unary::Tanh, &floats);
            let above = out.iter().position(|&y| y > 1.0);
            assert_eq!(above.map(|i| floats[i]), None, "{set:?}");
            assert_eq!(out.last(), Some(&1.0), "{set:?}");
            let out = unary(Unary::Tanh, &doubles);
            let above = out.iter().position(|&y| y > 1.0);
            assert_eq!(above.map(|i| doubles[i]), None, "{set:?}");
            assert_eq!(out.last(), Some(&1.0), "{set:?}");
        });
    }
}

/// All pairs of what is special, and powers of all sizes, also of bases close to 1.
#[test]
fn powers_of_doubles_are_within_4_ulp() {
    let place = |x: f64| if x.is_sign_negative() { -((x.to_bits() & !(1 << 63)) as i64) } else { x.to_bits() as i64 };
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let special = [0.0, -0.0, inf, -inf, nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 5e-324, -5e-324, f64::MAX];
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    let pairs = (0..60_000).map(|i| {
        let base =
            (1.0 + next() * [0.9, 0.1, 1e-3, 1e-6][i % 4]) * ([0.0, 0.0, 1.0, 60.0, 2000.0][i % 5] * next()).exp2();
        let exponent = next() * [(1500.0 / base.ln().abs()).min(1e9), 20.0, 3.0][i % 3];
        (if i % 17 == 0 { -base } else { base }, if i % 7 == 0 { exponent.round() } else { exponent })
    });
    let all = special.iter().flat_map(|&a| special.map(|b| (a, b)));
    let (a, b): (Vec<f64>, Vec<f64>) = all.chain(pairs).unzip();
    let mut fused: Option<Vec<u64>> = None;
    for set in sets() {
        let found = with_instruction_set(set, || binary(Binary::Pow, &a, &b));
        for ((&a, &b), &found) in a.iter().zip(&b).zip(&found) {
            let expected = a.powf(b);
            let near = place(found).abs_diff(place(expected)) <= 4;
            let right = near || found.is_nan() && expected.is_nan();
            assert!(right, "{a:e} to {b:e} = {found:e}, not {expected:e}, {set:?}");
        }
        if set != InstructionSet::Portable {
            let bits: Vec<u64> = found.iter().filter(|x| !x.is_nan()).map(|x| x.to_bits()).collect();
            assert!(*fused.get_or_insert_with(|| bits.clone()) == bits, "{set:?}");
        }
    }
}

/// What a function is where it ends: signs of zeros, infinities, and what has no value.
#[test]
fn functions_end_as_they_should() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let x = [0.0, -0.0, inf, -inf, nan, 1.0, -1.0, 1e-45, -1e-45, f32::MAX, f32::MIN];
    let half_pi = std::f32::consts::FRAC_PI_2;
    let table: [(Unary, [f32; 11]); 19] = [
        (Unary::Exp, [1.0, 1.0, inf, 0.0, nan, 2.718_281_7, 0.367_879_45, 1.0, 1.0, inf, 0.0]),
        (Unary::Expm1, [0.0, -0.0, inf, -1.0, nan, 1.718_281_9, -0.632_120_55, 1e-45, -1e-45, inf, -1.0]),
        (Unary::Log, [-inf, -inf, inf, nan, nan, 0.0, nan, -103.278_93, nan, 88.722_84, nan]),
        (Unary::Log1p, [0.0, -0.0, inf, nan, nan, std::f32::consts::LN_2, -inf, 1e-45, -1e-45, 88.722_84, nan]),
        (Unary::Tanh, [0.0, -0.0, 1.0, -1.0, nan, 0.761_594_2, -0.761_594_2, 1e-45, -1e-45, 1.0, -1.0]),
        (Unary::Sigmoid, [0.5, 0.5, 1.0, 0.0, nan, 0.731_058_6, 0.268_941_43, 0.5, 0.5, 1.0, 0.0]),
        (Unary::Erf, [0.0, -0.0, 1.0, -1.0, nan, 0.842_700_8, -0.842_700_8, 1e-45, -1e-45, 1.0, -1.0]),
        (Unary::Gelu, [0.0, -0.0, inf, nan, nan, 0.841_344_7, -0.158_655_26, 1e-45, -0.0, f32::MAX, -0.0]),
        (Unary::GeluTanh, [0.0, -0.0, inf, nan, nan, 0.841_191_95, -0.158_808_01, 0.0, -0.0, f32::MAX, -0.0]),
        (Unary::Erfc, [1.0, 1.0, 0.0, 2.0, nan, 0.157_299_2, 1.842_700_8, 1.0, 1.0, 0.0, 2.0]),
        (Unary::Sin, [0.0, -0.0, nan, nan, nan, 0.841_471, -0.841_471, 1e-45, -1e-45, -0.521_876_5, 0.521_876_5]),
        (Unary::Cos, [1.0, 1.0, nan, nan, nan, 0.540_302_3, 0.540_302_3, 1.0, 1.0, 0.853_021_1, 0.853_021_1]),
        (Unary::Sinh, [0.0, -0.0, inf, -inf, nan, 1.175_201_2, -1.175_201_2, 1e-45, -1e-45, inf, -inf]),
        (Unary::Cosh, [1.0, 1.0, inf, inf, nan, 1.543_080_7, 1.543_080_7, 1.0, 1.0, inf, inf]),
        (Unary::Asin, [0.0, -0.0, nan, nan, nan, half_pi, -half_pi, 1e-45, -1e-45, nan, nan]),
        (Unary::Acos, [half_pi, half_pi, nan, nan, nan, 0.0, 2.0 * half_pi, half_pi, half_pi, nan, nan]),
        (
            Unary::Atan,
            [0.0, -0.0, half_pi, -half_pi, nan, half_pi / 2.0, -half_pi / 2.0, 1e-45, -1e-45, half_pi, -half_pi],
        ),
        (Unary::Asinh, [0.0, -0.0, inf, -inf, nan, 0.881_373_6, -0.881_373_6, 1e-45, -1e-45, 89.415_99, -89.415_99]),
        (Unary::Atanh, [0.0, -0.0, nan, nan, nan, inf, -inf, 1e-45, -1e-45, nan, nan]),
    ];
    for set in sets() {
        for (op, expected) in &table {
            let found = with_instruction_set(set, || unary(*op, &x));
            for ((x, &found), &expected) in x.iter().zip(&found).zip(expected) {
                let exact = expected == 0.0 || expected.is_nan() || expected.is_infinite() || expected.is_subnormal();
                let right = if exact { same(found, expected) } else { distance(found, expected) <= 1 };
                assert!(right, "{op:?}({x:e}) = {found:e}, not {expected:e}, {set:?}");
            }
        }
    }
}

/// Functions of two arguments at all pairs of what is special and of numbers of all sizes.
#[test]
fn functions_of_two_arguments_are_those_of_f64_rounded() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let special =
        [0.0, -0.0, inf, -inf, nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1e-45, -1e-45, f32::MAX, f32::MIN];
    let others = floats(42_949_673).filter(|x| x.abs() < 1e4 && x.abs() > 1e-4);
    let x: Vec<f32> = special.into_iter().chain([1.000_000_1, 16_777_217.0, 16_777_215.0]).chain(others).collect();
    let a: Vec<f32> = x.iter().flat_map(|&a| std::iter::repeat_n(a, x.len())).collect();
    let b: Vec<f32> = x.iter().cycle().take(a.len()).copied().collect();
    type Oracle = fn(f64, f64) -> f64;
    let functions: [(Binary, Oracle); 4] = [
        (Binary::Pow, f64::powf),
        (Binary::Atan2, libm::atan2),
        (Binary::Xlogy, |a, b| if a == 0.0 { a } else { a * libm::log(b) }),
        (Binary::Xlog1py, |a, b| if a == 0.0 { a } else { a * libm::log1p(b) }),
    ];
    for (op, oracle) in functions {
        let mut fused: Option<Vec<f32>> = None;
        for set in sets() {
            let found = with_instruction_set(set, || binary(op, &a, &b));
            for ((&a, &b), &found) in a.iter().zip(&b).zip(&found) {
                let expected = oracle(a.into(), b.into()) as f32;
                let right = expected.is_nan() == found.is_nan() && (found.is_nan() || distance(found, expected) <= 4);
                assert!(right, "{op:?}({a:e}, {b:e}) = {found:e}, not {expected:e}, {set:?}");
            }
            if set != InstructionSet::Portable {
                let first = fused.get_or_insert_with(|| found.clone());
                assert!(first.iter().zip(&found).all(|(&a, &b)| same(a, b)), "{op:?} {set:?}");
            }
        }
    }
}

/// Where an element lies among others changes nothing: sizes around the lanes, the blocks and the tiles.
#[test]
fn an_element_has_one_result_wherever_it_stands() {
    let x: Vec<f32> = (0..2 * 512 + 67).map(|i| (i as f32 - 500.0) / 7.0).collect();
    let ops = [Unary::Exp, Unary::Sin, Unary::Tanh, Unary::Erf, Unary::Log1p, Unary::Erfc, Unary::Relu, Unary::Rsqrt];
    for (set, op) in sets().flat_map(|set| ops.map(|op| (set, op))) {
        with_instruction_set(set, || {
            let alone: Vec<f32> = x.iter().map(|&x| unary(op, &[x])[0]).collect();
            for n in [0, 1, 2, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 251, 511, 512, 513, 1021, x.len()] {
                for (from, to) in [(0, n), (x.len() - n, x.len())] {
                    let found = unary(op, &x[from..to]);
                    assert!(found.iter().zip(&alone[from..to]).all(|(&a, &b)| same(a, b)), "{op:?} of {n}, {set:?}");
                }
                let every = x[..n].iter().flat_map(|&x| [x, f32::NAN, 1e30]).collect::<Vec<_>>();
                let mut found = vec![0.0; n];
                let (shape, strides) = ([n], [3]);
                let view = Strided::new(&every, &shape, &strides, 0).expect("in bounds");
                f32::unary(op, view, &mut found).expect("floats take everything");
                assert!(found.iter().zip(&alone).all(|(&a, &b)| same(a, b)), "{op:?} of {n} apart, {set:?}");
                let mut over = x[..n].to_vec();
                f32::unary_over(op, &mut over).expect("floats take everything");
                assert!(over.iter().zip(&alone).all(|(&a, &b)| same(a, b)), "{op:?} over {n}, {set:?}");
            }
        });
    }
}

/// Rows of every length, far from and close to 0, flat and steep.
#[test]
fn softmax_is_within_4_ulp_and_one_by_all_fused_sets() {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    for n in [1, 2, 7, 10, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 513, 1000, 4099] {
        for (scale, shift) in [(1.0, 0.0), (30.0, 0.0), (250.0, 40.0), (200.0, -900.0), (60.0, 5000.0), (1e5, 0.0)] {
            let mut x: Vec<f32> = (0..3 * n).map(|_| next() * scale + shift).collect();
            x[n - 1] = if n > 1 { f32::NEG_INFINITY } else { shift };
            let mut fused: Option<Vec<f32>> = None;
            for set in sets() {
                let mut found = vec![0.0; 3 * n];
                with_instruction_set(set, || f32::softmax(&x, n, &mut found, false));
                for (x, found) in x.chunks(n).zip(found.chunks(n)) {
                    let greatest = x.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                    let exps: Vec<f64> = x.iter().map(|&x| libm::exp(f64::from(x) - f64::from(greatest))).collect();
                    let sum: f64 = exps.iter().sum();
                    for ((x, e), &found) in x.iter().zip(exps).zip(found) {
                        let expected = (e / sum) as f32;
                        assert!(
                            distance(found, expected) <= 4,
                            "{x} of {n} around {shift}: {found:e}, not {expected:e}, {set:?}"
                        );
                    }
                }
                if set != InstructionSet::Portable {
                    assert!(*fused.get_or_insert_with(|| found.clone()) == found, "{n} {set:?}");
                }
            }
        }
    }
    for row in [[f32::NAN, 1.0, 2.0], [f32::INFINITY, 1.0, 2.0], [f32::NEG_INFINITY; 3]] {
        let mut out = [0.0; 3];
        f32::softmax(&row, 3, &mut out, false);
        assert!(out.iter().all(|x| x.is_nan()), "{row:?}: {out:?}");
    }
}

/// No reduction multiplies and adds at once, so all sets give the same bits.
#[test]
fn reductions_are_one_by_all_sets() {
    for [rows, columns] in [[1, 1], [3, 17], [16, 16], [31, 33], [2, 513], [129, 127], [600, 5]] {
        let x: Vec<f32> = (0..rows * columns).map(|i| libm::sinf(i as f32) * 3_f32.powi(i as i32 % 7)).collect();
        let (shape, strides) = ([rows, columns], [columns as isize, 1]);
        let view = Strided::new(&x, &shape, &strides, 0).expect("contiguous");
        for op in [Fold::Sum, Fold::Mean, Fold::Prod, Fold::Max, Fold::Min] {
            for (reduced, outputs) in [([true, false], columns), ([false, true], rows), ([true, true], 1)] {
                let mut all: Vec<Vec<u32>> = sets()
                    .map(|set| {
                        let mut out = vec![0.0; outputs];
                        with_instruction_set(set, || f32::fold(op, view, &reduced, &mut out)).expect("floats have it");
                        out.into_iter().map(f32::to_bits).collect()
                    })
                    .collect();
                all.dedup();
                assert_eq!(all.len(), 1, "{op:?} of {shape:?} over {reduced:?}");
            }
        }
    }
}

#[test]
fn functions_of_floats_of_all_exponents_are_within_4_ulp() {
    check(20_011);
}

#[test]
#[ignore = "takes some minutes; check(1), of all floats, some hours"]
fn functions_of_forty_million_floats_are_within_4_ulp() {
    check(101);
}
