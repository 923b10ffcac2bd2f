//! Optimizers: from gradients to the next values of variables. Keras's names, arguments, defaults and configurations.
//!
//! An optimizer is a module: its counter of steps, its learning rate and what it remembers of every variable are
//! variables, so that checkpoints, copies and configs need to know nothing about optimizers.
//!
//! ```
//! use modulor::{GradientTape, Tensor, Variable};
//! use modulor_layers::optimizer::{Optimizer, SGD};
//! # fn main() -> modulor::Result<()> {
//! let w = Variable::new(3.0);
//! let optimizer = SGD::new().learning_rate(0.25);
//! let tape = GradientTape::new();
//! let loss = tape.record(|| w.read()?.square())?;
//! optimizer.minimize(&tape, &loss, &[w.clone()])?;
//! assert_eq!(w.value()?.item::<f32>()?, 1.5);
//! # Ok(())
//! # }
//! ```

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod class;
mod ftrl;
mod lamb;
mod lion;
mod loss_scale;
mod multi_optimizer;
mod muon;
mod nadam;
mod rate;
mod rmsprop;
pub mod schedule;
mod schedule_free;
mod sgd;
mod slots;
mod step;

pub use class::Parts;
pub use loss_scale::LossScaleOptimizer;
pub use multi_optimizer::MultiOptimizer;
pub use rate::LearningRate;
pub use slots::{SlotValues, Slots};
pub use step::Step;

use modulor::ops::optimizer::Update;
use modulor::{Error, FromConfig, GradientTape, Module, Result, Tensor, Variable, module};
use serde_json::Value;

/// The formula of an optimizer, for one variable.
pub trait Rule {
    /// The names of what it remembers of every variable, of the variable's dtype and, unless [`dims`](Rule::dims) says
    /// otherwise, of its shape.
    ///
    /// The variables of one group are made together, those of the next after all of them: the order in which Keras
    /// saves them.
    fn slots(&self) -> Vec<&'static [&'static str]>;

    /// The dims of a slot of a variable of these.
    fn dims(&self, _slot: &str, of: &[usize]) -> Vec<usize> {
        of.to_vec()
    }

    /// What every element of a slot is at first.
    fn initial(&self, _slot: &str) -> f64 {
        0.0
    }

    /// Whether a slot is at first what its variable is, and not [`initial`](Rule::initial).
    fn begins_as_variable(&self, _slot: &str) -> bool {
        false
    }

    /// Whether this variable has the slot; all have all of them unless a rule says no.
    fn keeps(&self, _variable: &Variable, _slot: &str) -> bool {
        true
    }

    /// What is remembered beside that of all variables together, and what it is at first: a scalar, of the dtype of the first
    /// variable.
    fn shared(&self) -> Option<(&Variable, f64)> {
        None
    }

    /// What [`shared`](Rule::shared) is in an update, out of what it was in the one before; the formula finds it in the
    /// [`Step`].
    fn advance(&self, shared: &Tensor, _step: &Step) -> Result<Tensor> {
        Ok(shared.clone())
    }

    /// The part of this variable, times the learning rate, that a step takes away before the update; that of the optimizer
    /// is the usual one.
    fn decay(&self, _variable: &Variable, usual: Option<f64>) -> Option<f64> {
        usual
    }

    /// The value after a step, of `value` with this gradient (equal in dtype and shape). `slots` holds what is remembered
    /// and takes what is to be remembered. In tensor operations alone, so that it can be traced.
    fn update(&self, value: &Tensor, gradient: &Tensor, slots: &mut SlotValues, step: &Step) -> Result<Tensor>;

    /// What [`update`](Rule::update) computes, where that is one of core's rules, with the slots in the order of
    /// [`slots`](Rule::slots): a step is then one pass over the value and the slots, weight decay included. For rules whose
    /// slots and weight decay are the same for all variables.
    fn fused(&self) -> Option<Update> {
        None
    }

    /// Refuses settings that make no sense.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Changes variables by their gradients. A new one is a [`Rule`] with [`Parts`].
pub trait Optimizer: Module + Rule {
    /// What every optimizer has.
    fn parts(&self) -> Parts<'_>;

    /// One step: in this order gradients are unscaled, accumulated and clipped, then every variable decays, is updated
    /// by the rule, enters the moving average, and is projected by its constraint; then the step is counted.
    ///
    /// All of it is written at once, by one [`commit`](modulor::variable::commit): other threads see a whole step or none.
    /// Variables that are frozen, and those without a gradient, stay as they are. An error where that leaves none, where
    /// a gradient has not the shape of its variable, where a variable comes twice, or where a setting makes no sense; it
    /// names what it is about, and nothing has changed.
    fn apply(&self, gradients: &[(Variable, Option<Tensor>)]) -> Result<()> {
        step::apply(self, gradients).map_err(|error| error.within(self.parts().name))
    }

    /// [`apply`](Optimizer::apply) of the [`gradients`](Optimizer::gradients) of `loss`, which was computed while `tape`
    /// recorded.
    fn minimize(&self, tape: &GradientTape, loss: &Tensor, variables: &[Variable]) -> Result<()> {
        let gradients = self.gradients(tape, loss, variables)?;
        self.apply(&variables.iter().cloned().zip(gradients).collect::<Vec<_>>())
    }

