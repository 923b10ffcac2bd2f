//! Models that Keras made, out of its configs, and ours as configs for Keras.

use crate::golden::{Entry, Fixture};
use modulor::keras::library::Sequential;
use modulor::keras::model::{Functional, Summarize};
use modulor::layer::AnyLayer;
use modulor::module::object;
use modulor::prelude::*;
use modulor::{Tree, Variable};
use serde::Deserialize;
use serde_json::{Value, json};
use std::any::Any;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Row {
    case: String,
    model: Value,
    names: Vec<String>,
    paths: Vec<String>,
    weights: Vec<Entry>,
    xs: Vec<Entry>,
    ys: Vec<Entry>,
    summary: String,
    wide_summary: String,
}

fn fixture() -> Fixture<Row> {
    Fixture::read("keras/functional").expect("the fixture is there")
}

fn tensor(fixture: &Fixture<Row>, entry: &Entry) -> Tensor {
    let array = fixture.array(entry).expect("an entry names an array");
    let dtype = DType::from_name(&array.dtype).expect("a dtype");
    Tensor::from_bytes(dtype, array.shape, &array.bytes).expect("bytes of that dtype and shape")
}

/// What a model is fed.
fn fed(model: &AnyLayer, xs: Vec<Tensor>) -> Tree {
    match (model.module().as_module() as &dyn Any).downcast_ref::<Functional>() {
        Some(model) => model.inputs().with_leaves(xs).expect("as many"),
        None => Tree::Leaf(xs[0].clone()),
    }
}

fn assert_near(found: &Tensor, expected: &Tensor, about: &str) {
    assert_eq!(found.shape(), expected.shape(), "{about}");
    let to_f64 = |x: &Tensor| x.cast(DType::F64).and_then(|x| x.to_vec::<f64>()).expect("numbers");
    for (x, y) in to_f64(found).into_iter().zip(to_f64(expected)) {
        assert!((x - y).abs() <= 2e-6 * y.abs().max(1.0), "{about}: {x} is not {y}");
    }
}

/// A row's model out of a config, with the weights and what it computes checked.
fn check(fixture: &Fixture<Row>, row: &Row, config: &Value, about: &str) -> AnyLayer {
    let about = format!("{}, {about}", row.case);
    let model = AnyLayer::from_object(config).unwrap_or_else(|e| panic!("{about}: {e}"));
    let x = fed(&model, row.xs.iter().map(|x| tensor(fixture, x)).collect());
    let call = || model.call(&x).unwrap_or_else(|e| panic!("{about}: {e}")).leaves();
    call();
    let weights = model.module().weights();
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let names: Vec<String> = weights.iter().map(Variable::name).collect();
    assert_eq!(names, row.paths.iter().map(|path| last(path)).collect::<Vec<_>>(), "{about}");
    for (weight, value) in weights.iter().zip(&row.weights) {
        weight.assign(&tensor(fixture, value)).unwrap_or_else(|e| panic!("{about}: {e}"));
    }
    let ys = call();
    assert_eq!(ys.len(), row.ys.len(), "{about}");
    ys.iter().zip(&row.ys).for_each(|(y, expected)| assert_near(y, &tensor(fixture, expected), &about));
    model
}

/// Where `ask_models.py` finds our models: below `MODULOR_MODELS`, or nowhere.
fn hand_over(models: &[Value]) {
    let Some(folder) = std::env::var_os("MODULOR_MODELS").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("a folder for models");
    let text = serde_json::to_string(models).expect("plain data");
    std::fs::write(folder.join("models.json"), text).expect("there is room");
}

/// A tensor as its dims and elements.
fn plain(x: &Tensor) -> Value {
    let flat: Vec<f64> = x.cast(DType::F64).and_then(|x| x.to_vec()).expect("numbers");
    json!({"shape": x.dims().expect("a value"), "dtype": x.dtype().name(), "values": flat})
}

/// A model as Keras is asked about it.
fn question(case: &str, model: &AnyLayer, xs: &[Tensor]) -> Value {
    let ys = model.call(&fed(model, xs.to_vec())).unwrap_or_else(|e| panic!("{case}: {e}")).leaves();
    let weights: Vec<Value> =
        model.module().weights().iter().map(|weight| plain(&weight.value().expect("drawn"))).collect();
    let config = object(model.module()).unwrap_or_else(|e| panic!("{case}: {e}"));
    let plain_all = |tensors: &[Tensor]| tensors.iter().map(plain).collect::<Vec<_>>();
    json!({"case": case, "config": config, "weights": weights, "xs": plain_all(xs), "ys": plain_all(&ys)})
}

#[test]
fn kerass_models_are_read_and_ours_are_written_as_kerass() {
    let fixture = fixture();
    assert!(fixture.cases.len() >= 11);
    let mut asked = Vec::new();
    for row in &fixture.cases {
        let model = check(&fixture, row, &row.model, "as Keras wrote it");
        let written = object(model.module()).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let again = check(&fixture, row, &written, "as we wrote it");
        let rewritten = object(again.module()).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        assert_eq!(rewritten["config"]["layers"], written["config"]["layers"], "{}", row.case);
        let xs: Vec<Tensor> = row.xs.iter().map(|x| tensor(&fixture, x)).collect();
        asked.push(question(&row.case, &again, &xs));
    }
    asked.extend(ours().expect("they can be made"));
    hand_over(&asked);
}

