//! From symbols to the layers and calls between them: what a model is made of, in Keras's order and with names.

use super::input::Entry;
use super::operation;
use crate::library::InputLayer;
use modulor::layer::functional::{Made, Recorded, Recording};
use modulor::module::{Identity, Module, name};
use modulor::op::Op;
use modulor::{Error, Result, Tensor, Tree};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// A layer, an operation or an input in a model, with its name there.
#[derive(Clone)]
pub struct Place {
    pub(super) name: String,
    pub(super) what: What,
    /// Which steps are calls of it, in the order of the calls.
    pub(super) steps: Vec<usize>,
    /// What each call gave.
    pub(super) results: Vec<Tree>,
}

#[derive(Clone)]
pub(super) enum What {
    Input(Arc<InputLayer>),
    Layer(Arc<dyn Recorded>),
    Op(Arc<dyn Op>),
}

/// The layers of a model and the calls between them.
pub(super) struct Graph {
    pub inputs: Tree,
    pub outputs: Tree,
    /// In Keras's order: those come first from which the way to the outputs is longest.
    pub places: Vec<Place>,
    /// Inputs, then calls, each behind what it takes.
    pub steps: Vec<Step>,
    /// Where the outputs come from.
    pub results: Vec<Source>,
}

/// An input, or one call.
pub(super) struct Step {
    pub place: usize,
    pub kind: Kind,
    pub inputs: Vec<Source>,
    /// How many tensors it gives: results, then their masks.
    pub outputs: usize,
}

pub(super) enum Kind {
    /// The argument of this number.
    Input,
    Layer(Arc<dyn Recorded>),
    Op(Arc<dyn Op>),
}

/// Where an input of a call comes from.
#[derive(Clone)]
pub(super) enum Source {
    Value(Tensor),
    Made { step: usize, output: usize, mask: Masked },
}

/// The mask of an input.
#[derive(Clone)]
pub(super) enum Masked {
    /// The one that it came with.
    Own,
    /// None, although it came with one.
    Not,
    /// Another tensor.
    By(Box<Source>),
}

impl Place {
    /// Its name in the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The class, by Keras's name if it has one.
    pub fn class_name(&self) -> &str {
        match &self.what {
            What::Input(layer) => layer.class_name(),
            What::Layer(layer) => layer.layer().class_name(),
            What::Op(op) => operation::class_name(&**op),
        }
    }

    /// The layer as a module; none for an operation.
    pub fn module(&self) -> Option<&dyn Module> {
        match &self.what {
            What::Input(layer) => Some(&**layer),
            What::Layer(layer) => Some(layer.layer()),
            What::Op(_) => None,
        }
    }

    /// Whether this is an input of the model.
    pub fn is_input(&self) -> bool {
        matches!(self.what, What::Input(_))
    }

    /// What each call of it gives, as symbols that other models can be made of.
    pub fn outputs(&self) -> &[Tree] {
        &self.results
    }

    /// The tensor that it gives, as a symbol that other models can be made of.
    ///
    /// Fails where it is called more than once, or gives more than one tensor; [`outputs`](Place::outputs) has all.
    pub fn output(&self) -> Result<Tensor> {
        let leaves: Vec<Tensor> = self.results.iter().flat_map(Tree::leaves).collect();
        match <[Tensor; 1]>::try_from(leaves) {
            Ok([output]) => Ok(output),
            Err(leaves) => {
                let (name, calls) = (&self.name, self.results.len());
                let message =
                    format!("`{name}` gives {} tensors in {calls} calls; `outputs()` has all of them", leaves.len());
                Err(Error::invalid_argument(message))
            }
        }
    }
}

/// As `dense (Dense)`.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.class_name())
    }
}

/// What tells one step from the others: an input by its number among them, a call by its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Key {
    Input(usize),
    Call(u64),
}

/// What tells one place from the others.
#[derive(PartialEq, Eq, Hash)]
enum Owner {
    Step(Key),
    Layer(Identity),
}

/// The search from the outputs back to the inputs.
#[derive(Default)]
struct Survey {
    /// Which symbols are inputs.
    inputs: HashMap<(u64, usize), usize>,
    /// Every step that was met, with what it takes.
    met: HashMap<Key, Found>,
    /// Those whose inputs have all been met, each behind them.
    finished: Vec<Key>,
    places: HashMap<Owner, usize>,
    /// For each place, a step of it, in the order in which the search met them.
    order: Vec<Key>,
}

struct Found {
    recording: Option<Recording>,
    takes: Vec<Key>,
    place: usize,
    depth: usize,
}

