//! What holds for every layer, whatever it computes: a layer is checked for having rows.

use super::config::same;
use super::layer::{Named, config, essential};
use super::{Row, assert_near, epsilon, like, rows, tensor, to_f64};
use crate::golden::Entry;
use modulor::checkpoint::Checkpoint;
use modulor::graph::trace;
use modulor::keras::library::{AttentionInputs, LAYERS};
use modulor::module::{InputShapes, Track, object};
use modulor::tape::{Source, UnconnectedGradients};
use modulor::{
    Call, DType, DTypePolicy, Error, Function, GradientTape, Layer, ModuleExt, Result, Shape, Spec, Structure, Tensor,
    Variable, scope,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Write;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The values of all variables, in order.
fn values<In: Structure, Out: Structure>(layer: &Any<In, Out>) -> Vec<Tensor> {
    layer.variables().iter().map(|variable| variable.value().expect("drawn")).collect()
}

/// The same bits, but for zeros of another sign.
fn assert_same(found: &[Tensor], expected: &[Tensor], about: &str) {
    assert_eq!(found.len(), expected.len(), "{about}");
    found.iter().zip(expected).for_each(|(found, expected)| assert_near(found, expected, 0.0, about));
}

/// What a layer is traced for.
const WAYS: [&str; 3] = ["known dims", "any batch", "any but the last dim"];

/// The dims of an input that are known in one of [`WAYS`].
fn known(way: &str, input: &Tensor) -> Shape {
    let mut dims: Vec<Option<usize>> = input.dims().expect("a value").iter().copied().map(Some).collect();
    let unknown = match way {
        "known dims" => 0,
        "any batch" => dims.len().min(1),
        _ => dims.len().saturating_sub(1),
    };
    dims[..unknown].fill(None);
    dims.into()
}

/// Whether this is said of what a layer must know, in a way in which it is not.
fn needs_more(way: &str, error: &Error) -> bool {
    let words = error.to_string();
    (way == WAYS[2] || way == WAYS[1] && words.contains("axis 0 of the input is unknown")) && words.contains("known")
}

/// Checks a layer, made from a serialized object, on inputs that it takes, with values for its weights:
///
/// - the object is written again as it was read, and so is what was written;
/// - shapes alone build it, into the same variables as a call, whose paths are different and which a call does not change;
/// - a checkpoint of it holds all that the outputs follow from;
/// - traced it gives the outputs and changes the state as it does eagerly, for dims that are known, for batches of any size,
///   and for dims of which only the last is known or else with an error that says so;
/// - so it does as a compiled function, with the same bits of outputs, gradients and state;
/// - a step down the gradient lowers a loss, if there is a gradient that is not zero.
///
/// Returns whether there was one.
pub fn check_layer<In: Structure, Out: Structure>(
    object: &Value,
    x: &In,
    weights: &[Tensor],
    training: bool,
    about: &str,
) -> bool {
    let subject = Subject::<In, Out> { object, x, weights, training, about, made: PhantomData };
    subject.config_comes_back();
    subject.shapes_build_it();
    subject.checkpoints_hold_it();
    subject.traces_as_it_computes();
    subject.compiles_as_it_computes();
    subject.learns()
}

/// What the state of a seed generator is called.
const SEEDS: &str = "seed_generator_state";

type Any<In, Out> = Box<dyn Layer<In, Out>>;

struct Subject<'a, In, Out> {
    object: &'a Value,
    x: &'a In,
    weights: &'a [Tensor],
    training: bool,
    about: &'a str,
    made: PhantomData<Out>,
}

