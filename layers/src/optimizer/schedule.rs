//! Learning rates that change from step to step. Keras's names, arguments, defaults and configurations.
//!
//! A schedule is a struct of its settings, made of those that have no default.
//!
//! ```
//! use modulor_layers::optimizer::schedule::{CosineDecay, Schedule};
//! use modulor_layers::optimizer::{Optimizer, SGD};
//! # fn main() -> modulor::Result<()> {
//! let schedule = CosineDecay { alpha: 0.5, ..CosineDecay::new(0.25, 100) };
//! assert_eq!(schedule.at(100)?, 0.125);
//! let optimizer = SGD::new().learning_rate(schedule);
//! assert_eq!(optimizer.current_learning_rate()?, 0.25);
//! # Ok(())
//! # }
//! ```

use super::class::{finite, within};
use modulor::{DType, Error, Result, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::f64::consts::PI;
use std::fmt::Debug;
use std::sync::Arc;

/// A learning rate for every step.
pub trait Schedule: Debug + Send + Sync + 'static {
    /// The learning rate, a scalar of floats, where `step` says how many steps there have been: a float64 scalar. In
    /// tensor operations alone, so that it can be traced.
    fn rate(&self, step: &Tensor) -> Result<Tensor>;

    /// The serialized form, which [`from_object`] reads of those that are built in.
    fn object(&self) -> Result<Value>;

    /// Refuses settings that make no sense.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The learning rate after so many steps, as the float32 that optimizers see.
    fn at(&self, step: i64) -> Result<f64> {
        self.check()?;
        self.rate(&Tensor::scalar(step as f64))?.cast(DType::F32)?.item::<f32>().map(f64::from)
    }
}

/// A setting out of a config; whole numbers may be written as floats.
fn setting<T: DeserializeOwned>(config: &mut Map<String, Value>, class: &str, name: &str) -> Result<Option<T>> {
    let Some(value) = config.remove(name) else { return Ok(None) };
    let whole = value.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 1e15).map(|x| Value::from(x as i64));
    let read = serde_json::from_value(value).or_else(|error| match whole {
        Some(whole) => serde_json::from_value(whole),
        None => Err(error),
    });
    read.map(Some).map_err(|error| Error::invalid_argument(format!("{class}: `{name}`: {error}")))
}

