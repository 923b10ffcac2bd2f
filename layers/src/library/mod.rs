//! The layers, by Keras's names: a file, its `mod` line and its row in the list.

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
mod max_num_bounding_boxes;
mod merging;
mod mixing;
mod multi_head_attention;
mod noise;
mod normalization;
mod numbers;
mod permute;
mod pipeline;
mod pooling;
mod random_affine;
mod random_blur;
mod random_color;
mod random_crop;
mod random_elastic;
mod random_erasing;
mod random_flip;
mod random_perspective;
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
mod several_changes;
mod simple_rnn;
mod simple_rnn_cell;
mod spatial_dropout;
mod spectral_normalization;
mod spectrogram;
mod stacked_rnn_cells;
mod text_vectorization;
mod time_distributed;
mod tones;
mod unit_normalization;
mod up_sampling;
pub(crate) mod variants;
mod vocabulary;
mod window;

pub use activity::ActivityRegularizer;
pub use attending::{AttentionInputs, AttentionScores, CausalAttention};
pub use augmentation::Augmentation;
pub use axes::LayerAxes;
pub use batches::IntoBatch;
pub use cell::{Cell, ShareCell};
pub use factor::{Factor, FactorWithin};
pub(crate) use input::admitted;
pub use numbers::Numbers;
pub use seed_generator::SeedGenerator;
pub use vocabulary::{OovMethod, Salt, TokenOutput};
pub use window::{Padding, PerAxis};

pub use crate::resize::Interpolation;
pub use modulor::FillMode;

/// One file a row: its layers, and after a bar what else of it is public.
macro_rules! list {
    ($($file:ident: $($class:ident)* $(| $($other:ident)*)?;)*) => {
        $(pub use $file::{$($class,)* $($($other),*)?};)*

        /// The class names of all layers that are built in; configs name them, and the registry finds them.
        pub const LAYERS: &[&str] = &[$($(stringify!($class),)*)*];

        crate::family::built_in!($($($class)*)*);
    };
}

list! {
    activation: Activation;
    activation_layers: ELU LeakyReLU PReLU ReLU Softmax;
    activity_regularization: ActivityRegularization;
    adaptive_pooling: AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D
        AdaptiveMaxPooling2D AdaptiveMaxPooling3D;
    attention: AdditiveAttention Attention | ScoreMode;
    batch_normalization: BatchNormalization | RenormClipping;
    bidirectional: Bidirectional | Directions MergeMode;
    borders: Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D ZeroPadding3D | Sides;
    category_encoding: CategoryEncoding | CountWeights OutputMode WeightedCounts;
    center_crop: CenterCrop;
    conv_lstm: ConvLSTM1D ConvLSTM2D ConvLSTM3D | ConvLSTMCell;
    convolution: Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose;
    dense: Dense;
    discretization: Discretization;
    dropout: Dropout;
    einsum_dense: EinsumDense | OutputShape;
    embedding: Embedding ReversibleEmbedding | Reversed;
    flatten: Flatten | DataFormat;
    group_normalization: GroupNormalization;
    gru: GRU;
    gru_cell: GRUCell;
    hashed_crossing: HashedCrossing;
    hashing: Hashing | BinOutput MaskValue;
    identity: Identity | IdentityOver;
    input: InputLayer;
    layer_normalization: LayerNormalization;
    lookup: IntegerLookup StringLookup;
    lstm: LSTM;
    lstm_cell: LSTMCell;
    masking: Masking;
    max_num_bounding_boxes: MaxNumBoundingBoxes;
    merging: Add Average Concatenate Dot Maximum Minimum Multiply Subtract | add average concatenate dot maximum minimum
        multiply subtract;
    mixing: CutMix MixUp;
    multi_head_attention: GroupQueryAttention MultiHeadAttention;
    noise: AlphaDropout GaussianDropout GaussianNoise;
    normalization: Normalization | KeptAxes;
    permute: Permute;
    pipeline: Pipeline;
    pooling: AveragePooling1D AveragePooling2D AveragePooling3D GlobalAveragePooling1D GlobalAveragePooling2D
        GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D MaxPooling1D MaxPooling2D
        MaxPooling3D;
    random_affine: RandomRotation RandomShear RandomTranslation RandomZoom;
    random_blur: RandomGaussianBlur;
    random_color: RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomGrayscale RandomHue
        RandomInvert RandomPosterization RandomSaturation RandomSharpness Solarization;
    random_crop: RandomCrop;
    random_elastic: RandomElasticTransform;
    random_erasing: RandomErasing;
    random_flip: RandomFlip | FlipMode;
    random_perspective: RandomPerspective;
    recurrent: RNN | Otherwise Recurrent RecurrentLayer WithStates;
    repeat_vector: RepeatVector;
    rescaling: Rescaling;
    reshape: Reshape;
    resizing: Resizing;
    rms_normalization: RMSNormalization;
    several_changes: AugMix RandAugment;
    separable: DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D;
    sequential: Sequential;
    simple_rnn: SimpleRNN;
    simple_rnn_cell: SimpleRNNCell;
    spatial_dropout: SpatialDropout1D SpatialDropout2D SpatialDropout3D;
    spectral_normalization: SpectralNormalization;
    spectrogram: MelSpectrogram STFTSpectrogram | SpectrogramMode;
    stacked_rnn_cells: StackedRNNCells;
    text_vectorization: TextVectorization | NGrams Split Standardize;
    time_distributed: TimeDistributed;
    tones: AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization;
    unit_normalization: UnitNormalization;
    up_sampling: UpSampling1D UpSampling2D UpSampling3D;
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
