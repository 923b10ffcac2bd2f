//! What generated code does with a field, behind one bound for each word.
//!
//! The derive makes one table for each field, in one place, spanned at the field's type. Everything else goes through
//! function pointers without bounds, so that a field of a wrong type gives exactly one message.

use super::{Config, Faults, Module, Track, Visitor};
use crate::{Error, Result, Variable};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::marker::PhantomData;

/// The operations on a field of type `T`.
pub struct Field<T> {
    /// Shows the field to a visitor.
    pub track: fn(&T, &str, &mut dyn Visitor),
    /// Another handle to the same state.
    pub share: fn(&T) -> T,
    /// Writes the field into a config under a key.
    pub config: fn(&T, &str, &mut Config) -> Result<()>,
    /// Makes the field out of the value under a key, if there is one.
    pub from: fn(Option<&Value>) -> Result<T>,
}

impl<T> Field<T> {
    /// Makes the field out of a config; a fault is kept, to be reported with the others.
    pub fn read(&self, config: &Config, key: &str, faults: &mut Faults) -> Option<T> {
        (self.from)(config.get(key)).map_err(|error| faults.push(error.within(key))).ok()
    }

    /// As [`read`](Field::read), with a value for a key that is missing.
    pub fn read_or(&self, config: &Config, key: &str, faults: &mut Faults, default: impl FnOnce() -> T) -> Option<T> {
        if config.contains_key(key) { self.read(config, key, faults) } else { Some(default()) }
    }

    /// As [`read`](Field::read), with another key that older configs have.
    pub fn read_aliased(&self, config: &Config, key: &str, alias: &str, faults: &mut Faults) -> Option<T> {
        self.read(config, if config.contains_key(key) { key } else { alias }, faults)
    }
}

/// The table of a field without a word.
pub const fn part<T: Track>() -> Field<T> {
    Field {
        track: |part, name, visitor| part.track(name, visitor),
        share: |part| part.share(),
        config: |part, key, config| {
            if let Some(value) = part.field_config().map_err(|error| error.within(key))? {
                config.insert(key.to_owned(), value);
            }
            Ok(())
        },
        from: |value| T::from_field(value),
    }
}

/// What a field without a word must be that is spelled `Tensor`, or as a container of it: a [`Track`] all the same.
#[diagnostic::on_unimplemented(
    message = "`{Self}` in a module is not tracked: it is neither trained nor saved",
    label = "no variable",
    note = "for state write `Variable`, with `#[variable(trainable = false)]` if it is not trained",
    note = "for a value that the module can do without when it is loaded write `#[skip]`"
)]
pub trait TrackedTensor: Track {}

#[diagnostic::do_not_recommend]
impl<T: Track> TrackedTensor for T {}

/// As [`part`], with a message of its own.
pub const fn part_spelled_tensor<T: TrackedTensor>() -> Field<T> {
    part::<T>()
}

/// What a field without a word must be that is spelled as a plain value, or a container of it: a [`Track`] all the same.
#[diagnostic::on_unimplemented(
    message = "`{Self}` in a module is a plain value, which is saved only when it is marked",
    label = "not marked",
    note = "a setting is marked `#[config]`: it is written to the config, and an argument of `new`",
    note = "a value that is not saved is marked `#[skip]`"
)]
pub trait MarkedValue: Track {}

#[diagnostic::do_not_recommend]
impl<T: Track> MarkedValue for T {}

/// As [`part`], with a message of its own.
pub const fn part_spelled_value<T: MarkedValue>() -> Field<T> {
    part::<T>()
}

/// What may be marked `#[module(flatten)]`: a module, whose fields take their places beside those of its holder.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be flattened",
    label = "not a module",
    note = "`flatten` and `transparent` leave out the name of a module, so that its fields are in its place: only a module has fields"
)]
pub trait Flatten: Module + Sized {}

#[diagnostic::do_not_recommend]
impl<T: Module + Sized> Flatten for T {}

/// The table of a field marked `#[module(flatten)]`.
pub const fn flattened<T: Flatten>() -> Field<T> {
    Field {
        track: |part, _, visitor| {
            visitor.flattened(part.as_module());
            part.fields(visitor);
        },
        ..part::<T>()
    }
}

/// What may be marked `#[variable(..)]`: a [`Variable`].
#[diagnostic::on_unimplemented(
    message = "a `#[variable]` field is a `Variable`, and this one is `{Self}`",
    label = "not a `Variable`",
    note = "a setting is marked `#[config]`; a container of variables needs no word"
)]
pub trait VariableCell: Track + Default {
    /// The variable.
    fn cell(&self) -> &Variable;
}

