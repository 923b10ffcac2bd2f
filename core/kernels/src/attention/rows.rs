//! What attention does to the rows of a block beside products: vectors of one row after the other.

use std::marker::PhantomData;

use bytemuck::Pod;

use super::Scores;
use crate::dispatch::{LANES, by_instruction_set};
use crate::float::Real;
use crate::fold::join_lanes;
use crate::matmul::Factor;
use crate::narrow::Stored;
use crate::strided::{Strided, TILE, read_run};
use crate::transcendental::Transcendental;
use half::{bf16, f16};

/// Scores that are compared or added with as many at a time.
const WIDTH: usize = 4 * LANES;

/// The score of a key that a query does not see.
const HIDDEN: f64 = -0.7 * 3.389_53e38;

/// A matrix of a view: `rows` and `columns` are the steps of its two axes.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    pub(super) data: &'a [T],
    pub(super) offset: isize,
    pub(super) shape: [usize; 2],
    pub(super) strides: [isize; 2],
}

impl<'a, T: Copy> Matrix<'a, T> {
    /// Rows of `columns` elements, `pitch` apart.
    pub(super) fn dense(data: &'a [T], [rows, columns]: [usize; 2], pitch: usize) -> Self {
        Self { data, offset: 0, shape: [rows, columns], strides: [pitch as isize, 1] }
    }

    /// `count` of its rows.
    pub(super) fn block(self, first: usize, count: usize) -> Self {
        Self { offset: self.offset + first as isize * self.strides[0], shape: [count, self.shape[1]], ..self }
    }

    pub(super) fn turned(self) -> Self {
        let ([rows, columns], [down, across]) = (self.shape, self.strides);
        Self { shape: [columns, rows], strides: [across, down], ..self }
    }

    pub(super) fn view(&self) -> Strided<'_, T> {
        // A matrix without elements may begin outside its data.
        Strided::new(self.data, &self.shape, &self.strides, self.offset as usize).expect("a block lies in its view")
    }

    /// Elements of a row from `start` on: as they lie, or read into `buffer`, which is as long.
    #[inline(always)]
    fn piece<'b>(&self, row: usize, start: usize, buffer: &'b mut [T]) -> &'b [T]
    where
        'a: 'b,
    {
        let at = self.offset + row as isize * self.strides[0] + start as isize * self.strides[1];
        if self.strides[1] == 1 {
            return &self.data[at as usize..][..buffer.len()];
        }
        read_run(self.data, at, self.strides[1], buffer);
        buffer
    }
}

impl<'a, T: Pieces> Matrix<'a, T> {
    /// The same elements as they are computed with: where they lie, or in `room`.
    pub(super) fn wide(self, room: &'a mut [T::Wide]) -> Matrix<'a, T::Wide> {
        let Self { data, offset, shape, strides } = self;
        if T::IS_WIDE {
            return Matrix { data: bytemuck::cast_slice(data), offset, shape, strides };
        }
        T::widen_rows(self, T::Wide::ONE, room);
        Matrix::dense(room, shape, shape[1])
    }
}

/// Rows of an output, which one thread alone has.
pub(super) struct Rows<'a, T> {
    first: *mut T,
    step: usize,
    width: usize,
    count: usize,
    of: PhantomData<&'a mut [T]>,
}

impl<T> Rows<'_, T> {
    /// The `i`th of them.
    #[inline(always)]
    pub(super) fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.count, "a block has so many rows");
        // SAFETY: the rows were found in their output, and are those of this thread.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.first.add(i * self.step), self.width)
        }
    }
}

