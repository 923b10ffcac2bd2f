//! One step: what happens to gradients, variables and slots, in Keras's order.

use super::class::as_cast;
use super::{Optimizer, Parts, Rule, SlotValues};
use crate::initializer::Constant;
use modulor::ops::optimizer::{Update, UpdateStep};
use modulor::variable::{Declaration, Initializer, IntoInit, VariableUpdate, commit, commit_updates};
use modulor::{DType, Error, GradientTape, Result, Tensor, Variable, module, scope};
use std::collections::HashSet;
use std::sync::Arc;

/// The slot of `use_ema`.
const AVERAGE: &str = "average";
/// The slot of `gradient_accumulation_steps`.
const ACCUMULATOR: &str = "gradient_accumulator";

/// What a rule may know of the step, beside the variable.
#[derive(Debug)]
pub struct Step {
    learning_rate: Tensor,
    number: Tensor,
    shared: Option<Tensor>,
}

impl Step {
    /// The learning rate, a scalar.
    pub fn learning_rate(&self, dtype: DType) -> Result<Tensor> {
        self.learning_rate.cast(dtype)
    }

    /// The number of the update, a scalar: 1 for the first.
    pub fn number(&self, dtype: DType) -> Result<Tensor> {
        self.number.cast(dtype)
    }

    /// What the rule remembers of all variables together, as it is in this update.
    pub fn shared(&self, dtype: DType) -> Result<Tensor> {
        let shared = self.shared.as_ref();
        shared.ok_or_else(|| Error::internal("this rule has nothing that is shared"))?.cast(dtype)
    }

    /// `base` to the power of the number of the update, a scalar.
    pub fn power(&self, base: f64, dtype: DType) -> Result<Tensor> {
        Tensor::scalar(base).cast(dtype)?.pow(self.number(dtype)?)
    }

    /// The value after a step by the rule's fused update, with or without weight decay; the slots become what they are
    /// then.
    pub(super) fn follow(
        &self,
        rule: &(impl Rule + ?Sized),
        weight_decay: Option<f64>,
        value: &Tensor,
        gradient: &Tensor,
        slots: &mut SlotValues,
    ) -> Result<Tensor> {
        let update = rule.fused().ok_or_else(|| Error::internal("this rule has no fused update"))?;
        let kinds = rule.slots().concat();
        let before = kinds.iter().map(|kind| slots.get(kind)).collect::<Result<Vec<_>>>()?;
        let (rate, number) = (self.learning_rate(value.dtype())?, self.number(value.dtype())?);
        let step = UpdateStep { update, weight_decay };
        let mut after = step.call(value, gradient, &before.iter().collect::<Vec<_>>(), &rate, &number)?.into_iter();
        let value = after.next().ok_or_else(|| Error::internal("an update gave no value"))?;
        kinds.iter().zip(after).for_each(|(kind, slot)| slots.set(kind, &slot));
        Ok(value)
    }
}

/// The names of all slots of an optimizer, in groups that are made together.
fn groups(optimizer: &(impl Optimizer + ?Sized)) -> Vec<&'static [&'static str]> {
    let parts = optimizer.parts();
    let average: &[&[_]] = if parts.use_ema { &[&[AVERAGE]] } else { &[] };
    let accumulator: &[&[_]] = if parts.gradient_accumulation_steps.is_some() { &[&[ACCUMULATOR]] } else { &[] };
    [average, accumulator, &optimizer.slots()].concat()
}

