use super::config::same;
use super::*;
use modulor::graph::trace;
use modulor::keras::library::{Dense, Dropout, Flatten, Reshape, Sequential};
use modulor::keras::regularizer::L2;
use modulor::module::{Track, object};
use modulor::{Call, Error, Layer, ModuleExt, NameLayer, Spec, Variable, collecting_losses, scope};
use serde_json::json;

/// The config of a row.
pub fn config(row: &Row) -> Value {
    row.get("config")
}

/// The layer of a row.
pub fn layer(row: &Row) -> Box<dyn Layer> {
    Box::from_field(Some(&config(row))).unwrap_or_else(|e| panic!("{}: {e}", row.case))
}

/// The layer of a row that was recorded in another dtype than its config says.
pub fn layer_in(row: &Row, dtype: DType) -> Box<dyn Layer> {
    let mut config = config(row);
    config["config"]["dtype"] = dtype.name().into();
    Box::from_field(Some(&config)).unwrap_or_else(|e| panic!("{}: {e}", row.case))
}

/// A variable as it was recorded.
#[derive(Deserialize)]
pub struct Named {
    pub path: String,
    pub value: Entry,
}

/// A path without its first part: free-standing layers are numbered in the order of this program's calls.
pub fn below(path: &str) -> Option<&str> {
    path.split_once('/').map(|(_, below)| below)
}

/// Builds the layer for an input and gives its variables the recorded values.
fn build(layer: &dyn Layer, x: &Tensor, row: &Row) -> Vec<Variable> {
    layer.call(x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
    give(layer.as_module(), row)
}

/// Gives the weights of a module that is built the recorded values.
pub fn give(module: &dyn Module, row: &Row) -> Vec<Variable> {
    let weights: Vec<Variable> = module.weights();
    let recorded: Vec<Named> = row.get("weights");
    assert_eq!(weights.len(), recorded.len(), "{}", row.case);
    for (weight, recorded) in weights.iter().zip(recorded) {
        let path = weight.path().expect("a variable that has been read has a path");
        assert_eq!(below(&path), below(&recorded.path), "{}", row.case);
        weight.assign(&tensor(&recorded.value)).expect("a value of the variable's shape");
    }
    weights
}

#[test]
fn layers_compute_what_kerass_do() {
    let mut count = 0;
    for row in rows("layer").chain(rows("sequential")) {
        let (layer, x) = (layer(row), row.tensor("x").expect("an input").with_mask(row.tensor("mask")));
        let weights = build(&*layer, &x, row);
        let tape = GradientTape::new();
        tape.watch(&x);
        let training = row.get::<Option<bool>>("training") == Some(true);
        let (computed, mut losses) = collecting_losses(|| {
            let call = || scope::with_training(training, || layer.call(&x));
            tape.record(|| Ok((call()?, layer.regularization_losses()?)))
        });
        let (y, penalties) = computed.unwrap_or_else(|e: Error| panic!("{}: {e}", row.case));
        losses.extend(penalties);
        let recorded = row.tensor("y").expect("an output");
        // Integers are what floats are made of.
        let dtype = if x.dtype().is_float() { x.dtype() } else { recorded.dtype() };
        assert_eq!(y.dtype(), dtype, "{}", row.case);
        let masks = [y.mask().cloned(), row.tensor("output_mask")].map(|mask| mask.as_ref().map(to_f64));
        assert_eq!(masks[0], masks[1], "{}", row.case);
        // Numbers of half the width are rounded where they leave the layer.
        let coarse = 4.0 * epsilon(dtype);
        let reference = row.tensor("reference").unwrap_or(recorded);
        assert_near(&y, &reference, if coarse > 1e-4 { coarse } else { 4e-6 }, &row.case);
        if let Some(dy) = row.tensor("dy") {
            let mut targets = vec![(y.clone(), Some(dy.cast(y.dtype()).expect("floats")))];
            targets.extend(losses.iter().map(|loss| (loss.clone(), None)));
            let sources = [&x as &dyn modulor::tape::Source]
                .into_iter()
                .chain(weights.iter().filter(|w| w.trainable()).map(|w| w as _));
            let found = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero);
            let found = found.unwrap_or_else(|e| panic!("{}: {e}", row.case));
            let of_weights = row.get::<Vec<Entry>>("weight_grads");
            let expected: Vec<_> =
                std::iter::once(row.tensor("grad")).chain(of_weights.iter().map(|g| Some(tensor(g)))).collect();
            assert_eq!(found.len(), expected.len(), "{}", row.case);
            for (source, (found, expected)) in found.iter().zip(expected).enumerate() {
                // Integers have no gradient.
                let Some(expected) = expected else { continue };
                let about = format!("gradient {source} of {}", row.case);
                let tolerance = if coarse > 1e-4 { 8.0 * coarse } else { 4e-5 };
                assert_near(found.as_ref().expect("zeros at least"), &expected, tolerance, &about);
                count += usize::from(source > 0);
            }
        }
        let expected: Vec<Entry> = row.get("losses");
        assert_eq!(losses.len(), expected.len(), "{}", row.case);
        // Keras goes by the order in which variables were made, a module by their names.
        let sorted = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            Tensor::from(values)
        };
        let found = losses.iter().flat_map(to_f64).collect();
        let expected = expected.iter().flat_map(|entry| to_f64(&tensor(entry))).collect();
        assert_near(&sorted(found), &sorted(expected), 4e-6, &row.case);
        assert_eq!(layer.count_params(), row.get::<usize>("parameters"), "{}", row.case);
    }
    assert!(count > 30, "gradients of {count} weights");
}