/// An output whose rows several threads write, each its own.
pub(super) struct Output<'a, T> {
    first: *mut T,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: threads come by elements only through `rows`, which asks that they be theirs.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'a, T> Output<'a, T> {
    pub(super) fn new(out: &'a mut [T]) -> Self {
        Self { first: out.as_mut_ptr(), len: out.len(), of: PhantomData }
    }

    /// `count` rows of `width` elements from `start` on, `step` apart.
    ///
    /// # Safety
    /// Nobody else has elements of them as long as they are used.
    #[allow(unsafe_code)]
    pub(super) unsafe fn rows(&self, start: usize, step: usize, width: usize, count: usize) -> Rows<'a, T> {
        let end = if count == 0 { 0 } else { start + (count - 1) * step + width };
        assert!(end <= self.len, "rows lie in their output");
        // SAFETY: they lie in the output, or there are none.
        let first = unsafe { self.first.add(if count == 0 { 0 } else { start }) };
        Rows { first, step, width, count, of: PhantomData }
    }
}

/// Where a block of scores lies among all: its head, its first query and key, and how many keys it has.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) batch: usize,
    pub(super) head: usize,
    pub(super) query: usize,
    pub(super) key: usize,
    pub(super) keys: usize,
    /// From the scores of one query to those of the next: a multiple of [`LANES`].
    pub(super) pitch: usize,
}

/// The greatest score of a row and Σ e^(score − greatest).
pub(super) type Scale<R> = [R; 2];

/// Whether keys that the query does not see count, because it sees none.
pub(super) fn sees_none<R: Real>(scale: &Scale<R>) -> bool {
    scale[0] <= R::narrow(HIDDEN)
}

/// What the greatest is taken from scores, so that minus infinity is as far below itself as below others.
#[inline(always)]
fn level<R: Real>(greatest: R) -> R {
    if greatest == R::NEG_INFINITY { R::ZERO } else { greatest }
}

/// eˣ of an x that is not above 0, and 0 where it would not be a normal number.
#[inline(always)]
fn exp<R: Transcendental, const FUSED: bool>(x: R) -> R {
    if x < -R::NORMAL { R::ZERO } else { x.exp_near::<FUSED>() }
}

/// The greatest of whole lanes; NaN does not count.
#[inline(always)]
fn greatest<R: Real>(row: &[R]) -> R {
    let greater = |a: R, b: R| if b > a { b } else { a };
    let mut greatest = [R::NEG_INFINITY; WIDTH];
    let (blocks, rest) = row.as_chunks::<WIDTH>();
    for block in blocks {
        for (greatest, &x) in greatest.iter_mut().zip(block) {
            *greatest = greater(*greatest, x);
        }
    }
    for block in rest.as_chunks::<LANES>().0 {
        for (greatest, &x) in greatest.iter_mut().zip(block) {
            *greatest = greater(*greatest, x);
        }
    }
    join_lanes(&mut greatest, greater)
}

/// Makes scores of the products of a row, and says how many of them may count: the keys after those are hidden by
/// order. What follows them up to whole lanes is minus infinity.
#[inline(always)]
fn score<T: Stored>(row: &mut [T::Wide], i: usize, block: &Block, how: &Scores<T>) -> usize {
    let Block { batch, head, query, key, keys, .. } = *block;
    let query = query + i;
    let seen = if how.causal { (query + 1).saturating_sub(key).min(keys) } else { keys };
    let scores = &mut row[..seen];
    if let Some(bias) = &how.bias {
        let (bias, mut buffer) = (of_head(bias, batch, head), [T::zeroed(); TILE]);
        for (piece, scores) in scores.chunks_mut(TILE).enumerate() {
            let bias = bias.piece(query, key + piece * TILE, &mut buffer[..scores.len()]);
            for (score, &bias) in scores.iter_mut().zip(bias) {
                *score = *score + bias.widen();
            }
        }
    }
    if let Some(mask) = &how.mask {
        let (mask, mut buffer) = (of_head(mask, batch, head), [0; TILE]);
        for (piece, scores) in scores.chunks_mut(TILE).enumerate() {
            let mask = mask.piece(query, key + piece * TILE, &mut buffer[..scores.len()]);
            for (score, &mask) in scores.iter_mut().zip(mask) {
                *score = if mask == 0 { T::Wide::narrow(HIDDEN) } else { *score };
            }
        }
    }
    row[seen..seen.next_multiple_of(LANES)].fill(T::Wide::NEG_INFINITY);
    seen
}

