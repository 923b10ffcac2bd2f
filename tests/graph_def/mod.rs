//! Graphs in files: models of ours for TensorFlow to run, and what holds GraphDefs together for the tests of ops.

pub mod container;
mod flow;
mod models;
mod saved_models;
