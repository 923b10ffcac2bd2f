#![doc = include_str!("../README.md")]

pub use modulor_core::*;
pub use modulor_layers as keras;
pub use modulor_layers::data;

#[doc = include_str!("from_keras.md")]
pub mod from_keras {}
pub mod prelude;

/// What generated code refers to; nothing here is for use.
#[doc(hidden)]
pub use modulor_core::__private;
