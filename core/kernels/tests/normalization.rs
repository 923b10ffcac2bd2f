//! Normalisations: against plain loops in float64, and the same bits by every way to compute them.

use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use modulor_kernels::{InstructionSet, Normalization, Number, Strided, cast, set_num_threads, with_instruction_set};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

fn dense<T: Copy>(x: &[T], f: impl FnOnce(Strided<T>)) {
    f(Strided::new(x, &[x.len()], &[1], 0).expect("contiguous"));
}

fn own<T: Number>(wide: &[f64]) -> Vec<T> {
    let mut own = vec![T::zeroed(); wide.len()];
    dense(wide, |wide| cast(wide, &mut own));
    own
}

fn wide<T: Number>(own: &[T]) -> Vec<f64> {
    let mut wide = vec![0.0; own.len()];
    dense(own, |own| cast(own, &mut wide));
    wide
}

/// Numbers around `centre`, at most 1 from it, without order.
fn values<T: Number>(n: usize, seed: usize, centre: f64) -> Vec<T> {
    let bits = |i: usize| ((i + seed) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 37;
    own(&(0..n).map(|i| centre + bits(i) as f64 / f64::from(1 << 26) - 1.0).collect::<Vec<_>>())
}

/// What outputs and scratch hold before.
fn garbage<T: Number>(n: usize) -> Vec<T> {
    own(&vec![7.0; n])
}

/// A sum that is right to the last bit or two.
fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut rest) = (0.0_f64, 0.0);
    for term in terms {
        let next = sum + term;
        let part = next - sum;
        rest += (sum - (next - part)) + (term - part);
        sum = next;
    }
    sum + rest
}

fn mean(x: &[f64]) -> f64 {
    sum(x.iter().copied()) / x.len() as f64
}

fn moments(x: &[f64]) -> [f64; 2] {
    let centre = mean(x);
    [centre, sum(x.iter().map(|x| (x - centre) * (x - centre))) / x.len() as f64]
}

/// The floats, and how far a result may be off, as a part of the magnitude of its terms.
trait Tested: Number {
    const ERROR: f64;
}
impl Tested for f32 {
    const ERROR: f64 = 4.0 * f32::EPSILON as f64;
}
impl Tested for f64 {
    const ERROR: f64 = 4.0 * f64::EPSILON;
}
impl Tested for f16 {
    const ERROR: f64 = 0.6 / 1024.0;
}
impl Tested for bf16 {
    const ERROR: f64 = 0.6 / 128.0;
}

trait Normal: Tested + Normalization<Statistic: Tested> {}
impl<T: Tested + Normalization<Statistic: Tested>> Normal for T {}

/// Compares results with what they are to be and the magnitudes of their terms.
#[track_caller]
fn check<T: Tested>(name: &str, found: &[T], expected: &[[f64; 2]]) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, &[expected, magnitude])) in wide(found).into_iter().zip(expected).enumerate() {
        // Beside the smallest normal f16.
        let bound = T::ERROR * magnitude + 1e-7 * f64::from(u8::from(size_of::<T>() == 2));
        assert!((found - expected).abs() <= bound, "{name} {i}: {found}, not {expected} ± {bound}");
    }
}

/// The magnitude whose rounding errors a mean has: that of f64 is not kept in more than f64.
fn rounding<T>(mean: f64) -> f64 {
    if size_of::<T>() == 8 { mean.abs() } else { 0.0 }
}

fn bytes<T: Number>(of: &[&[T]]) -> Vec<u8> {
    of.iter().flat_map(|x| bytemuck::cast_slice::<T, u8>(x)).copied().collect()
}