/// The matrix of one head of a view of four axes.
#[inline(always)]
pub(super) fn of_head<'a, T>(view: &Strided<'a, T>, batch: usize, head: usize) -> Matrix<'a, T> {
    let (shape, strides) = (view.shape(), view.strides());
    let offset = view.offset() as isize + batch as isize * strides[0] + head as isize * strides[1];
    Matrix { data: view.data(), offset, shape: [shape[2], shape[3]], strides: [strides[2], strides[3]] }
}

/// Puts the scores of hidden keys in their places where they count; the end of those that do.
#[inline(always)]
fn count<R: Real>(row: &mut [R], seen: usize, keys: usize, scale: &Scale<R>) -> usize {
    if !sees_none(scale) {
        return seen;
    }
    row[seen..keys].fill(R::narrow(HIDDEN));
    row[keys..keys.next_multiple_of(LANES)].fill(R::NEG_INFINITY);
    keys
}

/// Makes e^(score − greatest) of the products of queries and keys, the greatest being that of all scores so far, which
/// `scales` has; `factors` is what earlier sums are to be multiplied by.
#[inline(always)]
fn weigh<T: Stored, const FUSED: bool>(
    rows: &mut [T::Wide],
    block: &Block,
    how: &Scores<T>,
    scales: &mut [Scale<T::Wide>],
    factors: &mut [T::Wide],
) {
    for (i, ((row, scale), factor)) in rows.chunks_mut(block.pitch).zip(scales).zip(factors).enumerate() {
        let seen = score(row, i, block, how);
        let before = scale[0];
        let here = greatest(&row[..seen.next_multiple_of(LANES)]);
        scale[0] = if here > before { here } else { before };
        let counted = count(row, seen, block.keys, scale);
        if counted > seen && T::Wide::narrow(HIDDEN) > scale[0] {
            scale[0] = T::Wide::narrow(HIDDEN);
        }
        let level = level(scale[0]);
        let (weights, rest) = row.split_at_mut(counted.next_multiple_of(LANES));
        let mut sums = [T::Wide::ZERO; LANES];
        let (blocks, last) = weights.as_chunks_mut::<WIDTH>();
        for block in blocks {
            for x in block.iter_mut() {
                *x = exp::<_, FUSED>(*x - level);
            }
            for (lane, sum) in sums.iter_mut().enumerate() {
                let [a, b, c, d] = [0, 1, 2, 3].map(|part| block[part * LANES + lane]);
                *sum = *sum + ((a + b) + (c + d));
            }
        }
        for block in last.as_chunks_mut::<LANES>().0 {
            for (sum, x) in sums.iter_mut().zip(block) {
                *x = exp::<_, FUSED>(*x - level);
                *sum = *sum + *x;
            }
        }
        rest.fill(T::Wide::ZERO);
        *factor = if before == scale[0] { T::Wide::ONE } else { exp::<_, FUSED>(before - scale[0]) };
        scale[1] = scale[1] * *factor + join_lanes(&mut sums, |a, b| a + b);
    }
}

/// Makes the weights of the products of queries and keys, by the scales that [`weigh`] found.
#[inline(always)]
fn share<T: Stored, const FUSED: bool>(
    rows: &mut [T::Wide],
    block: &Block,
    how: &Scores<T>,
    scales: &[Scale<T::Wide>],
) {
    for (i, (row, scale)) in rows.chunks_mut(block.pitch).zip(scales).enumerate() {
        let seen = score(row, i, block, how);
        let counted = count(row, seen, block.keys, scale);
        let (level, part) = (level(scale[0]), T::Wide::ONE / scale[1]);
        let (weights, rest) = row.split_at_mut(counted.next_multiple_of(LANES));
        for block in weights.as_chunks_mut::<LANES>().0 {
            for x in block {
                *x = exp::<_, FUSED>(*x - level) * part;
            }
        }
        rest.fill(T::Wide::ZERO);
    }
}

