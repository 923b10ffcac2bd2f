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

pub use correlation::{concordance_correlation, pearson_correlation};
pub use reduction::{Mean, Sum};

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

/// One file a row: its metrics, with Keras's other names for them, and after a bar what else of it is public.
macro_rules! list {
    ($($file:ident: $($class:ident $($given:ident)? $($other_name:literal)*),* $(| $($other:ident)*)?;)*) => {
        $(pub use $file::{$($class,)* $($($other),*)?};)*

        const CLASSES: &[Class] = &[$($(Class {
            name: stringify!($class),
            others: &[$($other_name),*],
            make: list!(@$class $($given)?),
        },)*)*];

        /// The class names of all [`Metric`]s that are built in.
        pub const METRICS: &[&str] = &[$($(stringify!($class),)*)*];

        crate::family::built_in!(Mean Sum $($($class)*)*);
    };
    (@$class:ident) => { make::<$class> };
    (@$class:ident given) => { make_given::<$class> };
}

list! {
    accuracy: Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy,
        TopKCategoricalAccuracy;
    area: AUC | Curve Summation;
    confusion: FalseNegatives, FalsePositives, Precision, PrecisionAtRecall given "precision_at_recall", Recall,
        RecallAtPrecision given "recall_at_precision", SensitivityAtSpecificity given "sensitivity_at_specificity",
        SpecificityAtSensitivity given "specificity_at_sensitivity", TrueNegatives, TruePositives | Thresholds;
    loss: BinaryCrossentropy "bce" "BCE", CategoricalCrossentropy, CategoricalHinge, ConcordanceCorrelation,
        CosineSimilarity, Hinge, KLDivergence, LogCoshError "log_cosh_error", MeanAbsoluteError "mae" "MAE",
        MeanAbsolutePercentageError "mape" "MAPE", MeanSquaredError "mse" "MSE", MeanSquaredLogarithmicError "msle"
        "MSLE", PearsonCorrelation, Poisson, RootMeanSquaredError, SparseCategoricalCrossentropy, SquaredHinge;
    overlap: BinaryIoU, IoU given "io_u", MeanIoU given "mean_io_u", OneHotIoU given "one_hot_io_u", OneHotMeanIoU given
        "one_hot_mean_io_u";
    score: F1Score, FBetaScore "f_beta_score", R2Score | Aggregation Average;
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
