//! What layers learn from batches without a gradient.

use super::*;
use modulor::graph::trace;
use modulor::keras::library::{
    BatchNormalization, Dense, Dropout, GroupNormalization, LayerNormalization, Normalization, Numbers,
    RMSNormalization, RenormClipping, Rescaling, SpectralNormalization, UnitNormalization,
};
use modulor::module::{FromConfig, Track};
use modulor::{Call, Layer, ModuleExt, Spec, Variable, scope};

/// A variable as it was recorded.
#[derive(Deserialize)]
struct Named {
    path: String,
    value: Entry,
}

/// The layer of a row.
fn layer(row: &Row) -> Box<dyn Layer> {
    let config: Value = row.get("config");
    Box::from_field(Some(&config)).unwrap_or_else(|e| panic!("{}: {e}", row.case))
}

fn training(layer: &dyn Layer, x: &Tensor) -> Tensor {
    scope::with_training(true, || layer.call(x)).expect("it fits")
}

/// The value of a variable of this name among those that were recorded. Attributes of Keras's may begin with an underscore, and
/// the kernel of a normalized table is the table.
#[track_caller]
fn recorded(name: &str, all: &[Named], about: &str) -> Tensor {
    let last = |path: &str| match path.rsplit('/').next().expect("a name").trim_start_matches('_') {
        "embeddings" => "kernel".to_owned(),
        last => last.to_owned(),
    };
    let named = all.iter().find(|named| last(&named.path) == last(name));
    tensor(&named.unwrap_or_else(|| panic!("{about}: {name}")).value)
}

/// Checks all variables of a layer against those of the same names.
#[track_caller]
fn assert_state(layer: &dyn Layer, expected: &[Named], about: &str) {
    let found = layer.named_variables();
    assert_eq!(found.len(), expected.len(), "{about}");
    for (name, variable) in found {
        let value = variable.value().expect("it is built");
        assert_near(&value, &recorded(&name, expected, about), 4e-6, &format!("{about}: {name}"));
    }
}

