//! The arguments of Keras's classes and their defaults, against what classes of the same names have here.

use super::config::same;
use super::layer::essential;
use crate::golden::read_manifest;
use modulor::keras::constraint::{AnyConstraint, CONSTRAINTS};
use modulor::keras::initializer::{AnyInitializer, INITIALIZERS};
use modulor::keras::library::*;
use modulor::keras::loss::{AnyLoss, LOSSES};
use modulor::keras::metric::{self, METRICS, Mean, Sum};
use modulor::keras::optimizer::schedule::{self, SCHEDULES};
use modulor::keras::optimizer::{self, OPTIMIZERS};
use modulor::keras::regularizer::{AnyRegularizer, REGULARIZERS};
use modulor::module::Config;
use modulor::{Error, FromConfig, Module, Result, layer, module};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::Write;

/// A class of Keras's, made of nothing but the arguments without a default.
#[derive(serde::Deserialize)]
pub struct Row {
    pub kind: String,
    pub class: String,
    /// Which of `mask` and `training` a call of it takes, of a layer.
    #[serde(default)]
    pub call: Vec<String>,
    /// Whether it knows what to do with a mask, of a layer.
    #[serde(default)]
    pub masks: bool,
    /// What it was made of.
    pub given: Config,
    /// What its config then says of its arguments.
    pub said: Config,
    /// The defaults of those that its config says nothing of.
    pub unsaid: Config,
}

/// The classes that are here.
pub fn rows() -> Vec<Row> {
    let rows: Vec<Row> = read_manifest("arguments").expect("the fixture is there");
    rows.into_iter().filter(Row::is_here).collect()
}

/// Arguments that are not, or not in the same words, in configs here: of which class, and why.
const MISSING: &[(&str, &str, &str)] = &[
    ("Bidirectional", "backward_layer", "where it is not told, Keras's has a name of its own, as places have here"),
    ("Bidirectional", "weights", "a layer that is built is given its weights"),
    ("CategoryEncoding", "sparse", "there are no sparse tensors"),
    ("EinsumDense", "gptq_unpacked_column_size", "there are no weights of four bits"),
    ("Embedding", "weights", "a layer that is built is given its weights"),
    ("GRU", "use_cudnn", "it tells Keras which kernel to take on a GPU"),
    ("GroupQueryAttention", "flash_attention", "it tells Keras which kernel to take on a GPU"),
    ("InputLayer", "batch_size", "`batch_shape` has it"),
    ("InputLayer", "input_tensor", "a symbol of a model is not made of another"),
    ("InputLayer", "shape", "`batch_shape` has it"),
    ("LSTM", "use_cudnn", "it tells Keras which kernel to take on a GPU"),
    ("MaxNumBoundingBoxes", "fill_value", "it is an argument, and in no config, as in Keras"),
    ("MultiHeadAttention", "flash_attention", "it tells Keras which kernel to take on a GPU"),
    ("RandomCrop", "seed", "where it is not told, Keras draws one when the layer is made"),
    ("RandomGrayscale", "seed", "it is an argument, and in no config, as in Keras"),
];

fn again<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value> {
    let fault = |error: serde_json::Error| Error::invalid_argument(error.to_string());
    serde_json::to_value(T::deserialize(object).map_err(fault)?).map_err(fault)
}

/// The classes of a kind that are here.
fn classes(kind: &str) -> &'static [&'static str] {
    match kind {
        "layers" => LAYERS,
        "metrics" => METRICS,
        "optimizers" => OPTIMIZERS,
        "schedules" => SCHEDULES,
        "losses" => LOSSES,
        "initializers" => INITIALIZERS,
        "regularizers" => REGULARIZERS,
        "constraints" => CONSTRAINTS,
        other => panic!("what are {other}?"),
    }
}

impl Row {
    fn is_here(&self) -> bool {
        let other = ["Mean", "Sum", "LossScaleOptimizer", "MultiOptimizer"];
        classes(&self.kind).iter().chain(&other).any(|class| *class == self.class)
    }

