//! The greatest of windows that lie beside each other, and the way back to them in one pass.

use std::ops::Range;

use super::Ordered;
use crate::float::Real;
use crate::narrow::Stored;
use crate::sliding::{load, store};
use crate::window::{Format, Images, Window};

/// Channels that go together.
const LANES: usize = 16;

/// Windows along two axes that begin with the image and follow each other without gaps, of channels that lie side by side.
#[derive(Clone, Copy)]
pub(super) struct Beside {
    /// The sizes of a window.
    size: [usize; 2],
    /// The places, and the windows, of a unit, which shares no place with another: a row of windows, or an image.
    places: [usize; 2],
    windows: [usize; 2],
    units: usize,
    channels: usize,
}

impl Beside {
    /// None where windows are not like that.
    pub(super) fn new(window: &Window, images: Images) -> Option<Self> {
        let [z, y, x] = *window.three();
        let is_one = z.input == 1 && z.size == 1;
        let follow = [y, x].iter().all(|axis| axis.stride == axis.size && axis.dilation == 1 && axis.before == 0);
        let fits = [y, x].iter().all(|axis| axis.output * axis.size <= axis.input);
        if !is_one || !follow || !fits || images.format != Format::ChannelsLast || images.channels < LANES {
            return None;
        }
        let by_row = y.output * y.size == y.input;
        Some(Self {
            size: [y.size, x.size],
            places: [if by_row { y.size } else { y.input }, x.input],
            windows: [if by_row { 1 } else { y.output }, x.output],
            units: images.batch * if by_row { y.output } else { 1 },
            channels: images.channels,
        })
    }

    /// How many units there are, and the elements of the input that one has.
    pub(super) fn units(&self) -> [usize; 2] {
        [self.units, self.places[0] * self.places[1] * self.channels]
    }

    /// The windows of a unit, of all its channels.
    pub(super) fn outputs(&self) -> usize {
        self.windows[0] * self.windows[1] * self.channels
    }
}

/// Writes the greatest of each window of some units, given the input of all.
#[inline(always)]
pub(super) fn greatest_units<T: Ordered, const FUSED: bool>(
    of: &Beside,
    units: Range<usize>,
    least: T,
    x: &[T],
    out: &mut [T],
) {
    match of.size {
        // The size that nearly all have, as a number that the compiler knows.
        [2, 2] => greatest(of, [2, 2], units, least, x, out),
        size => greatest(of, size, units, least, x, out),
    }
}

#[inline(always)]
fn greatest<T: Ordered>(of: &Beside, size: [usize; 2], units: Range<usize>, least: T, x: &[T], out: &mut [T]) {
    let least = least.wide();
    let ([_, inputs], [down, across]) = (of.units(), of.windows);
    let (row, last) = (of.places[1] * of.channels, of.channels / LANES * LANES);
    for (i, unit) in units.enumerate() {
        let x = &x[unit * inputs..][..inputs];
        for y in 0..down {
            let from = y * size[0] * row;
            let to = (i * down + y) * across * of.channels;
            for (at, out) in out[to..][..across * of.channels].chunks_exact_mut(of.channels).enumerate() {
                let first = from + at * size[1] * of.channels;
                for lane in (0..last).step_by(LANES) {
                    store(best::<T, LANES>(of, size, [row, first + lane], least, x), out, lane, 1);
                }
                for lane in last..of.channels {
                    store(best::<T, 1>(of, size, [row, first + lane], least, x), out, lane, 1);
                }
            }
        }
    }
}

/// The greatest for lanes of one window, whose first place has them at `first`, in rows that are `row` elements apart.
#[inline(always)]
fn best<T: Ordered, const N: usize>(
    of: &Beside,
    size: [usize; 2],
    [row, first]: [usize; 2],
    least: T::Wide,
    x: &[T],
) -> [T; N] {
    let mut best = [least; N];
    for v in 0..size[0] {
        for h in 0..size[1] {
            let x = load::<T, N, 1>(x, first + v * row + h * of.channels);
            for (best, x) in best.iter_mut().zip(&x) {
                let x = x.wide();
                *best = if x > *best { x } else { *best };
            }
        }
    }
    let mut own = [T::zeroed(); N];
    for (own, best) in own.iter_mut().zip(&best) {
        *own = T::own(*best);
    }
    own
}

/// Writes the gradient of the input for some units, given the input of all and the gradient of all the greatest.
#[inline(always)]
pub(super) fn gradient_units<T: Ordered<Wide = <T as Stored>::Wide> + Stored, const FUSED: bool>(
    of: &Beside,
    units: Range<usize>,
    x: &[T],
    dy: &[T],
    dx: &mut [T],
) {
    let ([_, inputs], [down, across]) = (of.units(), of.windows);
    let outputs = of.outputs();
    for (i, unit) in units.enumerate() {
        let (x, dy) = (&x[unit * inputs..][..inputs], &dy[unit * outputs..][..outputs]);
        let dx = &mut dx[i * inputs..][..inputs];
        for window in 0..down * across {
            let place = window / across * of.size[0] * of.places[1] + window % across * of.size[1];
            let (first, last) = (place * of.channels, of.channels / LANES * LANES);
            for lane in (0..last).step_by(LANES) {
                let dy = load::<T, LANES, 1>(dy, window * of.channels + lane);
                gradient::<T, LANES>(of, first + lane, x, dy, dx);
            }
            for lane in last..of.channels {
                gradient::<T, 1>(of, first + lane, x, [dy[window * of.channels + lane]], dx);
            }
        }
        // What lies behind the last windows of a row, and behind the last row of them.
        let row = of.places[1] * of.channels;
        let (rows, used) = (down * of.size[0], across * of.size[1] * of.channels);
        for (y, dx) in dx.chunks_exact_mut(row.max(1)).enumerate() {
            dx[if y < rows { used } else { 0 }..].fill(T::zeroed());
        }
    }
}

/// For lanes of one window, whose first place has them at `first`.
#[inline(always)]
fn gradient<T: Ordered<Wide = <T as Stored>::Wide> + Stored, const N: usize>(
    of: &Beside,
    first: usize,
    x: &[T],
    dy: [T; N],
    dx: &mut [T],
) {
    let row = of.places[1] * of.channels;
    let mut best = load::<T, N, 1>(x, first).map(T::wide);
    let mut taps = [0; N];
    for v in 0..of.size[0] {
        for h in 0..of.size[1] {
            let tap = (v * of.size[1] + h) as u32;
            let x = load::<T, N, 1>(x, first + v * row + h * of.channels);
            for ((best, taps), x) in best.iter_mut().zip(&mut taps).zip(&x) {
                let x = x.wide();
                let is_greater = x > *best;
                *best = if is_greater { x } else { *best };
                *taps = if is_greater { tap } else { *taps };
            }
        }
    }
    // A sum of one term: no negative zero.
    let share = dy.map(|dy| T::narrow(<T as Stored>::Wide::ZERO + dy.widen()));
    for v in 0..of.size[0] {
        for h in 0..of.size[1] {
            let tap = (v * of.size[1] + h) as u32;
            let mut own = [T::zeroed(); N];
            for ((own, &share), &best) in own.iter_mut().zip(&share).zip(&taps) {
                *own = if best == tap { share } else { T::zeroed() };
            }
            store(own, dx, first + v * row + h * of.channels, 1);
        }
    }
}
