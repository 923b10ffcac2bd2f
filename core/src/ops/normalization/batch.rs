//! Normalisations of a batch: each channel by its own mean and variance, those of the batch or given ones.

use super::super::fused::{Fused, FusedCall, between, fused_all};
use super::super::reduce::terms;
use super::{
    call, carve, dense_if, floats, moved, next, refuse, shaped, statistic, statistics, widened, widened_all, words,
};
use crate::dtype::dispatch;
use crate::op::{Backward, Input, Op, Scratch, View, ViewMut, unsupported, with_rank};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::Normalization;

/// Where the channels are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channels {
    pub(super) rank: usize,
    pub(super) axis: usize,
}

impl Channels {
    /// The dims before, along and after the axis.
    fn sizes(self, dims: &[usize]) -> [usize; 3] {
        [dims[..self.axis].iter().product(), dims[self.axis], dims[self.axis + 1..].iter().product()]
    }

    /// The shape of what has an element for each channel. Where nothing is known of x, nothing is.
    fn shape(self, x: &Shape) -> Result<Shape> {
        with_rank(x, self.rank, "the input")?;
        Ok(x.dims().map_or(Shape::unknown(), |dims| Shape::from([dims[self.axis]])))
    }

    /// The other axes.
    fn others(self) -> Vec<i64> {
        (0..self.rank).filter(|&axis| axis != self.axis).map(|axis| axis as i64).collect()
    }

    /// What has an element for each channel, along their axis.
    fn along(self, x: &Tensor) -> Result<Tensor> {
        let mut dims = vec![1; self.rank];
        dims[self.axis] = x.shape().dim(0).map_or(-1, |dim| dim as i64);
        x.reshape(dims)
    }

    /// γ·(x − mean)/√(variance + ε) + β
    fn normal(
        self,
        x: &Tensor,
        moments: [&Tensor; 2],
        parameters: &[Tensor],
        scale: bool,
        epsilon: f64,
    ) -> Result<Tensor> {
        let inverse = self.along(&(moments[1] + epsilon).rsqrt()?)?;
        let parameters = parameters.iter().map(|parameter| self.along(parameter)).collect::<Result<Vec<_>>>()?;
        moved((x - self.along(moments[0])?) * inverse, &parameters, scale)
    }
}

/// The words of scratch that inputs want, of which some are statistics, and a kernel for an x of these dims.
fn room(inputs: &[View], statistics: &[usize], channels: Channels, dims: &[usize]) -> usize {
    let copied: usize = statistics.iter().map(|&at| words(inputs[at].len())).sum();
    let dense: usize = (0..inputs.len()).filter(|at| !statistics.contains(at)).map(|at| inputs[at].dense_room()).sum();
    copied + dense + words(<f64 as Normalization>::batch_normalization_scratch(channels.sizes(dims)))
}

/// The γ and the β among parameters.
fn parameters<'a, 'v>(inputs: &'a [View<'v>], wanted: [bool; 2]) -> [Option<&'a View<'v>>; 2] {
    let mut inputs = inputs.iter();
    wanted.map(|wanted| if wanted { inputs.next() } else { None })
}

/// By the moments of the batch: x, perhaps γ, perhaps β, to y, the means and the variances.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchNormTraining {
    pub(super) channels: Channels,
    pub(super) epsilon: f64,
    pub(super) scale: bool,
    pub(super) center: bool,
}

