//! The metrics of all outputs of a model.

use super::losses::{Targets, repeated, unknown_output};
use super::outputs::{Output, paired};
use crate::callback::{Direction, Logs};
use crate::metric::{self, BinaryAccuracy, CategoricalAccuracy, Metric, SparseCategoricalAccuracy};
use modulor::{Error, Result, Tensor, Tree};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A metric: a [`Metric`], or one by Keras's name for it. `"accuracy"` is binary, sparse or categorical by the shapes of
/// targets and predictions.
///
/// A metric that is to be looked at by itself is given as another handle, by `share()`.
pub struct MetricOf(Kind);

enum Kind {
    Given(Arc<dyn Metric>),
    Named(String),
}

impl<M: Metric> From<M> for MetricOf {
    fn from(metric: M) -> Self {
        MetricOf(Kind::Given(Arc::new(metric)))
    }
}

impl From<&str> for MetricOf {
    fn from(name: &str) -> Self {
        MetricOf(Kind::Named(name.to_owned()))
    }
}

/// Names that stand for another metric, by the shapes.
const BY_SHAPES: [&str; 4] = ["accuracy", "acc", "crossentropy", "ce"];

impl MetricOf {
    fn check(&self) -> Result<()> {
        match &self.0 {
            Kind::Named(name) if !BY_SHAPES.contains(&&*name.to_lowercase()) => by_name(name).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// The name in logs, and the metric.
    fn resolved(self, y_true: &Tensor, output: &Output) -> Result<(String, Arc<dyn Metric>)> {
        let name = match self.0 {
            Kind::Given(metric) => return Ok((metric.name().to_owned(), metric)),
            Kind::Named(name) => name,
        };
        let targets = || output.targets(y_true);
        let metric: Arc<dyn Metric> = match &*name.to_lowercase() {
            "accuracy" | "acc" => match targets() {
                Targets::Binary => Arc::new(BinaryAccuracy::new().name(name.as_str())),
                Targets::Sparse => Arc::new(SparseCategoricalAccuracy::new().name(name.as_str())),
                Targets::Categorical => Arc::new(CategoricalAccuracy::new().name(name.as_str())),
            },
            "crossentropy" | "ce" => match targets() {
                Targets::Binary => Arc::new(metric::BinaryCrossentropy::new().name(name.as_str())),
                Targets::Sparse => Arc::new(metric::SparseCategoricalCrossentropy::new().name(name.as_str())),
                Targets::Categorical => Arc::new(metric::CategoricalCrossentropy::new().name(name.as_str())),
            },
            _ => Arc::from(by_name(&name)?),
        };
        Ok((name, metric))
    }
}

fn by_name(name: &str) -> Result<Box<dyn Metric>> {
    metric::by_name(name).map_err(|error| match error.kind() {
        // The class names are many; what is near is better said.
        modulor::ErrorKind::NotFound => {
            let defaults = metric::METRICS.iter().filter_map(|class| metric::by_name(class).ok());
            let mut known: Vec<String> = defaults.map(|metric| metric.name().to_owned()).collect();
            known.extend(BY_SHAPES.map(str::to_owned));
            let near = modulor::nearest::nearest_few(name, known.iter().map(String::as_str), 3);
            Error::not_found(format!("unknown metric `{name}`; near are {}", quoted(&near)))
        }
        _ => error,
    })
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The metrics of all outputs of a model.
///
/// ```
/// use modulor_layers::metric::AUC;
/// use modulor_layers::training::{MetricOf, Metrics};
/// let of_one = Metrics::from(["accuracy", "mse"]);
/// let others = Metrics::from([MetricOf::from("accuracy"), AUC::new().into()]);
/// let by_name = Metrics::named([("age", vec!["mae".into()]), ("sex", vec!["accuracy".into(), AUC::new().into()])]);
/// ```
#[derive(Default)]
pub struct Metrics(Setting);

enum Setting {
    List(Vec<MetricOf>),
    Each(Vec<Vec<MetricOf>>),
    Named(Vec<(String, Vec<MetricOf>)>),
}

impl Default for Setting {
    fn default() -> Self {
        Setting::List(Vec::new())
    }
}

impl<M: Into<MetricOf>, const N: usize> From<[M; N]> for Metrics {
    fn from(metrics: [M; N]) -> Self {
        Metrics(Setting::List(metrics.into_iter().map(Into::into).collect()))
    }
}

impl<M: Into<MetricOf>> From<Vec<M>> for Metrics {
    fn from(metrics: Vec<M>) -> Self {
        Metrics(Setting::List(metrics.into_iter().map(Into::into).collect()))
    }
}

impl Metrics {
    /// Those of each output, in their order.
    pub fn each(metrics: impl IntoIterator<Item = Vec<MetricOf>>) -> Metrics {
        Metrics(Setting::Each(metrics.into_iter().collect()))
    }

    /// Those of outputs by their names.
    pub fn named<'n>(metrics: impl IntoIterator<Item = (&'n str, Vec<MetricOf>)>) -> Metrics {
        Metrics(Setting::Named(metrics.into_iter().map(|(name, of)| (name.to_owned(), of)).collect()))
    }

    pub(super) fn check(&self) -> Result<()> {
        let all: Vec<&MetricOf> = match &self.0 {
            Setting::List(metrics) => metrics.iter().collect(),
            Setting::Each(metrics) => metrics.iter().flatten().collect(),
            Setting::Named(metrics) => metrics.iter().flat_map(|(_, metrics)| metrics).collect(),
        };
        all.into_iter().try_for_each(MetricOf::check)
    }

    /// Those of each output.
    fn of_outputs(self, outputs: &[Output]) -> Result<Vec<Vec<MetricOf>>> {
        let wrong = |count: usize| {
            let message = format!("there are metrics for {count} outputs, and the model has {}", outputs.len());
            Err(Error::invalid_argument(message).note("say which are whose with `Metrics::each` or `Metrics::named`"))
        };
        match self.0 {
            Setting::List(metrics) if metrics.is_empty() => Ok(outputs.iter().map(|_| Vec::new()).collect()),
            Setting::List(metrics) if outputs.len() == 1 => Ok(vec![metrics]),
            // As in Keras, one for each.
            Setting::List(metrics) if metrics.len() == outputs.len() => {
                Ok(metrics.into_iter().map(|m| vec![m]).collect())
            }
            Setting::List(metrics) => wrong(metrics.len()),
            Setting::Each(metrics) if metrics.len() == outputs.len() => Ok(metrics),
            Setting::Each(metrics) => wrong(metrics.len()),
            Setting::Named(metrics) => {
                let mut of: Vec<Vec<MetricOf>> = outputs.iter().map(|_| Vec::new()).collect();
                for (name, metrics) in metrics {
                    let at = outputs.iter().position(|output| output.name == name);
                    of[at.ok_or_else(|| unknown_output("metric", &name, outputs))?].extend(metrics);
                }
                Ok(of)
            }
        }
    }
}

/// A metric of one output.
#[derive(Clone)]
pub(super) struct Counted {
    /// Its name in logs.
    pub name: String,
    output: usize,
    is_weighted: bool,
    pub metric: Arc<dyn Metric>,
}

/// The metrics, plain ones and weighted ones, which are resolved when it is known what the outputs are.
#[derive(Default)]
pub(super) struct CompiledMetrics {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Option<(Metrics, Metrics)>,
    built: Arc<Vec<Counted>>,
}

impl CompiledMetrics {
    pub fn set(&self, plain: Option<Metrics>, weighted: Option<Metrics>) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.built.is_empty() {
            return Err(Error::failed_precondition("metrics are given before the first batch"));
        }
        let (mut waiting_plain, mut waiting_weighted) = state.waiting.take().unwrap_or_default();
        for (given, waiting) in [(plain, &mut waiting_plain), (weighted, &mut waiting_weighted)] {
            if let Some(given) = given {
                given.check()?;
                *waiting = given;
            }
        }
        state.waiting = Some((waiting_plain, waiting_weighted));
        Ok(())
    }

