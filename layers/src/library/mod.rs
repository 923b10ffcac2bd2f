//! The layers, by Keras's names: one file each, and one row in [`LAYERS`].

mod activation;
mod activity;
mod dense;
mod dropout;
mod flatten;
mod input;
mod reshape;
mod seed_generator;
mod sequential;

pub use activation::Activation;
pub use activity::ActivityRegularizer;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::{DataFormat, Flatten};
pub use input::InputLayer;
pub use reshape::Reshape;
pub use seed_generator::SeedGenerator;
pub use sequential::Sequential;

/// The class names of all layers that are built in; configs name them, and the registry finds them.
pub const LAYERS: &[&str] = &["Activation", "Dense", "Dropout", "Flatten", "InputLayer", "Reshape", "Sequential"];