/// Schedules, each a row: its name in configurations, the settings it is made of, and those that have a default.
macro_rules! schedules {
    ($(
        $(#[$doc:meta])*
        $class:ident $label:literal ($($(#[$given_doc:meta])* $given:ident: $given_type:ty),*) {
            $($(#[$set_doc:meta])* $set:ident: $set_type:ty = $default:expr,)*
        }
        check |$checked:ident| $check:expr;
        rate |$schedule:ident, $step:ident| $rate:expr;
    )*) => {
        /// The class names of all that are built in.
        pub const SCHEDULES: &[&str] = &[$(stringify!($class)),*];

        /// A schedule out of what [`Schedule::object`] wrote of it, or Keras.
        pub fn from_object(object: &Value) -> Result<Arc<dyn Schedule>> {
            let (Some(name), Some(config)) = (object["class_name"].as_str(), object["config"].as_object()) else {
                return Err(Error::invalid_argument(format!("expected a serialized schedule, found {object}")));
            };
            match name {
                $(stringify!($class) => Ok(Arc::new($class::from_config(config.clone())?)),)*
                _ => Err(crate::family::unknown("schedule", name, SCHEDULES)),
            }
        }

        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize)]
            pub struct $class {
                $($(#[$given_doc])* pub $given: $given_type,)*
                $($(#[$set_doc])* pub $set: $set_type,)*
                /// A name, which nothing but configurations has.
                pub name: String,
            }

            impl $class {
                /// With these settings, and the defaults of the others.
                #[must_use]
                pub fn new($($given: $given_type),*) -> Self {
                    $class { $($given,)* $($set: $default,)* name: $label.to_owned() }
                }

                fn from_config(mut config: Map<String, Value>) -> Result<Self> {
                    const CLASS: &str = stringify!($class);
                    let missing = |name| Error::invalid_argument(format!("{CLASS}: `{name}` is missing"));
                    let schedule = $class {
                        $($given: setting(&mut config, CLASS, stringify!($given))?
                            .ok_or_else(|| missing(stringify!($given)))?,)*
                        $($set: setting(&mut config, CLASS, stringify!($set))?.unwrap_or($default),)*
                        name: setting(&mut config, CLASS, "name")?.unwrap_or_else(|| $label.to_owned()),
                    };
                    match config.keys().next() {
                        Some(other) => Err(Error::invalid_argument(format!("{CLASS}: there is no setting `{other}`"))),
                        None => Ok(schedule),
                    }
                }
            }

            impl Schedule for $class {
                fn rate(&self, $step: &Tensor) -> Result<Tensor> {
                    let $schedule = self;
                    $rate
                }

                fn object(&self) -> Result<Value> {
                    let config = serde_json::to_value(self).map_err(|error| Error::internal(error.to_string()))?;
                    let class = stringify!($class);
                    let module = "keras.optimizers.schedules";
                    Ok(json!({"module": module, "class_name": class, "config": config, "registered_name": null}))
                }

                fn check(&self) -> Result<()> {
                    let $checked = self;
                    let check = || -> Result<()> { $check };
                    check().map_err(|error| error.within(stringify!($class)))
                }
            }
        )*
    };
}

/// Refuses a number of steps to divide by that is 0.
fn some(name: &str, steps: u64) -> Result<()> {
    within(name, steps as f64, |steps| steps > 0.0, "at least 1")
}

/// `½(1 + cos πx)`, from 1 to 0.
fn half_cosine(x: &Tensor) -> Result<Tensor> {
    Ok(((x * PI).cos()? + 1.0) * 0.5)
}

schedules! {
    /// Half a cosine, from a start down to a part of it: `η (α + (1 − α)·½(1 + cos(π t / T)))` in step t of T. With a
    /// `warmup_target` the learning rate first goes in a straight line from the start to there, in `warmup_steps` more
    /// steps, and then down from there.
    CosineDecay "CosineDecay" (
        /// η, which it starts with.
        initial_learning_rate: f64,
        /// T, 1 or more.
        decay_steps: u64
    ) {
        /// α, the part that stays; 0 unless set.
        alpha: f64 = 0.0,
        /// Where the warm-up ends; there is none unless set.
        warmup_target: Option<f64> = None,
        /// The steps of the warm-up.
        warmup_steps: u64 = 0,
    }
    check |s| {
        finite("initial_learning_rate", s.initial_learning_rate)?;
        finite("alpha", s.alpha)?;
        finite("warmup_target", s.warmup_target.unwrap_or_default())?;
        some("decay_steps", s.decay_steps)
    };
    rate |s, step| {
        let steps = s.decay_steps as f64;
        let decayed = |peak: f64, step: Tensor| {
            Ok((half_cosine(&(step.minimum(steps)? / steps))? * (1.0 - s.alpha) + s.alpha) * peak)
        };
        let Some(target) = s.warmup_target else { return decayed(s.initial_learning_rate, step.clone()) };
        let warmup = s.warmup_steps as f64;
        let rising = step / warmup.max(1.0) * (target - s.initial_learning_rate) + s.initial_learning_rate;
        step.less(warmup)?.select(&rising, &decayed(target, step - warmup)?)
    };

    /// Half a cosine time and again (Loshchilov and Hutter 2016): after `first_decay_steps` the learning rate is up again,
    /// and every period is `t_mul` times as long as the one before and begins at `m_mul` times its start. As in Keras, which
    /// computes in float32, a period may begin a step late.
    CosineDecayRestarts "SGDRDecay" (
        /// What it starts with.
        initial_learning_rate: f64,
        /// The length of the first period, 1 or more.
        first_decay_steps: u64
    ) {
        /// By how much a period is longer than the one before, 1 or more; 2 unless set.
        t_mul: f64 = 2.0,
        /// By how much a period starts higher than the one before; 1 unless set.
        m_mul: f64 = 1.0,
        /// The part that stays; 0 unless set.
        alpha: f64 = 0.0,
    }
    check |s| {
        finite("initial_learning_rate", s.initial_learning_rate)?;
        within("t_mul", s.t_mul, |t| t >= 1.0 && t.is_finite(), "a finite number not below 1")?;
        finite("m_mul", s.m_mul)?;
        finite("alpha", s.alpha)?;
        some("first_decay_steps", s.first_decay_steps)
    };
    rate |s, step| {
        // float32, in Keras's order: the last bit of a logarithm says whether a step is the first of a period.
        let number = |x: f64| Tensor::scalar(x as f32);
        let [t_mul, m_mul, alpha] = [s.t_mul, s.m_mul, s.alpha].map(number);
        let periods = step.cast(DType::F32)?.div(number(s.first_decay_steps as f64))?;
        let (period, part) = if s.t_mul as f32 == 1.0 {
            let period = periods.floor()?;
            let part = periods - &period;
            (period, part)
        } else {
            let period = (1.0 - &periods * (1.0 - &t_mul)).log()?.div(t_mul.log()?)?.floor()?;
            let length = t_mul.pow(&period)?;
            let before = (1.0 - &length).div(1.0 - &t_mul)?;
            let part = (periods - before).div(length)?;
            (period, part)
        };
        let decayed = (m_mul.pow(period)? * 0.5).mul(1.0 + number(PI).mul(part)?.cos()?)?;
        ((1.0 - &alpha) * decayed + alpha).mul(number(s.initial_learning_rate))
    };

    /// `η rˣ` with `x = t / T` in step t, or with the whole numbers of that.
    ExponentialDecay "ExponentialDecay" (
        /// η, which it starts with.
        initial_learning_rate: f64,
        /// T, 1 or more.
        decay_steps: u64,
        /// r, what it is multiplied by in T steps.
        decay_rate: f64
    ) {
        /// Whether it changes every T steps alone.
        staircase: bool = false,
    }
    check |s| {
        finite("initial_learning_rate", s.initial_learning_rate)?;
        finite("decay_rate", s.decay_rate)?;
        some("decay_steps", s.decay_steps)
    };
    rate |s, step| {
        let x = stair(step, s.decay_steps, s.staircase)?;
        Ok(Tensor::scalar(s.decay_rate).pow(x)? * s.initial_learning_rate)
    };

    /// `η / (1 + r x)` with `x = t / T` in step t, or with the whole numbers of that.
    InverseTimeDecay "InverseTimeDecay" (
        /// η, which it starts with.
        initial_learning_rate: f64,
        /// T, 1 or more.
        decay_steps: u64,
        /// r, how fast it falls.
        decay_rate: f64
    ) {
        /// Whether it changes every T steps alone.
        staircase: bool = false,
    }
    check |s| {
        finite("initial_learning_rate", s.initial_learning_rate)?;
        finite("decay_rate", s.decay_rate)?;
        some("decay_steps", s.decay_steps)
    };
    rate |s, step| Ok(s.initial_learning_rate / (stair(step, s.decay_steps, s.staircase)? * s.decay_rate + 1.0));

    /// One value up to and with a boundary, the next one after it.
    PiecewiseConstantDecay "PiecewiseConstant" (
        /// The last step of every value but the last, in rising order.
        boundaries: Vec<i64>,
        /// The values, one more than there are boundaries.
        values: Vec<f64>
    ) {}
    check |s| {
        let (boundaries, values) = (s.boundaries.len(), s.values.len());
        if values != boundaries + 1 {
            let message = format!("there must be one more of `values` than of `boundaries`, found {values} and {boundaries}");
            return Err(Error::invalid_argument(message));
        }
        if s.boundaries.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::invalid_argument(format!("`boundaries` must rise, found {:?}", s.boundaries)));
        }
        s.values.iter().try_for_each(|value| finite("values", *value))
    };
    rate |s, step| {
        let first = Tensor::scalar(s.values.first().copied().unwrap_or_default());
        s.boundaries.iter().zip(s.values.iter().skip(1)).try_fold(first, |rate, (boundary, value)| {
            step.greater(*boundary as f64)?.select(&Tensor::scalar(*value), &rate)
        })
    };

    /// A power of the part that is left, `(η − e)(1 − t / T)ᵖ + e` in step t, and e after step T; if `cycle`, T grows to the
    /// next multiple of itself then.
    PolynomialDecay "PolynomialDecay" (
        /// η, which it starts with.
        initial_learning_rate: f64,
        /// T, 1 or more.
        decay_steps: u64
    ) {
        /// e, which it ends with; 0.0001 unless set.
        end_learning_rate: f64 = 0.0001,
        /// p, 0 or more; 1 unless set, a straight line.
        power: f64 = 1.0,
        /// Whether it goes up again after its end.
        cycle: bool = false,
    }
    check |s| {
        finite("initial_learning_rate", s.initial_learning_rate)?;
        finite("end_learning_rate", s.end_learning_rate)?;
        finite("power", s.power)?;
        some("decay_steps", s.decay_steps)
    };
    rate |s, step| {
        let periods = step / s.decay_steps as f64;
        let part = if s.cycle { periods.div(periods.ceil()?.maximum(1.0)?)? } else { periods.minimum(1.0)? };
        let range = s.initial_learning_rate - s.end_learning_rate;
        Ok((1.0 - part).pow(s.power)? * range + s.end_learning_rate)
    };
}

/// `t / T`, or its whole numbers.
fn stair(step: &Tensor, steps: u64, staircase: bool) -> Result<Tensor> {
    let x = step / steps as f64;
    if staircase { x.floor() } else { Ok(x) }
}
