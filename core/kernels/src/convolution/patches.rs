//! The factor of a product whose rows are the patches of images, packed from the images themselves.

use bytemuck::Zeroable;

use crate::matmul::{Factor, InPlace, Lanes, Panels, Turn};

/// The most lanes that are packed at a time.
const MOST: usize = 32;
/// The largest squares that are turned at a time.
const SIDE: usize = 8;

/// An axis of images that patches are taken from: position `o` has its tap `t` at place `start + o·step + t·tap`, or in the
/// padding.
#[derive(Clone, Copy)]
pub(super) struct Slide {
    pub(super) places: usize,
    /// From one place to the next in memory.
    pub(super) pitch: usize,
    pub(super) positions: usize,
    pub(super) taps: usize,
    pub(super) start: isize,
    pub(super) step: usize,
    pub(super) tap: isize,
}

impl Slide {
    /// Axes of which every place is a position with one tap.
    pub(super) fn each(places: usize, pitch: usize) -> [Self; 3] {
        let axis = |places, pitch| Self { places, pitch, positions: places, taps: 1, start: 0, step: 1, tap: 1 };
        let all = pitch.wrapping_mul(places);
        [axis(1, all), axis(1, all), axis(places, pitch)]
    }

    /// Whether positions are places, and have one tap.
    fn is_pointwise(&self) -> bool {
        self.taps == 1 && self.start == 0 && self.step == 1 && self.positions == self.places
    }
}

/// The patches of images: for each position, in row-major order with the images first, features: a term for each channel
/// of each tap.
#[derive(Clone, Copy)]
pub(super) struct Patches<'a, T> {
    pub(super) data: &'a [T],
    /// From one image to the next.
    pub(super) image: usize,
    pub(super) axes: [Slide; 3],
    pub(super) channels: usize,
    /// From one channel to the next.
    pub(super) channel: usize,
}

/// Positions of one row of an image.
#[derive(Clone, Copy, Default)]
struct Positions {
    at: usize,
    count: usize,
    /// Where the first tap of the first position lies in memory, were there no end to the image.
    origin: isize,
    /// Where along each axis.
    place: [isize; 3],
}

/// Channels of one tap.
#[derive(Clone, Copy)]
struct Features {
    at: usize,
    count: usize,
    /// How far in memory the first channel of the tap is from that of the first tap.
    offset: isize,
    /// How far along each axis.
    place: [isize; 3],
}

impl<T: Factor> Patches<'_, T> {
    /// The rows of images that hold `count` positions from `first` on.
    fn positions(&self, base: usize, first: usize, count: usize) -> impl Iterator<Item = Positions> {
        let [a, b, c] = self.axes.map(|axis| axis.positions);
        let (mut z, rest) = (first % c, first / c);
        let (mut y, rest) = (rest % b, rest / b);
        let (mut x, mut image) = (rest % a, rest / a);
        let mut at = 0;
        std::iter::from_fn(move || {
            if at == count {
                return None;
            }
            let now = (c - z).min(count - at);
            let mut run = Positions { at, count: now, origin: (base + image * self.image) as isize, place: [0; 3] };
            for ((place, axis), index) in run.place.iter_mut().zip(&self.axes).zip([x, y, z]) {
                *place = axis.start + (index * axis.step) as isize;
                run.origin = run.origin.wrapping_add(place.wrapping_mul(axis.pitch as isize));
            }
            (at, z) = (at + now, 0);
            y += 1;
            if y == b {
                (y, x) = (0, x + 1);
            }
            if x == a {
                (x, image) = (0, image + 1);
            }
            Some(run)
        })
    }

    /// The taps that hold `count` features from `first` on.
    fn features(&self, first: usize, count: usize) -> impl Iterator<Item = Features> {
        let [a, b, c] = self.axes;
        let (mut channel, rest) = (first % self.channels, first / self.channels);
        let (mut z, rest) = (rest % c.taps, rest / c.taps);
        let (mut y, mut x) = (rest % b.taps, rest / b.taps);
        let mut at = 0;
        std::iter::from_fn(move || {
            if at == count {
                return None;
            }
            let now = (self.channels - channel).min(count - at);
            let place = [x as isize * a.tap, y as isize * b.tap, z as isize * c.tap];
            let mut offset = (channel * self.channel) as isize;
            for (place, axis) in place.iter().zip(&self.axes) {
                offset = offset.wrapping_add(place.wrapping_mul(axis.pitch as isize));
            }
            let run = Features { at, count: now, offset, place };
            (at, channel) = (at + now, 0);
            z += 1;
            if z == c.taps {
                (z, y) = (0, y + 1);
            }
            if y == b.taps {
                (y, x) = (0, x + 1);
            }
            Some(run)
        })
    }

    /// The positions of a row that have a tap in the image.
    #[inline(always)]
    fn inside(&self, positions: &Positions, features: &Features) -> (usize, usize) {
        let [a, b, c] = &self.axes;
        let is_in = |place: isize, axis: &Slide| (place as usize) < axis.places;
        let place = positions.place[2] + features.place[2];
        if !is_in(positions.place[0] + features.place[0], a) || !is_in(positions.place[1] + features.place[1], b) {
            return (0, 0);
        }
        let from = |place: isize| {
            let most = positions.count;
            match place {
                ..=0 => 0,
                _ if c.step == 1 => most.min(place as usize),
                _ => most.min((place as usize).div_ceil(c.step)),
            }
        };
        let start = from(place.saturating_neg());
        (start, from((c.places as isize).saturating_sub(place)).max(start))
    }

    /// From one position of a row to the next in memory.
    fn step(&self) -> usize {
        self.axes[2].step.wrapping_mul(self.axes[2].pitch)
    }
}

