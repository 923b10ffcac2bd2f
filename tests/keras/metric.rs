use super::*;
use modulor::graph::trace;
use modulor::keras::metric::{
    self, AUC, BinaryIoU, F1Score, METRICS, Mean, Metric, Precision, PrecisionAtRecall, R2Score, Recall,
    SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy, Sum,
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
trait Counted {
    fn module(&self) -> &dyn Module;
    fn update(&self, arguments: &[Tensor], weight: Option<&Tensor>) -> Result<()>;
    fn value(&self) -> Result<Tensor>;
    fn reset(&self) -> Result<()>;
}

impl Counted for Box<dyn Metric> {
    fn module(&self) -> &dyn Module {
        (**self).as_module()
    }
    fn update(&self, arguments: &[Tensor], weight: Option<&Tensor>) -> Result<()> {
        self.update_state(&arguments[0], &arguments[1], weight)
    }
    fn value(&self) -> Result<Tensor> {
        self.result()
    }
    fn reset(&self) -> Result<()> {
        self.reset_state()
    }
}

macro_rules! of_values {
    ($($class:ident)*) => {
        $(impl Counted for $class {
            fn module(&self) -> &dyn Module {
                self
            }
            fn update(&self, arguments: &[Tensor], weight: Option<&Tensor>) -> Result<()> {
                self.update_state(&arguments[0], weight)
            }
            fn value(&self) -> Result<Tensor> {
                self.result()
            }
            fn reset(&self) -> Result<()> {
                self.reset_state()
            }
        })*

        /// The metric that a serialized object describes.
        fn read(object: &Value) -> Result<Box<dyn Counted>> {
            let config = object["config"].as_object().expect("settings");
            Ok(match object["class_name"].as_str().expect("a name") {
                $(stringify!($class) => Box::new($class::from_config(config)?),)*
                _ => Box::new(metric::from_object(object)?),
            })
        }
    };
}
of_values! { Mean Sum }

fn saved(metric: &dyn Module) -> Vec<Variable> {
    state(metric).into_iter().filter(Variable::persistent).collect()
}

#[test]
fn results_and_state_are_kerass_after_every_batch() {
    let mut met = HashSet::new();
    for row in rows("metric") {
        let metric = read(&row.get("config"));
        let metric = metric.unwrap_or_else(|e| panic!("{}: {e}", row.case));
        for (number, step) in row.get::<Vec<Step>>("steps").iter().enumerate() {
            let about = format!("{}, step {number}", row.case);
            let arguments: Vec<Tensor> = step.arguments.iter().map(tensor).collect();
            let weight = step.sample_weight.as_ref().map(tensor);
            let done = if step.reset { metric.reset() } else { metric.update(&arguments, weight.as_ref()) };
            done.unwrap_or_else(|e| panic!("{about}: {e}"));
            let near = 4.0 * epsilon(DType::F32);
            // Keras takes the variance out of sums in float32.
            let result_near = if row.class() == "R2Score" { 1e-5 } else { near };
            assert_near(&metric.value().expect("a result"), &tensor(&step.result), result_near, &about);
            let variables = saved(metric.module());
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
        let metric = read(&row.config).unwrap_or_else(|error| panic!("{}: {error}", row.class_name));
        let again = module::object(metric.module()).expect("plain data");
        assert!(config::same(&again, &row.config), "{again}\nis not\n{}", row.config);
        count += 1;
    }
    assert!(count >= 2 * METRICS.len() - 8);
    for name in METRICS {
        match metric::by_name(name) {
            Ok(metric) => {
                assert_eq!(metric.class_name(), *name);
                assert_eq!(metric::by_name(metric.name()).expect("its other name").class_name(), *name);
            }
            Err(error) => assert!(error.to_string().contains(name) && !name.ends_with("Error"), "{error}"),
        }
    }
    for (name, class) in [("mse", "MeanSquaredError"), ("auc", "AUC"), ("MAPE", "MeanAbsolutePercentageError")] {
        assert_eq!(metric::by_name(name).expect("Keras's name").class_name(), class);
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

    let chances = Tensor::from([0.9_f32, 0.8, 0.7]).with_mask(Some(Tensor::from([true, true, false])));
    for (metric, expected) in [("precision", 0.5), ("true_positives", 1.0), ("mean_absolute_error", 0.45)] {
        let metric = metric::by_name(metric)?;
        let column = |t: &Tensor| t.expand_dims(-1).map(|column| column.with_mask(t.mask().cloned()));
        metric.update_state(&Tensor::from([[1], [0], [1]]), &column(&chances)?, None)?;
        assert!((item(metric.result()) - expected).abs() < 1e-6, "{}", metric.name());
    }
    Ok(())
}

#[test]
fn sums_of_labels_are_made_by_the_first_batch() -> Result<()> {
    let metric = F1Score::new();
    metric.reset_state()?;
    assert!(metric.result().expect_err("no labels yet").to_string().contains("nothing has been counted yet"));
    let batch = |labels: usize| Tensor::ones([2, labels], DType::F32);
    metric.update_state(&batch(3)?, &batch(3)?, None)?;
    assert_eq!(metric.result()?.dims()?, [3]);
    let copy = metric.copy()?;
    assert_eq!(copy.result()?.to_bytes()?, metric.result()?.to_bytes()?);
    let error = metric.update_state(&batch(2)?, &batch(2)?, None).expect_err("three labels").to_string();
    assert!(error.contains("`f1_score/true_positives` was built as (3,), and this input asks for (2,)"), "{error}");
    Ok(())
}

#[test]
fn traced_batches_of_counts_are_those_of_eager_ones() -> Result<()> {
    let make: [fn() -> Box<dyn Metric>; 4] = [
        || Box::new(AUC::new().num_thresholds(7)),
        || Box::new(Precision::new().thresholds([0.25, 0.6])),
        || Box::new(F1Score::new()),
        || Box::new(BinaryIoU::new()),
    ];
    for make in make {
        let (eager, traced) = (make(), make());
        let update = |inputs: &[Tensor]| {
            traced.update_state(&inputs[0], &inputs[1], None)?;
            Ok(vec![inputs[0].clone()])
        };
        let graph = trace(update, &[Spec::new(DType::I32, [2, 2]), Spec::new(DType::F32, [2, 2])])?;
        for labels in [[[0, 1], [1, 0]], [[1, 1], [0, 0]]] {
            let (labels, scores) = (Tensor::from(labels), Tensor::from([[0.3_f32, 0.8], [0.1, 0.6]]));
            graph.run(&[&labels, &scores])?;
            eager.update_state(&labels, &scores, None)?;
        }
        assert_eq!(eager.result()?.to_bytes()?, traced.result()?.to_bytes()?, "{}", eager.name());
    }
    Ok(())
}

#[test]
fn a_score_that_is_not_a_number_is_above_nothing() -> Result<()> {
    let scores = Tensor::from([f32::NAN, 0.9]);
    for metric in [Precision::new(), Precision::new().thresholds([0.0, 0.5, 1.0])] {
        metric.update_state(&Tensor::from([1, 1]), &scores, None)?;
        let right = to_f64(&saved(&metric)[0].value()?);
        assert!(right.iter().all(|&right| right <= 1.0), "{right:?}");
    }
    let auc = AUC::new();
    auc.update_state(&Tensor::from([1, 1]), &scores, None)?;
    let right = to_f64(&saved(&auc)[0].value()?);
    assert!(right[1..].iter().all(|&right| right <= 1.0), "{right:?}");
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
        ("mean_squared_error", three.clone(), scores.clone(), None, "targets of shape (3,)"),
        ("precision", three.clone(), scores.clone(), None, "y_true of shape (3,)"),
        ("recall", scores.clone(), scores.clone(), Some(&three), "sample weights of shape (3, 1) do not fit"),
        ("auc", three.clone(), three.clone(), Some(&scores), "sample weights of shape (2, 3) do not fit"),
        ("binary_io_u", three.clone(), scores.clone(), None, "(3,) true class ids, and (6,) predicted ones"),
    ];
    for (name, y_true, y_pred, weight, words) in rows {
        let metric = metric::by_name(name).expect("a name of the list");
        let error = metric.update_state(&y_true, &y_pred, weight).expect_err(words).to_string();
        assert!(error.starts_with(name) && error.contains(words), "`{error}` does not say `{words}`");
        assert_eq!(item(metric.result()), 0.0);
    }
    let rows: [(Box<dyn Metric>, &Tensor, &str); 10] = [
        (
            Box::new(Precision::new().thresholds(1.5)),
            &scores,
            "precision: `thresholds` must be between 0 and 1, found 1.5",
        ),
        (Box::new(Precision::new().class_id(3)), &scores, "3 is not in [0, 3)"),
        (Box::new(Recall::new().class_id(0)), &three, "`class_id` needs classes"),
        (Box::new(AUC::new().num_thresholds(1)), &scores, "`num_thresholds` must be at least 2, found 1"),
        (Box::new(AUC::new().multi_label(true)), &three, "labels with their own counts"),
        (Box::new(AUC::new().label_weights(vec![1.0, 2.0])), &scores, "`label_weights`, 2 of them, do not fit"),
        (Box::new(PrecisionAtRecall::new(1.5)), &scores, "`recall` must be between 0 and 1, found 1.5"),
        (Box::new(F1Score::new()), &three, "f1_score: expected samples of columns"),
        (Box::new(F1Score::new().threshold(0.0)), &scores, "`threshold` must be above 0 and up to 1, found 0"),
        (Box::new(R2Score::new()), &three, "expected samples of columns"),
    ];
    for (metric, values, words) in rows {
        let error = metric.update_state(values, values, None).expect_err(words).to_string();
        assert!(error.contains(words), "`{error}` does not say `{words}`");
        assert!(saved((*metric).as_module()).iter().all(|variable| !variable.is_valued()), "{words}");
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
