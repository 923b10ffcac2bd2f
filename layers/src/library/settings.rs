//! What layers do with their settings beyond what is derived: `default()` where none must be said, and a config that is made
//! of them as a whole, where field by field it would not be Keras's.

use modulor::module::{Config, Schema};
use modulor::{DTypePolicy, Error, Module, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The settings of a layer, in serde's form.
pub(super) trait Settings: Clone + Serialize + DeserializeOwned {
    /// Fills in what a config may leave out.
    fn complete(_: &mut Config) {}

    /// Makes what all layers write and what serde makes of the settings Keras's.
    fn finish(&self, _: &mut Config) {}
}

/// The config of a layer with these settings.
pub(super) fn config(layer: &dyn Module, settings: &impl Settings) -> Result<Config> {
    modulor::module::write(layer, 1, &mut |config| {
        let written = serde_json::to_value(settings).map_err(|error| Error::invalid_argument(error.to_string()))?;
        if let Value::Object(written) = written {
            config.extend(written);
        }
        settings.finish(config);
        Ok(())
    })
}

/// A layer, made of the settings that a config with these keys has.
pub(super) fn read<S: Settings, M: Module>(
    class: &'static str,
    keys: &[&str],
    config: &Config,
    make: impl FnOnce(DTypePolicy, S) -> M,
) -> Result<M> {
    let schema = Schema { class, version: 1, migrate: None };
    let mut config = schema.open(config)?.into_owned();
    let known = [&["dtype"], keys].concat();
    schema.faults(&config, &known).into_result()?;
    S::complete(&mut config);
    let own = config.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    let own = Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect());
    let fault = |error| Error::invalid_argument(format!("config of `{class}`: {error}"));
    let dtype = schema.policy(&config)?;
    schema.close(make(dtype, serde_json::from_value(own).map_err(fault)?), &config, &known)
}

/// Makes a struct with fields `dtype`, its policy, and `settings` a module without variables of its own: the class, its default name, the keys of
/// its config, and perhaps a field that is a part, with what makes it ready.
macro_rules! of_settings {
    ($class:ident $name:literal [$($key:literal)*] $(with $part:ident, $prepare:expr)?) => {
        impl modulor::module::Track for $class {
            fn track(&self, name: &str, visitor: &mut dyn modulor::module::Visitor) {
                visitor.module(name, self);
            }

            fn share(&self) -> Self {
                $class { dtype: self.dtype.clone(), settings: self.settings.clone(), $($part: self.$part.share())? }
            }

            fn field_config(&self) -> modulor::Result<Option<serde_json::Value>> {
                modulor::module::object(self).map(Some)
            }

            fn from_field(config: Option<&serde_json::Value>) -> modulor::Result<Self> {
                modulor::module::read_object(stringify!($class), config)
            }
        }

        impl $class {
            /// What it computes in, by name or as a [`DTypePolicy`](modulor::DTypePolicy); the ambient policy unless set.
            #[must_use]
            pub fn dtype(mut self, dtype: impl Into<modulor::DTypePolicy>) -> $class {
                self.dtype = dtype.into();
                self
            }
        }

        impl modulor::Module for $class {
            fn as_module(&self) -> &dyn modulor::Module {
                self
            }

            fn class_name(&self) -> &str {
                stringify!($class)
            }

            fn default_name(&self) -> &str {
                $name
            }

            fn package(&self) -> &str {
                "keras.layers"
            }

            fn fields(&self, _visitor: &mut dyn modulor::module::Visitor) {
                $(modulor::module::Track::track(&self.$part, stringify!($part), _visitor);)?
            }

            fn build(&self, _: &modulor::module::InputShapes) -> modulor::Result<()> {
                $(let prepare: fn(&$class) = $prepare; prepare(self);)?
                Ok(())
            }

            fn dtype_policy(&self) -> Option<modulor::DTypePolicy> {
                Some(self.dtype.clone())
            }

            fn config(&self) -> modulor::Result<modulor::module::Config> {
                $crate::library::settings::config(self, &self.settings)
            }
        }

        impl modulor::FromConfig for $class {
            fn from_config(config: &modulor::module::Config) -> modulor::Result<Self> {
                $crate::library::settings::read(stringify!($class), &[$($key),*], config, |dtype, settings| {
                    $class { dtype, settings, $($part: Default::default())? }
                })
            }
        }

        modulor::register!($class, "keras.layers");
    };
}
pub(super) use of_settings;

/// Makes layers whose `new` takes no arguments [`Default`].
macro_rules! defaults {
    ($($class:ident)*) => { $(
        impl Default for $class {
            fn default() -> Self {
                $class::new()
            }
        }
    )* };
}
pub(super) use defaults;
