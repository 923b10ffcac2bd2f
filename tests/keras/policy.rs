//! Dtype policies, and the optimizer that scales losses for those of half precision.

use super::config::same;
use super::layer::{Named, config, essential, give};
use super::*;
use modulor::keras::library::{Dense, Dropout, LAYERS, MaxPooling2D, Sequential};
use modulor::keras::optimizer::{self, LossScaleOptimizer, Optimizer, SGD};
use modulor::module::{Track, object};
use modulor::tape::Source;
use modulor::{Call, DTypePolicy, FromConfig, Layer, ModuleExt, dtype_policy, scope, with_dtype_policy};
use serde_json::json;

fn dtypes(variables: &[Variable]) -> Vec<&'static str> {
    variables.iter().map(|variable| variable.dtype().name()).collect()
}

/// The config with the names that a layer has by itself.
fn written(layer: &dyn Module, expected: &Value) -> (Value, Value) {
    let (mut found, mut expected) = (object(layer).expect("a config"), expected.clone());
    essential(&mut found);
    essential(&mut expected);
    expected["config"]["name"] = layer.default_name().into();
    (found, expected)
}

#[test]
fn layers_compute_in_what_keras_computes_in() {
    let mut count = 0;
    for row in rows("policy") {
        let (name, case): (String, _) = (row.get("policy"), &row.case);
        let layer: Box<dyn Layer> = Box::from_field(Some(&config(row))).unwrap_or_else(|e| panic!("{case}: {e}"));
        let (found, expected) = written(layer.as_module(), &config(row));
        assert!(same(&found, &expected), "{found}\nis not\n{expected}");
        let policy = layer.as_module().dtype_policy().expect("layers of the library have one");
        assert_eq!(policy, DTypePolicy::from(name.as_str()), "{case}");
        assert_eq!(policy.compute_dtype().expect("it is known").name(), row.get::<String>("compute"), "{case}");
        assert_eq!(policy.variable_dtype().expect("it is known").name(), row.get::<String>("variable"), "{case}");

        let x = row.tensor("x").expect("an input");
        layer.call(&x).unwrap_or_else(|e| panic!("{case}: {e}"));
        let weights = give(layer.as_module(), row);
        assert_eq!(dtypes(&weights), row.get::<Vec<String>>("dtypes"), "{case}");

        let training = row.get::<Option<bool>>("training") == Some(true);
        let tape = GradientTape::new();
        tape.watch(&x);
        let y = tape.record(|| scope::with_training(training, || layer.call(&x)));
        let (y, recorded) = (y.unwrap_or_else(|e| panic!("{case}: {e}")), row.tensor("y").expect("an output"));
        assert_eq!(y.dtype(), recorded.dtype(), "{case}");
        let coarse = epsilon(policy.compute_dtype().expect("it is known"));
        // Keras rounds each step of a sum in half precision, and float64 in a few places to float32.
        let tolerance = if coarse > 1e-4 { 8.0 * coarse } else { 1e-6 };
        assert_near(&y, &recorded, tolerance, case);
        let after: Vec<Named> = row.get("after");
        for (weight, after) in weights.iter().zip(after) {
            let about = format!("{case}: {}", after.path);
            assert_near(&weight.value().expect("a value"), &tensor(&after.value), tolerance, &about);
        }

        let Some(dy) = row.tensor("dy") else { continue };
        let dy = dy.cast(y.dtype()).expect("floats");
        let trained = weights.iter().filter(|weight| weight.trainable()).map(|weight| weight as &dyn Source);
        let sources = [&x as &dyn Source].into_iter().filter(|_| x.dtype().is_float()).chain(trained);
        let found = tape.gradients_with(&[(y, Some(dy))], sources, UnconnectedGradients::Zero);
        let found = found.unwrap_or_else(|e| panic!("{case}: {e}"));
        let expected: Vec<Entry> = row.get("grads");
        assert_eq!(found.len(), expected.len(), "{case}");
        for (source, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let (found, expected) = (found.as_ref().expect("zeros at least"), tensor(expected));
            assert_eq!(found.dtype(), expected.dtype(), "gradient {source} of {case}");
            let greatest = to_f64(&expected).into_iter().fold(1.0, |a: f64, b| a.max(b.abs()));
            assert_near(found, &expected, 2.0 * tolerance * greatest, &format!("gradient {source} of {case}"));
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn layers_of_a_model_have_policies_of_their_own() {
    let mut count = 0;
    for row in rows("policy model") {
        let model = <Box<dyn Layer>>::from_field(Some(&config(row))).expect("a model");
        let (found, expected) = written(model.as_module(), &config(row));
        assert!(same(&found, &expected), "{found}\nis not\n{expected}");
        let x = row.tensor("x").expect("an input");
        model.call(&x).expect("it fits");
        let weights = give(model.as_module(), row);
        assert_eq!(dtypes(&weights), row.get::<Vec<String>>("dtypes"), "{}", row.case);
        let (y, recorded) = (model.call(&x).expect("it fits"), row.tensor("y").expect("an output"));
        assert_eq!(y.dtype(), recorded.dtype(), "{}", row.case);
        assert_near(&y, &recorded, 8.0 * epsilon(DType::BF16), &row.case);
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn a_policy_is_ambient_where_a_layer_is_made_and_no_later() {
    let x = Tensor::from([[1.0_f32, 2.0]]);
    let (inside, pooling) = with_dtype_policy("mixed_bfloat16", || (Dense::new(2), MaxPooling2D::new()));
    assert_eq!((dtype_policy(), inside.dtype_policy()), (DType::F32.into(), Some("mixed_bfloat16".into())));
    assert_eq!(pooling.dtype_policy(), Some("mixed_bfloat16".into()));
    assert_eq!(inside.call(&x).expect("it fits").dtype(), DType::BF16);
    let read = with_dtype_policy("float64", || Dense::from_config(&Dense::new(2).config()?)).expect("its own config");
    assert_eq!(read.call(&x).expect("it fits").dtype(), DType::F64);
    let unsaid = json!({"class_name": "Dense", "module": "keras.layers", "config": {"units": 2, "dtype": null}});
    let unsaid = with_dtype_policy("float16", || <Box<dyn Layer>>::from_field(Some(&unsaid))).expect("a config");
    assert_eq!(unsaid.as_module().dtype_policy(), Some(DType::F16.into()));
    // Until a variable has its value a layer may be given another.
    let changed = Dense::new(2).dtype("float64");
    assert_eq!(changed.call(&x).expect("it fits").dtype(), DType::F64);
    assert_eq!(dtypes(&changed.weights()), ["float64", "float64"]);
}

#[test]
fn every_layer_of_the_library_has_a_policy() {
    // One of these computes nothing, the other what its layers do, as in Keras.
    for layer in LAYERS.iter().filter(|class| !["InputLayer", "Pipeline"].contains(class)) {
        let known = super::rows("layer").chain(super::rows("cell")).find(|row| row.class() == **layer);
        let Some(row) = known else { continue };
        let mut object = config(row);
        object["config"]["dtype"] = "mixed_float16".into();
        let module = modulor::layer::make_module(&object).unwrap_or_else(|e| panic!("{layer}: {e}"));
        let again = module.config().expect("a config");
        // Some of Keras's classes write a policy by its name.
        let written = again["dtype"].as_str().or(again["dtype"]["config"]["name"].as_str());
        assert_eq!(written, Some("mixed_float16"), "{layer}");
    }
}

#[test]
fn a_policy_that_says_nothing_is_an_error_where_it_is_used() {
    let x = Tensor::from([[1.0_f32, 2.0]]);
    let words = "unknown dtype policy `mixed_bfloat`; did you mean `mixed_bfloat16`?";
    let layer = Dense::new(2).dtype("mixed_bfloat");
    let mut config = Dense::new(2).config().expect("plain data");
    config.insert("dtype".to_owned(), "mixed_bfloat".into());
    for error in [
        layer.call(&x).expect_err(words),
        layer.config().expect_err(words),
        Dense::from_config(&config).map(|_| ()).expect_err(words),
        modulor::set_dtype_policy("mixed_bfloat").expect_err(words),
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A layer without a policy.
#[derive(modulor::Module)]
#[module(package = "policy_tests")]
struct Plain {
    #[variable(shape = [], init = 2.0)]
    factor: Variable,
}

impl Layer for Plain {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.mul(self.factor.read()?.cast(x.dtype())?)
    }
}

/// One with a policy that calls it.
#[derive(modulor::Module)]
#[module(package = "policy_tests")]
struct Around {
    #[config(default, into)]
    dtype: DTypePolicy,
    plain: Plain,
    inner: Dense,
}

impl Layer<Tensor, (Tensor, Tensor, Tensor)> for Around {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        Ok((self.plain.call(x)?, self.plain.factor.read()?, self.inner.call(x)?))
    }
}

#[test]
fn a_layer_without_a_policy_takes_what_it_is_given() {
    let x = Tensor::from([1.0_f64, 2.0]);
    let plain = Plain::new();
    assert_eq!((plain.call(&x).expect("it fits").dtype(), plain.dtype_policy()), (DType::F64, None));
    let around = Around::new(Plain::new(), Dense::new(1)).dtype("mixed_float16");
    let x = Tensor::from([[1.0_f32, 2.0]]);
    let (plain, read, inner) = around.call(&x).expect("it fits");
    // One of its own has the word on what it computes in.
    assert_eq!([plain.dtype(), read.dtype(), inner.dtype()], [DType::F16, DType::F16, DType::F32]);
    assert_eq!(dtypes(&around.variables()), ["float32"; 3]);
    let again = Around::from_config(&around.config().expect("plain data")).expect("its own config");
    assert_eq!(again.dtype_policy(), around.dtype_policy());
}

#[test]
fn masks_and_gradients_come_through_the_casts() {
    let x = Tensor::from([[1.0_f32, 2.0, 3.0]]).with_mask(Some(Tensor::from([[true, false, true]])));
    let model = Sequential::new().add(Dropout::new(0.0).dtype("float16")).add(Dropout::new(0.0).dtype("float64"));
    let tape = GradientTape::new();
    tape.watch(&x);
    let y = tape.record(|| model.call(&x)).expect("it fits");
    assert_eq!((y.dtype(), y.mask().map(to_f64)), (DType::F64, Some(vec![1.0, 0.0, 1.0])));
    assert_eq!(tape.gradient(&y, &x).expect("connected").dtype(), DType::F32);
}

#[derive(Deserialize)]
struct Taken {
    grads: Vec<Entry>,
    loss: Entry,
    after: Vec<Entry>,
    state: Vec<Entry>,
}

#[test]
fn losses_are_scaled_and_steps_left_out_as_keras_does_it() {
    let loss = Tensor::scalar(1.5_f32);
    let mut count = 0;
    for row in rows("loss scale") {
        let case = &row.case;
        let object = row.get::<Value>("config");
        let optimizer = optimizer::from_object(&object).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert!(same(&module::object(optimizer.as_module()).expect("a config"), &object), "{case}");
        let scaled = LossScaleOptimizer::from_config(object["config"].as_object().expect("a config")).expect("its own");
        assert_near(&scaled.scale_loss(&loss).expect("a number"), &row.tensor("unbuilt").expect("a loss"), 0.0, case);
        let first: Vec<Entry> = row.get("first");
        let variables: Vec<Variable> = first
            .iter()
            .zip(["kernel", "bias"])
            .map(|(value, name)| {
                let variable = Variable::new(tensor(value));
                variable.stamp(name);
                variable
            })
            .collect();
        for (number, step) in row.get::<Vec<Taken>>("steps").iter().enumerate() {
            let about = format!("{case}, step {number}");
            let found = scaled.scale_loss(&loss).expect("a number");
            assert_near(&found, &tensor(&step.loss), 0.0, &about);
            let gradients = step.grads.iter().map(|gradient| Some(tensor(gradient)));
            let pairs: Vec<_> = variables.iter().cloned().zip(gradients).collect();
            scaled.apply(&pairs).unwrap_or_else(|e| panic!("{about}: {e}"));
            for (variable, expected) in variables.iter().zip(&step.after) {
                assert_near(&variable.value().expect("a value"), &tensor(expected), 4.0 * epsilon(DType::F32), &about);
            }
            let state = state(&scaled);
            assert_eq!(state.len(), step.state.len(), "{about}");
            for (variable, expected) in state.iter().zip(&step.state) {
                let about = format!("{about}: {variable}");
                assert_near(&variable.value().expect("a value"), &tensor(expected), 4.0 * epsilon(DType::F32), &about);
            }
        }
        let names: Vec<String> = state(&scaled).iter().map(|variable| variable.path().expect("a path")).collect();
        assert_eq!(names, row.get::<Vec<String>>("names"), "{case}");
        assert!(same(&module::object(&scaled).expect("a config"), &row.get("end")), "{case}");
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn small_gradients_of_half_precision_arrive_where_the_loss_is_scaled() {
    let x = Tensor::from([[1.0_f32]]);
    let moved = |optimizer: &dyn Optimizer| {
        let layer = Dense::new(1).use_bias(false).kernel_initializer("ones").dtype("mixed_float16");
        let tape = GradientTape::new();
        // Below the least number of float16, on the way back.
        let loss = tape.record(|| layer.call(&x)?.cast(DType::F32)?.mul(1e-9)?.sum(..)).expect("a loss");
        optimizer.minimize(&tape, &loss, &layer.weights()).expect("a step");
        layer.weights()[0].value().and_then(|w| w.item::<f32>()).expect("a number") - 1.0
    };
    let sgd = || SGD::new().learning_rate(1e6);
    assert_eq!(moved(&sgd()), 0.0);
    let scaled = LossScaleOptimizer::new(sgd());
    assert!((moved(&scaled) + 1e-3).abs() < 1e-5);
    let twice = LossScaleOptimizer::new(sgd().loss_scale_factor(2.0));
    let error = twice.prepare(&[Variable::new(1.0)]).expect_err("two scales").to_string();
    assert!(error.contains("`loss_scale_factor`, not 2"), "{error}");
}
