//! The innermost part of a matrix product: a few rows times a few columns, kept in registers.

use bytemuck::{Pod, Zeroable};
use num_complex::Complex;

#[cfg(target_arch = "x86_64")]
use super::tall::{self, AT_ONCE, TALL, Walk};
use crate::complex;
use crate::instruction_set::InstructionSet;

/// Terms that are added up before their sum joins the others: bounds the error.
pub(crate) const BLOCK: usize = 48;
/// The most rows of a tile.
pub(crate) const MAX_ROWS: usize = 12;

/// The most rows that are read from as many pointers: more would not be in registers.
pub(super) const POINTERS: usize = 6;

/// A piece of a product: some rows of the left factor times some columns of the right one, tile by tile.
pub(crate) struct Piece<T> {
    /// The places along k, at least 1.
    pub(crate) depth: usize,
    /// The first row of the left factor; its rows are `a_row` apart, its places along k `a_step`.
    pub(crate) a: *const T,
    pub(crate) a_row: isize,
    pub(crate) a_step: isize,
    /// What is wanted soon.
    pub(crate) next: Next<T>,
    /// As many terms as the tile is wide side by side, the next place along k `b_step` on, those of the next tile `b_tile`.
    pub(crate) b: *const T,
    pub(crate) b_step: isize,
    pub(crate) b_tile: isize,
    /// Where the product goes, its rows `out_row` apart.
    pub(crate) out: *mut T,
    pub(crate) out_row: usize,
    /// How many columns of each tile are written: all, where there are several.
    pub(crate) columns: usize,
    /// The tiles side by side.
    pub(crate) tiles: usize,
    /// Whether the product is added to what is there.
    pub(crate) add: bool,
    /// What follows, which tiles of vectors mind.
    pub(crate) tail: Tail<T>,
    /// The left factor by segments along k, for tiles that read it so.
    pub(crate) segments: Segments<T>,
}

/// What of the left factor is wanted soon: at the first place along k, and how far on at the next ones and in the next tiles,
/// for so many of them.
#[derive(Clone, Copy)]
pub(crate) struct Next<T> {
    pub(crate) first: *const T,
    pub(crate) step: isize,
    pub(crate) tile: isize,
    pub(crate) tiles: usize,
}

/// What a tile does to sums before it writes them.
#[derive(Clone, Copy)]
pub(crate) struct Tail<T> {
    /// What is added to each column; nothing where it is null.
    pub(crate) bias: *const T,
    /// Whether sums below 0 become 0, after that.
    pub(crate) relu: bool,
}

impl<T> Tiles<T> {
    /// Whether they are written for vectors: those read segments and mind what follows.
    pub(crate) fn are_vectors(&self) -> bool {
        !self.wide.in_segments.is_empty()
    }
}

impl<T> Tail<T> {
    /// Sums as they are.
    pub(crate) const NONE: Self = Self { bias: std::ptr::null(), relu: false };

    /// From a column on.
    pub(crate) fn from(self, column: usize) -> Self {
        let bias = if self.bias.is_null() { self.bias } else { self.bias.wrapping_add(column) };
        Self { bias, ..self }
    }
}

/// Rows that are read where they lie, for some places along k at a time.
#[derive(Clone, Copy)]
pub(crate) struct Segments<T> {
    /// For each segment, where each of the rows has its first place there; the next are `a_step` apart.
    pub(crate) rows: *const *const T,
    /// The places of the first segment.
    pub(crate) first: usize,
    /// Those of the others, but for the last.
    pub(crate) places: usize,
    /// How far from the first place of a segment's first row lies what is wanted soon.
    pub(crate) ahead: isize,
}

impl<T> Segments<T> {
    /// Of a tile that does not read them.
    pub(crate) const NONE: Self = Self { rows: std::ptr::null(), first: 0, places: 0, ahead: 0 };
}

/// How a tile's left factor lies: rows at equal steps, side by side for each place along k, or in segments.
pub(super) const IN_ROWS: u8 = 0;
pub(super) const PACKED: u8 = 1;
pub(super) const IN_SEGMENTS: u8 = 2;

/// Computes a piece. All tiles sum in the same order: blocks of [`BLOCK`] places along k, each from 0 on.
///
/// # Safety
/// The machine has the instruction set the tile was written for; the factors can be read, and `columns` of each row of
/// the output written, for all the rows of the tile and all its tiles. `columns` is at most the width, and the width where there
/// are several.
pub(crate) type Tile<T> = unsafe fn(&Piece<T>);

