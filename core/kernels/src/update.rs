//! The steps of optimizers: the value and the slots of a variable by its gradient, in one pass.

use std::array::from_fn;

use crate::float::{Real, maximum};
use crate::narrow::Stored;
use crate::number::Number;
use crate::operation::{Binary, Update};
use crate::strided::{Reader, Strided, TILE};

/// Elements that are computed side by side: a few registers of any instruction set.
const LANES: usize = 16;

/// Writes what `rule` makes of the elements of value and slots, and of the gradient, as far as whole lanes go; how far
/// that is.
#[inline(always)]
fn lanes<T: Stored, const N: usize>(
    before: &[&[T]; N],
    gradient: &[T],
    after: &mut [&mut [T]; N],
    rule: &impl Fn([T::Wide; N], T::Wide) -> [T::Wide; N],
) -> usize
where
    T::Wide: Real,
{
    let whole = gradient.len() / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        let mut state = [[T::Wide::ZERO; LANES]; N];
        for (state, before) in state.iter_mut().zip(before) {
            for (state, &x) in state.iter_mut().zip(&before[at..at + LANES]) {
                *state = x.widen();
            }
        }
        let gradient = &gradient[at..at + LANES];
        for lane in 0..LANES {
            let next = rule(from_fn(|k| state[k][lane]), gradient[lane].widen());
            for (state, next) in state.iter_mut().zip(next) {
                state[lane] = next;
            }
        }
        for (after, state) in after.iter_mut().zip(&state) {
            for (after, &x) in after[at..at + LANES].iter_mut().zip(state) {
                *after = T::narrow(x);
            }
        }
    }
    whole
}

/// Applies `rule` to all elements of value and slots.
///
/// # Panics
/// When there are not `N` of them, or they differ in length.
#[inline(always)]
fn sweep<T: Stored, const N: usize>(
    before: &[Option<Strided<T>>],
    gradient: Strided<T>,
    after: &mut [&mut [T]],
    rule: impl Fn([T::Wide; N], T::Wide) -> [T::Wide; N],
) where
    T::Wide: Real,
{
    assert!(before.len() == N && after.len() == N, "an update knows its slots");
    let len = gradient.len();
    let fits = before.iter().flatten().all(|x| x.len() == len) && after.iter().all(|x| x.len() == len);
    assert!(fits, "value, gradient and slots of an update have one shape");
    let readers: [Option<Reader<T>>; N] = from_fn(|k| before[k].map(Reader::new));
    let gradients = Reader::new(gradient);
    let (mut buffers, mut gradient_buffer) = ([[T::zeroed(); TILE]; N], [T::zeroed(); TILE]);
    for start in (0..len).step_by(TILE) {
        let count = TILE.min(len - start);
        let mut parts = after.iter_mut();
        let mut after: [&mut [T]; N] =
            from_fn(|_| &mut parts.next().expect("as many outputs as slots")[start..start + count]);
        let mut sources = readers.iter().zip(&after);
        let before = buffers.each_mut().map(|buffer| {
            let (reader, after) = sources.next().expect("as many inputs as slots");
            let buffer = &mut buffer[..count];
            match reader {
                Some(reader) => reader.chunk(start, buffer),
                None => {
                    buffer.copy_from_slice(after);
                    &*buffer
                }
            }
        });
        let gradient = gradients.chunk(start, &mut gradient_buffer[..count]);
        let done = lanes(&before, gradient, &mut after, &rule);
        for i in done..count {
            let next = rule(from_fn(|k| before[k][i].widen()), gradient[i].widen());
            for (after, next) in after.iter_mut().zip(next) {
                after[i] = T::narrow(next);
            }
        }
    }
}

/// A number to the power of another, to the bits of the elementwise function.
fn power<R: Number>(base: R, exponent: R) -> R {
    let mut power = [base];
    let (base, exponent) = ([base], [exponent]);
    let [Some(base), Some(exponent)] = [&base, &exponent].map(|x| Strided::new(x, &[1], &[1], 0)) else {
        unreachable!("one element is in bounds")
    };
    R::binary(Binary::Pow, base, exponent, &mut power).expect("floats have powers");
    power[0]
}

