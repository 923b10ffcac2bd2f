//! The cross entropy of class ids.

use super::{class::losses, clipped, ids, last_axis};
use modulor::{Result, Tensor};

/// `−ln p` of the class that is true, for class ids `y_true` of the shape of `y_pred` without its last axis (or with 1
/// there).
///
/// The losses of `ignore_class` are 0, and a mask says so. Another id outside of the classes is an error. Probabilities
/// are kept 1e-7 away from 0 and 1 and then scaled to sum to 1, as Keras has it; logits are put through the softmax.
pub fn sparse_categorical_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    from_logits: bool,
    ignore_class: Option<i64>,
    axis: i64,
) -> Result<Tensor> {
    last_axis(axis, y_pred.rank())?;
    let labels = ids(y_true, y_pred)?;
    let valid = ignore_class.map(|class| labels.not_equal(Tensor::scalar(class))).transpose()?;
    let counted = match &valid {
        Some(valid) => valid.select(&labels, &labels.zeros_like()?)?,
        None => labels,
    };
    let logits = if from_logits { y_pred.with_mask(None) } else { clipped(y_pred)?.log()? };
    let losses = logits.sparse_softmax_cross_entropy_with_logits(&counted)?;
    match valid {
        Some(valid) => Ok(valid.select(&losses, &losses.zeros_like()?)?.with_mask(Some(valid))),
        None => Ok(losses),
    }
}

losses! {
    /// The cross entropy between class ids and predictions: [`sparse_categorical_crossentropy`].
    SparseCategoricalCrossentropy, "sparse_categorical_crossentropy" = sparse_categorical_crossentropy {
        /// Whether predictions are logits, not probabilities.
        from_logits: bool = false,
        /// A class id whose samples do not count; none unless set.
        ignore_class: Option<i64> = None,
        /// The axis of the classes: -1, the last. Not in configurations, as in Keras.
        #[serde(skip_serializing)]
        axis: i64 = -1,
    }
}
