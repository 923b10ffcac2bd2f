use super::config::same;
use super::*;
use modulor::keras::library::LAYERS;
use modulor::module::{Track, object};
use modulor::{Call, Layer, ModuleExt, Variable, collecting_losses, scope};
use std::collections::HashSet;

/// The config of a row. A layer computes in the dtype of its input, which Keras needs to be told.
fn config(row: &Row) -> Value {
    let mut config: Value = row.get("config");
    config["config"]["dtype"]["config"]["name"] = "float32".into();
    config
}

/// The layer of a row.
fn layer(row: &Row) -> Box<dyn Layer> {
    Box::from_field(Some(&config(row))).unwrap_or_else(|e| panic!("{}: {e}", row.case))
}

/// A variable as it was recorded.
#[derive(Deserialize)]
struct Named {
    path: String,
    value: Entry,
}

/// Builds the layer for an input and gives its variables the recorded values.
fn build(layer: &dyn Layer, x: &Tensor, row: &Row) -> Vec<Variable> {
    layer.call(x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
    let weights: Vec<Variable> = layer.weights().into_iter().filter(|w| w.dtype() == DType::F32).collect();
    let recorded: Vec<Named> = row.get("weights");
    assert_eq!(weights.len(), recorded.len(), "{}", row.case);
    for (weight, recorded) in weights.iter().zip(recorded) {
        let path = weight.path().expect("a variable that has been read has a path");
        // Free-standing layers are numbered in the order of this program's calls.
        let below = |path: &str| path.split_once('/').map(|(_, below)| below.to_owned());
        assert_eq!(below(&path), below(&recorded.path), "{}", row.case);
        weight.assign(&tensor(&recorded.value)).expect("a value of the variable's shape");
    }
    weights
}

#[test]
fn layers_compute_what_kerass_do() {
    let mut met = HashSet::new();
    for row in rows("layer").chain(rows("sequential")) {
        let (layer, x) = (layer(row), row.tensor("x").expect("an input"));
        let weights = build(&*layer, &x, row);
        let tape = GradientTape::new();
        tape.watch(&x);
        let (y, losses) = collecting_losses(|| tape.record(|| layer.call(&x)));
        let y = y.unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_eq!(y.dtype(), x.dtype(), "{}", row.case);
        let recorded = row.tensor("y").expect("an output");
        assert_near(&y, &row.tensor("reference").unwrap_or(recorded), 4e-6, &row.case);
        if let (Some(dy), Some(gradient)) = (row.tensor("dy"), row.tensor("grad")) {
            let mut targets = vec![(y.clone(), Some(dy.cast(DType::F32).expect("floats")))];
            targets.extend(losses.iter().map(|loss| (loss.clone(), None)));
            let sources = [&x as &dyn modulor::tape::Source].into_iter().chain(weights.iter().map(|w| w as _));
            let found = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero);
            let mut found = found.unwrap_or_else(|e| panic!("{}: {e}", row.case)).into_iter().flatten();
            assert_near(&found.next().expect("one of x"), &gradient, 4e-5, &row.case);
        }
        let penalties = layer.regularization_losses().expect("all built");
        let expected: Vec<Entry> = row.get("losses");
        assert_eq!(losses.len() + penalties.len(), expected.len(), "{}", row.case);
        // Keras goes by the order in which variables were made, a module by their names.
        let sorted = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            Tensor::from(values)
        };
        let found = losses.iter().chain(&penalties).flat_map(to_f64).collect();
        let expected = expected.iter().flat_map(|entry| to_f64(&tensor(entry))).collect();
        assert_near(&sorted(found), &sorted(expected), 4e-6, &row.case);
        let weights_only: usize = layer
            .weights()
            .iter()
            .filter(|w| w.dtype() == DType::F32)
            .map(|w| w.shape().expect("built").iter().product::<usize>())
            .sum();
        assert_eq!(weights_only, row.get::<usize>("parameters"), "{}", row.case);
        met.insert(row.class());
    }
    let missing: Vec<_> = LAYERS.iter().filter(|class| !met.contains(**class)).collect();
    assert_eq!(missing, [&"InputLayer"], "a row for every layer");
}

/// How a model was compiled is not part of what it is.
fn without_compile_config(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("compile_config");
            object.values_mut().for_each(without_compile_config);
        }
        Value::Array(values) => values.iter_mut().for_each(without_compile_config),
        _ => {}
    }
}

#[test]
fn a_layers_config_is_what_keras_writes() {
    for row in rows("layer").chain(rows("sequential")) {
        let (layer, mut expected) = (layer(row), config(row));
        let found = object(layer.as_module()).expect("a config");
        without_compile_config(&mut expected);
        // Names belong to places, and this one is in none.
        expected["config"]["name"] = layer.default_name().into();
        assert!(same(&found, &expected), "{}: {found}\nis not\n{expected}", row.case);
    }
}

#[test]
fn dropout_drops_what_keras_drops() {
    let mut count = 0;
    for row in rows("dropout") {
        let (layer, x) = (layer(row), row.tensor("x").expect("an input"));
        for expected in row.get::<Vec<Entry>>("outputs") {
            let y = scope::with_training(true, || layer.call(&x)).unwrap_or_else(|e| panic!("{}: {e}", row.case));
            assert_near(&y, &tensor(&expected), 2.0 * epsilon(x.dtype()), &row.case);
        }
        let state: Vec<Named> = row.get("state");
        for (variable, recorded) in layer.variables().iter().zip(&state) {
            assert_eq!(to_f64(&variable.value().expect("drawn")), to_f64(&tensor(&recorded.value)), "{}", row.case);
        }
        count += 1;
    }
    assert!(count > 10);
}
