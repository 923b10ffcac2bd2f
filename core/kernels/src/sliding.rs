//! Sums and extremes over windows: each result is made of the terms that slide past it, in an order that its place alone
//! says.
//!
//! Forward, results are windows and terms are places of the input; backward, results are places and terms are the windows
//! that hold them. Either way the terms of a result lie evenly along each axis, and so do the taps they have in common.

use bytemuck::Pod;

use crate::dispatch::LANES;
use crate::float::Real;
use crate::narrow::Stored;
use crate::window::{Axis, Format, Window};

/// Terms that are added up before their sum joins the others.
pub(crate) const BLOCK: usize = 32;

/// Results that are made side by side where there are fewer than [`LANES`].
const FEW: usize = 4;
/// And where channels are many.
const MANY: usize = 64;

/// The terms of a result along one axis.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    term: usize,
    term_step: usize,
    tap: usize,
    tap_step: isize,
    count: usize,
}

impl Run {
    const NONE: Self = Self { term: 0, term_step: 0, tap: 0, tap_step: 0, count: 0 };

    #[inline(always)]
    fn term(&self, i: usize) -> usize {
        self.term + i * self.term_step
    }

    #[inline(always)]
    fn tap(&self, i: usize) -> usize {
        self.tap.wrapping_add_signed(i as isize * self.tap_step)
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The places of window `output`.
fn places(axis: &Axis, output: usize) -> Run {
    let taps = axis.taps(output);
    if taps.is_empty() {
        return Run::NONE;
    }
    Run {
        term: axis.place(output, taps.start),
        term_step: axis.dilation,
        tap: taps.start,
        tap_step: 1,
        count: taps.len(),
    }
}

/// The windows that hold `place`, in order.
fn holders(axis: &Axis, place: usize) -> Run {
    let (stride, dilation) = (axis.stride, axis.dilation);
    let padded = place + axis.before;
    let last = (axis.size - 1) * dilation;
    let end = (padded / stride + 1).min(axis.output);
    let mut first = padded.saturating_sub(last).div_ceil(stride);
    let divisor = if dilation == 1 { 1 } else { common_divisor(stride, dilation) };
    let period = dilation / divisor;
    if dilation > 1 {
        // One window in every so many has a tap there, or none has.
        let until = end.min(first + period);
        while first < until && !(padded - first * stride).is_multiple_of(dilation) {
            first += 1;
        }
        if first == until {
            return Run::NONE;
        }
    }
    if first >= end {
        return Run::NONE;
    }
    Run {
        term: first,
        term_step: period,
        tap: (padded - first * stride) / dilation,
        tap_step: -((stride / divisor) as isize),
        count: (end - first).div_ceil(period),
    }
}

/// The results of one image or plane, and what they are made of.
pub(crate) struct Slide<'a> {
    axes: &'a [Axis; 3],
    backward: bool,
    /// The channels of a result and of a term; none where an image has its channels one after the other.
    channels: Option<[usize; 2]>,
}

impl<'a> Slide<'a> {
    /// Over images of which results and terms have so many `channels`.
    pub(crate) fn new(window: &'a Window, format: Format, channels: [usize; 2], backward: bool) -> Self {
        let channels = match format {
            Format::ChannelsLast if channels != [1, 1] => Some(channels),
            _ => None,
        };
        Self { axes: window.three(), backward, channels }
    }

    /// How many results there are along each axis.
    #[inline(always)]
    pub(crate) fn results(&self) -> [usize; 3] {
        self.axes.each_ref().map(|axis| if self.backward { axis.input } else { axis.output })
    }

    /// How many terms there are along each axis.
    #[inline(always)]
    fn terms(&self) -> [usize; 3] {
        self.axes.each_ref().map(|axis| if self.backward { axis.output } else { axis.input })
    }

    /// The elements of a row of results.
    #[inline(always)]
    pub(crate) fn width(&self) -> usize {
        self.results()[2] * self.channels.map_or(1, |[results, _]| results)
    }

    /// The rows of one image or plane; none where they have no elements.
    #[inline(always)]
    pub(crate) fn rows(&self) -> usize {
        if self.width() == 0 { 0 } else { self.results()[0] * self.results()[1] }
    }

    /// How far apart the terms of two places are.
    #[inline(always)]
    fn pitch(&self) -> usize {
        self.channels.map_or(1, |[_, terms]| terms)
    }

    /// The elements of the terms of one image or plane.
    #[inline(always)]
    pub(crate) fn source(&self) -> usize {
        self.terms().iter().product::<usize>() * self.pitch()
    }

