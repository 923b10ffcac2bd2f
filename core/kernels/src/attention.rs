//! Scaled dot product attention: softmax(q·kᵀ)·v by blocks of scores, so that the matrix of all of them is never there.
//!
//! A block is some queries of one head and some keys. The greatest score and the sum of exponentials of a query are carried
//! from one block of keys to the next, and what was summed so far is brought to the new greatest. Blocks are cut by the sizes
//! alone, and each row of a result is computed by one thread in the order of its blocks.

mod gradient;
mod rows;

use half::{bf16, f16};

use crate::dispatch::LANES;
use crate::float::Real;
use crate::instruction_set::{instruction_set, with_instruction_set};
use crate::matmul::{multiply_alone, room_alone};
use crate::number::Number;
use crate::pool;
use crate::strided::Strided;
use rows::{Block, Matrix, Output, Pieces, of_head, sees_none};

/// The most queries of a block.
const QUERIES: usize = 64;
/// The most keys that are all in one block, and those of a block where there are more.
const ALL_KEYS: usize = 1024;
const KEYS: usize = 512;
/// The multiplications that are worth another thread.
const WORTH: usize = 1 << 17;

/// How scores are made of the products of queries and keys: times `scale`, plus `bias`, and hidden where the query is not to
/// see the key.
///
/// A hidden score is −2.37·10³⁸, as in Keras's `dot_product_attention`, and not minus infinity: a query that sees no key
/// weighs all keys alike, the hidden ones. Beside any key that is seen the weight of a hidden one is 0.
#[derive(Clone, Copy, Debug)]
pub struct Scores<'a, T> {
    /// What the products are multiplied by.
    pub scale: f64,
    /// Whether query i sees the keys up to key i alone, both counted from 0.
    pub causal: bool,
    /// 0 where a query does not see a key: batch × heads × queries × keys.
    pub mask: Option<Strided<'a, u8>>,
    /// What is added to the scores: batch × heads × queries × keys.
    pub bias: Option<Strided<'a, T>>,
}

/// The floats that attention is made for: f32, f64, f16 and bf16.
///
/// Queries `q` are batch × heads × queries × depth, keys `k` batch × key heads × keys × depth, and values `v`
/// batch × key heads × keys × width. The number of key heads divides that of heads, and as many heads one after the other
/// share a key head. Results are dense, with the heads second to last as in Keras's layers: batch × queries × heads × width.
/// f16 and bf16 are computed in f32 and rounded once.
pub trait Attention: Number {
    /// What scores are computed in: f64 for f64, else f32.
    type Wide;

    /// The elements of scratch that [`attention`](Self::attention) wants, by the shapes of `q` and `v`.
    fn attention_scratch(q: [usize; 4], v: [usize; 4]) -> usize;

    /// Writes Σ w·v, where the weights w of a query are the softmax of its scores for all keys; zeros where there is no key.
    ///
    /// `scales` gets, for each of batch × heads × queries, the greatest score and Σ e^(score − greatest). `scratch` may hold
    /// anything.
    ///
    /// An element errs by at most (16 + 2·s)·eps·Σ w·|v|, where s is the greatest Σ |q·k|·scale + |bias| of its scores, to
    /// which f16 and bf16 add half a place.
    ///
    /// ```
    /// use modulor_kernels::{Attention, Scores, Strided};
    ///
    /// // One query that is as near to one key as to the other.
    /// let (q, k, v) = ([1.0, 1.0], [0.5, 0.0, 0.0, 0.5], [3.0, 5.0]);
    /// let how = Scores { scale: 1.0, causal: false, mask: None, bias: None };
    /// let (mut out, mut scales) = ([0.0], [0.0; 2]);
    /// let mut scratch = vec![0.0; f64::attention_scratch([1, 1, 1, 2], [1, 1, 2, 1])];
    /// f64::attention(
    ///     Strided::new(&q, &[1, 1, 1, 2], &[2, 2, 2, 1], 0).expect("in bounds"),
    ///     Strided::new(&k, &[1, 1, 2, 2], &[4, 4, 2, 1], 0).expect("in bounds"),
    ///     Strided::new(&v, &[1, 1, 2, 1], &[2, 2, 1, 1], 0).expect("in bounds"),
    ///     &how,
    ///     &mut out,
    ///     &mut scales,
    ///     &mut scratch,
    /// );
    /// assert_eq!((out, scales), ([4.0], [0.5, 2.0]));
    /// ```
    ///
    /// # Panics
    /// When the shapes do not fit each other or the scratch is smaller than
    /// [`attention_scratch`](Self::attention_scratch) says.
    fn attention(
        q: Strided<Self>,
        k: Strided<Self>,
        v: Strided<Self>,
        how: &Scores<Self>,
        out: &mut [Self],
        scales: &mut [Self::Wide],
        scratch: &mut [Self],
    );

