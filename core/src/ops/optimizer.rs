//! The step of an optimizer for one variable, in one pass over its memory.

use super::fused::{Fused, fused_all};
use super::math::one_shape;
use super::state;
use crate::dtype::dispatch;
use crate::op::{
    Effect, Input, Op, Scratch, Values, View, ViewMut, allocate, allowed, same_dtype, unsupported, with_rank,
};
use crate::{DType, Error, Result, Spec, Tensor};
use modulor_kernels::Float;

pub use modulor_kernels::Update;

/// The most slots of an update.
const SLOTS: usize = 3;

/// An optimizer's rule with its settings: how value and slots change by a gradient.
///
/// Of a value w, its gradient and its slots, all of one float dtype and shape, and the learning rate and the number of the
/// step, scalars of that dtype, it makes the next value and the next slots by the formula of [`Update`]. f16 and bf16 are
/// computed in f32 and rounded once. Where a tape listens, and in a graph, it is the formula in tensor operations.
///
/// ```
/// use modulor_core::Tensor;
/// use modulor_core::ops::optimizer::{Update, UpdateStep};
/// # fn main() -> modulor_core::Result<()> {
/// let step = UpdateStep { update: Update::Momentum { momentum: 0.5, nesterov: false }, weight_decay: None };
/// let [w, g, m] = [[3.0, 4.0], [2.0, 0.0], [1.0, 1.0]].map(Tensor::from);
/// let after = step.call(&w, &g, &[&m], &Tensor::scalar(0.125), &Tensor::scalar(1.0))?;
/// assert_eq!(after[0].to_vec::<f64>()?, [3.25, 4.5]);
/// assert_eq!(after[1].to_vec::<f64>()?, [0.25, 0.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateStep {
    /// The rule.
    pub update: Update,
    /// The part of the value, times the learning rate, that it loses before the rule.
    pub weight_decay: Option<f64>,
}

impl UpdateStep {
    /// The value after the step, and the slots.
    pub fn call(
        self,
        value: &Tensor,
        gradient: &Tensor,
        slots: &[&Tensor],
        learning_rate: &Tensor,
        number: &Tensor,
    ) -> Result<Vec<Tensor>> {
        fused_all(self, &[&[value, gradient, learning_rate, number], slots].concat())
    }

    /// Changes a value and its slots to what they are after the step, each in its own elements where nobody else holds
    /// them; `spares` has other elements for the rest, by [`spare`](UpdateStep::spare).
    pub(crate) fn change(&self, parts: &mut [Tensor], others: &[Tensor; 3], spares: Vec<Option<Tensor>>) -> Result<()> {
        let mut held = [const { None }; 1 + SLOTS];
        for ((part, spare), held) in parts.iter_mut().zip(spares).zip(&mut held) {
            if let Some(spare) = spare {
                *held = Some(std::mem::replace(part, spare));
            }
        }
        let before = held[..parts.len()].iter().map(|held| held.as_ref().map(View::of).transpose());
        let before = before.collect::<Result<Vec<_>>>()?;
        let views = others.each_ref().map(View::of);
        let [Ok(gradient), Ok(rate), Ok(number)] = &views else {
            return Err(Error::internal("plain values have views"));
        };
        let mut outputs = parts.iter_mut().map(place).collect::<Result<Vec<_>>>()?;
        self.kernel(&before, [gradient, rate, number], &mut outputs)
    }

    /// Changes a value and its slots, which the outputs hold, by gradient, learning rate and number of the step.
    pub(crate) fn run_in_place(&self, others: [&View; 3], outputs: &mut [ViewMut]) -> Result<()> {
        self.kernel(&[const { None }; 1 + SLOTS][..outputs.len()], others, outputs)
    }

    /// Other elements for those of a value and its slots that somebody else holds, after a check that all is as the step
    /// asks for.
    pub(crate) fn spare(&self, parts: &mut [Tensor], others: &[Tensor; 3]) -> Result<Vec<Option<Tensor>>> {
        let inputs = parts.iter().take(1).chain(others).chain(parts.iter().skip(1));
        let inputs: Vec<Input> = inputs.map(|input| Input { spec: input.spec(), value: Some(input) }).collect();
        let specs = self.infer(&inputs).map_err(|error| error.in_op(self.name()))?;
        let spare = |(part, spec): (&mut Tensor, Spec)| match part.elements_mut() {
            Some(_) => Ok(None),
            None => {
                let made = allocate(&[spec])?.pop();
                Ok(made.map(|(dims, plain)| Tensor::plain(part.dtype(), dims, plain)))
            }
        };
        parts.iter_mut().zip(specs).map(spare).collect()
    }

