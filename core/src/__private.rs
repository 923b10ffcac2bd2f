//! What generated code names. No part of the public interface.

pub use crate::autograph::expansion as autograph;
pub use crate::{
    error::{Error, Result},
    layer::{NotALayer, Probe as LayerProbe, ProbedLayer},
    module::{
        Config, Faults, Field, Flatten, ForeignSetting, FromConfig, InputShapes, Kept, ManualBuild, Module, ModuleExt,
        OtherType, Probe, Schema, Setting, Skipped, Track, VariableCell, VariableField, Visitor, flattened, kept,
        object, part, part_spelled_tensor, part_spelled_value, read_object, read_with, reading, setting, setting_with,
        skipped, variable, write, write_with,
    },
    registry::class::Entry,
    structure::{Part as StructureItem, Structure, Tree},
    tensor::Tensor,
    variable::{Declaration, IntoConstraint, IntoInit, IntoRegularizer, ValueInit, Variable},
};
pub use inventory;
pub use serde_json::{Value, value::Serializer};
pub use std::{
    any::TypeId,
    boxed::Box,
    clone::Clone,
    collections::BTreeMap,
    default::Default,
    iter::IntoIterator,
    ops::FnMut,
    option::Option::{self, None, Some},
    result::Result::{Err, Ok},
    string::String,
    vec::Vec,
};

pub use crate::op::DTypePolicy;

use crate::{DType, variable::Initializer};
use std::any::Any;
use std::sync::Arc;

/// The initializer of a variable that has a shape.
pub fn any_init(init: impl IntoInit) -> Arc<dyn Initializer> {
    init.into_init()
}

/// The initializer of a variable that takes its shape from its initial value.
pub fn value_init(init: impl ValueInit) -> Arc<dyn Initializer> {
    init.into_init()
}

/// The initializer of a variable that gets its shape in a `build` written by hand, be it a value with another shape.
pub fn filling_init(init: impl IntoInit) -> Arc<dyn Initializer> {
    struct Filling(Arc<dyn Initializer>);
    impl Initializer for Filling {
        fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
            self.0.init(dims, dtype, seed)
        }
    }
    Arc::new(Filling(init.into_init()))
}

/// A dtype, or none to leave the choice to the initializer.
pub fn dtype(dtype: impl Into<Option<DType>>) -> Option<DType> {
    dtype.into()
}

/// A declaration with the dtype of variables of the module's policy, where it says none and begins with floats.
pub fn by_policy(module: &dyn Module, declaration: Declaration) -> Declaration {
    let policy = module.dtype_policy().filter(|_| declaration.dtype.is_none() && declaration.dtype().is_float());
    let dtype = policy.and_then(|policy| policy.variable_dtype().ok()).filter(|dtype| dtype.is_float());
    Declaration { dtype: dtype.or(declaration.dtype), ..declaration }
}

/// The policy that a setting is, if it is one.
pub fn policy(setting: &dyn Any) -> Option<DTypePolicy> {
    setting.downcast_ref().cloned()
}

/// The dtype of a name that was checked when the attribute was expanded.
pub fn dtype_by_name(name: &str) -> Option<DType> {
    DType::from_name(name).ok()
}

/// What a derived structure does with a field.
pub struct StructurePart<S> {
    /// The erased form.
    pub to_tree: fn(&S) -> Tree,
    /// The inverse.
    pub from_tree: fn(Tree) -> Result<S>,
    /// Shows what is in it.
    pub visit: fn(&S, &mut dyn FnMut(StructureItem)),
    /// The same around other tensors.
    pub replace: fn(&S, &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<S>,
}

/// The table of a field of a derived structure.
pub const fn structure_part<S: Structure>() -> StructurePart<S> {
    StructurePart { to_tree: S::to_tree, from_tree: S::from_tree, visit: S::visit, replace: S::replace }
}

/// The part of a structure under a name; `None` stands for one that is missing.
pub fn named_part<S>(parts: &mut BTreeMap<String, Tree>, name: &str, from_tree: fn(Tree) -> Result<S>) -> Result<S> {
    from_tree(parts.remove(name).unwrap_or(Tree::None)).map_err(|error| error.within(name))
}

/// Refuses parts that no field took.
pub fn no_more_parts(parts: BTreeMap<String, Tree>) -> Result<()> {
    match parts.into_keys().next() {
        None => Ok(()),
        Some(name) => Err(Error::invalid_argument(format!("the structure has no part `{name}`"))),
    }
}

/// The next part of a list that was counted before.
pub fn next_part(parts: &mut impl Iterator<Item = Tree>) -> Result<Tree> {
    parts.next().ok_or_else(|| Error::internal("a list is shorter than it was counted"))
}

/// Freezes or thaws a field marked `#[module(trainable = ..)]`.
pub fn set_trainable<T>(field: &T, table: &Field<T>, trainable: bool) {
    struct Set(bool);
    impl Visitor for Set {
        fn variable(&mut self, _: &str, variable: &Variable) {
            variable.set_trainable(self.0);
        }

        fn module(&mut self, _: &str, module: &dyn Module) {
            module.fields(self);
        }
    }
    (table.track)(field, "", &mut Set(trainable));
}