/// Applies `rule` to value and slots; the value loses a part before.
#[inline(always)]
fn decayed<T: Stored, const N: usize>(
    decay: Option<T::Wide>,
    rate: T::Wide,
    before: &[Option<Strided<T>>],
    gradient: Strided<T>,
    after: &mut [&mut [T]],
    rule: impl Fn([T::Wide; N], T::Wide) -> [T::Wide; N],
) where
    T::Wide: Real,
{
    match decay {
        None => sweep(before, gradient, after, rule),
        Some(decay) => sweep(before, gradient, after, |mut state: [T::Wide; N], gradient| {
            state[0] = state[0] - state[0] * decay * rate;
            rule(state, gradient)
        }),
    }
}

/// See [`Float::update`](crate::Float::update).
#[inline(always)]
pub(crate) fn update<T: Stored>(
    update: Update,
    decay: Option<f64>,
    [rate, step]: [T; 2],
    before: &[Option<Strided<T>>],
    gradient: Strided<T>,
    after: &mut [&mut [T]],
) where
    T::Wide: Real + Number,
{
    let number = T::Wide::narrow;
    let (decay, rate, step) = (decay.map(number), rate.widen(), step.widen());
    let one = T::Wide::ONE;
    match update {
        Update::Descent => decayed(decay, rate, before, gradient, after, |[w], g| [w - g * rate]),
        Update::Momentum { momentum, nesterov: false } => {
            let part = number(momentum);
            decayed(decay, rate, before, gradient, after, |[w, m], g| {
                let m = m * part - g * rate;
                [w + m, m]
            });
        }
        Update::Momentum { momentum, nesterov: true } => {
            let part = number(momentum);
            decayed(decay, rate, before, gradient, after, |[w, m], g| {
                let change = g * rate;
                let m = m * part - change;
                [w + (m * part - change), m]
            });
        }
        Update::Adam { beta_1, beta_2, powers, epsilon, amsgrad } => {
            let [power_1, power_2] = powers.map(|beta| power(number(beta), step));
            let alpha = rate * (one - power_2).sqrt() / (one - power_1);
            let (new_1, new_2, epsilon) = (number(1.0 - beta_1), number(1.0 - beta_2), number(epsilon));
            let means = |m: T::Wide, v: T::Wide, g: T::Wide| (m + (g - m) * new_1, v + (g * g - v) * new_2);
            if amsgrad {
                decayed(decay, rate, before, gradient, after, |[w, m, v, most], g| {
                    let (m, v) = means(m, v, g);
                    let most = maximum(most, v);
                    [w - m * alpha / (most.sqrt() + epsilon), m, v, most]
                });
            } else {
                decayed(decay, rate, before, gradient, after, |[w, m, v], g| {
                    let (m, v) = means(m, v, g);
                    [w - m * alpha / (v.sqrt() + epsilon), m, v]
                });
            }
        }
        Update::RmsProp { rho, momentum, epsilon, centered } => {
            let (rho, new, part, epsilon) = (number(rho), number(1.0 - rho), number(momentum), number(epsilon));
            let running = |mean: T::Wide, x: T::Wide| rho * mean + new * x;
            let change = |g: T::Wide, variance: T::Wide| rate * g / (variance + epsilon).sqrt();
            match (momentum == 0.0, centered) {
                (true, false) => decayed(decay, rate, before, gradient, after, |[w, v], g| {
                    let v = running(v, g * g);
                    [w - change(g, v), v]
                }),
                (true, true) => decayed(decay, rate, before, gradient, after, |[w, v, mean], g| {
                    let (v, mean) = (running(v, g * g), running(mean, g));
                    [w - change(g, v - mean * mean), v, mean]
                }),
                (false, false) => decayed(decay, rate, before, gradient, after, |[w, v, m], g| {
                    let v = running(v, g * g);
                    let m = part * m + change(g, v);
                    [w - m, v, m]
                }),
                (false, true) => decayed(decay, rate, before, gradient, after, |[w, v, m, mean], g| {
                    let (v, mean) = (running(v, g * g), running(mean, g));
                    let m = part * m + change(g, v - mean * mean);
                    [w - m, v, m, mean]
                }),
            }
        }
    }
}
