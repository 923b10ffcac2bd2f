//! The product of two matrices.
//!
//! Every element of the product is a sum of sums over [`BLOCK`](crate::tile::BLOCK) terms, each in order from 0: a
//! function of k alone. Products and sums are rounded one by one, never contracted to a fused operation, so the bits do
//! not depend on the instruction set, on the tile, or on how the factors lie in memory.

use std::mem::size_of;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};
use num_complex::Complex;

use crate::narrow;
use crate::strided::Strided;
use crate::tile::{Instructions, MAX_COLUMNS, MAX_ROWS, Term, Tile, Tiles};

/// Columns of the right factor that are packed at a time: for the k of common layers they stay in the second cache.
const STRIP: usize = 512;

/// An element of a matrix.
pub(crate) trait Factor: Pod {
    type Term: Term;
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

/// The elements of scratch that [`multiply`] wants.
pub(crate) fn scratch<T: Factor>(m: usize, k: usize, n: usize) -> usize {
    let (m, n) = if n == 1 { (n, m) } else { (m, n) };
    let terms = k.saturating_mul(n.min(STRIP).next_multiple_of(MAX_COLUMNS) + m.min(MAX_ROWS));
    // One element more, because scratch need not be aligned for terms.
    terms.saturating_mul(size_of::<T::Term>() / size_of::<T>()).saturating_add(1)
}

/// A factor by the steps between the lanes that are packed side by side and between the places along k.
#[derive(Clone, Copy)]
struct Lanes<'a, T> {
    data: &'a [T],
    offset: isize,
    lane: isize,
    depth: isize,
}

impl<T: Factor> Lanes<'_, T> {
    fn from(self, lane: usize) -> Self {
        Self { offset: self.offset + lane as isize * self.lane, ..self }
    }

    /// Writes the first `lanes` lanes, zeros up to `width`, side by side for each of the places along k.
    fn pack(self, lanes: usize, width: usize, panel: &mut [T::Term]) {
        if self.depth.unsigned_abs() < self.lane.unsigned_abs() {
            for lane in 0..width {
                let mut at = self.offset + lane as isize * self.lane;
                for slot in panel[lane..].iter_mut().step_by(width) {
                    *slot = if lane < lanes { self.data[at as usize].widen() } else { T::Term::zeroed() };
                    at += self.depth;
                }
            }
            return;
        }
        let mut start = self.offset;
        for row in panel.chunks_exact_mut(width) {
            let (used, unused) = row.split_at_mut(lanes);
            unused.fill(T::Term::zeroed());
            if self.lane == 1 {
                for (slot, &x) in used.iter_mut().zip(&self.data[start as usize..][..lanes]) {
                    *slot = x.widen();
                }
            } else {
                let mut at = start;
                for slot in used {
                    *slot = self.data[at as usize].widen();
                    at += self.lane;
                }
            }
            start += self.depth;
        }
    }
}

/// The columns of `b` from one on, as tiles read them.
struct Strip<'a, T> {
    columns: usize,
    /// Panels of the widest tile, the last one perhaps of the narrower.
    packed: &'a [T],
    /// The first column where it lies, and the terms from one place along k to the next; then only a last, incomplete
    /// panel is packed.
    in_place: Option<(&'a [T], usize)>,
}

/// Writes the product of some rows, packed in `a`, and a strip to `out`, which begins at its first element.
fn multiply_rows<T: Factor>(
    tiles: [Tile<T::Term>; 2],
    widths: [usize; 2],
    (rows, k, n): (usize, usize, usize),
    a: &[T::Term],
    b: &Strip<T::Term>,
    out: &mut [T],
) {
    let mut result = [T::Term::zeroed(); MAX_ROWS * MAX_COLUMNS];
    for first in (0..b.columns).step_by(widths[0]) {
        let columns = widths[0].min(b.columns - first);
        let (tile, width) = if columns <= widths[1] { (tiles[1], widths[1]) } else { (tiles[0], widths[0]) };
        let (terms, pitch) = match b.in_place {
            Some((terms, pitch)) if columns == width => (&terms[first..], pitch),
            Some(_) => (b.packed, width),
            None => (&b.packed[first * k..], width),
        };
        let result = &mut result[..rows * width];
        // SAFETY: the tiles are those of an instruction set that this machine has.
        #[allow(unsafe_code)]
        unsafe {
            tile(a, terms, pitch, result);
        }
        for (i, row) in result.chunks_exact(width).enumerate() {
            for (slot, &term) in out[i * n + first..][..columns].iter_mut().zip(row) {
                *slot = T::narrow(term);
            }
        }
    }
}

fn multiply_with<T: Factor>(
    tiles: &Tiles<T::Term>,
    a: Lanes<T>,
    b: Lanes<T>,
    (m, k, n): (usize, usize, usize),
    out: &mut [T],
    scratch: &mut [T::Term],
) {
    let (tallest, [wide, narrow]) = (tiles.heights[0], tiles.widths);
    let (a_panel, b_panels) = scratch.split_at_mut(k * m.min(tallest));
    for start in (0..n).step_by(STRIP) {
        let (b, columns) = (b.from(start), STRIP.min(n - start));
        // Packing costs about as much as reading a strip twice: not worth it for a few rows.
        let in_place = match T::terms(b.data) {
            Some(terms) if b.lane == 1 && b.depth >= 0 && m <= 2 * tallest => {
                Some((&terms[b.offset as usize..], b.depth as usize))
            }
            _ => None,
        };
        let mut packed = 0;
        for first in (0..columns).step_by(wide) {
            let lanes = wide.min(columns - first);
            let width = if lanes <= narrow { narrow } else { wide };
            if in_place.is_none() || lanes != width {
                b.from(first).pack(lanes, width, &mut b_panels[packed..packed + k * width]);
                packed += k * width;
            }
        }
        let strip = Strip { columns, packed: b_panels, in_place };
        let mut row = 0;
        while row < m {
            let level = tiles.heights.iter().position(|&height| height <= m - row).expect("the last height is 1");
            let height = tiles.heights[level];
            let panel = &mut a_panel[..k * height];
            a.from(row).pack(height, height, panel);
            let out = &mut out[row * n + start..];
            multiply_rows(tiles.of[level], tiles.widths, (height, k, n), panel, &strip, out);
            row += height;
        }
    }
}

