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
mod class;
mod reduction;
mod total;

pub use accuracy::{
    Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
};
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

/// A built-in metric: its class name and the way to one with the settings of a config, or the defaults.
struct Class {
    name: &'static str,
    make: fn(Option<&module::Config>) -> Result<Box<dyn Metric>>,
}

fn make<M: Metric + FromConfig + Default>(config: Option<&module::Config>) -> Result<Box<dyn Metric>> {
    Ok(match config {
        Some(config) => Box::new(M::from_config(config)?),
        None => Box::new(M::default()),
    })
}

macro_rules! list {
    ($($class:ident)*) => {
        const CLASSES: &[Class] = &[$(Class { name: stringify!($class), make: make::<$class> }),*];

        /// The class names of all [`Metric`]s that are built in.
        pub const METRICS: &[&str] = &[$(stringify!($class)),*];

        crate::family::built_in!(Mean Sum $($class)*);
    };
}

list! {
    Accuracy
    BinaryAccuracy
    CategoricalAccuracy
    SparseCategoricalAccuracy
    SparseTopKCategoricalAccuracy
    TopKCategoricalAccuracy
}

/// A metric by its class name or by the name that logs have, with its defaults.
pub fn by_name(name: &str) -> Result<Box<dyn Metric>> {
    for class in CLASSES {
        let metric = (class.make)(None)?;
        if class.name == name || metric.name() == name {
            return Ok(metric);
        }
    }
    Err(crate::family::unknown("metric", name, METRICS))
}

/// A metric out of what [`module::object`] wrote of it, or Keras.
pub fn from_object(object: &Value) -> Result<Box<dyn Metric>> {
    let (Some(name), Some(config)) = (object["class_name"].as_str(), object["config"].as_object()) else {
        return Err(Error::invalid_argument(format!("expected a serialized metric, found {object}")));
    };
    let class = CLASSES.iter().find(|class| class.name == name);
    (class.ok_or_else(|| crate::family::unknown("metric", name, METRICS))?.make)(Some(config))
}
