use super::*;
use modulor::ModuleExt;
use modulor::keras::metric::{self, METRICS, Mean, Metric, SparseCategoricalAccuracy, Sum};
use modulor::module::read_object;
use std::collections::HashSet;

/// A metric of targets and predictions, or one of values.
enum Any {
    Pairs(Box<dyn Metric>),
    Mean(Mean),
    Sum(Sum),
}

impl Any {
    fn of(row: &Row) -> Option<Any> {
        let config: Value = row.get("config");
        Some(match row.class().as_str() {
            "Mean" => Any::Mean(read_object("Mean", Some(&config)).expect("a config")),
            "Sum" => Any::Sum(read_object("Sum", Some(&config)).expect("a config")),
            class if METRICS.iter().any(|known| known.name == class) => {
                Any::Pairs(metric::from_config(&config).expect("a config"))
            }
            _ => return None,
        })
    }

    fn update(&self, arguments: &[Tensor], weight: Option<&Tensor>) -> Result<()> {
        match self {
            Any::Pairs(metric) => metric.update_state(&arguments[0], &arguments[1], weight),
            Any::Mean(metric) => metric.update_state(&arguments[0], weight),
            Any::Sum(metric) => metric.update_state(&arguments[0], weight),
        }
    }

    fn result(&self) -> Result<Tensor> {
        match self {
            Any::Pairs(metric) => metric.result(),
            Any::Mean(metric) => metric.result(),
            Any::Sum(metric) => metric.result(),
        }
    }

    fn reset(&self) -> Result<()> {
        match self {
            Any::Pairs(metric) => metric.reset_state(),
            Any::Mean(metric) => metric.reset_state(),
            Any::Sum(metric) => metric.reset_state(),
        }
    }

    fn variables(&self) -> Vec<(String, modulor::Variable)> {
        match self {
            Any::Pairs(metric) => metric.named_variables(),
            Any::Mean(metric) => metric.named_variables(),
            Any::Sum(metric) => metric.named_variables(),
        }
    }
}

/// An update or a reset, and what was there afterwards.
#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    arguments: Vec<Entry>,
    sample_weight: Option<Entry>,
    result: Entry,
    variables: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    path: String,
    value: Entry,
}

#[test]
fn metrics_are_kerass_after_every_update() {
    let mut met = HashSet::new();
    for row in rows("metric") {
        let Some(metric) = Any::of(row) else { continue };
        for step in row.get::<Vec<Step>>("steps") {
            let arguments: Vec<Tensor> = step.arguments.iter().map(tensor).collect();
            let weight = step.sample_weight.as_ref().map(tensor);
            let done = if step.reset { metric.reset() } else { metric.update(&arguments, weight.as_ref()) };
            done.unwrap_or_else(|e| panic!("{}: {e}", row.case));
            assert_near(&metric.result().expect("a result"), &tensor(&step.result), 1e-6, &row.case);
            let variables = metric.variables();
            assert_eq!(variables.len(), step.variables.len(), "{}", row.case);
            for recorded in step.variables {
                let name = recorded.path.rsplit('/').next().expect("a path has a last part");
                let found = variables.iter().find(|(found, _)| found == name).expect("Keras's name");
                let value = found.1.value().expect("drawn");
                assert_near(&value, &tensor(&recorded.value).cast(DType::F64).expect("floats"), 1e-6, &row.case);
            }
        }
        met.insert(row.class());
    }
    assert_eq!(met.len(), METRICS.len() + 2, "a row for every metric: {met:?}");
}

#[test]
fn a_count_does_not_stop_at_the_end_of_float32() {
    let mean = Mean::new();
    let many = Tensor::scalar(2.0_f64.powi(24));
    mean.update_state(&Tensor::scalar(1.0_f32), Some(&many)).expect("a scalar");
    for _ in 0..4 {
        mean.update_state(&Tensor::scalar(0.0_f32), None).expect("a scalar");
    }
    let count = mean.named_variables().into_iter().find(|(name, _)| name == "count").expect("a count").1;
    assert_eq!(to_f64(&count.value().expect("drawn")), [2.0_f64.powi(24) + 4.0]);
}

#[test]
fn targets_that_do_not_fit_are_refused() {
    let metric = SparseCategoricalAccuracy::new();
    let scores = Tensor::from([[0.1_f32, 0.9], [0.3, 0.7]]);
    let refused = |target: Tensor, weight: Option<Tensor>| {
        metric.update_state(&target, &scores, weight.as_ref()).expect_err("it does not fit").to_string()
    };
    let error = refused(Tensor::from([0, 1, 1]), None);
    assert!(error.starts_with("sparse_categorical_accuracy: targets of shape (3,)"), "{error}");
    let error = refused(Tensor::from([0, 1]), Some(Tensor::from([1.0_f32, 1.0, 1.0])));
    assert!(error.contains("sample weights of shape (3,) do not fit values of shape (2,)"), "{error}");
    assert_eq!(to_f64(&metric.result().expect("nothing yet")), [0.0]);
    let error = metric::from_config(&"sparse_categorical_acuracy".into()).err().expect("no such name").to_string();
    assert!(error.contains("unknown metric"), "{error}");
}
