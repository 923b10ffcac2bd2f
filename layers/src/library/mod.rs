//! The layers, by Keras's names: one file each, and one row in [`LAYERS`].

mod activation;
mod activity;
mod axes;
mod batch_normalization;
mod bidirectional;
pub(crate) mod cell;
mod dense;
mod dropout;
mod flatten;
mod group_normalization;
mod gru;
mod gru_cell;
mod input;
mod layer_normalization;
mod lstm;
mod lstm_cell;
mod normalization;
mod numbers;
mod recurrent;
mod recurrent_dropout;
mod rescaling;
mod reshape;
mod rms_normalization;
mod seed_generator;
mod sequential;
mod simple_rnn;
mod simple_rnn_cell;
mod spectral_normalization;
mod stacked_rnn_cells;
mod unit_normalization;

pub use activation::Activation;
pub use activity::ActivityRegularizer;
pub use axes::LayerAxes;
pub use batch_normalization::{BatchNormalization, RenormClipping};
pub use bidirectional::{Bidirectional, Directions, MergeMode};
pub use cell::{Cell, ShareCell};
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::{DataFormat, Flatten};
pub use group_normalization::GroupNormalization;
pub use gru::GRU;
pub use gru_cell::GRUCell;
pub use input::InputLayer;
pub use layer_normalization::LayerNormalization;
pub use lstm::LSTM;
pub use lstm_cell::LSTMCell;
pub use normalization::{KeptAxes, Normalization};
pub use numbers::Numbers;
pub use recurrent::{RNN, Recurrent, RecurrentLayer, WithStates};
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use rms_normalization::RMSNormalization;
pub use seed_generator::SeedGenerator;
pub use sequential::Sequential;
pub use simple_rnn::SimpleRNN;
pub use simple_rnn_cell::SimpleRNNCell;
pub use spectral_normalization::SpectralNormalization;
pub use stacked_rnn_cells::StackedRNNCells;
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
    Activation BatchNormalization Bidirectional Dense Dropout Flatten GRU GRUCell GroupNormalization InputLayer LSTM
    LSTMCell LayerNormalization Normalization RMSNormalization RNN Rescaling Reshape Sequential SimpleRNN SimpleRNNCell
    SpectralNormalization StackedRNNCells UnitNormalization
}
