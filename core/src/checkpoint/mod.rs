//! Checkpoints: TensorFlow's files of tensors under keys.

pub mod bundle;