/// Models that were never Keras's.
fn ours() -> Result<Vec<Value>> {
    use modulor::keras::library::{
        Bidirectional, Embedding, GRU, LSTM, LayerNormalization, MultiHeadAttention, concatenate,
    };
    let of = |dims: &[usize]| {
        let count: usize = dims.iter().product();
        Tensor::new(dims, (0..count).map(|i| (i as f32 * 0.61).sin()).collect::<Vec<f32>>())
    };
    let mut asked = Vec::new();

    let (a, b) = (Input::new([4, 6]), Input::with_shape([5, 6]).name("memory").build());
    let (attention, encoder, decoder) =
        (MultiHeadAttention::new(2, 3), LSTM::new(6), LSTM::new(6).return_sequences(true));
    let x = attention.causal().call((&a, &a))?;
    let x = LayerNormalization::new().call(&(&x + &a))?;
    let x = attention.call((&x, &b))?;
    let (_, states) = encoder.with_states().call(&(b.clone(), None))?;
    let (y, _) = decoder.with_states().call(&(x, Some(states)))?;
    let y = Bidirectional::new(GRU::new(3))?.call(&y)?;
    let model = Model::new((&a, &b), &Dense::new(2).named("head").call(&y)?)?;
    asked.push(question("a layer with two functions", &AnyLayer::of(model), &[of(&[2, 4, 6])?, of(&[2, 5, 6])?]));

    let (a, b) = (Input::new([3]), Input::new([3]));
    let x = (&a * 2.0 - &b).tanh()?.add(1.0)?.div(3.0)?.maximum(-0.25)?;
    let x = Tensor::concat(&[x.clone(), x.mean_keepdims([-1])?, x.slice((.., 0..2))?], -1)?;
    let x = x.gelu(false)?.leaky_relu(0.1)?.reshape([-1, 2, 3])?.permute([0, 2, 1])?.softmax(-1)?;
    let x = Tensor::stack(&[x.clone(), x.square()?], 1)?.sum([1, 2])?.expand_dims(1)?.squeeze([1])?;
    let x = x.greater(Tensor::scalar(1.2_f32))?.select(&x, &-&x)?.clip_by_value(-1.0, 5.0)?;
    let model = Model::new([&a, &b], &vec![x.clone(), x.cast(DType::I32)?.cast(DType::F32)?])?;
    asked.push(question("operations of ours", &AnyLayer::of(model), &[of(&[2, 3])?, of(&[2, 3])? * 2.0]));

    let inner = Sequential::new().input([3]).add(Dense::new(4).activation("silu")).add(Dense::new(3));
    let core = Model::new(&a, &inner.call(&inner.call(&a)?)?)?;
    let twice = core.call(&core.call(&b)?)?;
    let both = concatenate([&twice, &a], -1)?;
    let outer = Model::new((&a, &b), (&both, &core.call(&both.slice((.., 0..3))?)?))?;
    asked.push(question("models in models", &AnyLayer::of(outer), &[of(&[2, 3])?, of(&[2, 3])? * 0.5]));

    let words = Input::with_shape([5]).dtype(DType::I32).build();
    let x = Embedding::new(9, 3).mask_zero(true).call(&words)?;
    let model = Model::new(&words, &LSTM::new(2).call(x.with_mask(Some(words.greater(Tensor::scalar(2))?)))?)?;
    let w = Tensor::from([[1, 5, 3, 0, 2], [4, 2, 6, 7, 0]]);
    asked.push(question("another mask", &AnyLayer::of(model), &[w]));

    let plain = Sequential::new().add(Dense::new(3)).add(Dense::new(2).named("last"));
    plain.call(of(&[2, 4])?)?;
    asked.push(question("layers one after the other", &AnyLayer::of(plain), &[of(&[2, 4])?]));
    Ok(asked)
}

#[test]
fn places_and_tables_are_kerass() {
    let fixture = fixture();
    for row in &fixture.cases {
        let model = AnyLayer::from_object(&row.model).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let x = fed(&model, row.xs.iter().map(|x| tensor(&fixture, x)).collect());
        model.call(&x).unwrap_or_else(|e| panic!("{}: {e}", row.case));
        let Some(functional) = (model.module().as_module() as &dyn Any).downcast_ref::<Functional>() else {
            let name = row.model["config"]["name"].as_str().expect("a model has a name");
            let shown = model.module().summary().line_length(76).to_string();
            assert_eq!(shown.replacen("sequential", name, 1), row.summary, "{}", row.case);
            continue;
        };
        let names: Vec<&str> = functional.layers().map(|layer| layer.name()).collect();
        if names != row.names {
            // Names of operations are ours, and some are more than one here.
            let has_operations = row.model.to_string().contains("keras.src.ops");
            assert!(has_operations, "{}: {names:?} are not {:?}", row.case, row.names);
            continue;
        }
        if row.model.to_string().contains("initial_state") {
            // A layer that is given states gives states as well here.
            continue;
        }
        let title = format!("\"{}\"", row.model["config"]["name"].as_str().expect("a model has a name"));
        let ours = |text: String| text.replacen("\"functional\"", &title, 1);
        assert_eq!(ours(functional.summary().line_length(76).to_string()), row.summary, "{}", row.case);
        let wide = functional.summary().line_length(100).expand_nested(true).show_trainable(true);
        assert_eq!(ours(wide.to_string()), row.wide_summary, "{}", row.case);
    }
}
