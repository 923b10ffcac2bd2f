//! Modules: state that composes, as `tf.Module` does it.
//!
//! A [`Module`] is a struct or enum with `#[derive(Module)]`. Its fields are variables, other modules and containers of
//! them, all reached by one read-only walk: [`Track`] says what a field shows to a [`Visitor`]. Everything else, the
//! lists of variables, freezing, configs, copies, checkpoints, is a fold over that walk; the most used are the methods
//! of [`ModuleExt`].

mod config;
mod container;
mod copy;
mod field;
mod fold;
mod identity;
mod input;
pub mod name;
mod walk;

pub(crate) use config::shared;
pub use config::{Config, Faults, Schema, object, read_object, reading, write, writing};
pub use container::PathKey;
pub(crate) use container::{escaped, held_config, track_held};
pub use copy::copying;
pub use field::{
    Field, Flatten, ForeignSetting, Kept, MarkedValue, OtherType, Probe, Setting, Skipped, TrackedTensor, VariableCell,
    VariableField, flattened, kept, part, part_spelled_tensor, part_spelled_value, read_with, setting, setting_with,
    skipped, variable, write_with,
};
pub use fold::ModuleExt;
pub(crate) use fold::cells;
pub use identity::{Held, Identity};
pub use input::{InputShapes, ManualBuild};
pub use walk::{Growing, Node, walk};
pub(crate) use walk::{Site, join};

use crate::{DTypePolicy, Error, Result, Tensor, Variable};
use serde_json::Value;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// What a walk does at each place.
///
/// A name is the path from the module being visited: the field's name, and for an entry of a container the container's
/// name and the entry's, as in `blocks/0`. Parts are escaped as in TensorFlow's checkpoint keys, so that a `/` always
/// separates two of them.
pub trait Visitor {
    /// A variable that this module holds itself.
    fn variable(&mut self, name: &str, variable: &Variable);

    /// A module that this module holds. To go on, call [`fields`](Module::fields) on it.
    fn module(&mut self, name: &str, module: &dyn Module);

    /// A module that sits in an `Arc`, which gives it an identity even if it has no variables.
    fn held(&mut self, name: &str, module: &dyn Module, _held: Held) {
        self.module(name, module);
    }

    /// Says, before the place is visited, that what is at `name` may be stored under `alias` in older files.
    fn alias(&mut self, _name: &str, _alias: &str) {}

    /// Says that the fields of `module`, which come next, stand among those of its holder.
    fn flattened(&mut self, _module: &dyn Module) {}

    /// A variable that this module keeps for another one, its owner, as an optimizer keeps a momentum for every weight.
    ///
    /// In a checkpoint it belongs to the pair and not to a name; where the checkpoint lacks the owner, it is one of the
    /// module's variables as any other.
    fn slot(&mut self, name: &str, variable: &Variable, _slot: SlotOf) {
        self.variable(name, variable);
    }

    /// Says that the module adds slots by use: a checkpoint may have values for some that are not there yet.
    fn grows(&mut self, _place: Arc<dyn Grow>) {}
}

/// What a slot variable is kept for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SlotOf {
    /// The [number](Variable::id) of the variable that owns it.
    pub owner: u64,
    /// What it is to its owner, as in `momentum`.
    pub kind: String,
}

/// A place where slots are added by use.
pub trait Grow: Send + Sync {
    /// The kind of slot that a file calls by this name: files of older TensorFlow say `m` where Keras says `momentum`.
    fn kind(&self, name: &str) -> String;

    /// Adds a slot with its value, or replaces the value of the one there is.
    fn add(&self, owner: &Variable, kind: &str, value: &Tensor) -> Result<()>;

    /// Whether there is such a slot and the module has used it; one that was only added waits for that.
    fn is_used(&self, owner: u64, kind: &str) -> bool;
}

