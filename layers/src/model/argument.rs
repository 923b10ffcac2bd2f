//! What stands between the brackets of a call, in a config: tensors by where they come from, and plain values.

use modulor::{DType, Error, Result, Tensor, Tree};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An argument, its tensors found.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    Tensor(Tensor),
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Bounds of places along an axis: start, stop, step.
    Slice([Option<i64>; 3]),
    List(Vec<Argument>),
    Map(BTreeMap<String, Argument>),
}

/// The arguments of one call.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub args: Vec<Argument>,
    pub kwargs: BTreeMap<String, Argument>,
}

/// Where a tensor comes from, as configs say it: the layer, which call of it, and which output.
pub(super) type History = (String, usize, usize);

/// How deep arguments may be nested.
const DEPTH: usize = 64;

impl Argument {
    /// An argument as it stands in a config; `find` gives the tensors.
    pub fn read(value: &Value, find: &mut dyn FnMut(&History) -> Result<Tensor>) -> Result<Argument> {
        Argument::read_at(value, find, 0)
    }

    fn read_at(value: &Value, find: &mut dyn FnMut(&History) -> Result<Tensor>, depth: usize) -> Result<Argument> {
        if depth > DEPTH {
            return Err(Error::invalid_argument(format!("the arguments of a call are nested more than {DEPTH} deep")));
        }
        Ok(match value {
            Value::Null => Argument::Null,
            Value::Bool(value) => Argument::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(value) => Argument::Int(value),
                None => Argument::Float(number.as_f64().ok_or_else(|| unknown(value))?),
            },
            Value::String(text) => Argument::Text(text.clone()),
            Value::Array(parts) => {
                let parts = parts.iter().map(|part| Argument::read_at(part, find, depth + 1));
                Argument::List(parts.collect::<Result<_>>()?)
            }
            Value::Object(parts) => {
                let config = &parts.get("config").unwrap_or(&Value::Null);
                match parts.get("class_name").and_then(Value::as_str) {
                    Some("__keras_tensor__") => Argument::Tensor(find(&history(&config["keras_history"])?)?),
                    Some("__numpy__" | "__tensor__") => Argument::Tensor(array(config)?),
                    Some("__slice__") => {
                        let bound = |key: &str| match &config[key] {
                            Value::Null => Ok(None),
                            bound => bound.as_i64().map(Some).ok_or_else(|| unknown(value)),
                        };
                        Argument::Slice([bound("start")?, bound("stop")?, bound("step")?])
                    }
                    Some("__ellipsis__") => Argument::Text("...".to_owned()),
                    Some("__tuple__") => return Argument::read_at(config, find, depth + 1),
                    Some(_) => return Err(unknown(value)),
                    None => {
                        let part = |(key, part): (&String, &Value)| {
                            Ok((key.clone(), Argument::read_at(part, find, depth + 1)?))
                        };
                        Argument::Map(parts.iter().map(part).collect::<Result<_>>()?)
                    }
                }
            }
        })
    }

    /// The tensors as a structure of an input; an error for anything else.
    pub fn tree(&self) -> Result<Tree> {
        Ok(match self {
            Argument::Tensor(tensor) => Tree::Leaf(tensor.clone()),
            Argument::Null => Tree::None,
            Argument::List(parts) => Tree::List(parts.iter().map(Argument::tree).collect::<Result<_>>()?),
            Argument::Map(parts) => {
                let part = |(key, part): (&String, &Argument)| Ok((key.clone(), part.tree()?));
                Tree::Map(parts.iter().map(part).collect::<Result<_>>()?)
            }
            other => return Err(Error::invalid_argument(format!("a layer is called with tensors, found {other:?}"))),
        })
    }

    /// The first tensor in it.
    pub fn tensor(&self) -> Option<&Tensor> {
        match self {
            Argument::Tensor(tensor) => Some(tensor),
            Argument::List(parts) => parts.iter().find_map(Argument::tensor),
            Argument::Map(parts) => parts.values().find_map(Argument::tensor),
            _ => None,
        }
    }

    /// The integers of a list, or one.
    pub fn ints(&self) -> Option<Vec<i64>> {
        match self {
            Argument::Int(value) => Some(vec![*value]),
            Argument::List(parts) => {
                let int = |part: &Argument| if let Argument::Int(value) = part { Some(*value) } else { None };
                parts.iter().map(int).collect()
            }
            _ => None,
        }
    }
}

fn unknown(value: &Value) -> Error {
    Error::invalid_argument(format!("an argument of a call is neither a tensor nor a plain value: {value}"))
}

