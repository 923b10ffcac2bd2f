//! TensorFlow's stateless draws by rejection: gamma, Poisson and binomial numbers.
//!
//! A draw takes as many numbers as it needs from blocks of a stream that no other draw has. The steps are TensorFlow's, in
//! float64, with this crate's functions in place of the C library's: so equal seeds give TensorFlow's numbers, but for the
//! rare draw whose rejection hangs on a last bit.

use crate::random::{Philox, box_muller_f64, unit_f64};

/// The blocks that a draw has for itself.
const RESERVED: u64 = 256;

/// The numbers of a stream, taken from one block after the other, and of a block the last first.
struct Draws {
    stream: Philox,
    block: u64,
    uniform: Option<f64>,
    normal: Option<f64>,
}

impl Draws {
    fn new(stream: Philox, blocks: u64, index: u64) -> Self {
        Self { stream: stream.skip(blocks.wrapping_mul(index)), block: 0, uniform: None, normal: None }
    }

    fn words(&mut self) -> [u32; 4] {
        self.block += 1;
        self.stream.block(self.block - 1)
    }

    fn uniform(&mut self) -> f64 {
        if let Some(first) = self.uniform.take() {
            return first;
        }
        let [a, b, c, d] = self.words();
        self.uniform = Some(unit_f64(a, b));
        unit_f64(c, d)
    }

    fn normal(&mut self) -> f64 {
        if let Some(first) = self.normal.take() {
            return first;
        }
        let [first, last] = box_muller_f64(self.words());
        self.normal = Some(first);
        last
    }
}

/// Draw `index` of a gamma distribution with this shape and scale 1. Not a number of a shape that is not positive.
///
/// Marsaglia, Tsang: *A simple method for generating gamma variables*, ACM Trans. Math. Softw. 26, 2000.
pub fn gamma(stream: Philox, index: u64, shape: f64) -> f64 {
    // Nor is there an end to rejections.
    if shape.is_nan() || shape <= 0.0 {
        return f64::NAN;
    }
    let mut draws = Draws::new(stream, RESERVED, index);
    if shape == 1.0 {
        return -libm::log1p(-draws.uniform());
    }
    let small = shape < 1.0;
    let d = shape + if small { 2.0 / 3.0 } else { -1.0 / 3.0 };
    let c = 1.0 / 3.0 / d.sqrt();
    loop {
        let x = draws.normal();
        let v = 1.0 + c * x;
        if v <= 0.0 {
            continue;
        }
        let v = v * v * v;
        let u = draws.uniform();
        let square = x * x;
        if u < 1.0 - 0.0331 * square * square
            || libm::log(u) < 0.5 * x * x + d * (1.0 - v + libm::log(v))
            || d == f64::INFINITY
        {
            return if small { d * v * libm::pow(draws.uniform(), 1.0 / shape) } else { d * v };
        }
    }
}

/// Draw `index` of a Poisson distribution with this mean: 0 of a negative one, ∞ of ∞, and not a number of one that is none.
///
/// Products of uniform numbers (Knuth) for means below 10, else Hörmann: *The transformed rejection method for generating
/// Poisson random variables*, Insurance: Mathematics and Economics 12, 1993.
pub fn poisson(stream: Philox, index: u64, mean: f64) -> f64 {
    if mean.is_nan() || mean == f64::INFINITY {
        return mean;
    }
    if mean <= 0.0 {
        return 0.0;
    }
    let mut draws = Draws::new(stream, RESERVED, index);
    if mean < 10.0 {
        let least = libm::exp(-mean);
        let (mut product, mut count) = (1.0, 0.0);
        loop {
            product *= draws.uniform();
            if product <= least {
                return count;
            }
            count += 1.0;
        }
    }
    let log_mean = libm::log(mean);
    let b = 0.931 + 2.53 * mean.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    loop {
        let u = draws.uniform() - 0.5;
        let v = draws.uniform();
        let shifted = 0.5 - u.abs();
        let k = ((2.0 * a / shifted + b) * u + mean + 0.43).floor();
        if shifted >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2.0) {
            return k;
        }
        if k < 0.0 || shifted < 0.013 && v > shifted {
            continue;
        }
        let s = libm::log(v * inverse_alpha / (a / (shifted * shifted) + b));
        if s <= -mean + k * log_mean - libm::lgamma(k + 1.0) {
            return k;
        }
    }
}

