//! The gradient of attention, its scores being computed once more.
//!
//! One thread goes over all that share a key head: for each block of keys, over all heads and queries in order.

use super::rows::{Block, Matrix, Output, Pieces, of_head, sees_none};
use super::{Scores, Sizes, bytes, carve, cut, elements, pitch, run};
use crate::float::Real;
use crate::matmul::multiply_alone;
use crate::strided::Strided;

/// The most queries and keys of a block.
const QUERIES: usize = 64;
const KEYS: usize = 256;

impl Sizes {
    /// The queries and keys of a block of the gradient, and the bytes of room for it.
    pub(super) fn gradient_blocks<T: Pieces>(&self) -> ([usize; 2], usize) {
        let Self { depth, width, .. } = *self;
        cut([self.queries.clamp(1, QUERIES), self.keys.clamp(1, KEYS)], |[queries, keys]| {
            let products = [
                [queries, depth, keys],
                [queries, width, keys],
                [keys, queries, width],
                [keys, queries, depth],
                [queries, keys, depth],
            ];
            bytes::<T, _>(self.gradient_room::<T>([queries, keys]), &products)
        })
    }

    /// The room of a block: queries, the gradients of outputs, weights, their gradients, the sums for keys and values,
    /// products that are yet to be added, what is taken from gradients of weights, keys and values.
    fn gradient_room<T: Pieces>(&self, [queries, keys]: [usize; 2]) -> [usize; 10] {
        let Self { depth, width, .. } = *self;
        let own = if T::IS_WIDE { 0 } else { keys };
        [
            queries * depth,
            queries * width,
            queries * pitch(keys),
            queries * pitch(keys),
            keys * depth,
            keys * width,
            keys.max(queries) * depth.max(width),
            queries,
            own * depth,
            own * width,
        ]
    }

    /// The sums for queries that need room beside the output.
    fn sums<T: Pieces>(&self) -> usize {
        if T::IS_WIDE { 0 } else { self.batch * self.heads * self.queries * self.depth }
    }
}

/// [`Attention::attention_gradient_scratch`](super::Attention::attention_gradient_scratch).
pub(super) fn scratch<T: Pieces>(sizes: Sizes) -> usize {
    elements::<T>(sizes.gradient_blocks::<T>().1 + sizes.sums::<T>() * size_of::<T::Wide>() + 64)
}

