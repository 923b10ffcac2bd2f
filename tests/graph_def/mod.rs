//! Graphs in files: models of ours for TensorFlow to run, and what holds GraphDefs together for the tests of ops.

pub mod container;
mod models;
mod saved_models;
