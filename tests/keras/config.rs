//! Configurations, against `golden/configs.json`.

use crate::golden::read_manifest;
use modulor::keras::constraint::{AnyConstraint, CONSTRAINTS};
use modulor::keras::loss::{AnyLoss, LOSSES};
use modulor::keras::regularizer::{AnyRegularizer, REGULARIZERS};
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
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
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
