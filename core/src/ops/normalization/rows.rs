//! Normalisations of rows, the elements of the last axes, each by its own statistics.

use super::super::fused::{Fused, FusedCall, between, fused_all};
use super::super::reduce::{sum_but_last, terms};
use super::{
    call, carve, dense_if, floats, last, moved, next, refuse, shaped, statistic, statistics, widened, widened_all,
    words,
};
use crate::dtype::dispatch;
use crate::op::{Backward, Input, Op, Scratch, View, ViewMut, at_least_rank, unsupported};
use crate::{Error, Result, Shape, Spec, Tensor};
use modulor_kernels::Normalization;

/// The elements of the last so many dims.
fn row(dims: &[usize], axes: usize) -> usize {
    dims[dims.len() - axes..].iter().product()
}

/// How many rows there are.
fn rows(dims: &[usize], axes: usize) -> usize {
    dims[..dims.len() - axes].iter().product()
}

/// The shape of the last so many dims, and that of everything with 1 in their place.
fn by_row(shape: &Shape, axes: usize) -> Result<[Shape; 2]> {
    at_least_rank(shape, axes, "the input")?;
    let Some(dims) = shape.dims() else { return Ok([Shape::unknown(), Shape::unknown()]) };
    let (outer, inner) = dims.split_at(dims.len() - axes);
    Ok([inner.iter().copied().collect(), outer.iter().copied().chain(inner.iter().map(|_| Some(1))).collect()])
}

