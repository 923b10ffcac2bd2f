//! What models made of symbols do.

use modulor::keras::library::{
    Activation, Add, BatchNormalization, Embedding, LSTM, MultiHeadAttention, add, concatenate,
};
use modulor::keras::regularizer::L2;
use modulor::module::Config;
use modulor::op::scope;
use modulor::prelude::*;
use modulor::{FromConfig, Tree, collecting_losses};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Module)]
struct FlexibleDense {
    #[config]
    out_features: usize,
    #[variable(shape = [input[-1], out_features], init = RandomNormal::default())]
    w: Variable,
    #[variable(shape = [out_features], init = Zeros)]
    b: Variable,
}

impl Layer for FlexibleDense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.w)? + &self.b)
    }
}

#[derive(Structure, Clone)]
struct Pair {
    query: Tensor,
    value: Tensor,
    mask: Option<Tensor>,
}

#[derive(Structure, Clone)]
struct Scored {
    out: Tensor,
    scores: Vec<Tensor>,
}

/// A layer from a structure to another, with layers in it.
#[derive(Module)]
struct Attend {
    inner: FlexibleDense,
    outer: FlexibleDense,
}

impl Layer<Pair, Scored> for Attend {
    fn forward(&self, x: &Pair) -> Result<Scored> {
        let scores = self.inner.call(&x.query)?;
        Ok(Scored { out: self.outer.call(&scores)?.add(&x.value)?, scores: vec![scores] })
    }
}

fn names(model: &Model<impl Structure, impl Structure>) -> Vec<String> {
    model.layers().map(|layer| layer.name().to_owned()).collect()
}

fn values(x: &Tensor) -> Vec<f32> {
    x.to_vec().expect("floats")
}

fn ramp(dims: impl Into<Vec<usize>>) -> Tensor {
    let dims = dims.into();
    let count: usize = dims.iter().product();
    Tensor::new(dims, (0..count).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<f32>>()).expect("as many")
}

#[test]
fn a_model_is_what_its_layers_are_in_turn() -> Result<()> {
    let (one, two) = (Dense::new(4).activation("relu"), Dense::new(2));
    let x = Input::new([3]);
    let model = Model::new(&x, &two.call(&one.call(&x)?)?)?;
    assert_eq!(names(&model), ["input_layer", "dense", "dense_1"]);
    assert_eq!(model.count_params(), 26);
    assert!(
        model.variables().iter().all(|v| !v.is_valued()),
        "shapes are known, and values are drawn when they are read"
    );
    let x = ramp([5, 3]);
    assert_eq!(values(&model.call(&x)?), values(&two.call(&one.call(&x)?)?));
    let paths: Vec<_> = model.weights().iter().filter_map(Variable::path).collect();
    assert!(paths[2].starts_with("functional") && paths[2].ends_with("/dense_1/kernel"), "{paths:?}");
    Ok(())
}

#[test]
fn a_model_made_again_has_the_same_names_and_values() -> Result<()> {
    let make = || -> Result<Vec<f32>> {
        let x = Input::new([3]);
        let model = Model::new(&x, &Dense::new(2).call(&Dense::new(4).call(&x)?)?)?.named("model");
        modulor::module::name::stamp(&model, "model");
        Ok(values(&model.call(ramp([2, 3]))?))
    };
    assert_eq!(make()?, make()?);
    Ok(())
}

#[test]
fn a_shared_layer_is_one_layer_with_two_calls() -> Result<()> {
    let (a, b) = (Input::new([3]), Input::with_shape([3]).name("other").build());
    let shared = Dense::new(4);
    let both = concatenate([&shared.call(&a)?, &shared.call(&b)?], -1)?;
    let model = Model::new((&a, &b), &Dense::new(1).call(&both)?)?;
    assert_eq!(names(&model), ["input_layer", "other", "dense", "concatenate", "dense_1"]);
    assert_eq!(model.weights().len(), 4);
    assert_eq!(model.get_layer("dense")?.outputs().len(), 2);
    let error = model.get_layer("dense")?.output().unwrap_err().to_string();
    assert!(error.contains("2 tensors in 2 calls"), "{error}");
    let (x, y) = (ramp([2, 3]), ramp([2, 3]) + 1.0);
    let expected = concatenate([&shared.call(&x)?, &shared.call(&y)?], -1)?;
    let found = Model::new((&a, &b), &both)?.call((&x, &y))?;
    assert_eq!(values(&found), values(&expected));
    Ok(())
}

