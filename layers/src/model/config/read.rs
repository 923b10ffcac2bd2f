//! A model out of data.

use super::super::argument::{Argument, Arguments, History, history};
use super::super::input::symbol;
use super::super::operation;
use crate::library::InputLayer;
use crate::library::variants::{Variants, variants};
use modulor::layer::AnyLayer;
use modulor::module::{FromConfig, reading};
use modulor::{DType, Error, Result, Tensor, Tree, nearest};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The inputs and outputs of a model that a config describes.
pub(in crate::model) fn read(config: &Map<String, Value>) -> Result<(Tree, Tree)> {
    reading(|| {
        let layers = config.get("layers").and_then(Value::as_array);
        let Some(layers) = layers else { return Err(wrong("`layers` must be a list of layers")) };
        let mut network = Network::default();
        for layer in layers {
            network.add(layer)?;
        }
        let mut end = |key: &str| {
            let ends = config.get(key).ok_or_else(|| wrong(&format!("the key `{key}` is missing")))?;
            network.ends(ends).map_err(|error| error.within(key))
        };
        Ok((end("input_layers")?, end("output_layers")?))
    })
}

fn wrong(message: &str) -> Error {
    Error::invalid_argument(format!("config of `Functional`: {message}"))
}

/// The layers of a config, and what their calls gave so far.
#[derive(Default)]
struct Network<'c> {
    layers: HashMap<&'c str, Entry<'c>>,
    results: HashMap<(&'c str, usize), Tree>,
}

struct Entry<'c> {
    what: What,
    nodes: &'c [Value],
    /// Whether it is a model made of symbols, whose calls Keras counts from 1 among the outputs.
    is_functional: bool,
}

enum What {
    Input(Tensor),
    Layer(AnyLayer),
    Variants(Box<dyn Variants>),
    Op(operation::Named),
}

impl<'c> Network<'c> {
    fn add(&mut self, object: &'c Value) -> Result<()> {
        let name = object["name"].as_str().or_else(|| object["config"]["name"].as_str());
        let name = name.ok_or_else(|| wrong(&format!("a layer has no name: {object}")))?;
        let nodes = match &object["inbound_nodes"] {
            Value::Array(nodes) => &nodes[..],
            Value::Null => &[],
            other => return Err(wrong(&format!("`inbound_nodes` of `{name}` must be a list, found {other}"))),
        };
        let what = what(object, name).map_err(|error| error.within(name))?;
        let is_functional = object["class_name"] == "Functional";
        if let What::Input(symbol) = &what {
            self.results.insert((name, 0), Tree::Leaf(symbol.clone()));
        }
        if self.layers.insert(name, Entry { what, nodes, is_functional }).is_some() {
            return Err(wrong(&format!("two layers are called `{name}`")));
        }
        Ok(())
    }

    /// The structure of the inputs or the outputs.
    fn ends(&mut self, value: &Value) -> Result<Tree> {
        Ok(match value {
            Value::Array(parts) if parts.first().is_some_and(Value::is_string) => {
                let (name, call, output) = history(value)?;
                let is_functional = self.layers.get(&*name).is_some_and(|layer| layer.is_functional);
                // Files in which it is counted from 0 are there as well.
                let call = if is_functional { call.saturating_sub(1) } else { call };
                Tree::Leaf(self.tensor(&(name, call, output))?)
            }
            Value::Array(parts) => Tree::List(parts.iter().map(|part| self.ends(part)).collect::<Result<_>>()?),
            Value::Object(parts) => {
                let part = |(key, part): (&String, &Value)| Ok((key.clone(), self.ends(part)?));
                Tree::Map(parts.iter().map(part).collect::<Result<_>>()?)
            }
            Value::Null => Tree::None,
            other => return Err(wrong(&format!("expected the places of tensors, found {other}"))),
        })
    }

    /// The tensor of a place, after all calls that it needs.
    fn tensor(&mut self, wanted: &History) -> Result<Tensor> {
        let (name, call, output) = wanted;
        self.make(name, *call)?;
        let Some(results) = self.layers.get_key_value(&**name).and_then(|(&name, _)| self.results.get(&(name, *call)))
        else {
            return Err(wrong(&format!("`{name}` has no call {call}")));
        };
        found(results, *output).ok_or_else(|| wrong(&format!("call {call} of `{name}` has no output {output}")))
    }