/// The bits of what `f` gives are the same on any number of threads, and with AVX2 and AVX-512.
fn same_bits(f: impl Fn() -> Vec<u8>) {
    let _threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut fused: Option<Vec<u8>> = None;
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        let mut own: Option<Vec<u8>> = None;
        for threads in [1, 2, 3, 4, 8] {
            set_num_threads(threads);
            let found = with_instruction_set(set, &f);
            assert!(*own.get_or_insert_with(|| found.clone()) == found, "{set:?}, {threads} threads");
        }
        if set != InstructionSet::Portable {
            let own = own.expect("it ran");
            assert!(*fused.get_or_insert_with(|| own.clone()) == own, "{set:?}");
        }
    }
    set_num_threads(0);
}

fn on_every_set(test: impl Fn()) {
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
        with_instruction_set(set, &test);
    }
}

/// Every mask of the axes.
fn masks(axes: usize) -> impl Iterator<Item = Vec<bool>> {
    (0..1_usize << axes).map(move |bits| (0..axes).map(|axis| bits >> axis & 1 == 1).collect())
}

fn moments_of<T: Normalization>(x: Strided<T>, reduced: &[bool]) -> [Vec<T>; 2] {
    let outputs = x.shape().iter().zip(reduced).filter(|&(_, &gone)| !gone).map(|(&dim, _)| dim).product();
    let [mut mean, mut variance] = [garbage::<T>(outputs), garbage::<T>(outputs)];
    let mut scratch = garbage::<f64>(T::moments_scratch(x.shape(), reduced));
    T::moments(x, reduced, &mut mean, &mut variance, &mut scratch);
    [mean, variance]
}

/// Row-major strides of a shape.
fn strides(shape: &[usize]) -> Vec<isize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product::<usize>() as isize).collect()
}

/// Moments of all masks, and of the same elements that lie backwards, turned and with gaps.
fn check_moments<T: Normal>(shape: &[usize], centre: f64) {
    let (n, dense) = (shape.iter().product(), strides(shape));
    let x: Vec<T> = values(n, 3, centre);
    let exact = wide(&x);
    let backwards: Vec<T> = x.iter().rev().copied().collect();
    let gaps: Vec<T> = x.iter().flat_map(|&x| [x, T::zeroed(), T::zeroed()]).collect();
    let turned_shape: Vec<usize> = shape.iter().rev().copied().collect();
    let turned_strides: Vec<isize> = strides(&turned_shape).into_iter().rev().collect();
    let mut turned = vec![T::zeroed(); n];
    let dense_view = Strided::new(&x, shape, &dense, 0).expect("in bounds");
    modulor_kernels::place(dense_view, &mut turned, &turned_strides, 0).expect("in bounds");
    let by = |factor: isize| dense.iter().map(|stride| stride * factor).collect::<Vec<_>>();
    let layouts = [(&backwards, by(-1), n.saturating_sub(1)), (&gaps, by(3), 0), (&turned, turned_strides, 0)];
    for reduced in masks(shape.len()) {
        let found = moments_of(dense_view, &reduced);
        let mut terms = vec![Vec::new(); found[0].len()];
        for (i, &x) in exact.iter().enumerate() {
            let mut at = 0;
            for axis in (0..shape.len()).filter(|&axis| !reduced[axis]) {
                at = at * shape[axis] + i / dense[axis] as usize % shape[axis];
            }
            terms[at].push(x);
        }
        let expected: Vec<_> = terms.iter().map(|terms| moments(terms)).collect();
        let magnitude = |terms: &Vec<f64>| sum(terms.iter().map(|x| x.abs())) / terms.len() as f64;
        let means: Vec<_> = expected.iter().zip(&terms).map(|(of, terms)| [of[0], magnitude(terms)]).collect();
        // The deviations of f64 are off by what the rounding of a mean is, and the variance by its square.
        let lost = (centre * f64::EPSILON).powi(2) / T::ERROR;
        let variances: Vec<_> = expected.iter().map(|of| [of[1], of[1] + lost]).collect();
        check(&format!("mean of {shape:?} over {reduced:?}"), &found[0], &means);
        check(&format!("variance of {shape:?} over {reduced:?}"), &found[1], &variances);
        for (x, strides, offset) in &layouts {
            let view = Strided::new(x, shape, strides, *offset).expect("in bounds");
            let again = moments_of(view, &reduced);
            assert!(bytes(&[&again[0], &again[1]]) == bytes(&[&found[0], &found[1]]), "{shape:?} {reduced:?}");
        }
    }
}