impl Op for BatchNormTraining {
    fn name(&self) -> &'static str {
        "batch_norm_training"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = floats(inputs, 1 + usize::from(self.scale) + usize::from(self.center), &[])?;
        let x = &inputs[0].spec.shape;
        let shape = self.channels.shape(x)?;
        inputs[1..].iter().try_for_each(|parameter| shaped(parameter, &shape, "a parameter"))?;
        let moment = Spec::new(statistic(dtype), shape);
        Ok(vec![Spec::new(dtype, x), moment.clone(), moment])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        room(inputs, &[], self.channels, inputs[0].dims()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let x = inputs[0];
        let room = scratch.take(room(inputs, &[], self.channels, x.dims()))?;
        let [y, mean, variance] = outputs else { return Err(Error::internal("three outputs were inferred")) };
        let sizes = self.channels.sizes(x.dims());
        let [gamma, beta] = parameters(&inputs[1..], [self.scale, self.center]);
        dispatch!(x.dtype(), float T => {
            let (x, room) = x.dense::<T>(room)?;
            let (gamma, room) = dense_if(gamma, room)?;
            let (beta, room) = dense_if(beta, room)?;
            let (sums, _) = carve(room, T::batch_normalization_scratch(sizes))?;
            let (y, mean, variance) = (y.elements()?, mean.elements()?, variance.elements()?);
            T::batch_normalization_training(x, sizes, gamma, beta, self.epsilon, y, mean, variance, sums);
            Ok(())
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let BatchNormTraining { channels, epsilon, scale, center } = *self;
        let (x, mean) = (b.input(0), b.output(1));
        let op = BatchNormGrad { channels, epsilon, scale, training: true, parameters: true };
        let mut inputs = vec![b.dy(0), x, mean, b.output(2)];
        inputs.extend(scale.then(|| b.input(1)));
        let [mut dx, dgamma, dbeta] = super::three(fused_all(op, &inputs)?)?;
        let count = || terms(x, mean, DType::F64);
        if b.arrives(1) {
            dx = dx.add(channels.along(&(b.dy(1) / count()?.cast(mean.dtype())?))?.cast(x.dtype())?)?;
        }
        if b.arrives(2) {
            let slope = channels.along(&(b.dy(2) * (2.0 / count()?).cast(mean.dtype())?))?;
            dx = dx.add(((widened(x)? - channels.along(mean)?) * slope).cast(x.dtype())?)?;
        }
        let learnt = [(scale, dgamma), (center, dbeta)].into_iter().filter(|(there, _)| *there);
        Ok([dx].into_iter().chain(learnt.map(|(_, gradient)| gradient)).map(Some).collect())
    }
}

impl Fused for BatchNormTraining {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        refuse(self, inputs)?;
        let wide = widened_all(inputs, inputs[0].dtype())?;
        let (x, others) = (&wide[0], self.channels.others());
        let mean = x.mean(&*others)?;
        let variance = x.squared_difference(self.channels.along(&mean)?)?.mean(&*others)?;
        let y = self.channels.normal(x, [&mean, &variance], &wide[1..], self.scale, self.epsilon)?;
        Ok(vec![y.cast(inputs[0].dtype())?, mean, variance])
    }
}

/// By moments that are given: x, mean, variance, perhaps γ, perhaps β, to y.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchNorm {
    pub(super) channels: Channels,
    pub(super) epsilon: f64,
    pub(super) scale: bool,
    pub(super) center: bool,
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = floats(inputs, 3 + usize::from(self.scale) + usize::from(self.center), &[1, 2])?;
        let x = &inputs[0].spec.shape;
        let shape = self.channels.shape(x)?;
        inputs[1..3].iter().try_for_each(|moment| shaped(moment, &shape, "a moment"))?;
        inputs[3..].iter().try_for_each(|parameter| shaped(parameter, &shape, "a parameter"))?;
        Ok(vec![Spec::new(dtype, x)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        room(inputs, &[1, 2], self.channels, inputs[0].dims()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let x = inputs[0];
        let room = scratch.take(room(inputs, &[1, 2], self.channels, x.dims()))?;
        let sizes = self.channels.sizes(x.dims());
        let [gamma, beta] = parameters(&inputs[3..], [self.scale, self.center]);
        dispatch!(x.dtype(), float T => {
            let (x, room) = x.dense::<T>(room)?;
            let (mean, room) = statistics(&inputs[1], room)?;
            let (variance, room) = statistics(&inputs[2], room)?;
            let (gamma, room) = dense_if(gamma, room)?;
            let (beta, room) = dense_if(beta, room)?;
            let (sums, _) = carve(room, T::batch_normalization_scratch(sizes))?;
            let y = outputs[0].elements()?;
            T::batch_normalization(x, sizes, mean, variance, gamma, beta, self.epsilon, y, sums);
            Ok(())
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let BatchNorm { channels, epsilon, scale, .. } = *self;
        let [x, mean, variance] = [0, 1, 2].map(|i| b.input(i));
        let gamma = scale.then(|| b.input(3));
        let parameters = (1..b.inputs().len()).any(|i| b.needs(i));
        let op = BatchNormGrad { channels, epsilon, scale, training: false, parameters };
        let mut inputs = vec![b.dy(0), x, mean, variance];
        inputs.extend(gamma);
        let mut gradients = fused_all(op, &inputs)?.into_iter();
        let dx = gradients.next();
        let (Some(dgamma), Some(dbeta)) = (gradients.next(), gradients.next()) else {
            return Ok([dx].into_iter().chain((1..b.inputs().len()).map(|_| None)).collect());
        };
        let inverse = (widened(variance)? + epsilon).rsqrt()?;
        let slope = match gamma {
            Some(gamma) => &inverse * gamma.cast(inverse.dtype())?,
            None => inverse.clone(),
        };
        let [along, plain] = [&dgamma, &dbeta].map(|sum| sum.cast(inverse.dtype()));
        let dmean = b.when(1, || (-(&slope * plain?)).cast(mean.dtype()))?;
        let dvariance = b.when(2, || (&slope * &inverse * along? * -0.5).cast(variance.dtype()))?;
        let learnt =
            [(scale, dgamma), (self.center, dbeta)].into_iter().filter(|(there, _)| *there).map(|(_, d)| Some(d));
        Ok([dx, dmean, dvariance].into_iter().chain(learnt).collect())
    }
}

impl Fused for BatchNorm {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        refuse(self, inputs)?;
        let wide = widened_all(inputs, inputs[0].dtype())?;
        let y = self.channels.normal(&wide[0], [&wide[1], &wide[2]], &wide[3..], self.scale, self.epsilon)?;
        Ok(vec![y.cast(inputs[0].dtype())?])
    }
}

/// The gradients of both: dy, x, mean, variance, perhaps γ, to dx and, where they are asked for, dγ and dβ; the moments
/// are those of the batch (`training`), or do not depend on x.
#[derive(Clone, Copy, Debug)]
struct BatchNormGrad {
    channels: Channels,
    epsilon: f64,
    scale: bool,
    training: bool,
    parameters: bool,
}

impl Op for BatchNormGrad {
    fn name(&self) -> &'static str {
        "batch_norm_grad"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = floats(inputs, 4 + usize::from(self.scale), &[2, 3])?;
        let x = &inputs[1].spec.shape;
        let shape = self.channels.shape(x)?;
        shaped(&inputs[0], x, "the gradient")?;
        inputs[2..4].iter().try_for_each(|moment| shaped(moment, &shape, "a moment"))?;
        inputs[4..].iter().try_for_each(|parameter| shaped(parameter, &shape, "a parameter"))?;
        let sums = std::iter::repeat_n(Spec::new(dtype, shape), if self.parameters { 2 } else { 0 });
        Ok([Spec::new(dtype, x)].into_iter().chain(sums).collect())
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        room(inputs, &[2, 3], self.channels, inputs[1].dims()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let x = inputs[1];
        let room = scratch.take(room(inputs, &[2, 3], self.channels, x.dims()))?;
        let sizes = self.channels.sizes(x.dims());
        let mut outputs = outputs.iter_mut();
        dispatch!(x.dtype(), float T => {
            let (dy, room) = inputs[0].dense::<T>(room)?;
            let (x, room) = x.dense::<T>(room)?;
            let (mean, room) = statistics(&inputs[2], room)?;
            let (variance, room) = statistics(&inputs[3], room)?;
            let (gamma, room) = dense_if(inputs.get(4), room)?;
            let (sums, _) = carve(room, T::batch_normalization_scratch(sizes))?;
            let dx = next(&mut outputs, true)?.unwrap_or_default();
            let (dgamma, dbeta) = (next(&mut outputs, self.parameters)?, next(&mut outputs, self.parameters)?);
            T::batch_normalization_gradient(
                self.training, dy, x, sizes, mean, variance, gamma, self.epsilon, dx, dgamma, dbeta, sums,
            );
            Ok(())
        }, else => Err(unsupported(x.dtype())))
    }
}

impl Fused for BatchNormGrad {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let dtype = inputs[1].dtype();
        let wide = widened_all(inputs, dtype)?;
        let (channels, others) = (self.channels, self.channels.others());
        let (dy, x) = (&wide[0], &wide[1]);
        let inverse = (&wide[3] + self.epsilon).rsqrt()?;
        let normal = (x - channels.along(&wide[2])?) * channels.along(&inverse)?;
        let slope = wide.get(4).map_or(Ok(inverse.clone()), |gamma| gamma.mul(&inverse))?;
        let product = dy * &normal;
        let around = match self.training {
            true => dy - dy.mean_keepdims(&*others)? - &normal * product.mean_keepdims(&*others)?,
            false => dy.clone(),
        };
        let mut gradients = vec![around.mul(channels.along(&slope)?)?];
        if self.parameters {
            gradients.extend([product.sum(&*others)?, dy.sum(&*others)?]);
        }
        gradients.iter().map(|gradient| gradient.cast(dtype)).collect()
    }
    fn differentiates(&self) -> bool {
        false
    }
}

/// Batches of channels in the middle and at the end, and means, variances, γ and β for the tests.
fn samples() -> Result<[(Channels, Tensor, Vec<Tensor>); 2]> {
    let x = (between(-2.0, 3.75, 24)? * 1.5).sin()?;
    let [middle, end] = [(1, [2, 3, 4]), (2, [3, 2, 4])].map(|(axis, dims)| {
        let count = dims[axis] as usize;
        let parameters = [
            between(-0.5, 0.25, count)?,
            between(0.5, 2.0, count)?,
            between(2.0, 0.5, count)?,
            between(-1.0, 0.5, count)?,
        ];
        Ok((Channels { rank: 3, axis }, x.reshape(dims)?, parameters.into()))
    });
    Ok([middle?, end?])
}

const FORMS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

/// What the tests call of [`BatchNormTraining`].
pub(in super::super) fn trainings() -> Result<Vec<FusedCall>> {
    let mut calls = Vec::new();
    for (channels, x, p) in samples()? {
        calls.extend(FORMS.map(|(scale, center)| {
            let form = BatchNormTraining { channels, epsilon: 0.125, scale, center };
            call(form, &[&x, &p[2], &p[3]], &[true, scale, center])
        }));
    }
    Ok(calls)
}

/// What the tests call of [`BatchNorm`].
pub(in super::super) fn inferences() -> Result<Vec<FusedCall>> {
    let mut calls = Vec::new();
    for (channels, x, p) in samples()? {
        calls.extend(FORMS.map(|(scale, center)| {
            let form = BatchNorm { channels, epsilon: 0.125, scale, center };
            call(form, &[&x, &p[0], &p[1], &p[2], &p[3]], &[true, true, true, scale, center])
        }));
    }
    Ok(calls)
}

/// What the tests call of [`BatchNormGrad`].
pub(in super::super) fn gradients() -> Result<Vec<FusedCall>> {
    let dy = between(1.0, -2.0, 24)?;
    let mut calls = Vec::new();
    for (channels, x, p) in samples()? {
        let dy = dy.reshape_as(&x)?.add(&x)?;
        let forms = [(true, true, true), (false, true, true), (true, false, true), (false, false, false)];
        calls.extend(forms.map(|(scale, training, parameters)| {
            let form = BatchNormGrad { channels, epsilon: 0.125, scale, training, parameters };
            call(form, &[&dy, &x, &p[0], &p[1], &p[2]], &[true, true, true, true, scale])
        }));
    }
    Ok(calls)
}
