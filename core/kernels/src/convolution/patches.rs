//! The factor of a product whose rows are the patches of images, packed from the images themselves.

use std::ops::Range;

use bytemuck::Zeroable;

use super::spread::Grid;
use crate::matmul::{Factor, InPlace, LEAST, Lanes, Panels, SIDE, Turns, pack_panels};

/// The most lanes that are packed at a time.
const MOST: usize = 32;
/// Features that are few: where each lies is kept.
const FEW: usize = 64;
/// How many places along k are packed at a time.
const PLACES: usize = 128;
/// Padding, in as many places of the widest terms.
static ZEROS: [u64; NOTHING] = [0; NOTHING];
const NOTHING: usize = 4096;
/// The bytes after which what lies there shares lines of the first cache.
const PAGE: usize = 4096;

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

    fn has(&self, place: isize) -> bool {
        (place as usize) < self.places
    }

    /// How far the first and the last of the taps, in order of places, are from tap 0.
    fn reach(&self) -> [isize; 2] {
        let last = self.taps.saturating_sub(1) as isize * self.tap;
        [last.min(0), last.max(0)]
    }

    /// Whether no tap of a position is in the padding.
    fn holds_all(&self) -> bool {
        let last = self.start + (self.positions.saturating_sub(1) * self.step) as isize;
        let [before, after] = self.reach();
        self.has(self.start + before) && self.has(last + after)
    }

    /// Whether positions are places, and have one tap.
    fn is_pointwise(&self) -> bool {
        self.taps == 1 && self.start == 0 && self.step == 1 && self.positions == self.places
    }
}

/// The patches of images: for each position, in row-major order with the images first, features: a term for each channel
/// of each tap.
pub(super) struct Patches<'a, T> {
    data: &'a [T],
    /// From one image to the next.
    pub(super) image: usize,
    axes: [Slide; 3],
    pub(super) channels: usize,
    /// From one channel to the next.
    pub(super) channel: usize,
    /// Each of the features, where they are few, and how far it lies from the first.
    few: [(isize, [isize; 3]); FEW],
    is_few: bool,
}

