//! How often a prediction is right.

use super::mean_metric;
use crate::loss::same_rank;
use modulor::{DType, Error, Result, Tensor};

/// 1 where the prediction is the target, else 0.
pub fn accuracy(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = alike(&y_true.cast(y_pred.dtype())?, y_pred)?;
    y_true.equal(&y_pred)?.cast(DType::F32)
}

/// 1 where the prediction is above a threshold and the target is 1, or neither; else 0.
pub fn binary_accuracy(y_true: &Tensor, y_pred: &Tensor, threshold: f64) -> Result<Tensor> {
    let (y_true, y_pred) = alike(y_true, y_pred)?;
    y_pred.greater(threshold)?.cast(y_true.dtype())?.equal(&y_true)?.cast(DType::F32)
}

/// 1 where the greatest prediction is that of the class with the greatest target, else 0: one value for each vector on
/// the last axis.
pub fn categorical_accuracy(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = alike(y_true, y_pred)?;
    y_true.argmax(-1)?.equal(y_pred.argmax(-1)?)?.cast(DType::F32)
}

/// 1 where the greatest prediction is that of the class id, else 0: one value for each vector on the last axis.
///
/// Class ids have the shape of the predictions without the last axis, or with 1 there.
pub fn sparse_categorical_accuracy(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let best = y_pred.argmax(-1)?;
    let ids = if y_true.rank() == y_pred.rank() { y_true.squeeze([-1])? } else { y_true.clone() };
    let (ids, best) = alike(&ids.cast(DType::I64)?, &best)?;
    ids.equal(&best)?.cast(DType::F32)
}

/// Both of one rank, by a last dim of 1; an error for dims that would broadcast.
fn alike(y_true: &Tensor, y_pred: &Tensor) -> Result<(Tensor, Tensor)> {
    y_true.check()?;
    y_pred.check()?;
    let (a, b) = same_rank(y_true, y_pred)?;
    if a.shape().is_compatible_with(b.shape()) {
        return Ok((a, b));
    }
    let message = format!("targets of shape {} and predictions of shape {}", y_true.shape(), y_pred.shape());
    Err(Error::invalid_argument(message))
}

mean_metric! {
    /// How often the prediction is the target: [`accuracy`].
    Accuracy "accuracy" |_metric, y_true, y_pred| accuracy(y_true, y_pred);
}

mean_metric! {
    /// How often the prediction is on the target's side of a threshold: [`binary_accuracy`].
    BinaryAccuracy "binary_accuracy" |metric, y_true, y_pred| binary_accuracy(y_true, y_pred, metric.threshold);
    /// Above it a prediction is a yes; 0.5 unless set.
    threshold: f64 = 0.5;
}

mean_metric! {
    /// How often the greatest prediction is that of the right class, for one-hot targets: [`categorical_accuracy`].
    CategoricalAccuracy "categorical_accuracy" |_metric, y_true, y_pred| categorical_accuracy(y_true, y_pred);
}

mean_metric! {
    /// How often the greatest prediction is that of the right class, for class ids: [`sparse_categorical_accuracy`].
    SparseCategoricalAccuracy "sparse_categorical_accuracy"
        |_metric, y_true, y_pred| sparse_categorical_accuracy(y_true, y_pred);
}
