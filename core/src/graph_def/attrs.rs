//! Attributes in a file, and as data.

use crate::op::{Attr, Func};
use crate::{DType, Error, Result, Shape};
use modulor_wire::graph::{AttrEntry, AttrValue, ListValue, NameAttrList, Value};
use modulor_wire::message::{DataType, Dim, TensorShapeProto};

/// A value out of `op_defs.txt`.
pub(super) fn parse(kind: &str, text: &'static str) -> Option<Attr> {
    if let Some(kind) = kind.strip_prefix("list(").and_then(|kind| kind.strip_suffix(')')) {
        let items = text.strip_prefix('[')?.strip_suffix(']')?;
        let items = items.split(',').filter(|item| !item.is_empty()).map(|item| parse(kind, item));
        return items.collect::<Option<_>>().map(Attr::List);
    }
    Some(match kind {
        "int" => Attr::Int(text.parse().ok()?),
        "float" => Attr::Float(text.parse().ok()?),
        "bool" => Attr::Bool(text.parse().ok()?),
        "string" => Attr::from(text),
        "type" => Attr::Type(DType::from_name(text).ok()?),
        "shape" if text == "?" => Attr::Shape(Shape::unknown()),
        _ => return None,
    })
}

/// The entry of an attribute.
pub(super) fn entry(name: &str, value: Value) -> AttrEntry {
    AttrEntry { key: name.to_owned(), value: Some(AttrValue { value: Some(value) }) }
}

/// An attribute as a file has it; `name` names the function that a graph becomes.
pub(super) fn to_value(attr: &Attr, name: &mut dyn FnMut(&Func) -> Result<String>) -> Result<Value> {
    Ok(match attr {
        Attr::Int(value) => Value::I(*value),
        Attr::Float(value) => Value::F(*value),
        Attr::Bool(value) => Value::B(*value),
        Attr::Str(value) => Value::S(value.clone().into_bytes()),
        Attr::Type(dtype) => Value::Type(dtype.number()),
        Attr::Shape(shape) => Value::Shape(to_shape(shape)),
        Attr::List(items) => {
            let mut list = ListValue::default();
            for item in items {
                match to_value(item, name)? {
                    Value::I(value) => list.i.push(value),
                    Value::F(value) => list.f.push(value),
                    Value::B(value) => list.b.push(value),
                    Value::S(value) => list.s.push(value),
                    Value::Type(value) => list.r#type.push(value),
                    Value::Shape(value) => list.shape.push(value),
                    Value::Func(value) => list.func.push(*value),
                    // No attribute is a list of lists.
                    Value::List(_) | Value::Tensor(_) | Value::Placeholder(_) => {}
                }
            }
            Value::List(Box::new(list))
        }
        Attr::Func(graph) => Value::Func(Box::new(NameAttrList { name: name(graph)?, attr: Vec::new() })),
    })
}

/// An attribute of a kind, as `list(int)`, from what a file has; the error says found and expected.
pub(super) fn from_value(kind: &str, value: &Value) -> Result<Attr> {
    let wrong = || Error::invalid_argument(format!("takes {}, found {}", words(kind), found(value)));
    match (kind, value) {
        ("int", Value::I(value)) => Ok(Attr::Int(*value)),
        ("float", Value::F(value)) => Ok(Attr::Float(*value)),
        ("bool", Value::B(value)) => Ok(Attr::Bool(*value)),
        ("string", Value::S(value)) => string(value),
        ("type", Value::Type(value)) => dtype(*value).map(Attr::Type),
        ("shape", Value::Shape(value)) => from_shape(value).map(Attr::Shape),
        (kind, Value::List(list)) => {
            let kind = kind.strip_prefix("list(").and_then(|kind| kind.strip_suffix(')')).ok_or_else(wrong)?;
            let items: Result<Vec<Attr>> = match kind {
                "int" => Ok(list.i.iter().copied().map(Attr::Int).collect()),
                "float" => Ok(list.f.iter().copied().map(Attr::Float).collect()),
                "bool" => Ok(list.b.iter().copied().map(Attr::Bool).collect()),
                "string" => list.s.iter().map(|value| string(value)).collect(),
                "type" => list.r#type.iter().map(|&value| dtype(value).map(Attr::Type)).collect(),
                "shape" => list.shape.iter().map(|value| from_shape(value).map(Attr::Shape)).collect(),
                _ => return Err(wrong()),
            };
            let items = items?;
            // An empty list is one of any kind.
            if items.len() != length(list) { Err(wrong()) } else { Ok(Attr::List(items)) }
        }
        _ => Err(wrong()),
    }
}