impl Survey {
    /// Which step a symbol comes out of, and as which output; nothing for a value.
    fn key(&self, tensor: &Tensor) -> Result<Option<(Key, usize, Option<Recording>)>> {
        tensor.check()?;
        let Some((recording, output)) = Recording::of(tensor) else {
            if tensor.is_symbolic() {
                let message = format!("a symbol {} of a trace stands among those of a model", tensor.spec());
                return Err(Error::invalid_argument(message));
            }
            return Ok(None);
        };
        if let Some(&input) = self.inputs.get(&(recording.number(), output)) {
            return Ok(Some((Key::Input(input), 0, Some(recording))));
        }
        Ok(Some((Key::Call(recording.number()), output, Some(recording))))
    }

    fn place(&mut self, key: Key, recording: Option<&Recording>) -> usize {
        let identity = recording.filter(|_| matches!(key, Key::Call(_))).and_then(Recording::identity);
        let owner = identity.map_or(Owner::Step(key), Owner::Layer);
        let next = self.order.len();
        let place = *self.places.entry(owner).or_insert(next);
        if place == next {
            self.order.push(key);
        }
        place
    }

    /// Meets all that `output` follows from, each thing behind what it takes, as Keras does.
    fn follow(&mut self, output: &Tensor, about: &dyn Fn() -> String) -> Result<()> {
        let mut stack: Vec<(Key, Vec<Tensor>, usize)> = Vec::new();
        let mut next = Some(output.clone());
        loop {
            if let Some(tensor) = next.take()
                && let Some((key, _, recording)) = self.key(&tensor)?
                && !self.met.contains_key(&key)
            {
                if let (Key::Call(_), Some(Made::Input(_))) = (key, recording.as_ref().map(Recording::made)) {
                    let (output, input) = (about(), said(&tensor));
                    let message = format!("{output} depends on the input {input}, which is not among the inputs");
                    return Err(Error::invalid_argument(message));
                }
                let place = self.place(key, recording.as_ref());
                let recording = recording.filter(|_| matches!(key, Key::Call(_)));
                let takes = recording.as_ref().map(takes).unwrap_or_default();
                let keys = takes.iter().map(|tensor| Ok(self.key(tensor)?.map(|(key, ..)| key)));
                let keys = keys.filter_map(Result::transpose).collect::<Result<_>>()?;
                self.met.insert(key, Found { recording, takes: keys, place, depth: 0 });
                stack.push((key, takes, 0));
            }
            let Some((key, takes, at)) = stack.last_mut() else { return Ok(()) };
            match takes.get(*at) {
                Some(tensor) => {
                    *at += 1;
                    next = Some(tensor.clone());
                }
                None => {
                    self.finished.push(*key);
                    stack.pop();
                }
            }
        }
    }

    /// How far each place is from the outputs, on the longest way.
    fn depths(&mut self) -> Vec<usize> {
        let mut depths = vec![0; self.order.len()];
        for &key in self.finished.iter().rev() {
            let Some(found) = self.met.get_mut(&key) else { continue };
            let depth = found.depth.max(depths[found.place]);
            (found.depth, depths[found.place]) = (depth, depth);
            for key in found.takes.clone() {
                if let Some(other) = self.met.get_mut(&key) {
                    other.depth = other.depth.max(depth + 1);
                }
            }
        }
        depths
    }

    fn source(&self, tensor: &Tensor, steps: &HashMap<Key, usize>) -> Result<Source> {
        let Some((key, output, recording)) = self.key(tensor)? else { return Ok(Source::Value(tensor.clone())) };
        let own = recording.filter(|_| matches!(key, Key::Call(_))).and_then(|made| made.output(output));
        let mask = match (own.as_ref().and_then(Tensor::mask), tensor.mask()) {
            (_, None) if own.as_ref().is_some_and(|own| own.mask().is_some()) => Masked::Not,
            (_, None) => Masked::Own,
            (Some(own), Some(mask)) if is_same(own, mask) => Masked::Own,
            (_, Some(_)) if matches!(key, Key::Input(_)) => Masked::Own,
            (_, Some(mask)) => Masked::By(Box::new(self.source(mask, steps)?)),
        };
        let step = *steps.get(&key).ok_or_else(|| Error::internal("a call that the search met has no step"))?;
        Ok(Source::Made { step, output, mask })
    }
}

/// Whether both are the same output of the same call.
fn is_same(a: &Tensor, b: &Tensor) -> bool {
    match (Recording::of(a), Recording::of(b)) {
        (Some((a, i)), Some((b, j))) => (a.number(), i) == (b.number(), j),
        _ => a.id() == b.id(),
    }
}

