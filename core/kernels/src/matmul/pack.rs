//! A factor of a product, and its panels: the order in which tiles read them.

use bytemuck::Pod;
use half::{bf16, f16};
use num_complex::Complex;

use super::tile::{SIDE, Term, Turns, copy_rows};
use crate::narrow;

/// An element of a matrix.
pub(crate) trait Factor: Pod + Send + Sync {
    type Term: Term + Sync;
    fn widen(self) -> Self::Term;
    fn narrow(term: Self::Term) -> Self;
    /// The same slice as terms, where that takes no conversion.
    fn terms(slice: &[Self]) -> Option<&[Self::Term]>;
}

macro_rules! own_terms {
    ($($t:ty),*) => {
        $(impl Factor for $t {
            type Term = Self;
            #[inline(always)]
            fn widen(self) -> Self {
                self
            }
            #[inline(always)]
            fn narrow(term: Self) -> Self {
                term
            }
            #[inline(always)]
            fn terms(slice: &[Self]) -> Option<&[Self]> {
                Some(slice)
            }
        })*
    };
}
own_terms!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, Complex<f32>, Complex<f64>);

macro_rules! f32_terms {
    ($($t:ty),*) => {
        $(impl Factor for $t {
            type Term = f32;
            #[inline(always)]
            fn widen(self) -> f32 {
                narrow::Half::widen(self)
            }
            #[inline(always)]
            fn narrow(term: f32) -> Self {
                narrow::Half::narrow(term)
            }
            #[inline(always)]
            fn terms(_: &[Self]) -> Option<&[f32]> {
                None
            }
        })*
    };
}
f32_terms!(f16, bf16);

/// How tiles come by the terms of a factor: by lanes, rows of the left or columns of the right one, and places along k.
pub(crate) trait Panels: Copy + Sync {
    type Term: Term;
    /// Whether it is a right factor that lies in panels for tiles of three rows or more: they are all in place.
    const PACKED: bool = false;

    /// The same factor from a lane and a place along k on.
    fn from(self, lane: usize, depth: usize) -> Self;

    /// Where the terms lie, where they lie at equal steps and no conversion is needed to read them.
    fn in_place(self) -> Option<InPlace<Self::Term>>;

    /// The steps between lanes, 0 where they lie side by side, and between places along k within a segment, where a left
    /// factor can be read where it lies, segment by segment: those of [`point`](Self::point).
    fn in_segments(self) -> Option<[isize; 2]> {
        None
    }

    /// Writes, for each segment of so many places along k, where each of so many lanes has its first place there, and says
    /// how many places the first segment has and how many the others have, but for the last.
    fn point(self, _lanes: usize, _depth: usize, _rows: &mut [*const Self::Term]) -> [usize; 2] {
        unreachable!("it does not lie in segments")
    }

    /// How many places along k are packed at a time, of all lanes, so that memory is read in its own order.
    fn places(self) -> usize;

    /// Writes the first `lanes` lanes side by side for each of the places along k that `panel` has; what fills them up to
    /// `width` may be anything.
    fn pack(self, lanes: usize, width: usize, panel: &mut [Self::Term], turn: Option<Turns<Self::Term>>);

    /// Whether [`pack_tiles`](Self::pack_tiles) writes the places of a lane side by side.
    fn packs_rows(self) -> bool {
        false
    }

    /// Writes panels of `height` lanes and `depth` places, one after the other, of which the last may have fewer lanes.
    /// Lanes lie side by side as [`pack`](Self::pack) has them, but for what [`packs_rows`](Self::packs_rows).
    fn pack_tiles(
        self,
        lanes: usize,
        height: usize,
        depth: usize,
        panels: &mut [Self::Term],
        turn: Option<Turns<Self::Term>>,
    ) {
        pack_panels(self, lanes, height, depth, panels, turn);
    }
}

/// As [`pack_tiles`](Panels::pack_tiles), by [`pack`](Panels::pack).
pub(crate) fn pack_panels<P: Panels>(
    factor: P,
    lanes: usize,
    height: usize,
    depth: usize,
    panels: &mut [P::Term],
    turn: Option<Turns<P::Term>>,
) {
    let few = factor.places().min(depth);
    for place in (0..depth).step_by(few) {
        for first in (0..lanes).step_by(height) {
            let height = height.min(lanes - first);
            let panel = &mut panels[first * depth + place * height..][..few.min(depth - place) * height];
            factor.from(first, place).pack(height, height, panel, turn);
        }
    }
}

