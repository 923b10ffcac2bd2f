//! Losses that are multiplied, by as much as their gradients bear.

use super::class::within;
use super::{LearningRate, Optimizer, Parts, Rule, SlotValues, Step, from_object};
use modulor::module::{Config, FromConfig, InputShapes, Module, ModuleExt, Schema, Track, Visitor, object};
use modulor::ops::optimizer::Update;
use modulor::variable::{Declaration, IntoInit, commit};
use modulor::{DType, Error, GradientTape, Result, Tensor, Variable, cond, scope};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Another optimizer, for losses that are multiplied by a scale, so that small gradients of half precision do not vanish:
/// Keras's `LossScaleOptimizer`.
///
/// A step divides the gradients by the scale before the other optimizer takes them. Where one of them is not finite the
/// step is left out and the scale is halved; after `dynamic_growth_steps` steps that were taken it is doubled. In a trace that
/// is a branch, so that a function may hold it.
///
/// The other optimizer must have no `loss_scale_factor` of its own, which Keras takes from it. What it writes is one
/// commit, and the scale another one after it; of a function that has been compiled all is one.
///
/// # Variables
///
/// `iteration` and `learning_rate`, which are of no use and there since Keras has them; `step_counter`, how many steps were
/// taken since the scale changed, int64; `dynamic_scale`, float32; those of the other optimizer, below `inner_optimizer`.
///
/// ```
/// use modulor::{Tensor, Variable};
/// use modulor_layers::optimizer::{LossScaleOptimizer, Optimizer, SGD};
/// # fn main() -> modulor::Result<()> {
/// let w = Variable::new(3.0);
/// let optimizer = LossScaleOptimizer::new(SGD::new().learning_rate(0.5)).initial_scale(8.0);
/// optimizer.apply(&[(w.clone(), Some(Tensor::scalar(8.0_f32)))])?;
/// assert_eq!(w.value()?.item::<f32>()?, 2.5);
/// optimizer.apply(&[(w.clone(), Some(Tensor::scalar(f32::INFINITY)))])?;
/// assert_eq!((w.value()?.item::<f32>()?, optimizer.scale()?), (2.5, 4.0));
/// # Ok(())
/// # }
/// ```
pub struct LossScaleOptimizer {
    name: String,
    inner: Arc<dyn Optimizer>,
    initial_scale: f64,
    dynamic_growth_steps: u32,
    iteration: Variable,
    learning_rate: Variable,
    step_counter: Variable,
    dynamic_scale: Variable,
    /// Held for the length of a step: two threads take their steps one after the other.
    turn: Arc<Mutex<()>>,
}

impl LossScaleOptimizer {
    /// For this optimizer, with a scale of 2¹⁵ at first.
    pub fn new(inner_optimizer: impl Optimizer) -> LossScaleOptimizer {
        LossScaleOptimizer::scaling(Arc::new(inner_optimizer))
    }

    /// For an optimizer that is shared.
    pub(crate) fn scaling(inner: Arc<dyn Optimizer>) -> LossScaleOptimizer {
        LossScaleOptimizer {
            name: "loss_scale_optimizer".to_owned(),
            inner,
            initial_scale: 32768.0,
            dynamic_growth_steps: 2000,
            iteration: Variable::default(),
            learning_rate: Variable::default(),
            step_counter: Variable::default(),
            dynamic_scale: Variable::default(),
            turn: Arc::default(),
        }
        .declared()
    }

