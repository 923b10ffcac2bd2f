//! What a tensor of dtype `resource` points at.

use crate::{Result, Spec, Tensor};
use std::any::Any;
use std::sync::Arc;

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
    /// Makes a change to the value, with no other write in between: in place where nobody else holds it.
    fn update(&self, change: Change) -> Result<()>;
    /// Whether a tape watches reads of it unasked.
    fn trainable(&self) -> bool;
    /// Itself, for whoever knows what it is.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// What an op does to the value of a resource: its kernel, which reads and writes no resource, so that a lock may be held
/// meanwhile. The ops of this crate make it.
pub struct Change<'a>(&'a mut dyn FnMut(&mut Tensor) -> Result<()>);

impl<'a> Change<'a> {
    pub(crate) fn new(change: &'a mut dyn FnMut(&mut Tensor) -> Result<()>) -> Change<'a> {
        Change(change)
    }

    /// Makes it. After an error the value is as before.
    pub fn make(self, value: &mut Tensor) -> Result<()> {
        self.0(value)
    }
}
