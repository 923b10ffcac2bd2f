//! The product of two matrices.
//!
//! Every element of the product is a sum of sums over [`BLOCK`] terms, each in order from 0: a function of k alone.
//! Products and sums are rounded one by one, never contracted to a fused operation, so the bits do not depend on the
//! instruction set, on the tile, or on how the factors lie in memory.

use std::mem::size_of;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};
use num_complex::Complex;

use crate::complex;
use crate::strided::Strided;

/// Terms that are added up before their sum joins the others: bounds the error, and keeps panels in the first cache.
const BLOCK: usize = 128;
/// Columns of `b` that are packed at a time: for the k of common layers their panels stay in the second cache.
const STRIP: usize = 512;
/// The largest tile of any instruction set, for which scratch is asked.
const MAX_ROWS: usize = 12;
const MAX_COLUMNS: usize = 32;

/// A number that products are summed in.
pub(crate) trait Term: Pod {
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
}

/// An element of a matrix.
pub(crate) trait Factor: Pod {
    type Term: Term;
    fn widen(self) -> Self::Term;
    fn narrow(term: Self::Term) -> Self;
    /// The same slice as terms, where that takes no conversion.
    fn terms(slice: &[Self]) -> Option<&[Self::Term]>;
}

macro_rules! own_terms {
    ($add:expr, $mul:expr => $($t:ty),*) => {
        $(impl Term for $t {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                let add: fn(Self, Self) -> Self = $add;
                add(self, other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                let mul: fn(Self, Self) -> Self = $mul;
                mul(self, other)
            }
        }
        impl Factor for $t {
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
own_terms!(|a, b| a + b, |a, b| a * b => f32, f64);
own_terms!(|a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b) => i8, i16, i32, i64, u8, u16, u32, u64);
own_terms!(complex::add, complex::mul => Complex<f32>, Complex<f64>);

macro_rules! f32_terms {
    ($($t:ty),*) => {
        $(impl Factor for $t {
            type Term = f32;
            #[inline(always)]
            fn widen(self) -> f32 {
                self.to_f32()
            }
            #[inline(always)]
            fn narrow(term: f32) -> Self {
                Self::from_f32(term)
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
    let columns = n.min(STRIP).next_multiple_of(MAX_COLUMNS);
    let terms = k.saturating_mul(columns + m.min(MAX_ROWS));
    // One element more, because scratch need not be aligned for terms.
    terms.saturating_mul(size_of::<T::Term>() / size_of::<T>()).saturating_add(1)
}

/// A matrix by the steps between the lanes that are packed side by side and between the places along k.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<'a, T> {
    data: &'a [T],
    offset: isize,
    lane: isize,
    depth: isize,
}

impl<T: Factor> Lanes<'_, T> {
    fn from(self, lane: usize) -> Self {
        Self { offset: self.offset + lane as isize * self.lane, ..self }
    }

    /// Writes lanes 0 to `lanes`, zeros up to `width`, side by side for each of the places along k.
    #[inline(always)]
    fn pack(self, lanes: usize, width: usize, panel: &mut [T::Term]) {
        if self.depth.unsigned_abs() < self.lane.unsigned_abs() {
            for lane in 0..width {
                let mut at = self.offset + lane as isize * self.lane;
                for slot in panel[lane..].iter_mut().step_by(width) {
                    *slot = if lane < lanes { self.data[at as usize].widen() } else { T::Term::zeroed() };
                    at += self.depth;
                }
            }
        } else {
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
}

/// `ROWS` × `COLUMNS` elements of the product: `a` has `ROWS` terms for each place along k, `b` as many as `COLUMNS`,
/// `pitch` terms from one place to the next.
#[inline(always)]
fn tile<T: Term, const ROWS: usize, const COLUMNS: usize>(a: &[T], b: &[T], pitch: usize) -> [[T; COLUMNS]; ROWS] {
    let mut total = [[T::zeroed(); COLUMNS]; ROWS];
    for (block, a) in a.chunks(BLOCK * ROWS).enumerate() {
        let mut sum = [[T::zeroed(); COLUMNS]; ROWS];
        for (p, a) in a.chunks_exact(ROWS).enumerate() {
            let b: &[T; COLUMNS] = b[(block * BLOCK + p) * pitch..][..COLUMNS].try_into().expect("cut to this length");
            for i in 0..ROWS {
                for j in 0..COLUMNS {
                    sum[i][j] = sum[i][j].add(a[i].mul(b[j]));
                }
            }
        }
        for i in 0..ROWS {
            for j in 0..COLUMNS {
                total[i][j] = total[i][j].add(sum[i][j]);
            }
        }
    }
    total
}

/// Columns of `b` as tiles read them.
struct Strip<'a, T: Factor> {
    /// Packed panels, in order; of those read in place nothing is there.
    packed: &'a [T::Term],
    /// The first column in place, and the terms from one place along k to the next.
    direct: Option<(&'a [T::Term], usize)>,
    columns: usize,
}

/// `ROWS` rows of the product, from a panel of `a` and a strip of `b`; `out` begins at their first element.
#[inline(always)]
fn rows<T: Factor, const ROWS: usize, const WIDE: usize, const NARROW: usize>(
    a: &[T::Term],
    strip: &Strip<T>,
    out: &mut [T],
    n: usize,
) {
    let k = a.len() / ROWS;
    for first in (0..strip.columns).step_by(WIDE) {
        let columns = WIDE.min(strip.columns - first);
        let width = if columns <= NARROW { NARROW } else { WIDE };
        let (b, pitch) = match strip.direct {
            Some((terms, pitch)) if columns == width => (&terms[first..], pitch),
            Some(_) => (strip.packed, width),
            None => (&strip.packed[first * k..], width),
        };
        if width == NARROW {
            store(tile::<_, ROWS, NARROW>(a, b, pitch), &mut out[first..], columns, n);
        } else {
            store(tile::<_, ROWS, WIDE>(a, b, pitch), &mut out[first..], columns, n);
        }
    }
}

#[inline(always)]
fn store<T: Factor, const ROWS: usize, const COLUMNS: usize>(
    tile: [[T::Term; COLUMNS]; ROWS],
    out: &mut [T],
    columns: usize,
    n: usize,
) {
    for (i, row) in tile.iter().enumerate() {
        for (slot, &term) in out[i * n..][..columns].iter_mut().zip(row) {
            *slot = T::narrow(term);
        }
    }
}

/// The product by tiles of `ROWS`, 4 or 1 rows and `WIDE` or `NARROW` columns.
#[inline(always)]
fn by_tiles<T: Factor, const ROWS: usize, const WIDE: usize, const NARROW: usize>(
    a: Lanes<T>,
    b: Lanes<T>,
    (m, k, n): (usize, usize, usize),
    out: &mut [T],
    scratch: &mut [T::Term],
) {
    let (a_panel, b_panels) = scratch.split_at_mut(k * m.min(ROWS));
    for start in (0..n).step_by(STRIP) {
        let columns = STRIP.min(n - start);
        let b = b.from(start);
        // Packing a strip costs about as much as reading it twice: not worth it for a few rows.
        let direct = match T::terms(b.data) {
            Some(terms) if b.lane == 1 && b.depth >= 0 && m <= 2 * ROWS => {
                Some((&terms[b.offset as usize..], b.depth as usize))
            }
            _ => None,
        };
        let mut packed = 0;
        for first in (0..columns).step_by(WIDE) {
            let lanes = WIDE.min(columns - first);
            let width = if lanes <= NARROW { NARROW } else { WIDE };
            if direct.is_none() || lanes != width {
                b.from(first).pack(lanes, width, &mut b_panels[packed..packed + k * width]);
                packed += k * width;
            }
        }
        let strip = Strip::<T> { packed: b_panels, direct, columns };
        let mut row = 0;
        while row < m {
            let height = if m - row >= ROWS {
                ROWS
            } else if m - row >= 4 {
                4
            } else {
                1
            };
            let (a, out) = (a.from(row), &mut out[row * n + start..]);
            let panel = &mut a_panel[..k * height];
            a.pack(height, height, panel);
            if height == ROWS {
                rows::<T, ROWS, WIDE, NARROW>(panel, &strip, out, n);
            } else if height == 4 {
                rows::<T, 4, WIDE, NARROW>(panel, &strip, out, n);
            } else {
                rows::<T, 1, WIDE, NARROW>(panel, &strip, out, n);
            }
            row += height;
        }
    }
}

/// The instruction sets that have their own tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    Portable,
    Avx2,
    Avx512,
}

impl Instructions {
    /// The best of this machine.
    fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// A type with a product for each instruction set.
pub(crate) trait Product: Factor {
    /// The product of an m × k and a k × n matrix by the tiles of `set`, which this machine has.
    fn by(
        set: Instructions,
        a: Lanes<Self>,
        b: Lanes<Self>,
        sizes: (usize, usize, usize),
        out: &mut [Self],
        scratch: &mut [Self::Term],
    );
}

/// Tiles as rows, columns, and columns of the last panel where that is enough.
macro_rules! products {
    ($($t:ty: avx512 $r5:literal $w5:literal $n5:literal, avx2 $r2:literal $w2:literal $n2:literal, portable $r:literal $w:literal $n:literal;)*) => {
        $(impl Product for $t {
            fn by(set: Instructions, a: Lanes<Self>, b: Lanes<Self>, sizes: (usize, usize, usize), out: &mut [Self], scratch: &mut [Self::Term]) {
                #[cfg(target_arch = "x86_64")]
                #[allow(unsafe_code)]
                match set {
                    // SAFETY: `set` is one that this machine was found to have.
                    Instructions::Avx512 => return unsafe { by_avx512::<Self, $r5, $w5, $n5>(a, b, sizes, out, scratch) },
                    // SAFETY: as above.
                    Instructions::Avx2 => return unsafe { by_avx2::<Self, $r2, $w2, $n2>(a, b, sizes, out, scratch) },
                    Instructions::Portable => {}
                }
                let _ = set;
                by_tiles::<Self, $r, $w, $n>(a, b, sizes, out, scratch);
            }
        })*
    };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn by_avx512<T: Factor, const ROWS: usize, const WIDE: usize, const NARROW: usize>(
    a: Lanes<T>,
    b: Lanes<T>,
    sizes: (usize, usize, usize),
    out: &mut [T],
    scratch: &mut [T::Term],
) {
    by_tiles::<T, ROWS, WIDE, NARROW>(a, b, sizes, out, scratch);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn by_avx2<T: Factor, const ROWS: usize, const WIDE: usize, const NARROW: usize>(
    a: Lanes<T>,
    b: Lanes<T>,
    sizes: (usize, usize, usize),
    out: &mut [T],
    scratch: &mut [T::Term],
) {
    by_tiles::<T, ROWS, WIDE, NARROW>(a, b, sizes, out, scratch);
}

products! {
    f32: avx512 12 32 16, avx2 6 16 8, portable 4 8 4;
    f16: avx512 12 32 16, avx2 6 16 8, portable 4 8 4;
    bf16: avx512 12 32 16, avx2 6 16 8, portable 4 8 4;
    f64: avx512 12 16 8, avx2 6 8 4, portable 4 4 2;
    i32: avx512 12 32 16, avx2 6 16 8, portable 4 8 4;
    u32: avx512 12 32 16, avx2 6 16 8, portable 4 8 4;
    i64: avx512 12 16 8, avx2 4 8 4, portable 4 4 2;
    u64: avx512 12 16 8, avx2 4 8 4, portable 4 4 2;
    i16: avx512 4 32 16, avx2 4 32 16, portable 4 16 8;
    u16: avx512 4 32 16, avx2 4 32 16, portable 4 16 8;
    i8: avx512 4 32 16, avx2 4 32 16, portable 4 16 8;
    u8: avx512 4 32 16, avx2 4 32 16, portable 4 16 8;
    Complex<f32>: avx512 4 8 4, avx2 4 8 4, portable 4 4 2;
    Complex<f64>: avx512 4 4 2, avx2 4 4 2, portable 4 2 1;
}

/// The product of `a`, m × k, and `b`, k × n, in row-major order; zeros where k is 0.
///
/// # Panics
/// When the sizes do not fit each other or `scratch` is smaller than [`scratch`] says.
pub(crate) fn multiply<T: Product>(a: Strided<T>, b: Strided<T>, out: &mut [T], scratch: &mut [T]) {
    multiply_by(Instructions::here(), a, b, out, scratch);
}

fn multiply_by<T: Product>(set: Instructions, a: Strided<T>, b: Strided<T>, out: &mut [T], scratch: &mut [T]) {
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
    T::by(set, a, b, (m, k, n), out, scratch);
}
