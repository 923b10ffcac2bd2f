//! What can be found by name: ops here, classes of modules in [`class`].

pub mod class;

use crate::op::{Attrs, Op, OpDef};
use crate::{Error, Result, flow, ops};
use std::sync::Arc;

/// All ops.
pub fn ops() -> impl Iterator<Item = &'static OpDef> {
    ops::FAMILIES.iter().chain([&flow::OPS]).flat_map(|family| family.iter()).flat_map(|rows| rows.iter())
}

/// The op of this TensorFlow name with these attributes, as a graph's node says them.
pub fn op(name: &str, attrs: &Attrs) -> Result<Arc<dyn Op>> {
    let def = ops().find(|def| def.name == name).ok_or_else(|| Error::unimplemented(format!("no op `{name}`")))?;
    (def.parse)(attrs).map_err(|error| error.in_op(def.name))
}