/// Patches as a factor: positions are lanes and features lie along k or, `TURNED`, the other way round.
#[derive(Clone, Copy)]
pub(super) struct Patch<'a, T, const TURNED: bool> {
    of: &'a Patches<'a, T>,
    /// Where the first image begins, with its first channel.
    base: usize,
    lane: usize,
    depth: usize,
    /// The patches as they lie, where all steps are equal.
    even: Option<Lanes<'a, T>>,
}

impl<'a, T: Factor, const TURNED: bool> Patch<'a, T, TURNED> {
    /// The patches of so many images, of which the first begins at `base`, with its first channel.
    pub(super) fn new(of: &'a Patches<'a, T>, base: usize, images: usize) -> Self {
        let [a, b, c] = &of.axes;
        let is_in_order = b.pitch == c.pitch * c.places
            && a.pitch == b.pitch * b.places
            && (images == 1 || of.image == a.pitch * a.places);
        let is_even = is_in_order && of.axes.iter().all(Slide::is_pointwise);
        let steps = [c.pitch as isize, of.channel as isize];
        let [lane, depth] = if TURNED { [steps[1], steps[0]] } else { steps };
        let even = is_even.then_some(Lanes { data: of.data, offset: base as isize, lane, depth });
        Self { of, base, lane: 0, depth: 0, even }
    }
}

impl<T: Factor, const TURNED: bool> Panels for Patch<'_, T, TURNED> {
    type Term = T::Term;

    fn from(self, lane: usize, depth: usize) -> Self {
        let even = self.even.map(|even| even.from(lane, depth));
        Self { lane: self.lane + lane, depth: self.depth + depth, even, ..self }
    }

    fn in_place(self) -> Option<InPlace<T::Term>> {
        self.even?.in_place()
    }

    fn places(self) -> usize {
        self.even.map_or(128, Panels::places)
    }

    fn pack(self, lanes: usize, width: usize, panel: &mut [T::Term], turn: Option<(Turn<T::Term>, usize)>) {
        if let Some(even) = self.even {
            return even.pack(lanes, width, panel, turn);
        }
        for first in (0..lanes).step_by(MOST) {
            let now = Self { lane: self.lane + first, ..self };
            now.pack_some(MOST.min(lanes - first), width, &mut panel[first..], turn);
        }
    }
}

/// A lane whose terms lie side by side.
#[derive(Clone, Copy, Default)]
struct Column {
    /// Where the first of them would be.
    at: isize,
    /// Those that are not padding.
    start: usize,
    end: usize,
}

