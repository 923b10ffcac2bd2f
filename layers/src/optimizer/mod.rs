//! Optimizers: how variables follow their gradients. Keras's names, arguments, defaults, formulas and state.
//!
//! An optimizer is a module: the number of its steps, its learning rate and what it keeps for each variable (its slots)
//! are variables, saved with whatever holds it.
//!
//! ```
//! use modulor::{GradientTape, Variable};
//! use modulor_layers::optimizer::{Optimizer, SGD};
//! # fn main() -> modulor::Result<()> {
//! let w = Variable::new(3.0);
//! let optimizer = SGD::new().learning_rate(0.1);
//! let tape = GradientTape::new();
//! let loss = tape.record(|| &w * &w);
//! optimizer.minimize(&tape, &loss, &[w.clone()])?;
//! assert_eq!(w.value()?.item::<f32>()?, 3.0 - 0.1 * 6.0);
//! # Ok(())
//! # }
//! ```

mod adam;
mod class;
mod rmsprop;
mod sgd;
mod state;

pub use adam::{Adam, AdamW};
pub use rmsprop::RMSprop;
pub use sgd::SGD;
pub use state::State;

use crate::family::unknown;
use modulor::module::{Config, FromConfig};
use modulor::op::scope;
use modulor::variable::{self, Constraint};
use modulor::{DType, Error, GradientTape, Module, Result, Tensor, Variable};
use serde_json::Value;
use std::collections::HashSet;

/// An optimizer. A new one says what it keeps for each variable and how a step goes; the rest is here.
pub trait Optimizer: Module {
    /// What all optimizers have.
    fn state(&self) -> &State;

    /// The same, to set it up.
    fn state_mut(&mut self) -> &mut State;

    /// What is kept for each variable: names, in groups. Keras's files have the groups one after the other, and in a
    /// group all of the first variable before those of the second.
    fn slots(&self) -> Vec<&'static [&'static str]>;

    /// The arithmetic: the new value and the new slots, flat in their order, of one variable.
    fn step(&self, at: &Step, value: &Tensor, gradient: &Tensor, slots: &[Tensor]) -> Result<(Tensor, Vec<Tensor>)>;

    /// Takes one step: all variables, slots and the number of steps are written at one moment.
    ///
    /// The gradients are clipped; the values decay, follow the gradients, and are projected to where their constraints
    /// let them be. A variable without a gradient is an error that names it, and nothing is written then.
    fn apply(&self, gradients: &[(Variable, Option<Tensor>)]) -> Result<()> {
        scope::without_tapes(|| take_step(self, gradients)).map_err(|error| error.within(self.default_name()))
    }

    /// Takes one step down the gradients of a loss that a tape has recorded.
    ///
    /// ```
    /// use modulor::{GradientTape, Tensor, Variable};
    /// use modulor_layers::optimizer::{Adam, Optimizer};
    /// # fn main() -> modulor::Result<()> {
    /// let (used, unused) = (Variable::new(1.0), Variable::new(1.0));
    /// let tape = GradientTape::new();
    /// let loss = tape.record(|| &used * 2.0);
    /// let error = Adam::new().minimize(&tape, &loss, &[used, unused]).unwrap_err();
    /// assert!(error.to_string().contains("it was neither watched nor read"), "{error}");
    /// # Ok(())
    /// # }
    /// ```
    fn minimize(&self, tape: &GradientTape, loss: &Tensor, variables: &[Variable]) -> Result<()> {
        let within = |error: Error| error.within(self.default_name());
        let scaled = self.state().scaled_loss_weight(loss).map_err(within)?;
        let gradients = tape.gradients_with(&[(loss.clone(), scaled)], variables, Default::default()).map_err(within)?;
        let pairs: Vec<_> = variables.iter().cloned().zip(gradients).collect();
        let without = pairs.iter().filter(|(_, gradient)| gradient.is_none());
        let reasons = without.map(|(variable, _)| tape.why_none(loss, variable));
        self.apply(&pairs).map_err(|error| reasons.fold(error, Error::note))
    }

    /// The learning rate from the next step on; an error for one that is not finite.
    fn set_learning_rate(&self, learning_rate: f64) -> Result<()> {
        self.state().set_rate(learning_rate).map_err(|error| error.within(self.default_name()))
    }

    /// Makes the slots of these variables, which the first step does otherwise.
    fn create_slots(&self, variables: &[Variable]) -> Result<()> {
        self.state().create_slots(variables, &self.slots())
    }

    /// With another learning rate than the default.
    #[must_use]
    fn learning_rate(mut self, learning_rate: f64) -> Self
    where
        Self: Sized,
    {
        self.state_mut().start_rate(learning_rate);
        self
    }

    /// With decay: before each step, a value loses this part of itself times the learning rate.
    #[must_use]
    fn weight_decay(mut self, weight_decay: f64) -> Self
    where
        Self: Sized,
    {
        self.state_mut().weight_decay = Some(weight_decay);
        self
    }

    /// With each gradient shortened to at most this length.
    #[must_use]
    fn clipnorm(mut self, clipnorm: f64) -> Self
    where
        Self: Sized,
    {
        self.state_mut().clipnorm = Some(clipnorm);
        self
    }

    /// With all gradients, as one vector, shortened to at most this length.
    #[must_use]
    fn global_clipnorm(mut self, global_clipnorm: f64) -> Self
    where
        Self: Sized,
    {
        self.state_mut().global_clipnorm = Some(global_clipnorm);
        self
    }

    /// With every element of every gradient kept between minus and plus this.
    #[must_use]
    fn clipvalue(mut self, clipvalue: f64) -> Self
    where
        Self: Sized,
    {
        self.state_mut().clipvalue = Some(clipvalue);
        self
    }

    /// With gradients divided by this: those of a loss that was multiplied by it, which [`minimize`](Self::minimize)
    /// sees to.
    #[must_use]
    fn loss_scale_factor(mut self, loss_scale_factor: f64) -> Self
    where
        Self: Sized,
    {
        self.state_mut().loss_scale_factor = Some(loss_scale_factor);
        self
    }
}

