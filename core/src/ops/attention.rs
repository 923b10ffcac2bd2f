//! Scaled dot product attention, without the scores as a whole.

use super::fill::range;
use super::fused::{Fused, FusedCall, fused_all};
use super::gather::scattered;
use super::normalization::{floats, refuse, statistic, statistics, widened_all, words};
use super::recurrent::one;
use super::reduce::unbroadcast;
use crate::dtype::dispatch;
use crate::op::{Backward, Input, Op, Scratch, View, ViewMut, allowed, apply, unsupported, with_rank};
use crate::shape::broadcast;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Attention as Kernel, Scores};
use std::sync::Arc;

/// The score of a key that a query does not see.
const HIDDEN: f64 = -0.7 * 3.389_53e38;

/// The call: queries, keys and values, perhaps a bias, perhaps a mask, to the output and, for the gradient, of each query the
/// greatest score and the sum of exponentials.
#[derive(Clone, Copy, Debug)]
struct Attend {
    scale: f64,
    causal: bool,
    bias: bool,
    mask: bool,
}

/// The inputs of a call by what they are.
#[derive(Clone, Copy)]
struct Parts<T> {
    q: T,
    k: T,
    v: T,
    bias: Option<T>,
    mask: Option<T>,
}

/// The dims of a call.
struct Dims {
    batch: Option<usize>,
    queries: Option<usize>,
    heads: Option<usize>,
    width: Option<usize>,
}

/// Axes 0, 2, 1 and 3 of four.
fn turned<T: Copy>(axes: &[T]) -> Result<[T; 4]> {
    match axes {
        &[a, b, c, d] => Ok([a, c, b, d]),
        _ => Err(Error::internal("four axes were inferred")),
    }
}

impl Attend {
    fn count(&self) -> usize {
        3 + usize::from(self.bias) + usize::from(self.mask)
    }

    /// The first inputs by what they are.
    fn parts<T: Copy>(&self, inputs: &[T]) -> Result<Parts<T>> {
        let (&[q, k, v, ref rest @ ..], true) = (inputs, inputs.len() >= self.count()) else {
            let message = format!("expected {} inputs, and {} were given", self.count(), inputs.len());
            return Err(Error::invalid_argument(message));
        };
        let mut rest = rest.iter().copied();
        let mut next = |is_there: bool| if is_there { rest.next() } else { None };
        Ok(Parts { q, k, v, bias: next(self.bias), mask: next(self.mask) })
    }

    fn check(&self, parts: &Parts<Input>) -> Result<Dims> {
        let rank = |input: Input, what| with_rank(&input.spec.shape, 4, what);
        let (q, k, v) = (rank(parts.q, "the query")?, rank(parts.k, "the key")?, rank(parts.v, "the value")?);
        let batch = one("batch", [q.dim(0), k.dim(0), v.dim(0)])?;
        let keys = one("the number of keys", [k.dim(1), v.dim(1)])?;
        let key_heads = one("the number of key heads", [k.dim(2), v.dim(2)])?;
        one("the depth of queries and keys", [q.dim(3), k.dim(3)])?;
        let (queries, heads) = (q.dim(1), q.dim(2));
        if let (Some(heads), Some(key_heads)) = (heads, key_heads)
            && heads > 0
            && (key_heads == 0 || !heads.is_multiple_of(key_heads))
        {
            let message = format!("the heads of keys, {key_heads}, must divide those of queries, {heads}");
            return Err(Error::invalid_argument(message));
        }
        let scores = Shape::from([batch, heads, queries, keys]);
        for (what, input) in [("bias", parts.bias), ("mask", parts.mask)] {
            let Some(input) = input else { continue };
            let fits = broadcast(&input.spec.shape, &scores).is_ok_and(|both| both.is_compatible_with(&scores));
            if !fits {
                let found = &input.spec.shape;
                let message = format!("the {what} must broadcast to the scores, {scores}, found {found}");
                return Err(Error::invalid_argument(message));
            }
        }
        if let Some(mask) = parts.mask {
            allowed(mask.spec.dtype, |dtype| dtype == DType::Bool, "a mask of bool")?;
        }
        Ok(Dims { batch, queries, heads, width: v.dim(3) })
    }

    /// The dtype of the inputs, of which there are to be so many; those of `statistics` may be of any float.
    fn dtype(&self, inputs: &[Input], count: usize, statistics: &[usize]) -> Result<DType> {
        if inputs.len() != count {
            let message = format!("expected {count} inputs, and {} were given", inputs.len());
            return Err(Error::invalid_argument(message));
        }
        let mask = self.mask.then(|| self.count() - 1);
        let plain: Vec<Input> = (0..count).filter(|&at| Some(at) != mask).map(|at| inputs[at]).collect();
        let moved = |at: &usize| at - usize::from(mask.is_some_and(|mask| mask < *at));
        floats(&plain, plain.len(), &statistics.iter().map(moved).collect::<Vec<_>>())
    }