impl VariableCell for Variable {
    fn cell(&self) -> &Variable {
        self
    }
}

/// The table of a field marked `#[variable(..)]`.
pub struct VariableField<T> {
    /// What every field has.
    pub field: Field<T>,
    /// The variable itself.
    pub cell: fn(&T) -> &Variable,
    /// A variable that is not built.
    pub fresh: fn() -> T,
}

/// The table of a field marked `#[variable(..)]`.
pub const fn variable<T: VariableCell>() -> VariableField<T> {
    VariableField { field: part::<T>(), cell: |field| field.cell(), fresh: || T::default() }
}

/// What may be marked `#[config]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a `#[config]` field",
    label = "not a setting",
    note = "a setting implements Clone, serde::Serialize and serde::Deserialize, and can be sent between threads; derive them, or write `#[config(with = path)]`",
    note = "a variable is saved in checkpoints, not in the config: mark it `#[variable(..)]`; a module needs no word"
)]
pub trait Setting: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Setting for T {}

/// The table of a field marked `#[config]`.
pub const fn setting<T: Setting>() -> Field<T> {
    Field {
        track: |_, _, _| {},
        share: |setting| setting.clone(),
        config: |setting, key, config| {
            let value = serde_json::to_value(setting).map_err(|error| config_error(key, error))?;
            config.insert(key.to_owned(), value);
            Ok(())
        },
        from: |value| T::deserialize(present(value)?).map_err(|error| Error::invalid_argument(error.to_string())),
    }
}

/// What may be marked `#[config(with = path)]`: the module at `path` reads and writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a `#[config(with = ..)]` field",
    label = "handles to this module could not share it",
    note = "it needs Clone, Send and Sync; wrap it in Arc"
)]
pub trait ForeignSetting: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> ForeignSetting for T {}

/// The table of a field marked `#[config(with = path)]`.
pub const fn setting_with<T: ForeignSetting>(
    config: fn(&T, &str, &mut Config) -> Result<()>,
    from: fn(Option<&Value>) -> Result<T>,
) -> Field<T> {
    Field { track: |_, _, _| {}, share: |setting| setting.clone(), config, from }
}

/// Writes what `path::serialize` made of a setting.
pub fn write_with(key: &str, value: Result<Value, serde_json::Error>, config: &mut Config) -> Result<()> {
    config.insert(key.to_owned(), value.map_err(|error| config_error(key, error))?);
    Ok(())
}

/// Reads a setting with `path::deserialize`.
pub fn read_with<T>(
    value: Option<&Value>,
    deserialize: impl FnOnce(&Value) -> Result<T, serde_json::Error>,
) -> Result<T> {
    deserialize(present(value)?).map_err(|error| Error::invalid_argument(error.to_string()))
}

fn config_error(key: &str, error: serde_json::Error) -> Error {
    Error::invalid_argument(format!("the setting cannot be written: {error}")).within(key)
}

fn present(value: Option<&Value>) -> Result<&Value> {
    value.ok_or_else(|| Error::invalid_argument("the key is missing"))
}

/// What may be marked `#[skip]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a `#[skip]` field as it stands",
    label = "handles to this module could not share it, or it has no default",
    note = "a skipped field needs Clone, Default, Send and Sync: wrap it in Arc, or write `#[skip(default = ..)]` where only Default is missing"
)]
pub trait Skipped: Clone + Default + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Default + Send + Sync + 'static> Skipped for T {}

/// The table of a field marked `#[skip]`, with the way to a new value.
pub const fn skipped<T: Skipped>() -> (Field<T>, fn() -> T) {
    (kept::<T>(), || T::default())
}

/// What may be marked `#[skip(default = ..)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a `#[skip]` field as it stands",
    label = "handles to this module could not share it",
    note = "a skipped field needs Clone, Send and Sync: wrap it in Arc"
)]
pub trait Kept: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Kept for T {}

/// The table of a field marked `#[skip(default = ..)]`.
pub const fn kept<T: Kept>() -> Field<T> {
    Field {
        track: |_, _, _| {},
        share: |field| field.clone(),
        config: |_, _, _| Ok(()),
        from: |_| Err(Error::internal("a skipped field is not read from a config")),
    }
}

/// Tells at compile time whether a type is [`Variable`]: the inherent constant is found first, where there is one.
pub struct Probe<T>(PhantomData<T>);

impl Probe<Variable> {
    /// It is.
    pub const IS_VARIABLE: bool = true;
}

/// The answer for every other type.
pub trait OtherType {
    /// It is not.
    const IS_VARIABLE: bool = false;
}

impl<T> OtherType for Probe<T> {}
