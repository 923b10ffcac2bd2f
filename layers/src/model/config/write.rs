//! A model as data.

use crate::library::AttentionInputs;
use crate::model::argument::{keras_tensor, value};
use crate::model::functional::Functional;
use crate::model::graph::{Graph, Kind, Masked, Place, Source, What};
use crate::model::operation;
use modulor::layer::functional::Recorded;
use modulor::module::{Config, object};
use modulor::{Error, Result, Structure, Tensor, Tree};
use serde_json::{Map, Value, json};
use std::any::Any;

/// The keys `layers`, `input_layers` and `output_layers`.
pub(in crate::model) fn write(graph: &Graph, config: &mut Config) -> Result<()> {
    let layers = graph.places.iter().map(|place| layer(graph, place).map_err(|error| error.within(place.name())));
    config.insert("layers".to_owned(), Value::Array(layers.collect::<Result<_>>()?));
    config.insert("input_layers".to_owned(), ends(graph, &graph.inputs, &mut inputs(graph).iter())?);
    config.insert("output_layers".to_owned(), ends(graph, &graph.outputs, &mut graph.results.iter())?);
    Ok(())
}

/// Where the inputs come from.
fn inputs(graph: &Graph) -> Vec<Source> {
    let steps = graph.steps.iter().enumerate().filter(|(_, step)| matches!(step.kind, Kind::Input));
    steps.map(|(step, _)| Source::Made { step, output: 0, mask: Masked::Own }).collect()
}

/// The ends of a model: the places of tensors in the structure that the model has.
fn ends(graph: &Graph, tree: &Tree, sources: &mut dyn Iterator<Item = &Source>) -> Result<Value> {
    Ok(match tree {
        Tree::None => Value::Null,
        Tree::Leaf(_) => {
            let source = sources.next().ok_or_else(|| Error::internal("an end of a model has no source"))?;
            let Source::Made { step, output, .. } = source else {
                return Err(Error::internal("an end of a model is a value"));
            };
            let (name, call, output) = history(graph, *step, *output);
            // Keras counts the calls of a model in a model from 1 here, and from 0 between the layers.
            let place = &graph.places[graph.steps[*step].place];
            json!([name, call + usize::from(is_functional(place)), output])
        }
        Tree::List(parts) => Value::Array(parts.iter().map(|part| ends(graph, part, sources)).collect::<Result<_>>()?),
        Tree::Map(parts) => {
            let part = |(name, part): (&String, &Tree)| Ok((name.clone(), ends(graph, part, sources)?));
            Value::Object(parts.iter().map(part).collect::<Result<_>>()?)
        }
    })
}

/// Whether the layer at a place is a model made of symbols.
pub(in crate::model) fn is_functional(place: &Place) -> bool {
    place.module().is_some_and(|module| (module.as_module() as &dyn Any).is::<Functional>())
}

/// Where a tensor comes from: the layer, which call of it, and which output.
fn history(graph: &Graph, step: usize, output: usize) -> (String, usize, usize) {
    let place = &graph.places[graph.steps[step].place];
    let call = place.steps.iter().position(|&other| other == step).unwrap_or_default();
    (place.name().to_owned(), call, output)
}

/// A layer with its calls.
fn layer(graph: &Graph, place: &Place) -> Result<Value> {
    let mut nodes = Vec::new();
    let mut object = match &place.what {
        What::Input(layer) => {
            let mut object = object(&**layer)?;
            if let Some(config) = object["config"].as_object_mut() {
                config.remove("trainable");
            }
            object
        }
        What::Layer(layer) => {
            let mut object = layer.layer().field_config()?.ok_or_else(|| Error::internal("a layer has a config"))?;
            for &step in &place.steps {
                let Kind::Layer(call) = &graph.steps[step].kind else { continue };
                let forms = graph.steps[step].inputs.iter().map(|source| form(graph, source));
                let (node, returns_state) =
                    node(graph, step, &**call, &mut forms.collect::<Result<Vec<_>>>()?.into_iter())?;
                if returns_state {
                    object["config"]["return_state"] = true.into();
                }
                nodes.push(node);
            }
            object
        }
        What::Op(op) => {
            let step = &graph.steps[place.steps[0]];
            let forms = step.inputs.iter().map(|source| form(graph, source)).collect::<Result<Vec<_>>>()?;
            let values: Vec<Option<&Tensor>> = step
                .inputs
                .iter()
                .map(|source| if let Source::Value(value) = source { Some(value) } else { None })
                .collect();
            let written = operation::write(&**op, place.name(), &forms, &values)?;
            nodes.push(json!({"args": written.args, "kwargs": {}}));
            written.object
        }
    };
    object["config"]["name"] = place.name().into();
    object["name"] = place.name().into();
    object["inbound_nodes"] = nodes.into();
    Ok(object)
}