#[test]
fn what_batches_teach_is_what_keras_learns_from_them() {
    let mut count = 0;
    for row in super::rows("batch normalization") {
        let layer = layer(row);
        let tensors =
            |key: &str| row.get::<Vec<Option<Entry>>>(key).into_iter().map(|entry| entry.as_ref().map(tensor));
        let xs: Vec<Tensor> = tensors("x").flatten().collect();
        let states: Vec<Vec<Named>> = row.get("state");
        for (step, ((x, mask), y)) in xs.iter().zip(tensors("mask")).zip(tensors("y")).enumerate() {
            let about = format!("{}, step {step}", row.case);
            let found = training(&*layer, &x.with_mask(mask.clone()));
            assert_near(&found, &y.expect("an output"), (4.0 * epsilon(x.dtype())).max(1e-5), &about);
            assert_eq!(found.mask().map(to_f64), mask.as_ref().map(to_f64), "{about}");
            assert_state(&*layer, &states[step], &about);
        }
        let inferred = layer.call(&xs[0]).expect("it fits");
        let expected = row.tensor("inferred").expect("an output");
        assert_near(&inferred, &expected, (4.0 * epsilon(xs[0].dtype())).max(1e-5), &row.case);
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn a_kernel_is_normalized_as_keras_does_it() {
    let mut count = 0;
    for row in super::rows("spectral normalization") {
        let (layer, x) = (layer(row), row.tensor("x").expect("an input"));
        layer.call(&x).expect("it fits");
        let weights: Vec<Named> = row.get("weights");
        for (name, variable) in layer.named_variables() {
            variable.assign(&recorded(&name, &weights, &row.case)).expect("it fits");
        }
        assert_near(&layer.call(&x).expect("it fits"), &row.tensor("before").expect("an output"), 4e-6, &row.case);
        let states: Vec<Vec<Named>> = row.get("state");
        for (y, state) in row.get::<Vec<Entry>>("y").iter().zip(&states) {
            assert_near(&training(&*layer, &x), &tensor(y), 1e-5, &row.case);
            assert_state(&*layer, state, &row.case);
        }
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn features_are_learnt_as_keras_learns_them() {
    let mut count = 0;
    for row in super::rows("adapted") {
        let config: Value = row.get("config");
        let config = config["config"].as_object().expect("a config");
        let layer = Normalization::from_config(config).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let batches: Vec<Tensor> = row.get::<Vec<Entry>>("batches").iter().map(tensor).collect();
        layer.adapt(&batches).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let state: Vec<Named> = row.get("state");
        assert_state(&layer, &state, &row.case);
        let y = layer.call(&batches[0]).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_eq!(y.dtype(), DType::F32, "{}", row.case);
        assert_near(&y, &row.tensor("y").expect("an output"), 1e-5, &row.case);
        count += 1;
    }
    assert!(count > 5);
    let told = Normalization::new().mean(Some(0.5.into())).variance(Some(2.0.into()));
    let x = Tensor::from([[1.0_f32, 2.0]]);
    assert!(told.adapt([&x]).expect_err("it is told").to_string().contains("are told, and not learnt"));
    let none: [Tensor; 0] = [];
    let error = Normalization::new().adapt(none).expect_err("no batch").to_string();
    assert!(error.contains("at least one batch"), "{error}");
    let layer = Normalization::new();
    layer.adapt([&x]).expect("a batch");
    let error = layer.adapt([&x, &Tensor::from([[1.0_f32]])]).expect_err("another width").to_string();
    assert!(error.contains("the features are [2], and a batch has (1,)"), "{error}");
}

#[test]
fn a_frozen_layer_goes_by_what_it_has_learnt() {
    let layer = BatchNormalization::new().momentum(0.5);
    let x = Tensor::from([[1.0_f32, 5.0], [3.0, 9.0]]);
    training(&layer, &x);
    let before = state(&layer).iter().map(|v| to_f64(&v.value().expect("built"))).collect::<Vec<_>>();
    layer.freeze();
    assert_eq!(to_f64(&training(&layer, &x)), to_f64(&layer.call(&x).expect("it fits")));
    let values = |layer: &BatchNormalization| {
        state(layer).iter().map(|v| to_f64(&v.value().expect("built"))).collect::<Vec<_>>()
    };
    assert_eq!(values(&layer), before);
    layer.thaw();
    training(&layer, &x);
    assert_ne!(values(&layer), before);
}

#[test]
fn layers_that_normalize_take_batches_whose_size_is_not_known() {
    let layers: [Box<dyn Layer>; 8] = [
        Box::new(LayerNormalization::new()),
        Box::new(LayerNormalization::new().axis([1, 2])),
        Box::new(RMSNormalization::new()),
        Box::new(UnitNormalization::new()),
        Box::new(GroupNormalization::new().groups(2)),
        Box::new(BatchNormalization::new()),
        Box::new(BatchNormalization::new().axis(1).renorm(true)),
        Box::new(SpectralNormalization::new(Box::new(Dense::new(3)))),
    ];
    let x = Tensor::new([2, 3, 4], (0..24).map(|i| (i * i % 7) as f32).collect::<Vec<_>>()).expect("24 numbers");
    for layer in layers {
        for phase in [false, true] {
            layer.call(&x).expect("it fits");
            let before: Vec<Tensor> = state(&*layer).iter().map(|v| v.value().expect("built")).collect();
            let expected = scope::with_training(phase, || layer.call(&x)).expect("it fits");
            let after: Vec<Tensor> = state(&*layer).iter().map(|v| v.value().expect("built")).collect();
            state(&*layer).iter().zip(&before).for_each(|(v, value)| v.assign(value).expect("its own value"));
            let about = format!("{} in training: {phase}", layer.class_name());
            let call = |x: &[Tensor]| scope::with_training(phase, || Ok(vec![layer.call(&x[0])?]));
            let graph = trace(call, &[Spec::new(DType::F32, [None, Some(3), Some(4)])]);
            let graph = graph.unwrap_or_else(|e| panic!("{about}: {e}"));
            let y = graph.run(&[&x]).unwrap_or_else(|e| panic!("{about}: {e}")).remove(0);
            assert_near(&y, &expected, 2e-6, &about);
            for (variable, after) in state(&*layer).iter().zip(&after) {
                assert_near(&variable.value().expect("built"), after, 2e-6, &about);
            }
        }
    }
}

#[test]
fn what_a_layer_that_normalizes_cannot_do_it_says() {
    let x = Tensor::zeros([2, 3, 4], DType::F32).expect("zeros");
    let clipping = RenormClipping { rmin: Some(2.0), rmax: Some(1.0), dmax: None };
    let kernel = |n| SpectralNormalization::new(Box::new(Dense::new(2))).power_iterations(n);
    let ragged = Numbers::Several(vec![[1.0].into(), [1.0, 2.0].into()]);
    let told = |mean: Numbers| Normalization::new().mean(Some(mean)).variance(Some(1.0.into()));
    let rows: [(Box<dyn Layer>, &str); 12] = [
        (Box::new(Rescaling::new(ragged)), "lists of numbers must have one length"),
        (Box::new(Normalization::new().mean(Some(1.0.into()))), "`mean` and `variance` are told together"),
        (Box::new(told([1.0; 4].into())), "of one shape"),
        (Box::new(Normalization::new().axis(5)), "no axis 5"),
        (Box::new(LayerNormalization::new().axis(3)), "no axis 3"),
        (Box::new(BatchNormalization::new().axis(-4)), "no axis -4"),
        (Box::new(GroupNormalization::new()), "`groups` must divide the 4 channels, or be -1, found 32"),
        (Box::new(GroupNormalization::new().groups(0)), "found 0"),
        (Box::new(GroupNormalization::new().groups(2).axis(0)), "`axis` must be one of a sample's, found 0"),
        (Box::new(BatchNormalization::new().renorm(true).renorm_clipping(Some(clipping))), "`rmax`"),
        (Box::new(kernel(0)), "`power_iterations` must be at least 1"),
        (Box::new(SpectralNormalization::new(Box::new(Dropout::new(0.5)))), "neither a `kernel` nor `embeddings`"),
    ];
    for (layer, words) in rows {
        let error = scope::with_training(true, || layer.call(&x)).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let masked = x.with_mask(Some(Tensor::from([true, false])));
    let error = scope::with_training(true, || BatchNormalization::new().call(&masked)).expect_err("a mask of rank 1");
    assert!(error.to_string().contains("one dim less than the input, found (2,) and (2, 3, 4)"), "{error}");
}

/// TensorFlow's is NaN.
#[test]
fn the_gradient_of_an_empty_batch_is_zero() {
    let layer = BatchNormalization::new();
    let x = Tensor::zeros([0, 3], DType::F32).expect("no numbers");
    layer.call(&x).expect("it fits");
    let tape = GradientTape::new();
    let loss = tape.record(|| scope::with_training(true, || layer.call(&x))?.sum(..)).expect("it fits");
    let gradients = tape.gradients(&loss, layer.trainable_variables()).expect("floats");
    let gradients: Vec<f64> = gradients.iter().flatten().flat_map(to_f64).collect();
    assert_eq!(gradients, [0.0; 6]);
}

/// Variables of one moment: the two moving moments of a layer always belong to the same step.
#[test]
fn other_threads_see_both_moving_moments_or_neither() {
    let layer = BatchNormalization::new().momentum(0.0).epsilon(0.0);
    let batch = |n: f32| Tensor::new([2, 1], vec![n - n.sqrt(), n + n.sqrt()]).expect("two numbers");
    training(&layer, &batch(4.0));
    let moving: Vec<Variable> = layer.non_trainable_variables();
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| (1..200).for_each(|i| drop(training(&layer, &batch((i * i) as f32)))));
        while !writer.is_finished() {
            let values = modulor::variable::snapshot(&moving).expect("built");
            let [mean, variance] = [0, 1].map(|i| to_f64(&values[i])[0]);
            assert!((mean - variance).abs() <= 1e-4 * mean, "{mean} and {variance}");
        }
    });
}
