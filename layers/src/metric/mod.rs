//! Metrics: what training is judged by. Keras's names, arguments, defaults and configurations.
//!
//! A metric is a module whose variables are sums over all that it has seen: in float64, where Keras has float32, so that
//! counts stay exact beyond the 2²⁴ at which adding 1 to a float32 has no effect.
//!
//! ```
//! use modulor::Tensor;
//! use modulor_layers::metric::{Metric, SparseCategoricalAccuracy};
//! # fn main() -> modulor::Result<()> {
//! let accuracy = SparseCategoricalAccuracy::new();
//! accuracy.update_state(&Tensor::from([1, 0]), &Tensor::from([[0.2_f32, 0.8], [0.4, 0.6]]), None)?;
//! assert_eq!(accuracy.result()?.item::<f32>()?, 0.5);
//! # Ok(())
//! # }
//! ```

mod accuracy;
mod accumulate;
mod loss;
mod mean;
mod top_k;

pub use accuracy::{
    Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, accuracy, binary_accuracy,
    categorical_accuracy, sparse_categorical_accuracy,
};
pub use loss::{MeanAbsoluteError, MeanSquaredError};
pub use mean::{Mean, Sum};
pub use top_k::{
    SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy, sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
};

use crate::family::unknown;
use modulor::module::Config;
use modulor::{FromConfig, Module, ModuleExt, Result, Tensor, variable};
use serde_json::Value;

/// A metric of targets and predictions.
///
/// [`Mean`] and [`Sum`], which are of values, have methods of the same names.
pub trait Metric: Module {
    /// The name that logs have.
    fn name(&self) -> &str;

    /// Takes a batch into account.
    ///
    /// A weight is a scalar, or has the first dims of what it weighs: one for each sample, or for each of its steps.
    fn update_state(&self, y_true: &Tensor, y_pred: &Tensor, sample_weight: Option<&Tensor>) -> Result<()>;

    /// The metric of all that was seen since the last reset.
    fn result(&self) -> Result<Tensor>;

    /// Forgets all that was seen.
    fn reset_state(&self) -> Result<()> {
        zero(self)
    }
}

/// Sets all variables of a module to 0 at one moment.
fn zero(module: &(impl Module + ?Sized)) -> Result<()> {
    let zeros = module.variables().into_iter().map(|v| Ok((v.clone(), v.value()?.zeros_like()?)));
    variable::commit(zeros.collect::<Result<Vec<_>>>()?)
}

/// A metric that is the weighted mean of one value per sample: the class, the default name, its own settings, and the
/// values.
macro_rules! mean_metric {
    (
        $(#[$doc:meta])*
        $class:ident $name:literal |$metric:ident, $y_true:ident, $y_pred:ident| $values:expr;
        $($(#[$setting_doc:meta])* $setting:ident: $type:ty = $default:expr;)*
    ) => {
        $(#[$doc])*
        ///
        /// # Variables
        ///
        /// `total` and `count`, float64 scalars: the mean is one by the other.
        #[derive(modulor::Module)]
        #[module(package = "keras.metrics")]
        pub struct $class {
            /// The name in logs.
            #[config(default = $name.to_owned())]
            name: String,
            /// The dtype of the result, by name; float32 unless set.
            #[config(default = "float32".to_owned())]
            dtype: String,
            $($(#[$setting_doc])* #[config(default = $default)] $setting: $type,)*
            #[variable(shape = [], dtype = "float64", init = 0.0, trainable = false)]
            total: modulor::Variable,
            #[variable(shape = [], dtype = "float64", init = 0.0, trainable = false)]
            count: modulor::Variable,
        }

        impl Default for $class {
            fn default() -> Self {
                $class::new()
            }
        }

        impl crate::metric::Metric for $class {
            fn name(&self) -> &str {
                &self.name
            }

            fn update_state(
                &self,
                $y_true: &modulor::Tensor,
                $y_pred: &modulor::Tensor,
                sample_weight: Option<&modulor::Tensor>,
            ) -> modulor::Result<()> {
                let $metric = self;
                let within = |error: modulor::Error| error.within(self.name.as_str());
                modulor::scope::without_tapes(|| {
                    let values: modulor::Result<modulor::Tensor> = $values;
                    let mask = $y_pred.mask();
                    crate::metric::accumulate::mean(&values?, sample_weight, mask, &self.total, &self.count)
                })
                .map_err(within)
            }

            fn result(&self) -> modulor::Result<modulor::Tensor> {
                crate::metric::accumulate::quotient(&self.total, &self.count, &self.dtype)
            }
        }
    };
}
use mean_metric;

/// A built-in metric of targets and predictions, by its class.
#[derive(Debug)]
pub struct Class {
    /// The class name.
    pub name: &'static str,
    /// Keras's other names for it.
    pub aliases: &'static [&'static str],
    /// Makes one out of its config; an empty one is that of all defaults.
    pub make: fn(&Config) -> Result<Box<dyn Metric>>,
}

const fn class<M: Metric + FromConfig>(name: &'static str, aliases: &'static [&'static str]) -> Class {
    Class { name, aliases, make: |config| Ok(Box::new(M::from_config(config)?)) }
}

/// All that are built in. (`accuracy`, which Keras understands by the shapes it meets, is no name of one of them.)
pub const METRICS: &[Class] = &[
    class::<Accuracy>("Accuracy", &[]),
    class::<BinaryAccuracy>("BinaryAccuracy", &["binary_accuracy"]),
    class::<CategoricalAccuracy>("CategoricalAccuracy", &["categorical_accuracy"]),
    class::<MeanAbsoluteError>("MeanAbsoluteError", &["mean_absolute_error", "mae", "MAE"]),
    class::<MeanSquaredError>("MeanSquaredError", &["mean_squared_error", "mse", "MSE"]),
    class::<SparseCategoricalAccuracy>("SparseCategoricalAccuracy", &["sparse_categorical_accuracy"]),
    class::<SparseTopKCategoricalAccuracy>("SparseTopKCategoricalAccuracy", &["sparse_top_k_categorical_accuracy"]),
    class::<TopKCategoricalAccuracy>("TopKCategoricalAccuracy", &["top_k_categorical_accuracy"]),
];

/// The metric of a name with its defaults; or of what Keras writes, with its settings.
pub fn from_config(object: &Value) -> Result<Box<dyn Metric>> {
    let none = Config::new();
    let (name, config) = match object {
        Value::String(name) => (Some(name.as_str()), Some(&none)),
        object => (object["class_name"].as_str(), object["config"].as_object()),
    };
    let (Some(name), Some(config)) = (name, config) else {
        let message = format!("expected a metric's name or serialized object, found {object}");
        return Err(modulor::Error::invalid_argument(message));
    };
    let found = METRICS.iter().find(|class| class.name == name || class.aliases.contains(&name));
    let names: Vec<&str> = METRICS.iter().map(|class| class.name).collect();
    (found.ok_or_else(|| unknown("metric", name, &names))?.make)(config)
}