    /// The gradients of `loss` that a step takes, one for each variable or none where the loss does not depend on it: those of
    /// the loss times `loss_scale_factor`, which the step divides by again. An error where there is no gradient at all.
    fn gradients(&self, tape: &GradientTape, loss: &Tensor, variables: &[Variable]) -> Result<Vec<Option<Tensor>>> {
        let scale = self.parts().loss_scale_factor.map(|scale| Ok(loss.ones_like()? * scale)).transpose();
        scale
            .and_then(|scale| step::gradients(tape, loss, scale, variables))
            .map_err(|error: Error| error.within(self.parts().name))
    }

    /// Makes what is remembered of these variables, which otherwise the first step does: Keras's `build`. Refuses
    /// settings that make no sense.
    fn prepare(&self, variables: &[Variable]) -> Result<()> {
        step::prepare(self, variables).map_err(|error| error.within(self.parts().name))
    }

    /// What says how far a step goes: one, unless it is made of several optimizers.
    fn learning_rates(&self) -> Vec<&LearningRate> {
        vec![self.parts().learning_rate]
    }

    /// The learning rate as it is now.
    fn current_learning_rate(&self) -> Result<f64> {
        let Parts { iteration, learning_rate, .. } = self.parts();
        learning_rate.at(if iteration.is_valued() { iteration.value()?.item()? } else { 0 })
    }

    /// Changes the learning rate, from the next step on; an error for what is not a finite number of 0 or more, and where it
    /// follows a schedule.
    fn set_learning_rate(&self, rate: f64) -> Result<()> {
        self.parts().learning_rate.set(rate).map_err(|error| error.within(self.parts().name))
    }

    /// Those of these variables that are trained, each with its moving average; none where no averages are kept.
    fn averages(&self, variables: &[Variable]) -> Result<Option<Vec<(Variable, Variable)>>> {
        step::averages(self, variables).map_err(|error| error.within(self.parts().name))
    }

    /// Puts the moving averages in the place of the variables, which is what training with `use_ema` ends with. Before
    /// the first step there are none, and nothing changes.
    fn finalize(&self, variables: &[Variable]) -> Result<()> {
        step::finalize(self, variables).map_err(|error| error.within(self.parts().name))
    }
}

/// A built-in optimizer: its class name and the way to one with the settings of a config, or the defaults.
struct Class {
    name: &'static str,
    make: fn(Option<&module::Config>) -> Result<Box<dyn Optimizer>>,
}

fn make<O: Optimizer + FromConfig + Default>(config: Option<&module::Config>) -> Result<Box<dyn Optimizer>> {
    Ok(match config {
        Some(config) => Box::new(O::from_config(config)?),
        None => Box::new(O::default()),
    })
}

/// One file a row: its optimizers, and after a bar what else of it is public.
macro_rules! list {
    ($($file:ident: $($class:ident)* $(| $($other:ident)*)?;)*) => {
        $(pub use $file::{$($class,)* $($($other),*)?};)*

        const CLASSES: &[Class] = &[$($(Class { name: stringify!($class), make: make::<$class> },)*)*];

        /// The class names of all that are built in.
        pub const OPTIMIZERS: &[&str] = &[$($(stringify!($class),)*)*];

        crate::family::built_in!($($($class)*)*);
    };
}

list! {
    adadelta: Adadelta;
    adafactor: Adafactor;
    adagrad: Adagrad;
    adam: Adam AdamW;
    adamax: Adamax;
    ftrl: Ftrl;
    lamb: Lamb;
    lion: Lion;
    muon: Muon;
    nadam: Nadam;
    rmsprop: RMSprop;
    schedule_free: ScheduleFreeAdamW;
    sgd: SGD;
}

crate::family::built_in!(LossScaleOptimizer);

/// An optimizer by its class name, in upper or lower case, with its defaults.
pub fn by_name(name: &str) -> Result<Box<dyn Optimizer>> {
    let class = CLASSES.iter().find(|class| class.name.eq_ignore_ascii_case(name));
    let unknown = || match name.starts_with(char::is_lowercase) {
        true => {
            let lower: Vec<String> = OPTIMIZERS.iter().map(|class| class.to_lowercase()).collect();
            crate::family::unknown("optimizer", name, &lower.iter().map(String::as_str).collect::<Vec<_>>())
        }
        false => crate::family::unknown("optimizer", name, OPTIMIZERS),
    };
    (class.ok_or_else(unknown)?.make)(None)
}

/// An optimizer out of what [`module::object`] wrote of it, or Keras.
pub fn from_object(object: &Value) -> Result<Box<dyn Optimizer>> {
    let (Some(name), Some(config)) = (object["class_name"].as_str(), object["config"].as_object()) else {
        return Err(Error::invalid_argument(format!("expected a serialized optimizer, found {object}")));
    };
    if name == "MultiOptimizer" {
        return Ok(Box::new(MultiOptimizer::from_config(config)?));
    }
    if name == "LossScaleOptimizer" {
        return Ok(Box::new(LossScaleOptimizer::from_config(config)?));
    }
    let class = CLASSES.iter().find(|class| class.name == name);
    (class.ok_or_else(|| crate::family::unknown("optimizer", name, OPTIMIZERS))?.make)(Some(config))
}