    /// Runs `f` with the queries, keys and values of each head, and how scores are made of them.
    fn with_views<T: bytemuck::Pod>(
        &self,
        parts: &Parts<View>,
        f: impl FnOnce([modulor_kernels::Strided<T>; 3], &Scores<T>) -> Result<()>,
    ) -> Result<()> {
        let (q, k, v) = (Heads::of(&parts.q)?, Heads::of(&parts.k)?, Heads::of(&parts.v)?);
        let scores = [q.dims[0], q.dims[1], q.dims[2], k.dims[2]];
        let [mut bias_strides, mut mask_strides] = [[0; 4]; 2];
        let bias = parts.bias.map(|bias| {
            bias.broadcast_strides(&scores, &mut bias_strides);
            bias.restrided(&scores, &bias_strides)
        });
        let mask = parts.mask.map(|mask| {
            mask.broadcast_strides(&scores, &mut mask_strides);
            mask.restrided(&scores, &mask_strides)
        });
        let (bias, mask) = (bias.transpose()?, mask.transpose()?);
        let how = Scores { scale: self.scale, causal: self.causal, mask, bias };
        f([q.elements()?, k.elements()?, v.elements()?], &how)
    }
}

/// `[batch, length, heads, depth]` as `[batch, heads, length, depth]`.
struct Heads<'a> {
    view: View<'a>,
    dims: [usize; 4],
    strides: [isize; 4],
}

impl<'a> Heads<'a> {
    fn of(view: &View<'a>) -> Result<Heads<'a>> {
        Ok(Heads { view: *view, dims: turned(view.dims())?, strides: turned(view.strides())? })
    }

    fn elements<T: bytemuck::Pod>(&self) -> Result<modulor_kernels::Strided<'_, T>> {
        self.view.restrided(&self.dims, &self.strides)
    }
}

/// How many scores there are, and how long queries and values are.
fn sizes(inputs: &[Spec]) -> [u64; 3] {
    let dim = |input: usize, axis: usize| inputs.get(input).and_then(|spec| spec.shape.dim(axis)).unwrap_or(0) as u64;
    [dim(0, 0) * dim(0, 1) * dim(0, 2) * dim(1, 1), dim(0, 3), dim(2, 3)]
}