pub(super) fn prepare(optimizer: &(impl Optimizer + ?Sized), variables: &[Variable]) -> Result<()> {
    let parts = optimizer.parts();
    parts.check()?;
    optimizer.check()?;
    if parts.iteration.path().is_none() {
        module::name::stamp(optimizer, parts.name);
    }
    let path = parts.iteration.path().unwrap_or_default();
    let root = path.rsplit_once('/').map_or("", |(root, _)| root);
    let trained: Vec<&Variable> = variables.iter().filter(|variable| variable.trainable()).collect();
    for variable in &trained {
        if !variable.value()?.dtype().is_float() {
            return Err(Error::invalid_argument(format!("optimizers update floats, and there is {variable}")));
        }
    }
    let is_rules = |kind: &str| ![AVERAGE, ACCUMULATOR].contains(&kind);
    for group in groups(optimizer) {
        for variable in &trained {
            for kind in group.iter().filter(|kind| optimizer.keeps(variable, kind)) {
                let dims = |of: &[usize]| if is_rules(kind) { optimizer.dims(kind, of) } else { of.to_vec() };
                let initial = || -> Result<Arc<dyn Initializer>> {
                    Ok(match is_rules(kind) {
                        true if optimizer.begins_as_variable(kind) => variable.value()?.into_init(),
                        true => Arc::new(Constant { value: optimizer.initial(kind) }),
                        false => Arc::new(Constant { value: 0.0 }),
                    })
                };
                parts.slots.make(variable, kind, root, dims, initial)?;
            }
        }
    }
    if let (Some((shared, value)), Some(first)) = (optimizer.shared(), trained.first())
        && !shared.is_valued()
    {
        let declaration = Declaration::new(Arc::new(Constant { value }));
        let (shape, dtype) = (Some(Vec::new()), Some(first.dtype()));
        shared.declare(Declaration { shape, dtype, trainable: false, weight: false, ..declaration });
    }
    Ok(())
}

/// A variable on its way through a step.
struct Moving<'a> {
    variable: &'a Variable,
    value: Tensor,
    gradient: Option<Tensor>,
    slots: SlotValues,
}

pub(super) fn apply(optimizer: &(impl Optimizer + ?Sized), gradients: &[(Variable, Option<Tensor>)]) -> Result<()> {
    if gradients.is_empty() {
        return Ok(());
    }
    let parts = optimizer.parts();
    let _turn = parts.slots.turn();
    scope::without_tapes(|| changes(optimizer, &parts, gradients)?.commit())
}

/// All that steps change.
#[derive(Default)]
pub(super) struct Changes {
    writes: Vec<(Variable, Tensor)>,
    updates: Vec<VariableUpdate>,
}

impl Changes {
    /// And what other steps change.
    pub(super) fn extend(&mut self, others: Changes) {
        self.writes.extend(others.writes);
        self.updates.extend(others.updates);
    }

    /// And a new value.
    pub(super) fn write(&mut self, variable: &Variable, value: Tensor) {
        self.writes.push((variable.clone(), value));
    }

    /// Writes all of it at once.
    pub(super) fn commit(self) -> Result<()> {
        match self.updates.is_empty() {
            true => commit(self.writes),
            false => commit_updates(&self.writes, &self.updates),
        }
    }
}

/// What a step of an optimizer with these parts changes; the caller has the turn.
pub(super) fn changes(
    optimizer: &(impl Optimizer + ?Sized),
    parts: &Parts,
    gradients: &[(Variable, Option<Tensor>)],
) -> Result<Changes> {
    let trained = trained(gradients)?;
    prepare(optimizer, &trained.iter().map(|(variable, _)| variable.clone()).collect::<Vec<_>>())?;
    match optimizer.fused().filter(|_| is_plain(parts, &trained)) {
        Some(update) => updates(optimizer, parts, update, &trained),
        None => Ok(Changes { writes: writes(optimizer, parts, &trained)?, updates: Vec::new() }),
    }
}

/// Whether a step is nothing but the rule: no value or slot is needed before or after it.
fn is_plain(parts: &Parts, pairs: &[&(Variable, Option<Tensor>)]) -> bool {
    let constrained = |(variable, _): &&(Variable, Option<Tensor>)| {
        variable.declaration().is_some_and(|declaration| declaration.constraint.is_some())
    };
    !parts.use_ema && parts.gradient_accumulation_steps.is_none() && !pairs.iter().any(constrained)
}