/// Terms as they lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct InPlace<T> {
    pub(crate) first: *const T,
    /// The steps from one lane to the next, and from one place along k to the next.
    pub(crate) lane: isize,
    pub(crate) depth: isize,
}

/// A factor by the steps between its lanes, rows of the left or columns of the right one, and between the places along k.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) offset: isize,
    pub(crate) lane: isize,
    pub(crate) depth: isize,
}

impl<T: Factor> Panels for Lanes<'_, T> {
    type Term = T::Term;

    fn from(self, lane: usize, depth: usize) -> Self {
        Self { offset: self.offset + lane as isize * self.lane + depth as isize * self.depth, ..self }
    }

    fn in_place(self) -> Option<InPlace<T::Term>> {
        let first = T::terms(self.data)?.as_ptr().wrapping_offset(self.offset);
        Some(InPlace { first, lane: self.lane, depth: self.depth })
    }

    fn places(self) -> usize {
        if self.in_place().is_some_and(|lies| lies.depth == 1) { usize::MAX } else { 16 }
    }

    fn pack(self, lanes: usize, width: usize, panel: &mut [T::Term], turn: Option<Turns<T::Term>>) {
        let depth = panel.len() / width;
        if self.depth == 1
            && let Some(turns) = turn
            && let Some(InPlace { first, .. }) = self.in_place()
            && lanes >= turns.side / 2
            && depth >= turns.side
        {
            for (lane, count, turn) in turns.of(lanes) {
                let mut rows = [first; SIDE];
                for (i, row) in rows[..count].iter_mut().enumerate() {
                    *row = first.wrapping_offset((lane + i) as isize * self.lane);
                }
                let to = &mut panel[lane..];
                assert!(to.len() >= (depth - 1) * width + count, "the lanes lie in their panel");
                // SAFETY: `lanes` lanes of `depth` places were checked to lie in `data` when its view was made, and they
                // have been found in the panel; tiles are those of a set that this machine has.
                #[allow(unsafe_code)]
                unsafe {
                    turn(&rows, depth, to.as_mut_ptr(), width);
                }
            }
            return;
        }
        if self.depth.unsigned_abs() < self.lane.unsigned_abs() {
            for lane in 0..lanes {
                let mut at = self.offset + lane as isize * self.lane;
                for slot in panel[lane..].iter_mut().step_by(width) {
                    *slot = self.data[at as usize].widen();
                    at += self.depth;
                }
            }
        } else if self.lane == 1 {
            match width {
                4 => self.copy::<4>(lanes, panel, turn.is_some()),
                6 => self.copy::<6>(lanes, panel, turn.is_some()),
                8 => self.copy::<8>(lanes, panel, turn.is_some()),
                12 => self.copy::<12>(lanes, panel, turn.is_some()),
                16 => self.copy::<16>(lanes, panel, turn.is_some()),
                32 => self.copy::<32>(lanes, panel, turn.is_some()),
                _ => self.gather(lanes, width, panel),
            }
        } else {
            self.gather(lanes, width, panel);
        }
    }
}

impl<T: Factor> Lanes<'_, T> {
    /// As [`pack`](Panels::pack), for lanes side by side, perhaps on a machine with AVX2.
    fn copy<const WIDTH: usize>(self, lanes: usize, panel: &mut [T::Term], avx2: bool) {
        if avx2
            && lanes == WIDTH
            && let Some(InPlace { first, .. }) = self.in_place()
        {
            // SAFETY: all lanes of as many places were checked to lie in `data` when its view was made; squares are turned
            // fast where the machine has AVX2.
            #[allow(unsafe_code)]
            return unsafe { copy_rows(first, self.depth, panel.as_chunks_mut::<WIDTH>().0) };
        }
        let mut start = self.offset;
        for row in panel.as_chunks_mut::<WIDTH>().0 {
            match self.data[start as usize..].first_chunk::<WIDTH>() {
                Some(from) => *row = from.map(T::widen),
                None => {
                    for (slot, &x) in row.iter_mut().zip(&self.data[start as usize..][..lanes]) {
                        *slot = x.widen();
                    }
                }
            }
            start += self.depth;
        }
    }

    fn gather(self, lanes: usize, width: usize, panel: &mut [T::Term]) {
        let mut start = self.offset;
        for row in panel.chunks_exact_mut(width) {
            let mut at = start;
            for slot in &mut row[..lanes] {
                *slot = self.data[at as usize].widen();
                at += self.lane;
            }
            start += self.depth;
        }
    }
}
