//! The library of layers, and what it takes to train them: `tf.keras`, with Keras's names, arguments, defaults and
//! configurations.
//!
//! Every kind has one visible list: [`activation::ACTIVATIONS`], [`initializer::INITIALIZERS`],
//! [`regularizer::REGULARIZERS`], [`constraint::CONSTRAINTS`], [`loss::LOSSES`], [`metric::METRICS`],
//! [`optimizer::OPTIMIZERS`], [`library::LAYERS`], [`callback::CALLBACKS`].

pub mod activation;
pub mod callback;
pub mod constraint;
pub mod data;
mod family;
pub mod initializer;
pub mod library;
pub mod loss;
pub mod metric;
pub mod model;
pub mod optimizer;
pub mod regularizer;
mod resize;
mod setting;
pub mod training;

pub use setting::OrNone;

/// What `register_class!` refers to; nothing here is for use.
#[doc(hidden)]
pub mod registration {
    pub use crate::library::cell::{CellEntry, make_cell};
    pub use crate::setting::{Entry, Family, Own, read, write};
    pub use inventory;
}

inventory::submit! {
    modulor::variable::Builtins {
        initializer: initializer::by_name,
        regularizer: regularizer::by_name,
        constraint: constraint::by_name,
    }
}
