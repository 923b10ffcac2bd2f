//! The cross entropy of yes and no.

use super::{aligned, class::losses, clipped};
use modulor::{Result, Tensor};

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
    let (y, p) = aligned(y_true, y_pred)?;
    let y = smoothed(y, label_smoothing);
    let entropy = if from_logits { p.sigmoid_cross_entropy_with_logits(&y)? } else { entropy(&y, &p)? };
    entropy.mean(axis)
}

fn smoothed(y: Tensor, label_smoothing: f64) -> Tensor {
    if label_smoothing == 0.0 { y } else { y * (1.0 - label_smoothing) + 0.5 * label_smoothing }
}

/// The cross entropy of every probability.
fn entropy(y: &Tensor, p: &Tensor) -> Result<Tensor> {
    let p = clipped(p)?;
    Ok(-(y * p.log()? + (1.0 - y) * (1.0 - &p).log()?))
}

/// The binary cross entropy times `(1 − p)^gamma`, p being the probability of what is true, the mean over an axis; with
/// `apply_class_balancing` times `alpha` where the target is 1 and `1 − alpha` where it is 0 (Lin et al. 2018).
#[expect(clippy::too_many_arguments, reason = "Keras's, in its order")]
pub fn binary_focal_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    apply_class_balancing: bool,
    alpha: f64,
    gamma: f64,
    from_logits: bool,
    label_smoothing: f64,
    axis: i64,
) -> Result<Tensor> {
    let (y, p) = aligned(y_true, y_pred)?;
    let y = smoothed(y, label_smoothing);
    let p = if from_logits { p.sigmoid()? } else { p };
    let of_truth = &y * &p + (1.0 - &y) * (1.0 - &p);
    let mut focal = (1.0 - of_truth).pow(gamma)?.mul(entropy(&y, &p)?)?;
    if apply_class_balancing {
        focal = (&y * alpha + (1.0 - &y) * (1.0 - alpha)).mul(focal)?;
    }
    focal.mean(axis)
}

losses! {
    /// The cross entropy between targets of 0 and 1 and predictions: [`binary_crossentropy`].
    BinaryCrossentropy, "binary_crossentropy" = binary_crossentropy {
        /// Whether predictions are logits, not probabilities.
        from_logits: bool = false,
        /// How far targets are moved towards ½: 0 leaves them, 1 makes all of them ½.
        label_smoothing: f64 = 0.0,
        /// The axis of the mean; -1 unless set.
        axis: i64 = -1,
    }
    /// The cross entropy of which easy targets count little: [`binary_focal_crossentropy`].
    BinaryFocalCrossentropy, "binary_focal_crossentropy" = binary_focal_crossentropy {
        /// Whether targets of 1 and of 0 have weights.
        apply_class_balancing: bool = false,
        /// The weight of targets of 1 where they have one, and 1 less that of the others; ¼ unless set.
        alpha: f64 = 0.25,
        /// How little easy targets count: 0 for as much as the others, 2 unless set.
        gamma: f64 = 2.0,
        /// Whether predictions are logits, not probabilities.
        from_logits: bool = false,
        /// How far targets are moved towards ½: 0 leaves them, 1 makes all of them ½.
        label_smoothing: f64 = 0.0,
        /// The axis of the mean; -1 unless set.
        axis: i64 = -1,
    }
}
