//! Images scaled and moved: against plain loops in float64, and the same bits by any number of threads.

use std::sync::Mutex;

use modulor_kernels::{Sampling, SamplingKernel, set_num_threads};

/// The number of threads is the process's.
static THREADS: Mutex<()> = Mutex::new(());

const KERNELS: [SamplingKernel; 8] = [
    SamplingKernel::Lanczos1,
    SamplingKernel::Lanczos3,
    SamplingKernel::Lanczos5,
    SamplingKernel::Gaussian,
    SamplingKernel::Flat,
    SamplingKernel::Triangle,
    SamplingKernel::KeysCubic,
    SamplingKernel::MitchellCubic,
];

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i.wrapping_mul(2654435761) >> 7 & 0xffff) as f32 / 4096.0 - 8.0).collect()
}

fn gathered(how: &Sampling, x: &[f32], rows: usize, inner: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; rows * how.to * inner];
    how.gather(x, &mut out, inner, &mut vec![u32::MAX; how.scratch()]);
    out
}

fn scattered(how: &Sampling, dy: &[f32], rows: usize, inner: usize) -> Vec<f32> {
    let mut dx = vec![f32::NAN; rows * how.from * inner];
    how.scatter(dy, &mut dx, inner, &mut vec![u32::MAX; how.scratch()]);
    dx
}

/// The kernels as they are defined.
fn weight(kernel: SamplingKernel, x: f64) -> f64 {
    let x = x.abs();
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
    let lanczos = |radius: f64| if x < radius { sinc(x) * sinc(x / radius) } else { 0.0 };
    // Piecewise cubic functions of two parameters, B and C.
    let cubic = |b: f64, c: f64| match x {
        ..1.0 => ((12.0 - 9.0 * b - 6.0 * c) * x.powi(3) + (-18.0 + 12.0 * b + 6.0 * c) * x * x + 6.0 - 2.0 * b) / 6.0,
        1.0..2.0 => {
            let high = (-b - 6.0 * c) * x.powi(3) + (6.0 * b + 30.0 * c) * x * x;
            (high + (-12.0 * b - 48.0 * c) * x + 8.0 * b + 24.0 * c) / 6.0
        }
        _ => 0.0,
    };
    match kernel {
        SamplingKernel::Lanczos1 => lanczos(1.0),
        SamplingKernel::Lanczos3 => lanczos(3.0),
        SamplingKernel::Lanczos5 => lanczos(5.0),
        SamplingKernel::Gaussian => f64::from(x < 1.5) * (-2.0 * x * x).exp(),
        SamplingKernel::Flat => (f64::from(x < 0.5) + f64::from(x <= 0.5)) / 2.0,
        SamplingKernel::Triangle => (1.0 - x).max(0.0),
        SamplingKernel::KeysCubic => cubic(0.0, 0.5),
        SamplingKernel::MitchellCubic => cubic(1.0 / 3.0, 1.0 / 3.0),
    }
}

/// The weights of all places of an image for a place of the result.
fn weights(how: &Sampling, at: usize) -> Vec<f64> {
    let (scale, translation) = (f64::from(how.scale), f64::from(how.translation));
    let position = (at as f64 + 0.5 - translation) / scale;
    if position < 0.0 || position > how.from as f64 {
        return vec![0.0; how.from];
    }
    let width = if how.antialias { (1.0 / scale).max(1.0) } else { 1.0 };
    let own = (0..how.from).map(|place| weight(how.kernel, (place as f64 + 0.5 - position) / width));
    let own: Vec<f64> = own.collect();
    let sum: f64 = own.iter().sum();
    own.into_iter().map(|weight| if sum == 0.0 { 0.0 } else { weight / sum }).collect()
}