    /// What the paths of its variables begin with, unless it is a part of something larger.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> LossScaleOptimizer {
        self.name = name.into();
        self
    }

    /// What losses are multiplied by at first; 2¹⁵ unless set. Too much is soon lowered, too little raised late.
    #[must_use]
    pub fn initial_scale(mut self, initial_scale: f64) -> LossScaleOptimizer {
        self.initial_scale = initial_scale;
        self.declared()
    }

    /// After how many steps that were taken the scale is doubled; 2000 unless set.
    #[must_use]
    pub fn dynamic_growth_steps(mut self, dynamic_growth_steps: u32) -> LossScaleOptimizer {
        self.dynamic_growth_steps = dynamic_growth_steps;
        self
    }

    /// The optimizer that takes the gradients.
    pub fn inner_optimizer(&self) -> &dyn Optimizer {
        &*self.inner
    }

    /// What losses are multiplied by now.
    pub fn scale(&self) -> Result<f64> {
        match self.dynamic_scale.is_valued() {
            true => self.dynamic_scale.value()?.item::<f32>().map(f64::from),
            false => Ok(f64::from(self.initial_scale as f32)),
        }
    }

    /// A loss times the scale, in float32 or, of float64, in that: what gradients for [`apply`](Optimizer::apply) are of.
    pub fn scale_loss(&self, loss: &Tensor) -> Result<Tensor> {
        let wide = if loss.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        loss.cast(wide)?.mul(self.read_scale(wide)?)
    }

    /// Whether all gradients are finite: a bool.
    fn are_finite(gradients: &[(Variable, Option<Tensor>)]) -> Result<Tensor> {
        let each = gradients.iter().filter_map(|(_, gradient)| gradient.as_ref());
        each.map(|gradient| gradient.is_finite()?.all(..))
            .try_fold(Tensor::scalar(true), |all, one| all.logical_and(&one?))
    }

    /// Divides the gradients, and has the other optimizer take a step.
    fn take(&self, gradients: &[(Variable, Option<Tensor>)]) -> Result<()> {
        let scale = self.dynamic_scale.read()?;
        let divided = gradients.iter().map(|(variable, gradient)| {
            // In float32 at least: a small gradient of half precision would vanish again.
            let wide = |gradient: &Tensor| match gradient.dtype() {
                DType::F64 => gradient.div(scale.cast(DType::F64)?),
                _ => gradient.cast(DType::F32)?.div(&scale),
            };
            Ok((variable.clone(), gradient.as_ref().map(wide).transpose()?))
        });
        self.inner.apply(&divided.collect::<Result<Vec<_>>>()?)
    }

    /// Counts a step that was taken, or begins anew after one that was left out, and changes the scale when it is time.
    fn count(&self, is_taken: bool) -> Result<Tensor> {
        let (count, scale) = (self.step_counter.read()?, self.dynamic_scale.read()?);
        let (count, scale) = match is_taken {
            true => {
                let is_last = count.equal(f64::from(self.dynamic_growth_steps) - 1.0)?;
                (is_last.select(&count.zeros_like()?, &count.add(1.0)?)?, is_last.select(&scale.mul(2.0)?, &scale)?)
            }
            false => (count.zeros_like()?, scale.mul(0.5)?),
        };
        commit([(self.step_counter.clone(), count), (self.dynamic_scale.clone(), scale.clone())])?;
        Ok(scale)
    }

    /// Its own variables, by name.
    fn own(&self) -> [(&'static str, &Variable); 4] {
        [
            ("iteration", &self.iteration),
            ("learning_rate", &self.learning_rate),
            ("step_counter", &self.step_counter),
            ("dynamic_scale", &self.dynamic_scale),
        ]
    }

    fn ready(&self, variables: &[Variable]) -> Result<()> {
        within("initial_scale", self.initial_scale, |x| x > 0.0 && x.is_finite(), "a finite number above 0")?;
        if let Some(factor) = self.inner.parts().loss_scale_factor {
            let message =
                format!("the scale is this optimizer's: the other must have no `loss_scale_factor`, not {factor}");
            return Err(Error::invalid_argument(message));
        }
        self.stamp();
        self.own().into_iter().try_for_each(|(_, variable)| variable.value().map(|_| ()))?;
        self.inner.prepare(variables)
    }

    /// Gives its own variables their names; the other optimizer gives its variables names of its own.
    fn stamp(&self) {
        for (name, variable) in self.own() {
            if variable.path().is_none() {
                variable.stamp(&format!("{}/{name}", self.name));
            }
        }
    }

    /// What losses are multiplied by, as operations see it.
    fn read_scale(&self, dtype: DType) -> Result<Tensor> {
        self.stamp();
        self.dynamic_scale.read()?.cast(dtype)
    }
}

/// The formula is the other optimizer's.
impl Rule for LossScaleOptimizer {
    fn slots(&self) -> Vec<&'static [&'static str]> {
        self.inner.slots()
    }

    fn initial(&self, slot: &str) -> f64 {
        self.inner.initial(slot)
    }

    fn keeps(&self, variable: &Variable, slot: &str) -> bool {
        self.inner.keeps(variable, slot)
    }

    fn decay(&self, variable: &Variable, usual: Option<f64>) -> Option<f64> {
        self.inner.decay(variable, usual)
    }

    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor> {
        self.inner.update(value, gradient, slots, step)
    }

    fn fused(&self) -> Option<Update> {
        self.inner.fused()
    }

    fn check(&self) -> Result<()> {
        self.inner.check()
    }
}