impl Op for Attend {
    fn name(&self) -> &'static str {
        "dot_product_attention"
    }
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        let [scores, width, depth] = sizes(inputs);
        // Two products, and of each score: scaled, less the greatest, its exp, added, over the sum.
        scores * (2 * width + 2 * depth + 5)
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = self.dtype(inputs, self.count(), &[])?;
        let Dims { batch, queries, heads, width } = self.check(&self.parts(inputs)?)?;
        let output = Spec::new(dtype, [batch, queries, heads, width]);
        Ok(vec![output, Spec::new(statistic(dtype), [batch, heads, queries, Some(2)])])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let (Ok(q), Ok(v)) = (turned(inputs[0].dims()), turned(inputs[2].dims())) else { return 0 };
        dispatch!(inputs[0].dtype(), float T => T::attention_scratch(q, v) * size_of::<T>(), else => 0)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let parts = self.parts(inputs)?;
        let [out, scales] = outputs else { return Err(Error::internal("an output and scales were inferred")) };
        let (q, v) = (turned(parts.q.dims())?, turned(parts.v.dims())?);
        dispatch!(parts.q.dtype(), float T => {
            let room = scratch.take::<T>(T::attention_scratch(q, v))?;
            let (out, scales) = (out.elements()?, scales.elements()?);
            self.with_views::<T>(&parts, |[q, k, v], how| {
                T::attention(q, k, v, how, out, scales, room);
                Ok(())
            })
        }, else => Err(unsupported(parts.q.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        if b.arrives(1) {
            return Err(Error::internal("the scales of attention are for its gradient alone"));
        }
        let inputs: Vec<&Tensor> = b.inputs().iter().collect();
        let mut gradients: Vec<Option<Tensor>> = vec![None; self.count()];
        if (0..3).any(|i| b.needs(i)) {
            let inputs: Vec<&Tensor> = inputs.iter().copied().chain([b.dy(0), b.output(0), b.output(1)]).collect();
            for (gradient, found) in gradients.iter_mut().zip(fused_all(AttendGrad { of: *self }, &inputs)?) {
                *gradient = Some(found);
            }
        }
        if self.bias {
            gradients[3] = b.when(3, || {
                let slopes = self.weights(&self.parts(&inputs)?)?.slopes(b.dy(0))?;
                unbroadcast(&slopes.cast(inputs[3].dtype())?, inputs[3])
            })?;
        }
        Ok(gradients)
    }
}

/// What a call comes to in tensor operations, in the dtype of its statistics.
struct Weights {
    /// Queries, keys and values, of as many heads.
    q: Tensor,
    k: Tensor,
    v: Tensor,
    /// What keys a query sees, if not all.
    seen: Option<Tensor>,
    scores: Tensor,
    /// Their softmax.
    weights: Tensor,
}

/// Which head of keys each of the heads of queries has, where that may be another number.
fn groups(q: &Tensor, k: &Tensor) -> Result<Option<Tensor>> {
    if let (Some(heads), Some(key_heads)) = (q.shape().dim(2), k.shape().dim(2))
        && (heads <= key_heads || key_heads == 0)
    {
        return Ok(None);
    }
    let (heads, key_heads) = (q.length(2)?, k.length(2)?);
    let group = heads.floor_div(key_heads.maximum(1.0)?)?.maximum(1.0)?;
    range(&Tensor::scalar(0), &heads, &Tensor::scalar(1))?.floor_div(group).map(Some)
}

/// Whether query i sees key j: whether j is at most i.
fn causal(q: &Tensor, k: &Tensor) -> Result<Tensor> {
    let count = |x: &Tensor| range(&Tensor::scalar(0_i64), &x.length(1)?.cast(DType::I64)?, &Tensor::scalar(1_i64));
    count(q)?.expand_dims(1)?.greater_equal(count(k)?)
}

impl Attend {
    fn weights(&self, parts: &Parts<&Tensor>) -> Result<Weights> {
        let groups = groups(parts.q, parts.k)?;
        let repeated = |x: Tensor| groups.as_ref().map_or_else(|| Ok(x.clone()), |groups| x.gather(groups, 2));
        let wide = widened_all(&[parts.q, parts.k, parts.v], parts.q.dtype())?;
        let [q, k, v] = <[Tensor; 3]>::try_from(wide).map_err(|_| Error::internal("three were widened"))?;
        let (k, v) = (repeated(k)?, repeated(v)?);
        let mut scores = Tensor::einsum("BTNH,BSNH->BNTS", &[&q, &k])?.mul(self.scale)?;
        if let Some(bias) = parts.bias {
            scores = scores.add(bias.cast(scores.dtype())?)?;
        }
        let causal = self.causal.then(|| causal(&q, &k)).transpose()?;
        let seen = match (parts.mask.cloned(), causal) {
            (Some(mask), Some(causal)) => Some(mask.logical_and(&causal)?),
            (mask, causal) => mask.or(causal),
        };
        if let Some(seen) = &seen {
            scores = seen.select(&scores, &Tensor::number(HIDDEN, scores.dtype())?)?;
        }
        let weights = scores.softmax(-1)?;
        Ok(Weights { q, k, v, seen, scores, weights })
    }
}

impl Weights {
    /// The gradient of scores, of that of the output.
    fn slopes(&self, dy: &Tensor) -> Result<Tensor> {
        let dy = dy.cast(self.v.dtype())?;
        let of_weights = Tensor::einsum("BTNH,BSNH->BNTS", &[&dy, &self.v])?;
        let mean = (&self.weights * &of_weights).sum_keepdims(3)?;
        let slopes = (of_weights - mean).mul(&self.weights)?;
        self.seen.as_ref().map_or_else(|| Ok(slopes.clone()), |seen| seen.select(&slopes, &slopes.zeros_like()?))
    }
}

impl Fused for Attend {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        refuse(self, inputs)?;
        let Weights { v, scores, weights, .. } = self.weights(&self.parts(inputs)?)?;
        let y = Tensor::einsum("BNTS,BSNH->BTNH", &[&weights, &v])?.cast(inputs[0].dtype())?;
        let greatest = scores.max_keepdims(3)?;
        let sum = (scores - &greatest).exp()?.sum_keepdims(3)?;
        Ok(vec![y, Tensor::concat(&[greatest, sum], 3)?])
    }
}

/// The gradients of queries, keys and values: the inputs of a call, that of its output, and its outputs.
#[derive(Clone, Copy, Debug)]
struct AttendGrad {
    of: Attend,
}