    /// Makes the calls that lead to one, each behind those that it needs.
    fn make(&mut self, name: &str, call: usize) -> Result<()> {
        let mut stack = vec![self.key(name, call)?];
        let mut under_way: HashMap<(&'c str, usize), ()> = HashMap::new();
        while let Some(&key) = stack.last() {
            if self.results.contains_key(&key) {
                stack.pop();
                continue;
            }
            let (name, call) = key;
            let node = self.layers[name].nodes.get(call);
            let node = node.ok_or_else(|| {
                wrong(&format!(
                    "`{name}` is called {} times, and a tensor is of call {call}",
                    self.layers[name].nodes.len()
                ))
            })?;
            let mut needed = Vec::new();
            if call > 0 && !self.results.contains_key(&(name, call - 1)) {
                needed.push((name, call - 1));
            }
            let mut missing = Vec::new();
            // Tensors that are not there yet are asked for, and the call is read again when they are.
            let arguments = Arguments::read(node, &mut |history| {
                let key = (history.0.as_str(), history.1);
                let known = self.layers.get_key_value(key.0).map(|(&name, _)| (name, key.1));
                match known.and_then(|key| self.results.get(&key)) {
                    Some(results) => found(results, history.2).ok_or_else(|| {
                        wrong(&format!("call {} of `{}` has no output {}", history.1, history.0, history.2))
                    }),
                    None => {
                        missing.push(history.clone());
                        Ok(Tensor::scalar(false))
                    }
                }
            });
            let arguments = arguments.map_err(|error| error.within(name))?;
            for (name, call, _) in &missing {
                needed.push(self.key(name, *call)?);
            }
            if needed.is_empty() {
                let results = self.layers[name].what.call(arguments).map_err(|error| error.within(name))?;
                self.results.insert(key, results);
                under_way.remove(&key);
                stack.pop();
                continue;
            }
            if under_way.insert(key, ()).is_some() {
                return Err(wrong(&format!("`{name}` is called with what follows from that call")));
            }
            stack.extend(needed);
        }
        Ok(())
    }

    /// A call of a layer that there is.
    fn key(&self, name: &str, call: usize) -> Result<(&'c str, usize)> {
        let known = self.layers.get_key_value(name).map(|(&name, _)| (name, call));
        known.ok_or_else(|| {
            let mut names: Vec<&str> = self.layers.keys().copied().collect();
            names.sort_unstable();
            wrong(&format!(
                "a tensor comes from `{name}`, and there is no such layer; {}",
                nearest::suggestion(name, names)
            ))
        })
    }
}

/// The tensor of this number among the results; behind them are their masks.
fn found(results: &Tree, output: usize) -> Option<Tensor> {
    let leaves = results.leaves();
    if let Some(leaf) = leaves.get(output) {
        return Some(leaf.clone());
    }
    leaves.iter().filter_map(Tensor::mask).nth(output - leaves.len()).cloned()
}

/// What a serialized object is.
fn what(object: &Value, name: &str) -> Result<What> {
    if object["class_name"] == "InputLayer" {
        let mut config = object["config"].as_object().cloned().unwrap_or_default();
        let dtype = config.get("dtype").and_then(|dtype| dtype.as_str().or_else(|| dtype["config"]["name"].as_str()));
        let dtype = DType::from_name(dtype.unwrap_or("float32"))?;
        config.insert("dtype".to_owned(), dtype.name().into());
        return Ok(What::Input(symbol(InputLayer::from_config(&config)?, dtype, Some(name.to_owned()))));
    }
    if let Some(op) = operation::Named::of(object) {
        return Ok(What::Op(op));
    }
    if let Some(variants) = variants(object, name)? {
        return Ok(What::Variants(variants));
    }
    Ok(What::Layer(AnyLayer::from_object(object)?.named(name)))
}

impl What {
    fn call(&self, mut arguments: Arguments) -> Result<Tree> {
        match self {
            What::Input(symbol) => Ok(Tree::Leaf(symbol.clone())),
            What::Op(op) => op.call(arguments),
            What::Variants(layer) => {
                let mask = arguments.kwargs.remove("mask");
                masked(&mut arguments, mask)?;
                let (trees, flags) = sorted(arguments)?;
                layer.call(trees, &flags)
            }
            What::Layer(layer) => {
                let mask = arguments.kwargs.remove("mask");
                masked(&mut arguments, mask)?;
                let (mut trees, flags) = sorted(arguments)?;
                if let Some((name, _)) = flags.iter().find(|(_, flag)| **flag) {
                    return Err(Error::unimplemented(format!(
                        "the argument `{name}` of a call has no counterpart here"
                    )));
                }
                let args = trees.remove("args");
                let tree = match (args, trees.is_empty()) {
                    (Some(Tree::List(mut args)), true) if args.len() == 1 => args.remove(0),
                    (Some(args), true) => args,
                    (Some(Tree::List(args)), false) if args.is_empty() => Tree::Map(trees),
                    _ => {
                        let names: Vec<&str> = trees.keys().map(String::as_str).collect();
                        let message = format!("the arguments {} of a call have no counterpart here", names.join(", "));
                        return Err(Error::unimplemented(message));
                    }
                };
                layer.call(&tree)
            }
        }
    }
}

/// Puts a mask that a call was given beside the tensor that it is for.
fn masked(arguments: &mut Arguments, mask: Option<Argument>) -> Result<()> {
    match (mask, arguments.args.first_mut()) {
        (None | Some(Argument::Null), _) => Ok(()),
        (Some(Argument::Tensor(mask)), Some(Argument::Tensor(x))) => {
            *x = x.with_mask(Some(mask));
            Ok(())
        }
        (Some(Argument::List(masks)), Some(Argument::List(parts))) if masks.len() == parts.len() => {
            for (mask, part) in masks.iter().zip(parts) {
                if let (Argument::Tensor(mask), Argument::Tensor(x)) = (mask, part) {
                    *x = x.with_mask(Some(mask.clone()));
                }
            }
            Ok(())
        }
        (Some(mask), _) => {
            Err(Error::unimplemented(format!("a mask is of one tensor or a list of them, found {mask:?}")))
        }
    }
}

/// The tensors of a call by the names of the arguments, those without a name under `args`, and the arguments that are flags.
fn sorted(arguments: Arguments) -> Result<(std::collections::BTreeMap<String, Tree>, HashMap<String, bool>)> {
    let mut flags = HashMap::new();
    let mut trees = std::collections::BTreeMap::new();
    for (name, argument) in arguments.kwargs {
        match argument {
            Argument::Null => {}
            // The phase is that of the program which calls the model.
            Argument::Bool(_) if name == "training" => {}
            Argument::Bool(flag) => {
                flags.insert(name, flag);
            }
            other => {
                trees.insert(name, other.tree()?);
            }
        }
    }
    let args = arguments.args.iter().map(Argument::tree).collect::<Result<Vec<_>>>()?;
    trees.insert("args".to_owned(), Tree::List(args));
    Ok((trees, flags))
}