/// By the mean and the variance of the last axes: x, perhaps γ, perhaps β, to y, the mean and 1/√(variance + ε).
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerNorm {
    pub(super) axes: usize,
    pub(super) epsilon: f64,
    pub(super) scale: bool,
    pub(super) center: bool,
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = floats(inputs, 1 + usize::from(self.scale) + usize::from(self.center), &[])?;
        let x = &inputs[0].spec.shape;
        let [row, outer] = by_row(x, self.axes)?;
        inputs[1..].iter().try_for_each(|parameter| shaped(parameter, &row, "a parameter"))?;
        let outer = Spec::new(statistic(dtype), outer);
        Ok(vec![Spec::new(dtype, x), outer.clone(), outer])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs.iter().map(View::dense_room).sum::<usize>() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let room = scratch.take(inputs.iter().map(View::dense_room).sum())?;
        let [y, mean, inverse] = outputs else { return Err(Error::internal("three outputs were inferred")) };
        let n = row(inputs[0].dims(), self.axes);
        let mut parameters = inputs[1..].iter();
        let [gamma, beta] = [self.scale, self.center].map(|there| there.then(|| parameters.next()).flatten());
        dispatch!(inputs[0].dtype(), float T => {
            let (x, room) = inputs[0].dense::<T>(room)?;
            let (gamma, room) = dense_if(gamma, room)?;
            let (beta, _) = dense_if(beta, room)?;
            let (mean, inverse) = (mean.elements()?, inverse.elements()?);
            T::layer_normalization(x, gamma, beta, n, self.epsilon, y.elements()?, mean, inverse);
            Ok(())
        }, else => Err(unsupported(inputs[0].dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let x = b.input(0);
        let op = LayerNormGrad { axes: self.axes, scale: self.scale, center: self.center };
        let mut inputs = vec![b.dy(0), x, b.output(1), b.output(2)];
        inputs.extend(self.scale.then(|| b.input(1)));
        let mut gradients = fused_all(op, &inputs)?;
        let count = || terms(x, b.output(1), b.output(1).dtype());
        if b.arrives(1) {
            gradients[0] = gradients[0].add((b.dy(1) / count()?).cast(x.dtype())?)?;
        }
        if b.arrives(2) {
            let slope = b.dy(2) * b.output(2) * b.output(2).square()? / count()?;
            gradients[0] = gradients[0].sub(((widened(x)? - b.output(1)) * slope).cast(x.dtype())?)?;
        }
        Ok(gradients.into_iter().map(Some).collect())
    }
}

impl Fused for LayerNorm {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        refuse(self, inputs)?;
        let wide = widened_all(inputs, inputs[0].dtype())?;
        let axes = last(self.axes);
        let mean = wide[0].mean_keepdims(&*axes)?;
        let variance = wide[0].squared_difference(&mean)?.mean_keepdims(&*axes)?;
        let inverse = (variance + self.epsilon).rsqrt()?;
        let y = moved((&wide[0] - &mean) * &inverse, &wide[1..], self.scale)?;
        Ok(vec![y.cast(inputs[0].dtype())?, mean, inverse])
    }
}

/// The gradients of [`LayerNorm`]: dy, x, mean, 1/√(variance + ε), perhaps γ, to dx, perhaps dγ, perhaps dβ.
#[derive(Clone, Copy, Debug)]
struct LayerNormGrad {
    axes: usize,
    scale: bool,
    center: bool,
}

/// What the gradients by rows ask of dy, x, so many statistics and perhaps γ: the specs of dx and of a parameter's.
fn rows_gradient(inputs: &[Input], axes: usize, statistics: &[usize], scale: bool) -> Result<[Spec; 2]> {
    let dtype = floats(inputs, 2 + statistics.len() + usize::from(scale), statistics)?;
    let x = &inputs[1].spec.shape;
    let [row, outer] = by_row(x, axes)?;
    shaped(&inputs[0], x, "the gradient")?;
    statistics.iter().try_for_each(|&at| shaped(&inputs[at], &outer, "a statistic"))?;
    inputs[2 + statistics.len()..].iter().try_for_each(|gamma| shaped(gamma, &row, "a parameter"))?;
    Ok([Spec::new(dtype, x), Spec::new(dtype, row)])
}

/// The words of scratch of a gradient by rows.
fn rows_room(inputs: &[View], axes: usize, statistics: &[usize]) -> usize {
    let dims = inputs[1].dims();
    let copied: usize = statistics.iter().map(|&at| words(inputs[at].len())).sum();
    let dense: usize = (0..inputs.len()).filter(|at| !statistics.contains(at)).map(|at| inputs[at].dense_room()).sum();
    copied + dense + words(<f64 as Normalization>::layer_normalization_scratch(rows(dims, axes), row(dims, axes)))
}

impl Op for LayerNormGrad {
    fn name(&self) -> &'static str {
        "layer_norm_grad"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, parameter] = rows_gradient(inputs, self.axes, &[2, 3], self.scale)?;
        let parameters = std::iter::repeat_n(parameter, usize::from(self.scale) + usize::from(self.center));
        Ok([x].into_iter().chain(parameters).collect())
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        rows_room(inputs, self.axes, &[2, 3]) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let room = scratch.take(rows_room(inputs, self.axes, &[2, 3]))?;
        let dims = inputs[1].dims();
        let (rows, n) = (rows(dims, self.axes), row(dims, self.axes));
        let mut outputs = outputs.iter_mut();
        dispatch!(inputs[1].dtype(), float T => {
            let (dy, room) = inputs[0].dense::<T>(room)?;
            let (x, room) = inputs[1].dense::<T>(room)?;
            let (mean, room) = statistics(&inputs[2], room)?;
            let (inverse, room) = statistics(&inputs[3], room)?;
            let (gamma, room) = dense_if(inputs.get(4), room)?;
            let (sums, _) = carve(room, T::layer_normalization_scratch(rows, n))?;
            let dx = next(&mut outputs, true)?.unwrap_or_default();
            let (dgamma, dbeta) = (next(&mut outputs, self.scale)?, next(&mut outputs, self.center)?);
            T::layer_normalization_gradient(dy, x, mean, inverse, gamma, n, dx, dgamma, dbeta, sums);
            Ok(())
        }, else => Err(unsupported(inputs[1].dtype())))
    }
}

impl Fused for LayerNormGrad {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let wide = widened_all(inputs, inputs[1].dtype())?;
        let (dy, x, mean, inverse) = (&wide[0], &wide[1], &wide[2], &wide[3]);
        let axes = last(self.axes);
        let normal = (x - mean) * inverse;
        let slope = wide.get(4).map_or(Ok(dy.clone()), |gamma| dy.mul(gamma))?;
        let along = (&slope * &normal).mean_keepdims(&*axes)?;
        let dx = (&slope - slope.mean_keepdims(&*axes)? - &normal * along) * inverse;
        let mut gradients = vec![dx];
        if self.scale {
            gradients.push(sum_but_last(&(dy * &normal), self.axes)?);
        }
        if self.center {
            gradients.push(sum_but_last(dy, self.axes)?);
        }
        gradients.iter().map(|gradient| gradient.cast(inputs[1].dtype())).collect()
    }
    fn differentiates(&self) -> bool {
        false
    }
}