/// What a step changes that is nothing but a rule of core's.
fn updates(
    optimizer: &(impl Optimizer + ?Sized),
    parts: &Parts,
    update: Update,
    pairs: &[&(Variable, Option<Tensor>)],
) -> Result<Changes> {
    let given = pairs.iter().filter_map(|(variable, gradient)| Some((variable, gradient.as_ref()?)));
    let fitted = given.map(|(variable, gradient)| Ok((variable, fitting(parts, variable, gradient)?)));
    let mut fitted = fitted.collect::<Result<Vec<_>>>()?;
    clip(parts, &mut fitted.iter_mut().map(|(_, gradient)| gradient).collect::<Vec<_>>())?;

    let iteration = parts.iteration.read()?;
    let count = &iteration + 1.0;
    count.check()?;
    let step = Step { learning_rate: parts.learning_rate.read(&iteration)?, number: count.clone(), shared: None };
    let (rule, kinds) =
        (UpdateStep { update, weight_decay: parts.weight_decay.map(as_cast) }, optimizer.slots().concat());
    let updates = fitted.into_iter().map(|(variable, gradient)| {
        gradient.check()?;
        Ok(VariableUpdate {
            step: rule,
            variable: variable.clone(),
            slots: kinds.iter().map(|kind| parts.slots.of(variable, kind)).collect::<Result<_>>()?,
            learning_rate: step.learning_rate(gradient.dtype())?,
            number: step.number(gradient.dtype())?,
            gradient,
        })
    });
    Ok(Changes { writes: vec![(parts.iteration.clone(), count)], updates: updates.collect::<Result<_>>()? })
}

/// The pairs that count, if there is a gradient in any of them.
pub(super) fn trained(gradients: &[(Variable, Option<Tensor>)]) -> Result<Vec<&(Variable, Option<Tensor>)>> {
    let names = |pairs: &[&(Variable, Option<Tensor>)]| {
        let labels = pairs.iter().map(|(variable, _)| format!("`{}`", label(variable)));
        labels.collect::<Vec<_>>().join(", ")
    };
    let mut met = HashSet::new();
    if let Some((variable, _)) = gradients.iter().find(|(variable, _)| !met.insert(variable.id())) {
        return Err(Error::invalid_argument(format!("variable `{}` is given twice", label(variable))));
    }
    let trained: Vec<_> = gradients.iter().filter(|(variable, _)| variable.trainable()).collect();
    if trained.is_empty() {
        let all: Vec<_> = gradients.iter().collect();
        return Err(Error::invalid_argument(format!("there is nothing to train: {} not trainable", names(&all))));
    }
    if trained.iter().all(|(_, gradient)| gradient.is_none()) {
        return Err(Error::invalid_argument(format!("there is no gradient for any variable: {}", names(&trained))));
    }
    Ok(trained)
}

fn label(variable: &Variable) -> String {
    variable.path().unwrap_or_else(|| variable.name())
}

/// All that a step changes, with the new values.
fn writes(
    optimizer: &(impl Optimizer + ?Sized),
    parts: &Parts,
    pairs: &[&(Variable, Option<Tensor>)],
) -> Result<Vec<(Variable, Tensor)>> {
    let kinds: Vec<&'static str> = groups(optimizer).concat();
    let mut moving = Vec::with_capacity(pairs.len());
    for (variable, gradient) in pairs {
        let value = variable.read()?;
        let gradient = gradient.as_ref().map(|gradient| fitting(parts, variable, gradient)).transpose()?;
        let mut slots = SlotValues::default();
        for kind in kinds.iter().filter(|kind| optimizer.keeps(variable, kind)) {
            slots.set(kind, &parts.slots.of(variable, kind)?.read()?);
        }
        moving.push(Moving { variable, value, gradient, slots });
    }

    let iteration = parts.iteration.read()?;
    let updates = match parts.gradient_accumulation_steps {
        Some(steps) => iteration.floor_div(f64::from(steps))?,
        None => iteration.clone(),
    };
    let mut step = Step { learning_rate: parts.learning_rate.read(&iteration)?, number: &updates + 1.0, shared: None };
    let shared = optimizer.shared().map(|(variable, _)| Ok::<_, Error>((variable, variable.read()?))).transpose()?;
    if let Some((_, before)) = &shared {
        step.shared = Some(optimizer.advance(before, &step)?);
    }
    match parts.gradient_accumulation_steps {
        Some(steps) => accumulate(optimizer, &mut moving, &step, &iteration, f64::from(steps))?,
        None => update(optimizer, &mut moving, &step)?,
    }
    if parts.use_ema {
        average(parts, &mut moving, &updates)?;
    }
    let mut writes = vec![(parts.iteration.clone(), &iteration + 1.0)];
    if let (Some((variable, before)), Some(after)) = (shared, step.shared) {
        let after = match parts.gradient_accumulation_steps {
            Some(steps) => is_due(&iteration, steps.into())?.select(&after, &before)?,
            None => after,
        };
        writes.push((variable.clone(), after));
    }
    for Moving { variable, value, gradient, slots } in moving {
        let constraint = variable.declaration().and_then(|declaration| declaration.constraint);
        let value = match constraint.filter(|_| gradient.is_some()) {
            Some(constraint) => constraint.project(&value).map_err(|error| error.within(label(variable)))?,
            None => value,
        };
        writes.push((variable.clone(), value));
        for kind in kinds.iter().filter(|kind| optimizer.keeps(variable, kind)) {
            writes.push((parts.slots.of(variable, kind)?, slots.get(kind)?));
        }
    }
    writes.iter().try_for_each(|(_, value)| value.check())?;
    Ok(writes)
}