/// Tiles of one width, for the left factor as it lies.
pub(crate) struct Family<T: 'static> {
    pub(crate) width: usize,
    /// `of[i]` has i + 1 rows.
    pub(crate) of: &'static [Tile<T>],
    /// The same for rows packed side by side: `a_row` is 1 and `a_step` the number of rows.
    pub(crate) packed: &'static [Tile<T>],
    /// The same for rows in segments; there are none of plain Rust.
    pub(crate) in_segments: &'static [Tile<T>],
}

/// The most rows that are turned at a time.
pub(crate) const SIDE: usize = 8;

/// Writes rows of `places` terms the other way round: `to[j·to_step + i] = from[i][j]`.
///
/// # Safety
/// The machine has the instruction set, all those places can be read and written, and there are at least as many as the side
/// of a square.
pub(crate) type Turn<T> = unsafe fn(from: &[*const T; SIDE], places: usize, to: *mut T, to_step: usize);

/// A fast way to turn rows.
#[derive(Clone, Copy)]
pub(crate) struct Turns<T> {
    /// The side of a square, and how many rows `square` turns.
    pub(crate) side: usize,
    pub(crate) square: Turn<T>,
    /// As `square`, of half as many rows.
    pub(crate) half: Turn<T>,
}

impl<T> Turns<T> {
    /// How so many rows are turned, half a square of them at least: the first of some, how many, and what turns them. The
    /// last may overlap those before.
    pub(crate) fn of(self, rows: usize) -> impl Iterator<Item = (usize, usize, Turn<T>)> {
        let mut done = 0;
        std::iter::from_fn(move || {
            let left = rows - done;
            let (count, turn) = match self.side / 2 {
                _ if left == 0 => return None,
                half if left <= half || rows < self.side => (half, self.half),
                _ => (self.side, self.square),
            };
            let first = done.min(rows - count);
            done = first + count;
            Some((first, count, turn))
        })
    }
}

/// Copies rows of `WIDTH` terms, `step` apart, side by side.
///
/// # Safety
/// The machine has AVX2 where the processor may have it, and as many rows can be read as `to` has.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
#[allow(unsafe_code)]
pub(crate) unsafe fn copy_rows<T: Copy, const WIDTH: usize>(from: *const T, step: isize, to: &mut [[T; WIDTH]]) {
    let mut from = from.cast::<[T; WIDTH]>();
    for row in to {
        // SAFETY: as many rows can be read.
        *row = unsafe { from.read_unaligned() };
        from = from.cast::<T>().wrapping_offset(step).cast();
    }
}

/// What an instruction set computes products with.
pub(crate) struct Tiles<T: 'static> {
    /// For one or two rows: the widest, so that enough sums are under way at a time.
    pub(crate) low: Family<T>,
    pub(crate) wide: Family<T>,
    pub(crate) narrow: Family<T>,
    pub(crate) turn: Option<Turns<T>>,
}

/// A number that products are summed in.
pub(crate) trait Term: Pod {
    /// The tiles for an instruction set.
    fn tiles(set: InstructionSet) -> &'static Tiles<Self>;
    fn add(self, other: Self) -> Self;
}

/// Writes the rows of a tile of the piece whose terms are `terms`, one row after the other.
///
/// # Safety
/// As of a tile.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn write_rows<T: Term>(piece: &Piece<T>, tile: usize, rows: usize, terms: &[T]) {
    let first = piece.out.wrapping_add(tile * terms.len() / rows);
    for (i, row) in terms.chunks_exact(terms.len() / rows).enumerate() {
        for (j, &term) in row[..piece.columns].iter().enumerate() {
            // SAFETY: a tile may write `columns` of each of its rows.
            unsafe {
                let out = first.add(i * piece.out_row + j);
                *out = if piece.add { (*out).add(term) } else { term };
            }
        }
    }
}

