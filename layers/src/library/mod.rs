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

/// One layer a row.
macro_rules! list {
    ($($class:ident)*) => {
        /// The class names of all layers that are built in; configs name them, and the registry finds them.
        pub const LAYERS: &[&str] = &[$(stringify!($class)),*];

        crate::family::built_in!($($class)*);
    };
}

list! { Activation Dense Dropout Flatten InputLayer Reshape Sequential }
