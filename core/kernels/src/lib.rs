//! Kernels.

pub mod random;
