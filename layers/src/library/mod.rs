//! The layers, by Keras's names: one file each, and one row in [`LAYERS`].

mod activation;
mod activation_layers;
mod activity;
mod activity_regularization;
mod adaptive_pooling;
mod attending;
mod attention;
mod augmentation;
mod axes;
mod batch_normalization;
mod batches;
mod bidirectional;
mod borders;
mod category_encoding;
pub(crate) mod cell;
mod cell_settings;
mod center_crop;
mod conv_lstm;
mod convolution;
mod dense;
mod discretization;
mod dropout;
mod einsum_dense;
mod embedding;
mod factor;
mod fill_mode;
mod flatten;
mod group_normalization;
mod gru;
mod gru_cell;
mod hashed_crossing;
mod hashing;
mod identity;
mod input;
mod layer_normalization;
mod lookup;
mod lora;
mod lstm;
mod lstm_cell;
mod masking;
mod merging;
mod multi_head_attention;
mod noise;
mod normalization;
mod numbers;
mod permute;
mod pooling;
mod random_affine;
mod random_color;
mod random_crop;
mod random_flip;
mod recurrent;
mod recurrent_dropout;
mod repeat_vector;
mod rescaling;
mod reshape;
mod resizing;
mod rms_normalization;
mod seed_generator;
mod separable;
mod sequential;
mod settings;
mod simple_rnn;
mod simple_rnn_cell;
mod spatial_dropout;
mod spectral_normalization;
mod stacked_rnn_cells;
mod text_vectorization;
mod time_distributed;
mod unit_normalization;
mod up_sampling;
pub(crate) mod variants;
mod vocabulary;
mod window;

pub use activation::Activation;
pub use activation_layers::{ELU, LeakyReLU, PReLU, ReLU, Softmax};
pub use activity::ActivityRegularizer;
pub use activity_regularization::ActivityRegularization;
pub use adaptive_pooling::{
    AdaptiveAveragePooling1D, AdaptiveAveragePooling2D, AdaptiveAveragePooling3D, AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D, AdaptiveMaxPooling3D,
};
pub use attending::{AttentionInputs, AttentionScores, CausalAttention};
pub use attention::{AdditiveAttention, Attention, ScoreMode};
pub use augmentation::Augmentation;
pub use axes::LayerAxes;
pub use batch_normalization::{BatchNormalization, RenormClipping};
pub use batches::IntoBatch;
pub use bidirectional::{Bidirectional, Directions, MergeMode};
pub use borders::{Cropping1D, Cropping2D, Cropping3D, Sides, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D};
pub use category_encoding::{CategoryEncoding, CountWeights, OutputMode, WeightedCounts};
pub use cell::{Cell, ShareCell};
pub use center_crop::CenterCrop;
pub use conv_lstm::{ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, ConvLSTMCell};
pub use convolution::{Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose};
pub use dense::Dense;
pub use discretization::Discretization;
pub use dropout::Dropout;
pub use einsum_dense::{EinsumDense, OutputShape};
pub use embedding::{Embedding, Reversed, ReversibleEmbedding};
pub use factor::{Factor, FactorWithin};
pub use fill_mode::FillMode;
pub use flatten::{DataFormat, Flatten};
pub use group_normalization::GroupNormalization;
pub use gru::GRU;
pub use gru_cell::GRUCell;
pub use hashed_crossing::HashedCrossing;
pub use hashing::{BinOutput, Hashing, MaskValue};
pub use identity::{Identity, IdentityOver};
pub use input::InputLayer;
pub(crate) use input::admitted;
pub use layer_normalization::LayerNormalization;
pub use lookup::{IntegerLookup, StringLookup};
pub use lstm::LSTM;
pub use lstm_cell::LSTMCell;
pub use masking::Masking;
pub use merging::{
    Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract, add, average, concatenate, dot, maximum,
    minimum, multiply, subtract,
};
pub use multi_head_attention::{GroupQueryAttention, MultiHeadAttention};
pub use noise::{AlphaDropout, GaussianDropout, GaussianNoise};
pub use normalization::{KeptAxes, Normalization};
pub use numbers::Numbers;
pub use permute::Permute;
pub use pooling::{
    AveragePooling1D, AveragePooling2D, AveragePooling3D, GlobalAveragePooling1D, GlobalAveragePooling2D,
    GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D, MaxPooling1D, MaxPooling2D,
    MaxPooling3D,
};
pub use random_affine::{RandomRotation, RandomShear, RandomTranslation, RandomZoom};
pub use random_color::{
    RandomBrightness, RandomColorDegeneration, RandomColorJitter, RandomContrast, RandomGrayscale, RandomHue,
    RandomInvert, RandomPosterization, RandomSaturation, RandomSharpness, Solarization,
};
pub use random_crop::RandomCrop;
pub use random_flip::{FlipMode, RandomFlip};
pub use recurrent::{Otherwise, RNN, Recurrent, RecurrentLayer, WithStates};
pub use repeat_vector::RepeatVector;
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use resizing::Resizing;
pub use rms_normalization::RMSNormalization;
pub use seed_generator::SeedGenerator;
pub use separable::{DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D};
pub use sequential::Sequential;
pub use simple_rnn::SimpleRNN;
pub use simple_rnn_cell::SimpleRNNCell;
pub use spatial_dropout::{SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};
pub use spectral_normalization::SpectralNormalization;
pub use stacked_rnn_cells::StackedRNNCells;
pub use text_vectorization::{NGrams, Split, Standardize, TextVectorization};
pub use time_distributed::TimeDistributed;
pub use unit_normalization::UnitNormalization;
pub use up_sampling::{UpSampling1D, UpSampling2D, UpSampling3D};
pub use vocabulary::{OovMethod, Salt, TokenOutput};
pub use window::{Padding, PerAxis};