/// A gradient in the dtype of its variable, and as if the loss had not been scaled.
fn fitting(parts: &Parts, variable: &Variable, gradient: &Tensor) -> Result<Tensor> {
    gradient.check()?;
    let dims = variable.shape().unwrap_or_default();
    if !gradient.shape().is_compatible_with(&dims.into()) {
        return Err(Error::invalid_argument(format!("{variable} has a gradient of shape {}", gradient.shape())));
    }
    let gradient = gradient.cast(variable.dtype())?;
    Ok(match parts.loss_scale_factor {
        Some(scale) => gradient / scale,
        None => gradient,
    })
}

/// Clips all gradients, then lets every variable decay and follow the rule.
fn update(optimizer: &(impl Optimizer + ?Sized), moving: &mut [Moving], step: &Step) -> Result<()> {
    let parts = optimizer.parts();
    clip(&parts, &mut moving.iter_mut().filter_map(|moving| moving.gradient.as_mut()).collect::<Vec<_>>())?;
    for Moving { variable, value, gradient, slots } in moving {
        let Some(gradient) = gradient else { continue };
        let decay = optimizer.decay(variable, parts.weight_decay).map(as_cast);
        let updated = match (optimizer.fused(), decay) {
            (Some(_), _) => step.follow(optimizer, decay, value, gradient, slots),
            (None, None) => optimizer.update(value, gradient, slots, step),
            (None, Some(decay)) => {
                let kept = &*value - &*value * decay * step.learning_rate(value.dtype())?;
                optimizer.update(&kept, gradient, slots, step)
            }
        };
        *value = updated.map_err(|error| error.within(label(variable)))?;
    }
    Ok(())
}

/// Whether a step is the last of so many whose gradients make one update.
fn is_due(iteration: &Tensor, steps: f64) -> Result<Tensor> {
    (iteration + 1.0).floor_mod(steps)?.equal(0.0)
}

/// Adds the gradients to those of earlier steps; every so many steps, [`update`]s with their mean and begins anew.
fn accumulate(
    optimizer: &(impl Optimizer + ?Sized),
    moving: &mut [Moving],
    step: &Step,
    iteration: &Tensor,
    steps: f64,
) -> Result<()> {
    let due = is_due(iteration, steps)?;
    let mut sums = Vec::with_capacity(moving.len());
    let mut before = Vec::with_capacity(moving.len());
    for Moving { value, gradient, slots, .. } in &mut *moving {
        let sum = gradient.as_ref().map(|gradient| slots.get(ACCUMULATOR)?.add(gradient)).transpose()?;
        *gradient = sum.as_ref().map(|sum| sum / steps);
        sums.push(sum);
        before.push((value.clone(), slots.clone()));
    }
    update(optimizer, moving, step)?;
    for ((Moving { value, slots, .. }, sum), (value_before, slots_before)) in moving.iter_mut().zip(sums).zip(before) {
        let Some(sum) = sum else { continue };
        *value = due.select(value, &value_before)?;
        for (kind, after) in slots.iter_mut() {
            *after = due.select(after, &slots_before.get(kind)?)?;
        }
        slots.set(ACCUMULATOR, &due.select(&sum.zeros_like()?, &sum)?);
    }
    Ok(())
}