/// What stands for a tensor.
fn form(graph: &Graph, source: &Source) -> Result<Value> {
    match source {
        Source::Value(tensor) => value(tensor),
        Source::Made { step, output, .. } => {
            let place = &graph.places[graph.steps[*step].place];
            let call = place.steps.iter().position(|other| other == step).unwrap_or_default();
            let results = place.results.get(call).map(Tree::leaves).unwrap_or_default();
            let symbol = match results.get(*output) {
                Some(symbol) => symbol.clone(),
                // Behind the results are their masks.
                None => {
                    let masks: Vec<Tensor> = results.iter().filter_map(Tensor::mask).cloned().collect();
                    let mask = masks.get(output - results.len()).cloned();
                    mask.ok_or_else(|| Error::internal("a call gives fewer tensors than are taken"))?
                }
            };
            Ok(keras_tensor(&symbol, &history(graph, *step, *output)))
        }
    }
}

/// A call of a layer, and whether it returns the layer's states.
fn node(
    graph: &Graph,
    step: usize,
    call: &dyn Recorded,
    forms: &mut dyn Iterator<Item = Value>,
) -> Result<(Value, bool)> {
    let structure = call.structure();
    let mut named = call.layer().call_arguments();
    let returns_state = named.remove("return_state").is_some();
    let second = named.iter().find(|(_, value)| value.is_null()).map(|(name, _)| name.clone());
    let second = second.and_then(|name| named.remove_entry(&name)).map(|(name, _)| name);
    let (mut args, mut kwargs) = (Vec::new(), Map::new());
    match (&structure, is_attention(&structure)) {
        (Tree::Map(parts), true) => {
            let mut written: Map<String, Value> = Map::new();
            for (name, part) in parts {
                written.insert(name.clone(), nested(part, forms)?);
            }
            args.extend(["query", "value", "key"].iter().filter_map(|name| written.remove(*name)));
            kwargs.extend(written.into_iter().filter(|(_, value)| !value.is_null()));
        }
        (Tree::Map(parts), false) => {
            for (name, part) in parts {
                kwargs.insert(name.clone(), nested(part, forms)?);
            }
        }
        (Tree::List(parts), _) if second.is_some() => {
            let mut parts = parts.iter().map(|part| nested(part, forms)).collect::<Result<Vec<_>>>()?.into_iter();
            args.extend(parts.next());
            kwargs.extend(second.zip(parts.next().filter(|part| !part.is_null())));
        }
        (other, _) => args.push(nested(other, forms)?),
    }
    // The mask of one tensor, where it is not the one that it came with.
    if let [Source::Made { mask: Masked::By(mask), .. }] = &graph.steps[step].inputs[..] {
        kwargs.insert("mask".to_owned(), form(graph, mask)?);
    }
    kwargs.extend(named);
    Ok((json!({"args": args, "kwargs": kwargs}), returns_state))
}

/// Whether a structure is that of a layer of attention of several heads.
fn is_attention(structure: &Tree) -> bool {
    AttentionInputs::from_tree(structure.clone()).is_ok()
}

/// A structure with forms in the place of its tensors.
fn nested(tree: &Tree, forms: &mut dyn Iterator<Item = Value>) -> Result<Value> {
    Ok(match tree {
        Tree::None => Value::Null,
        Tree::Leaf(_) => forms.next().ok_or_else(|| Error::internal("a call has fewer inputs than it had"))?,
        Tree::List(parts) => Value::Array(parts.iter().map(|part| nested(part, forms)).collect::<Result<_>>()?),
        Tree::Map(parts) => {
            let part = |(name, part): (&String, &Tree)| Ok((name.clone(), nested(part, forms)?));
            Value::Object(parts.iter().map(part).collect::<Result<_>>()?)
        }
    })
}