/// By the mean of the squares of the last axes: x, perhaps γ, to y and 1/√(mean(x²) + ε).
#[derive(Clone, Copy, Debug)]
pub(super) struct RmsNorm {
    pub(super) axes: usize,
    pub(super) epsilon: f64,
    pub(super) scale: bool,
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = floats(inputs, 1 + usize::from(self.scale), &[])?;
        let x = &inputs[0].spec.shape;
        let [row, outer] = by_row(x, self.axes)?;
        inputs[1..].iter().try_for_each(|gamma| shaped(gamma, &row, "a parameter"))?;
        Ok(vec![Spec::new(dtype, x), Spec::new(statistic(dtype), outer)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs.iter().map(View::dense_room).sum::<usize>() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let room = scratch.take(inputs.iter().map(View::dense_room).sum())?;
        let [y, inverse] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        let n = row(inputs[0].dims(), self.axes);
        dispatch!(inputs[0].dtype(), float T => {
            let (x, room) = inputs[0].dense::<T>(room)?;
            let (gamma, _) = dense_if(inputs.get(1), room)?;
            T::rms_normalization(x, gamma, n, self.epsilon, y.elements()?, inverse.elements()?);
            Ok(())
        }, else => Err(unsupported(inputs[0].dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let x = b.input(0);
        let op = RmsNormGrad { axes: self.axes, scale: self.scale };
        let mut inputs = vec![b.dy(0), x, b.output(1)];
        inputs.extend(self.scale.then(|| b.input(1)));
        let mut gradients = fused_all(op, &inputs)?;
        if b.arrives(1) {
            let count = terms(x, b.output(1), b.output(1).dtype())?;
            let slope = b.dy(1) * b.output(1) * b.output(1).square()? / count;
            gradients[0] = gradients[0].sub((widened(x)? * slope).cast(x.dtype())?)?;
        }
        Ok(gradients.into_iter().map(Some).collect())
    }
}

impl Fused for RmsNorm {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        refuse(self, inputs)?;
        let wide = widened_all(inputs, inputs[0].dtype())?;
        let inverse = (wide[0].square()?.mean_keepdims(&*last(self.axes))? + self.epsilon).rsqrt()?;
        let y = moved(&wide[0] * &inverse, &wide[1..], self.scale)?;
        Ok(vec![y.cast(inputs[0].dtype())?, inverse])
    }
}

/// The gradients of [`RmsNorm`]: dy, x, 1/√(mean(x²) + ε), perhaps γ, to dx, perhaps dγ.
#[derive(Clone, Copy, Debug)]
struct RmsNormGrad {
    axes: usize,
    scale: bool,
}

impl Op for RmsNormGrad {
    fn name(&self) -> &'static str {
        "rms_norm_grad"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, parameter] = rows_gradient(inputs, self.axes, &[2], self.scale)?;
        Ok([x].into_iter().chain(self.scale.then_some(parameter)).collect())
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        rows_room(inputs, self.axes, &[2]) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let room = scratch.take(rows_room(inputs, self.axes, &[2]))?;
        let dims = inputs[1].dims();
        let (rows, n) = (rows(dims, self.axes), row(dims, self.axes));
        let mut outputs = outputs.iter_mut();
        dispatch!(inputs[1].dtype(), float T => {
            let (dy, room) = inputs[0].dense::<T>(room)?;
            let (x, room) = inputs[1].dense::<T>(room)?;
            let (inverse, room) = statistics(&inputs[2], room)?;
            let (gamma, room) = dense_if(inputs.get(3), room)?;
            let (sums, _) = carve(room, T::layer_normalization_scratch(rows, n))?;
            let dx = next(&mut outputs, true)?.unwrap_or_default();
            let dgamma = next(&mut outputs, self.scale)?;
            T::rms_normalization_gradient(dy, x, inverse, gamma, n, dx, dgamma, sums);
            Ok(())
        }, else => Err(unsupported(inputs[1].dtype())))
    }
}

impl Fused for RmsNormGrad {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let wide = widened_all(inputs, inputs[1].dtype())?;
        let (dy, x, inverse) = (&wide[0], &wide[1], &wide[2]);
        let normal = x * inverse;
        let slope = wide.get(3).map_or(Ok(dy.clone()), |gamma| dy.mul(gamma))?;
        let along = (&slope * &normal).mean_keepdims(&*last(self.axes))?;
        let mut gradients = vec![(slope - &normal * along) * inverse];
        if self.scale {
            gradients.push(sum_but_last(&(dy * &normal), self.axes)?);
        }
        gradients.iter().map(|gradient| gradient.cast(inputs[1].dtype())).collect()
    }
    fn differentiates(&self) -> bool {
        false
    }
}

