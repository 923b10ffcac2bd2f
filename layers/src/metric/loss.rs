//! Means of losses, and of other functions of a sample.

use super::class::{mean, metrics};
use super::correlation::{concordance_correlation, pearson_correlation};
use crate::loss::{self, aligned};
use crate::setting::WhereSet;

/// Metrics, each a row: its name in logs, the values it is the mean of, perhaps a function of the mean, and its settings.
macro_rules! means {
    ($(
        $(#[$doc:meta])*
        $class:ident $name:literal |$metric:ident, $y_true:ident, $y_pred:ident| $values:expr $(=> $after:ident)?; {
            $($(#[$about:meta])* $setting:ident: $type:ty = $default:expr;)*
        }
    )*) => {
        $(mean! {
            $(#[$doc])*
            $class $name;
            $($(#[$about])* $setting: $type = $default;)*
        })*

        metrics! {
            $($class |$metric, $y_true, $y_pred| $values $(=> $after)?;)*
        }
    };
}

means! {
    /// `(y_true − y_pred)²`: [`mean_squared_error`](loss::mean_squared_error).
    MeanSquaredError "mean_squared_error" |_m, y_true, y_pred| loss::mean_squared_error(&y_true, &y_pred); {}

    /// `|y_true − y_pred|`: [`mean_absolute_error`](loss::mean_absolute_error).
    MeanAbsoluteError "mean_absolute_error" |_m, y_true, y_pred| loss::mean_absolute_error(&y_true, &y_pred); {}

    /// `100·|y_true − y_pred| / |y_true|`: [`mean_absolute_percentage_error`](loss::mean_absolute_percentage_error).
    MeanAbsolutePercentageError "mean_absolute_percentage_error"
        |_m, y_true, y_pred| loss::mean_absolute_percentage_error(&y_true, &y_pred); {}

    /// `(ln(y_true + 1) − ln(y_pred + 1))²`: [`mean_squared_logarithmic_error`](loss::mean_squared_logarithmic_error).
    MeanSquaredLogarithmicError "mean_squared_logarithmic_error"
        |_m, y_true, y_pred| loss::mean_squared_logarithmic_error(&y_true, &y_pred); {}

    /// The root of the mean of `(y_true − y_pred)²`.
    RootMeanSquaredError "root_mean_squared_error" |_m, y_true, y_pred| {
        let (y_true, y_pred) = aligned(&y_true, &y_pred)?;
        y_true.sub(y_pred)?.square()
    } => sqrt; {}

    /// `ln cosh(y_pred − y_true)`: [`log_cosh`](loss::log_cosh).
    LogCoshError "logcosh" |_m, y_true, y_pred| loss::log_cosh(&y_true, &y_pred); {}

    /// `y_pred − y_true·ln y_pred`: [`poisson`](loss::poisson).
    Poisson "poisson" |_m, y_true, y_pred| loss::poisson(&y_true, &y_pred); {}

    /// `Σ y_true·ln(y_true / y_pred)`: [`kl_divergence`](loss::kl_divergence).
    KLDivergence "kl_divergence" |_m, y_true, y_pred| loss::kl_divergence(&y_true, &y_pred); {}

    /// `max(1 − y_true·y_pred, 0)`: [`hinge`](loss::hinge).
    Hinge "hinge" |_m, y_true, y_pred| loss::hinge(&y_true, &y_pred); {}

    /// `max(1 − y_true·y_pred, 0)²`: [`squared_hinge`](loss::squared_hinge).
    SquaredHinge "squared_hinge" |_m, y_true, y_pred| loss::squared_hinge(&y_true, &y_pred); {}

    /// How little the true class is ahead of the others: [`categorical_hinge`](loss::categorical_hinge).
    CategoricalHinge "categorical_hinge" |_m, y_true, y_pred| loss::categorical_hinge(&y_true, &y_pred); {}

    /// The cross entropy of yes and no: [`binary_crossentropy`](loss::binary_crossentropy).
    BinaryCrossentropy "binary_crossentropy" |metric, y_true, y_pred| {
        loss::binary_crossentropy(&y_true, &y_pred, metric.from_logits, metric.label_smoothing, -1)
    }; {
        /// Whether predictions are logits, not probabilities.
        from_logits: bool = false;
        /// How far targets are moved towards ½: 0 leaves them, 1 makes all of them ½.
        label_smoothing: f64 = 0.0;
    }

    /// The cross entropy of distributions over classes: [`categorical_crossentropy`](loss::categorical_crossentropy).
    CategoricalCrossentropy "categorical_crossentropy" |metric, y_true, y_pred| {
        loss::categorical_crossentropy(&y_true, &y_pred, metric.from_logits, metric.label_smoothing, metric.axis)
    }; {
        /// Whether predictions are logits, not probabilities.
        from_logits: bool = false;
        /// How far targets are moved towards the uniform distribution, 0 to 1.
        label_smoothing: f64 = 0.0;
        /// The axis of the classes; -1 unless set.
        axis: i64 = -1;
    }

    /// The cross entropy of class ids: [`sparse_categorical_crossentropy`](loss::sparse_categorical_crossentropy).
    ///
    /// The losses of `ignore_class` are 0. They do not count where there are sample weights, and count where there are
    /// none, as in Keras.
    SparseCategoricalCrossentropy "sparse_categorical_crossentropy" |metric, y_true, y_pred| {
        loss::sparse_categorical_crossentropy(&y_true, &y_pred, metric.from_logits, metric.ignore_class, metric.axis)
    }; {
        /// Whether predictions are logits, not probabilities.
        from_logits: bool = false;
        /// A class id whose losses are 0; none unless set.
        ignore_class: Option<i64> = None;
        /// The axis of the classes: -1, the last.
        axis: i64 = -1;
    }

    /// How linear predictions are in what is true, along an axis: [`pearson_correlation`].
    PearsonCorrelation "pearson_correlation"
        |metric, y_true, y_pred| pearson_correlation(&y_true, &y_pred, metric.axis); {
        /// The axis of what is compared; -1 unless set.
        axis: i64 = -1;
    }

    /// How much predictions are what is true, along an axis: [`concordance_correlation`].
    ConcordanceCorrelation "concordance_correlation"
        |metric, y_true, y_pred| concordance_correlation(&y_true, &y_pred, metric.axis); {
        /// The axis of what is compared; -1 unless set.
        axis: i64 = -1;
    }
}

mean! {
    /// The cosine of the angle between what is true and what is predicted, as vectors on an axis: 1 where they agree. The
    /// opposite of [`cosine_similarity`](loss::cosine_similarity).
    CosineSimilarity "cosine_similarity";
    => axis: i64;
}

metrics! {
    CosineSimilarity |metric, y_true, y_pred| {
        loss::cosine_similarity(&y_true, &y_pred, metric.axis.0.unwrap_or(-1))?.neg()
    };
}

impl CosineSimilarity {
    /// The axis of the vectors; -1 unless set, and then not in configs, as in Keras, whose configs never have it.
    #[must_use]
    pub fn axis(mut self, axis: i64) -> CosineSimilarity {
        self.axis = WhereSet(Some(axis).filter(|axis| *axis != -1));
        self
    }
}
