//! What all optimizers have: the number of steps, the learning rate, slots, and what happens to gradients first.

use modulor::module::{Config, Visitor};
use modulor::variable::{Declaration, IntoInit};
use modulor::{Error, Result, Tensor, Variable, nearest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all optimizers have.
///
/// # Variables
///
/// `iteration`, int64, the number of steps taken; `learning_rate`, float32; and for each variable its slots, named as
/// Keras does: `model_dense_kernel_momentum`.
#[derive(Debug)]
pub struct State {
    pub(super) name: String,
    pub(super) weight_decay: Option<f64>,
    pub(super) clipnorm: Option<f64>,
    pub(super) global_clipnorm: Option<f64>,
    pub(super) clipvalue: Option<f64>,
    pub(super) loss_scale_factor: Option<f64>,
    /// How many steps there have been.
    pub iteration: Variable,
    /// How far a step goes.
    pub learning_rate: Variable,
    slots: Arc<Mutex<Vec<Slot>>>,
    turn: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Slot {
    /// The variable that it is for.
    of: u64,
    name: String,
    value: Variable,
}

/// A guard is only ever dropped between whole changes.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn declare(variable: &Variable, first: Tensor) {
    variable.declare(Declaration { trainable: false, ..Declaration::new(first.into_init()) });
}

impl State {
    /// The state at the start of an optimizer of this name.
    pub fn new(name: &str, learning_rate: f64, weight_decay: Option<f64>) -> State {
        let state = State {
            name: name.to_owned(),
            weight_decay,
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
            loss_scale_factor: None,
            iteration: Variable::default(),
            learning_rate: Variable::default(),
            slots: Arc::default(),
            turn: Arc::default(),
        };
        declare(&state.iteration, Tensor::scalar(0_i64));
        state.start_rate(learning_rate);
        state.stamp();
        state
    }

    /// Another handle to it.
    pub(super) fn share(&self) -> State {
        State {
            name: self.name.clone(),
            iteration: self.iteration.clone(),
            learning_rate: self.learning_rate.clone(),
            slots: self.slots.clone(),
            turn: self.turn.clone(),
            ..*self
        }
    }

    /// The name that logs and files have.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn visit(&self, visitor: &mut dyn Visitor) {
        visitor.variable("iteration", &self.iteration);
        visitor.variable("learning_rate", &self.learning_rate);
        let slots: Vec<(String, Variable)> =
            locked(&self.slots).iter().map(|slot| (slot.name.clone(), slot.value.clone())).collect();
        slots.iter().for_each(|(name, value)| visitor.variable(name, value));
    }

    /// Says where the variables live if the optimizer is not part of something else.
    fn stamp(&self) {
        self.iteration.stamp(&format!("{}/iteration", self.name));
        self.learning_rate.stamp(&format!("{}/learning_rate", self.name));
    }

    pub(super) fn start_rate(&self, learning_rate: f64) {
        declare(&self.learning_rate, Tensor::scalar(learning_rate as f32));
    }

    pub(super) fn set_rate(&self, learning_rate: f64) -> Result<()> {
        finite_rate(learning_rate)?;
        self.learning_rate.assign(&Tensor::scalar(learning_rate as f32))
    }

    /// One step at a time: it reads what the one before has written.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        locked(&self.turn)
    }

    pub(super) fn create_slots(&self, variables: &[Variable], groups: &[&[&'static str]]) -> Result<()> {
        let mut slots = locked(&self.slots);
        let new: Vec<&Variable> = variables.iter().filter(|v| !slots.iter().any(|slot| slot.of == v.id())).collect();
        for group in groups {
            for variable in &new {
                let first = variable.value()?.zeros_like()?;
                let path = variable.path().unwrap_or_else(|| "variable".to_owned()).replace('/', "_");
                for slot in *group {
                    let base = format!("{path}_{slot}");
                    let mut name = base.clone();
                    let mut count = 0;
                    while slots.iter().any(|slot| slot.name == name) {
                        count += 1;
                        name = format!("{base}_{count}");
                    }
                    let value = Variable::default();
                    declare(&value, first.clone());
                    value.stamp(&format!("{}/{name}", self.name));
                    slots.push(Slot { of: variable.id(), name, value });
                }
            }
        }
        Ok(())
    }

    pub(super) fn slots_of(&self, variable: &Variable) -> Vec<Variable> {
        locked(&self.slots).iter().filter(|slot| slot.of == variable.id()).map(|slot| slot.value.clone()).collect()
    }

    /// Whether the settings can be.
    pub(super) fn check(&self) -> Result<()> {
        let clips = [("clipnorm", self.clipnorm), ("clipvalue", self.clipvalue), ("global_clipnorm", self.global_clipnorm)];
        let set: Vec<String> = clips.iter().filter_map(|(name, x)| x.map(|x| format!("{name}={x}"))).collect();
        if set.len() > 1 {
            let message = format!("only one of clipnorm, clipvalue and global_clipnorm can be set; found {}", set.join(", "));
            return Err(Error::invalid_argument(message));
        }
        let positive = |(name, x): (&str, Option<f64>)| match x {
            Some(x) if !(x.is_finite() && x > 0.0) => {
                Err(Error::invalid_argument(format!("`{name}` must be a finite number above 0, found {x}")))
            }
            _ => Ok(()),
        };
        clips.into_iter().chain([("loss_scale_factor", self.loss_scale_factor)]).try_for_each(positive)?;
        if let Some(decay) = self.weight_decay {
            crate::family::not_negative("weight_decay", decay)?;
        }
        finite_rate(self.learning_rate.value()?.item::<f32>()?.into())
    }

    /// What the gradients of a loss are weighted with, so that they are scaled as `loss_scale_factor` says.
    pub(super) fn scaled_loss_weight(&self, loss: &Tensor) -> Result<Option<Tensor>> {
        self.loss_scale_factor.map(|factor| Ok(loss.ones_like()? * factor)).transpose()
    }

    /// The gradients, unscaled and clipped.
    pub(super) fn conditioned(&self, mut gradients: Vec<Tensor>) -> Result<Vec<Tensor>> {
        if let Some(factor) = self.loss_scale_factor {
            gradients = gradients.iter().map(|g| g.div(factor)).collect::<Result<_>>()?;
        }
        let squares = |g: &Tensor| g.square()?.sum(..);
        if let Some(limit) = self.clipnorm {
            gradients = gradients
                .iter()
                .map(|g| (g * limit).div(squares(g)?.sqrt()?.maximum(limit)?))
                .collect::<Result<_>>()?;
        } else if let Some(limit) = self.clipvalue {
            gradients = gradients.iter().map(|g| g.minimum(limit)?.maximum(-limit)).collect::<Result<_>>()?;
        } else if let (Some(limit), Some(first)) = (self.global_clipnorm, gradients.first()) {
            let dtype = first.dtype();
            let all = gradients.iter().map(|g| squares(g)?.cast(dtype)).collect::<Result<Vec<_>>>()?;
            let norm = Tensor::stack(&all, 0)?.sum(..)?.sqrt()?;
            // A norm that is not finite makes the scale NaN, so that it shows.
            let scale = norm.reciprocal()?.minimum(1.0 / limit)? * limit + (&norm - &norm);
            gradients = gradients.iter().map(|g| g.mul(scale.cast(g.dtype())?)).collect::<Result<_>>()?;
        }
        Ok(gradients)
    }

    /// The settings, as Keras writes them. Those of moving averages and accumulation are at what turns them off.
    pub(super) fn write(&self, config: &mut Config) -> Result<()> {
        let rate = f64::from(self.learning_rate.value()?.item::<f32>()?);
        let values = [
            ("name", json!(self.name)),
            ("learning_rate", json!(rate)),
            ("weight_decay", json!(self.weight_decay)),
            ("clipnorm", json!(self.clipnorm)),
            ("global_clipnorm", json!(self.global_clipnorm)),
            ("clipvalue", json!(self.clipvalue)),
            ("loss_scale_factor", json!(self.loss_scale_factor)),
        ];
        config.extend(values.into_iter().chain(off()).map(|(key, value)| (key.to_owned(), value)));
        Ok(())
    }

    /// Takes over the settings of a config, of which `own` are the optimizer's.
    pub(super) fn read(&mut self, config: &Config, own: &[&str]) -> Result<()> {
        const KEYS: [&str; 7] =
            ["name", "learning_rate", "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "loss_scale_factor"];
        let known: Vec<&str> = KEYS.iter().chain(own).copied().chain(off().map(|(key, _)| key)).collect();
        if let Some(key) = config.keys().find(|key| !known.contains(&key.as_str())) {
            let nearest = nearest::suggestion(key, known);
            return Err(Error::invalid_argument(format!("unknown key `{key}`; {nearest}")));
        }
        for (key, off) in off() {
            let found = config.get(key).unwrap_or(&off);
            if *found != off && key != "ema_momentum" {
                return Err(Error::unimplemented(format!("`{key}` {found}: only {off} exists so far")));
            }
        }
        setting(config, "name", &mut self.name)?;
        self.stamp();
        setting(config, "weight_decay", &mut self.weight_decay)?;
        setting(config, "clipnorm", &mut self.clipnorm)?;
        setting(config, "global_clipnorm", &mut self.global_clipnorm)?;
        setting(config, "clipvalue", &mut self.clipvalue)?;
        setting(config, "loss_scale_factor", &mut self.loss_scale_factor)?;
        if config.contains_key("learning_rate") {
            let mut rate = 0.0;
            setting(config, "learning_rate", &mut rate)?;
            self.start_rate(rate);
        }
        Ok(())
    }
}

/// Settings of Keras that are not there, with what turns them off.
fn off() -> impl Iterator<Item = (&'static str, Value)> {
    [
        ("use_ema", json!(false)),
        ("ema_momentum", json!(0.99)),
        ("ema_overwrite_frequency", Value::Null),
        ("gradient_accumulation_steps", Value::Null),
    ]
    .into_iter()
}

/// Takes a setting over from a config that has it.
pub(super) fn setting<T: DeserializeOwned>(config: &Config, key: &str, place: &mut T) -> Result<()> {
    if let Some(value) = config.get(key) {
        *place = serde_json::from_value(value.clone())
            .map_err(|error| Error::invalid_argument(format!("`{key}` {value}: {error}")))?;
    }
    Ok(())
}

fn finite_rate(learning_rate: f64) -> Result<()> {
    if learning_rate.is_finite() {
        return Ok(());
    }
    Err(Error::invalid_argument(format!("the learning rate must be finite, found {learning_rate}")))
}
