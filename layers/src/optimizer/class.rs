//! What all optimizers have in common, as fields.

use super::{LearningRate, Slots};
use modulor::{Error, Result, Variable};

/// What every optimizer has, borrowed from one.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// What the paths of its variables begin with, unless it is a part of something larger.
    pub name: &'a str,
    /// How many steps there have been: int64.
    pub iteration: &'a Variable,
    /// How far a step goes.
    pub learning_rate: &'a LearningRate,
    /// What it remembers of every variable.
    pub slots: &'a Slots,
    /// The part of a variable, times the learning rate, that a step takes away before the update.
    pub weight_decay: Option<f64>,
    /// The largest norm of the gradient of one variable.
    pub clipnorm: Option<f64>,
    /// The largest norm of all gradients together.
    pub global_clipnorm: Option<f64>,
    /// The largest absolute value of an element of a gradient.
    pub clipvalue: Option<f64>,
    /// Whether moving averages of the variables are kept.
    pub use_ema: bool,
    /// The part of a moving average that stays.
    pub ema_momentum: f64,
    /// After how many updates, time and again, the averages replace the variables.
    pub ema_overwrite_frequency: Option<u32>,
    /// What the loss was multiplied by.
    pub loss_scale_factor: Option<f64>,
    /// The number of steps whose gradients make one update.
    pub gradient_accumulation_steps: Option<u32>,
}

impl Parts<'_> {
    /// Refuses settings that make no sense.
    pub(super) fn check(&self) -> Result<()> {
        self.learning_rate.check()?;
        let clips =
            [("clipnorm", self.clipnorm), ("global_clipnorm", self.global_clipnorm), ("clipvalue", self.clipvalue)];
        let set: Vec<&str> = clips.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect();
        if set.len() > 1 {
            return Err(Error::invalid_argument(format!(
                "only one of clipnorm, global_clipnorm and clipvalue can be set, found {}",
                set.join(" and ")
            )));
        }
        for (name, value) in clips.into_iter().chain([("loss_scale_factor", self.loss_scale_factor)]) {
            within(name, value.unwrap_or(1.0), |x| x > 0.0 && x.is_finite(), "a finite number above 0")?;
        }
        finite("weight_decay", self.weight_decay.unwrap_or_default())?;
        within("ema_momentum", self.ema_momentum, |x| (0.0..=1.0).contains(&x), "between 0 and 1")?;
        let often = self.ema_overwrite_frequency.unwrap_or(1);
        within("ema_overwrite_frequency", often.into(), |n| n >= 1.0, "at least 1")?;
        let steps = self.gradient_accumulation_steps.unwrap_or(2);
        within("gradient_accumulation_steps", steps.into(), |n| n >= 2.0, "at least 2")
    }
}

/// A setting that Keras casts to the dtype of the variable, which goes by way of float32; it shows in float64.
pub(super) fn as_cast(setting: f64) -> f64 {
    f64::from(setting as f32)
}

/// Refuses a setting that is not what it must be.
pub(super) fn within(name: &str, value: f64, allowed: impl Fn(f64) -> bool, what: &str) -> Result<()> {
    if allowed(value) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!("`{name}` must be {what}, found {value}")))
}

/// Refuses a setting that is not a finite number of 0 or more.
pub(super) fn finite(name: &str, value: f64) -> Result<()> {
    within(name, value, |x| x >= 0.0 && x.is_finite(), "a finite number not below 0")
}

/// Refuses a part of a running mean that cannot stay.
pub(super) fn beta(name: &str, value: f64) -> Result<()> {
    within(name, value, |beta| (0.0..1.0).contains(&beta), "from 0 to below 1")
}

/// The type of an optimizer: what all of them have, the settings of its rule, and what this remembers of all variables together.
macro_rules! optimizer {
    (
        $(#[$doc:meta])*
        $class:ident $name:literal, learning_rate = $rate:literal, weight_decay = $decay:expr $(, $shared:ident)?;
        $($(#[$about:meta])* $setting:ident: $type:ty = $default:expr;)*
    ) => {
        $(#[$doc])*
        #[derive(modulor::Module)]
        #[module(package = "keras.optimizers", name = $name)]
        pub struct $class {
            /// What the paths of its variables begin with, unless it is a part of something larger.
            #[config(default = $name.to_owned(), into)]
            name: String,
            #[variable(init = 0_i64, trainable = false, weight = false)]
            iteration: modulor::Variable,
            #[module(default = $crate::optimizer::LearningRate::from($rate))]
            learning_rate: $crate::optimizer::LearningRate,
            #[module(default)]
            slots: $crate::optimizer::Slots,
            /// The part of a variable, times the learning rate, that a step takes away before the update.
            #[config(default = $decay, into)]
            weight_decay: Option<f64>,
            /// The largest norm of the gradient of one variable; a longer one is made that long.
            #[config(default, into)]
            clipnorm: Option<f64>,
            /// The largest norm of all gradients together; beyond it all are made shorter by the same factor.
            #[config(default, into)]
            global_clipnorm: Option<f64>,
            /// The largest absolute value of an element of a gradient.
            #[config(default, into)]
            clipvalue: Option<f64>,
            /// Whether moving averages of the variables are kept.
            #[config(default)]
            use_ema: bool,
            /// The part of a moving average that stays when a new value enters; 0.99 unless set.
            #[config(default = 0.99)]
            ema_momentum: f64,
            /// After how many updates, time and again, the averages replace the variables.
            #[config(default, into)]
            ema_overwrite_frequency: Option<u32>,
            /// What losses are multiplied by, so that small gradients of half precision do not vanish.
            #[config(default, into)]
            loss_scale_factor: Option<f64>,
            /// The number of steps, 2 or more, whose mean gradient makes one update.
            #[config(default, into)]
            gradient_accumulation_steps: Option<u32>,
            $($(#[$about])* #[config(default = $default)] $setting: $type,)*
            $(#[module(default)] $shared: modulor::Variable,)?
        }

        impl $class {
            #[doc = concat!("How far a step goes; ", stringify!($rate), " unless set.")]
            #[must_use]
            pub fn learning_rate(mut self, rate: impl Into<$crate::optimizer::LearningRate>) -> Self {
                self.learning_rate = rate.into();
                self
            }
        }

        impl Default for $class {
            fn default() -> Self {
                $class::new()
            }
        }

        impl $crate::optimizer::Optimizer for $class {
            fn parts(&self) -> $crate::optimizer::Parts<'_> {
                $crate::optimizer::Parts {
                    name: &self.name,
                    iteration: &self.iteration,
                    learning_rate: &self.learning_rate,
                    slots: &self.slots,
                    weight_decay: self.weight_decay,
                    clipnorm: self.clipnorm,
                    global_clipnorm: self.global_clipnorm,
                    clipvalue: self.clipvalue,
                    use_ema: self.use_ema,
                    ema_momentum: self.ema_momentum,
                    ema_overwrite_frequency: self.ema_overwrite_frequency,
                    loss_scale_factor: self.loss_scale_factor,
                    gradient_accumulation_steps: self.gradient_accumulation_steps,
                }
            }
        }
    };
}
pub(super) use optimizer;