/// What a field without a word must be: a [`Variable`], a [`Module`], or a container of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a plain field of a module",
    label = "neither a variable, a module nor a container of them",
    note = "a struct of yours needs `#[derive(Module)]`, a type parameter a bound such as `L: Layer`",
    note = "a setting is marked `#[config]`, what is neither trained nor saved `#[skip]`; a `Tensor` that is state is a `Variable`"
)]
pub trait Track: Send + Sync + 'static {
    /// Shows itself to the visitor under `name`.
    fn track(&self, name: &str, visitor: &mut dyn Visitor);

    /// Another handle to the same state.
    fn share(&self) -> Self
    where
        Self: Sized;

    /// Its part of the config of the module that holds it; `None` where there is nothing to say, as for a variable.
    fn field_config(&self) -> Result<Option<Value>>;

    /// The inverse of [`field_config`](Track::field_config): new, with variables that are not built.
    fn from_field(config: Option<&Value>) -> Result<Self>
    where
        Self: Sized;
}

/// Named state: variables and other modules. All of it is written by `#[derive(Module)]`.
///
/// The folds over a module are in [`ModuleExt`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a module",
    label = "not a module",
    note = "add `#[derive(Module)]` to `{Self}`"
)]
pub trait Module: Track + Any {
    /// Itself; for a `Box` or an `Arc`, what is inside.
    fn as_module(&self) -> &dyn Module;

    /// The name of the type, as configs have it.
    fn class_name(&self) -> &str;

    /// What automatic names start from: by default the type's name in snake case.
    fn default_name(&self) -> &str;

    /// The name that it was given by [`named`](crate::NameLayer::named), which its holder takes.
    fn given_name(&self) -> Option<&str> {
        None
    }

    /// What configs say of its calls beside the tensors, by Keras's names of arguments: of a layer whose function is not that
    /// of its class alone.
    fn call_arguments(&self) -> Config {
        Config::new()
    }

    /// The first half of the registered name `package>Type`, or one of Keras's own packages such as `keras.layers`.
    fn package(&self) -> &str;

    /// Shows every field, in the order of their declaration.
    fn fields(&self, visitor: &mut dyn Visitor);

    /// Says what the variables of this module (not of its submodules) are. Has no effect once they have values.
    fn declare(&self) {}

    /// Gives the variables of this module (not of its submodules) the shapes that follow from the inputs.
    ///
    /// Called again it checks that they still do.
    fn build(&self, inputs: &InputShapes) -> Result<()>;

    /// What it computes in and keeps its variables in: of a derived module, its setting `dtype`, where that is a
    /// [`DTypePolicy`].
    ///
    /// One without a policy computes in the dtypes of what it is given, and reads variables as the layer does that calls it.
    fn dtype_policy(&self) -> Option<DTypePolicy> {
        None
    }

    /// The settings, and the configs of the submodules.
    fn config(&self) -> Result<Config>;
}

/// Writes a module in short, for its `Debug`: the class and those of its settings that are plain values, as in
/// `Dense { activation: "relu", units: 64, use_bias: true }`.
pub fn write_short(module: &dyn Module, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const OF_EVERY_LAYER: [&str; 3] = ["name", "trainable", "dtype"];
    let mut short = f.debug_struct(module.class_name());
    for (name, value) in module.config().unwrap_or_default() {
        let plain = value.is_boolean() || value.is_number() || value.is_string();
        if plain && !OF_EVERY_LAYER.contains(&name.as_str()) {
            short.field(&name, &format_args!("{value}"));
        }
    }
    short.finish()
}

impl fmt::Debug for dyn Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_short(self, f)
    }
}

/// A module that can be made again from its [`config`](Module::config).
pub trait FromConfig: Module + Sized {
    /// A new module with the same settings and variables that are not built.
    ///
    /// Fails where a key is missing, unknown or of the wrong type; all such faults are reported together.
    fn from_config(config: &Config) -> Result<Self>;
}

impl Track for Variable {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.variable(name, self);
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(None)
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        match config {
            None | Some(Value::Null) => Ok(Variable::default()),
            Some(_) => Err(Error::invalid_argument("a variable is saved in checkpoints and has no config")),
        }
    }
}