    /// Runs the kernel on value and slots, which stand in the outputs where there is no view of them, and on gradient,
    /// learning rate and number of the step.
    fn kernel(&self, before: &[Option<View>], others: [&View; 3], outputs: &mut [ViewMut]) -> Result<()> {
        let [gradient, rate, number] = others;
        let dtype = gradient.dtype();
        dispatch!(dtype, float T => {
            let (mut old, mut new): ([_; 1 + SLOTS], [&mut [T]; 1 + SLOTS]) = ([None; _], Default::default());
            let count = outputs.len();
            for (old, view) in old.iter_mut().zip(before) {
                *old = view.as_ref().map(View::elements).transpose()?;
            }
            for (new, output) in new.iter_mut().zip(outputs) {
                *new = output.elements()?;
            }
            let (old, new) = (&old[..count], &mut new[..count]);
            let scalars = [scalar(rate)?, scalar(number)?];
            T::update(self.update, self.weight_decay, scalars, old, gradient.elements()?, new);
            Ok(())
        }, else => Err(unsupported(dtype)))
    }

    /// How many slots there are.
    fn slots(&self) -> usize {
        match self.update {
            Update::Descent => 0,
            Update::Momentum { .. } => 1,
            Update::Adam { amsgrad, .. } => 2 + usize::from(amsgrad),
            Update::RmsProp { momentum, centered, .. } => 1 + usize::from(momentum != 0.0) + usize::from(centered),
        }
    }
}

/// The elements of a tensor, which nobody else holds.
fn place(part: &mut Tensor) -> Result<ViewMut<'_>> {
    let dtype = part.dtype();
    let (dims, bytes) = part.elements_mut().ok_or_else(|| Error::internal("somebody else holds a spare"))?;
    ViewMut::new(dtype, dims, bytes)
}

/// The one element of a scalar.
fn scalar<T: bytemuck::Pod>(view: &View) -> Result<T> {
    let one = view.elements::<T>()?.as_slice().and_then(|one| one.first());
    one.copied().ok_or_else(|| Error::internal("a scalar lies in one place"))
}

impl Op for UpdateStep {
    fn name(&self) -> &'static str {
        "update_step"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let (slots, given) = (self.slots(), inputs.len());
        let [value, gradient, rate, number, remembered @ ..] = inputs else {
            return Err(Error::invalid_argument(format!("expected {} inputs, and {given} were given", 4 + slots)));
        };
        if remembered.len() != slots {
            return Err(Error::invalid_argument(format!("expected {} inputs, and {given} were given", 4 + slots)));
        }
        let dtype = allowed(same_dtype(inputs)?, DType::is_float, "floats")?;
        with_rank(&rate.spec.shape, 0, "the learning rate")?;
        with_rank(&number.spec.shape, 0, "the number of the step")?;
        let shape = one_shape(&[&[*value, *gradient], remembered].concat())?;
        Ok(vec![Spec::new(dtype, shape); 1 + slots])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let [value, gradient, rate, number, slots @ ..] = inputs else {
            return Err(Error::internal("inference lets four inputs through, and slots"));
        };
        let before: Vec<_> = [value].into_iter().chain(slots).copied().map(Some).collect();
        self.kernel(&before, [gradient, rate, number], outputs)
    }
}

