//! A right factor that is packed once and kept.

use std::collections::TryReserveError;
use std::marker::PhantomData;

use super::pack::{Factor, InPlace, Lanes, Panels};
use super::tile::{Term, Tiles, Turns};
use crate::instruction_set::instruction_set;
use crate::strided::Strided;

/// A right factor, k × n, as products read it: for weights that many left factors are multiplied by.
///
/// It is some columns wider than the matrix, and of f16 and bf16 it holds f32. [`Float::packed`](crate::Float::packed)
/// makes one, [`Float::matmul_packed`](crate::Float::matmul_packed) multiplies by it.
#[derive(Debug)]
pub struct Packed<T> {
    /// The terms, from the first cache line on.
    words: Vec<u64>,
    k: usize,
    n: usize,
    /// The columns of a tile of the instruction set it was packed for.
    width: usize,
    of: PhantomData<T>,
}

impl<T> Packed<T> {
    /// k and n.
    pub fn sizes(&self) -> [usize; 2] {
        [self.k, self.n]
    }
}

fn width_at<T>(tiles: &Tiles<T>, lane: usize, n: usize) -> usize {
    if n - lane > tiles.narrow.width { tiles.wide.width } else { tiles.narrow.width }
}

/// Packs the right factor of products.
pub(crate) fn packed<T: Factor>(b: Strided<T>) -> Result<Packed<T>, TryReserveError> {
    let (&[k, n], &[depth, lane]) = (b.shape(), b.strides()) else { panic!("the factors of a product are matrices") };
    let tiles = T::Term::tiles(instruction_set());
    let width = tiles.wide.width;
    let bytes = n.next_multiple_of(width).saturating_mul(k).saturating_mul(size_of::<T::Term>());
    // The terms begin with a cache line.
    let (count, mut words) = (bytes / 8 + 9, Vec::new());
    words.try_reserve_exact(count)?;
    words.resize(count, 0);
    let b = Lanes { data: b.data(), offset: b.offset() as isize, lane, depth };
    let mut rest = super::aligned::<T::Term>(bytemuck::cast_slice_mut(&mut words));
    for lane in (0..if k == 0 { 0 } else { n }).step_by(width) {
        let (panel, after) = rest.split_at_mut(k * width_at(tiles, lane, n));
        b.from(lane, 0).pack(width.min(n - lane), panel.len() / k, panel, tiles.turn);
        rest = after;
    }
    Ok(Packed { words, k, n, width, of: PhantomData })
}

/// What tiles read of a factor that was packed.
pub(super) fn panels<T: Factor>(packed: &Packed<T>) -> Kept<'_, T::Term> {
    let tiles = T::Term::tiles(instruction_set());
    assert!(tiles.wide.width == packed.width, "a factor is packed for the instruction set of its products");
    let bytes: &[u8] = bytemuck::cast_slice(&packed.words);
    let terms = bytemuck::pod_align_to::<u8, T::Term>(&bytes[bytes.as_ptr().align_offset(64)..]).1;
    Kept { terms, tiles, k: packed.k, n: packed.n, lane: 0, depth: 0 }
}

/// The panels of a [`Packed`] factor.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a, T: 'static> {
    terms: &'a [T],
    tiles: &'static Tiles<T>,
    k: usize,
    n: usize,
    lane: usize,
    depth: usize,
}

impl<T: Term + Sync> Panels for Kept<'_, T> {
    type Term = T;
    const PACKED: bool = true;

    fn from(self, lane: usize, depth: usize) -> Self {
        Self { lane: self.lane + lane, depth: self.depth + depth, ..self }
    }

    fn in_place(self) -> Option<InPlace<T>> {
        let width = width_at(self.tiles, self.lane, self.n);
        let first = self.terms[self.lane * self.k + self.depth * width..].as_ptr();
        // The lanes of a tile lie side by side, those of the next one k times their number on.
        Some(InPlace { first, lane: self.k as isize, depth: width as isize })
    }

    fn places(self) -> usize {
        usize::MAX
    }

    fn pack(self, _: usize, _: usize, _: &mut [T], _: Option<Turns<T>>) {
        unreachable!("it is packed");
    }
}
