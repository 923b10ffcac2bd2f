//! Means of errors along the last axis.

use super::{Loss, Reduction, aligned};
use modulor::{Result, Tensor};
use serde::{Deserialize, Serialize};

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

/// Losses without settings of their own: one a row.
macro_rules! means {
    ($($(#[$doc:meta])* $class:ident = $function:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $class {
            /// The name in logs.
            pub name: String,
            /// What becomes of the losses of all samples.
            pub reduction: Reduction,
        }

        impl Default for $class {
            fn default() -> Self {
                $class { name: stringify!($function).to_owned(), reduction: Reduction::default() }
            }
        }

        impl Loss for $class {
            fn name(&self) -> &str {
                &self.name
            }
            fn losses(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
                $function(y_true, y_pred)
            }
            fn reduction(&self) -> Reduction {
                self.reduction
            }
        }
    )* };
}

means! {
    /// `(y_true − y_pred)²`, the mean over the last axis: [`mean_squared_error`].
    MeanSquaredError = mean_squared_error;
    /// `|y_true − y_pred|`, the mean over the last axis: [`mean_absolute_error`].
    MeanAbsoluteError = mean_absolute_error;
}
