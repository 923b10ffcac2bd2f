//! Losses: what training makes small. Keras's names, arguments, defaults and configurations.
//!
//! A loss is a struct of its settings. What it computes is also there as a function of two tensors, one value per
//! sample.
//!
//! ```
//! use modulor::Tensor;
//! use modulor_layers::loss::{Loss, SparseCategoricalCrossentropy};
//! # fn main() -> modulor::Result<()> {
//! let loss = SparseCategoricalCrossentropy { from_logits: true, ..Default::default() };
//! let value = loss.value(&Tensor::from([1, 0]), &Tensor::from([[0.0_f32, 0.0], [0.0, 0.0]]), None)?;
//! assert!((value.item::<f32>()? - 2.0_f32.ln()).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```

mod alignment;
mod binary;
mod categorical;
mod class;
mod hinge;
mod mean;
mod overlap;
mod reduction;
mod sparse;

pub use reduction::Reduction;
pub(crate) use reduction::same_rank;

use crate::family::family;
use modulor::{DType, Error, Result, Tensor};

/// A loss. A new one implements [`losses`](Loss::losses), and is used by [`value`](Loss::value).
pub trait Loss: Send + Sync + 'static {
    /// The name that logs and configurations have.
    fn name(&self) -> &str;

    /// The loss of every sample (or of every step of it), differentiable in `y_pred`.
    ///
    /// A mask on the result says which of them count; so does a mask on `y_pred`.
    fn losses(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor>;

    /// What becomes of the losses of all samples.
    fn reduction(&self) -> Reduction {
        Reduction::SumOverBatchSize
    }

    /// What predictions are cast to, a dtype of floats; nothing where there is none.
    fn dtype(&self) -> Option<DType> {
        None
    }

    /// The losses, weighted, masked and reduced: a scalar, or one value per sample under [`Reduction::None`].
    ///
    /// A weight is a scalar, or has the dims of the losses, of which some may be 1. What the mask of `y_pred` or of the
    /// losses leaves out does not count; under the mean reductions the others count more for it.
    fn value(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<Tensor> {
        let within = |error: Error| error.within(self.name());
        let y_pred = &in_dtype(y_pred, self.dtype()).map_err(within)?;
        let losses = self.losses(y_true, y_pred).map_err(within)?;
        let mask = match (y_pred.mask(), losses.mask()) {
            (Some(given), Some(own)) => Some(given.logical_and(own).map_err(within)?),
            (given, own) => given.or(own).cloned(),
        };
        self.reduction().reduce(&losses, sample_weight, mask.as_ref()).map_err(within)
    }
}

/// One file a row: its losses, with Keras's other names for them, and after a bar what else of it is public.
macro_rules! list {
    ($($file:ident: $($class:ident $($alias:literal)*),* $(| $($other:ident)*)?;)*) => {
        $(pub use $file::{$($class,)* $($($other),*)?};)*

        family! {
            /// Any of this module's losses.
            ///
            /// ```
            /// use modulor_layers::loss::{AnyLoss, MeanSquaredError};
            /// # fn main() -> modulor::Result<()> {
            /// assert_eq!(AnyLoss::named("mse")?, MeanSquaredError::default().into());
            /// # Ok(())
            /// # }
            /// ```
            AnyLoss: Loss, "loss" of "keras.losses", listed in LOSSES;
            $($($class $($alias)*;)*)*
        }
    };
}

list! {
    alignment:
        CTC "ctc",
        Circle "circle"
        | circle ctc;
    binary:
        BinaryCrossentropy "binary_crossentropy" "bce" "BCE",
        BinaryFocalCrossentropy "binary_focal_crossentropy"
        | binary_crossentropy binary_focal_crossentropy;
    categorical:
        CategoricalCrossentropy "categorical_crossentropy",
        CategoricalFocalCrossentropy "categorical_focal_crossentropy",
        CategoricalGeneralizedCrossEntropy "categorical_generalized_cross_entropy"
        | categorical_crossentropy categorical_focal_crossentropy categorical_generalized_cross_entropy;
    hinge:
        CategoricalHinge "categorical_hinge",
        Hinge "hinge",
        SquaredHinge "squared_hinge"
        | categorical_hinge hinge squared_hinge;
    mean:
        Huber "huber",
        LogCosh "log_cosh" "logcosh",
        MeanAbsoluteError "mean_absolute_error" "mae" "MAE",
        MeanAbsolutePercentageError "mean_absolute_percentage_error" "mape" "MAPE",
        MeanSquaredError "mean_squared_error" "mse" "MSE",
        MeanSquaredLogarithmicError "mean_squared_logarithmic_error" "msle" "MSLE",
        Poisson "poisson"
        | huber log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error
          mean_squared_logarithmic_error poisson;
    overlap:
        CosineSimilarity "cosine_similarity",
        Dice "dice",
        KLDivergence "kl_divergence" "kld" "KLD",
        Tversky "tversky"
        | cosine_similarity dice kl_divergence tversky;
    sparse:
        SparseCategoricalCrossentropy "sparse_categorical_crossentropy"
        | sparse_categorical_crossentropy;
}

impl Loss for AnyLoss {
    fn name(&self) -> &str {
        self.inner().map_or(self.class_name(), |loss| loss.name())
    }
    fn losses(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        self.inner()?.losses(y_true, y_pred)
    }
    fn reduction(&self) -> Reduction {
        self.inner().map_or(Reduction::SumOverBatchSize, |loss| loss.reduction())
    }
    fn dtype(&self) -> Option<DType> {
        self.inner().ok()?.dtype()
    }
}

/// Predictions, with their mask, in a dtype of floats, where one is given.
fn in_dtype(y_pred: &Tensor, dtype: Option<DType>) -> Result<Tensor> {
    match dtype {
        None => Ok(y_pred.clone()),
        Some(dtype) if dtype.is_float() => Ok(y_pred.cast(dtype)?.with_mask(y_pred.mask().cloned())),
        Some(dtype) => Err(Error::invalid_argument(format!("`dtype` must be one of floats, found {dtype}"))),
    }
}

/// Both as tensors of the dtype and rank of one, a last dim of 1 added or taken where one has it and the other not.
///
/// Dims that would broadcast are refused: a loss of every target against every prediction is never what was meant.
pub(crate) fn aligned(y_true: &Tensor, y_pred: &Tensor) -> Result<(Tensor, Tensor)> {
    y_true.check()?;
    y_pred.check()?;
    if !y_pred.dtype().is_float() {
        return Err(Error::invalid_argument(format!("predictions are floats, found {}", y_pred.spec())));
    }
    let (y_true, y_pred) = same_rank(y_true, y_pred)?;
    if !y_true.shape().is_compatible_with(y_pred.shape()) {
        let message = format!("targets of shape {} and predictions of shape {}", y_true.shape(), y_pred.shape());
        return Err(Error::invalid_argument(message));
    }
    Ok((y_true.cast(y_pred.dtype())?, y_pred))
}

/// Class ids of the shape of predictions without their last axis, or with 1 there.
fn ids(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    y_true.check()?;
    y_pred.check()?;
    if !y_pred.dtype().is_float() {
        return Err(Error::invalid_argument(format!("predictions are floats, found {}", y_pred.spec())));
    }
    let with_axis = y_true.rank().is_some() && y_true.rank() == y_pred.rank();
    let labels = if with_axis { y_true.squeeze([-1])? } else { y_true.clone() }.cast(DType::I64)?;
    let samples = y_pred.shape().dims().map(|dims| dims[..dims.len().saturating_sub(1)].iter().copied().collect());
    if samples.is_some_and(|samples| !labels.shape().is_compatible_with(&samples)) {
        return Err(Error::invalid_argument(format!(
            "class ids of shape {} and predictions of shape {}",
            y_true.shape(),
            y_pred.shape()
        )));
    }
    Ok(labels)
}

/// Probabilities, kept off 0 and 1 as far as Keras does.
fn clipped(p: &Tensor) -> Result<Tensor> {
    use crate::family::EPSILON;
    p.clip_by_value(EPSILON, 1.0 - EPSILON)
}

/// An axis that must be the last one.
fn last_axis(axis: i64, rank: Option<usize>) -> Result<()> {
    if axis == -1 || rank.is_some_and(|rank| axis + 1 == rank as i64) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!("the classes must be on the last axis, -1; found `axis` {axis}")))
}
