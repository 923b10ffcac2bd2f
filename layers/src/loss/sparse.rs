//! The cross entropy of class ids.

use super::{Loss, Reduction, clipped, last_axis};
use modulor::{DType, Error, Result, Tensor};
use serde::{Deserialize, Serialize};

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
    y_true.check()?;
    y_pred.check()?;
    last_axis(axis, y_pred.rank())?;
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

/// The cross entropy between class ids and predictions: [`sparse_categorical_crossentropy`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SparseCategoricalCrossentropy {
    /// The name in logs.
    pub name: String,
    /// What becomes of the losses of all samples.
    pub reduction: Reduction,
    /// Whether predictions are logits, not probabilities.
    pub from_logits: bool,
    /// A class id whose samples do not count; none unless set.
    pub ignore_class: Option<i64>,
    /// The axis of the classes: -1, the last. Not in configurations, as in Keras.
    #[serde(skip_serializing)]
    pub axis: i64,
}

impl Default for SparseCategoricalCrossentropy {
    fn default() -> Self {
        SparseCategoricalCrossentropy {
            name: "sparse_categorical_crossentropy".to_owned(),
            reduction: Reduction::default(),
            from_logits: false,
            ignore_class: None,
            axis: -1,
        }
    }
}

impl Loss for SparseCategoricalCrossentropy {
    fn name(&self) -> &str {
        &self.name
    }
    fn losses(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        sparse_categorical_crossentropy(y_true, y_pred, self.from_logits, self.ignore_class, self.axis)
    }
    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
