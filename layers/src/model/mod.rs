//! Models: layers put together by calling them on symbols, their configs, tables and pictures.
//!
//! [`Input`] makes a symbol, layers are called on it, and a [`Model`] is made from symbols to symbols. It is a layer like any
//! other. [`Sequential`](crate::library::Sequential) is for layers one after the other.
#![doc = ""]
#![doc = include_str!("../../docs/pictures.md")]

mod argument;
mod config;
mod functional;
mod graph;
mod inline;
mod input;
mod operation;
mod plot;
mod run;
mod summary;

pub use functional::{Functional, Model, clone_model};
pub use graph::Place;
pub use input::Input;
pub use plot::{Plot, plot_model, plot_model_on};
pub use summary::{Row, Summarize, Summary};
