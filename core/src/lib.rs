//! Core.
extern crate self as modulor;

pub mod error;
mod dtype;
pub mod op;
mod shape;
pub mod tensor;
pub mod ops;
pub mod tape;
pub mod graph;
pub mod registry;
pub mod variable;

pub use dtype::{DType, Element};
pub use op::{Operand, scope};
pub use error::{Error, ErrorKind, Result};
pub use shape::{MAX_RANK, Shape};
pub use tape::{GradientTape, UnconnectedGradients, custom_gradient, hessian, jvp, value_and_grad};
pub use tensor::{Spec, Tensor};
pub use variable::{Variable, set_seed};
