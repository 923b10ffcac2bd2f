//! Facade.
pub use modulor_core::*;

pub mod prelude;