    pub fn build(&self, y: &Tree, outputs: &[Output]) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((plain, weighted)) = state.waiting.take() else { return Ok(()) };
        let (mut counted, mut used): (Vec<Counted>, HashMap<String, usize>) = Default::default();
        for (metrics, is_weighted) in [(plain, false), (weighted, true)] {
            let of = metrics.of_outputs(outputs)?;
            if of.iter().all(Vec::is_empty) {
                continue;
            }
            let has: Vec<bool> = of.iter().map(|metrics| !metrics.is_empty()).collect();
            let y = paired(y, outputs.len(), &has)?;
            for (at, (metrics, y)) in of.into_iter().zip(y).enumerate() {
                for metric in metrics {
                    let y = y.as_ref().ok_or_else(|| {
                        Error::invalid_argument(format!("there are no targets of `{}`", outputs[at].name))
                    })?;
                    let (own, metric) = metric.resolved(y, &outputs[at])?;
                    let of_output =
                        |name: String| if outputs.len() > 1 { format!("{}_{name}", outputs[at].name) } else { name };
                    let name = unique(
                        of_output(own.clone()),
                        is_weighted.then(|| of_output(format!("weighted_{own}"))),
                        &mut used,
                    );
                    counted.push(Counted { name, output: at, is_weighted, metric });
                }
            }
        }
        state.built = Arc::new(counted);
        Ok(())
    }

    pub fn all(&self) -> Arc<Vec<Counted>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).built.clone()
    }

    pub fn update(&self, y: &Tree, y_pred: &[Tensor], weight: &Tree) -> Result<()> {
        let all = self.all();
        if all.is_empty() {
            return Ok(());
        }
        let has: Vec<bool> = (0..y_pred.len()).map(|at| all.iter().any(|counted| counted.output == at)).collect();
        let (y, weights) = (paired(y, y_pred.len(), &has)?, repeated(weight, y_pred.len(), &has)?);
        for Counted { name, output, is_weighted, metric } in &*all {
            let missing = || Error::invalid_argument(format!("there are no targets for `{name}`"));
            let y = y[*output].as_ref().ok_or_else(missing)?;
            metric.update_state(y, &y_pred[*output], weights[*output].as_ref().filter(|_| *is_weighted))?;
        }
        Ok(())
    }

    pub fn logs(&self, logs: &mut Logs) -> Result<()> {
        for Counted { name, metric, .. } in &*self.all() {
            logs.set(name, number(&metric.result()?)?);
        }
        Ok(())
    }
}