/// Draw `index` of a binomial distribution: how many of so many trials succeed, each with this probability. Not a number
/// where one of them is none.
///
/// `by_sums` says whether to add up the trials until a success, which are geometric, as is done where successes (or
/// failures, of which there are fewer) are below 10 in the mean; else Hörmann: *The generation of binomial random
/// variates*, J. Stat. Comput. Simul. 46, 1993.
pub fn binomial(stream: Philox, index: u64, trials: f64, probability: f64, by_sums: bool) -> f64 {
    if trials.is_nan() || probability.is_nan() {
        return f64::NAN;
    }
    if trials <= 0.0 || probability <= 0.0 {
        return 0.0;
    }
    if probability >= 1.0 || trials == f64::INFINITY {
        return trials;
    }
    if by_sums {
        // The blocks that are enough for the sums.
        let mut draws = Draws::new(stream, 42, index);
        let (mut sum, mut count) = (0.0, 0.0);
        loop {
            sum += (libm::log(draws.uniform()) / libm::log1p(-probability)).ceil();
            if sum > trials {
                return count;
            }
            count += 1.0;
        }
    }
    let mut draws = Draws::new(stream, RESERVED, index);
    let deviation = (trials * probability * (1.0 - probability)).sqrt();
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * probability;
    let c = trials * probability + 0.5;
    let box_height = 0.92 - 4.2 / b;
    let odds = probability / (1.0 - probability);
    let alpha = (2.83 + 5.1 / b) * deviation;
    let mode = ((trials + 1.0) * probability).floor();
    loop {
        let u = draws.uniform();
        let v = draws.uniform();
        let u = u - 0.5;
        let shifted = 0.5 - u.abs();
        let k = ((2.0 * a / shifted + b) * u + c).floor();
        if shifted >= 0.07 && v <= box_height {
            return k;
        }
        if k < 0.0 || k > trials {
            continue;
        }
        let v = libm::log(v * alpha / (a / (shifted * shifted) + b));
        let bound = (mode + 0.5) * libm::log((mode + 1.0) / (odds * (trials - mode + 1.0)))
            + (trials + 1.0) * libm::log((trials - mode + 1.0) / (trials - k + 1.0))
            + (k + 0.5) * libm::log(odds * (trials - k + 1.0) / (k + 1.0))
            + stirling_rest(mode)
            + stirling_rest(trials - mode)
            - stirling_rest(k)
            - stirling_rest(trials - k);
        if v <= bound {
            return k;
        }
    }
}

/// What Stirling's formula leaves of `ln k!`.
fn stirling_rest(k: f64) -> f64 {
    const FIRST: [f64; 10] = [
        0.0810614667953272,
        0.0413406959554092,
        0.0276779256849983,
        0.02079067210376509,
        0.0166446911898211,
        0.0138761288230707,
        0.0118967099458917,
        0.0104112652619720,
        0.00925546218271273,
        0.00833056343336287,
    ];
    if k <= 9.0 {
        return FIRST[k as usize];
    }
    let square = (k + 1.0) * (k + 1.0);
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / (k + 1.0)
}