/// The product of `a`, m × k, and `b`, k × n, in row-major order; zeros where k is 0.
///
/// # Panics
/// When the sizes do not fit each other or the scratch is smaller than [`scratch`] says.
pub(crate) fn multiply<T: Factor>(a: Strided<T>, b: Strided<T>, out: &mut [T], scratch: &mut [T]) {
    multiply_by(Instructions::here(), a, b, out, scratch);
}

/// As [`multiply`], by an instruction set that this machine has.
fn multiply_by<T: Factor>(set: Instructions, a: Strided<T>, b: Strided<T>, out: &mut [T], scratch: &mut [T]) {
    let (&[m, k], &[inner, n]) = (a.shape(), b.shape()) else { panic!("the factors of a product are matrices") };
    assert!(k == inner && out.len() == m * n, "the sizes of a product fit each other");
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        return out.fill(T::zeroed());
    }
    let a = Lanes { data: a.data(), offset: a.offset() as isize, lane: a.strides()[0], depth: a.strides()[1] };
    let b = Lanes { data: b.data(), offset: b.offset() as isize, lane: b.strides()[1], depth: b.strides()[0] };
    // One column is one row of the product of the transposed, with the same sums.
    let (a, b, m, n) = if n == 1 { (b, a, n, m) } else { (a, b, m, n) };
    let (_, scratch, _) = bytemuck::pod_align_to_mut::<T, T::Term>(scratch);
    multiply_with(T::Term::tiles(set), a, b, (m, k, n), out, scratch);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers i·2⁻⁹ with i from −500 to 500 without order: their products need rounding when added up.
    fn values<T: Factor>(n: usize, widen: impl Fn(i64) -> T) -> Vec<T> {
        (0..n as i64).map(|i| widen(i * 7919 % 1001 - 500)).collect()
    }

    fn check_bits<T: Factor>(widen: impl Fn(i64) -> T) {
        let sets = [
            Instructions::Portable,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512,
        ];
        let here = sets.iter().take_while(|&&set| set != Instructions::here()).count();
        for (m, k, n) in [(1, 300, 40), (40, 129, 1), (13, 131, 33), (6, 17, 8), (25, 5, 530), (30, 260, 16)] {
            let (a, b) = (values(m * k, &widen), values(2 * k * n, &widen));
            let (a_shape, b_shape) = ([m, k], [k, n]);
            // As they are; then both lie transposed; then the columns of b run backwards, two apart.
            let mut a_turned = vec![T::zeroed(); m * k];
            let (mut b_turned, mut b_apart) = (vec![T::zeroed(); k * n], vec![T::zeroed(); 2 * k * n]);
            for (i, &x) in a.iter().enumerate() {
                a_turned[i % k * m + i / k] = x;
            }
            for (i, &x) in b[..k * n].iter().enumerate() {
                b_turned[i % n * k + i / n] = x;
                b_apart[2 * (i / n * n + n - 1 - i % n)] = x;
            }
            let layouts = [
                (&a, [k as isize, 1], &b, [n as isize, 1], 0),
                (&a_turned, [1, m as isize], &b_turned, [1, k as isize], 0),
                (&a, [k as isize, 1], &b_apart, [2 * n as isize, -2], 2 * (n - 1)),
            ];
            let mut expected: Option<Vec<T>> = None;
            for &set in &sets[..=here] {
                for (a, a_strides, b, b_strides, offset) in layouts {
                    let mut out = vec![T::zeroed(); m * n];
                    let mut scratch = vec![T::zeroed(); scratch::<T>(m, k, n)];
                    let a = Strided::new(a, &a_shape, &a_strides, 0).expect("in bounds");
                    let b = Strided::new(b, &b_shape, &b_strides, offset).expect("in bounds");
                    multiply_by(set, a, b, &mut out, &mut scratch);
                    let expected = expected.get_or_insert_with(|| out.clone());
                    let (expected, found): (&[u8], &[u8]) =
                        (bytemuck::cast_slice(expected), bytemuck::cast_slice(&out));
                    assert!(expected == found, "{m}×{k}×{n} with {set:?}, strides {a_strides:?} and {b_strides:?}");
                }
            }
        }
    }

    #[test]
    fn instruction_sets_and_layouts_give_the_same_bits() {
        check_bits(|i| i as f32 / 512.0 * 1.000_001);
        check_bits(|i| i as f64 / 512.0 * 1.000_000_000_001);
        check_bits(|i| <bf16 as narrow::Half>::narrow(i as f32 / 512.0));
        check_bits(|i| i as i32);
        check_bits(|i| Complex::new(i as f32 / 511.0, 1.0 - i as f32 / 513.0));
    }
}