#[test]
fn moments_are_those_of_plain_loops_in_every_layout() {
    on_every_set(|| {
        for shape in [&[][..], &[1], &[15], &[16], &[17], &[1023], &[1024], &[1025], &[3, 5, 7], &[33, 65], &[2, 1, 3]]
        {
            check_moments::<f32>(shape, 0.25);
            check_moments::<f64>(shape, 0.25);
            check_moments::<f16>(shape, 0.25);
            check_moments::<bf16>(shape, 0.25);
        }
    });
    check_moments::<f32>(&[3, 31, 2, 130], 0.25);
    check_moments::<f32>(&[600, 3, 40], 0.25);
    check_moments::<f64>(&[1100, 67], -0.5);
    check_moments::<f64>(&[40_007], 100.0);
}

#[test]
fn moments_of_nothing_are_none() {
    let x = Strided::new(&[0.0_f32; 0], &[0, 3], &[3, 1], 0).expect("in bounds");
    let [mean, variance] = moments_of(x, &[true, false]);
    assert!(mean.len() == 3 && mean.iter().chain(&variance).all(|x| x.is_nan()));
    assert!(moments_of(x, &[false, true])[0].is_empty());
}

#[test]
fn a_mean_far_from_0_costs_the_variance_nothing() {
    // 10⁴ and deviations of some 10⁻², as near as f32 has them.
    let n = 5000;
    let near: Vec<f64> = wide(&values::<f32>(n, 1, 0.0)).iter().map(|x| 1e4 + 1.7e-2 * x).collect();
    let x = own::<f32>(&near);
    let expected = moments(&wide(&x));
    assert!(expected[1] < 2e-4);
    let mut y = garbage::<f32>(n);
    for (shape, reduced) in [([n, 1], [true, false]), ([n, 1], [true, true]), ([1, n], [false, true])] {
        let [mean, variance] = moments_of(Strided::new(&x, &shape, &strides(&shape), 0).expect("in bounds"), &reduced);
        check("mean", &mean, &[[expected[0]; 2]]);
        check("variance", &variance, &[[expected[1]; 2]]);
    }
    let columns: Vec<f32> = x.iter().flat_map(|&x| [x, -x, 0.0]).collect();
    let [_, variance] = moments_of(Strided::new(&columns, &[n, 3], &[3, 1], 0).expect("in bounds"), &[true, false]);
    check("variance", &variance, &[[expected[1]; 2], [expected[1]; 2], [0.0; 2]]);
    let normal: Vec<_> = wide(&x).iter().map(|x| [(x - expected[0]) / expected[1].sqrt(); 2].map(f64::abs)).collect();
    let signed: Vec<_> =
        wide(&x).iter().zip(&normal).map(|(x, of)| [of[0] * (x - expected[0]).signum(), of[1]]).collect();
    f32::layer_normalization(&x, None, None, n, 0.0, &mut y, &mut [0.0], &mut [0.0]);
    check("rows", &y, &signed);
    let mut scratch = garbage(f32::batch_normalization_scratch([1, 1, n]));
    for sizes in [[1, 1, n], [n, 1, 1]] {
        scratch.resize(f32::batch_normalization_scratch(sizes), 7.0);
        f32::batch_normalization_training(&x, sizes, None, None, 0.0, &mut y, &mut [0.0], &mut [0.0], &mut scratch);
        check("batch", &y, &signed);
    }
    let far: Vec<f64> = wide(&values::<f64>(n, 1, 0.0)).iter().map(|x| 1e8 + 1e-2 * x).collect();
    let [_, variance] = moments_of(Strided::new(&far, &[n], &[1], 0).expect("in bounds"), &[true]);
    let exact = moments(&far)[1];
    let bound = f64::EPSILON * 1e8 * exact.sqrt();
    assert!((variance[0] - exact).abs() <= bound, "{} {exact}", variance[0]);
}

