use super::*;
use modulor::graph::trace;
use modulor::keras::metric::{
    self, Accuracy, BinaryAccuracy, CategoricalAccuracy, METRICS, Mean, Metric, SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy, Sum, TopKCategoricalAccuracy,
};
use modulor::{FromConfig, ModuleExt, Spec, Variable, module};
use std::collections::HashSet;

#[derive(Deserialize)]
struct Named {
    path: String,
    value: Entry,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    arguments: Vec<Entry>,
    #[serde(default)]
    sample_weight: Option<Entry>,
    result: Entry,
    variables: Vec<Named>,
}

/// What the rows need of every metric, those of values included.
trait Counted: ModuleExt {
    fn update(&self, arguments: &[Tensor], weight: Option<&Tensor>) -> Result<()>;
    fn value(&self) -> Result<Tensor>;
    fn reset(&self) -> Result<()>;
    fn object(&self) -> Value;
}

macro_rules! counted {
    ($($class:ident($($argument:literal),*);)*) => {
        $(impl Counted for $class {
            fn update(&self, arguments: &[Tensor], weight: Option<&Tensor>) -> Result<()> {
                self.update_state($(&arguments[$argument],)* weight)
            }
            fn value(&self) -> Result<Tensor> {
                self.result()
            }
            fn reset(&self) -> Result<()> {
                self.reset_state()
            }
            fn object(&self) -> Value {
                module::object(self).expect("plain data")
            }
        })*

        /// The metric that a serialized object describes, if we have its class.
        fn read(object: &Value) -> Option<Result<Box<dyn Counted>>> {
            let config = object["config"].as_object().expect("settings");
            match object["class_name"].as_str().expect("a name") {
                $(stringify!($class) => Some($class::from_config(config).map(|metric| Box::new(metric) as _)),)*
                _ => None,
            }
        }
    };
}
counted! {
    Mean(0);
    Sum(0);
    Accuracy(0, 1);
    BinaryAccuracy(0, 1);
    CategoricalAccuracy(0, 1);
    SparseCategoricalAccuracy(0, 1);
    TopKCategoricalAccuracy(0, 1);
    SparseTopKCategoricalAccuracy(0, 1);
}

fn saved(metric: &dyn Counted) -> Vec<Variable> {
    state(metric.as_module()).into_iter().filter(Variable::persistent).collect()
}

#[test]
fn results_and_state_are_kerass_after_every_batch() {
    let mut met = HashSet::new();
    for row in rows("metric") {
        let Some(metric) = read(&row.get("config")) else { continue };
        let metric = metric.unwrap_or_else(|e| panic!("{}: {e}", row.case));
        for (number, step) in row.get::<Vec<Step>>("steps").iter().enumerate() {
            let about = format!("{}, step {number}", row.case);
            let arguments: Vec<Tensor> = step.arguments.iter().map(tensor).collect();
            let weight = step.sample_weight.as_ref().map(tensor);
            let done = if step.reset { metric.reset() } else { metric.update(&arguments, weight.as_ref()) };
            done.unwrap_or_else(|e| panic!("{about}: {e}"));
            let near = 4.0 * epsilon(DType::F32);
            assert_near(&metric.value().expect("a result"), &tensor(&step.result), near, &about);
            let variables = saved(&*metric);
            assert_eq!(variables.len(), step.variables.len(), "{about}");
            for (variable, expected) in variables.iter().zip(&step.variables) {
                assert_eq!(variable.path().as_deref(), Some(expected.path.as_str()), "{about}");
                assert_near(&variable.value().expect("a value"), &tensor(&expected.value), near, &about);
            }
        }
        met.insert(row.class());
    }
    assert_eq!(met.len(), METRICS.len() + 2, "rows for every metric, Mean and Sum: {met:?}");
}

#[test]
fn configs_are_kerass() {
    let mut count = 0;
    for row in config::rows().into_iter().filter(|row| row.kind == "metric") {
        match read(&row.config) {
            Some(Ok(metric)) => assert!(config::same(&metric.object(), &row.config), "{}", row.config),
            Some(Err(error)) => assert!(error.to_string().contains("from_sorted_ids"), "{error}"),
            None => continue,
        }
        count += 1;
    }
    assert!(count >= 2 * METRICS.len());
    for name in METRICS {
        let metric = metric::by_name(name).expect("a name of the list");
        assert_eq!(metric.class_name(), *name);
        assert_eq!(metric::by_name(metric.name()).expect("its other name").class_name(), *name);
    }
    assert!(metric::by_name("accuracyy").is_err());
}

fn item(result: Result<Tensor>) -> f64 {
    result.and_then(|result| result.cast(DType::F64)?.item()).expect("a scalar")
}

