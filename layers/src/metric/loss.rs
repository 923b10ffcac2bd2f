//! Losses as metrics.

use super::mean_metric;
use crate::loss::{mean_absolute_error, mean_squared_error};

mean_metric! {
    /// The mean of [`mean_squared_error`].
    MeanSquaredError "mean_squared_error" |_metric, y_true, y_pred| mean_squared_error(y_true, y_pred);
}

mean_metric! {
    /// The mean of [`mean_absolute_error`].
    MeanAbsoluteError "mean_absolute_error" |_metric, y_true, y_pred| mean_absolute_error(y_true, y_pred);
}