/// Rows, γ and β for the tests.
fn samples() -> Result<[Tensor; 3]> {
    let x = (between(-2.0, 3.75, 24)? * 1.5).sin()?.reshape([2, 3, 4])?;
    Ok([x, between(0.5, 2.0, 4)?, between(-1.0, 0.5, 4)?])
}

/// What the tests call of [`LayerNorm`].
pub(in super::super) fn layer_norms() -> Result<Vec<FusedCall>> {
    let [x, gamma, beta] = samples()?;
    let forms = [(true, true), (true, false), (false, true), (false, false)];
    let mut calls: Vec<FusedCall> = forms
        .map(|(scale, center)| {
            let form = LayerNorm { axes: 1, epsilon: 0.125, scale, center };
            call(form, &[&x, &gamma, &beta], &[true, scale, center])
        })
        .into();
    let plane = between(0.25, 1.75, 12)?.reshape([3, 4])?;
    calls.push(call(LayerNorm { axes: 2, epsilon: 0.0, scale: true, center: false }, &[&x, &plane], &[true; 2]));
    Ok(calls)
}

/// What the tests call of [`LayerNormGrad`].
pub(in super::super) fn layer_norm_grads() -> Result<Vec<FusedCall>> {
    let [x, gamma, _] = samples()?;
    let dy = between(1.0, -2.0, 24)?.reshape([2, 3, 4])?.add(&x)?;
    let of = |axes, gamma: &Tensor, scale, center| {
        let plain = LayerNorm { axes, epsilon: 0.125, scale: false, center: false };
        let outputs = plain.body(&[&x])?;
        let form = LayerNormGrad { axes, scale, center };
        Ok(call(form, &[&dy, &x, &outputs[1], &outputs[2], gamma], &[true, true, true, true, scale]))
    };
    let plane = between(0.25, 1.75, 12)?.reshape([3, 4])?;
    Ok(vec![of(1, &gamma, true, true)?, of(1, &gamma, false, true)?, of(2, &plane, true, false)?])
}

/// What the tests call of [`RmsNorm`].
pub(in super::super) fn rms_norms() -> Result<Vec<FusedCall>> {
    let [x, gamma, _] = samples()?;
    let of = |axes, gamma: &Tensor, scale| call(RmsNorm { axes, epsilon: 0.125, scale }, &[&x, gamma], &[true, scale]);
    Ok(vec![of(1, &gamma, true), of(1, &gamma, false), of(2, &between(0.25, 1.75, 12)?.reshape([3, 4])?, true)])
}

/// What the tests call of [`RmsNormGrad`].
pub(in super::super) fn rms_norm_grads() -> Result<Vec<FusedCall>> {
    let [x, gamma, _] = samples()?;
    let dy = between(1.0, -2.0, 24)?.reshape([2, 3, 4])?.add(&x)?;
    let inverse = RmsNorm { axes: 1, epsilon: 0.125, scale: false }.body(&[&x])?.swap_remove(1);
    let of = |scale| {
        let form = RmsNormGrad { axes: 1, scale };
        call(form, &[&dy, &x, &inverse, &gamma], &[true, true, true, scale])
    };
    Ok(vec![of(true), of(false)])
}
