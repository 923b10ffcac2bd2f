//! The cross entropy of yes and no.

use super::{Loss, Reduction, aligned, clipped};
use modulor::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// `−y·ln p − (1 − y)·ln(1 − p)`, the mean over an axis, with `y` moved towards ½ by `label_smoothing`.
///
/// Probabilities are kept 1e-7 away from 0 and 1; logits are put through the sigmoid, in a form that cannot overflow.
pub fn binary_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    from_logits: bool,
    label_smoothing: f64,
    axis: i64,
) -> Result<Tensor> {
    let (mut y, p) = aligned(y_true, y_pred)?;
    if label_smoothing != 0.0 {
        y = y * (1.0 - label_smoothing) + 0.5 * label_smoothing;
    }
    let entropy = if from_logits {
        p.sigmoid_cross_entropy_with_logits(&y)?
    } else {
        let p = clipped(&p)?;
        -(&y * p.log()? + (1.0 - &y) * (1.0 - &p).log()?)
    };
    entropy.mean(axis)
}

/// The cross entropy between targets of 0 and 1 and predictions: [`binary_crossentropy`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinaryCrossentropy {
    /// The name in logs.
    pub name: String,
    /// What becomes of the losses of all samples.
    pub reduction: Reduction,
    /// Whether predictions are logits, not probabilities.
    pub from_logits: bool,
    /// How far targets are moved towards ½: 0 leaves them, 1 makes all of them ½.
    pub label_smoothing: f64,
    /// The axis of the mean; -1 unless set.
    pub axis: i64,
}

impl Default for BinaryCrossentropy {
    fn default() -> Self {
        BinaryCrossentropy {
            name: "binary_crossentropy".to_owned(),
            reduction: Reduction::default(),
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
    }
}

impl Loss for BinaryCrossentropy {
    fn name(&self) -> &str {
        &self.name
    }
    fn losses(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        binary_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)
    }
    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