/// What a call was given, and the masks of it that did not come with it.
fn takes(recording: &Recording) -> Vec<Tensor> {
    let masks = recording.inputs().iter().filter_map(foreign_mask);
    recording.inputs().iter().cloned().chain(masks).collect()
}

/// The mask of a tensor that did not come with it.
fn foreign_mask(tensor: &Tensor) -> Option<Tensor> {
    let mask = tensor.mask()?;
    let own = Recording::of(tensor).and_then(|(made, output)| made.output(output)?.mask().cloned());
    own.is_none_or(|own| !is_same(&own, mask)).then(|| mask.clone())
}

/// An input in words: its name, or its shape.
fn said(tensor: &Tensor) -> String {
    let entry = Recording::of(tensor).and_then(|(recording, _)| match recording.made() {
        Made::Input(about) => about.downcast_ref::<Entry>()?.name.clone(),
        _ => None,
    });
    entry.map_or_else(|| format!("{}", tensor.spec()), |name| format!("`{name}`, {}", tensor.spec()))
}

impl Graph {
    pub fn new(inputs: Tree, outputs: Tree) -> Result<Graph> {
        let mut survey = Survey::default();
        let fed = inputs.leaves();
        for (index, input) in fed.iter().enumerate() {
            input.check()?;
            let Some((recording, output)) = Recording::of(input) else {
                let message = format!("input {index} is not a symbol of models: `Input::new` makes one");
                return Err(Error::invalid_argument(message));
            };
            if let Some(other) = survey.inputs.insert((recording.number(), output), index) {
                let message = format!("inputs {other} and {index} are the same symbol, {}", said(input));
                return Err(Error::invalid_argument(message));
            }
        }
        let leaves = outputs.leaves();
        if fed.is_empty() || leaves.is_empty() {
            let missing = if fed.is_empty() { "inputs" } else { "outputs" };
            return Err(Error::invalid_argument(format!("a model needs {missing}, and there are none")));
        }
        for (index, output) in leaves.iter().enumerate() {
            if !output.is_functional() {
                output.check()?;
                let message = format!("output {index} is not made of an input: it is a value or a symbol of a trace");
                return Err(Error::invalid_argument(message));
            }
            let about = || format!("output {index}");
            survey.follow(output, &about)?;
            foreign_mask(output).map_or(Ok(()), |mask| survey.follow(&mask, &about))?;
        }
        // An input that nothing follows from is one all the same, in the last place.
        let mut unused = HashSet::new();
        for index in 0..fed.len() {
            if !survey.met.contains_key(&Key::Input(index)) {
                let place = survey.place(Key::Input(index), None);
                unused.insert(place);
                survey.met.insert(Key::Input(index), Found { recording: None, takes: Vec::new(), place, depth: 0 });
                survey.finished.push(Key::Input(index));
            }
        }
        Graph::arrange(survey, &fed, &unused, inputs, outputs)
    }

    /// Puts places in Keras's order and steps in a running order.
    fn arrange(
        mut survey: Survey,
        fed: &[Tensor],
        unused: &HashSet<usize>,
        inputs: Tree,
        outputs: Tree,
    ) -> Result<Graph> {
        let depths = survey.depths();
        let mut order: Vec<usize> = (0..depths.len()).collect();
        order.sort_by_key(|&place| (usize::MAX - depths[place], !unused.contains(&place), place));
        let mut moved = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, &place)| moved[place] = at);

        let mut calls: Vec<u64> = Vec::new();
        for key in survey.met.keys() {
            if let Key::Call(number) = key {
                calls.push(*number);
            }
        }
        calls.sort_unstable();
        let keys: Vec<Key> = (0..fed.len()).map(Key::Input).chain(calls.into_iter().map(Key::Call)).collect();
        let numbers: HashMap<Key, usize> = keys.iter().enumerate().map(|(at, &key)| (key, at)).collect();

        let mut places: Vec<Option<Place>> = vec![None; order.len()];
        let mut steps = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let found = &survey.met[key];
            let place = moved[found.place];
            let (what, kind, inputs, count, results) = match (key, found.recording.as_ref()) {
                (Key::Call(_), Some(recording)) => {
                    let (what, kind) = match recording.made() {
                        Made::Call(layer) => (What::Layer(layer.clone()), Kind::Layer(layer.clone())),
                        Made::Op(op) => (What::Op(op.clone()), Kind::Op(op.clone())),
                        Made::Input(_) => return Err(Error::internal("an input that is none was passed over")),
                    };
                    let inputs = recording.inputs().iter().map(|input| survey.source(input, &numbers));
                    let inputs = inputs.collect::<Result<Vec<_>>>()?;
                    (what, kind, inputs, recording.outputs().len(), results(recording)?)
                }
                (Key::Input(index), _) => {
                    let symbol = &fed[*index];
                    (What::Input(layer_of(symbol)), Kind::Input, Vec::new(), 1, Tree::Leaf(symbol.with_mask(None)))
                }
                (Key::Call(_), None) => return Err(Error::internal("a call that the search met was not recorded")),
            };
            let held = places[place].get_or_insert_with(|| Place {
                name: String::new(),
                what,
                steps: Vec::new(),
                results: Vec::new(),
            });
            held.steps.push(at);
            held.results.push(results);
            steps.push(Step { place, kind, inputs, outputs: count });
        }
        let mut places: Vec<Place> = places.into_iter().flatten().collect();
        give_names(&mut places, fed)?;
        let results = outputs.leaves().iter().map(|output| survey.source(output, &numbers)).collect::<Result<_>>()?;
        Ok(Graph { inputs, outputs, places, steps, results })
    }
}