/// The value enters the average; now and then the average becomes the value.
fn average(parts: &Parts, moving: &mut [Moving], updates: &Tensor) -> Result<()> {
    for Moving { value, slots, .. } in moving {
        // The first average is the value itself.
        let momentum = updates.not_equal(0.0)?.cast(value.dtype())? * parts.ema_momentum;
        let average = &momentum * slots.get(AVERAGE)? + (1.0 - &momentum) * &*value;
        slots.set(AVERAGE, &average);
        if let Some(often) = parts.ema_overwrite_frequency {
            let due = (updates + 1.0).floor_mod(f64::from(often))?.equal(0.0)?;
            *value = due.select(&average, value)?;
        }
    }
    Ok(())
}

/// Makes gradients shorter, by whichever of the three ways is set.
fn clip(parts: &Parts, gradients: &mut [&mut Tensor]) -> Result<()> {
    let global = match parts.global_clipnorm {
        Some(limit) => {
            let squares = gradients.iter().map(|gradient| wide(gradient)?.square()?.sum(..)?.cast(DType::F64));
            let norm = squares.collect::<Result<Vec<_>>>().and_then(|squares| Tensor::stack(&squares, 0)?.sum(..))?;
            let norm = norm.sqrt()?;
            let factor = limit * (1.0 / &norm).minimum(1.0 / limit)?;
            // An infinite norm must not turn into a factor of 0, which would hide it: it becomes NaN.
            Some(factor + &norm * 0.0)
        }
        None => None,
    };
    for gradient in gradients {
        if let Some(factor) = &global {
            **gradient = gradient.mul(factor.cast(gradient.dtype())?)?;
        } else if let Some(limit) = parts.clipnorm {
            let norm = wide(gradient)?.square()?.sum(..)?.sqrt()?.cast(gradient.dtype())?;
            **gradient = &**gradient * limit / norm.maximum(limit)?;
        } else if let Some(limit) = parts.clipvalue {
            **gradient = gradient.maximum(-limit)?.minimum(limit)?;
        }
    }
    Ok(())
}

/// In a dtype in which squares of half precision do not overflow.
fn wide(gradient: &Tensor) -> Result<Tensor> {
    gradient.cast(if gradient.dtype() == DType::F64 { DType::F64 } else { DType::F32 })
}

/// The gradients of a loss that is weighted if there is a weight, of which one at least must be there.
pub(super) fn gradients(
    tape: &GradientTape,
    loss: &Tensor,
    weight: Option<Tensor>,
    variables: &[Variable],
) -> Result<Vec<Option<Tensor>>> {
    let gradients = tape.gradients_with(&[(loss.clone(), weight)], variables, Default::default())?;
    let missing = variables.iter().find(|variable| variable.trainable());
    if let (true, Some(variable)) = (gradients.iter().all(Option::is_none), missing) {
        return Err(Error::invalid_argument(tape.why_no_gradient(loss, variable)));
    }
    Ok(gradients)
}

/// The variables that are trained, each with its moving average.
pub(super) fn averages(
    optimizer: &(impl Optimizer + ?Sized),
    variables: &[Variable],
) -> Result<Option<Vec<(Variable, Variable)>>> {
    let parts = optimizer.parts();
    if !parts.use_ema {
        return Ok(None);
    }
    optimizer.prepare(variables)?;
    let trained = variables.iter().filter(|variable| variable.trainable());
    let pairs = trained.map(|variable| Ok((variable.clone(), parts.slots.of(variable, AVERAGE)?)));
    pairs.collect::<Result<_>>().map(Some)
}

pub(super) fn finalize(optimizer: &(impl Optimizer + ?Sized), variables: &[Variable]) -> Result<()> {
    let parts = optimizer.parts();
    if !parts.use_ema {
        return Ok(());
    }
    let _turn = parts.slots.turn();
    prepare(optimizer, variables)?;
    if parts.iteration.value()?.item::<i64>()? == 0 {
        return Ok(());
    }
    let trained = variables.iter().filter(|variable| variable.trainable());
    let averages = trained.map(|variable| Ok((variable.clone(), parts.slots.of(variable, AVERAGE)?.value()?)));
    commit(averages.collect::<Result<Vec<_>>>()?)
}