    /// The elements of scratch that [`attention_gradient`](Self::attention_gradient) wants, by the shapes of `q` and `v`.
    fn attention_gradient_scratch(q: [usize; 4], v: [usize; 4]) -> usize;

    /// Writes the gradients of `q`, `k` and `v`, in this order, for `dy`, that of the output; each is dense, with the heads
    /// second to last. `dy` and `out`, what [`attention`](Self::attention) wrote, are batch × heads × queries × width, and
    /// `scales` is what it wrote, too. `scratch` may hold anything.
    ///
    /// A hidden score has no gradient, so a query that sees no key has none, but its `dy` goes to all values alike.
    ///
    /// # Panics
    /// When the shapes do not fit each other or the scratch is smaller than
    /// [`attention_gradient_scratch`](Self::attention_gradient_scratch) says.
    #[allow(clippy::too_many_arguments)]
    fn attention_gradient(
        dy: Strided<Self>,
        q: Strided<Self>,
        k: Strided<Self>,
        v: Strided<Self>,
        how: &Scores<Self>,
        out: Strided<Self>,
        scales: &[Self::Wide],
        gradients: [&mut [Self]; 3],
        scratch: &mut [Self],
    );
}

macro_rules! attention {
    ($($t:ty as $wide:ty),*) => {
        $(impl Attention for $t {
            type Wide = $wide;

            fn attention_scratch(q: [usize; 4], v: [usize; 4]) -> usize {
                elements::<Self>(Sizes::of(q, v).blocks::<Self>().1)
            }

            fn attention(
                q: Strided<Self>,
                k: Strided<Self>,
                v: Strided<Self>,
                how: &Scores<Self>,
                out: &mut [Self],
                scales: &mut [$wide],
                scratch: &mut [Self],
            ) {
                forward(q, k, v, how, out, scales, scratch);
            }

            fn attention_gradient_scratch(q: [usize; 4], v: [usize; 4]) -> usize {
                gradient::scratch::<Self>(Sizes::of(q, v))
            }

            fn attention_gradient(
                dy: Strided<Self>,
                q: Strided<Self>,
                k: Strided<Self>,
                v: Strided<Self>,
                how: &Scores<Self>,
                out: Strided<Self>,
                scales: &[$wide],
                gradients: [&mut [Self]; 3],
                scratch: &mut [Self],
            ) {
                gradient::backward([dy, out], q, k, v, how, scales, gradients, scratch);
            }
        })*
    };
}
attention!(f32 as f32, f64 as f64, f16 as f32, bf16 as f32);

#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
    depth: usize,
    width: usize,
}

impl Sizes {
    fn of([batch, heads, queries, depth]: [usize; 4], [_, key_heads, keys, width]: [usize; 4]) -> Self {
        Self { batch, heads, key_heads, queries, keys, depth, width }
    }

    /// Those of some views.
    ///
    /// # Panics
    /// When they do not fit each other.
    fn found<T>(q: &Strided<T>, k: &Strided<T>, v: &Strided<T>, how: &Scores<T>) -> Self {
        let of_four = |shape: &[usize]| <[usize; 4]>::try_from(shape).expect("queries, keys and values have four axes");
        let [q, k, v] = [q, k, v].map(|view| of_four(view.shape()));
        let sizes = Self::of(q, v);
        let Self { batch, heads, key_heads, queries, keys, depth, width } = sizes;
        assert!(
            k == [batch, key_heads, keys, depth] && v == [batch, key_heads, keys, width],
            "keys and values fit queries and each other"
        );
        assert!(heads == 0 || key_heads > 0 && heads.is_multiple_of(key_heads), "the key heads divide the heads");
        let scores = [batch, heads, queries, keys];
        assert!(how.mask.as_ref().is_none_or(|mask| mask.shape() == scores), "a mask has the shape of the scores");
        assert!(how.bias.as_ref().is_none_or(|bias| bias.shape() == scores), "a bias has the shape of the scores");
        sizes
    }