    /// The config of a class here that is made of these arguments.
    fn written(&self, given: &Config) -> Result<Value> {
        let place = if self.kind == "schedules" { "optimizers.schedules" } else { &self.kind };
        let object = json!({"module": format!("keras.{place}"), "class_name": self.class, "config": given});
        let mut object = match (&*self.kind, &*self.class) {
            ("layers", _) => module::object(&*layer::make_module(&object)?),
            ("metrics", "Mean") => module::object(&Mean::from_config(given)?),
            ("metrics", "Sum") => module::object(&Sum::from_config(given)?),
            ("metrics", _) => module::object(metric::from_object(&object)?.as_module()),
            ("optimizers", _) => module::object(optimizer::from_object(&object)?.as_module()),
            ("schedules", _) => schedule::from_object(&object)?.object(),
            ("losses", _) => again::<AnyLoss>(&object),
            ("initializers", _) => again::<AnyInitializer>(&object),
            ("regularizers", _) => again::<AnyRegularizer>(&object),
            (kind, _) => {
                assert_eq!(kind, "constraints");
                again::<AnyConstraint>(&object)
            }
        }?;
        essential(&mut object);
        Ok(object["config"].take())
    }
}

#[test]
fn arguments_and_defaults_are_kerass() {
    let rows = rows();
    let (mut known, mut missing) = (0, Vec::new());
    for row in &rows {
        let config = row.written(&row.given).unwrap_or_else(|error| panic!("{}: {error}", row.class));
        for (name, expected) in &row.said {
            let mut expected = expected.clone();
            essential(&mut expected);
            match same(&config[name], &expected) {
                true => known += 1,
                false => missing.push((&*row.class, &**name, format!("{} is not {expected}", config[name]))),
            }
        }
        for (name, default) in &row.unsaid {
            let mut given = row.given.clone();
            given.insert(name.clone(), default.clone());
            match row.written(&given) {
                Ok(_) => known += 1,
                Err(error) => missing.push((&*row.class, &**name, error.to_string())),
            }
        }
    }
    let is_told = |class: &str, name: &str| MISSING.iter().any(|(of, what, _)| *of == class && *what == name);
    let untold: Vec<_> = missing.iter().filter(|(class, name, _)| !is_told(class, name)).collect();
    let lines: String = untold.iter().map(|(class, name, words)| format!("{class}, {name}: {words}\n")).collect();
    assert!(untold.is_empty(), "{} are missing:\n{lines}", untold.len());
    for (class, name, _) in MISSING {
        assert!(missing.iter().any(|(of, what, _)| of == class && what == name), "`{name}` of `{class}` is there");
    }
    // Past the harness, which keeps what a test prints unless it fails.
    let mut out = std::io::stdout().lock();
    let all = known + missing.len();
    writeln!(out, "golden values: {known} of {all} arguments of {} of Keras's classes", rows.len())
        .expect("a place to print to");
}

#[test]
fn a_layer_that_is_made_by_new_is_the_one_of_a_config_without_settings() {
    fn check<L: Module + FromConfig>(made: &L, given: Value) {
        let given = given.as_object().expect("settings").clone();
        let read = L::from_config(&given).unwrap_or_else(|error| panic!("{}: {error}", made.class_name()));
        let [made, read] = [made, &read].map(|layer| module::object(layer).expect("plain data"));
        assert_eq!(made, read);
    }
    check(&Discretization::new().bin_boundaries([1.0]), json!({"bin_boundaries": [1.0]}));
    check(&HashedCrossing::new(3), json!({"num_bins": 3}));
    check(&Hashing::new(3), json!({"num_bins": 3}));
    check(&IntegerLookup::new(), json!({}));
    check(&StringLookup::new(), json!({}));
    check(&TextVectorization::new(), json!({}));
    check(&MaxPooling1D::new(), json!({}));
    check(&MaxPooling2D::new(), json!({}));
    check(&AveragePooling2D::new(2), json!({"pool_size": 2}));
    check(&AveragePooling3D::new(2), json!({"pool_size": 2}));
    check(&SpatialDropout1D::new(0.5), json!({"rate": 0.5}));
    check(&SpatialDropout2D::new(0.5), json!({"rate": 0.5}));
    check(&SpatialDropout3D::new(0.5), json!({"rate": 0.5}));
}