impl<T: Factor, const TURNED: bool> Patch<'_, T, TURNED> {
    /// As [`pack`](Panels::pack), into a panel that begins with the first lane and may end after the last.
    fn pack_some(self, lanes: usize, width: usize, panel: &mut [T::Term], turn: Option<(Turn<T::Term>, usize)>) {
        let (of, depth) = (self.of, panel.len().div_ceil(width));
        let mut columns = [Column::default(); MOST];
        if TURNED {
            if of.step() == 1 && of.axes[2].positions >= SIDE {
                for positions in of.positions(self.base, self.depth, depth) {
                    for features in of.features(self.lane, lanes) {
                        let (start, end) = of.inside(&positions, &features);
                        let mut at = positions.origin.wrapping_add(features.offset);
                        for column in &mut columns[features.at..][..features.count] {
                            *column = Column { at, start, end };
                            at = at.wrapping_add(of.channel as isize);
                        }
                    }
                    self.turn(&columns, lanes, positions.count, width, &mut panel[positions.at * width..], turn);
                }
                return;
            }
            for positions in of.positions(self.base, self.depth, depth) {
                for features in of.features(self.lane, lanes) {
                    let (start, end) = of.inside(&positions, &features);
                    let panel = &mut panel[positions.at * width + features.at..];
                    let lanes = features.count;
                    fill(lanes, start, width, panel);
                    let at = positions.origin.wrapping_add(features.offset).wrapping_add((start * of.step()) as isize);
                    if start < end {
                        let sizes = [lanes, end - start];
                        self.block(at as usize, sizes, [of.channel, of.step()], width, &mut panel[start * width..]);
                    }
                    if end < positions.count {
                        fill(lanes, positions.count - end, width, &mut panel[end * width..]);
                    }
                }
            }
            return;
        }
        let mut rows = [Positions::default(); MOST];
        let mut count = 0;
        for (row, positions) in rows.iter_mut().zip(of.positions(self.base, self.lane, lanes)) {
            *row = positions;
            count += 1;
        }
        for features in of.features(self.depth, depth) {
            let panel = &mut panel[features.at * width..];
            if of.channel == 1 && of.channels >= SIDE {
                for positions in &rows[..count] {
                    let (start, end) = of.inside(positions, &features);
                    let mut at = positions.origin.wrapping_add(features.offset);
                    for (i, column) in columns[positions.at..][..positions.count].iter_mut().enumerate() {
                        let end = if (start..end).contains(&i) { features.count } else { 0 };
                        *column = Column { at, start: 0, end };
                        at = at.wrapping_add(of.step() as isize);
                    }
                }
                self.turn(&columns, lanes, features.count, width, panel, turn);
                continue;
            }
            for positions in &rows[..count] {
                let (start, end) = of.inside(positions, &features);
                let panel = &mut panel[positions.at..];
                fill(start, features.count, width, panel);
                let at = positions.origin.wrapping_add(features.offset).wrapping_add((start * of.step()) as isize);
                if start < end {
                    let sizes = [end - start, features.count];
                    self.block(at as usize, sizes, [of.step(), of.channel], width, &mut panel[start..]);
                }
                if end < positions.count {
                    fill(positions.count - end, features.count, width, &mut panel[end..]);
                }
            }
        }
    }

    /// Copies lanes and places that lie at equal steps.
    fn block(self, at: usize, [lanes, depth]: [usize; 2], steps: [usize; 2], width: usize, panel: &mut [T::Term]) {
        let data = &self.of.data[at..];
        match lanes {
            16.. if steps[0] == 1 => copy::<T, 16>(data, [lanes, depth], steps[1], width, panel),
            8.. if steps[0] == 1 => copy::<T, 8>(data, [lanes, depth], steps[1], width, panel),
            4.. if steps[0] == 1 => copy::<T, 4>(data, [lanes, depth], steps[1], width, panel),
            2.. if steps[0] == 1 => copy::<T, 2>(data, [lanes, depth], steps[1], width, panel),
            _ => {
                for (place, row) in panel.chunks_mut(width).take(depth).enumerate() {
                    let data = &data[place * steps[1]..];
                    for (lane, slot) in row[..lanes].iter_mut().enumerate() {
                        *slot = data[lane * steps[0]].widen();
                    }
                }
            }
        }
    }

    /// Writes `depth` terms of each of the lanes, which are the first of `columns`; the others are empty.
    fn turn(
        self,
        columns: &[Column; MOST],
        lanes: usize,
        depth: usize,
        width: usize,
        panel: &mut [T::Term],
        turn: Option<(Turn<T::Term>, usize)>,
    ) {
        let scalar = |lanes: std::ops::Range<usize>, panel: &mut [T::Term]| {
            for lane in lanes {
                let column = &columns[lane];
                for (place, slot) in panel[lane..].iter_mut().step_by(width).take(depth).enumerate() {
                    self.read(column, place, std::slice::from_mut(slot));
                }
            }
        };
        let Some((turn, side)) = turn.filter(|&(_, side)| side <= SIDE && depth >= side && lanes > 1) else {
            return scalar(0..lanes, panel);
        };
        // One lane or two are not worth a square.
        let rest = if lanes > side && lanes % side <= 2 { lanes % side } else { 0 };
        scalar(lanes - rest..lanes, panel);
        let lanes = lanes - rest;
        let mut square = [[T::Term::zeroed(); SIDE]; SIDE];
        let mut turned = [[T::Term::zeroed(); SIDE]; SIDE];
        // The last squares of a row or column overlap those before.
        let starts = |n: usize| (0..n.div_ceil(side)).map(move |i| (i * side).min(n.saturating_sub(side)));
        for lane in starts(lanes) {
            let columns = &columns[lane..][..side];
            let step = columns[1].at.wrapping_sub(columns[0].at);
            let is_even = step > 0 && columns.windows(2).all(|pair| pair[1].at.wrapping_sub(pair[0].at) == step);
            let start = columns.iter().fold(0, |start, column| start.max(column.start));
            let end = columns.iter().fold(depth, |end, column| end.min(column.end));
            let terms = T::terms(self.of.data).filter(|_| is_even);
            for place in starts(depth) {
                let at = |column: &Column| column.at.wrapping_add(place as isize) as usize;
                let (from, from_step) = match terms {
                    Some(terms) if start <= place && place + side <= end => {
                        // The first and the last row lie in the images, and so do those between them.
                        assert!(at(&columns[side - 1]) + side <= terms.len(), "a square lies in the images");
                        (terms[at(&columns[0])..].as_ptr(), step)
                    }
                    _ => {
                        for (row, column) in square.iter_mut().zip(columns) {
                            self.read(column, place, &mut row[..side]);
                        }
                        (square.as_ptr().cast(), SIDE as isize)
                    }
                };
                let panel = &mut panel[place * width + lane..];
                let (to, to_step) = if lanes < side {
                    (turned.as_mut_ptr().cast(), SIDE)
                } else {
                    assert!(panel.len() >= (side - 1) * width + side, "a square lies in its panel");
                    (panel.as_mut_ptr(), width)
                };
                // SAFETY: the squares have been found in the images and in the panel, or are those above; tiles are those
                // of a set that this machine has.
                #[allow(unsafe_code)]
                unsafe {
                    turn(from, from_step, to, to_step);
                }
                if lanes < side {
                    for (to, from) in panel.chunks_mut(width).zip(&turned[..side]) {
                        to[..lanes].copy_from_slice(&from[..lanes]);
                    }
                }
            }
        }
    }

    /// The terms of a lane from `place` on.
    #[inline(always)]
    fn read(self, column: &Column, place: usize, out: &mut [T::Term]) {
        let at = column.at.wrapping_add(place as isize);
        if column.start <= place && place + out.len() <= column.end {
            for (slot, x) in out.iter_mut().zip(&self.of.data[at as usize..]) {
                *slot = x.widen();
            }
        } else {
            for (i, slot) in out.iter_mut().enumerate() {
                *slot = if (column.start..column.end).contains(&(place + i)) {
                    self.of.data[at.wrapping_add(i as isize) as usize].widen()
                } else {
                    T::Term::zeroed()
                };
            }
        }
    }
}

/// Zeros for so many lanes and places.
fn fill<T: bytemuck::Pod>(lanes: usize, depth: usize, width: usize, panel: &mut [T]) {
    if lanes > 0 {
        for row in panel.chunks_mut(width).take(depth) {
            row[..lanes].fill(T::zeroed());
        }
    }
}

/// Copies lanes side by side, N to 2·N of them, for places at equal steps.
fn copy<T: Factor, const N: usize>(
    data: &[T],
    [lanes, depth]: [usize; 2],
    step: usize,
    width: usize,
    panel: &mut [T::Term],
) {
    for (place, row) in panel.chunks_mut(width).take(depth).enumerate() {
        let from = &data[place * step..][..lanes];
        let to = &mut row[..lanes];
        for start in [0, lanes - N] {
            if let (Some(from), Some(to)) = (from[start..].first_chunk::<N>(), to[start..].first_chunk_mut::<N>()) {
                *to = from.map(T::widen);
            }
        }
    }
}
