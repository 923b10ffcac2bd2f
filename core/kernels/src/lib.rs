//! Kernels.

pub mod qr;
pub mod random;