/// Where an optimizer is: both scalars of the variable's dtype.
#[derive(Debug)]
pub struct Step {
    /// The learning rate.
    pub learning_rate: Tensor,
    /// The number of this step, from 1 on.
    pub number: Tensor,
}

fn take_step<O: Optimizer + ?Sized>(optimizer: &O, gradients: &[(Variable, Option<Tensor>)]) -> Result<()> {
    let state = optimizer.state();
    let _turn = state.turn();
    state.check()?;
    let pairs = checked(gradients)?;
    let variables: Vec<Variable> = pairs.iter().map(|(variable, _)| (*variable).clone()).collect();
    optimizer.create_slots(&variables)?;
    let gradients = state.conditioned(pairs.into_iter().map(|(_, gradient)| gradient.clone()).collect())?;
    let (rate, number) = (state.learning_rate.read()?, state.iteration.read()?.add(&Tensor::scalar(1_i64))?);
    let mut writes = Vec::new();
    for (variable, gradient) in variables.into_iter().zip(gradients) {
        let mut value = variable.read()?;
        let dtype = value.dtype();
        let at = Step { learning_rate: rate.cast(dtype)?, number: number.cast(dtype)? };
        if let Some(decay) = state.weight_decay {
            value = &value - &value * decay * &at.learning_rate;
        }
        let slots = state.slots_of(&variable);
        let kept = slots.iter().map(Variable::read).collect::<Result<Vec<_>>>()?;
        let (mut value, kept) = optimizer.step(&at, &value, &gradient, &kept)?;
        if let Some(constraint) = variable.declaration().and_then(|declared| declared.constraint) {
            value = Constraint::project(&*constraint, &value)?;
        }
        writes.push((variable, value));
        writes.extend(slots.into_iter().zip(kept));
    }
    writes.push((state.iteration.clone(), number));
    variable::commit(writes)
}

/// The gradients with their variables, if each fits its own, once.
fn checked(gradients: &[(Variable, Option<Tensor>)]) -> Result<Vec<(&Variable, &Tensor)>> {
    let mut met = HashSet::new();
    let (mut pairs, mut without) = (Vec::new(), Vec::new());
    for (variable, gradient) in gradients {
        let label = variable.path().unwrap_or_else(|| "variable".to_owned());
        let Some(gradient) = gradient else {
            without.push(format!("`{label}`"));
            continue;
        };
        gradient.check()?;
        let fits = variable.shape().is_none_or(|dims| gradient.shape().is_compatible_with(&dims.into()));
        if gradient.dtype() != variable.dtype() || !fits || !variable.dtype().is_float() {
            let found = gradient.spec();
            return Err(Error::invalid_argument(format!("a gradient {found} for the variable {variable}")));
        }
        if !met.insert(variable.id()) {
            return Err(Error::invalid_argument(format!("variable `{label}` is given twice")));
        }
        pairs.push((variable, gradient));
    }
    if !without.is_empty() {
        let names = without.join(", ");
        let message = format!("no gradient for {names}: freeze what the loss does not depend on, or leave it out");
        return Err(Error::invalid_argument(message));
    }
    if pairs.is_empty() {
        return Err(Error::invalid_argument("there is no variable to change"));
    }
    Ok(pairs)
}

/// A built-in optimizer by its class.
#[derive(Debug)]
pub struct Class {
    /// The class name.
    pub name: &'static str,
    /// Makes one out of its config; an empty one is that of all defaults.
    pub make: fn(&Config) -> Result<Box<dyn Optimizer>>,
}

const fn class<O: Optimizer + FromConfig>(name: &'static str) -> Class {
    Class { name, make: |config| Ok(Box::new(O::from_config(config)?)) }
}

/// All that are built in.
pub const OPTIMIZERS: &[Class] =
    &[class::<Adam>("Adam"), class::<AdamW>("AdamW"), class::<RMSprop>("RMSprop"), class::<SGD>("SGD")];

/// The optimizer of a name, `adam` or `Adam`, with its defaults; or of what Keras writes, with its settings.
///
/// ```
/// let adam = modulor_layers::optimizer::from_config(&"adam".into())?;
/// assert_eq!(adam.class_name(), "Adam");
/// # Ok::<(), modulor::Error>(())
/// ```
pub fn from_config(object: &Value) -> Result<Box<dyn Optimizer>> {
    let none = Config::new();
    let (name, config) = match object {
        Value::String(name) => (Some(name.as_str()), Some(&none)),
        object => (object["class_name"].as_str(), object["config"].as_object()),
    };
    let (Some(name), Some(config)) = (name, config) else {
        return Err(Error::invalid_argument(format!("expected an optimizer's name or serialized object, found {object}")));
    };
    let found = OPTIMIZERS.iter().find(|class| class.name.eq_ignore_ascii_case(name));
    let names: Vec<&str> = OPTIMIZERS.iter().map(|class| class.name).collect();
    (found.ok_or_else(|| unknown("optimizer", name, &names))?.make)(config)
}

/// A number as a scalar beside a tensor.
fn beside(number: f64, dtype: DType) -> Result<Tensor> {
    Tensor::number(number, dtype)
}
