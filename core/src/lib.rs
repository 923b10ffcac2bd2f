//! Core.
extern crate self as modulor;

mod dtype;
pub mod error;
pub mod graph;
pub mod op;
pub mod ops;
pub mod registry;
mod shape;
pub mod tape;
pub mod tensor;
pub mod variable;

pub use dtype::{DType, Element};
pub use error::{Error, ErrorKind, Result};
pub use op::{Operand, scope};
pub use ops::slice::{Ellipsis, Index, Indices, NewAxis, ToIndex, step};
pub use shape::{MAX_RANK, Shape};
pub use tape::{GradientTape, UnconnectedGradients, custom_gradient, hessian, jvp, value_and_grad};
pub use tensor::{Spec, Tensor};
pub use variable::{Variable, set_seed};
