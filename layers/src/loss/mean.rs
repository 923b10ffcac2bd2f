//! Means of errors along the last axis.

use super::{aligned, class::losses};
use crate::family::EPSILON;
use modulor::{Result, Tensor};
use std::f64::consts::LN_2;

/// The mean over the last axis of `(y_true − y_pred)²`.
pub fn mean_squared_error(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    y_true.sub(y_pred)?.square()?.mean(-1)
}

/// The mean over the last axis of `|y_true − y_pred|`.
pub fn mean_absolute_error(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    y_true.sub(y_pred)?.abs()?.mean(-1)
}

/// 100 times the mean over the last axis of `|y_true − y_pred| / |y_true|`; what is divided by is at least 1e-7.
pub fn mean_absolute_percentage_error(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let share = y_true.sub(y_pred)?.div(y_true.abs()?.maximum(EPSILON)?)?.abs()?;
    Ok(share.mean(-1)? * 100.0)
}

/// The mean over the last axis of `(ln(y_true + 1) − ln(y_pred + 1))²`, of numbers that are taken to be at least 1e-7.
pub fn mean_squared_logarithmic_error(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let log = |y: Tensor| (y.maximum(EPSILON)? + 1.0).log();
    log(y_pred)?.sub(log(y_true)?)?.square()?.mean(-1)
}

/// The mean over the last axis of `½e²` where an error e is at most `delta`, else of `delta·|e| − ½delta²`.
pub fn huber(y_true: &Tensor, y_pred: &Tensor, delta: f64) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let error = y_pred.sub(y_true)?;
    let size = error.abs()?;
    let (near, far) = (error.square()? * 0.5, &size * delta - 0.5 * delta * delta);
    size.less_equal(delta)?.select(&near, &far)?.mean(-1)
}

/// The mean over the last axis of `ln cosh(y_pred − y_true)`.
pub fn log_cosh(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let error = y_pred.sub(y_true)?;
    let above = (&error * -2.0).softplus()?;
    (error + above - LN_2).mean(-1)
}

/// The mean over the last axis of `y_pred − y_true·ln(y_pred + 1e-7)`.
pub fn poisson(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let log = (&y_pred + EPSILON).log()?;
    y_pred.sub(y_true.mul(log)?)?.mean(-1)
}

fn is_one(delta: &f64) -> bool {
    *delta == 1.0
}

losses! {
    /// `(y_true − y_pred)²`, the mean over the last axis: [`mean_squared_error`].
    MeanSquaredError, "mean_squared_error" = mean_squared_error {}
    /// `|y_true − y_pred|`, the mean over the last axis: [`mean_absolute_error`].
    MeanAbsoluteError, "mean_absolute_error" = mean_absolute_error {}
    /// `100·|y_true − y_pred| / |y_true|`, the mean over the last axis: [`mean_absolute_percentage_error`].
    MeanAbsolutePercentageError, "mean_absolute_percentage_error" = mean_absolute_percentage_error {}
    /// `(ln(y_true + 1) − ln(y_pred + 1))²`, the mean over the last axis: [`mean_squared_logarithmic_error`].
    MeanSquaredLogarithmicError, "mean_squared_logarithmic_error" = mean_squared_logarithmic_error {}
    /// Squared errors up to a size, and their sizes beyond: [`huber`].
    Huber, "huber_loss" = huber {
        /// The size from which on an error no longer counts by its square; 1 unless set, and then not in configurations,
        /// as in Keras.
        #[serde(skip_serializing_if = "is_one")]
        delta: f64 = 1.0,
    }
    /// `ln cosh(y_pred − y_true)`, the mean over the last axis: [`log_cosh`].
    LogCosh, "log_cosh" = log_cosh {}
    /// `y_pred − y_true·ln y_pred`, of counts and their expected numbers: [`poisson`].
    Poisson, "poisson" = poisson {}
}
