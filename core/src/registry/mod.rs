//! What can be found by name.

pub mod class;