    /// How many heads one after the other share a key head.
    fn group(&self) -> usize {
        self.heads / self.key_heads.max(1)
    }

    /// The queries and keys of a block, and the bytes of room for it.
    fn blocks<T: Pieces>(&self) -> ([usize; 2], usize) {
        let keys = if self.keys <= ALL_KEYS { self.keys } else { KEYS };
        cut([self.queries.clamp(1, QUERIES), keys], |[queries, keys]| {
            let products = [[queries, self.depth, keys], [queries, keys, self.width]];
            bytes::<T, _>(self.room::<T>([queries, keys]), &products)
        })
    }

    /// The room of a block: queries, scores, sums, products that are yet to be added, factors, keys and values.
    fn room<T: Pieces>(&self, [queries, keys]: [usize; 2]) -> [usize; 7] {
        let sums = queries * self.width;
        let own = if T::IS_WIDE { 0 } else { keys };
        [queries * self.depth, queries * pitch(keys), sums, sums, queries, own * self.depth, own * self.width]
    }

    /// Whether other threads are to help, given the room of a block.
    fn are_worth(&self, bytes: usize) -> bool {
        let scores = self.batch.saturating_mul(self.heads).saturating_mul(self.queries).saturating_mul(self.keys);
        bytes <= pool::ROOM && pool::num_threads() > 1 && scores.saturating_mul(self.depth + self.width) >= WORTH
    }
}

/// From the scores of one query to those of the next.
fn pitch(keys: usize) -> usize {
    keys.next_multiple_of(LANES)
}

/// Blocks of so many queries and keys at most, smaller ones where the room of helpers is too small, and the bytes of room for
/// them. The smallest are taken even if they do not fit.
fn cut([mut queries, mut keys]: [usize; 2], bytes: impl Fn([usize; 2]) -> usize) -> ([usize; 2], usize) {
    loop {
        let bytes = bytes([queries, keys]);
        if bytes <= pool::ROOM || queries <= 1 && keys <= LANES {
            return ([queries, keys], bytes);
        }
        if keys > LANES && keys >= queries {
            keys = (keys / 2).next_multiple_of(LANES);
        } else {
            queries = queries.div_ceil(2);
        }
    }
}

/// The bytes of room for pieces of such sizes and for any of the products.
fn bytes<T: Pieces, const N: usize>(sizes: [usize; N], products: &[[usize; 3]]) -> usize {
    let terms: usize = sizes.iter().map(|size| size.next_multiple_of(LANES)).sum();
    let product = products.iter().map(|&[m, k, n]| room_alone::<T::Wide>(m, k, n)).max();
    64 + terms * size_of::<T::Wide>() + product.unwrap_or(0)
}

/// The elements that have so many bytes.
fn elements<T>(bytes: usize) -> usize {
    bytes.div_ceil(size_of::<T>())
}

/// Pieces of `room` of such sizes, each from a cache line on, and the rest.
fn carve<W: bytemuck::Pod, const N: usize>(room: &mut [u8], sizes: [usize; N]) -> ([&mut [W]; N], &mut [u8]) {
    let start = room.as_ptr().align_offset(64).min(room.len());
    let mut terms = bytemuck::pod_align_to_mut::<u8, W>(&mut room[start..]).1;
    let pieces = sizes.map(|size| {
        let (piece, rest) = std::mem::take(&mut terms).split_at_mut(size.next_multiple_of(LANES));
        terms = rest;
        &mut piece[..size]
    });
    (pieces, bytemuck::cast_slice_mut(terms))
}

/// Runs `block` for each of `count` blocks, with room for it; on several threads if `helped`.
fn run(count: usize, helped: bool, own: &mut [u8], block: &(dyn Fn(usize, &mut [u8]) + Sync)) {
    if !helped {
        return (0..count).for_each(|index| block(index, own));
    }
    let (len, own, set) = (own.len(), Output::new(own), instruction_set());
    pool::run(count, &|index, lent| match lent {
        [] => {
            // SAFETY: with nothing lent this is the caller's thread, whose room it is.
            #[allow(unsafe_code)]
            let mut own = unsafe { own.rows(0, 0, len, 1) };
            block(index, own.row(0));
        }
        lent => with_instruction_set(set, || block(index, lent)),
    });
}

