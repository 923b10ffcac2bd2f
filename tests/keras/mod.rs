//! The library of layers against what Keras computed: every row in `golden/keras/` that is about a class we have.

mod activation;
mod arguments;
mod attention;
mod augmentation;
mod check;
mod config;
mod constraint;
mod convolution;
mod coverage;
mod embedding;
mod fourier;
mod functions;
mod initializer;
mod layer;
mod lora;
mod loss;
mod loss_dtype;
mod masked;
mod merging;
mod metric;
mod models;
mod nan;
mod noise;
mod normalization;
mod optimizer;
mod policy;
mod preprocessing;
mod recurrent;
mod regularizer;
mod reshaping;
mod time;

use crate::golden::{Entry, Fixture};
use modulor::tape::UnconnectedGradients;
use modulor::{DType, GradientTape, Module, Result, Tensor, Variable, module};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// One row: what it is about, and whatever that kind of row records.
#[derive(Deserialize)]
struct Row {
    kind: String,
    case: String,
    #[serde(flatten)]
    values: Map<String, Value>,
}

static KERAS: LazyLock<Fixture<Row>> = LazyLock::new(|| Fixture::read_all("keras").expect("the fixtures are there"));

/// The rows of a kind.
fn rows(kind: &str) -> impl Iterator<Item = &'static Row> {
    KERAS.cases.iter().filter(move |row| row.kind == kind)
}

/// The row of which another says that it is like it, or of which it says more.
fn like(row: &Row) -> &'static Row {
    static ROWS: LazyLock<BTreeMap<(&str, &str), &Row>> = LazyLock::new(|| {
        let mut rows = BTreeMap::new();
        for row in &KERAS.cases {
            assert!(rows.insert((&*row.kind, &*row.case), row).is_none(), "{}: there are two {}", row.kind, row.case);
        }
        rows
    });
    let (kind, case): (String, String) = (row.get("like"), row.get("of"));
    ROWS.get(&(&*kind, &*case)).unwrap_or_else(|| panic!("{kind}: there is no {case}"))
}

/// The names in a module of Keras's that rows are about, or that stand in their configs.
pub fn recorded(module: &str) -> BTreeSet<String> {
    fn visit(value: &Value, module: &str, found: &mut BTreeSet<String>) {
        if value["module"] == module {
            found.extend(value["class_name"].as_str().map(str::to_owned));
        }
        match value {
            Value::Object(parts) => parts.values().for_each(|part| visit(part, module, found)),
            Value::Array(parts) => parts.iter().for_each(|part| visit(part, module, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    if module == "keras.activations" {
        found.extend(rows("activation").map(|row| row.get::<String>("name")));
    }
    KERAS.cases.iter().filter_map(|row| row.values.get("config")).for_each(|config| visit(config, module, &mut found));
    found
}

impl Row {
    /// What is recorded under a key, in the form that the caller wants.
    fn get<T: DeserializeOwned>(&self, key: &str) -> T {
        let value = self.values.get(key).unwrap_or(&Value::Null);
        serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{}: {key}: {e}", self.case))
    }

    /// The tensor recorded under a key, if there is one.
    fn tensor(&self, key: &str) -> Option<Tensor> {
        self.get::<Option<Entry>>(key).map(|entry| tensor(&entry))
    }

    /// The name of the class that a row is about.
    fn class(&self) -> String {
        self.get::<Map<String, Value>>("config")["class_name"].as_str().expect("a class has a name").to_owned()
    }
}

/// The tensor that an entry stands for.
fn tensor(entry: &Entry) -> Tensor {
    let array = KERAS.array(entry).expect("an entry names an array");
    let dtype = DType::from_name(&array.dtype).expect("a dtype");
    if dtype == DType::String {
        return Tensor::strings(array.shape, &array.strings).expect("as many strings");
    }
    Tensor::from_bytes(dtype, array.shape, &array.bytes).expect("bytes of that dtype and shape")
}

/// Every variable of a module, weight or not, in Keras's order.
fn state(module: &dyn Module) -> Vec<Variable> {
    let mut state = Vec::new();
    module::walk(module).each_variable(&mut |_, variable| state.push(variable.clone()));
    state
}

fn to_f64(x: &Tensor) -> Vec<f64> {
    x.cast(DType::F64).and_then(|x| x.to_vec()).expect("numbers")
}

/// The distance from 1 to the next number.
fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2.0_f64.powi(-10),
        DType::BF16 => 2.0_f64.powi(-7),
        DType::F32 => f32::EPSILON.into(),
        _ => f64::EPSILON,
    }
}

/// Checks a tensor against what was recorded: of the same shape, and off by at most `tolerance` of a number, or of 1 for
/// one below 1. NaN and infinities must be the same.
fn assert_near(found: &Tensor, expected: &Tensor, tolerance: f64, about: &str) {
    assert_eq!(found.shape(), expected.shape(), "{about}");
    if expected.dtype() == DType::String {
        let [found, expected] = [found, expected].map(|x| x.to_strings().expect("strings"));
        return assert_eq!(found, expected, "{about}");
    }
    for (x, y) in to_f64(found).into_iter().zip(to_f64(expected)) {
        let same = x == y || x.is_nan() && y.is_nan();
        assert!(same || (x - y).abs() <= tolerance * y.abs().max(1.0), "{about}: {x} is not {y}: {found:?}");
    }
}

/// Checks the gradient of `f` at `x`, weighted by `dy`, in float64.
fn assert_gradient(f: impl FnOnce(&Tensor) -> Result<Tensor>, x: &Tensor, dy: &Tensor, expected: &Tensor, about: &str) {
    let tape = GradientTape::new();
    tape.watch(x);
    let y = tape.record(|| f(x)).unwrap_or_else(|e| panic!("{about}: {e}"));
    let targets = [(y, Some(dy.clone()))];
    let gradients = tape.gradients_with(&targets, [x], UnconnectedGradients::Zero);
    let gradient = gradients.unwrap_or_else(|e| panic!("{about}: {e}")).remove(0).expect("zeros at least");
    assert_near(&gradient, expected, 1e-7, &format!("gradient of {about}"));
}