/// Adds the products at one place along k to the sums of a block.
#[cfg(target_arch = "x86_64")]
macro_rules! place {
    ([$vector:ty, $vectors:expr, $lanes:literal, $load:path, $set:path, $fma:path] $block:ident, $b:expr, |$i:ident| $a:expr) => {{
        let mut columns = [<$vector>::zeroed(); $vectors];
        for (v, column) in columns.iter_mut().enumerate() {
            // SAFETY: the right factor has VECTORS · lanes terms at each place along k.
            *column = unsafe { $load($b.add(v * $lanes)) };
        }
        for ($i, sums) in $block.iter_mut().enumerate() {
            // SAFETY: the left factor has ROWS rows at each place along k.
            let row = $set(unsafe { *$a });
            for (sum, &column) in sums.iter_mut().zip(&columns) {
                *sum = $fma(row, column, *sum);
            }
        }
    }};
}

/// A tile written out for vectors of one type, in the instructions that follow.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_tile {
    ($name:ident: $t:ty, $vector:ty, $lanes:literal, $feature:literal, $load:path, $store:path, $set:path, $add:path, $fma:path,
     $max:path, $mask:expr, $load_some:expr, $store_some:expr, $tall:ident) => {
        /// # Safety
        /// As of [`Tile`].
        #[target_feature(enable = $feature)]
        #[allow(unsafe_code)]
        unsafe fn $name<const ROWS: usize, const VECTORS: usize, const LIES: u8>(piece: &Piece<$t>) {
            let width = VECTORS * $lanes;
            let (a_row, a_step) = if LIES == PACKED { (1, ROWS as isize) } else { (piece.a_row, piece.a_step) };
            let is_dense = VECTORS == 2
                && (LIES == PACKED || ROWS <= POINTERS && a_step == 1)
                && piece.b_step == (VECTORS * $lanes) as isize;
            // The sums of blocks wait in memory that the compiler is not to see through: it would write them twice.
            let mut room = std::mem::MaybeUninit::<[[$vector; VECTORS]; ROWS]>::uninit();
            let before = std::hint::black_box(room.as_mut_ptr().cast::<$t>());
            for tile in 0..piece.tiles {
                let (mut a, mut left) = (piece.a, piece.depth);
                let mut b = piece.b.wrapping_offset(tile as isize * piece.b_tile);
                let (mut next, next_step) = match tile < piece.next.tiles {
                    true => (piece.next.first.wrapping_offset(tile as isize * piece.next.tile), piece.next.step),
                    false => (piece.a, 0),
                };
                let first_out = piece.out.wrapping_add(tile * width);
                let first_bias = piece.tail.bias.wrapping_add(tile * width);
                let (mut rows, mut at) = ([piece.a; ROWS], 0);
                if is_dense && LIES == IN_ROWS {
                    for (i, row) in rows.iter_mut().enumerate() {
                        // Else the compiler finds each from the one before, at each place anew.
                        *row = std::hint::black_box(a.wrapping_offset(i as isize * a_row));
                    }
                }
                let (mut table, mut here, mut places) = (piece.segments.rows, 0, piece.segments.first);
                let is_avx512 = $lanes * size_of::<$t>() == 64;
                let is_tall = is_avx512 && VECTORS == 2 && TALL.contains(&ROWS) && LIES != PACKED && a_step == 1;
                // How far a tall tile's rows are apart, where that is the same for all.
                let mut equal = (is_tall && LIES == IN_ROWS).then_some(a_row);
                if VECTORS == 2 && piece.depth >= 2 * BLOCK {
                    // The output is there by the time that the sums are.
                    for i in 0..ROWS * VECTORS {
                        let out = first_out.wrapping_add(i / VECTORS * piece.out_row + i % VECTORS * $lanes);
                        // SAFETY: a prefetch may be of any place. It has not always been safe.
                        #[allow(unused_unsafe)]
                        unsafe {
                            _mm_prefetch::<_MM_HINT_T0>(out.cast())
                        };
                    }
                }
                let fetch = |next: &mut *const $t| {
                    if VECTORS > 1 {
                        // What is yet to be packed is to come no nearer than the second cache.
                        // SAFETY: a prefetch may be of any place. It has not always been safe.
                        #[allow(unused_unsafe)]
                        unsafe {
                            match LIES {
                                PACKED => _mm_prefetch::<_MM_HINT_T1>(next.cast()),
                                _ => _mm_prefetch::<_MM_HINT_T0>(next.cast()),
                            }
                        };
                        *next = next.wrapping_offset(next_step);
                    }
                };
                let sum = loop {
                    let depth = left.min(BLOCK);
                    let mut block = [[<$vector>::zeroed(); VECTORS]; ROWS];
                    let mut yet = depth;
                    while yet > 0 {
                        let mut now = yet;
                        if LIES == IN_SEGMENTS {
                            if here == 0 {
                                for (i, row) in rows.iter_mut().enumerate() {
                                    // SAFETY: there are ROWS places for each of the segments.
                                    *row = unsafe { *table.add(i) };
                                }
                                if is_tall {
                                    let row = (rows[1] as isize - rows[0] as isize) / size_of::<$t>() as isize;
                                    let mut all = rows.iter().enumerate();
                                    let is_equal = all.all(|(i, &at)| at == rows[0].wrapping_offset(i as isize * row));
                                    equal = is_equal.then_some(row);
                                }
                                next = rows[0].wrapping_offset(piece.segments.ahead);
                                (table, here, at) = (table.wrapping_add(ROWS), places, 0);
                                places = piece.segments.places;
                            }
                            now = here.min(yet);
                            here -= now;
                        }
                        yet -= now;
                        if is_dense {
                            for _ in 0..now / AT_ONCE {
                                fetch(&mut next);
                                if LIES == PACKED {
                                    place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b, |i| a.add(i));
                                    fetch(&mut next);
                                    place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b.add(width), |i| a.add(ROWS + i));
                                    fetch(&mut next);
                                    place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b.add(2 * width), |i| a.add(2 * ROWS + i));
                                    fetch(&mut next);
                                    place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b.add(3 * width), |i| a.add(3 * ROWS + i));
                                    a = a.wrapping_add(AT_ONCE * ROWS);
                                } else {
                                    place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b, |i| rows[i].offset(at));
                                    place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b.add(width), |i| rows[i].offset(at + 1));
                                    place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b.add(2 * width), |i| rows[i].offset(at + 2));
                                    place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b.add(3 * width), |i| rows[i].offset(at + 3));
                                    at += AT_ONCE as isize;
                                }
                                b = b.wrapping_add(AT_ONCE * width);
                            }
                            if LIES == IN_ROWS {
                                a = a.wrapping_add(now / AT_ONCE * AT_ONCE);
                            }
                            now %= AT_ONCE;
                        }
                        if let Some(a_row) = equal
                            && let count @ 1.. = now / AT_ONCE
                        {
                            let mut sums = [<$vector>::zeroed(); tall::SUMS];
                            sums[..ROWS * VECTORS].copy_from_slice(block.as_flattened());
                            let first = if LIES == IN_ROWS { a } else { rows[0].wrapping_offset(at) };
                            let b_step = piece.b_step;
                            let walk = Walk { a: first, a_row, b, b_step, next, next_step, count };
                            // SAFETY: as of this tile, whose rows are equally far apart.
                            unsafe { tall::$tall::<ROWS>(&mut sums, walk) };
                            block.as_flattened_mut().copy_from_slice(&sums[..ROWS * VECTORS]);
                            let walked = (count * AT_ONCE) as isize;
                            (a, b) = (a.wrapping_offset(walked), b.wrapping_offset(walked * b_step));
                            (next, at) = (next.wrapping_offset(walked * next_step), at + walked);
                            now %= AT_ONCE;
                        }
                        for _ in 0..now {
                            fetch(&mut next);
                            place!([$vector, VECTORS, $lanes, $load, $set, $fma] block, b, |i| match LIES {
                                IN_SEGMENTS => rows[i].offset(at),
                                _ => a.offset(i as isize * a_row),
                            });
                            (a, b) = (a.wrapping_offset(a_step), b.wrapping_offset(piece.b_step));
                            at += a_step;
                        }
                    }
                    let terms = block.as_flattened_mut().iter_mut().enumerate();
                    if left < piece.depth {
                        for (i, term) in terms {
                            // SAFETY: there is a place for each, and those of the blocks before stand in it.
                            *term = unsafe { $add($load(before.add(i * $lanes)), *term) };
                        }
                    }
                    left -= depth;
                    if left == 0 {
                        break block;
                    }
                    for (i, &term) in block.as_flattened().iter().enumerate() {
                        // SAFETY: there is a place for each.
                        unsafe { $store(before.add(i * $lanes), term) };
                    }
                };
                let tail = |sum: $vector, bias: Option<$vector>| {
                    let sum = if let Some(bias) = bias { $add(sum, bias) } else { sum };
                    let zero = <$vector>::zeroed();
                    // The second of two zeros is the greater; -0 is to become 0.
                    if piece.tail.relu { $add($max(zero, sum), zero) } else { sum }
                };
                if piece.columns == width {
                    let mut bias = [None; VECTORS];
                    if !piece.tail.bias.is_null() {
                        for (v, bias) in bias.iter_mut().enumerate() {
                            // SAFETY: there is one for each of the columns, which are all here.
                            *bias = Some(unsafe { $load(first_bias.add(v * $lanes)) });
                        }
                    }
                    for (i, sums) in sum.iter().enumerate() {
                        for (v, &sum) in sums.iter().enumerate() {
                            // SAFETY: a tile may write `columns` of each of its rows, which are all here.
                            unsafe {
                                let out = first_out.add(i * piece.out_row + v * $lanes);
                                let sum = if piece.add { $add($load(out), sum) } else { sum };
                                $store(out, tail(sum, bias[v]));
                            }
                        }
                    }
                    continue;
                }
                for v in 0..VECTORS {
                    let Some(left @ 1..) = piece.columns.checked_sub(v * $lanes) else { break };
                    let mask = $mask(left.min($lanes));
                    // SAFETY: there is one for each of the columns; the mask leaves the others out.
                    let bias =
                        (!piece.tail.bias.is_null()).then(|| unsafe { $load_some(first_bias.add(v * $lanes), mask) });
                    for (i, sums) in sum.iter().enumerate() {
                        // SAFETY: a tile may write `columns` of each of its rows; the mask leaves the others out.
                        unsafe {
                            let out = first_out.add(i * piece.out_row + v * $lanes);
                            let sum = if piece.add { $add($load_some(out, mask), sums[v]) } else { sums[v] };
                            $store_some(out, mask, tail(sum, bias));
                        }
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
vector_tile!(f32_avx512: f32, __m512, 16, "avx512f", _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_max_ps,
    |n: usize| u16::MAX >> (16 - n),
    |p, mask| _mm512_maskz_loadu_ps(mask, p),
    |p, mask, x| _mm512_mask_storeu_ps(p, mask, x),
    f32_tall);
#[cfg(target_arch = "x86_64")]
vector_tile!(f32_avx2: f32, __m256, 8, "avx2,fma", _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_add_ps, _mm256_fmadd_ps, _mm256_max_ps,
    |n: usize| _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
    |p, mask| _mm256_maskload_ps(p, mask),
    |p, mask, x| _mm256_maskstore_ps(p, mask, x),
    not_tall);
#[cfg(target_arch = "x86_64")]
vector_tile!(f64_avx512: f64, __m512d, 8, "avx512f", _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd, _mm512_add_pd, _mm512_fmadd_pd, _mm512_max_pd,
    |n: usize| u8::MAX >> (8 - n),
    |p, mask| _mm512_maskz_loadu_pd(mask, p),
    |p, mask, x| _mm512_mask_storeu_pd(p, mask, x),
    f64_tall);
#[cfg(target_arch = "x86_64")]
vector_tile!(f64_avx2: f64, __m256d, 4, "avx2,fma", _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_add_pd, _mm256_fmadd_pd, _mm256_max_pd,
    |n: usize| _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)),
    |p, mask| _mm256_maskload_pd(p, mask),
    |p, mask, x| _mm256_maskstore_pd(p, mask, x),
    not_tall);

