//! Random tensors of distributions that are drawn by rejection, from a seed alone: gamma, beta, Poisson, binomial and
//! categorical numbers, and shuffles.
//!
//! Every element has blocks of its own in TensorFlow's stream, and takes TensorFlow's steps: equal seeds give TensorFlow's
//! numbers on a CPU, to some units in the last place where they are not integers.

use super::array::BroadcastTo;
use super::composite::composite;
use super::constant;
use super::random::{drawn, drawn_shape, key_counter_alg, seeded, stream, two_integers};
use super::special::in_full;
use super::triangle::narrow;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, one_int,
    same_dtype, unsupported, with_rank,
};
use crate::shape::{MAX_RANK, broadcast};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::cast;
use modulor_kernels::distribution::{binomial, categories, gamma, poisson};
use std::sync::Arc;

/// `shape`, which must end with that of the parameters.
fn ends_with(shape: Shape, parameters: &Shape) -> Result<Shape> {
    let (Some(dims), Some(last)) = (shape.dims(), parameters.dims()) else { return Ok(shape) };
    let end = dims.len().checked_sub(last.len()).map(|from| &dims[from..]);
    let agree = |end: &[Option<usize>]| {
        end.iter().zip(&last).all(|pair| !matches!(pair, (Some(dim), Some(other)) if dim != other))
    };
    match end {
        Some(end) if agree(end) => Ok(shape),
        _ => {
            Err(Error::invalid_argument(format!("a shape that ends with the parameters' {parameters}, found {shape}")))
        }
    }
}

/// Writes numbers drawn for each of the parameters: `draw` has the number of the draw and that of its parameters. Those of
/// the first parameters come first.
fn each(out: &mut [f64], parameters: usize, draw: impl Fn(u64, usize) -> f64) {
    let samples = out.len().checked_div(parameters).unwrap_or(0);
    for (at, out) in out.iter_mut().enumerate() {
        let (sample, parameter) = (at / parameters, at % parameters);
        *out = draw((parameter * samples + sample) as u64, parameter);
    }
}

/// Numbers of any dtype, of float64 or narrower.
fn written(from: &[f64], out: &mut ViewMut) -> Result<()> {
    dispatch!(out.dtype(), number T => narrow(from, out.elements::<T>()?), else => Err(unsupported(out.dtype())))
}

/// The numbers of a view in float64, in row-major order.
fn widened(x: &View, room: &mut [f64]) -> Result<()> {
    dispatch!(x.dtype(), number T => cast(x.elements::<T>()?, room), else => return Err(unsupported(x.dtype())));
    Ok(())
}

/// Gamma numbers of scale 1, of the shapes that the last input says.
#[derive(Debug, Default)]
struct StatelessRandomGammaV3;

