//! The operations, by family: each file holds ops whole, their methods on [`Tensor`](crate::Tensor), and their rows.
//!
//! What TensorFlow has no op for is a composite, in [`composite`]: a named function over public tensor operations.

pub(crate) mod array;
pub(crate) mod linalg;
pub(crate) mod math;
mod operators;
pub(crate) mod reduce;
pub(crate) mod state;