    /// Whether channels lie beside each other.
    #[inline(always)]
    pub(crate) fn is_channels_last(&self) -> bool {
        self.channels.is_some()
    }

    /// No part of any vector, and so never inlined into what is compiled for several instruction sets.
    #[inline(never)]
    fn run(&self, axis: usize, result: usize) -> Run {
        if self.backward { holders(&self.axes[axis], result) } else { places(&self.axes[axis], result) }
    }
}

/// Where terms are: the first element of the place that the first of `N` results has, the places of the others as far apart
/// as is said there; the tap; the channel of the first result.
#[derive(Clone, Copy)]
pub(crate) struct Term {
    pub(crate) at: usize,
    pub(crate) tap: usize,
    pub(crate) lane: usize,
}

/// Where results begin: the places in the row of the first and of the others, as far apart as is said there, and their first
/// term, if they have any.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) at: usize,
    pub(crate) step: usize,
    pub(crate) first: Option<Term>,
}

/// Where results go, the first in the row and how far apart they are, and how many terms each of them has.
pub(crate) struct Block {
    pub(crate) at: usize,
    pub(crate) step: usize,
    pub(crate) count: usize,
}

/// What is made of terms, `N` results side by side.
pub(crate) trait Gather {
    /// Whether terms are windows; those of neighbouring results are neighbours then.
    const BACKWARD: bool;
    /// Whether so little is done with a term that [`MANY`] results side by side are worth it.
    const IS_LIGHT: bool = false;
    type State<const N: usize>: Copy;
    /// Before any term.
    fn start<const N: usize, const STEP: usize>(&self, start: Start) -> Self::State<N>;
    fn add<const N: usize, const STEP: usize>(&self, state: &mut Self::State<N>, term: Term);
    /// After at most [`BLOCK`] terms.
    fn join<const N: usize>(&self, state: &mut Self::State<N>);
    fn put<const N: usize>(&mut self, state: Self::State<N>, block: &Block);
}

/// The sum of blocks of terms, and of the block that is not yet whole.
#[derive(Clone, Copy)]
pub(crate) struct Total<R, const N: usize> {
    pub(crate) sum: [R; N],
    pub(crate) block: [R; N],
}

impl<R: Real, const N: usize> Total<R, N> {
    pub(crate) const ZERO: Self = Self { sum: [R::ZERO; N], block: [R::ZERO; N] };

    #[inline(always)]
    pub(crate) fn join(&mut self) {
        for (sum, block) in self.sum.iter_mut().zip(&mut self.block) {
            *sum = *sum + *block;
            *block = R::ZERO;
        }
    }

    #[inline(always)]
    pub(crate) fn put<T: Stored<Wide = R>>(self, out: &mut [T], block: &Block) {
        let mut own = [T::zeroed(); N];
        for (own, sum) in own.iter_mut().zip(&self.sum) {
            *own = T::narrow(*sum);
        }
        store(own, out, block.at, block.step);
    }
}

/// `N` elements that lie `STEP` apart.
#[inline(always)]
pub(crate) fn load<T: Pod, const N: usize, const STEP: usize>(x: &[T], at: usize) -> [T; N] {
    let mut lanes = [T::zeroed(); N];
    if STEP == 1 {
        lanes.copy_from_slice(&x[at..at + N]);
    } else {
        let x = &x[at..=at + (N - 1) * STEP];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = x[i * STEP];
        }
    }
    lanes
}

/// `N` elements of a row of results, which lie `step` apart.
#[inline(always)]
pub(crate) fn load_apart<T: Pod, const N: usize>(x: &[T], at: usize, step: usize) -> [T; N] {
    if step == 1 { load::<T, N, 1>(x, at) } else { std::array::from_fn(|i| x[at + i * step]) }
}

/// Writes `N` results that lie `step` apart.
#[inline(always)]
pub(crate) fn store<T: Pod, const N: usize>(lanes: [T; N], out: &mut [T], at: usize, step: usize) {
    if step == 1 {
        out[at..at + N].copy_from_slice(&lanes);
    } else {
        let out = &mut out[at..=at + (N - 1) * step];
        for (i, &lane) in lanes.iter().enumerate() {
            out[i * step] = lane;
        }
    }
}