#[test]
fn counting_goes_on_beyond_what_float32_can_count() -> Result<()> {
    let metric = SparseCategoricalAccuracy::new();
    let full = Tensor::scalar(16_777_216.0_f32);
    metric.update_state(&Tensor::from([0]), &Tensor::from([[1.0_f32, 0.0]]), Some(&full))?;
    for _ in 0..6 {
        metric.update_state(&Tensor::from([0, 1]), &Tensor::from([[1.0_f32, 0.0], [1.0, 0.0]]), None)?;
    }
    assert_eq!(item(metric.result()), f64::from((16_777_222.0 / 16_777_228.0) as f32));
    let saved: Vec<f64> = saved(&metric).iter().map(|variable| item(variable.value())).collect();
    assert_eq!(saved, [16_777_222.0, 16_777_228.0]);

    let sum = Sum::new();
    (0..1000).try_for_each(|_| sum.update_state(&Tensor::from([16_777_216.0_f32, 1.0]), None))?;
    assert_eq!(item(sum.result()), f64::from((1000.0 * 16_777_217.0) as f32));
    Ok(())
}

#[test]
fn who_writes_the_saved_variables_is_believed() -> Result<()> {
    let mean = Mean::new();
    mean.update_state(&Tensor::from([16_777_216.0_f32, 1.0, 1.0]), None)?;
    for (variable, value) in saved(&mean).iter().zip([6.0_f32, 4.0]) {
        variable.assign(&Tensor::scalar(value))?;
    }
    assert_eq!(item(mean.result()), 1.5);
    mean.update_state(&Tensor::scalar(4.0_f32), None)?;
    assert_eq!(item(mean.result()), 2.0);
    let copy = mean.copy()?;
    mean.reset_state()?;
    assert_eq!((item(mean.result()), item(copy.result())), (0.0, 2.0));
    Ok(())
}

#[test]
fn a_traced_batch_counts_when_the_graph_runs() -> Result<()> {
    let metric = SparseCategoricalAccuracy::new();
    let update = |inputs: &[Tensor]| {
        metric.update_state(&inputs[0], &inputs[1], None)?;
        Ok(vec![inputs[0].clone()])
    };
    let graph = trace(update, &[Spec::new(DType::I32, [2]), Spec::new(DType::F32, [2, 2])])?;
    assert_eq!(item(metric.result()), 0.0);
    let scores = Tensor::from([[1.0_f32, 0.0], [1.0, 0.0]]);
    for labels in [[0, 1], [0, 0]] {
        graph.run(&[&Tensor::from(labels), &scores])?;
    }
    assert_eq!(item(metric.result()), 0.75);
    Ok(())
}

#[test]
fn masked_samples_do_not_count() -> Result<()> {
    let metric = SparseCategoricalAccuracy::new();
    let scores = Tensor::from([[1.0_f32, 0.0], [1.0, 0.0], [1.0, 0.0]]);
    let masked = scores.with_mask(Some(Tensor::from([true, true, false])));
    metric.update_state(&Tensor::from([0, 1, 1]), &masked, None)?;
    assert_eq!(item(metric.result()), 0.5);
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_refused_and_count_nothing() {
    let scores = Tensor::from([[0.1_f32, 0.2, 0.7], [0.3, 0.3, 0.4]]);
    let three = Tensor::from([1.0_f32, 1.0, 1.0]);
    let rows: Vec<(&str, Tensor, Tensor, Option<&Tensor>, &str)> = vec![
        ("accuracy", three.clone(), Tensor::from([1.0_f32]), None, "y_true of shape (3,) and y_pred of shape (1,)"),
        ("binary_accuracy", three.clone(), scores.clone(), None, "y_true of shape (3,)"),
        ("categorical_accuracy", Tensor::from([[1.0_f32, 0.0, 0.0]]), scores.clone(), None, "y_true of shape (1, 3)"),
        ("sparse_categorical_accuracy", Tensor::from([0, 1, 2]), scores.clone(), None, "does not number the classes"),
        ("sparse_categorical_accuracy", Tensor::from([0]), scores.clone(), None, "does not number the classes"),
        (
            "sparse_categorical_accuracy",
            Tensor::from([0, 1]),
            scores.clone(),
            Some(&three),
            "sample weights of shape (3,)",
        ),
        ("sparse_categorical_accuracy", Tensor::scalar(0), Tensor::scalar(0.5_f32), None, "no dim of classes"),
        ("top_k_categorical_accuracy", Tensor::from([0, 1]), scores.clone(), None, "y_true of shape (2,)"),
    ];
    for (name, y_true, y_pred, weight, words) in rows {
        let metric = metric::by_name(name).expect("a name of the list");
        let error = metric.update_state(&y_true, &y_pred, weight).expect_err(words).to_string();
        assert!(error.starts_with(name) && error.contains(words), "`{error}` does not say `{words}`");
        assert_eq!(item(metric.result()), 0.0);
    }
    let none = SparseTopKCategoricalAccuracy::new().k(0);
    assert!(none.update_state(&Tensor::from([0, 1]), &scores, None).is_err());
}

#[test]
fn a_class_that_there_is_not_is_a_miss() -> Result<()> {
    let metric = SparseTopKCategoricalAccuracy::new();
    metric.update_state(&Tensor::from([0, 7, -1]), &Tensor::from([[0.5_f32, 0.5]; 3]), None)?;
    assert!((item(metric.result()) - 1.0 / 3.0).abs() < 1e-7);
    Ok(())
}