/// A tile of plain Rust; what `$add` and `$mul` become is up to the compiler.
macro_rules! plain_tile {
    ($name:ident: $t:ty, $add:expr, $mul:expr) => {
        /// # Safety
        /// As of [`Tile`].
        #[allow(unsafe_code)]
        unsafe fn $name<const ROWS: usize, const COLUMNS: usize, const LIES: u8>(piece: &Piece<$t>) {
            let (add, mul): (fn($t, $t) -> $t, fn($t, $t) -> $t) = ($add, $mul);
            let (a_row, a_step) = if LIES == PACKED { (1, ROWS as isize) } else { (piece.a_row, piece.a_step) };
            for tile in 0..piece.tiles {
                let (mut a, mut left) = (piece.a, piece.depth);
                let mut b = piece.b.wrapping_offset(tile as isize * piece.b_tile);
                let mut sum = [[<$t>::zeroed(); COLUMNS]; ROWS];
                while left > 0 {
                    let depth = left.min(BLOCK);
                    let mut block = [[<$t>::zeroed(); COLUMNS]; ROWS];
                    for _ in 0..depth {
                        // SAFETY: the right factor has COLUMNS terms at each place along k.
                        let columns = unsafe { b.cast::<[$t; COLUMNS]>().read_unaligned() };
                        for (i, sums) in block.iter_mut().enumerate() {
                            // SAFETY: the left factor has ROWS rows at each place along k.
                            let row = unsafe { *a.offset(i as isize * a_row) };
                            for (sum, &column) in sums.iter_mut().zip(&columns) {
                                *sum = add(*sum, mul(row, column));
                            }
                        }
                        (a, b) = (a.wrapping_offset(a_step), b.wrapping_offset(piece.b_step));
                    }
                    left -= depth;
                    for (sum, &block) in sum.as_flattened_mut().iter_mut().zip(block.as_flattened()) {
                        *sum = add(*sum, block);
                    }
                }
                // SAFETY: as of this tile.
                unsafe { write_rows(piece, tile, ROWS, sum.as_flattened()) }
            }
        }
    };
}

