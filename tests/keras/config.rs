//! Configurations, against `golden/configs.json`.

use crate::golden::read_manifest;
use modulor::keras::constraint::{AnyConstraint, CONSTRAINTS, NonNeg};
use modulor::keras::initializer::AnyInitializer;
use modulor::keras::loss::{AnyLoss, LOSSES};
use modulor::keras::regularizer::{AnyRegularizer, L2, REGULARIZERS};
use modulor::module::FromConfig;
use modulor::prelude::*;
use modulor::variable::{Initializer, Regularizer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An object as Keras wrote it.
#[derive(Deserialize)]
pub struct Row {
    pub kind: String,
    pub class_name: String,
    pub config: Value,
}

/// All of them.
pub fn rows() -> Vec<Row> {
    read_manifest("configs").expect("the fixture is there")
}

/// Whether two values say the same: 2 is 2.0.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let [Some(a), Some(b)] = [a, b].map(serde_json::Number::as_f64) else { return a == b };
            a == b
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn round_trip<T: DeserializeOwned + Serialize>(config: &Value) -> Value {
    let object: T = serde_json::from_value(config.clone()).unwrap_or_else(|e| panic!("{config}: {e}"));
    serde_json::to_value(object).expect("plain data")
}

#[test]
fn what_keras_wrote_is_read_and_written_again() {
    let mut count = 0;
    for row in rows() {
        let known = |list: &[&str]| list.contains(&row.class_name.as_str());
        let again = match row.kind.as_str() {
            "regularizer" if known(REGULARIZERS) => round_trip::<AnyRegularizer>(&row.config),
            "constraint" if known(CONSTRAINTS) => round_trip::<AnyConstraint>(&row.config),
            "loss" if known(LOSSES) => round_trip::<AnyLoss>(&row.config),
            _ => continue,
        };
        assert!(same(&again, &row.config), "{again}\nis not\n{}", row.config);
        count += 1;
    }
    assert!(count >= 2 * LOSSES.len() + 2 * REGULARIZERS.len() + CONSTRAINTS.len());
}

#[test]
fn a_config_that_says_something_else_is_refused_in_words() {
    for (config, words) in [
        (json!("l3"), "unknown regularizer `l3`; "),
        (json!({"class_name": "L2", "config": {"l3": 1}}), "L2: unknown field `l3`, expected `l2`"),
        (json!({"module": "mine", "class_name": "L2", "config": {}}), "unknown regularizer `mine.L2`"),
    ] {
        let error = serde_json::from_value::<AnyRegularizer>(config).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_setting_that_may_be_none_takes_a_name_a_value_and_none() {
    let l2 = json!({
        "module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.01}, "registered_name": null
    });
    let named = Dense::new(2).kernel_regularizer("l2").bias_regularizer("l2").activity_regularizer("l2");
    let valued = Dense::new(2)
        .kernel_regularizer(L2::default())
        .bias_regularizer(Some(AnyRegularizer::from("l2")))
        .activity_regularizer(L2::default());
    for layer in [&named, &valued] {
        let config = layer.config().expect("plain data");
        for key in ["kernel_regularizer", "bias_regularizer", "activity_regularizer"] {
            assert_eq!(config[key], l2, "{key}");
        }
    }
    let constrained = Dense::new(2).kernel_constraint("non_neg").bias_constraint(NonNeg);
    let config = constrained.config().expect("plain data");
    assert_eq!(config["kernel_constraint"]["class_name"], "NonNeg");
    assert_eq!(config["kernel_constraint"], config["bias_constraint"]);
    let none = named.kernel_regularizer(None).bias_regularizer(None).activity_regularizer(None);
    let none = none.kernel_constraint(None).bias_constraint(None).config().expect("plain data");
    assert_eq!(none, Dense::new(2).config().expect("plain data"));
    assert_eq!((&none["kernel_regularizer"], none.get("activity_regularizer")), (&Value::Null, None));

    let built = Dense::new(2).kernel_initializer("ones").kernel_regularizer("l2").kernel_constraint("unit_norm");
    built.call(Tensor::from([[1.0_f32, 2.0]])).expect("it fits");
    let losses = built.regularization_losses().expect("one");
    assert_eq!(losses.iter().map(|loss| loss.item::<f32>().expect("one number")).collect::<Vec<_>>(), [0.04]);
    let unknown = Dense::new(2).kernel_regularizer("l3");
    let error = unknown.config().expect_err("there is none").to_string();
    assert!(error.contains("unknown regularizer `l3`; "), "{error}");
}

/// Every element is `times / 2`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Halves {
    times: f64,
}

impl Initializer for Halves {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        Tensor::fill(dims, &Tensor::scalar(self.times / 2.0).cast(dtype)?)
    }
}

modulor::keras::register_class!(AnyInitializer: Halves);

/// The sum.
#[derive(Default, Serialize, Deserialize)]
struct Sum;

impl Regularizer for Sum {
    fn penalty(&self, w: &Tensor) -> Result<Tensor> {
        w.sum(..)
    }
}

modulor::keras::register_class!(modulor::keras::regularizer::AnyRegularizer: Sum);

#[test]
fn classes_of_the_users_are_settings_like_those_that_are_built_in() {
    let layer = Dense::new(2).kernel_initializer(Halves { times: 3.0 }).kernel_regularizer(Sum);
    let config = layer.config().expect("plain data");
    let expected = json!({
        "module": "modulor", "class_name": "Halves", "config": {"times": 3.0}, "registered_name": "modulor>Halves"
    });
    assert_eq!(config["kernel_initializer"], expected);
    let again = Dense::from_config(&config).expect("its own config");
    assert_eq!(again.config().expect("plain data"), config);
    for layer in [layer, again] {
        layer.call(Tensor::from([[1.0_f32, 2.0]])).expect("it fits");
        let losses = layer.regularization_losses().expect("one");
        assert_eq!(losses.iter().map(|loss| loss.item::<f32>().expect("one number")).collect::<Vec<_>>(), [6.0]);
    }
    assert_eq!(AnyInitializer::from("modulor>Halves"), Halves::default().into());
    for (config, words) in [
        (
            json!("modulor>Thirds"),
            "unknown initializer `modulor>Thirds`; `register_class!` makes a class of your own known",
        ),
        (
            json!({"module": "m", "class_name": "Thirds", "config": {}, "registered_name": "m>Thirds"}),
            "unknown initializer `m>Thirds`",
        ),
        (
            json!({"module": "m", "class_name": "Halves", "config": {"time": 1}, "registered_name": "modulor>Halves"}),
            "modulor>Halves: unknown field `time`",
        ),
    ] {
        let error = serde_json::from_value::<AnyInitializer>(config).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_variable_may_name_an_initializer_of_the_users() {
    #[derive(Module)]
    struct Holder {
        #[variable(shape = [2], init = "modulor>Halves")]
        w: Variable,
    }
    let w = Holder::new().w;
    assert_eq!(w.value().and_then(|w| w.to_vec::<f32>()).expect("drawn"), [0.0, 0.0]);
}