#[test]
fn what_is_not_finite_stays_so() {
    for at in [0, 40, 1500, 2999] {
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![1.0; 3000];
            x[at] = special;
            for (shape, reduced) in [([1, 3000], [false, true]), ([3000, 1], [true, false]), ([1500, 2], [true, false])]
            {
                let strides = strides(&shape);
                let view = Strided::new(&x, &shape, &strides, 0).expect("in bounds");
                let [mean, variance] = moments_of(view, &reduced);
                let place = at % mean.len();
                assert!(mean[place] == special || mean[place].is_nan() && special.is_nan(), "{}", mean[place]);
                assert!(variance[place].is_nan());
                assert!(mean.len() == 1 || mean[1 - place] == 1.0 && variance[1 - place] == 0.0);
            }
        }
    }
    // Sums and squares of f32 do not overflow on the way.
    let large = vec![3e38_f32; 40];
    let view = Strided::new(&large, &[40], &[1], 0).expect("in bounds");
    assert_eq!(moments_of(view, &[true]), [[3e38], [0.0]]);
}

/// γ and β, each there or not.
fn parameters<T: Number>(n: usize) -> Vec<[Option<Vec<T>>; 2]> {
    let (gamma, beta) = (values::<T>(n, 11, 1.0), values::<T>(n, 17, 0.5));
    vec![[None, None], [Some(gamma.clone()), None], [None, Some(beta.clone())], [Some(gamma), Some(beta)]]
}

fn or<T: Number>(of: &Option<Vec<T>>, n: usize, default: f64) -> Vec<f64> {
    of.as_ref().map_or_else(|| vec![default; n], |of| wide(of))
}