/// What a call gave, as symbols.
fn results(recording: &Recording) -> Result<Tree> {
    let symbols = (0..recording.count()).filter_map(|output| recording.output(output));
    match recording.made() {
        Made::Call(layer) => layer.results().with_leaves(symbols),
        Made::Op(_) | Made::Input(_) => {
            let mut symbols: Vec<Tree> = symbols.map(Tree::Leaf).collect();
            Ok(if symbols.len() == 1 { symbols.remove(0) } else { Tree::List(symbols) })
        }
    }
}

/// The layer of an input; one is made for a symbol that is something else in another model.
fn layer_of(symbol: &Tensor) -> Arc<InputLayer> {
    let entry = Recording::of(symbol).and_then(|(recording, _)| match recording.made() {
        Made::Input(about) => Some(about.downcast_ref::<Entry>()?.layer.clone()),
        _ => None,
    });
    entry.unwrap_or_else(|| {
        let dims = symbol.shape().dims().unwrap_or_default();
        Arc::new(InputLayer::new(dims).dtype(symbol.dtype().name().to_owned()))
    })
}

/// Gives every place its name: the one that it was given, or where it is in the layer that is looked into, or that of its class
/// with a number, in the order of first calls.
fn give_names(places: &mut [Place], fed: &[Tensor]) -> Result<()> {
    let given = |place: &Place| match &place.what {
        What::Input(_) => {
            let entry = Recording::of(fed.get(*place.steps.first()?)?)?.0;
            match entry.made() {
                Made::Input(about) => about.downcast_ref::<Entry>()?.name.clone(),
                _ => None,
            }
        }
        What::Layer(layer) => layer.layer().given_name().map(str::to_owned),
        What::Op(_) => None,
    };
    let mut taken: HashSet<String> = HashSet::new();
    let mut waiting = Vec::new();
    for (at, place) in places.iter_mut().enumerate() {
        let Some(name) = given(place) else {
            waiting.push(at);
            continue;
        };
        if name.is_empty() || name.contains('/') {
            let message = format!("`{name}` cannot name a layer: a name is not empty and has no `/`");
            return Err(Error::invalid_argument(message));
        }
        if !taken.insert(name.clone()) {
            let message = format!("two layers of the model are called `{name}`; give one of them another name");
            return Err(Error::already_exists(message));
        }
        place.name = name;
    }
    waiting.sort_by_key(|&at| first_number(&places[at], fed));
    let mut counts: HashMap<String, usize> = HashMap::new();
    for at in waiting {
        let base = match &places[at].what {
            What::Input(layer) => layer.default_name().to_owned(),
            What::Layer(layer) => layer.place().unwrap_or(layer.layer().default_name()).to_owned(),
            What::Op(op) => operation::default_name(&**op),
        };
        let count = counts.entry(base.clone()).or_default();
        places[at].name = loop {
            let name = name::numbered(&base, *count);
            *count += 1;
            if taken.insert(name.clone()) {
                break name;
            }
        };
    }
    Ok(())
}

/// The number of the first call of a place.
fn first_number(place: &Place, fed: &[Tensor]) -> (u64, usize) {
    let symbol = match &place.what {
        What::Input(_) => place.steps.first().and_then(|&at| fed.get(at)).cloned(),
        _ => place.results.first().and_then(|results| results.leaves().into_iter().next()),
    };
    let recording = symbol.as_ref().and_then(Recording::of);
    recording.map_or((u64::MAX, 0), |(recording, output)| (recording.number(), output))
}
