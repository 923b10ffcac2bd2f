//! The cross entropy of distributions over classes.

use super::{Loss, Reduction, aligned, clipped};
use modulor::{Error, Result, Tensor};
use serde::{Deserialize, Serialize};

/// `−Σ y·ln p` over the classes on an axis, with `y` moved towards the uniform distribution by `label_smoothing`.
///
/// Probabilities are scaled to sum to 1 and kept 1e-7 away from 0 and 1; logits are put through the softmax.
pub fn categorical_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    from_logits: bool,
    label_smoothing: f64,
    axis: i64,
) -> Result<Tensor> {
    let (mut y, p) = aligned(y_true, y_pred)?;
    if label_smoothing != 0.0 {
        let classes = y.rank().and_then(|rank| y.shape().dim(rank.checked_sub(1)?));
        let classes = classes.ok_or_else(|| {
            Error::invalid_argument(format!("label smoothing needs the number of classes, found targets {}", y.spec()))
        })?;
        y = y * (1.0 - label_smoothing) + label_smoothing / classes as f64;
    }
    if !from_logits {
        return y.mul(clipped(&p.div(p.sum_keepdims(axis)?)?)?.log()?)?.sum(axis)?.neg();
    }
    let (p, y) = (to_last(&p, axis)?, to_last(&y, axis)?);
    p.softmax_cross_entropy_with_logits(&y)
}

/// With an axis moved behind the others.
fn to_last(x: &Tensor, axis: i64) -> Result<Tensor> {
    let Some(rank) = x.rank().map(|rank| rank as i64).filter(|_| axis != -1) else { return Ok(x.clone()) };
    let axis = if axis < 0 { axis + rank } else { axis };
    x.permute((0..rank).filter(|&other| other != axis).chain([axis]).collect::<Vec<_>>())
}

/// The cross entropy between distributions over classes, such as one-hot labels, and predictions:
/// [`categorical_crossentropy`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CategoricalCrossentropy {
    /// The name in logs.
    pub name: String,
    /// What becomes of the losses of all samples.
    pub reduction: Reduction,
    /// Whether predictions are logits, not probabilities.
    pub from_logits: bool,
    /// How far targets are moved towards the uniform distribution, 0 to 1.
    pub label_smoothing: f64,
    /// The axis of the classes; -1 unless set.
    pub axis: i64,
}

impl Default for CategoricalCrossentropy {
    fn default() -> Self {
        CategoricalCrossentropy {
            name: "categorical_crossentropy".to_owned(),
            reduction: Reduction::default(),
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
    }
}

impl Loss for CategoricalCrossentropy {
    fn name(&self) -> &str {
        &self.name
    }
    fn losses(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        categorical_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)
    }
    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