#[test]
fn operators_and_operations_stand_between_layers() -> Result<()> {
    let (a, b) = (Input::new([3]), Input::new([3]));
    let y = (&a * 2.0 + &b).relu()?.mean_keepdims(-1)?.add(&(1.0 - &a))?;
    let model = Model::new((&a, &b), &y)?;
    let (x, z) = (ramp([2, 3]), ramp([2, 3]) * 3.0);
    let expected = (&x * 2.0 + &z).relu()?.mean_keepdims(-1)?.add(&(1.0 - &x))?;
    assert_eq!(values(&model.call((&x, &z))?), values(&expected));
    assert!(names(&model).contains(&"multiply".to_owned()), "{:?}", names(&model));
    // What the caller holds is not written over.
    assert_eq!(values(&x), values(&ramp([2, 3])));
    Ok(())
}

#[test]
fn inputs_and_outputs_have_any_structure() -> Result<()> {
    let (a, b) = (Input::new([3]), Input::new([3]));
    let (p, q) = (Dense::new(2).call(&a)?, Dense::new(4).call(&b)?);
    let (x, y) = (ramp([1, 3]), ramp([2, 3]));
    let (_, q1): (Tensor, Tensor) = Model::new((&a, &b), (&p, &q))?.call((&x, &y))?;
    let list = Model::new([&a, &b], &vec![p.clone(), q.clone()])?.call([&x, &y])?;
    assert_eq!(values(&list[1]), values(&q1));
    let named = |a: &Tensor, b: &Tensor| BTreeMap::from([("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())]);
    let map = Model::new(&named(&a, &b), &named(&p, &q))?.call(&named(&x, &y))?;
    assert_eq!(values(&map["b"]), values(&q1));
    let derived = Model::new(
        &Pair { query: a.clone(), value: b.clone(), mask: None },
        &Scored { out: p.clone(), scores: vec![q.clone()] },
    )?;
    let scored = derived.call(&Pair { query: x.clone(), value: y.clone(), mask: None })?;
    assert_eq!(values(&scored.scores[0]), values(&q1));
    let tree: Model<Tree, Tree> = derived.typed()?;
    assert_eq!(tree.call(&named(&x, &y).to_tree())?.leaves().len(), 2);
    let error = derived.typed::<Tensor, Tensor>().unwrap_err().to_string();
    assert!(error.contains("expected one tensor") && error.contains("the model's inputs"), "{error}");
    Ok(())
}

#[test]
fn layers_of_the_users_mix_freely() -> Result<()> {
    let (a, b) = (Input::new([2]), Input::new([3]));
    let layer = Attend { inner: FlexibleDense::new(4), outer: FlexibleDense::new(3) };
    let scored = layer.call(&Pair { query: a.clone(), value: b.clone(), mask: None })?;
    assert_eq!(scored.scores[0].shape().to_string(), "(None, 4)");
    let model = Model::new((&a, &b), (&scored.out, &scored.scores))?;
    assert_eq!(names(&model), ["input_layer", "input_layer_1", "attend"]);
    let paths: Vec<String> = model.named_variables().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["attend/inner/b", "attend/inner/w", "attend/outer/b", "attend/outer/w"]);
    let (x, y) = (ramp([1, 2]), ramp([1, 3]));
    let (out, scores) = model.call((&x, &y))?;
    let expected = layer.call(&Pair { query: x, value: y, mask: None })?;
    assert_eq!((values(&out), values(&scores[0])), (values(&expected.out), values(&expected.scores[0])));
    Ok(())
}

#[test]
fn models_are_layers_of_models_and_inner_tensors_are_ends_of_others() -> Result<()> {
    let a = Input::new([3]);
    let inner = Model::new(&a, &Dense::new(2).call(&Dense::new(4).call(&a)?)?)?;
    let b = Input::new([3]);
    let c = inner.call(&b)?;
    let d = Dense::new(3).named("middle").call(&c)?;
    let outer = Model::new(&b, &inner.call(&d)?)?;
    assert_eq!(names(&outer), ["input_layer", "functional", "middle"]);
    assert_eq!(outer.weights().len(), 6);
    assert_eq!(outer.get_layer_at(1)?.outputs().len(), 2);
    let x = ramp([2, 3]);
    let middle = Model::new(&b, &outer.get_layer("middle")?.output()?)?;
    let rest = Model::new(&middle.outputs()?, &outer.outputs()?)?;
    assert_eq!(names(&rest), ["input_layer", "functional"]);
    assert_eq!(values(&rest.call(&middle.call(&x)?)?), values(&outer.call(&x)?));
    let boxed: Box<dyn Layer> = Box::new(outer.share());
    assert_eq!(values(&boxed.call(&x)?), values(&outer.call(&x)?));
    Ok(())
}

#[test]
fn what_is_not_connected_is_said() -> Result<()> {
    let (a, b) = (Input::new([3]), Input::with_shape([2]).name("side").build());
    let y = concatenate([&Dense::new(2).call(&a)?, &b], -1)?;
    let said = |error: modulor::Error| error.message().to_owned();
    let error = Model::new(&a, &y).unwrap_err();
    assert_eq!(said(error), "output 0 depends on the input `side`, float32(None, 2), which is not among the inputs");
    let error = Model::new(&b, (&b, &y)).unwrap_err();
    assert_eq!(said(error), "output 1 depends on the input float32(None, 3), which is not among the inputs");
    let error = Model::new((&a, &a), &a).unwrap_err();
    assert_eq!(said(error), "inputs 0 and 1 are the same symbol, float32(None, 3)");
    let error = Model::new(&ramp([1]), &y).unwrap_err();
    assert_eq!(said(error), "input 0 is not a symbol of models: `Input::new` makes one");
    let error = Model::new(&a, &ramp([1])).unwrap_err();
    assert!(said(error).starts_with("output 0 is not made of an input"));
    let error = Model::new(&Vec::<Tensor>::new(), &a).unwrap_err();
    assert_eq!(said(error), "a model needs inputs, and there are none");
    let twice = Dense::new(2).named("same").call(&Dense::new(2).named("same").call(&a)?)?;
    let error = Model::new(&a, &twice).unwrap_err();
    assert_eq!(said(error), "two layers of the model are called `same`; give one of them another name");
    let error = Model::new(&a, &Dense::new(2).named("a/b").call(&a)?).unwrap_err();
    assert!(said(error).contains("`a/b` cannot name a layer"));
    // An input that nothing follows from is one all the same.
    let spare = Model::new((&a, &b), &Dense::new(1).call(&a)?)?;
    assert_eq!(spare.call((&ramp([1, 3]), &ramp([1, 2])))?.dims()?, [1, 1]);
    let model = Model::new(&a, &Dense::new(1).call(&a)?)?;
    let error = model.get_layer("dens").unwrap_err().to_string();
    assert!(error.contains("no layer of the model is called `dens`; did you mean `dense`"), "{error}");
    assert!(model.get_layer_at(2).unwrap_err().to_string().contains("the model has 2"));
    let error = model.call(ramp([2, 4])).unwrap_err().to_string();
    assert!(error.contains("input_layer") && error.contains("(None, 3)") && error.contains("(2, 4)"), "{error}");
    Ok(())
}

#[test]
fn a_chosen_name_is_not_given_twice() -> Result<()> {
    let a = Input::new([3]);
    let x = Dense::new(3).call(&a)?;
    let x = Dense::new(3).named("dense").call(&x)?;
    let model = Model::new(&a, &Dense::new(3).call(&x)?)?;
    assert_eq!(names(&model), ["input_layer", "dense_1", "dense", "dense_2"]);
    Ok(())
}

#[test]
fn an_error_names_the_layer() -> Result<()> {
    let a = Input::new([None]);
    let model = Model::new(&a, &a.reshape([-1, 3])?)?.named("shaper");
    let error = model.call(ramp([1, 4])).unwrap_err().to_string();
    assert!(error.starts_with("shaper/reshape: "), "{error}");
    let error = Dense::new(2).call(&a).unwrap_err().to_string();
    assert!(error.starts_with("dense: axis -1 of the input is unknown"), "{error}");
    Ok(())
}

#[test]
fn masks_pass_along() -> Result<()> {
    let words = Input::with_shape([4]).dtype(DType::I32).build();
    let (embedding, lstm) = (Embedding::new(7, 3).mask_zero(true), LSTM::new(2));
    let x = embedding.call(&words)?;
    assert_eq!(x.mask().map(|mask| mask.spec().to_string()).as_deref(), Some("bool(None, 4)"));
    let masked = Model::new(&words, &lstm.call(&x)?)?;
    let unmasked = Model::new(&words, &lstm.call(x.with_mask(None))?)?;
    let other = words.greater(Tensor::scalar(3))?;
    let by_other = Model::new(&words, &lstm.call(x.with_mask(Some(other)))?)?;
    let w = Tensor::from([[1, 5, 0, 0], [4, 5, 6, 0]]);
    let embedded = embedding.call(&w)?;
    assert_eq!(values(&masked.call(&w)?), values(&lstm.call(&embedded)?));
    assert_eq!(values(&unmasked.call(&w)?), values(&lstm.call(embedded.with_mask(None))?));
    let mask = w.greater(Tensor::scalar(3))?;
    assert_eq!(values(&by_other.call(&w)?), values(&lstm.call(embedded.with_mask(Some(mask)))?));
    assert_ne!(values(&masked.call(&w)?), values(&unmasked.call(&w)?));
    let shown = Model::new(&words, &x)?;
    assert!(shown.call(&w)?.mask().is_some(), "a mask is handed out");
    Ok(())
}

#[test]
fn attention_and_states_are_called_functionally() -> Result<()> {
    let (q, v) = (Input::new([4, 8]), Input::new([5, 8]));
    let attention = MultiHeadAttention::new(2, 3);
    let causal = attention.causal().call((&q, &q))?;
    let crossed = attention.call((&causal, &v))?;
    let (encoder, decoder) = (LSTM::new(3), LSTM::new(3));
    let (_, states) = encoder.with_states().call(&(v.clone(), None))?;
    let (out, _) = decoder.with_states().call(&(crossed.clone(), Some(states)))?;
    let model = Model::new((&q, &v), &out)?;
    assert_eq!(names(&model), ["input_layer", "multi_head_attention", "input_layer_1", "lstm", "lstm_1"]);
    let (x, y) = (ramp([2, 4, 8]), ramp([2, 5, 8]));
    let (_, states) = encoder.with_states().call(&(y.clone(), None))?;
    let c = attention.call((&attention.causal().call((&x, &x))?, &y))?;
    let (expected, _) = decoder.with_states().call(&(c, Some(states)))?;
    assert_eq!(values(&model.call((&x, &y))?), values(&expected));
    Ok(())
}

#[test]
fn training_losses_and_freezing_reach_the_layers() -> Result<()> {
    let a = Input::new([3]);
    let (norm, dense) = (BatchNormalization::new(), Dense::new(2).kernel_regularizer(L2 { l2: 0.1 }));
    let y = dense.call(&norm.call(&a)?)?;
    let model = Model::new(&a, &y)?;
    let x = ramp([4, 3]) * 3.0 + 1.0;
    let trained = scope::with_training(true, || model.call(&x))?;
    assert_ne!(values(&trained), values(&model.call(&x)?));
    assert_ne!(values(&norm.weights()[2].value()?), [0.0; 3], "the mean has moved");
    assert_eq!(model.regularization_losses()?.len(), 1);
    model.freeze_at("dense")?;
    assert!(dense.trainable_variables().is_empty());
    model.freeze();
    assert!(model.trainable_variables().is_empty());
    // Making a model adds no losses and changes no state.
    let penalised = Dense::new(2).activity_regularizer("l2");
    let (made, losses) = collecting_losses(|| penalised.call(&a));
    assert!(losses.is_empty());
    let (_, losses) = collecting_losses(|| Model::new(&a, &made?)?.call(&x));
    assert_eq!(losses.len(), 1);
    Ok(())
}

#[test]
fn a_model_works_in_functions_and_on_tapes() -> Result<()> {
    let a = Input::new([3]);
    let h = Dense::new(4).activation("tanh").call(&a)?;
    let model = Arc::new(Model::new(&a, &Dense::new(1).call(&(&h * &h + &h))?)?);
    let x = ramp([5, 3]);
    let eager = model.call(&x)?;
    let called = model.clone();
    let function = Function::new(move |x: &Tensor| called.call(x));
    assert_eq!(values(&function.call(&x)?), values(&eager));
    let tape = GradientTape::new();
    let loss = tape.record(|| model.call(&x)?.square()?.sum(..))?;
    let weights = model.trainable_variables();
    let gradients = tape.gradients(&loss, &weights)?;
    assert!(gradients.iter().all(Option::is_some));
    Ok(())
}

#[test]
fn what_a_model_is_given_is_made_to_fit() -> Result<()> {
    let a = Input::new([1]);
    let model = Model::new(&a, &Dense::new(2).call(&a)?)?;
    assert_eq!(*model.call(ramp([3]))?.shape(), [3, 2]);
    assert_eq!(*model.call(Tensor::from([[1], [2]]))?.shape(), [2, 2]);
    let b = Input::new([2]);
    let model = Model::new(&b, &Dense::new(2).call(&b)?)?;
    assert_eq!(*model.call(ramp([3, 2, 1]))?.shape(), [3, 2]);
    let sixteen = Input::with_shape([2]).batch_size(16).build();
    assert_eq!(sixteen.shape().to_string(), "(16, 2)");
    assert_eq!(*Model::new(&sixteen, &(&sixteen * 2.0))?.call(ramp([3, 2]))?.shape(), [3, 2]);
    Ok(())
}

#[test]
fn copies_have_the_values_and_variables_of_their_own() -> Result<()> {
    let (a, b) = (Input::new([3]), Input::new([3]));
    let shared = Dense::new(4);
    let merged = Add::new().call([&shared.call(&a)?, &shared.call(&b)?])?;
    let y = Activation::new("relu").call(&(merged * 0.5))?;
    let model = Model::new((&a, &b), &y)?;
    let (p, q) = (ramp([2, 3]), ramp([2, 3]) * 2.0);
    let expected = values(&model.call((&p, &q))?);
    let copy = model.copy()?;
    assert_eq!(values(&copy.call((&p, &q))?), expected);
    assert_eq!(copy.weights().len(), 2, "what was shared is shared");
    assert_ne!(copy.weights()[0].id(), model.weights()[0].id());
    copy.weights()[0].assign(&copy.weights()[0].value()?.zeros_like()?)?;
    assert_eq!(values(&model.call((&p, &q))?), expected);
    let again: Config = model.config()?;
    assert_eq!(Model::<(Tensor, Tensor)>::from_config(&again)?.config()?, again);
    Ok(())
}

#[test]
fn models_are_shared_between_threads() -> Result<()> {
    fn check<T: Send + Sync>(_: &T) {}
    let a = Input::new([3]);
    let model = Model::new(&a, &add([&a, &Dense::new(3).call(&a)?])?)?;
    check(&model);
    check(&a);
    let x = ramp([2, 3]);
    let results = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| model.call(&x).map(|y| values(&y)))).collect();
        calls.into_iter().map(|call| call.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    assert!(results.iter().all(|result| result == &results[0]));
    Ok(())
}

#[test]
fn a_thousand_layers_deep() -> Result<()> {
    let a = Input::new([2]);
    let mut x = a.clone();
    for _ in 0..1000 {
        x = Activation::new("linear").call(&x)?;
    }
    let model = Model::new(&a, &(x + 1.0))?;
    assert_eq!(values(&model.call(ramp([1, 2]))?), values(&(ramp([1, 2]) + 1.0)));
    Ok(())
}