/// Calls `square` with the first places of squares, of which the last overlaps the one before.
#[inline(always)]
fn squares(places: usize, side: usize, mut square: impl FnMut(usize)) {
    let mut place = 0;
    while place + side < places {
        square(place);
        place += side;
    }
    square(places - side);
}

/// Eight rows turned, 8 × 8 terms at a time in registers.
///
/// # Safety
/// As of [`Turn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
unsafe fn turn_f32(from: &[*const f32; SIDE], places: usize, to: *mut f32, to_step: usize) {
    squares(places, 8, |place| {
        for half in [place, place + 4] {
            // SAFETY: the rows have four terms from there on.
            let [a, b, c, d] = std::array::from_fn(|i| unsafe {
                let low = _mm256_castps128_ps256(_mm_loadu_ps(from[i].add(half)));
                _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from[i + 4].add(half)))
            });
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            let columns = [
                _mm256_shuffle_ps::<0x44>(ab, cd),
                _mm256_shuffle_ps::<0xEE>(ab, cd),
                _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm256_shuffle_ps::<0xEE>(ab_high, cd_high),
            ];
            for (i, column) in columns.into_iter().enumerate() {
                // SAFETY: 8 terms can be written for each place.
                unsafe { _mm256_storeu_ps(to.add((half + i) * to_step), column) };
            }
        }
    });
}