/// A name that is not in use: Keras's second of a name has a number, and a weighted one that word first.
fn unique(name: String, weighted: Option<String>, used: &mut HashMap<String, usize>) -> String {
    let base = match weighted {
        Some(weighted) if used.contains_key(&name) => weighted,
        _ => name,
    };
    let count = used.entry(base.clone()).or_default();
    *count += 1;
    if *count == 1 { base } else { format!("{base}_{}", *count - 1) }
}

/// A result as one number: of several, such as one for each class, their mean.
pub(super) fn number(result: &Tensor) -> Result<f64> {
    let result = if result.rank() == Some(0) { result.clone() } else { result.cast(modulor::DType::F64)?.mean(..)? };
    result.cast(modulor::DType::F64)?.item()
}

/// Whether more or less of a metric is better, where Keras says so.
pub(super) fn direction(class: &str) -> Option<Direction> {
    const UP: &[&str] = &[
        "AUC",
        "Accuracy",
        "BinaryAccuracy",
        "BinaryIoU",
        "CategoricalAccuracy",
        "ConcordanceCorrelation",
        "CosineSimilarity",
        "F1Score",
        "FBetaScore",
        "IoU",
        "MeanIoU",
        "OneHotIoU",
        "OneHotMeanIoU",
        "PearsonCorrelation",
        "Precision",
        "PrecisionAtRecall",
        "R2Score",
        "Recall",
        "RecallAtPrecision",
        "SensitivityAtSpecificity",
        "SparseCategoricalAccuracy",
        "SparseTopKCategoricalAccuracy",
        "SpecificityAtSensitivity",
        "TopKCategoricalAccuracy",
    ];
    const DOWN: &[&str] = &[
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "CategoricalHinge",
        "Hinge",
        "KLDivergence",
        "LogCoshError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "RootMeanSquaredError",
        "SparseCategoricalCrossentropy",
        "SquaredHinge",
    ];
    let up = UP.contains(&class).then_some(Direction::Up);
    up.or_else(|| DOWN.contains(&class).then_some(Direction::Down))
}
