//! The names a first program needs: `use modulor::prelude::*;`

#[doc(no_inline)]
pub use crate::{
    Call, DType, Error, ErrorKind, Function, GradientTape, Layer, Module, ModuleExt, NameLayer, Result, Shape, Spec,
    Structure, Tensor, Variable, function, set_seed,
};

#[doc(no_inline)]
pub use crate::checkpoint::{Checkpoint, CheckpointManager};

#[doc(no_inline)]
pub use crate::data::Dataset;

/// For `share`.
#[doc(no_inline)]
pub use crate::module::Track as _;

#[doc(no_inline)]
pub use crate::keras::{
    callback::{BackupAndRestore, Callback, CallbackList, EarlyStopping, History, ModelCheckpoint},
    initializer::{GlorotUniform, HeNormal, Ones, RandomNormal, RandomUniform, Zeros},
    library::{Activation, Dense, Dropout, Flatten, Reshape, Sequential},
    loss::{BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanSquaredError, SparseCategoricalCrossentropy},
    metric::{Mean, Metric, SparseCategoricalAccuracy},
    model::{Input, Model},
    optimizer::{Adam, AdamW, Optimizer, SGD},
    training::{Compile, Trainer},
};

/// For the words about `fit` before `compile`.
#[doc(no_inline)]
pub use crate::keras::training::NotCompiled as _;