/// Layer normalisation of rows or, not `centred`, that by the root of the mean square, and its gradient.
fn check_rows<T: Normal>(rows: usize, n: usize, centred: bool) {
    let (x, dy) = (values::<T>(rows * n, 1, 0.3), values::<T>(rows * n, 71, 0.1));
    let epsilon = 1e-3;
    for [gamma, beta] in parameters::<T>(n) {
        if !centred && beta.is_some() {
            continue;
        }
        let (mut y, mut dx) = (garbage::<T>(rows * n), garbage::<T>(rows * n));
        let (mut dgamma, mut dbeta) = (garbage::<T>(n), garbage::<T>(n));
        let (mut own_mean, mut inverse) = (garbage::<T::Statistic>(rows), garbage::<T::Statistic>(rows));
        let mut scratch = garbage(T::layer_normalization_scratch(rows, n));
        if centred {
            let (gamma, beta) = (gamma.as_deref(), beta.as_deref());
            T::layer_normalization(&x, gamma, beta, n, epsilon, &mut y, &mut own_mean, &mut inverse);
            let both = (Some(&mut dgamma[..]), Some(&mut dbeta[..]));
            T::layer_normalization_gradient(
                &dy,
                &x,
                &own_mean,
                &inverse,
                gamma,
                n,
                &mut dx,
                both.0,
                both.1,
                &mut scratch,
            );
            let (mut alone, mut dx_alone) = (garbage::<T>(n), garbage::<T>(rows * n));
            let (dbeta_of, dbeta) = (dbeta.clone(), Some(&mut alone[..]));
            T::layer_normalization_gradient(
                &dy,
                &x,
                &own_mean,
                &inverse,
                gamma,
                n,
                &mut dx_alone,
                None,
                dbeta,
                &mut scratch,
            );
            assert!(bytes(&[&alone, &dx_alone]) == bytes(&[&dbeta_of, &dx]), "one gradient without the other");
        } else {
            let gamma = gamma.as_deref();
            T::rms_normalization(&x, gamma, n, epsilon, &mut y, &mut inverse);
            let dgamma = Some(&mut dgamma[..]);
            T::rms_normalization_gradient(&dy, &x, &inverse, gamma, n, &mut dx, dgamma, &mut scratch);
        }
        let (gamma, beta) = (or(&gamma, n, 1.0), or(&beta, n, 0.0));
        let (x, dy) = (wide(&x), wide(&dy));
        let (mut of_y, mut of_dx, mut of_mean, mut of_inverse) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut of_dgamma, mut of_dbeta) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        let (given_mean, given_inverse) = (wide(&own_mean), wide(&inverse));
        for row in 0..rows {
            let (x, dy) = (&x[row * n..][..n], &dy[row * n..][..n]);
            let [centre, square] =
                if centred { moments(x) } else { [0.0, mean(&x.iter().map(|x| x * x).collect::<Vec<_>>())] };
            let scale = 1.0 / (square + epsilon).sqrt();
            of_mean.push([centre, mean(&x.iter().map(|x| x.abs()).collect::<Vec<_>>())]);
            of_inverse.push([scale, scale]);
            for i in 0..n {
                let normal = (x[i] - centre) * scale * gamma[i];
                let lost = rounding::<T>(centre) * (scale * gamma[i]).abs();
                of_y.push([normal + beta[i], normal.abs() + beta[i].abs() + lost]);
            }
            // The gradient is given what was written.
            let (centre, scale) = (if centred { given_mean[row] } else { 0.0 }, given_inverse[row]);
            let normal: Vec<f64> = x.iter().map(|x| (x - centre) * scale).collect();
            let part: Vec<f64> = dy.iter().zip(&gamma).map(|(dy, gamma)| dy * gamma).collect();
            let along: Vec<f64> = part.iter().zip(&normal).map(|(part, normal)| part * normal).collect();
            let magnitude = |x: &[f64]| mean(&x.iter().map(|x| x.abs()).collect::<Vec<_>>());
            let plain = if centred { [mean(&part), magnitude(&part)] } else { [0.0; 2] };
            for i in 0..n {
                let value = part[i] - plain[0] - normal[i] * mean(&along);
                let size = part[i].abs() + plain[1] + normal[i].abs() * magnitude(&along);
                of_dx.push([value * scale, size * scale]);
                of_dgamma[i].push(dy[i] * normal[i]);
                of_dbeta[i].push(dy[i]);
            }
        }
        let name = |of: &str| format!("{of} of {rows} × {n}");
        let sums = |of: &[Vec<f64>]| -> Vec<_> {
            of.iter().map(|x| [sum(x.iter().copied()), sum(x.iter().map(|x| x.abs()))]).collect()
        };
        check(&name("y"), &y, &of_y);
        check(&name("inverse"), &inverse, &of_inverse);
        check(&name("dx"), &dx, &of_dx);
        check(&name("dgamma"), &dgamma, &sums(&of_dgamma));
        if centred {
            check(&name("mean"), &own_mean, &of_mean);
            check(&name("dbeta"), &dbeta, &sums(&of_dbeta));
        }
    }
}

/// Rows and elements on both sides of every edge.
const ROWS: [[usize; 2]; 14] = [
    [0, 3],
    [1, 1],
    [3, 15],
    [4, 16],
    [5, 17],
    [63, 1],
    [64, 2],
    [65, 3],
    [129, 7],
    [13, 31],
    [2, 1023],
    [3, 1025],
    [1, 2048],
    [37, 67],
];

#[test]
fn rows_are_normalised_and_differentiated() {
    on_every_set(|| {
        for centred in [true, false] {
            for [rows, n] in ROWS {
                check_rows::<f32>(rows, n, centred);
            }
            check_rows::<f16>(70, 33, centred);
            check_rows::<bf16>(70, 33, centred);
        }
    });
    for [rows, n] in ROWS {
        check_rows::<f64>(rows, n, true);
        check_rows::<f64>(rows, n, false);
    }
    check_rows::<f32>(4100, 5, true);
}

