//! Modulor.

pub use modulor_core::*;
pub use modulor_layers as keras;