impl Optimizer for LossScaleOptimizer {
    /// Those of the other optimizer, under the name of this one.
    fn parts(&self) -> Parts<'_> {
        Parts { name: &self.name, ..self.inner.parts() }
    }

    /// One step on gradients of a loss times the [scale](LossScaleOptimizer::scale).
    fn apply(&self, gradients: &[(Variable, Option<Tensor>)]) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let variables: Vec<Variable> = gradients.iter().map(|(variable, _)| variable.clone()).collect();
        let step = || {
            self.ready(&variables)?;
            let taken = || {
                self.take(gradients)?;
                self.count(true)
            };
            cond(&LossScaleOptimizer::are_finite(gradients)?, taken, || self.count(false)).map(|_| ())
        };
        scope::without_tapes(step).map_err(|error| error.within(self.name.as_str()))
    }

    /// Those of the loss times the [scale](LossScaleOptimizer::scale).
    fn gradients(&self, tape: &GradientTape, loss: &Tensor, variables: &[Variable]) -> Result<Vec<Option<Tensor>>> {
        let weight = loss.ones_like().and_then(|ones| ones.mul(self.read_scale(loss.dtype())?));
        weight
            .and_then(|weight| super::step::gradients(tape, loss, Some(weight), variables))
            .map_err(|error| error.within(self.name.as_str()))
    }

    fn prepare(&self, variables: &[Variable]) -> Result<()> {
        self.ready(variables).map_err(|error| error.within(self.name.as_str()))
    }

    fn learning_rates(&self) -> Vec<&LearningRate> {
        self.inner.learning_rates()
    }

    fn finalize(&self, variables: &[Variable]) -> Result<()> {
        self.inner.finalize(variables).map_err(|error| error.within(self.name.as_str()))
    }
}

impl Track for LossScaleOptimizer {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        LossScaleOptimizer {
            name: self.name.clone(),
            inner: self.inner.clone(),
            iteration: self.iteration.clone(),
            learning_rate: self.learning_rate.clone(),
            step_counter: self.step_counter.clone(),
            dynamic_scale: self.dynamic_scale.clone(),
            turn: self.turn.clone(),
            ..*self
        }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        object(self).map(Some)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        modulor::module::read_object("LossScaleOptimizer", config)
    }
}

impl Module for LossScaleOptimizer {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "LossScaleOptimizer"
    }

    fn default_name(&self) -> &str {
        "loss_scale_optimizer"
    }

    fn package(&self) -> &str {
        "keras.optimizers"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        self.own().into_iter().for_each(|(name, variable)| visitor.variable(name, variable));
        visitor.module("inner_optimizer", self.inner.as_module());
    }

    fn declare(&self) {
        let scale = Tensor::scalar(self.initial_scale as f32);
        let first = [Tensor::scalar(0_i64), Tensor::scalar(0.0_f32), Tensor::scalar(0_i64), scale];
        for ((name, variable), first) in self.own().into_iter().zip(first) {
            let declaration = Declaration::new(first.into_init());
            variable.declare(Declaration { name: Some(name), trainable: false, weight: false, ..declaration });
        }
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        let inner = object(self.inner.as_module())?;
        Ok(Config::from_iter([
            ("name".to_owned(), json!(self.name)),
            ("inner_optimizer".to_owned(), inner),
            ("initial_scale".to_owned(), json!(self.initial_scale)),
            ("dynamic_growth_steps".to_owned(), json!(self.dynamic_growth_steps)),
        ]))
    }
}

impl FromConfig for LossScaleOptimizer {
    fn from_config(config: &Config) -> Result<Self> {
        const SCHEMA: Schema = Schema { class: "LossScaleOptimizer", version: 1, migrate: None };
        const KEYS: &[&str] = &["name", "inner_optimizer", "initial_scale", "dynamic_growth_steps"];
        let config = &*SCHEMA.open(config)?;
        SCHEMA.faults(config, KEYS).into_result()?;
        let fault = |words: String| Error::invalid_argument(format!("config of `LossScaleOptimizer`: {words}"));
        let inner = config.get("inner_optimizer").ok_or_else(|| fault("`inner_optimizer` is missing".to_owned()))?;
        let inner = from_object(inner).map_err(|error| error.within("inner_optimizer"))?;
        let mut made = LossScaleOptimizer::scaling(Arc::from(inner));
        if let Some(name) = config.get("name") {
            made.name = name.as_str().ok_or_else(|| fault(format!("`name` is a string, not {name}")))?.to_owned();
        }
        if let Some(scale) = config.get("initial_scale") {
            let number = scale.as_f64().ok_or_else(|| fault(format!("`initial_scale` is a number, not {scale}")))?;
            made = made.initial_scale(number);
        }
        if let Some(steps) = config.get("dynamic_growth_steps") {
            let number = steps.as_u64().and_then(|steps| steps.try_into().ok());
            let words = || fault(format!("`dynamic_growth_steps` is a number of steps, not {steps}"));
            made = made.dynamic_growth_steps(number.ok_or_else(words)?);
        }
        SCHEMA.close(made, config, KEYS)
    }
}

modulor::register!(LossScaleOptimizer, "keras.optimizers");