#[test]
fn rows_of_nothing_have_no_mean() {
    let (mut mean, mut inverse) = ([0.0_f32; 2], [0.0_f32; 2]);
    f32::layer_normalization(&[], None, None, 0, 0.1, &mut [], &mut mean, &mut inverse);
    assert!(mean.iter().chain(&inverse).all(|x| x.is_nan()));
    f32::layer_normalization_gradient(&[], &[], &mean, &inverse, None, 0, &mut [], Some(&mut []), None, &mut []);
    let mut zeros = [7.0_f32; 3];
    f32::layer_normalization_gradient(&[], &[], &[], &[], None, 3, &mut [], None, Some(&mut zeros), &mut []);
    assert_eq!(zeros, [0.0; 3]);
}

/// Batch normalisation by its own moments and by others, and the gradients of both.
fn check_batch<T: Normal>(sizes: [usize; 3]) {
    let [outer, channels, inner] = sizes;
    let (n, epsilon) = (outer * channels * inner, 1e-3);
    let (x, dy) = (values::<T>(n, 1, 0.3), values::<T>(n, 71, 0.1));
    let of_channel = |x: &[f64], channel: usize| -> Vec<f64> {
        (0..n).filter(|i| i / inner % channels == channel).map(|i| x[i]).collect()
    };
    let (wide_x, wide_dy) = (wide(&x), wide(&dy));
    for [gamma, beta] in parameters::<T>(channels) {
        for training in [true, false] {
            let (mut y, mut dx) = (garbage::<T>(n), garbage::<T>(n));
            let mut own_mean = values::<T::Statistic>(channels, 29, 0.2);
            let mut variance = values::<T::Statistic>(channels, 31, 1.5);
            let mut scratch = garbage(T::batch_normalization_scratch(sizes));
            let given = [gamma.as_deref(), beta.as_deref()];
            if training {
                T::batch_normalization_training(
                    &x,
                    sizes,
                    given[0],
                    given[1],
                    epsilon,
                    &mut y,
                    &mut own_mean,
                    &mut variance,
                    &mut scratch,
                );
            } else {
                T::batch_normalization(
                    &x,
                    sizes,
                    &own_mean,
                    &variance,
                    given[0],
                    given[1],
                    epsilon,
                    &mut y,
                    &mut scratch,
                );
            }
            let (mut dgamma, mut dbeta) = (garbage::<T>(channels), garbage::<T>(channels));
            scratch.fill(7.0);
            T::batch_normalization_gradient(
                training,
                &dy,
                &x,
                sizes,
                &own_mean,
                &variance,
                given[0],
                epsilon,
                &mut dx,
                Some(&mut dgamma),
                Some(&mut dbeta),
                &mut scratch,
            );
            let mut dx_alone = garbage::<T>(n);
            T::batch_normalization_gradient(
                training,
                &dy,
                &x,
                sizes,
                &own_mean,
                &variance,
                given[0],
                epsilon,
                &mut dx_alone,
                None,
                None,
                &mut scratch,
            );
            assert!(bytes(&[&dx_alone]) == bytes(&[&dx]), "dx without the others");
            let (all_gamma, all_beta) = (or(&gamma, channels, 1.0), or(&beta, channels, 0.0));
            let (mut of_y, mut of_dx) = (vec![[0.0; 2]; n], vec![[0.0; 2]; n]);
            let (mut of_mean, mut of_variance, mut of_dgamma, mut of_dbeta) = (vec![], vec![], vec![], vec![]);
            let [given_mean, given_variance] = [wide(&own_mean), wide(&variance)];
            for channel in 0..channels {
                let (x, dy) = (of_channel(&wide_x, channel), of_channel(&wide_dy, channel));
                let magnitude = |x: &[f64]| mean(&x.iter().map(|x| x.abs()).collect::<Vec<_>>());
                let [centre, square] =
                    if training { moments(&x) } else { [given_mean[channel], given_variance[channel]] };
                of_mean.push([centre, if training { magnitude(&x) } else { 0.0 }]);
                of_variance.push([square, square]);
                let (gamma, beta) = (all_gamma[channel], all_beta[channel]);
                let scale = 1.0 / (square + epsilon).sqrt() * gamma;
                let (mut ys, mut dxs) = (Vec::new(), Vec::new());
                for x in &x {
                    let normal = (x - centre) * scale;
                    ys.push([normal + beta, normal.abs() + beta.abs() + rounding::<T>(centre) * scale.abs()]);
                }
                let inverse = 1.0 / (given_variance[channel] + epsilon).sqrt();
                let normal: Vec<f64> = x.iter().map(|x| (x - given_mean[channel]) * inverse).collect();
                let along: Vec<f64> = dy.iter().zip(&normal).map(|(dy, normal)| dy * normal).collect();
                for (dy_here, normal) in dy.iter().zip(&normal) {
                    let [mut value, mut size] = [*dy_here, dy_here.abs()];
                    if training {
                        value -= mean(&dy) + normal * mean(&along);
                        size += magnitude(&dy) + normal.abs() * magnitude(&along);
                    }
                    dxs.push([value * gamma * inverse, size * gamma.abs() * inverse]);
                }
                for (sums, x) in [(&mut of_dgamma, &along), (&mut of_dbeta, &dy)] {
                    sums.push([sum(x.iter().copied()), sum(x.iter().map(|x| x.abs()))]);
                }
                let places = (0..n).filter(|i| i / inner % channels == channel);
                for ((place, y), dx) in places.zip(ys).zip(dxs) {
                    (of_y[place], of_dx[place]) = (y, dx);
                }
            }
            let name = |of: &str| format!("{of} of {sizes:?}, training {training}");
            check(&name("y"), &y, &of_y);
            check(&name("dx"), &dx, &of_dx);
            check(&name("dgamma"), &dgamma, &of_dgamma);
            check(&name("dbeta"), &dbeta, &of_dbeta);
            if n > 0 {
                check(&name("mean"), &own_mean, &of_mean);
                check(&name("variance"), &variance, &of_variance);
            }
        }
    }
}