/// Makes the gradients of scores of those of weights.
#[inline(always)]
fn slope<T: Stored, const FUSED: bool>(
    weights: &[T::Wide],
    slopes: &mut [T::Wide],
    block: &Block,
    scales: &[Scale<T::Wide>],
    dots: &[T::Wide],
) {
    let rows = weights.chunks(block.pitch).zip(slopes.chunks_mut(block.pitch));
    for (((weights, slopes), scale), &dot) in rows.zip(scales).zip(dots) {
        let slopes = &mut slopes[..block.keys];
        if scale[0] == T::Wide::narrow(HIDDEN) {
            slopes.fill(T::Wide::ZERO);
            continue;
        }
        for (slope, &weight) in slopes.iter_mut().zip(weights) {
            *slope = weight * (*slope - dot);
        }
    }
}

/// Writes the products of the elements of two matrices, added up by rows.
#[inline(always)]
fn dot_rows<T: Stored, const FUSED: bool>(x: &[T::Wide], y: Matrix<T>, dots: &mut [T::Wide]) {
    let width = y.shape[1];
    let mut buffer = [T::zeroed(); TILE];
    for (i, dot) in dots.iter_mut().enumerate() {
        let mut sums = [T::Wide::ZERO; LANES];
        for (piece, x) in x[i * width..][..width].chunks(TILE).enumerate() {
            let y = y.piece(i, piece * TILE, &mut buffer[..x.len()]);
            let ((xs, x), (ys, y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
            for (x, y) in xs.iter().zip(ys) {
                for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
                    *sum = *sum + x * y.widen();
                }
            }
            for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
                *sum = *sum + x * y.widen();
            }
        }
        *dot = join_lanes(&mut sums, |a, b| a + b);
    }
}

/// Writes a matrix times `factor`, its rows one after the other.
#[inline(always)]
fn widen_rows<T: Stored, const FUSED: bool>(x: Matrix<T>, factor: T::Wide, out: &mut [T::Wide]) {
    let [rows, width] = x.shape;
    let mut buffer = [T::zeroed(); TILE];
    for i in 0..rows {
        for (piece, out) in out[i * width..][..width].chunks_mut(TILE).enumerate() {
            let x = x.piece(i, piece * TILE, &mut buffer[..out.len()]);
            for (out, &x) in out.iter_mut().zip(x) {
                *out = x.widen() * factor;
            }
        }
    }
}

/// Multiplies the rows of `sums` by a factor each, and adds those of `terms`.
#[inline(always)]
fn join_rows<T: Stored, const FUSED: bool>(sums: &mut [T::Wide], terms: &[T::Wide], width: usize, factors: &[T::Wide]) {
    if width == 0 {
        return;
    }
    let rows = sums.chunks_exact_mut(width).zip(terms.chunks_exact(width));
    for ((sums, terms), &factor) in rows.zip(factors) {
        for (sum, &term) in sums.iter_mut().zip(terms) {
            *sum = *sum * factor + term;
        }
    }
}

/// Adds `terms`.
#[inline(always)]
fn add<T: Stored, const FUSED: bool>(sums: &mut [T::Wide], terms: &[T::Wide]) {
    for (sum, &term) in sums.iter_mut().zip(terms) {
        *sum = *sum + term;
    }
}

/// Writes the rows of `terms` times `factor`, or adds them to those that are there.
#[inline(always)]
fn put_rows<T: Stored, const FUSED: bool>(terms: &[T::Wide], factor: T::Wide, add: bool, out: &mut Rows<T::Wide>) {
    for i in 0..out.count {
        let width = out.width;
        for (out, &term) in out.row(i).iter_mut().zip(&terms[i * width..]) {
            *out = if add { *out + term * factor } else { term * factor };
        }
    }
}