fn string(bytes: &[u8]) -> Result<Attr> {
    let text = std::str::from_utf8(bytes);
    text.map(Attr::from).map_err(|error| Error::invalid_argument(format!("takes text in UTF-8: {error}")))
}

fn words(kind: &str) -> String {
    match kind {
        "int" => "an integer".to_owned(),
        "type" => "a dtype".to_owned(),
        "func" => "a function".to_owned(),
        _ => match kind.strip_prefix("list(") {
            Some(kind) => format!("a list of {}s", kind.trim_end_matches(')')),
            None => format!("a {kind}"),
        },
    }
}

/// What a value is, in words.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::I(value) => format!("the integer {value}"),
        Value::F(value) => format!("the float {value:?}"),
        Value::B(value) => format!("the bool {value}"),
        Value::S(value) => format!("the string \"{}\"", value.get(..40).unwrap_or(value).escape_ascii()),
        Value::Type(value) => format!("the dtype {}", dtype_name(*value)),
        Value::Shape(_) => "a shape".to_owned(),
        Value::Tensor(_) => "a tensor".to_owned(),
        Value::List(list) => format!("a list of {} items", length(list)),
        Value::Func(function) => format!("the function `{}`", function.name),
        Value::Placeholder(name) => format!("what the caller says of `{name}`"),
    }
}

fn length(list: &ListValue) -> usize {
    let ListValue { s, i, f, b, r#type, shape, tensor, func } = list;
    s.len() + i.len() + f.len() + b.len() + r#type.len() + shape.len() + tensor.len() + func.len()
}

fn dtype_name(number: i32) -> String {
    match DataType::try_from(number) {
        Ok(dtype) => format!("{number} ({dtype:?})"),
        Err(_) => format!("{number}, which there is not"),
    }
}

/// The dtype of this number in files.
pub(super) fn dtype(number: i32) -> Result<DType> {
    let message = || format!("takes a dtype that is here, found {}", dtype_name(number));
    DType::from_number(number).ok_or_else(|| Error::unimplemented(message()))
}

pub(super) fn to_shape(shape: &Shape) -> TensorShapeProto {
    let Some(dims) = shape.dims() else { return TensorShapeProto { dim: Vec::new(), unknown_rank: true } };
    let size = |dim: Option<usize>| dim.map_or(-1, |dim| i64::try_from(dim).unwrap_or(-1));
    let dim = dims.into_iter().map(|dim| Dim { size: size(dim), name: String::new() }).collect();
    TensorShapeProto { dim, unknown_rank: false }
}

pub(super) fn from_shape(shape: &TensorShapeProto) -> Result<Shape> {
    if shape.unknown_rank {
        return Ok(Shape::unknown());
    }
    if shape.dim.len() > crate::MAX_RANK {
        let message = format!("takes at most {} dims, found {}", crate::MAX_RANK, shape.dim.len());
        return Err(Error::invalid_argument(message));
    }
    let dim = |dim: &Dim| match usize::try_from(dim.size) {
        Ok(size) => Ok(Some(size)),
        Err(_) if dim.size == -1 => Ok(None),
        Err(_) => Err(Error::invalid_argument(format!(
            "takes dims from 0 on, and -1 for one that is not known, found {}",
            dim.size
        ))),
    };
    let shape = Shape::from(shape.dim.iter().map(dim).collect::<Result<Vec<_>>>()?);
    if let Some(dims) = shape.known() {
        crate::shape::count(dims)?;
    }
    Ok(shape)
}
