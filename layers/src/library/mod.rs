//! The layers, by Keras's names: one file each, and one row in [`LAYERS`].

mod activation;
mod activity;
mod axes;
mod batch_normalization;
mod dense;
mod dropout;
mod flatten;
mod group_normalization;
mod input;
mod layer_normalization;
mod normalization;
mod numbers;
mod rescaling;
mod reshape;
mod rms_normalization;
mod seed_generator;
mod sequential;
mod spectral_normalization;
mod unit_normalization;

pub use activation::Activation;
pub use activity::ActivityRegularizer;
pub use axes::LayerAxes;
pub use batch_normalization::{BatchNormalization, RenormClipping};
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::{DataFormat, Flatten};
pub use group_normalization::GroupNormalization;
pub use input::InputLayer;
pub use layer_normalization::LayerNormalization;
pub use normalization::{KeptAxes, Normalization};
pub use numbers::Numbers;
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use rms_normalization::RMSNormalization;
pub use seed_generator::SeedGenerator;
pub use sequential::Sequential;
pub use spectral_normalization::SpectralNormalization;
pub use unit_normalization::UnitNormalization;

/// One layer a row.
macro_rules! list {
    ($($class:ident)*) => {
        /// The class names of all layers that are built in; configs name them, and the registry finds them.
        pub const LAYERS: &[&str] = &[$(stringify!($class)),*];

        crate::family::built_in!($($class)*);
    };
}

list! {
    Activation BatchNormalization Dense Dropout Flatten GroupNormalization InputLayer LayerNormalization Normalization
    RMSNormalization Rescaling Reshape Sequential SpectralNormalization UnitNormalization
}