/// Rounds the rows of `sums`, divided by the sums of their scales if there are any.
#[inline(always)]
fn finish_rows<T: Stored, const FUSED: bool>(sums: &[T::Wide], scales: Option<&[Scale<T::Wide>]>, out: &mut Rows<T>) {
    for i in 0..out.count {
        let width = out.width;
        let divisor = scales.map_or(T::Wide::ONE, |scales| scales[i][1]);
        for (out, &sum) in out.row(i).iter_mut().zip(&sums[i * width..]) {
            *out = T::narrow(sum / divisor);
        }
    }
}

/// A float that attention is made for, with these functions for the instruction set at hand.
pub(super) trait Pieces: Stored<Wide: Factor<Term = Self::Wide> + Pod + Send> + Sync + Send {
    fn weigh(
        rows: &mut [Self::Wide],
        block: &Block,
        how: &Scores<Self>,
        scales: &mut [Scale<Self::Wide>],
        factors: &mut [Self::Wide],
    );
    fn share(rows: &mut [Self::Wide], block: &Block, how: &Scores<Self>, scales: &[Scale<Self::Wide>]);
    fn slope(
        weights: &[Self::Wide],
        slopes: &mut [Self::Wide],
        block: &Block,
        scales: &[Scale<Self::Wide>],
        dots: &[Self::Wide],
    );
    fn dot_rows(x: &[Self::Wide], y: Matrix<Self>, dots: &mut [Self::Wide]);
    fn widen_rows(x: Matrix<Self>, factor: Self::Wide, out: &mut [Self::Wide]);
    fn join_rows(sums: &mut [Self::Wide], terms: &[Self::Wide], width: usize, factors: &[Self::Wide]);
    fn add(sums: &mut [Self::Wide], terms: &[Self::Wide]);
    fn put_rows(terms: &[Self::Wide], factor: Self::Wide, add: bool, out: &mut Rows<Self::Wide>);
    fn finish_rows(sums: &[Self::Wide], scales: Option<&[Scale<Self::Wide>]>, out: &mut Rows<Self>);
}

macro_rules! pieces {
    ($($t:ty as $wide:ty),*) => {
        $(impl Pieces for $t {
            by_instruction_set!(fn weigh(
                rows: &mut [$wide], block: &Block, how: &Scores<$t>, scales: &mut [Scale<$wide>], factors: &mut [$wide]
            ) = weigh::<$t>);
            by_instruction_set!(fn share(
                rows: &mut [$wide], block: &Block, how: &Scores<$t>, scales: &[Scale<$wide>]
            ) = share::<$t>);
            by_instruction_set!(fn slope(
                weights: &[$wide], slopes: &mut [$wide], block: &Block, scales: &[Scale<$wide>], dots: &[$wide]
            ) = slope::<$t>);
            by_instruction_set!(fn dot_rows(x: &[$wide], y: Matrix<$t>, dots: &mut [$wide]) = dot_rows::<$t>);
            by_instruction_set!(fn widen_rows(x: Matrix<$t>, factor: $wide, out: &mut [$wide]) = widen_rows::<$t>);
            by_instruction_set!(fn join_rows(
                sums: &mut [$wide], terms: &[$wide], width: usize, factors: &[$wide]
            ) = join_rows::<$t>);
            by_instruction_set!(fn add(sums: &mut [$wide], terms: &[$wide]) = add::<$t>);
            by_instruction_set!(fn put_rows(
                terms: &[$wide], factor: $wide, add: bool, out: &mut Rows<$wide>
            ) = put_rows::<$t>);
            by_instruction_set!(fn finish_rows(
                sums: &[$wide], scales: Option<&[Scale<$wide>]>, out: &mut Rows<$t>
            ) = finish_rows::<$t>);
        })*
    };
}
pieces!(f32 as f32, f64 as f64, f16 as f32, bf16 as f32);
