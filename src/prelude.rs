//! What a first program needs.
pub use modulor_core::layer::NameLayer;
pub use modulor_core::{Call, Error, Layer, Module, ModuleExt, Result, Structure, Tensor, Variable};