/// Channels last and first, and elements on both sides of every edge.
const BATCHES: [[usize; 3]; 14] = [
    [0, 3, 1],
    [2, 3, 0],
    [1, 1, 1],
    [3, 15, 1],
    [5, 16, 1],
    [70, 17, 1],
    [33, 2, 1],
    [7, 65, 1],
    [3, 2, 15],
    [1, 3, 16],
    [5, 17, 17],
    [17, 3, 49],
    [2, 1, 1030],
    [33, 2, 2],
];

#[test]
fn batches_are_normalised_and_differentiated() {
    on_every_set(|| {
        BATCHES.into_iter().for_each(check_batch::<f32>);
        check_batch::<f16>([20, 17, 3]);
        check_batch::<bf16>([50, 17, 1]);
    });
    BATCHES.into_iter().for_each(check_batch::<f64>);
    check_batch::<f32>([4200, 3, 1]);
}

/// The bits of all results over work that several threads share.
fn all_bits<T: Normalization>([x, dy]: [&[T]; 2], n: usize) -> Vec<u8> {
    let rows = x.len() / n;
    let (gamma, beta) = (values::<T>(n, 11, 1.0), values::<T>(n, 17, 0.5));
    let (gamma, beta) = (Some(&gamma[..]), Some(&beta[..]));
    let mut bits = Vec::new();
    for reduced in masks(2) {
        let view = Strided::new(x, &[rows, n], &[n as isize, 1], 0).map(|view| moments_of(view, &reduced));
        let [mean, variance] = view.expect("in bounds");
        bits.extend(bytes(&[&mean, &variance]));
    }
    let [mut y, mut dx] = [garbage::<T>(rows * n), garbage::<T>(rows * n)];
    let [mut dgamma, mut dbeta] = [garbage::<T>(n), garbage::<T>(n)];
    let [mut mean, mut inverse] = [garbage::<T::Statistic>(rows), garbage::<T::Statistic>(rows)];
    let mut scratch = garbage(T::layer_normalization_scratch(rows, n));
    T::layer_normalization(x, gamma, beta, n, 1e-3, &mut y, &mut mean, &mut inverse);
    let sums = (Some(&mut dgamma[..]), Some(&mut dbeta[..]));
    T::layer_normalization_gradient(dy, x, &mean, &inverse, gamma, n, &mut dx, sums.0, sums.1, &mut scratch);
    bits.extend(bytes(&[&y, &dx, &dgamma, &dbeta]));
    bits.extend(bytes(&[&mean, &inverse]));
    T::rms_normalization(x, gamma, n, 1e-3, &mut y, &mut inverse);
    T::rms_normalization_gradient(dy, x, &inverse, gamma, n, &mut dx, Some(&mut dgamma), &mut scratch);
    bits.extend(bytes(&[&y, &dx, &dgamma]));
    for sizes in [[rows, n, 1], [rows / 50, n, 50]] {
        let mut scratch = garbage(T::batch_normalization_scratch(sizes));
        let [mut mean, mut variance] = [garbage::<T::Statistic>(n), garbage::<T::Statistic>(n)];
        T::batch_normalization_training(x, sizes, gamma, beta, 1e-3, &mut y, &mut mean, &mut variance, &mut scratch);
        bits.extend(bytes(&[&y]));
        T::batch_normalization(x, sizes, &mean, &variance, gamma, beta, 1e-3, &mut y, &mut scratch);
        let sums = (Some(&mut dgamma[..]), Some(&mut dbeta[..]));
        T::batch_normalization_gradient(
            true,
            dy,
            x,
            sizes,
            &mean,
            &variance,
            gamma,
            1e-3,
            &mut dx,
            sums.0,
            sums.1,
            &mut scratch,
        );
        bits.extend(bytes(&[&y, &dx, &dgamma, &dbeta]));
        bits.extend(bytes(&[&mean, &variance]));
    }
    bits
}