impl Op for StatelessRandomGammaV3 {
    fn name(&self) -> &'static str {
        "StatelessRandomGammaV3"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [shape, key, counter, alg, alpha] = arity(inputs)?;
        let dtype = allowed(alpha.spec.dtype, DType::is_float, "alphas of floats")?;
        let shape = drawn(&[*shape, *key, *counter, *alg])?;
        Ok(vec![Spec::new(dtype, ends_with(shape, &alpha.spec.shape)?)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (inputs[4].len() + outputs[0].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (stream, count) = (stream(inputs)?, inputs[4].len());
        let (alphas, draws) = scratch.take::<f64>(count + outputs[0].len())?.split_at_mut(count);
        widened(&inputs[4], alphas)?;
        each(draws, count, |draw, at| gamma(stream, draw, alphas[at]));
        written(draws, &mut outputs[0])
    }
    // As for x with P(alpha, x) fixed, P being the part of Γ(alpha) below x.
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let at_alpha = b.when(4, || b.dy(0).mul(in_full(b.input(4), b.output(0), |alpha, x| alpha.gamma_slope(x))?))?;
        Ok(vec![None, None, None, None, at_alpha])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

/// Poisson numbers of the means that the last input says.
#[derive(Debug)]
struct StatelessRandomPoisson {
    dtype: DType,
}

/// The dtypes that counts are drawn in.
fn counted(dtype: DType) -> Result<DType> {
    let takes = |d| matches!(d, DType::F16 | DType::F32 | DType::F64 | DType::I32 | DType::I64);
    allowed(dtype, takes, "numbers of float16, float32, float64, int32 or int64")
}

impl Op for StatelessRandomPoisson {
    fn name(&self) -> &'static str {
        "StatelessRandomPoisson"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("dtype", self.dtype)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [shape, seed, rate] = arity(inputs)?;
        two_integers(seed)?;
        counted(rate.spec.dtype)?;
        Ok(vec![Spec::new(counted(self.dtype)?, ends_with(drawn_shape(shape)?, &rate.spec.shape)?)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (inputs[2].len() + outputs[0].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (stream, count) = (seeded(&inputs[1])?, inputs[2].len());
        let (rates, draws) = scratch.take::<f64>(count + outputs[0].len())?.split_at_mut(count);
        widened(&inputs[2], rates)?;
        let endless = |rate: f64| rate == f64::INFINITY && !self.dtype.is_float();
        each(draws, count, |draw, at| if endless(rates[at]) { 0.0 } else { poisson(stream, draw, rates[at]) });
        written(draws, &mut outputs[0])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

/// Binomial numbers of so many trials and such probabilities, which broadcast.
#[derive(Debug)]
struct StatelessRandomBinomial {
    dtype: DType,
}

impl Op for StatelessRandomBinomial {
    fn name(&self) -> &'static str {
        "StatelessRandomBinomial"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("dtype", self.dtype)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [shape, seed, counts, probs] = arity(inputs)?;
        two_integers(seed)?;
        let takes = |d| matches!(d, DType::F16 | DType::F32 | DType::F64);
        allowed(same_dtype(&[*counts, *probs])?, takes, "counts and probabilities of float16, float32 or float64")?;
        let parameters = broadcast(&counts.spec.shape, &probs.spec.shape)?;
        Ok(vec![Spec::new(counted(self.dtype)?, ends_with(drawn_shape(shape)?, &parameters)?)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (2 * parameters(inputs, &outputs[0]) + outputs[0].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (stream, out) = (seeded(&inputs[1])?, &mut outputs[0]);
        let (count, rank) = (parameters(inputs, out), inputs[2].dims().len().max(inputs[3].dims().len()));
        let (both, draws) = scratch.take::<f64>(2 * count + out.len())?.split_at_mut(2 * count);
        let (counts, probs) = both.split_at_mut(count);
        let dims = &out.dims()[out.dims().len() - rank..];
        for (x, room) in [(inputs[2], &mut *counts), (inputs[3], &mut *probs)] {
            let mut strides = [0; MAX_RANK];
            x.broadcast_strides(dims, &mut strides[..rank]);
            dispatch!(x.dtype(), float T => cast(x.restrided::<T>(dims, &strides[..rank])?, room),
                else => return Err(unsupported(x.dtype())));
        }
        let dtype = inputs[2].dtype();
        // TensorFlow multiplies the parameters in their own dtype.
        let round = |x: f64| match dtype {
            DType::F16 => half::f16::from_f64(x).to_f64(),
            DType::F32 => f64::from(x as f32),
            _ => x,
        };
        each(draws, count, |draw, at| {
            let (trials, p) = (counts[at], probs[at]);
            if p <= 0.5 || p >= 1.0 || p.is_nan() {
                return binomial(stream, draw, trials, p, round(trials * p) < 10.0);
            }
            let q = round(1.0 - p);
            if trials <= 0.0 { 0.0 } else { trials - binomial(stream, draw, trials, q, round(trials * q) < 10.0) }
        });
        written(draws, out)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

/// How many pairs of parameters there are for a binomial output.
fn parameters(inputs: &[View], out: &ViewMut) -> usize {
    let rank = inputs[2].dims().len().max(inputs[3].dims().len());
    out.dims()[out.dims().len() - rank..].iter().product()
}

/// Categories drawn by rows of logits.
#[derive(Debug)]
struct StatelessMultinomial {
    output_dtype: DType,
}

impl Op for StatelessMultinomial {
    fn name(&self) -> &'static str {
        "StatelessMultinomial"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("output_dtype", self.output_dtype)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [logits, samples, seed] = arity(inputs)?;
        two_integers(seed)?;
        allowed(logits.spec.dtype, DType::is_float, "logits of floats")?;
        allowed(samples.spec.dtype, |d| d == DType::I32, "a number of samples of int32")?;
        allowed(self.output_dtype, |d| matches!(d, DType::I32 | DType::I64), "output_dtype int32 or int64")?;
        let shape = with_rank(&logits.spec.shape, 2, "the logits")?;
        with_rank(&samples.spec.shape, 0, "the number of samples")?;
        let wrong =
            |samples: i64| Error::invalid_argument(format!("samples cannot be fewer than none, found {samples}"));
        let samples = one_int(samples, "the number of samples")?;
        let samples = samples.map(|n| usize::try_from(n).map_err(|_| wrong(n))).transpose()?;
        if shape.dim(1) == Some(0) {
            return Err(Error::invalid_argument(format!("there must be a class at least, found logits {shape}")));
        }
        Ok(vec![Spec::new(self.output_dtype, [shape.dim(0), samples])])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let (classes, samples) = (inputs[0].dims()[1], outputs[0].dims()[1]);
        (2 * classes + samples) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (logits, stream, out) = (inputs[0], seeded(&inputs[2])?, &mut outputs[0]);
        let (rows, classes, samples) = (logits.dims()[0], logits.dims()[1], out.dims()[1]);
        let (row, room) = scratch.take::<f64>(2 * classes + samples)?.split_at_mut(classes);
        let (totals, draws) = room.split_at_mut(classes);
        let draws: &mut [i64] = bytemuck::cast_slice_mut(draws);
        let (dims, strides) = ([classes], [logits.strides()[1]]);
        for i in 0..rows {
            let at = i as isize * logits.strides()[0];
            dispatch!(logits.dtype(), float T => cast(logits.shifted::<T>(at, &dims, &strides)?, row),
                else => return Err(unsupported(logits.dtype())));
            categories(stream, (i * samples) as u64, row, totals, draws);
            match self.output_dtype {
                DType::I32 => {
                    let out = &mut out.elements::<i32>()?[i * samples..][..samples];
                    out.iter_mut().zip(&*draws).for_each(|(out, &draw)| *out = draw as i32);
                }
                _ => out.elements::<i64>()?[i * samples..][..samples].copy_from_slice(draws),
            }
        }
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

/// The smallest normal number of a dtype.
fn smallest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => half::f16::MIN_POSITIVE.to_f64(),
        DType::BF16 => half::bf16::MIN_POSITIVE.to_f64(),
        DType::F32 => f32::MIN_POSITIVE.into(),
        _ => f64::MIN_POSITIVE,
    }
}

impl Tensor {
    /// Gamma numbers with the shapes `alpha` and scale 1, of alpha's dtype, a float; not numbers where alpha is not
    /// positive. They are at least the smallest normal number.
    ///
    /// TensorFlow's `StatelessRandomGammaV3`, as `tf.random.stateless_gamma` has it, and `keras.random.gamma`. `shape` and
    /// `seed` are vectors of int32 or int64, the seed of two elements; `shape` must end with alpha's. The gradient at
    /// `alpha` is that of numbers below which others are as often as before, TensorFlow's `RandomGammaGrad`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let alpha = Tensor::from([0.5_f32, 20.0]);
    /// let draws = Tensor::stateless_gamma(&Tensor::from([1000, 2]), &Tensor::from([1, 2]), &alpha)?;
    /// let mean = draws.mean(0)?.to_vec::<f32>()?;
    /// assert!((mean[0] - 0.5).abs() < 0.1 && (mean[1] - 20.0).abs() < 1.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stateless_gamma(shape: &Tensor, seed: &Tensor, alpha: &Tensor) -> Result<Tensor> {
        let [key, counter, alg] = &key_counter_alg(seed)?;
        apply_one(StatelessRandomGammaV3, &[shape, key, counter, alg, alpha])?.maximum(smallest(alpha.dtype()))
    }

    /// Beta numbers with the parameters `alpha` and `beta`, of their dtype, a float, which broadcast to `shape`:
    /// `keras.random.beta`, by gamma numbers of this seed and of that 12 greater.
    pub fn stateless_beta(shape: &Tensor, seed: &Tensor, alpha: &Tensor, beta: &Tensor) -> Result<Tensor> {
        composite("beta", || {
            let draws = |parameter: &Tensor, seed: &Tensor| {
                Tensor::stateless_gamma(shape, seed, &apply_one(BroadcastTo, &[parameter, shape])?)
            };
            let (a, b) = (draws(alpha, seed)?, draws(beta, &seed.add(12.0)?)?);
            a.div(&a + b)
        })
    }

    /// Poisson numbers with the means `rate`, floats, int32 or int64, in a dtype that is one of these too. Of a negative mean
    /// they are 0, of an infinite one ∞, which integers have as 0, and of NaN they are NaN.
    ///
    /// TensorFlow's `StatelessRandomPoisson`. `shape` and `seed` are vectors of int32 or int64, the seed of two elements;
    /// `shape` must end with the rate's.
    pub fn stateless_poisson(shape: &Tensor, seed: &Tensor, rate: &Tensor, dtype: DType) -> Result<Tensor> {
        apply_one(StatelessRandomPoisson { dtype }, &[shape, seed, rate])
    }

    /// Binomial numbers: how many of `counts` trials succeed, each with probability `probs`, both floats, which broadcast; in
    /// float16, float32, float64, int32 or int64.
    ///
    /// TensorFlow's `StatelessRandomBinomial`, and `keras.random.binomial`. `shape` and `seed` are vectors of int32 or int64,
    /// the seed of two elements; `shape` must end with the parameters'.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let (shape, seed) = (Tensor::from([4]), Tensor::from([1, 2]));
    /// let (counts, certain) = (Tensor::scalar(7.0_f32), Tensor::scalar(1.0_f32));
    /// let draws = Tensor::stateless_binomial(&shape, &seed, &counts, &certain, DType::I32)?;
    /// assert_eq!(draws.to_vec::<i32>()?, [7; 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stateless_binomial(
        shape: &Tensor,
        seed: &Tensor,
        counts: &Tensor,
        probs: &Tensor,
        dtype: DType,
    ) -> Result<Tensor> {
        apply_one(StatelessRandomBinomial { dtype }, &[shape, seed, counts, probs])
    }

    /// So many categories for each row of logits, a matrix, whose softmax are their probabilities: a matrix of int64.
    ///
    /// TensorFlow's `StatelessMultinomial`, and `keras.random.categorical`. Logits that are not finite count nothing; where
    /// none counts, the draws are the number of the categories.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let logits = Tensor::from([[0.0_f32, f32::NEG_INFINITY], [-1000.0, 0.0]]);
    /// let draws = logits.stateless_categorical(3, &Tensor::from([1, 2]))?;
    /// assert_eq!(draws.to_vec::<i64>()?, [0, 0, 0, 1, 1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stateless_categorical(&self, samples: usize, seed: &Tensor) -> Result<Tensor> {
        let op = StatelessMultinomial { output_dtype: DType::I64 };
        self.check()?;
        let samples = i32::try_from(samples).map_err(|_| {
            Error::invalid_argument(format!("samples are counted by int32, found {samples}")).in_op(op.name())
        })?;
        apply_one(op, &[self, &Tensor::scalar(samples), seed])
    }

    /// The parts along an axis in an order that follows from the seed: `keras.random.shuffle`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let mut numbers = Tensor::range(0, 10, 1)?.stateless_shuffle(&Tensor::from([1, 2]), 0)?.to_vec::<i32>()?;
    /// numbers.sort_unstable();
    /// assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    /// # Ok(())
    /// # }
    /// ```
    pub fn stateless_shuffle(&self, seed: &Tensor, axis: i64) -> Result<Tensor> {
        self.check()?;
        let rank = self.rank().ok_or_else(|| Error::unimplemented("a shuffle of a tensor of an unknown rank"))?;
        let wrong = || Error::invalid_argument(format!("axis {axis} of a tensor of shape {}", self.shape()));
        let at = if axis < 0 { axis + rank as i64 } else { axis };
        let at = usize::try_from(at).ok().filter(|&at| at < rank).ok_or_else(wrong)?;
        let count = self.shape().dim(at);
        let count = count.ok_or_else(|| Error::unimplemented("a shuffle along an axis of unknown length"))?;
        composite("shuffle", || {
            let draws = Tensor::stateless_uniform(&Tensor::from([count as i64]), seed, DType::F32)?;
            self.gather(&draws.neg()?.top_k(count)?.1, axis)
        })
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef::plain::<StatelessRandomGammaV3>("StatelessRandomGammaV3", Accuracy::Special),
    OpDef {
        name: "StatelessRandomPoisson",
        parse: |attrs| Ok(Arc::new(StatelessRandomPoisson { dtype: attrs.dtype("dtype", DType::I64)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "StatelessRandomBinomial",
        parse: |attrs| Ok(Arc::new(StatelessRandomBinomial { dtype: attrs.dtype("dtype", DType::I64)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "StatelessMultinomial",
        parse: |attrs| Ok(Arc::new(StatelessMultinomial { output_dtype: attrs.dtype("output_dtype", DType::I64)? })),
        accuracy: Accuracy::Exact,
    },
]];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: Result<Tensor>, expected: &[f32]) {
        let found = found.and_then(|found| found.to_vec::<f32>()).expect("numbers");
        assert_eq!(found.len(), expected.len());
        for (x, y) in found.iter().zip(expected) {
            assert!((x - y).abs() <= 4.0 * f32::EPSILON * y.abs(), "{found:?} is not {expected:?}");
        }
    }

    /// `keras.random.gamma((2, 2), [0.5, 3.0], seed=42)` and its siblings; the seed is then `[42, 0]`.
    #[test]
    fn draws_are_kerass() -> Result<()> {
        let (square, seed) = (Tensor::from([2, 2]), Tensor::from([42, 0]));
        let alpha = Tensor::from([0.5_f32, 3.0]);
        near(Tensor::stateless_gamma(&square, &seed, &alpha), &[0.355_114_52, 2.064_121_7, 1.508_776_9, 4.259_295]);
        let (alpha, beta) = (alpha.expand_dims(1)?, Tensor::scalar(2.0_f32));
        let draws = Tensor::stateless_beta(&square, &seed, &alpha, &beta);
        near(draws, &[0.072_319_224, 0.654_152_2, 0.671_177, 0.667_939_54]);
        let (counts, probs) = (Tensor::scalar(20.0_f32), Tensor::scalar(0.3_f32));
        let draws = Tensor::stateless_binomial(&Tensor::from([6]), &seed, &counts, &probs, DType::F32)?;
        assert_eq!(draws.to_vec::<f32>()?, [5.0, 3.0, 6.0, 5.0, 5.0, 7.0]);
        let logits = Tensor::from([[0.0_f32, 1.0, 2.0], [3.0, 0.0, 0.0]]);
        let draws = logits.stateless_categorical(6, &seed)?.to_vec::<i64>()?;
        assert_eq!(draws, [1, 2, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
        let order = Tensor::range(0, 10, 1)?.stateless_shuffle(&seed, 0)?.to_vec::<i32>()?;
        assert_eq!(order, [3, 9, 4, 8, 7, 0, 1, 5, 2, 6]);
        Ok(())
    }

    /// The mean of gamma numbers is their alpha, so that it grows as alpha does; and they are less of a smaller scale.
    #[test]
    fn draws_grow_with_alpha() -> Result<()> {
        for alpha in [0.5_f32, 2.0, 40.0] {
            let (shape, seed) = (Tensor::from([2000, 1]), Tensor::from([1, 2]));
            let mean = |x: &[Tensor]| Tensor::stateless_gamma(&shape, &seed, &x[0])?.mean(..);
            let (_, slope) = crate::value_and_grad(mean, &[Tensor::from([alpha])])?;
            let slope = slope[0].to_vec::<f32>()?;
            assert!(slope.len() == 1 && (slope[0] - 1.0).abs() < 0.1, "{alpha}: {slope:?}");
        }
        Ok(())
    }

    #[test]
    fn beta_numbers_have_gradients_and_seconds_are_refused() -> Result<()> {
        let (shape, seed) = (Tensor::from([500, 2]), Tensor::from([3, 4]));
        let parameters = [Tensor::from([2.0_f32, 0.5]), Tensor::from([1.0_f32, 3.0])];
        let mean = |x: &[Tensor]| Tensor::stateless_beta(&shape, &seed, &x[0], &x[1])?.mean(0)?.sum(..);
        let (_, slopes) = crate::value_and_grad(mean, &parameters)?;
        // The mean is a/(a + b), with the slopes b/(a + b)² and −a/(a + b)².
        for (found, expected) in slopes.iter().zip([[1.0 / 9.0, 3.0 / 12.25], [-2.0 / 9.0, -0.5 / 12.25]]) {
            for (found, expected) in found.to_vec::<f32>()?.into_iter().zip(expected) {
                assert!((found - expected).abs() < 0.05, "{found} {expected}");
            }
        }
        let slope = |x: &[Tensor]| crate::value_and_grad(|x| mean(x), x).and_then(|(_, slopes)| slopes[0].sum(..));
        let error = crate::value_and_grad(slope, &parameters).expect_err("refused");
        assert_eq!(error.op(), Some("RandomGammaGrad"));
        Ok(())
    }

    #[test]
    fn an_axis_that_is_not_there_is_refused() {
        let x = Tensor::from([1, 2]);
        assert!(x.stateless_shuffle(&Tensor::from([1, 2]), 1).is_err());
        assert!(x.stateless_shuffle(&Tensor::from([1, 2]), -2).is_err());
    }
}
