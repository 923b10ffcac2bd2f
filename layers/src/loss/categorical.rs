//! The cross entropy of distributions over classes.

use super::{aligned, class::losses, clipped, ids};
use modulor::{Error, Result, Tensor};

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
    let (y, p) = aligned(y_true, y_pred)?;
    let y = smoothed(y, label_smoothing)?;
    if !from_logits {
        return y.mul(scaled(&p, axis)?.log()?)?.sum(axis)?.neg();
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

fn smoothed(y: Tensor, label_smoothing: f64) -> Result<Tensor> {
    if label_smoothing == 0.0 {
        return Ok(y);
    }
    let classes = classes(&y)?;
    Ok(y * (1.0 - label_smoothing) + label_smoothing / classes as f64)
}

/// The size of the last axis.
fn classes(y: &Tensor) -> Result<usize> {
    let classes = y.rank().and_then(|rank| y.shape().dim(rank.checked_sub(1)?));
    classes.ok_or_else(|| Error::invalid_argument(format!("the number of classes must be known, found {}", y.spec())))
}

/// Probabilities that sum to 1, kept 1e-7 away from 0 and 1.
fn scaled(p: &Tensor, axis: i64) -> Result<Tensor> {
    clipped(&p.div(p.sum_keepdims(axis)?)?)
}

/// `−Σ alpha·(1 − p)^gamma·y·ln p` over the classes on an axis (Lin et al. 2018).
pub fn categorical_focal_crossentropy(
    y_true: &Tensor,
    y_pred: &Tensor,
    alpha: f64,
    gamma: f64,
    from_logits: bool,
    label_smoothing: f64,
    axis: i64,
) -> Result<Tensor> {
    let (y, p) = aligned(y_true, y_pred)?;
    let y = smoothed(y, label_smoothing)?;
    let p = if from_logits { p.softmax(axis)? } else { p };
    let p = scaled(&p, axis)?;
    let entropy = -y * p.log()?;
    ((1.0 - p).pow(gamma)? * alpha).mul(entropy)?.sum(axis)
}

/// `(1 − p^q) / q`, p being the probability of the class that is true, for class ids `y_true` (Zhang and Sabuncu 2018).
///
/// An id outside of the classes has the probability 0.
pub fn categorical_generalized_cross_entropy(y_true: &Tensor, y_pred: &Tensor, q: f64) -> Result<Tensor> {
    let labels = ids(y_true, y_pred)?;
    let of_truth = y_pred.mul(labels.one_hot(classes(y_pred)?, y_pred.dtype())?)?.sum(-1)?;
    Ok((1.0 - of_truth.pow(q)?) / q)
}

losses! {
    /// The cross entropy between distributions over classes, such as one-hot labels, and predictions:
    /// [`categorical_crossentropy`].
    CategoricalCrossentropy, "categorical_crossentropy" = categorical_crossentropy {
        /// Whether predictions are logits, not probabilities.
        from_logits: bool = false,
        /// How far targets are moved towards the uniform distribution, 0 to 1.
        label_smoothing: f64 = 0.0,
        /// The axis of the classes; -1 unless set.
        axis: i64 = -1,
    }
    /// The cross entropy of which easy targets count little: [`categorical_focal_crossentropy`].
    CategoricalFocalCrossentropy, "categorical_focal_crossentropy" = categorical_focal_crossentropy {
        /// A weight; ¼ unless set.
        alpha: f64 = 0.25,
        /// How little easy targets count: 0 for as much as the others, 2 unless set.
        gamma: f64 = 2.0,
        /// Whether predictions are logits, not probabilities.
        from_logits: bool = false,
        /// How far targets are moved towards the uniform distribution, 0 to 1.
        label_smoothing: f64 = 0.0,
        /// The axis of the classes; -1 unless set.
        axis: i64 = -1,
    }
    /// A loss of class ids that forgives wrong labels: [`categorical_generalized_cross_entropy`].
    CategoricalGeneralizedCrossEntropy, "categorical_generalized_cross_entropy" = categorical_generalized_cross_entropy {
        /// From near 0, the cross entropy, to 1, the mean absolute error; ½ unless set.
        q: f64 = 0.5,
    }
}
