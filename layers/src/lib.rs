//! Layers.

pub mod initializer;