/// [`Attention::attention_gradient`](super::Attention::attention_gradient).
#[allow(clippy::too_many_arguments)]
pub(super) fn backward<T: Pieces>(
    [dy, out]: [Strided<T>; 2],
    q: Strided<T>,
    k: Strided<T>,
    v: Strided<T>,
    how: &Scores<T>,
    scales: &[T::Wide],
    [dq, dk, dv]: [&mut [T]; 3],
    scratch: &mut [T],
) {
    let sizes = Sizes::found(&q, &k, &v, how);
    let Sizes { batch, heads, key_heads, queries, keys, depth, width } = sizes;
    let outputs = [batch, heads, queries, width];
    assert!(dy.shape() == outputs && out.shape() == outputs, "there is one row of output for each query");
    assert!(scales.len() == 2 * batch * heads * queries, "there is one scale for each query");
    let lens = [dq.len(), dk.len(), dv.len()];
    assert!(lens == [q.len(), k.len(), v.len()], "a gradient has as many elements as what it is of");
    let ([most, most_keys], bytes) = sizes.gradient_blocks::<T>();
    assert!(scratch.len() >= self::scratch::<T>(sizes), "a gradient has the scratch it asks for");
    if keys == 0 {
        return dq.fill(T::zeroed());
    }
    let ([sums], own) = carve::<T::Wide, _>(bytemuck::cast_slice_mut(scratch), [sizes.sums::<T>()]);
    // What is as wide as its sums holds them itself.
    let (sums, dq) = if T::IS_WIDE { (bytemuck::cast_slice_mut(dq), &mut [][..]) } else { (sums, dq) };
    let (sums, dq, dk, dv) = (Output::new(sums), Output::new(dq), Output::new(dk), Output::new(dv));
    let (scale, group) = (T::Wide::narrow(how.scale), sizes.group());
    run(batch * key_heads, sizes.are_worth(bytes), own, &|index, room| {
        let (at, key_head) = (index / key_heads, index % key_heads);
        let ([q_wide, dy_wide, weights, slopes, k_sums, v_sums, product, dots, k_wide, v_wide], room) =
            carve::<T::Wide, _>(room, sizes.gradient_room::<T>([most, most_keys]));
        let [k, v] = [&k, &v].map(|view| of_head(view, at, key_head));
        for key in (0..keys).step_by(most_keys) {
            let count = most_keys.min(keys - key);
            let (k, v) = (k.block(key, count).wide(k_wide), v.block(key, count).wide(v_wide));
            let (k_sums, v_sums) = (&mut k_sums[..count * depth], &mut v_sums[..count * width]);
            k_sums.fill(T::Wide::ZERO);
            v_sums.fill(T::Wide::ZERO);
            for head in key_head * group..(key_head + 1) * group {
                let [q, dy, out] = [&q, &dy, &out].map(|view| of_head(view, at, head));
                for first in (0..queries).step_by(most) {
                    let end = queries.min(first + most);
                    let place = (at * heads + head) * queries;
                    let scales = scales[2 * place..][..2 * queries].as_chunks::<2>().0;
                    // Queries before these keys and keys after these queries are left out, unless hidden keys count.
                    let (first, count) = if how.causal && !scales[first..end].iter().any(sees_none) {
                        (first.max(key), count.min(end.saturating_sub(key)))
                    } else {
                        (first, count)
                    };
                    if first >= end {
                        continue;
                    }
                    let (now, scales) = (end - first, &scales[first..end]);
                    let (k, v) = (k.block(0, count), v.block(0, count));
                    let block = Block { batch: at, head, query: first, key, keys: count, pitch: pitch(count) };
                    let (q, dy, out) = (q.block(first, now), dy.block(first, now), out.block(first, now));
                    T::widen_rows(q, scale, q_wide);
                    T::widen_rows(dy, T::Wide::ONE, dy_wide);
                    let q = Matrix::dense(&*q_wide, [now, depth], depth);
                    let dy = Matrix::dense(&*dy_wide, [now, width], width);
                    let dots = &mut dots[..now];
                    T::dot_rows(dy_wide, out, dots);

                    let weights = &mut weights[..now * block.pitch];
                    multiply_alone(q.view(), k.turned().view(), weights, block.pitch, room);
                    T::share(weights, &block, how, scales);
                    let slopes = &mut slopes[..now * block.pitch];
                    multiply_alone(dy.view(), v.turned().view(), slopes, block.pitch, room);
                    T::slope(weights, slopes, &block, scales, dots);

                    let dense = |scores| Matrix::dense(scores, [now, count], block.pitch);
                    let (weights, slopes) = (dense(&*weights), dense(&*slopes));
                    multiply_alone(weights.turned().view(), dy.view(), product, width.max(1), room);
                    T::add(&mut v_sums[..count * width], product);
                    multiply_alone(slopes.turned().view(), q.view(), product, depth.max(1), room);
                    T::add(&mut k_sums[..count * depth], product);
                    multiply_alone(slopes.view(), k.view(), product, depth.max(1), room);
                    let (start, step) = if T::IS_WIDE {
                        (((at * queries + first) * heads + head) * depth, heads * depth)
                    } else {
                        ((place + first) * depth, depth)
                    };
                    // SAFETY: the queries of these heads are this thread's.
                    #[allow(unsafe_code)]
                    let mut sums = unsafe { sums.rows(start, step, depth, now) };
                    T::put_rows(product, scale, key > 0, &mut sums);
                }
            }
            let place = (at * keys + key) * key_heads + key_head;
            // SAFETY: the keys of this head are this thread's.
            #[allow(unsafe_code)]
            let (mut dk, mut dv) = unsafe {
                (
                    dk.rows(place * depth, key_heads * depth, depth, count),
                    dv.rows(place * width, key_heads * width, width, count),
                )
            };
            T::finish_rows(k_sums, None, &mut dk);
            T::finish_rows(v_sums, None, &mut dv);
        }
        if !T::IS_WIDE {
            for head in key_head * group..(key_head + 1) * group {
                // SAFETY: the queries of these heads are this thread's.
                #[allow(unsafe_code)]
                let (mut sums, mut dq) = unsafe {
                    (
                        sums.rows((at * heads + head) * queries * depth, 0, queries * depth, 1),
                        dq.rows((at * queries * heads + head) * depth, heads * depth, depth, queries),
                    )
                };
                T::finish_rows(sums.row(0), None, &mut dq);
            }
        }
    });
}