pub use crate::resize::Interpolation;

/// One layer a row.
macro_rules! list {
    ($($class:ident)*) => {
        /// The class names of all layers that are built in; configs name them, and the registry finds them.
        pub const LAYERS: &[&str] = &[$(stringify!($class)),*];

        crate::family::built_in!($($class)*);
    };
}

list! {
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention
    Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding
    CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D
    ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot
    Dropout ELU EinsumDense Embedding Flatten GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity InputLayer IntegerLookup LSTM LSTMCell
    LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention
    Multiply Normalization PReLU Permute RMSNormalization RNN RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomFlip RandomGrayscale RandomHue RandomInvert
    RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom
    ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding SeparableConv1D SeparableConv2D Sequential
    SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D
    SpectralNormalization StackedRNNCells StringLookup Subtract TextVectorization TimeDistributed UnitNormalization
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
}

/// Keras's other names: of the types, and in configs.
macro_rules! aliases {
    ($($class:ident $other:ident;)*) => { $(
        pub use $class as $other;

        inventory::submit! {
            modulor::registry::class::Alias {
                package: "keras.layers",
                class: stringify!($class),
                other: stringify!($other),
            }
        }
    )* };
}

aliases! {
    AveragePooling1D AvgPool1D;
    AveragePooling2D AvgPool2D;
    AveragePooling3D AvgPool3D;
    Conv1D Convolution1D;
    Conv1DTranspose Convolution1DTranspose;
    Conv2D Convolution2D;
    Conv2DTranspose Convolution2DTranspose;
    Conv3D Convolution3D;
    Conv3DTranspose Convolution3DTranspose;
    GlobalAveragePooling1D GlobalAvgPool1D;
    GlobalAveragePooling2D GlobalAvgPool2D;
    GlobalAveragePooling3D GlobalAvgPool3D;
    GlobalMaxPooling1D GlobalMaxPool1D;
    GlobalMaxPooling2D GlobalMaxPool2D;
    GlobalMaxPooling3D GlobalMaxPool3D;
    MaxPooling1D MaxPool1D;
    MaxPooling2D MaxPool2D;
    MaxPooling3D MaxPool3D;
    SeparableConv1D SeparableConvolution1D;
    SeparableConv2D SeparableConvolution2D;
}