impl AttendGrad {
    /// The gradient of the output, the output and its scales.
    fn rest<'a, T>(&self, inputs: &'a [T]) -> Result<&'a [T; 3]> {
        let rest = inputs.get(self.of.count()..).and_then(|rest| rest.try_into().ok());
        rest.ok_or_else(|| Error::internal("a gradient takes inputs and what came of them"))
    }

    /// The words of scratch: scales, and what the kernel wants.
    fn room<T: Kernel>(&self, inputs: &[View]) -> Result<[usize; 2]> {
        let wanted = T::attention_gradient_scratch(turned(inputs[0].dims())?, turned(inputs[2].dims())?);
        Ok([words(self.rest(inputs)?[2].len()), (wanted * size_of::<T>()).div_ceil(size_of::<u128>())])
    }
}

impl Op for AttendGrad {
    fn name(&self) -> &'static str {
        "dot_product_attention_grad"
    }
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        let [scores, width, depth] = sizes(inputs);
        // The scores again, and the gradients of weights, values, queries and keys: five products.
        scores * (6 * width + 4 * depth + 5)
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let count = self.of.count();
        let dtype = self.of.dtype(inputs, count + 3, &[count + 2])?;
        let Dims { batch, queries, heads, width } = self.of.check(&self.of.parts(inputs)?)?;
        let (output, scales) = (Shape::from([batch, queries, heads, width]), [batch, heads, queries, Some(2)]);
        let fits = |(input, shape): (&Input, &Shape)| input.spec.shape.is_compatible_with(shape);
        if !inputs[count..].iter().zip([&output, &output, &scales.into()]).all(fits) {
            return Err(Error::invalid_argument(format!("an output must have shape {output}")));
        }
        Ok(inputs[..3].iter().map(|input| Spec::new(dtype, &input.spec.shape)).collect())
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let words = dispatch!(inputs[0].dtype(), float T => self.room::<T>(inputs), else => Ok([0; 2]));
        words.map_or(0, |[scales, kernel]| (scales + kernel) * size_of::<u128>())
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let parts = self.of.parts(inputs)?;
        let [dy, out, scales] = self.rest(inputs)?;
        let (dy, out) = (Heads::of(dy)?, Heads::of(out)?);
        let [dq, dk, dv] = outputs else { return Err(Error::internal("three gradients were inferred")) };
        dispatch!(parts.q.dtype(), float T => {
            let [of_scales, of_kernel] = self.room::<T>(inputs)?;
            let room = scratch.take::<u128>(of_scales + of_kernel)?;
            let (scales, room) = statistics::<<T as Kernel>::Wide>(scales, room)?;
            let room: &mut [T] = bytemuck::cast_slice_mut(room);
            let gradients = [dq.elements()?, dk.elements()?, dv.elements()?];
            self.of.with_views::<T>(&parts, |[q, k, v], how| {
                T::attention_gradient(dy.elements()?, q, k, v, how, out.elements()?, scales, gradients, room);
                Ok(())
            })
        }, else => Err(unsupported(parts.q.dtype())))
    }
}

impl Fused for AttendGrad {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        refuse(self, inputs)?;
        let (parts, [dy, ..]) = (self.of.parts(inputs)?, self.rest(inputs)?);
        let of = self.of.weights(&parts)?;
        let slopes = of.slopes(dy)?.mul(self.of.scale)?;
        let dy = dy.cast(of.v.dtype())?;
        let dq = Tensor::einsum("BNTS,BSNH->BTNH", &[&slopes, &of.k])?;
        let dk = Tensor::einsum("BNTS,BTNH->BSNH", &[&slopes, &of.q])?;
        let dv = Tensor::einsum("BNTS,BTNH->BSNH", &[&of.weights, &dy])?;
        let summed = |x: Tensor, like: &Tensor| match groups(parts.q, parts.k)? {
            Some(groups) => scattered(&x, like, &groups, 2, 0),
            None => Ok(x),
        };
        let gradients = [dq, summed(dk, parts.k)?, summed(dv, parts.v)?];
        gradients.iter().map(|gradient| gradient.cast(parts.q.dtype())).collect()
    }
    fn differentiates(&self) -> bool {
        false
    }
}

