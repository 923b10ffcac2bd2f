//! Losses of how much of one is in the other: of angles, regions and distributions.

use super::{aligned, class::losses};
use crate::OrNone;
use crate::family::EPSILON;
use modulor::{Result, Tensor};

/// Minus the cosine of the angle between targets and predictions along an axis: −1 where they agree.
pub fn cosine_similarity(y_true: &Tensor, y_pred: &Tensor, axis: i64) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let unit = |y: &Tensor| y.mul(y.square()?.sum_keepdims(axis)?.rsqrt()?.minimum(1.0 / EPSILON)?);
    unit(&y_true)?.mul(unit(&y_pred)?)?.sum(axis)?.neg()
}

/// `Σ y_true·ln(y_true / y_pred)` over the last axis, of numbers that are kept from 1e-7 to 1.
pub fn kl_divergence(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let (y_true, y_pred) = (y_true.clip_by_value(EPSILON, 1.0)?, y_pred.clip_by_value(EPSILON, 1.0)?);
    y_true.mul((&y_true / y_pred).log()?)?.sum(-1)
}

/// The sum over axes, all of them if none are given.
fn sum(x: &Tensor, axes: &OrNone<Vec<i64>>) -> Result<Tensor> {
    match &axes.0 {
        Some(axes) => x.sum(axes.as_slice()),
        None => x.sum(..),
    }
}

/// `1 − 2·Σ y_true·y_pred / (Σ y_true + Σ y_pred + 1e-7)`, sums over axes.
pub fn dice(y_true: &Tensor, y_pred: &Tensor, axis: impl Into<OrNone<Vec<i64>>>) -> Result<Tensor> {
    let ((y_true, y_pred), axes) = (aligned(y_true, y_pred)?, axis.into());
    let both = sum(&y_true.mul(&y_pred)?, &axes)? * 2.0;
    Ok(1.0 - both / (sum(&y_true, &axes)? + sum(&y_pred, &axes)? + EPSILON))
}

/// `1 − t / (t + alpha·Σ y_true·(1 − y_pred) + beta·Σ (1 − y_true)·y_pred + 1e-7)` with `t = Σ y_true·y_pred`, sums over
/// axes.
pub fn tversky(
    y_true: &Tensor,
    y_pred: &Tensor,
    alpha: f64,
    beta: f64,
    axis: impl Into<OrNone<Vec<i64>>>,
) -> Result<Tensor> {
    let ((y_true, y_pred), axes) = (aligned(y_true, y_pred)?, axis.into());
    let both = sum(&y_true.mul(&y_pred)?, &axes)?;
    let missed = sum(&(1.0 - &y_pred).mul(&y_true)?, &axes)?;
    let wrong = sum(&y_pred.mul(1.0 - &y_true)?, &axes)?;
    Ok(1.0 - &both / (&both + missed * alpha + wrong * beta + EPSILON))
}

fn is_last(axis: &i64) -> bool {
    *axis == -1
}

losses! {
    /// Minus the cosine of the angle between targets and predictions: [`cosine_similarity`].
    CosineSimilarity, "cosine_similarity" = cosine_similarity {
        /// The axis of the vectors; -1 unless set, and then not in configurations, as in Keras.
        #[serde(skip_serializing_if = "is_last")]
        axis: i64 = -1,
    }
    /// How far predictions are from the distributions that are true: [`kl_divergence`].
    KLDivergence, "kl_divergence" = kl_divergence {}
    /// What regions do not have in common, by their sizes: [`dice`].
    Dice, "dice" = dice {
        /// The axes of a region; all of them unless set.
        axis: OrNone<Vec<i64>> = OrNone(None),
    }
    /// As [`Dice`], with a weight for what is missed and one for what is wrong: [`tversky`].
    Tversky, "tversky" = tversky {
        /// The weight of what is missed; ½ unless set.
        alpha: f64 = 0.5,
        /// The weight of what is wrong; ½ unless set.
        beta: f64 = 0.5,
        /// The axes of a region; all of them unless set.
        axis: OrNone<Vec<i64>> = OrNone(None),
    }
}
