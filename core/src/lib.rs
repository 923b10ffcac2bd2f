//! Core.
extern crate self as modulor;

mod dtype;
pub mod error;
pub mod layer;
pub mod module;
mod nearest;
pub mod registry;
pub mod scope;
mod shape;
pub mod structure;
pub mod tensor;
pub mod variable;

#[doc(hidden)]
pub mod __private;

pub use dtype::{DType, Element};
pub use error::{Error, ErrorKind, Result};
pub use layer::{Call, Layer};
pub use module::{Module, ModuleExt};
pub use shape::{MAX_RANK, Shape};
pub use structure::{Feed, Refs, Structure, Tree};
pub use tensor::Tensor;
pub use variable::{RandomNormal, Variable, Zeros};

pub use modulor_derive::{Module, Structure};