/// [`Attention::attention`].
fn forward<T: Pieces>(
    q: Strided<T>,
    k: Strided<T>,
    v: Strided<T>,
    how: &Scores<T>,
    out: &mut [T],
    scales: &mut [T::Wide],
    scratch: &mut [T],
) {
    let sizes = Sizes::found(&q, &k, &v, how);
    let Sizes { batch, heads, queries, keys, depth, width, .. } = sizes;
    let rows = batch * heads * queries;
    assert!(out.len() == rows * width && scales.len() == 2 * rows, "there is one row of output for each query");
    let ([most, most_keys], bytes) = sizes.blocks::<T>();
    assert!(scratch.len() >= elements::<T>(bytes), "attention has the scratch it asks for");
    if rows == 0 {
        return;
    }
    let (out, scales) = (Output::new(out), Output::new(scales));
    let (blocks, scale) = (queries.div_ceil(most), T::Wide::narrow(how.scale));
    let own = bytemuck::cast_slice_mut(scratch);
    run(batch * heads * blocks, sizes.are_worth(bytes), own, &|index, room| {
        let (at, head, first) = (index / blocks / heads, index / blocks % heads, index % blocks * most);
        let now = most.min(queries - first);
        let ([q_wide, scores, sums, product, factors, k_wide, v_wide], room) =
            carve::<T::Wide, _>(room, sizes.room::<T>([most, most_keys]));
        let (factors, sums) = (&mut factors[..now], &mut sums[..now * width]);
        // SAFETY: each block is run once, and these rows belong to it.
        #[allow(unsafe_code)]
        let (mut out, mut scales) = unsafe {
            (
                out.rows(((at * queries + first) * heads + head) * width, heads * width, width, now),
                scales.rows(2 * ((at * heads + head) * queries + first), 0, 2 * now, 1),
            )
        };
        let scales = scales.row(0).as_chunks_mut::<2>().0;
        scales.fill([T::Wide::NEG_INFINITY, T::Wide::ZERO]);
        sums.fill(T::Wide::ZERO);
        T::widen_rows(of_head(&q, at, head).block(first, now), scale, q_wide);
        let q = Matrix::dense(&*q_wide, [now, depth], depth);
        let [k, v] = [&k, &v].map(|view| of_head(view, at, head / sizes.group()));
        let seen = if how.causal { keys.min(first + now) } else { keys };
        let mut key = 0;
        while key < seen || key < keys && scales.iter().any(sees_none) {
            let count = most_keys.min(if key < seen { seen } else { keys } - key);
            let block = Block { batch: at, head, query: first, key, keys: count, pitch: pitch(count) };
            let (k, v) = (k.block(key, count).wide(k_wide), v.block(key, count).wide(v_wide));
            let scores = &mut scores[..now * block.pitch];
            multiply_alone(q.view(), k.turned().view(), scores, block.pitch, room);
            T::weigh(scores, &block, how, scales, factors);
            let weights = Matrix::dense(&*scores, [now, count], block.pitch);
            if key == 0 {
                multiply_alone(weights.view(), v.view(), sums, width, room);
            } else {
                let product = &mut product[..now * width];
                multiply_alone(weights.view(), v.view(), product, width, room);
                T::join_rows(sums, product, width, factors);
            }
            key += count;
        }
        T::finish_rows(sums, if keys == 0 { None } else { Some(scales) }, &mut out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_have_room_for_the_blocks_of_usual_sizes() {
        fn check<T: Pieces>() {
            for depth in [1, 64, 128, 512, 1024] {
                for length in [1, 100, 1024, 1025, 100_000] {
                    let sizes = Sizes::of([1, 8, length, depth], [1, 2, length, depth]);
                    for ([queries, keys], bytes) in [sizes.blocks::<T>(), sizes.gradient_blocks::<T>()] {
                        assert!(bytes <= pool::ROOM, "{length} × {depth}: {bytes} bytes");
                        assert!(queries * keys >= 256.min(length), "{length} × {depth}: {queries} × {keys}");
                    }
                }
            }
        }
        check::<f32>();
        check::<f64>();
        check::<bf16>();
    }
}
