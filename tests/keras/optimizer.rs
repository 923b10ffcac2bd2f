use super::*;
use modulor::keras::constraint::AnyConstraint;
use modulor::keras::optimizer::{self, Adam, OPTIMIZERS, Optimizer, SGD};
use modulor::module::object;
use modulor::variable::{Constraint, Declaration, IntoInit};
use modulor::{ModuleExt, Variable};
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Deserialize)]
struct Recorded {
    path: String,
    value: Entry,
}

/// The gradients of a step, and what was there afterwards.
#[derive(Deserialize)]
struct Step {
    grads: Vec<Entry>,
    variables: Vec<Entry>,
    state: Vec<Recorded>,
}

/// The optimizer of a row, unless it is of a class or has a setting that does not exist here.
fn optimizer(row: &Row) -> Option<Box<dyn Optimizer>> {
    let config: Value = row.get("config");
    let known = OPTIMIZERS.iter().any(|class| class.name == row.class());
    let off = config["config"]["use_ema"] == false && config["config"]["gradient_accumulation_steps"].is_null();
    let plain = config["config"]["learning_rate"].is_number();
    (known && off && plain).then(|| optimizer::from_config(&config).unwrap_or_else(|e| panic!("{}: {e}", row.case)))
}

/// How near: Keras has the settings in float32 whatever the variables are.
const TOLERANCE: f64 = 1e-6;

fn variables(row: &Row) -> Vec<Variable> {
    let mut constraint = row.get::<Option<AnyConstraint>>("constraint");
    let recorded: Vec<Recorded> = row.get("variables");
    recorded
        .iter()
        .map(|recorded| {
            let variable = Variable::default();
            variable.declare(Declaration {
                constraint: constraint.take().map(|constraint| Arc::new(constraint) as Arc<dyn Constraint>),
                ..Declaration::new(tensor(&recorded.value).into_init())
            });
            variable.stamp(&recorded.path);
            variable
        })
        .collect()
}

#[test]
fn every_step_and_all_state_are_kerass() {
    let mut met = HashSet::new();
    let mut count = 0;
    for row in rows("optimizer") {
        let Some(optimizer) = optimizer(row) else { continue };
        let variables = variables(row);
        for (number, step) in row.get::<Vec<Step>>("steps").into_iter().enumerate() {
            let about = format!("{}, step {}", row.case, number + 1);
            let pairs: Vec<_> = variables.iter().cloned().zip(step.grads.iter().map(|g| Some(tensor(g)))).collect();
            optimizer.apply(&pairs).unwrap_or_else(|e| panic!("{about}: {e}"));
            for (variable, expected) in variables.iter().zip(&step.variables) {
                let expected = tensor(expected);
                assert_near(&variable.value().expect("a value"), &expected, TOLERANCE, &about);
            }
            let state = optimizer.weights();
            let names: Vec<String> = state.iter().filter_map(Variable::path).collect();
            let recorded: Vec<&str> = step.state.iter().map(|recorded| recorded.path.as_str()).collect();
            assert_eq!(names, recorded, "{about}");
            for (variable, recorded) in state.iter().zip(&step.state) {
                let expected = tensor(&recorded.value);
                assert_eq!(variable.dtype(), expected.dtype(), "{about}");
                assert_near(&variable.value().expect("a value"), &expected, TOLERANCE, &about);
            }
        }
        met.insert(row.class());
        count += 1;
    }
    assert!(met.len() == OPTIMIZERS.len() && count > 40, "{count} rows of {met:?}");
}

#[test]
fn settings_that_cannot_be_and_gradients_that_are_not_there_are_refused_in_words() {
    let (w, b) = (Variable::new(1.0), Variable::new(2.0));
    w.stamp("model/w");
    b.stamp("model/b");
    let one = || Some(Tensor::scalar(1.0_f32));
    let refused = |optimizer: &dyn Optimizer, pairs: &[(Variable, Option<Tensor>)], words: &str| {
        let error = optimizer.apply(pairs).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    let good = [(w.clone(), one())];
    for rate in [f64::NAN, f64::INFINITY] {
        refused(&SGD::new().learning_rate(rate), &good, "sgd: the learning rate must be finite");
        assert!(SGD::new().set_learning_rate(rate).is_err());
    }
    let both = Adam::new().clipnorm(1.0).clipvalue(2.0);
    refused(&both, &good, "only one of clipnorm, clipvalue and global_clipnorm can be set; found clipnorm=1, clipvalue=2");
    refused(&SGD::new().clipvalue(-1.0), &good, "`clipvalue` must be a finite number above 0, found -1");
    refused(&SGD::new().weight_decay(f64::NAN), &good, "`weight_decay`");
    let sgd = SGD::new().momentum(0.9);
    refused(&sgd, &[(w.clone(), one()), (b.clone(), None)], "no gradient for `model/b`");
    refused(&sgd, &[(w.clone(), one()), (w.clone(), one())], "variable `model/w` is given twice");
    refused(&sgd, &[(w.clone(), Some(Tensor::from([1.0_f32, 2.0])))], "a gradient float32(2,) for the variable");
    refused(&sgd, &[(w.clone(), Some(Tensor::scalar(1.0_f64)))], "a gradient float64() for the variable");
    refused(&sgd, &[], "there is no variable to change");
    assert_eq!(to_f64(&w.value().expect("a value")), [1.0], "nothing was written");
    assert_eq!(to_f64(&sgd.state().iteration.value().expect("a value")), [0.0]);
}

#[test]
fn a_config_is_what_keras_writes_and_an_unknown_key_is_refused() {
    for row in rows("optimizer") {
        let Some(optimizer) = optimizer(row) else { continue };
        let (found, expected) = (object(optimizer.as_module()).expect("a config"), row.get::<Value>("config"));
        assert!(super::config::same(&found, &expected), "{}: {found}\nis not\n{expected}", row.case);
    }
    for (config, words) in [
        (serde_json::json!({"class_name": "Adam", "config": {"beta_3": 1}}), "Adam: unknown key `beta_3`; did you mean"),
        (serde_json::json!({"class_name": "Adam", "config": {"use_ema": true}}), "only false exists so far"),
        (serde_json::json!("adamm"), "unknown optimizer `adamm`"),
    ] {
        let error = optimizer::from_config(&config).err().expect(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
