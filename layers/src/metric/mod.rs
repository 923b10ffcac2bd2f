//! Metrics: what is counted while a model runs. Keras's names, arguments, defaults and configurations.
//!
//! A metric is a module. Its variables are Keras's, of its dtype; beside each stands a float64 one, `exact_..`, that is
//! not saved and in which the counting is done, so that nothing is lost after 2²⁴ samples. Whoever writes the saved one,
//! by a checkpoint or by hand, is believed: the exact one counts only as long as it rounds to the other.
//!
//! ```
//! use modulor::Tensor;
//! use modulor_layers::metric::{Mean, Metric, SparseCategoricalAccuracy};
//! # fn main() -> modulor::Result<()> {
//! let accuracy = SparseCategoricalAccuracy::new();
//! let scores = Tensor::from([[0.1_f32, 0.9], [0.8, 0.2]]);
//! accuracy.update_state(&Tensor::from([1, 1]), &scores, None)?;
//! assert_eq!(accuracy.result()?.item::<f32>()?, 0.5);
//!
//! let loss = Mean::new().name("loss");
//! loss.update_state(&Tensor::from([1.0_f32, 2.0]), None)?;
//! loss.update_state(&Tensor::scalar(6.0_f32), None)?;
//! assert_eq!(loss.result()?.item::<f32>()?, 3.0);
//! # Ok(())
//! # }
//! ```

mod accuracy;
mod area;
mod class;
mod confusion;
mod correlation;
mod loss;
mod overlap;
mod reduction;
mod score;
mod total;

pub use accuracy::{
    Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
};
pub use area::{AUC, Curve, Summation};
pub use confusion::{
    FalseNegatives, FalsePositives, Precision, PrecisionAtRecall, Recall, RecallAtPrecision, SensitivityAtSpecificity,
    SpecificityAtSensitivity, Thresholds, TrueNegatives, TruePositives,
};
pub use correlation::{concordance_correlation, pearson_correlation};
pub use loss::{
    BinaryCrossentropy, CategoricalCrossentropy, CategoricalHinge, ConcordanceCorrelation, CosineSimilarity, Hinge,
    KLDivergence, LogCoshError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
    MeanSquaredLogarithmicError, PearsonCorrelation, Poisson, RootMeanSquaredError, SparseCategoricalCrossentropy,
    SquaredHinge,
};
pub use overlap::{BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU};
pub use reduction::{Mean, Sum};
pub use score::{Aggregation, Average, F1Score, FBetaScore, R2Score};

use modulor::{Error, FromConfig, Module, Result, Tensor, module};
use serde_json::Value;

/// Compares predictions with what is true, over any number of batches.
///
/// [`Mean`] and [`Sum`], which take values instead, have methods of the same names.
pub trait Metric: Module {
    /// The name that logs have.
    fn name(&self) -> &str;

    /// Counts a batch. A weight is a scalar, or has the first dims of what is counted; what the mask of `y_pred` leaves
    /// out does not count. Shapes that do not fit are an error, and nothing has been counted.
    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()>;

    /// What has been counted since the last reset.
    fn result(&self) -> Result<Tensor>;

    /// Begins anew.
    fn reset_state(&self) -> Result<()>;
}

/// A built-in metric: its class name, Keras's other names for it, and the way to one with the settings of a config, or
/// the defaults.
struct Class {
    name: &'static str,
    others: &'static [&'static str],
    make: fn(Option<&module::Config>) -> Result<Box<dyn Metric>>,
}

fn make<M: Metric + FromConfig + Default>(config: Option<&module::Config>) -> Result<Box<dyn Metric>> {
    match config {
        Some(config) => make_given::<M>(Some(config)),
        None => Ok(Box::new(M::default())),
    }
}

/// Makes one that has settings without a default.
fn make_given<M: Metric + FromConfig>(config: Option<&module::Config>) -> Result<Box<dyn Metric>> {
    Ok(Box::new(M::from_config(config.unwrap_or(&module::Config::new()))?))
}

macro_rules! list {
    ($($class:ident $(: $given:ident)? $($other:literal)*;)*) => {
        const CLASSES: &[Class] =
            &[$(Class { name: stringify!($class), others: &[$($other),*], make: list!(@$class $($given)?) }),*];

        /// The class names of all [`Metric`]s that are built in.
        pub const METRICS: &[&str] = &[$(stringify!($class)),*];

        crate::family::built_in!(Mean Sum $($class)*);
    };
    (@$class:ident) => { make::<$class> };
    (@$class:ident given) => { make_given::<$class> };
}

list! {
    AUC;
    Accuracy;
    BinaryAccuracy;
    BinaryCrossentropy "bce" "BCE";
    BinaryIoU;
    CategoricalAccuracy;
    CategoricalCrossentropy;
    CategoricalHinge;
    ConcordanceCorrelation;
    CosineSimilarity;
    F1Score;
    FBetaScore "f_beta_score";
    FalseNegatives;
    FalsePositives;
    Hinge;
    IoU: given "io_u";
    KLDivergence;
    LogCoshError "log_cosh_error";
    MeanAbsoluteError "mae" "MAE";
    MeanAbsolutePercentageError "mape" "MAPE";
    MeanIoU: given "mean_io_u";
    MeanSquaredError "mse" "MSE";
    MeanSquaredLogarithmicError "msle" "MSLE";
    OneHotIoU: given "one_hot_io_u";
    OneHotMeanIoU: given "one_hot_mean_io_u";
    PearsonCorrelation;
    Poisson;
    Precision;
    PrecisionAtRecall: given "precision_at_recall";
    R2Score;
    Recall;
    RecallAtPrecision: given "recall_at_precision";
    RootMeanSquaredError;
    SensitivityAtSpecificity: given "sensitivity_at_specificity";
    SparseCategoricalAccuracy;
    SparseCategoricalCrossentropy;
    SparseTopKCategoricalAccuracy;
    SpecificityAtSensitivity: given "specificity_at_sensitivity";
    SquaredHinge;
    TopKCategoricalAccuracy;
    TrueNegatives;
    TruePositives;
}

/// A metric by its class name, the name that logs have, or Keras's other names for it, with its defaults. An error for a
/// name that nothing has, and where a setting has no default.
///
/// ```
/// use modulor_layers::metric;
/// # fn main() -> modulor::Result<()> {
/// assert_eq!(metric::by_name("mse")?.name(), "mean_squared_error");
/// # Ok(())
/// # }
/// ```
pub fn by_name(name: &str) -> Result<Box<dyn Metric>> {
    if let Some(class) = CLASSES.iter().find(|class| class.name == name || class.others.contains(&name)) {
        return (class.make)(None);
    }
    let mut defaults = CLASSES.iter().filter_map(|class| (class.make)(None).ok());
    defaults.find(|metric| metric.name() == name).ok_or_else(|| crate::family::unknown("metric", name, METRICS))
}

/// A metric out of what [`module::object`] wrote of it, or Keras.
pub fn from_object(object: &Value) -> Result<Box<dyn Metric>> {
    let (Some(name), Some(config)) = (object["class_name"].as_str(), object["config"].as_object()) else {
        return Err(Error::invalid_argument(format!("expected a serialized metric, found {object}")));
    };
    let class = CLASSES.iter().find(|class| class.name == name);
    (class.ok_or_else(|| crate::family::unknown("metric", name, METRICS))?.make)(Some(config))
}