/// Four rows turned, 8 places at a time.
///
/// # Safety
/// As of [`Turn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
unsafe fn turn_half_f32(from: &[*const f32; SIDE], places: usize, to: *mut f32, to_step: usize) {
    squares(places, 8, |place| {
        // SAFETY: the rows have 8 terms from there on.
        let [a, b, c, d] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(from[i].add(place)) });
        let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
        let columns = [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xEE>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            _mm256_shuffle_ps::<0xEE>(ab_high, cd_high),
        ];
        for (i, column) in columns.into_iter().enumerate() {
            // SAFETY: 4 terms can be written for each place.
            unsafe {
                _mm_storeu_ps(to.add((place + i) * to_step), _mm256_castps256_ps128(column));
                _mm_storeu_ps(to.add((place + 4 + i) * to_step), _mm256_extractf128_ps::<1>(column));
            }
        }
    });
}

/// Four rows turned, 4 × 4 terms at a time in registers.
///
/// # Safety
/// As of [`Turn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
unsafe fn turn_f64(from: &[*const f64; SIDE], places: usize, to: *mut f64, to_step: usize) {
    squares(places, 4, |place| {
        for half in [place, place + 2] {
            // SAFETY: the rows have two terms from there on.
            let [a, b] = std::array::from_fn(|i| unsafe {
                let low = _mm256_castpd128_pd256(_mm_loadu_pd(from[i].add(half)));
                _mm256_insertf128_pd::<1>(low, _mm_loadu_pd(from[i + 2].add(half)))
            });
            // SAFETY: 4 terms can be written for each place.
            unsafe {
                _mm256_storeu_pd(to.add(half * to_step), _mm256_unpacklo_pd(a, b));
                _mm256_storeu_pd(to.add((half + 1) * to_step), _mm256_unpackhi_pd(a, b));
            }
        }
    });
}