/// Leaves out what is not part of a layer but of a file that holds it: how it was built and compiled; and what an
/// `InputLayer` has no use for.
pub fn essential(value: &mut Value) {
    match value {
        Value::Object(object) => {
            ["build_config", "compile_config", "build_input_shape"].iter().for_each(|key| drop(object.remove(*key)));
            match object.get("class_name").and_then(Value::as_str) {
                Some("InputLayer") => {
                    drop(object["config"].as_object_mut().and_then(|config| config.remove("trainable")))
                }
                // To freeze a model is to freeze the variables in it.
                Some("Sequential") if object["config"]["trainable"] == false => {
                    let layers = object["config"]["layers"].as_array_mut().into_iter().flatten();
                    let dense = layers.filter(|layer| layer["class_name"] == "Dense");
                    dense.for_each(|layer| layer["config"]["trainable"] = false.into());
                }
                _ => {}
            }
            object.values_mut().for_each(essential);
        }
        Value::Array(values) => values.iter_mut().for_each(essential),
        _ => {}
    }
}

#[test]
fn a_layers_config_is_what_keras_writes() {
    let recorded = super::config::rows().into_iter().filter(|row| ["layer", "model"].contains(&row.kind.as_str()));
    let kinds = ["layer", "sequential", "batch normalization", "spectral normalization", "adapted"];
    let rows = kinds.into_iter().flat_map(rows).map(config).chain(recorded.map(|row| row.config));
    let mut count = 0;
    for mut expected in rows {
        essential(&mut expected);
        let read = <Box<dyn Layer>>::from_field(Some(&expected));
        let layer = read.unwrap_or_else(|e| panic!("{expected}: {e}"));
        let mut found = object(layer.as_module()).expect("a config");
        essential(&mut found);
        // Names belong to places, and this one is in none.
        expected["config"]["name"] = layer.default_name().into();
        assert!(same(&found, &expected), "{found}\nis not\n{expected}");
        count += 1;
    }
    assert!(count > 70, "{count}");
}