/// Writes draws of categories, whose probabilities are the softmax of `logits`, of which those that are not finite count
/// nothing: `first` is the number of draws that the stream gave before. Where no category counts all draws are their number.
///
/// `totals` has as many elements as `logits`, and may hold anything.
///
/// # Panics
///
/// When `totals` is shorter.
pub fn categories(stream: Philox, first: u64, logits: &[f64], totals: &mut [f64], out: &mut [i64]) {
    let totals = &mut totals[..logits.len()];
    let most = logits.iter().filter(|x| x.is_finite()).fold(f64::MIN, |most, &x| most.max(x));
    let mut total = 0.0;
    for (to, x) in totals.iter_mut().zip(logits) {
        if x.is_finite() {
            total += libm::exp(x - most);
        }
        *to = total;
    }
    for (out, at) in out.iter_mut().zip(first..) {
        let [a, b, c, d] = stream.block(at / 2);
        let unit = if at % 2 == 0 { unit_f64(a, b) } else { unit_f64(c, d) };
        *out = totals.partition_point(|&upto| upto <= unit * total) as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Philox {
        Philox::from_seed([42, 7])
    }

    const COUNT: u64 = 20_000;

    /// Mean and variance of many draws are near those of the distribution: within six deviations of the mean's.
    #[track_caller]
    fn check(mean: f64, variance: f64, draw: impl Fn(u64) -> f64) {
        let all: Vec<f64> = (0..COUNT).map(draw).collect();
        let found = all.iter().sum::<f64>() / COUNT as f64;
        let spread = all.iter().map(|x| (x - found) * (x - found)).sum::<f64>() / COUNT as f64;
        assert!((found - mean).abs() < 6.0 * (variance / COUNT as f64).sqrt() + 1e-12, "mean {found} is not {mean}");
        assert!((spread / variance.max(1e-300) - 1.0).abs() < 0.15 || variance == 0.0, "{spread} is not {variance}");
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        for shape in [0.2, 0.9, 1.0, 1.5, 30.0] {
            check(shape, shape, |i| gamma(stream(), i, shape));
        }
        for mean in [0.0, 0.5, 9.9, 10.0, 400.0] {
            check(mean, mean, |i| poisson(stream(), i, mean));
        }
        for (trials, probability, by_sums) in [(20.0, 0.1, true), (50.0, 0.3, false), (1000.0, 0.5, false)] {
            let mean = trials * probability;
            check(mean, mean * (1.0 - probability), |i| binomial(stream(), i, trials, probability, by_sums));
        }
    }

    #[test]
    fn what_is_no_distribution_has_no_draws() {
        for bad in [f64::NAN, -1.0, 0.0] {
            assert!(gamma(stream(), 0, bad).is_nan());
        }
        assert!(poisson(stream(), 0, f64::NAN).is_nan());
        let infinity = f64::INFINITY;
        assert_eq!([infinity, 0.0, -1.0, -infinity].map(|mean| poisson(stream(), 0, mean)), [infinity, 0.0, 0.0, 0.0]);
        for by_sums in [false, true] {
            for (trials, probability) in [(f64::NAN, 0.5), (5.0, f64::NAN), (infinity, f64::NAN), (f64::NAN, infinity)]
            {
                assert!(binomial(stream(), 0, trials, probability, by_sums).is_nan());
            }
            for (trials, probability, drawn) in [(infinity, 0.5, infinity), (5.0, infinity, 5.0), (-infinity, 0.5, 0.0)]
            {
                assert_eq!(binomial(stream(), 0, trials, probability, by_sums), drawn);
            }
        }
        assert_eq!(binomial(stream(), 0, 5.0, 0.0, true), 0.0);
        assert_eq!(binomial(stream(), 0, 5.0, 1.0, true), 5.0);
    }

    #[test]
    fn categories_come_as_often_as_their_probabilities_say() {
        let logits = [0.0, f64::NAN, 2.0_f64.ln(), f64::NEG_INFINITY, 5.0_f64.ln()];
        let mut out = vec![-1; 16_000];
        categories(stream(), 0, &logits, &mut [f64::NAN; 5], &mut out);
        for (category, expected) in [(0, 2000.0), (1, 0.0), (2, 4000.0), (3, 0.0), (4, 10_000.0)] {
            let found = out.iter().filter(|&&x| x == category).count() as f64;
            assert!((found - expected).abs() < 250.0 * f64::from(expected > 0.0) + 0.5, "{category}: {found}");
        }
        let (mut head, mut tail) = (vec![-1; 7], vec![-1; 9]);
        categories(stream(), 0, &logits, &mut [f64::NAN; 5], &mut head);
        categories(stream(), 7, &logits, &mut [f64::NAN; 5], &mut tail);
        assert_eq!([head, tail].concat(), out[..16]);
        categories(stream(), 0, &[f64::NAN; 2], &mut [0.0; 2], &mut out[..1]);
        assert_eq!(out[0], 2);
    }
}