/// `["dense", 0, 0]`.
pub(super) fn history(value: &Value) -> Result<History> {
    let read = || {
        let [name, call, output] = &value.as_array()?[..] else { return None };
        let index = |value: &Value| usize::try_from(value.as_u64()?).ok();
        Some((name.as_str()?.to_owned(), index(call)?, index(output)?))
    };
    read().ok_or_else(|| {
        let message = format!("a tensor is said as [layer, call, output], as in [\"dense\", 0, 0], found {value}");
        Error::invalid_argument(message)
    })
}

/// An array that is written out.
fn array(config: &Value) -> Result<Tensor> {
    fn flatten(value: &Value, axis: usize, dims: &mut Vec<usize>, flat: &mut Vec<f64>) -> Option<()> {
        match value {
            Value::Array(parts) if axis < DEPTH => {
                match dims.get(axis) {
                    None if flat.is_empty() => dims.push(parts.len()),
                    Some(&dim) if dim == parts.len() => {}
                    _ => return None,
                }
                parts.iter().try_for_each(|part| flatten(part, axis + 1, dims, flat))
            }
            _ if axis == dims.len() => {
                flat.push(value.as_f64().or_else(|| value.as_bool().map(|bit| f64::from(u8::from(bit))))?);
                Some(())
            }
            _ => None,
        }
    }
    let (mut dims, mut flat) = (Vec::new(), Vec::new());
    let name = config["dtype"].as_str().unwrap_or("float32");
    let wrong = || Error::invalid_argument(format!("an array is nested lists of numbers and a dtype, found {config}"));
    flatten(&config["value"], 0, &mut dims, &mut flat).ok_or_else(wrong)?;
    let dtype = DType::from_name(name)?;
    Tensor::new(dims, flat)?.cast(dtype)
}

/// A tensor of a config.
pub(super) fn keras_tensor(tensor: &Tensor, (name, call, output): &History) -> Value {
    json!({
        "class_name": "__keras_tensor__",
        "config": {
            "shape": tensor.shape().dims(),
            "dtype": tensor.dtype().name(),
            "keras_history": [name, call, output],
        },
    })
}

/// A value as an argument: a number if it is one, else an array written out.
pub(super) fn value(tensor: &Tensor) -> Result<Value> {
    let dtype = tensor.dtype();
    let is_number = dtype.is_float() || dtype.is_integer() || dtype == DType::Bool;
    if !is_number {
        return Err(Error::unimplemented(format!("a value of {dtype} has no form in a config")));
    }
    let number = |x: &f64| match dtype {
        DType::Bool => Ok(json!(*x != 0.0)),
        _ if dtype.is_integer() => Ok(json!(*x as i64)),
        _ if x.is_finite() => Ok(json!(x)),
        _ => Err(Error::unimplemented(format!("{x} has no form in a config"))),
    };
    let flat: Vec<f64> = tensor.cast(DType::F64)?.to_vec()?;
    if let ([], [x]) = (tensor.dims()?, &flat[..]) {
        return number(x);
    }
    let mut parts = flat.iter().map(number).collect::<Result<Vec<Value>>>()?;
    for &dim in tensor.dims()?.iter().skip(1).rev() {
        if dim == 0 {
            return Err(Error::unimplemented(format!("an array of shape {} has no form in a config", tensor.shape())));
        }
        let mut rows = Vec::with_capacity(parts.len() / dim);
        let mut rest = parts.into_iter();
        while rest.len() > 0 {
            rows.push(Value::Array(rest.by_ref().take(dim).collect()));
        }
        parts = rows;
    }
    Ok(json!({"class_name": "__numpy__", "config": {"value": parts, "dtype": dtype.name()}}))
}

impl Arguments {
    /// The arguments of a node of a config.
    pub fn read(node: &Value, find: &mut dyn FnMut(&History) -> Result<Tensor>) -> Result<Arguments> {
        let empty = Map::new();
        let (args, kwargs) = match (node.get("args"), node.get("kwargs")) {
            (Some(Value::Array(args)), None) => (args, &empty),
            (Some(Value::Array(args)), Some(Value::Object(kwargs))) => (args, kwargs),
            _ => {
                let message = format!("a call is {{\"args\": [..], \"kwargs\": {{..}}}}, found {node}");
                return Err(Error::invalid_argument(message));
            }
        };
        let args = args.iter().map(|arg| Argument::read(arg, find)).collect::<Result<_>>()?;
        let kwargs = kwargs.iter().map(|(key, arg)| Ok((key.clone(), Argument::read(arg, find)?)));
        Ok(Arguments { args, kwargs: kwargs.collect::<Result<_>>()? })
    }

    /// An argument by its place or by its name, taken out.
    pub fn take(&mut self, place: usize, name: &str) -> Argument {
        match self.args.get_mut(place) {
            Some(argument) => std::mem::replace(argument, Argument::Null),
            None => self.kwargs.remove(name).unwrap_or(Argument::Null),
        }
    }
}