fn samplings() -> impl Iterator<Item = Sampling> {
    let sizes = [(1, 1), (1, 5), (4, 1), (5, 5), (7, 16), (17, 6), (31, 33), (40, 3)];
    KERNELS.into_iter().flat_map(move |kernel| {
        sizes.into_iter().flat_map(move |(from, to)| {
            [false, true].into_iter().flat_map(move |antialias| {
                let fitting = to as f32 / from as f32;
                let ways = [(fitting, 0.0), (fitting, 0.53125), (0.375, 1.15625), (2.25, -3.21875)];
                // Places must not lie where a kernel jumps, as they do where images cover each other.
                let jumps = matches!(kernel, SamplingKernel::Gaussian | SamplingKernel::Flat);
                let ways = ways.into_iter().filter(move |&(_, translation)| !jumps || translation != 0.0);
                ways.map(move |(scale, translation)| Sampling { kernel, antialias, scale, translation, from, to })
            })
        })
    })
}

#[test]
fn places_are_sums_of_places_by_their_weights() {
    for how in samplings() {
        for (rows, inner) in [(1, 1), (2, 3), (1, 16), (3, 17)] {
            let x = values(rows * how.from * inner);
            let dy = values(rows * how.to * inner);
            let (found, back) = (gathered(&how, &x, rows, inner), scattered(&how, &dy, rows, inner));
            let own: Vec<Vec<f64>> = (0..how.to).map(|at| weights(&how, at)).collect();
            for row in 0..rows {
                for i in 0..inner {
                    for (at, own) in own.iter().enumerate() {
                        let place = |place: usize| f64::from(x[(row * how.from + place) * inner + i]);
                        let expected: f64 = own.iter().enumerate().map(|(at, weight)| weight * place(at)).sum();
                        let found = f64::from(found[(row * how.to + at) * inner + i]);
                        assert!((found - expected).abs() < 1e-4, "{how:?} {at}: {found} {expected}");
                    }
                    for place in 0..how.from {
                        let arrived = |at: usize| f64::from(dy[(row * how.to + at) * inner + i]);
                        let expected: f64 = own.iter().enumerate().map(|(at, own)| own[place] * arrived(at)).sum();
                        let found = f64::from(back[(row * how.from + place) * inner + i]);
                        assert!((found - expected).abs() < 1e-3, "{how:?} back {place}: {found} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let _alone = THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let how =
        Sampling { kernel: SamplingKernel::Lanczos3, antialias: true, scale: 1.5, translation: 0.25, from: 61, to: 97 };
    let (rows, inner) = (5, 101);
    let (x, dy) = (values(rows * how.from * inner), values(rows * how.to * inner));
    let all = [1, 2, 3, 4, 8].map(|threads| {
        set_num_threads(threads);
        (gathered(&how, &x, rows, inner), scattered(&how, &dy, rows, inner))
    });
    set_num_threads(1);
    assert!(all.iter().all(|one| *one == all[0]));
}

#[test]
fn what_is_far_or_no_number_is_nothing_and_no_panic() {
    let how =
        Sampling { kernel: SamplingKernel::Lanczos5, antialias: true, scale: 1.0, translation: 0.0, from: 3, to: 4 };
    let x = values(3);
    for (scale, translation) in [(1.0, 1e30), (1.0, f32::NAN), (1.0, f32::NEG_INFINITY), (f32::INFINITY, f32::INFINITY)]
    {
        let how = Sampling { scale, translation, ..how };
        assert_eq!(gathered(&how, &x, 1, 1), [0.0; 4], "{how:?}");
        assert_eq!(scattered(&how, &[1.0; 4], 1, 1), [0.0; 3], "{how:?}");
    }
    for scale in [1e-38, 1e-45, f32::MAX] {
        let how = Sampling { scale, ..how };
        assert!(gathered(&how, &x, 1, 1).iter().all(|y| y.is_finite()), "{how:?}");
    }
    assert_eq!(gathered(&how, &[], 0, 2), []);
    assert_eq!(scattered(&Sampling { to: 0, ..how }, &[], 0, 1), []);
}
