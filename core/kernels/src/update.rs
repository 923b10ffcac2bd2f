//! The steps of optimizers: the value and the slots of a variable by its gradient, in one pass.

use std::array::from_fn;

use crate::float::{Real, maximum};
use crate::narrow::Stored;
use crate::number::Number;
use crate::operation::{Binary, Update};
use crate::parts::{Parts, divide};
use crate::strided::{Reader, Strided, TILE};

/// Elements that are computed side by side: a few registers of any instruction set.
const LANES: usize = 16;

/// Writes what `rule` makes of the elements of value and slots, which stand in `after` where they are not given apart, and
/// of the gradient, as far as whole lanes go; how far that is.
#[inline(always)]
fn lanes<T: Stored, const N: usize>(
    before: &[Option<&[T]>; N],
    gradient: &[T],
    after: &mut [&mut [T]; N],
    rule: &impl Fn([T::Wide; N], T::Wide) -> [T::Wide; N],
) -> usize {
    let whole = gradient.len() / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        let mut state = [[T::Wide::ZERO; LANES]; N];
        for ((state, before), after) in state.iter_mut().zip(before).zip(&*after) {
            for (state, &x) in state.iter_mut().zip(&before.unwrap_or(after)[at..at + LANES]) {
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

/// Value and slots before a step, the gradient, and the part of value and slots after it that begins at `start`.
struct Part<'a, 'p, T> {
    before: &'a [Option<Strided<'a, T>>],
    gradient: Strided<'a, T>,
    start: usize,
    after: &'a mut [&'p mut [T]],
}

/// Applies `rule` to the elements of a part.
///
/// # Panics
/// When there are not `N` values and slots.
#[inline(always)]
fn sweep<T: Stored, const N: usize>(part: Part<T>, rule: impl Fn([T::Wide; N], T::Wide) -> [T::Wide; N]) {
    let Part { before, gradient, start: first, after } = part;
    assert!(before.len() == N && after.len() == N, "an update knows its slots");
    let len = after[0].len();
    let readers: [Option<Reader<T>>; N] = from_fn(|k| before[k].map(Reader::new));
    let gradients = Reader::new(gradient);
    let (mut buffers, mut gradient_buffer) = ([[T::zeroed(); TILE]; N], [T::zeroed(); TILE]);
    for start in (0..len).step_by(TILE) {
        let count = TILE.min(len - start);
        let mut parts = after.iter_mut();
        let mut after: [&mut [T]; N] =
            from_fn(|_| &mut parts.next().expect("as many outputs as slots")[start..start + count]);
        let mut readers = readers.iter();
        let before = buffers.each_mut().map(|buffer| {
            let reader = readers.next().expect("as many inputs as slots").as_ref();
            reader.map(|reader| reader.chunk(first + start, &mut buffer[..count]))
        });
        let gradient = gradients.chunk(first + start, &mut gradient_buffer[..count]);
        let done = lanes(&before, gradient, &mut after, &rule);
        for i in done..count {
            let state = from_fn(|k| before[k].unwrap_or(after[k])[i].widen());
            for (after, next) in after.iter_mut().zip(rule(state, gradient[i].widen())) {
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
    step: &Step<T>,
    part: Part<T>,
    rule: impl Fn([T::Wide; N], T::Wide) -> [T::Wide; N],
) {
    match step.decay {
        None => sweep(part, rule),
        Some(decay) => sweep(part, |mut state: [T::Wide; N], gradient| {
            state[0] = state[0] - state[0] * decay * step.rate;
            rule(state, gradient)
        }),
    }
}

/// A step of an optimizer: its rule, and what it needs beside the elements.
pub(crate) struct Step<T: Stored> {
    update: Update,
    decay: Option<T::Wide>,
    rate: T::Wide,
    /// The rate of Adam, which depends on the number of the step.
    alpha: T::Wide,
}

/// The most values and slots of an update.
const MOST: usize = 4;
/// Picoseconds that a byte takes which is read or written.
const MOVED: usize = 50;

/// See [`Float::update`](crate::Float::update).
pub(crate) fn update<T: Stored>(
    update: Update,
    decay: Option<f64>,
    [rate, step]: [T; 2],
    before: &[Option<Strided<T>>],
    gradient: Strided<T>,
    after: &mut [&mut [T]],
) {
    let len = gradient.len();
    let fits = before.iter().flatten().all(|x| x.len() == len) && after.iter().all(|x| x.len() == len);
    assert!(fits, "value, gradient and slots of an update have one shape");
    let (number, rate, step) = (<T::Wide as Real>::narrow, rate.widen(), step.widen());
    let one = T::Wide::ONE;
    let alpha = match update {
        Update::Adam { powers, .. } => {
            let [power_1, power_2] = powers.map(|beta| power(number(beta), step));
            rate * (one - power_2).sqrt() / (one - power_1)
        }
        _ => rate,
    };
    let step = Step { update, decay: decay.map(number), rate, alpha };
    let count = after.len();
    assert!(count <= MOST, "an update knows its slots");
    let mut wholes = after.iter_mut();
    let wholes: [Option<Parts<T>>; MOST] = from_fn(|_| wholes.next().map(|whole| Parts::new(whole)));
    divide(len, MOVED * size_of::<T>() * (count + 1), TILE, &|range, _| {
        let mut parts: [&mut [T]; MOST] = from_fn(|k| match &wholes[k] {
            // SAFETY: ranges do not overlap.
            #[allow(unsafe_code)]
            Some(whole) => unsafe { whole.part(range.clone()) },
            None => &mut [],
        });
        T::update_part(&step, before, gradient, range.start, &mut parts[..count]);
    });
}

/// See [`Stored::update_part`].
#[inline(always)]
pub(crate) fn update_part_by<T: Stored, const FUSED: bool>(
    step: &Step<T>,
    before: &[Option<Strided<T>>],
    gradient: Strided<T>,
    start: usize,
    after: &mut [&mut [T]],
) {
    let part = Part { before, gradient, start, after };
    let (number, rate, alpha) = (<T::Wide as Real>::narrow, step.rate, step.alpha);
    match step.update {
        Update::Descent => decayed(step, part, |[w], g| [w - g * rate]),
        Update::Momentum { momentum, nesterov: false } => {
            let kept = number(momentum);
            decayed(step, part, |[w, m], g| {
                let m = m * kept - g * rate;
                [w + m, m]
            });
        }
        Update::Momentum { momentum, nesterov: true } => {
            let kept = number(momentum);
            decayed(step, part, |[w, m], g| {
                let change = g * rate;
                let m = m * kept - change;
                [w + (m * kept - change), m]
            });
        }
        Update::Adam { beta_1, beta_2, epsilon, amsgrad, .. } => {
            let (new_1, new_2, epsilon) = (number(1.0 - beta_1), number(1.0 - beta_2), number(epsilon));
            let means = |m: T::Wide, v: T::Wide, g: T::Wide| (m + (g - m) * new_1, v + (g * g - v) * new_2);
            if amsgrad {
                decayed(step, part, |[w, m, v, most], g| {
                    let (m, v) = means(m, v, g);
                    let most = maximum(most, v);
                    [w - m * alpha / (most.sqrt() + epsilon), m, v, most]
                });
            } else {
                decayed(step, part, |[w, m, v], g| {
                    let (m, v) = means(m, v, g);
                    [w - m * alpha / (v.sqrt() + epsilon), m, v]
                });
            }
        }
        Update::RmsProp { rho, momentum, epsilon, centered } => {
            let (rho, new, kept, epsilon) = (number(rho), number(1.0 - rho), number(momentum), number(epsilon));
            let running = |mean: T::Wide, x: T::Wide| rho * mean + new * x;
            let change = |g: T::Wide, variance: T::Wide| rate * g / (variance + epsilon).sqrt();
            match (momentum == 0.0, centered) {
                (true, false) => decayed(step, part, |[w, v], g| {
                    let v = running(v, g * g);
                    [w - change(g, v), v]
                }),
                (true, true) => decayed(step, part, |[w, v, mean], g| {
                    let (v, mean) = (running(v, g * g), running(mean, g));
                    [w - change(g, v - mean * mean), v, mean]
                }),
                (false, false) => decayed(step, part, |[w, v, m], g| {
                    let v = running(v, g * g);
                    let m = kept * m + change(g, v);
                    [w - m, v, m]
                }),
                (false, true) => decayed(step, part, |[w, v, m, mean], g| {
                    let (v, mean) = (running(v, g * g), running(mean, g));
                    let m = kept * m + change(g, v - mean * mean);
                    [w - m, v, m, mean]
                }),
            }
        }
    }
}