#[test]
fn dropout_drops_what_keras_drops() {
    let mut count = 0;
    for row in rows("dropout") {
        let x = row.tensor("x").expect("an input");
        let layer = layer_in(row, x.dtype());
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

/// The weights of a model that is built: paths in it and shapes.
fn weights(model: &Sequential) -> Vec<(String, Vec<usize>)> {
    let weights = model.weights().into_iter().map(|weight| {
        let path = weight.path().expect("it is built");
        (below(&path).expect("it is in a model").to_owned(), weight.shape().expect("it is built"))
    });
    weights.collect()
}

#[test]
fn seeds_are_variables_of_a_model_and_none_of_its_weights() {
    let model = Sequential::new().add(Dense::new(3)).add(Dropout::new(0.5)).add(Dense::new(2));
    model.call(Tensor::zeros([5, 4], DType::F32).expect("zeros")).expect("it fits");
    // What Keras says of the same model.
    let expected = [
        ("dense/kernel", vec![4, 3]),
        ("dense/bias", vec![3]),
        ("dense_1/kernel", vec![3, 2]),
        ("dense_1/bias", vec![2]),
    ];
    assert_eq!(weights(&model), expected.map(|(path, shape)| (path.to_owned(), shape)));
    assert_eq!((model.count_params(), model.variables().len()), (23, 5));
    let dropout = &model.layers()[1];
    assert_eq!((dropout.count_params(), dropout.weights().len(), dropout.variables().len()), (0, 0, 1));
}

#[test]
fn weights_go_layer_by_layer_however_deep_and_whatever_their_names() {
    let dense = |units, name: &str| Dense::new(units).named(name);
    let inner = Sequential::new().add(Dense::new(2).use_bias(false).named("b")).add(dense(2, "a")).named("inner");
    let model = Sequential::new().add(dense(3, "z")).add(inner).add(dense(1, "c"));
    model.call(Tensor::zeros([5, 4], DType::F32).expect("zeros")).expect("it fits");
    // What Keras says of the same model.
    let expected = [
        ("z/kernel", vec![4, 3]),
        ("z/bias", vec![3]),
        ("inner/b/kernel", vec![3, 2]),
        ("inner/a/kernel", vec![2, 2]),
        ("inner/a/bias", vec![2]),
        ("c/kernel", vec![2, 1]),
        ("c/bias", vec![1]),
    ];
    assert_eq!(weights(&model), expected.map(|(path, shape)| (path.to_owned(), shape)));
    assert_eq!(model.count_params(), 30);
}

#[test]
fn a_sequential_keeps_given_names_and_gives_the_others() {
    let layers =
        [("Flatten", "flat"), ("Dense", "dense"), ("Dense", "dense_1"), ("Dense", "head")].map(|(class, name)| {
            let settings = if class == "Dense" { json!({"units": 2, "name": name}) } else { json!({"name": name}) };
            json!({"module": "keras.layers", "class_name": class, "config": settings})
        });
    let config = json!({"module": "keras", "class_name": "Sequential", "config": {"layers": layers}});
    let model = Sequential::from_field(Some(&config)).expect("a config");
    model.call(Tensor::zeros([2, 3], DType::F32).expect("zeros")).expect("it fits");
    let names: Vec<String> = model.named_variables().into_iter().map(|(name, _)| name).collect();
    let expected = ["dense/bias", "dense/kernel", "dense_1/bias", "dense_1/kernel", "head/bias", "head/kernel"];
    assert_eq!(names, expected);
    let again = Sequential::from_field(Some(&object(&model).expect("a config"))).expect("its own config");
    assert_eq!(again.submodules().len(), 4);
}

#[test]
fn layers_take_batches_whose_size_is_not_known() {
    let model = Sequential::new()
        .add(Reshape::new([-1, 2]))
        .add(Dense::new(3).activation("relu").activity_regularizer(L2 { l2: 0.5 }))
        .add(Dropout::new(0.5).seed(1))
        .add(Flatten::new())
        .add(Dense::new(2).activation("softmax"));
    let x = Tensor::from([[1.0_f32, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, 0.0], [3.0, 2.0, 1.0, 0.0]]);
    let expected = model.call(&x).expect("it fits");
    for training in [false, true] {
        let traced = trace(
            |x| scope::with_training(training, || Ok(vec![model.call(&x[0])?])),
            &[Spec::new(DType::F32, [None, Some(4)])],
        );
        let graph = traced.expect("traceable");
        let y = graph.run(&[&x]).expect("it runs").remove(0);
        assert_eq!(y.shape(), expected.shape());
        if !training {
            assert_near(&y, &expected, 1e-6, "traced");
        }
    }
}

#[test]
fn what_a_layer_cannot_do_it_says() {
    let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
    let images = Tensor::zeros([2, 3, 4, 5], DType::F32).expect("zeros");
    let rows: [(Box<dyn Layer>, &Tensor, &str); 8] = [
        (Box::new(Dense::new(0)), &x, "`units` must be at least 1, found 0"),
        (Box::new(Dense::new(2)), &Tensor::from([1.0_f32, 2.0]), "`[batch, n]`, found shape (2,)"),
        (Box::new(Dense::new(2).activation("rellu")), &x, "unknown activation `rellu`; did you mean `relu`?"),
        (Box::new(Dense::new(2).kernel_regularizer(L2 { l2: 0.1 })), &Tensor::from([[1, 2]]), "MatMul"),
        (Box::new(Dropout::new(1.5)), &x, "`rate` must be from 0 to 1, found 1.5"),
        (Box::new(Dropout::new(0.5).noise_shape(vec![None])), &x, "`noise_shape` [None] is for another rank"),
        (Box::new(Reshape::new([7, -1])), &images, "has 60 elements, which cannot be [7, -1]"),
        (Box::new(Reshape::new([-1, -1])), &images, "[-1, -1]"),
    ];
    for (layer, x, words) in rows {
        let error = scope::with_training(true, || layer.call(x)).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn layers_have_a_short_debug_and_so_have_models_that_derive_it() {
    #[derive(modulor::Module, Debug)]
    #[module(package = "debug_tests")]
    struct Net {
        dense: Dense,
        any: Vec<Box<dyn Layer>>,
    }
    let net = Net { dense: Dense::new(3).activation("relu"), any: vec![Box::new(Dropout::new(0.5))] };
    assert_eq!(
        format!("{net:?}"),
        "Net { dense: Dense { activation: \"relu\", units: 3, use_bias: true }, any: [Dropout { rate: 0.5 }] }"
    );
    assert!(format!("{:?}", modulor::keras::optimizer::Adam::new()).starts_with("Adam { amsgrad: false, beta_1: 0.9"));
}
