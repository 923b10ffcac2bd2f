//! Losses of scores that should be beyond a margin.

use super::{aligned, class::losses};
use modulor::{Result, Tensor};

/// Labels of −1 and 1: those of 0 and 1 are moved there, if there are no others.
fn signs(y_true: &Tensor) -> Result<Tensor> {
    let is_binary = y_true.equal(0.0)?.logical_or(&y_true.equal(1.0)?)?.all(..)?;
    let moved = y_true * 2.0 - 1.0;
    is_binary.select(&moved, y_true)
}

/// How far scores are on the wrong side of the margin.
fn missing(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    (1.0 - signs(&y_true)? * y_pred).maximum(0.0)
}

/// The mean over the last axis of `max(1 − y_true·y_pred, 0)`, for labels of −1 and 1, or of 0 and 1.
pub fn hinge(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    missing(y_true, y_pred)?.mean(-1)
}

/// The mean over the last axis of `max(1 − y_true·y_pred, 0)²`, for labels of −1 and 1, or of 0 and 1.
pub fn squared_hinge(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    missing(y_true, y_pred)?.square()?.mean(-1)
}

/// `max(greatest − true + 1, 0)`, of the greatest score of another class and that of the true one, for one-hot labels.
pub fn categorical_hinge(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let own = y_true.mul(&y_pred)?.sum(-1)?;
    let greatest = (1.0 - y_true).mul(y_pred)?.max(-1)?;
    (greatest - own + 1.0).maximum(0.0)
}

losses! {
    /// `max(1 − y_true·y_pred, 0)`, the mean over the last axis: [`hinge`].
    Hinge, "hinge" = hinge {}
    /// `max(1 − y_true·y_pred, 0)²`, the mean over the last axis: [`squared_hinge`].
    SquaredHinge, "squared_hinge" = squared_hinge {}
    /// How little the true class is ahead of the others: [`categorical_hinge`].
    CategoricalHinge, "categorical_hinge" = categorical_hinge {}
}