#[test]
fn no_bit_depends_on_the_number_of_threads() {
    fn check<T: Normalization + Sync>(rows: usize, n: usize) {
        let (x, dy) = (values::<T>(rows * n, 1, 0.3), values::<T>(rows * n, 71, 0.1));
        same_bits(|| all_bits([&x, &dy], n));
    }
    check::<f32>(2500, 72);
    check::<f64>(2500, 65);
    check::<bf16>(2500, 65);
    check::<f32>(100, 1700);
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let refused = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    let (x, one) = ([1.0_f32; 6], [1.0_f32; 3]);
    assert!(refused(&|| f32::layer_normalization(
        &x,
        Some(&one[..2]),
        None,
        3,
        0.1,
        &mut [0.0; 6],
        &mut [0.0; 2],
        &mut [0.0; 2]
    )));
    assert!(refused(&|| f32::layer_normalization(&x, None, None, 3, 0.1, &mut [0.0; 5], &mut [0.0; 2], &mut [0.0; 2])));
    assert!(refused(&|| f32::layer_normalization(&x, None, None, 3, 0.1, &mut [0.0; 6], &mut [0.0; 1], &mut [0.0; 2])));
    assert!(refused(&|| f32::rms_normalization_gradient(&x, &x, &one[..2], None, 3, &mut [0.0; 6], None, &mut [])));
    assert!(refused(&|| f32::batch_normalization(
        &x,
        [2, 3, 1],
        &one,
        &one[..2],
        None,
        None,
        0.1,
        &mut [0.0; 6],
        &mut [0.0; 99]
    )));
    assert!(refused(&|| f32::batch_normalization(
        &x,
        [2, 3, 1],
        &one,
        &one,
        None,
        None,
        0.1,
        &mut [0.0; 6],
        &mut [0.0; 9]
    )));
}
