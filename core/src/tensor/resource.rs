//! What a tensor of dtype `resource` points at.

use crate::{Result, Spec, Tensor};

/// State that ops read and write through a handle, as `ReadVariableOp` and its family do.
pub trait Resource: Send + Sync {
    /// How errors call it.
    fn name(&self) -> String;
    /// The dtype and the known dims of what it holds.
    fn spec(&self) -> Result<Spec>;
    /// A reference to the value: never torn, and unmoved by later writes.
    fn read(&self) -> Result<Tensor>;
    /// Replaces the value; dtype and shape must fit.
    fn write(&self, value: Tensor) -> Result<()>;
    /// Replaces the value by what `change` makes of it, with no other write in between. Where one came, `change` is called
    /// again; it may read the resource, and not write it.
    fn update(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()>;
    /// Whether a tape watches reads of it unasked.
    fn trainable(&self) -> bool;
}