impl<In: Structure, Out: Structure> Subject<'_, In, Out> {
    fn fail(&self, error: &Error) -> ! {
        panic!("{}: {error}", self.about)
    }

    fn ok<T>(&self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| self.fail(&error))
    }

    /// A layer out of the object, not built.
    fn make(&self) -> Any<In, Out> {
        self.ok(Any::from_field(Some(self.object)))
    }

    /// A layer that is built and has the weights.
    fn built(&self) -> Any<In, Out> {
        let layer = self.make();
        let _: Out = self.ok(layer.call(self.x));
        let variables = layer.weights();
        assert_eq!(variables.len(), self.weights.len(), "{}", self.about);
        variables.iter().zip(self.weights).for_each(|(variable, value)| self.ok(variable.assign(value)));
        // Without a seed in the config, it follows from the place of a layer, and each of these is in another.
        let seeds = layer.variables().into_iter().filter(|variable| variable.name() == SEEDS);
        seeds.for_each(|variable| self.ok(variable.assign(&Tensor::from([7_i64, 0]))));
        layer
    }

    fn call(&self, layer: &Any<In, Out>, x: &In) -> Result<Vec<Tensor>> {
        let y: Out = scope::with_training(self.training, || layer.call(x))?;
        Ok(y.to_tree().leaves())
    }

    fn config_comes_back(&self) {
        let essentials = |layer: &Any<In, Out>| {
            let mut written = self.ok(object(layer.as_module()));
            essential(&mut written);
            written
        };
        let (layer, mut expected) = (self.make(), self.object.clone());
        essential(&mut expected);
        // Names belong to places, and this one is in none.
        expected["config"]["name"] = layer.default_name().into();
        let written = essentials(&layer);
        assert!(same(&written, &expected), "{}: {written}\nis not\n{expected}", self.about);
        let again = essentials(&self.ok(Any::from_field(Some(&written))));
        assert_eq!(again, written, "{}", self.about);
    }

    fn shapes_build_it(&self) {
        let shapes = |layer: &Any<In, Out>| -> Vec<_> {
            layer.variables().iter().map(|v| (v.shape(), v.dtype(), v.trainable())).collect()
        };
        let (called, shaped) = (self.make(), self.make());
        self.ok(self.call(&called, self.x));
        self.ok(shaped.build(&InputShapes::of(&self.x.to_tree().leaves())));
        if !shaped.variables().is_empty() {
            assert_eq!(shapes(&shaped), shapes(&called), "{}", self.about);
        }
        let before = shapes(&called);
        self.ok(self.call(&called, self.x));
        assert_eq!(shapes(&called), before, "{}: a second call changed the variables", self.about);
        let paths: Vec<String> = called.variables().iter().filter_map(Variable::path).collect();
        let different: HashSet<&String> = paths.iter().collect();
        assert_eq!(different.len(), called.variables().len(), "{}: {paths:?}", self.about);
    }

    fn checkpoints_hold_it(&self) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        if self.built().variables().is_empty() {
            return;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("check_layer/{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("below the target folder");
        let prefix = folder.join("layer");
        let (saved, restored) = (self.built(), self.make());
        self.ok(Checkpoint::new(&saved).write(&prefix));
        // Before it is built: the values wait for their variables.
        let status = self.ok(Checkpoint::new(&restored).read(&prefix));
        let y = self.ok(self.call(&restored, self.x));
        self.ok(status.assert_consumed());
        let expected = self.ok(self.call(&saved, self.x));
        assert_same(&y, &expected, self.about);
        assert_same(&values(&restored), &values(&saved), self.about);
        std::fs::remove_dir_all(&folder).expect("ours");
    }

    fn traces_as_it_computes(&self) {
        let leaves = self.x.to_tree().leaves();
        let eager = self.built();
        let expected = self.ok(self.call(&eager, self.x));
        for way in WAYS {
            let about = format!("{} traced for {way}", self.about);
            let layer = self.built();
            let specs: Vec<Spec> = leaves.iter().map(|leaf| Spec::new(leaf.dtype(), known(way, leaf))).collect();
            let graph = trace(
                |symbols| {
                    let symbols = symbols.iter().zip(&leaves).map(|(symbol, leaf)| match leaf.mask() {
                        Some(mask) => symbol.with_mask(Some(mask.clone())),
                        None => symbol.clone(),
                    });
                    self.call(&layer, &In::from_tree(self.x.to_tree().with_leaves(symbols)?)?)
                },
                &specs,
            );
            let graph = match graph {
                Ok(graph) => graph,
                Err(error) if needs_more(way, &error) => continue,
                Err(error) => panic!("{about}: {error}"),
            };
            for (spec, y) in graph.outputs().zip(&expected) {
                assert!(spec.dtype == y.dtype() && spec.shape.is_compatible_with(y.shape()), "{about}: {spec:?}");
            }
            let found = graph.run(&leaves.iter().collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{about}: {e}"));
            assert_same(&found, &expected, &about);
            assert_same(&values(&layer), &values(&eager), &format!("{about}: its state"));
        }
    }

    /// The outputs, with the gradients of their sum, weighted without pattern, at weights and inputs, if they are asked for;
    /// and what the variables hold then.
    fn computed(
        &self,
        layer: &Any<In, Out>,
        derived: bool,
        call: impl FnOnce(&In) -> Result<Vec<Tensor>>,
    ) -> Result<[Vec<Tensor>; 2]> {
        let tape = GradientTape::new();
        // Each a tensor of its own, as each is an input of a graph: what is key and value is so only for once.
        let own = |leaf: &Tensor| match leaf.dtype().is_float() {
            true => leaf.mul(1.0).map(|own| own.with_mask(leaf.mask().cloned())),
            false => Ok(leaf.clone()),
        };
        let leaves = self.x.to_tree().leaves().iter().map(own).collect::<Result<Vec<_>>>()?;
        let x = In::from_tree(self.x.to_tree().with_leaves(leaves.iter().cloned())?)?;
        let floats: Vec<&Tensor> = leaves.iter().filter(|leaf| derived && leaf.dtype().is_float()).collect();
        floats.iter().for_each(|leaf| tape.watch(*leaf));
        let outputs = if derived { tape.record(|| call(&x))? } else { call(&x)? };
        if !derived {
            return Ok([outputs, values(layer)]);
        }
        let gradients = self.gradients(&tape, &outputs, layer, floats)?;
        Ok([[outputs, gradients].concat(), values(layer)])
    }

    fn gradients(
        &self,
        tape: &GradientTape,
        outputs: &[Tensor],
        layer: &Any<In, Out>,
        floats: Vec<&Tensor>,
    ) -> Result<Vec<Tensor>> {
        let weights: Vec<Variable> = layer.weights().into_iter().filter(Variable::trainable).collect();
        let smooth = outputs.iter().filter(|y| y.dtype().is_float());
        let targets = smooth.map(|y| Ok((y.clone(), Some(y.mul(0.5)?.sin()?))));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let sources = weights.iter().map(|weight| weight as &dyn Source);
        let sources = sources.chain(floats.iter().map(|leaf| *leaf as &dyn Source));
        let gradients = tape.gradients_with(&targets, sources, UnconnectedGradients::None)?;
        Ok(gradients.into_iter().flatten().collect())
    }

    fn compiles_as_it_computes(&self) {
        let leaves = self.x.to_tree().leaves();
        let bits = |all: &[Vec<Tensor>; 2]| -> Vec<_> {
            let of = |x: &Tensor| match x.dtype() {
                DType::String => x.to_strings().expect("strings").iter().flat_map(|s| s.to_vec()).collect(),
                _ => x.to_bytes().expect("a value"),
            };
            all.iter().flatten().map(|x| (x.spec().to_string(), of(x))).collect()
        };
        for derived in [false, true] {
            let eager = self.built();
            let eager = self.ok(self.computed(&eager, derived, |x| self.call(&eager, x)));
            for way in WAYS {
                let what = if derived { "gradients" } else { "outputs" };
                let about = format!("{} compiled for {what} and {way}", self.about);
                let layer = self.built();
                let spec = |leaf: &Tensor| Spec::new(leaf.dtype(), known(way, leaf));
                let specs: Vec<Spec> = leaves.iter().map(spec).collect();
                let traced = |symbols: &[Tensor]| {
                    let symbols = symbols.iter().zip(&leaves).map(|(symbol, leaf)| match leaf.mask() {
                        Some(mask) => symbol.with_mask(Some(mask.clone())),
                        None => symbol.clone(),
                    });
                    let x = In::from_tree(self.x.to_tree().with_leaves(symbols)?)?;
                    if !derived {
                        return self.call(&layer, &x);
                    }
                    let tape = GradientTape::new();
                    let watched = x.to_tree().leaves();
                    let floats: Vec<&Tensor> = watched.iter().filter(|leaf| leaf.dtype().is_float()).collect();
                    floats.iter().for_each(|leaf| tape.watch(*leaf));
                    let mut outputs = tape.record(|| self.call(&layer, &x))?;
                    outputs.extend(self.gradients(&tape, &outputs, &layer, floats)?);
                    Ok(outputs)
                };
                let graph = match trace(traced, &specs) {
                    Ok(graph) => graph,
                    Err(error) if needs_more(way, &error) => continue,
                    Err(error) => panic!("{about}: {error}"),
                };
                let function = Function::new(move |x: &Vec<Tensor>| graph.run(&x.iter().collect::<Vec<_>>()));
                let found = function.call(&leaves).unwrap_or_else(|error| panic!("{about}: {error}"));
                let found = [found, values(&layer)];
                assert!(bits(&found) == bits(&eager), "{about}: {found:?} is not {eager:?}");
            }
        }
    }

    /// The output by a mixed policy, and gradients at the weights and the input, of the dtype that these have.
    fn computes_by(&self, policy: &DTypePolicy, dtypes: &[String], expected: &Tensor) {
        let layer = self.built();
        let found: Vec<_> = layer.weights().iter().map(|weight| weight.dtype().name().to_owned()).collect();
        assert_eq!(found, dtypes, "{}", self.about);
        let (x, tape) = (self.x.to_tree().leaves(), GradientTape::new());
        let floats: Vec<&Tensor> = x.iter().filter(|leaf| leaf.dtype().is_float()).collect();
        floats.iter().for_each(|leaf| tape.watch(*leaf));
        let outputs = self.ok(tape.record(|| self.call(&layer, self.x)));
        let y = &outputs[0];
        let class = self.object["class_name"].as_str().expect("a name");
        match IN_FLOAT32.iter().any(|(other, _)| *other == class) {
            true => {
                assert_eq!((y.dtype(), expected.dtype()), (policy.compute_dtype().expect("it is known"), DType::F32))
            }
            false => assert_eq!(y.dtype(), expected.dtype(), "{}", self.about),
        }
        // A sum of numbers of both signs errs by the largest of them.
        let numbers = if y.dtype() == DType::String { Vec::new() } else { to_f64(expected) };
        let greatest = numbers.into_iter().filter(|y| y.is_finite()).fold(1.0, |a: f64, b| a.max(b.abs()));
        let coarse = epsilon(policy.compute_dtype().expect("it is known"));
        assert_near(y, expected, 8.0 * coarse * greatest, self.about);
        let wanted: Vec<DType> = floats.iter().map(|leaf| leaf.dtype()).collect();
        for gradient in self.ok(self.gradients(&tape, &outputs, &layer, floats)) {
            let dtype = gradient.dtype();
            assert!(dtype == DType::F32 || wanted.contains(&dtype), "{}: a gradient of {dtype}", self.about);
            assert!(to_f64(&gradient).iter().all(|x| x.is_finite()), "{}: {gradient:?}", self.about);
        }
    }

    fn learns(&self) -> bool {
        let layer = self.built();
        let weights: Vec<Variable> = layer.weights().into_iter().filter(Variable::trainable).collect();
        let targets: Vec<Tensor> = self.ok(self.call(&layer, self.x));
        let count = |y: &Tensor| y.dims().expect("a value").iter().product::<usize>();
        if weights.is_empty() || targets.iter().any(|y| !y.dtype().is_float()) || targets.iter().all(|y| count(y) == 0)
        {
            return false;
        }
        let loss = |layer: &Any<In, Out>| -> Result<Tensor> {
            let mut sum = Tensor::scalar(0.0_f32);
            for y in self.call(layer, self.x)? {
                let wave: Vec<f32> = (0..count(&y)).map(|i| (1.7 * i as f32).sin()).collect();
                let target = Tensor::new(y.dims()?, wave)?;
                sum = sum.add(y.cast(DType::F32)?.sub(target)?.square()?.sum(..)?)?;
            }
            Ok(sum)
        };
        let tape = GradientTape::new();
        let before = self.ok(tape.record(|| loss(&layer)));
        let sources = weights.iter().map(|weight| weight as &dyn Source);
        let gradients = self.ok(tape.gradients_with(&[(before.clone(), None)], sources, UnconnectedGradients::Zero));
        let gradients: Vec<Tensor> = gradients.into_iter().flatten().collect();
        let length: f64 = gradients.iter().flat_map(to_f64).map(|g| g * g).sum::<f64>().sqrt();
        if length == 0.0 {
            return false;
        }
        assert!(length.is_finite(), "{}: the gradient has a length of {length}", self.about);
        let mut losses = BTreeMap::new();
        for exponent in 1..=4 {
            // A step of a given length: how steep a loss is differs from layer to layer.
            let step = 10.0_f64.powi(-exponent) / length;
            let layer = self.built();
            let own = layer.weights().into_iter().filter(Variable::trainable);
            for (weight, gradient) in own.zip(&gradients) {
                self.ok(weight.assign_sub(&self.ok(gradient.mul(step))));
            }
            let after = self.ok(loss(&layer));
            losses.insert(exponent, to_f64(&after)[0]);
        }
        let before = to_f64(&before)[0];
        assert!(losses.values().any(|&after| after < before), "{}: from {before} to {losses:?}", self.about);
        true
    }
}

/// The classes that rows were about, and those that learnt.
#[derive(Default)]
struct Checked {
    met: HashSet<String>,
    trainable: HashSet<String>,
    learnt: HashSet<String>,
}

impl Checked {
    fn check<In: Structure, Out: Structure>(&mut self, row: &Row, x: &In) {
        let weights = row.get::<Option<Vec<Named>>>("weights").unwrap_or_default();
        let weights: Vec<Tensor> = weights.iter().map(|weight| tensor(&weight.value)).collect();
        let training = row.get::<Option<bool>>("training") == Some(true);
        if !row.get::<Option<Vec<Entry>>>("weight_grads").unwrap_or_default().is_empty() {
            self.trainable.insert(row.class());
        }
        if check_layer::<In, Out>(&config(row), x, &weights, training, &row.case) {
            self.learnt.insert(row.class());
        }
        self.met.insert(row.class());
    }
}

#[test]
fn every_layer_keeps_what_layers_promise() {
    let mut checked = Checked::default();
    for row in ["layer", "sequential", "spectral normalization"].into_iter().flat_map(rows) {
        let x = row.tensor("x").expect("an input").with_mask(row.tensor("mask"));
        checked.check::<Tensor, Tensor>(row, &x);
    }
    for row in rows("cell") {
        let states: Vec<Entry> = row.get("states");
        let input = (row.tensor("x").expect("an input"), states.iter().map(tensor).collect());
        checked.check::<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)>(row, &input);
    }
    for row in rows("merging") {
        checked.check::<Vec<Tensor>, Tensor>(row, &super::merging::inputs(row));
    }
    for row in rows("attention") {
        let (x, mask) = super::attention::inputs(row);
        if matches!(row.class().as_str(), "MultiHeadAttention" | "GroupQueryAttention") {
            checked.check::<AttentionInputs, Tensor>(row, &super::attention::named(&x, mask.as_ref()));
        } else {
            checked.check::<Vec<Tensor>, Tensor>(row, &x);
        }
    }
    for row in rows("preprocessing").filter(|row| !row.values.contains_key("adapt")) {
        match super::preprocessing::inputs(row).as_slice() {
            [x] => checked.check::<Tensor, Tensor>(row, x),
            all => checked.check::<Vec<Tensor>, Tensor>(row, &all.to_vec()),
        }
    }
    let settings = json!({
        "batch_shape": [null, 3], "dtype": "float32", "name": "input_layer", "optional": false, "ragged": false,
        "sparse": false
    });
    let input =
        json!({"module": "keras.layers", "class_name": "InputLayer", "config": settings, "registered_name": null});
    check_layer::<Tensor, Tensor>(&input, &Tensor::from([[1.0_f32, 2.0, 3.0]]), &[], false, "InputLayer");
    let missing: Vec<_> = LAYERS.iter().filter(|class| !checked.met.contains(**class)).collect();
    assert_eq!(missing, [&"InputLayer"], "a row for every other layer");
    assert!(checked.learnt.is_superset(&checked.trainable), "{:?}", checked.trainable.difference(&checked.learnt));
}