/// Two rows turned, 4 places at a time.
///
/// # Safety
/// As of [`Turn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
unsafe fn turn_half_f64(from: &[*const f64; SIDE], places: usize, to: *mut f64, to_step: usize) {
    squares(places, 4, |place| {
        // SAFETY: the rows have 4 terms from there on.
        let [a, b] = std::array::from_fn(|i| unsafe { _mm256_loadu_pd(from[i].add(place)) });
        for (i, column) in [_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)].into_iter().enumerate() {
            // SAFETY: 2 terms can be written for each place.
            unsafe {
                _mm_storeu_pd(to.add((place + i) * to_step), _mm256_castpd256_pd128(column));
                _mm_storeu_pd(to.add((place + 2 + i) * to_step), _mm256_extractf128_pd::<1>(column));
            }
        }
    });
}

/// A family of tiles `$vectors` vectors of `$lanes` terms wide.
macro_rules! family {
    ($tile:ident, $lanes:literal, $vectors:literal: $($rows:literal)*) => {
        Family {
            width: $lanes * $vectors,
            of: &[$($tile::<$rows, $vectors, IN_ROWS>),*],
            packed: &[$($tile::<$rows, $vectors, PACKED>),*],
            in_segments: &[],
        }
    };
    ($tile:ident, $lanes:literal, $vectors:literal in segments: $($rows:literal)*) => {
        Family {
            width: $lanes * $vectors,
            of: &[$($tile::<$rows, $vectors, IN_ROWS>),*],
            packed: &[$($tile::<$rows, $vectors, PACKED>),*],
            in_segments: &[$($tile::<$rows, $vectors, IN_SEGMENTS>),*],
        }
    };
}

macro_rules! vector_terms {
    ($($t:ty, $half:literal $lanes:literal, $avx512:ident, $avx2:ident, $plain:ident, $turn:ident $turn_half:ident;)*) => {
        $(plain_tile!($plain: $t, |a, b| a + b, |a, b| a * b);
        impl Term for $t {
            fn tiles(set: InstructionSet) -> &'static Tiles<Self> {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => &Tiles {
                        low: family!($avx512, $lanes, 8 in segments: 1 2),
                        wide: family!($avx512, $lanes, 2 in segments: 1 2 3 4 5 6 7 8 9 10 11 12),
                        narrow: family!($avx512, $lanes, 1 in segments: 1 2 3 4 5 6 7 8 9 10 11 12),
                        turn: Some(Turns { side: $half, square: $turn, half: $turn_half }),
                    },
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => &Tiles {
                        low: family!($avx2, $half, 8 in segments: 1),
                        wide: family!($avx2, $half, 2 in segments: 1 2 3 4 5 6),
                        narrow: family!($avx2, $half, 1 in segments: 1 2 3 4 5 6),
                        turn: Some(Turns { side: $half, square: $turn, half: $turn_half }),
                    },
                    _ => &Tiles {
                        low: family!($plain, 1, 16: 1),
                        wide: family!($plain, 1, 8: 1 2 3 4),
                        narrow: family!($plain, 1, 4: 1 2 3 4),
                        turn: None,
                    },
                }
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
        })*
    };
}
vector_terms! {
    f32, 8 16, f32_avx512, f32_avx2, f32_plain, turn_f32 turn_half_f32;
    f64, 4 8, f64_avx512, f64_avx2, f64_plain, turn_f64 turn_half_f64;
}

macro_rules! plain_terms {
    ($($name:ident: $t:ty, $add:expr, $mul:expr;)*) => {
        $(plain_tile!($name: $t, $add, $mul);
        impl Term for $t {
            fn tiles(_: InstructionSet) -> &'static Tiles<Self> {
                &Tiles {
                    low: family!($name, 1, 16: 1),
                    wide: family!($name, 1, 8: 1 2 3 4),
                    narrow: family!($name, 1, 4: 1 2 3 4),
                    turn: None,
                }
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                let add: fn($t, $t) -> $t = $add;
                add(self, other)
            }
        })*
    };
}
plain_terms! {
    i8_plain: i8, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    i16_plain: i16, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    i32_plain: i32, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    i64_plain: i64, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    u8_plain: u8, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    u16_plain: u16, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    u32_plain: u32, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    u64_plain: u64, |a, b| a.wrapping_add(b), |a, b| a.wrapping_mul(b);
    complex64_plain: Complex<f32>, complex::add, complex::mul;
    complex128_plain: Complex<f64>, complex::add, complex::mul;
}