impl Tensor {
    /// Σ w·value, where the weights w of a query, this, are the softmax of `query·key·scale + bias` over all keys. Keras's
    /// `dot_product_attention`.
    ///
    /// Queries are `[batch, queries, heads, depth]`, keys `[batch, keys, key heads, depth]` and values
    /// `[batch, keys, key heads, width]`, all of one float dtype; as many heads one after the other share a head of keys, whose
    /// number divides theirs. The result is `[batch, queries, heads, width]`. `scale` is `1/√depth` where it is not given.
    ///
    /// `bias` and `mask`, of bool, broadcast to the scores, `[batch, heads, queries, keys]`. A query does not see keys where
    /// the mask is false and, if `is_causal`, those after its own place. One that sees none weighs all keys alike.
    ///
    /// Out of graphs the scores are never there as a whole: memory does not grow with queries · keys.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (q, k) = (Tensor::from([[[[1.0]], [[1.0]]]]), Tensor::from([[[[0.0]], [[0.0]]]]));
    /// let v = Tensor::from([[[[3.0]], [[5.0]]]]);
    /// assert_eq!(q.dot_product_attention(&k, &v, None, None, None, false)?.to_vec::<f64>()?, [4.0, 4.0]);
    /// assert_eq!(q.dot_product_attention(&k, &v, None, None, None, true)?.to_vec::<f64>()?, [3.0, 4.0]);
    /// let mask = Tensor::from([false, true]);
    /// assert_eq!(q.dot_product_attention(&k, &v, None, Some(&mask), None, false)?.to_vec::<f64>()?, [5.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dot_product_attention(
        &self,
        key: &Tensor,
        value: &Tensor,
        bias: Option<&Tensor>,
        mask: Option<&Tensor>,
        scale: Option<f64>,
        is_causal: bool,
    ) -> Result<Tensor> {
        self.check()?;
        let depth = || match self.shape().dim(3) {
            Some(depth) => Ok(1.0 / (depth as f64).sqrt()),
            None => Err(Error::invalid_argument(format!("`scale` needs the depth of queries, found {}", self.shape()))),
        };
        let scale = scale.map_or_else(depth, Ok).map_err(|error| error.in_op("dot_product_attention"))?;
        let op = Attend { scale, causal: is_causal, bias: bias.is_some(), mask: mask.is_some() };
        let inputs: Vec<&Tensor> = [self, key, value].into_iter().chain(bias).chain(mask).collect();
        Ok(fused_all(op, &inputs)?.swap_remove(0))
    }
}

/// Calls for the tests: all forms, of as many heads and of fewer for keys; with queries that see nothing if `blind`.
fn samples(blind: bool) -> Result<Vec<(Attend, Vec<Tensor>)>> {
    let wave = |dims: &[usize], most: f64| {
        let count: usize = dims.iter().product();
        Tensor::new(dims, (0..count).map(|i| most * (i as f64 * 1.37 + most).sin()).collect::<Vec<_>>())
    };
    let (batch, queries, keys, depth, width) = (5, 3, 4, 6, 2);
    let mut calls = Vec::new();
    for way in 0..8 {
        let [causal, bias, mask] = [1, 2, 4].map(|bit| way & bit != 0);
        for (heads, key_heads) in [(2, 2), (4, 2), (2, 1)] {
            let of = Attend { scale: 0.5, causal, bias, mask };
            let mut inputs = vec![
                wave(&[batch, queries, heads, depth], 1.0)?,
                wave(&[batch, keys, key_heads, depth], 0.9)?,
                wave(&[batch, keys, key_heads, width], 1.1)?,
            ];
            if bias {
                inputs.push(if key_heads == 1 { wave(&[queries, keys], 0.7)? } else { wave(&[heads, 1, keys], 0.7)? });
            }
            if mask {
                let seen =
                    |i: usize| if blind { i >= keys && i % 3 != 1 } else { i.is_multiple_of(keys) || i % 3 != 1 };
                let seen = (0..batch * keys).map(seen).collect::<Vec<_>>();
                inputs.push(Tensor::new([batch, 1, 1, keys], seen)?);
            }
            calls.push((of, inputs));
        }
    }
    Ok(calls)
}

/// Calls of attention, for the tests.
pub(super) fn attentions() -> Result<Vec<FusedCall>> {
    Ok(samples(true)?.into_iter().map(|(of, inputs)| (Arc::new(of) as Arc<dyn Fused>, inputs)).collect())
}

/// Calls of its gradient, for the tests. What a query that sees nothing scores is no number of float16, which they are cast to.
pub(super) fn attention_grads() -> Result<Vec<FusedCall>> {
    let with_outputs = |(of, mut inputs): (Attend, Vec<Tensor>)| {
        let outputs = apply(of, &inputs.iter().collect::<Vec<_>>())?;
        let dims = outputs[0].dims()?.to_vec();
        let count: usize = dims.iter().product();
        inputs.push(Tensor::new(dims, (0..count).map(|i| (i as f64 * 0.83).cos()).collect::<Vec<_>>())?);
        inputs.extend(outputs);
        Ok((Arc::new(AttendGrad { of }) as Arc<dyn Fused>, inputs))
    };
    samples(false)?.into_iter().map(with_outputs).collect()
}