impl Fused for UpdateStep {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (value, gradient, rate, number, slots) = (inputs[0], inputs[1], inputs[2], inputs[3], &inputs[4..]);
        let value = match self.weight_decay {
            Some(decay) => &(value - value * decay * rate),
            None => value,
        };
        match self.update {
            Update::Descent => Ok(vec![value.sub(gradient * rate)?]),
            Update::Momentum { momentum: part, nesterov } => {
                let change = gradient * rate;
                let momentum = (slots[0] * part).sub(&change)?;
                let way = if nesterov { &momentum * part - change } else { momentum.clone() };
                Ok(vec![value.add(way)?, momentum])
            }
            Update::Adam { beta_1, beta_2, powers: [power_1, power_2], epsilon, .. } => {
                let power = |beta| Tensor::number(beta, value.dtype())?.pow(number);
                let alpha = rate * (1.0 - power(power_2)?).sqrt()? / (1.0 - power(power_1)?);
                let momentum = slots[0].add((gradient - slots[0]) * (1.0 - beta_1))?;
                let velocity = slots[1].add((gradient.square()? - slots[1]) * (1.0 - beta_2))?;
                let greatest = slots.get(2).map(|greatest| greatest.maximum(&velocity)).transpose()?;
                let divisor = greatest.as_ref().unwrap_or(&velocity).sqrt()? + epsilon;
                let value = value.sub(&momentum * alpha / divisor)?;
                Ok([value, momentum, velocity].into_iter().chain(greatest).collect())
            }
            Update::RmsProp { rho, momentum: part, epsilon, centered } => {
                let running = |mean: &Tensor, new: &Tensor| (rho * mean).add((1.0 - rho) * new);
                let velocity = running(slots[0], &gradient.square()?)?;
                let mean = slots.last().filter(|_| centered).map(|mean| running(mean, gradient)).transpose()?;
                let variance = match &mean {
                    Some(mean) => &velocity - mean.square()?,
                    None => velocity.clone(),
                };
                let change = rate * gradient / (variance + epsilon).sqrt()?;
                let momentum = match part {
                    0.0 => None,
                    _ => Some((part * slots[1]).add(&change)?),
                };
                let value = value.sub(momentum.as_ref().unwrap_or(&change))?;
                Ok([value, velocity].into_iter().chain(momentum).chain(mean).collect())
            }
        }
    }
    fn differentiates(&self) -> bool {
        false
    }
}

/// An [`UpdateStep`] of variables: the handles of the one that it changes, of its gradient's, the learning rate's and the
/// number's values, and the handles of the slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpdateVariable(pub UpdateStep);

impl UpdateVariable {
    /// Which inputs are handles, in the order of the results.
    fn handles<'a>(inputs: &[&'a Tensor]) -> impl Iterator<Item = &'a Tensor> {
        let changed: Vec<&Tensor> = inputs.iter().take(1).chain(inputs.iter().skip(4)).copied().collect();
        changed.into_iter()
    }

    /// What the step makes of what `read` gives for the handles.
    fn after(&self, inputs: &[&Tensor], read: impl FnMut(&Tensor) -> Result<Tensor>) -> Result<Vec<Tensor>> {
        let held = UpdateVariable::handles(inputs).map(read).collect::<Result<Vec<_>>>()?;
        let slots: Vec<&Tensor> = held[1..].iter().collect();
        self.0.call(&held[0], inputs[1], &slots, inputs[2], inputs[3])
    }
}

impl Op for UpdateVariable {
    fn name(&self) -> &'static str {
        "update_step"
    }
    fn effect(&self) -> Effect {
        Effect::Writes
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let handle = |at: usize| at == 0 || at >= 4;
        let held = |(at, input): (usize, &Input)| match input.value.filter(|_| handle(at)) {
            Some(value) => value.as_resource()?.spec(),
            None if handle(at) => Err(Error::unimplemented("an optimizer changes variables that are known")),
            None => Ok(input.spec.clone()),
        };
        let specs = inputs.iter().enumerate().map(held).collect::<Result<Vec<_>>>()?;
        self.0.infer(&specs.iter().map(|spec| Input { spec, value: None }).collect::<Vec<_>>())?;
        Ok(Vec::new())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let after = self.after(inputs, |handle| handle.as_resource()?.read())?;
        for (handle, after) in UpdateVariable::handles(inputs).zip(after) {
            handle.as_resource()?.write(after)?;
        }
        Ok(Vec::new())
    }
    fn on_values(&self, inputs: &[&Tensor], values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
        let mut write = || {
            let after = self.after(inputs, |handle| values.value(handle))?;
            UpdateVariable::handles(inputs).zip(after).try_for_each(|(handle, after)| values.assign(handle, after))?;
            Ok(Vec::new())
        };
        Some(write())
    }
}

impl Fused for UpdateVariable {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let held: Vec<&Tensor> = UpdateVariable::handles(inputs).collect();
        let dtype = inputs[1].dtype();
        let values = held.iter().map(|handle| state::read(handle, dtype)).collect::<Result<Vec<_>>>()?;
        let rest = [inputs[1], inputs[2], inputs[3]];
        let all: Vec<&Tensor> = values.iter().take(1).chain(rest).chain(values.iter().skip(1)).collect();
        let after = self.0.body(&all)?;
        held.iter().zip(&after).try_for_each(|(handle, after)| state::assign(handle, after))?;
        Ok(Vec::new())
    }
    fn differentiates(&self) -> bool {
        false
    }
}