/// Puts another policy in the place of float32 in a config, also of what is in the layer.
fn put_policy(config: &mut Value, policy: &str) {
    let is_float32 = |value: &Value| value == "float32" || value["config"]["name"] == "float32";
    match config {
        Value::Object(parts) => {
            for (key, part) in parts {
                match key == "dtype" && is_float32(part) {
                    true => *part = policy.into(),
                    false => put_policy(part, policy),
                }
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(|part| put_policy(part, policy)),
        _ => {}
    }
}

/// Layers of which Keras's output is float32 where it computes in less, unlike that of its symbols; and why.
const IN_FLOAT32: &[(&str, &str)] = &[
    ("CategoryEncoding", "it is of the variables' dtype, of which there are none"),
    ("RandomCrop", "outside of training it resizes, and TensorFlow's result of that is float32"),
];

/// What the layers of rows compute by mixed policies.
#[derive(Default)]
struct Mixed {
    /// The classes and policies that were compiled.
    compiled: HashSet<(String, String)>,
    /// What Keras itself does not compute, by the kind of its error.
    refused: BTreeMap<String, BTreeSet<String>>,
}

impl Mixed {
    fn check<In: Structure>(&mut self, row: &Row, of: &Row, x: &In) {
        let policy: String = row.get("policy");
        let weights = of.get::<Option<Vec<Named>>>("weights").unwrap_or_default();
        let weights: Vec<Tensor> = weights.iter().map(|weight| tensor(&weight.value)).collect();
        let mut object = config(of);
        put_policy(&mut object, &policy);
        let training = of.get::<Option<bool>>("training") == Some(true);
        let (about, made) = (&*row.case, PhantomData);
        let subject = Subject::<In, Tensor> { object: &object, x, weights: &weights, training, about, made };
        let expected = row.tensor("y").expect("an output");
        subject.computes_by(&policy.as_str().into(), &row.get::<Vec<String>>("weights"), &expected);
        if self.compiled.insert((of.class(), policy)) {
            subject.compiles_as_it_computes();
        }
    }
}

#[test]
fn layers_compute_by_mixed_policies_as_keras_does() {
    let mut mixed = Mixed::default();
    for row in rows("mixed") {
        let of = like(row);
        if let Some(error) = row.get::<Option<String>>("error") {
            mixed.refused.entry(error).or_default().insert(of.class());
            continue;
        }
        match (&*of.kind, &*of.class()) {
            ("layer", _) => mixed.check(row, of, &of.tensor("x").expect("an input").with_mask(of.tensor("mask"))),
            ("merging", _) => mixed.check(row, of, &super::merging::inputs(of)),
            (_, "MultiHeadAttention" | "GroupQueryAttention") => {
                let (x, mask) = super::attention::inputs(of);
                mixed.check(row, of, &super::attention::named(&x, mask.as_ref()));
            }
            _ => mixed.check(row, of, &super::attention::inputs(of).0),
        }
    }
    assert!(mixed.compiled.len() > 200, "{}", mixed.compiled.len());
    // Past the harness, which keeps what a test prints unless it fails.
    let mut out = std::io::stdout().lock();
    writeln!(out, "golden values: not in Keras by mixed policies: {:?}", mixed.refused).expect("a place to print to");
}