impl<'a, T: Factor> Patches<'a, T> {
    /// Of images that lie as a grid says, from the first on and from the first of some channels on.
    pub(super) fn new(data: &'a [T], grid: &Grid, mut axes: [Slide; 3], mut channels: usize) -> Self {
        let (image, channel) = (grid.image, grid.channel);
        let last = &mut axes[2];
        // Taps side by side, of which none is in the padding, are as good as channels of one.
        if channel == 1 && last.tap == 1 && last.pitch == channels && last.holds_all() {
            (channels, last.taps) = (channels * last.taps, last.taps.min(1));
        }
        let mut own = Self { data, image, axes, channels, channel, few: [(0, [0; 3]); FEW], is_few: false };
        // Many channels that lie side by side are better turned.
        let all = axes.iter().fold(channels, |all, axis| all.saturating_mul(axis.taps));
        own.is_few = (1..=FEW).contains(&all) && own.step() == 1 && (channel != 1 || channels < SIDE);
        if own.is_few {
            let mut few = own.few;
            for features in own.features(0, all) {
                for (i, feature) in few[features.at..][..features.count].iter_mut().enumerate() {
                    *feature = (features.offset.wrapping_add((i * channel) as isize), features.place);
                }
            }
            own.few = few;
        }
        own
    }
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
#[derive(Clone, Copy, Default)]
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
    #[inline(always)]
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
    #[inline(always)]
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
        let place = positions.place[2] + features.place[2];
        if !a.has(positions.place[0] + features.place[0]) || !b.has(positions.place[1] + features.place[1]) {
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

    /// The positions of a row that have all taps in the image.
    #[inline(always)]
    fn wholly_inside(&self, positions: &Positions) -> (usize, usize) {
        let [a, b, c] = &self.axes;
        let has_all = |axis: &Slide, place: isize| axis.reach().into_iter().all(|tap| axis.has(place + tap));
        if !has_all(a, positions.place[0]) || !has_all(b, positions.place[1]) {
            return (0, 0);
        }
        let [first, last] = c.reach().map(|tap| positions.place[2] + tap);
        let (most, step) = (positions.count, if c.step == 1 { None } else { Some(c.step) });
        let from = |place: isize| {
            let place = place.max(0) as usize;
            most.min(step.map_or(place, |step| place.div_ceil(step)))
        };
        let start = from(first.saturating_neg());
        (start, from((c.places as isize).saturating_sub(last)).max(start))
    }

    #[inline(always)]
    fn is_wholly_inside(&self, positions: &Positions) -> bool {
        self.wholly_inside(positions) == (0, positions.count)
    }

    /// Whether the positions of a row, which are not too few, lie side by side.
    fn is_in_rows(&self) -> bool {
        self.step() == 1 && self.axes[2].positions >= SIDE
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

    fn packs_rows(self) -> bool {
        TURNED && self.even.is_none() && self.of.is_in_rows()
    }

    fn in_segments(self) -> Option<[isize; 2]> {
        let (of, step) = (self.of, self.of.step());
        let size = size_of::<T::Term>();
        T::terms(&[])?;
        let (step, places, between) = match TURNED {
            // The channels of a tap, of positions that lie so far apart.
            false => ((of.channel == 1).then_some(1)?, of.channels, step * size),
            // A row of positions.
            true => (step, of.axes[2].positions, step * size),
        };
        // Padding is read as zeros, or lies not within a row.
        let reach = places.checked_mul(step).filter(|&reach| reach <= NOTHING);
        let is_padded = |axis: &Slide| !axis.holds_all();
        if TURNED && is_padded(&of.axes[2]) || of.axes.iter().any(is_padded) && reach.is_none() {
            return None;
        }
        // What lies whole pages apart shares the lines of the first cache.
        (self.even.is_none() && places >= LEAST && !between.is_multiple_of(PAGE / 2))
            .then_some([if TURNED { 0 } else { of.step() as isize }, step as isize])
    }

    fn point(self, lanes: usize, depth: usize, rows: &mut [*const T::Term]) -> [usize; 2] {
        if TURNED { self.point_features(lanes, depth, rows) } else { self.point_positions(lanes, depth, rows) }
    }

    fn places(self) -> usize {
        self.even.map_or(PLACES, Panels::places)
    }

    fn pack(self, lanes: usize, width: usize, panel: &mut [T::Term], turns: Option<Turns<T::Term>>) {
        if let Some(even) = self.even {
            return even.pack(lanes, width, panel, turns);
        }
        if turns.is_some() {
            // SAFETY: rows are turned fast where the machine has AVX2.
            #[allow(unsafe_code)]
            return unsafe { self.pack_by_avx2(lanes, width, panel, turns) };
        }
        self.pack_all(lanes, width, panel, turns);
    }

    fn pack_tiles(
        self,
        lanes: usize,
        height: usize,
        depth: usize,
        panels: &mut [T::Term],
        turns: Option<Turns<T::Term>>,
    ) {
        if self.packs_rows() {
            if turns.is_some() {
                // SAFETY: as above.
                #[allow(unsafe_code)]
                return unsafe { self.pack_rows_by_avx2(lanes, depth, panels) };
            }
            return self.pack_rows(lanes, depth, panels);
        }
        if !TURNED && self.even.is_none() && self.of.is_few {
            if turns.is_some() {
                // SAFETY: as above.
                #[allow(unsafe_code)]
                return unsafe { self.pack_few_by_avx2(lanes, height, height, depth, panels) };
            }
            return self.pack_few(lanes, height, height, depth, panels);
        }
        pack_panels(self, lanes, height, depth, panels, turns);
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

/// The items, as many as there is room for.
#[inline(always)]
fn collect<T: Copy>(room: &mut [T], items: impl Iterator<Item = T>) -> &[T] {
    let mut count = 0;
    for (slot, item) in room.iter_mut().zip(items) {
        *slot = item;
        count += 1;
    }
    &room[..count]
}

impl<T: Factor, const TURNED: bool> Patch<'_, T, TURNED> {
    /// As [`point`](Panels::point), of positions: a segment has the channels of a tap.
    fn point_positions(self, lanes: usize, depth: usize, rows: &mut [*const T::Term]) -> [usize; 2] {
        let (of, step, mut first) = (self.of, self.of.step(), 0);
        let mut room = [Positions::default(); MOST];
        let all = collect(&mut room, of.positions(self.base, self.lane, lanes));
        for (features, rows) in of.features(self.depth, depth).zip(rows.chunks_exact_mut(lanes)) {
            first = if features.at == 0 { features.count } else { first };
            for positions in all {
                let (start, end) = of.inside(positions, &features);
                let rows = &mut rows[positions.at..][..positions.count];
                if (start, end) != (0, positions.count) {
                    rows.fill(self.place(None, features.count));
                }
                if start < end {
                    let at = positions.origin.wrapping_add(features.offset).wrapping_add((start * step) as isize);
                    let mut row = self.place(Some(at), (end - 1 - start) * step + features.count);
                    for slot in &mut rows[start..end] {
                        *slot = row;
                        row = row.wrapping_add(step);
                    }
                }
            }
        }
        [first, of.channels]
    }

    /// As [`point`](Panels::point), of features: a segment has a row of positions.
    fn point_features(self, lanes: usize, depth: usize, rows: &mut [*const T::Term]) -> [usize; 2] {
        let (of, mut first) = (self.of, 0);
        let mut room = [Features::default(); MOST];
        let all = collect(&mut room, of.features(self.lane, lanes));
        for (positions, rows) in of.positions(self.base, self.depth, depth).zip(rows.chunks_exact_mut(lanes)) {
            first = if positions.at == 0 { positions.count } else { first };
            let reach = (positions.count - 1) * of.step() + 1;
            for features in all {
                let rows = &mut rows[features.at..][..features.count];
                let (start, end) = of.inside(&positions, features);
                if start == end {
                    rows.fill(self.place(None, reach));
                    continue;
                }
                let at = positions.origin.wrapping_add(features.offset);
                let mut row = self.place(Some(at), (features.count - 1) * of.channel + reach);
                for slot in rows {
                    *slot = row;
                    row = row.wrapping_add(of.channel);
                }
            }
        }
        [first, of.axes[2].positions]
    }

    /// From where in the images on so many elements are, or as many zeros.
    fn place(self, at: Option<isize>, count: usize) -> *const T::Term {
        let terms: &[T::Term] = match at {
            Some(at) => T::terms(self.of.data).map_or(&[], |terms| &terms[at as usize..]),
            None => bytemuck::cast_slice(&ZEROS),
        };
        terms[..count].as_ptr()
    }

    /// As [`pack_all`](Self::pack_all).
    ///
    /// # Safety
    /// The machine has AVX2 where the processor may have it.
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
    #[allow(unsafe_code)]
    unsafe fn pack_by_avx2(self, lanes: usize, width: usize, panel: &mut [T::Term], turns: Option<Turns<T::Term>>) {
        self.pack_all(lanes, width, panel, turns);
    }

    /// As [`pack_few`](Self::pack_few).
    ///
    /// # Safety
    /// As of [`pack_by_avx2`](Self::pack_by_avx2).
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
    #[allow(unsafe_code)]
    unsafe fn pack_few_by_avx2(self, lanes: usize, height: usize, width: usize, depth: usize, panels: &mut [T::Term]) {
        self.pack_few(lanes, height, width, depth, panels);
    }

    #[inline(always)]
    fn pack_all(self, lanes: usize, width: usize, panel: &mut [T::Term], turns: Option<Turns<T::Term>>) {
        for first in (0..lanes).step_by(MOST) {
            let (now, lanes, panel) = (self.from(first, 0), MOST.min(lanes - first), &mut panel[first..]);
            if TURNED {
                now.pack_features(lanes, width, panel, turns);
            } else if now.of.is_few {
                now.pack_few(lanes, lanes, width, panel.len().div_ceil(width), panel);
            } else if lanes <= MOST / 2 {
                now.pack_positions::<{ MOST / 2 }>(lanes, width, panel, turns);
            } else {
                now.pack_positions::<MOST>(lanes, width, panel, turns);
            }
        }
    }

    /// As [`pack`](Panels::pack) of features, into a panel that begins with the first and may end after the last.
    #[inline(always)]
    fn pack_features(self, lanes: usize, width: usize, panel: &mut [T::Term], turns: Option<Turns<T::Term>>) {
        let (of, depth) = (self.of, panel.len().div_ceil(width));
        let mut room = [Features::default(); MOST];
        let all = collect(&mut room, of.features(self.lane, lanes));
        let in_rows = of.is_in_rows();
        let mut columns = [Column::default(); MOST];
        for positions in of.positions(self.base, self.depth, depth) {
            let panel = &mut panel[positions.at * width..];
            let is_whole = of.is_wholly_inside(&positions);
            for features in all {
                let (start, end) = if is_whole { (0, positions.count) } else { of.inside(&positions, features) };
                let mut at = positions.origin.wrapping_add(features.offset);
                if in_rows {
                    for column in &mut columns[features.at..][..features.count] {
                        *column = Column { at, start, end };
                        at = at.wrapping_add(of.channel as isize);
                    }
                    continue;
                }
                let (lanes, panel) = (features.count, &mut panel[features.at..]);
                fill(lanes, start, width, panel);
                at = at.wrapping_add((start * of.step()) as isize);
                if start < end {
                    let sizes = [lanes, end - start];
                    self.block(at as usize, sizes, [of.channel, of.step()], width, &mut panel[start * width..]);
                }
                if end < positions.count {
                    fill(lanes, positions.count - end, width, &mut panel[end * width..]);
                }
            }
            if in_rows {
                self.turn(&columns[..lanes], positions.count, width, panel, turns);
            }
        }
    }

    /// Packs features with the places of each side by side, as many as there are in a row of `panels`.
    #[inline(always)]
    fn pack_rows(self, lanes: usize, depth: usize, panels: &mut [T::Term]) {
        let of = self.of;
        for first in (0..lanes).step_by(MOST) {
            let mut room = [Features::default(); MOST];
            let all = collect(&mut room, of.features(self.lane + first, MOST.min(lanes - first)));
            let panels = &mut panels[first * depth..];
            for positions in of.positions(self.base, self.depth, depth) {
                if of.is_wholly_inside(&positions) {
                    for features in all {
                        let mut at = positions.origin.wrapping_add(features.offset);
                        for lane in features.at..features.at + features.count {
                            let row = &mut panels[lane * depth + positions.at..][..positions.count];
                            copy_row(&of.data[at as usize..][..positions.count], row);
                            at = at.wrapping_add(of.channel as isize);
                        }
                    }
                    continue;
                }
                for features in all {
                    let (start, end) = of.inside(&positions, features);
                    let mut at = positions.origin.wrapping_add(features.offset).wrapping_add(start as isize);
                    for lane in features.at..features.at + features.count {
                        let row = &mut panels[lane * depth + positions.at..][..positions.count];
                        row[..start].fill(T::Term::zeroed());
                        row[end..].fill(T::Term::zeroed());
                        if start < end {
                            copy_row(&of.data[at as usize..][..end - start], &mut row[start..end]);
                        }
                        at = at.wrapping_add(of.channel as isize);
                    }
                }
            }
        }
    }

    /// As [`pack_rows`](Self::pack_rows).
    ///
    /// # Safety
    /// As of [`pack_by_avx2`](Self::pack_by_avx2).
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
    #[allow(unsafe_code)]
    unsafe fn pack_rows_by_avx2(self, lanes: usize, depth: usize, panels: &mut [T::Term]) {
        self.pack_rows(lanes, depth, panels);
    }

    /// Packs positions that have few features into panels of `height` lanes, `width` apart but for the last, and `depth`
    /// places, one after the other.
    #[inline(always)]
    fn pack_few(self, lanes: usize, height: usize, width: usize, depth: usize, panels: &mut [T::Term]) {
        let (of, mut first) = (self.of, 0);
        let features = &of.few[self.depth..][..depth];
        for positions in of.positions(self.base, self.lane, lanes) {
            let (start, end) = of.wholly_inside(&positions);
            let mut done = 0;
            while done < positions.count {
                if first + height <= positions.at + done {
                    first += height;
                }
                // The positions that are in this panel.
                let lane = positions.at + done - first;
                let now = (height - lane).min(positions.count - done);
                let width = width.min(width - height + lanes - first);
                let panel = &mut panels[first * depth..][lane..];
                let inside = start.clamp(done, done + now)..end.clamp(done, done + now);
                if !inside.is_empty() {
                    let (panel, count) = (&mut panel[inside.start - done..], inside.len());
                    let origin = positions.origin.wrapping_add(inside.start as isize);
                    match count {
                        16.. => copy_each::<T, 16>(of.data, origin, features, count, width, panel),
                        8.. => copy_each::<T, 8>(of.data, origin, features, count, width, panel),
                        4.. => copy_each::<T, 4>(of.data, origin, features, count, width, panel),
                        2.. => copy_each::<T, 2>(of.data, origin, features, count, width, panel),
                        _ => copy_each::<T, 1>(of.data, origin, features, count, width, panel),
                    }
                }
                for own in (done..done + now).filter(|own| !inside.contains(own)) {
                    let [x, y, z] = positions.place;
                    let (origin, z) = (positions.origin.wrapping_add(own as isize), z + own as isize);
                    for (slot, (offset, place)) in panel[own - done..].iter_mut().step_by(width).zip(features) {
                        let [a, b, c] = &of.axes;
                        let is_inside = a.has(x + place[0]) && b.has(y + place[1]) && c.has(z + place[2]);
                        let at = origin.wrapping_add(*offset) as usize;
                        *slot = if is_inside { of.data[at].widen() } else { T::Term::zeroed() };
                    }
                }
                done += now;
            }
        }
    }

    /// As [`pack_features`](Self::pack_features), of at most `N` positions.
    #[inline(always)]
    fn pack_positions<const N: usize>(
        self,
        lanes: usize,
        width: usize,
        panel: &mut [T::Term],
        turns: Option<Turns<T::Term>>,
    ) {
        let (of, depth) = (self.of, panel.len().div_ceil(width));
        let mut columns = [Column::default(); N];
        let mut room = [Positions::default(); N];
        let all = collect(&mut room, of.positions(self.base, self.lane, lanes));
        let is_whole = all.iter().all(|positions| of.is_wholly_inside(positions));
        let inside = |positions: &Positions, features: &Features| {
            if is_whole { (0, positions.count) } else { of.inside(positions, features) }
        };
        for features in of.features(self.depth, depth) {
            let panel = &mut panel[features.at * width..];
            if of.channel == 1 && of.channels >= SIDE {
                for positions in all {
                    let (start, end) = inside(positions, &features);
                    let mut at = positions.origin.wrapping_add(features.offset);
                    for (i, column) in columns[positions.at..][..positions.count].iter_mut().enumerate() {
                        let end = if (start..end).contains(&i) { features.count } else { 0 };
                        *column = Column { at, start: 0, end };
                        at = at.wrapping_add(of.step() as isize);
                    }
                }
                self.turn(&columns[..lanes], features.count, width, panel, turns);
                continue;
            }
            for positions in all {
                let (start, end) = inside(positions, &features);
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
    #[inline(always)]
    fn block(self, at: usize, [lanes, depth]: [usize; 2], steps: [usize; 2], width: usize, panel: &mut [T::Term]) {
        let data = &self.of.data[at..];
        match lanes {
            16.. if steps[0] == 1 => copy::<T, 16>(data, [lanes, depth], steps[1], width, panel),
            8.. if steps[0] == 1 => copy::<T, 8>(data, [lanes, depth], steps[1], width, panel),
            4.. if steps[0] == 1 => copy::<T, 4>(data, [lanes, depth], steps[1], width, panel),
            2.. if steps[0] == 1 => copy::<T, 2>(data, [lanes, depth], steps[1], width, panel),
            16.. if steps[0] == 2 => copy_every_other::<T, 16>(data, [lanes, depth], steps[1], width, panel),
            8.. if steps[0] == 2 => copy_every_other::<T, 8>(data, [lanes, depth], steps[1], width, panel),
            4.. if steps[0] == 2 => copy_every_other::<T, 4>(data, [lanes, depth], steps[1], width, panel),
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

    /// Writes `depth` terms of each of the lanes.
    #[inline(always)]
    fn turn(
        self,
        columns: &[Column],
        depth: usize,
        width: usize,
        panel: &mut [T::Term],
        turns: Option<Turns<T::Term>>,
    ) {
        let Some(turns) = turns.filter(|turns| columns.len() >= turns.side / 2 && depth >= turns.side) else {
            return self.turn_some(columns, 0..depth, width, panel);
        };
        for (lane, count, turn) in turns.of(columns.len()) {
            let (columns, panel) = (&columns[lane..][..count], &mut panel[lane..]);
            let some = columns.iter().filter(|column| column.start < column.end);
            let (start, end) =
                some.fold((0, depth), |(start, end), column| (start.max(column.start), end.min(column.end)));
            if end < start + turns.side {
                self.turn_some(columns, 0..depth, width, panel);
                continue;
            }
            self.turn_some(columns, 0..start, width, panel);
            self.turn_some(columns, end..depth, width, panel);
            let (panel, depth) = (&mut panel[start * width..], end - start);
            assert!(panel.len() >= (depth - 1) * width + count, "the lanes lie in their panel");
            let zeros: &[T::Term] = &bytemuck::cast_slice(&ZEROS)[..depth];
            let mut rows = [zeros.as_ptr(); SIDE];
            if let Some(terms) = T::terms(self.of.data) {
                for (row, column) in rows.iter_mut().zip(columns).filter(|(_, column)| column.start < column.end) {
                    *row = terms[column.at.wrapping_add(start as isize) as usize..][..depth].as_ptr();
                }
                // SAFETY: the rows have been found in the images, or are zeros, and the lanes in the panel; tiles are those
                // of a set that this machine has.
                #[allow(unsafe_code)]
                unsafe {
                    turn(&rows, depth, panel.as_mut_ptr(), width);
                }
                continue;
            }
            let mut square = [[T::Term::zeroed(); SIDE]; SIDE];
            // The last square overlaps the one before.
            for place in (0..depth.div_ceil(turns.side)).map(|i| (i * turns.side).min(depth - turns.side)) {
                for ((row, own), column) in rows.iter_mut().zip(&mut square).zip(columns) {
                    self.read(column, start + place, &mut own[..turns.side]);
                    *row = own.as_ptr();
                }
                // SAFETY: the rows are those of the square; the rest is as above.
                #[allow(unsafe_code)]
                unsafe {
                    turn(&rows, turns.side, panel[place * width..].as_mut_ptr(), width);
                }
            }
        }
    }

    /// As [`turn`](Self::turn), some places one by one.
    #[inline(always)]
    fn turn_some(self, columns: &[Column], places: Range<usize>, width: usize, panel: &mut [T::Term]) {
        if places.is_empty() {
            return;
        }
        for (lane, column) in columns.iter().enumerate() {
            let panel = panel[places.start * width + lane..].iter_mut().step_by(width);
            for (place, slot) in places.clone().zip(panel) {
                self.read(column, place, std::slice::from_mut(slot));
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
#[inline(always)]
fn fill<T: bytemuck::Pod>(lanes: usize, depth: usize, width: usize, panel: &mut [T]) {
    if lanes > 0 {
        for row in panel.chunks_mut(width).take(depth) {
            row[..lanes].fill(T::zeroed());
        }
    }
}

/// Copies a row of terms.
#[inline(always)]
fn copy_row<T: Factor>(from: &[T], to: &mut [T::Term]) {
    const N: usize = 16;
    let ((blocks, _), (places, _)) = (from.as_chunks::<N>(), to.as_chunks_mut::<N>());
    for (from, to) in blocks.iter().zip(places) {
        *to = from.map(T::widen);
    }
    // The last overlaps the one before.
    if let (Some(from), Some(to)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
        *to = from.map(T::widen);
        return;
    }
    for (slot, x) in to.iter_mut().zip(from) {
        *slot = x.widen();
    }
}

/// As [`copy`], of features that lie at those steps from the first.
#[inline(always)]
fn copy_each<T: Factor, const N: usize>(
    data: &[T],
    first: isize,
    features: &[(isize, [isize; 3])],
    lanes: usize,
    width: usize,
    panel: &mut [T::Term],
) {
    for (place, (offset, _)) in features.iter().enumerate() {
        let from = &data[first.wrapping_add(*offset) as usize..][..lanes];
        let to = &mut panel[place * width..][..lanes];
        for start in [0, lanes - N] {
            if let (Some(from), Some(to)) = (from[start..].first_chunk::<N>(), to[start..].first_chunk_mut::<N>()) {
                *to = from.map(T::widen);
            }
        }
    }
}

/// As [`copy`], of lanes that lie at steps of 2.
#[inline(always)]
fn copy_every_other<T: Factor, const N: usize>(
    data: &[T],
    [lanes, depth]: [usize; 2],
    step: usize,
    width: usize,
    panel: &mut [T::Term],
) {
    for (place, row) in panel.chunks_mut(width).take(depth).enumerate() {
        let (from, to) = (&data[place * step..], &mut row[..lanes]);
        for start in [0, lanes - N] {
            let to = &mut to[start..][..N];
            if let Some(from) = from[2 * start..].as_chunks::<2>().0.first_chunk::<N>() {
                for (slot, [x, _]) in to.iter_mut().zip(from) {
                    *slot = x.widen();
                }
            } else {
                for (slot, x) in to.iter_mut().zip(from[2 * start..].iter().step_by(2)) {
                    *slot = x.widen();
                }
            }
        }
    }
}

/// Copies lanes side by side, N to 2·N of them, for places at equal steps.
#[inline(always)]
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