#[inline(always)]
fn block<G: Gather, const N: usize, const STEP: usize>(
    slide: &Slide,
    runs: &[Run; 3],
    [at, step, lane]: [usize; 3],
    gather: &mut G,
) {
    let [_, height, width] = slide.terms();
    let [_, rows, columns] = slide.axes;
    let pitch = slide.pitch();
    let count = runs[0].count * runs[1].count * runs[2].count;
    let first = Term {
        at: ((runs[0].term * height + runs[1].term) * width + runs[2].term) * pitch,
        tap: (runs[0].tap * rows.size + runs[1].tap) * columns.size + runs[2].tap,
        lane,
    };
    let mut state = gather.start::<N, STEP>(Start { at, step, first: (count > 0).then_some(first) });
    for i in 0..runs[0].count {
        for j in 0..runs[1].count {
            let row = (runs[0].term(i) * height + runs[1].term(j)) * width;
            let taps = (runs[0].tap(i) * rows.size + runs[1].tap(j)) * columns.size;
            let mut term = Term { at: (row + runs[2].term) * pitch, tap: taps + runs[2].tap, lane };
            let mut left = runs[2].count;
            while left > 0 {
                let now = left.min(BLOCK);
                for _ in 0..now {
                    gather.add::<N, STEP>(&mut state, term);
                    // The last sums are of no term.
                    term.at = term.at.wrapping_add(runs[2].term_step * pitch);
                    term.tap = term.tap.wrapping_add_signed(runs[2].tap_step);
                }
                gather.join(&mut state);
                left -= now;
            }
        }
    }
    gather.put(state, &Block { at, step, count });
}

/// Makes row `row` of the results of an image or plane.
#[inline(always)]
pub(crate) fn gather_row<G: Gather>(slide: &Slide, row: usize, gather: &mut G) {
    if slide.is_channels_last() {
        gather_channels(slide, row, gather);
    } else {
        gather_along(slide, row, gather);
    }
}

/// As [`gather_row`], where channels are last.
#[inline(always)]
pub(crate) fn gather_channels<G: Gather>(slide: &Slide, row: usize, gather: &mut G) {
    let [_, height, width] = slide.results();
    let (z, y, channels) =
        (slide.run(0, row / height), slide.run(1, row % height), slide.channels.map_or(1, |[own, _]| own));
    for result in 0..width {
        let (runs, first) = ([z, y, slide.run(2, result)], result * channels);
        let mut lane = 0;
        while G::IS_LIGHT && channels - lane >= MANY {
            block::<G, MANY, 1>(slide, &runs, [first + lane, 1, lane], gather);
            lane += MANY;
        }
        while lane < channels && channels >= LANES {
            // The last ones may be made twice.
            lane = lane.min(channels - LANES);
            block::<G, LANES, 1>(slide, &runs, [first + lane, 1, lane], gather);
            lane += LANES;
        }
        for lane in lane..channels {
            block::<G, 1, 1>(slide, &runs, [first + lane, 1, lane], gather);
        }
    }
}

/// As [`gather_row`], where they are not.
#[inline(always)]
pub(crate) fn gather_along<G: Gather>(slide: &Slide, row: usize, gather: &mut G) {
    let [_, height, width] = slide.results();
    let (z, y) = (slide.run(0, row / height), slide.run(1, row % height));
    // Results whose terms are at the same taps; backward, that can be every so many places.
    let apart = if G::BACKWARD { slide.axes[2].stride } else { 1 };
    let step = if G::BACKWARD { 1 } else { slide.axes[2].stride };
    for phase in 0..apart.min(width) {
        let mut result = phase;
        while result < width {
            let runs = [z, y, slide.run(2, result)];
            // The first and the last tap go one way along a row: between results where they are the same, they are, too.
            let alike = |n: usize| {
                let last = (n - 1).checked_mul(apart).and_then(|more| more.checked_add(result));
                last.filter(|&last| last < width).is_some_and(|last| {
                    let last = slide.run(2, last);
                    last.count == runs[2].count && last.tap == runs[2].tap && last.count > 0
                })
            };
            macro_rules! blocks {
                ($n:expr) => {
                    // What is read with other strides is read one by one.
                    if (step == 1 || step == 2 && !G::BACKWARD) && alike($n) {
                        if step == 1 {
                            block::<G, $n, 1>(slide, &runs, [result, apart, 0], gather);
                        } else {
                            block::<G, $n, 2>(slide, &runs, [result, apart, 0], gather);
                        }
                        result += $n * apart;
                        continue;
                    }
                };
            }
            blocks!(LANES);
            blocks!(FEW);
            block::<G, 1, 1>(slide, &runs, [result, 1, 0], gather);
            result += apart;
        }
    }
}
