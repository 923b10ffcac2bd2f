//! Operations among the layers of a model, and Keras's names of them.

use super::argument::{Argument, Arguments, value};
use modulor::op::{Attr, Attrs, Op, dispatch};
use modulor::{DType, Error, Index, Result, Tensor, Tree, nearest, registry};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Operations that are the same under two names: TensorFlow's, and Keras's with the module that has it.
const SAME: &[(&str, &str, &str)] = &[
    ("Abs", "numpy", "Absolute"),
    ("Acos", "numpy", "Arccos"),
    ("Acosh", "numpy", "Arccosh"),
    ("AddV2", "numpy", "Add"),
    ("Asin", "numpy", "Arcsin"),
    ("Asinh", "numpy", "Arcsinh"),
    ("Atan", "numpy", "Arctan"),
    ("Atan2", "numpy", "Arctan2"),
    ("Atanh", "numpy", "Arctanh"),
    ("BatchMatMulV2", "numpy", "Matmul"),
    ("Ceil", "numpy", "Ceil"),
    ("Cos", "numpy", "Cos"),
    ("Cosh", "numpy", "Cosh"),
    ("Elu", "nn", "Elu"),
    ("Equal", "numpy", "Equal"),
    ("Erf", "math", "Erf"),
    ("Exp", "numpy", "Exp"),
    ("Expm1", "numpy", "Expm1"),
    ("Floor", "numpy", "Floor"),
    ("FloorDiv", "numpy", "FloorDivide"),
    ("FloorMod", "numpy", "Mod"),
    ("Greater", "numpy", "Greater"),
    ("GreaterEqual", "numpy", "GreaterEqual"),
    ("IsFinite", "numpy", "Isfinite"),
    ("IsInf", "numpy", "Isinf"),
    ("IsNan", "numpy", "Isnan"),
    ("Less", "numpy", "Less"),
    ("LessEqual", "numpy", "LessEqual"),
    ("Log", "numpy", "Log"),
    ("Log1p", "numpy", "Log1p"),
    ("LogicalAnd", "numpy", "LogicalAnd"),
    ("LogicalNot", "numpy", "LogicalNot"),
    ("LogicalOr", "numpy", "LogicalOr"),
    ("MatMul", "numpy", "Matmul"),
    ("Maximum", "numpy", "Maximum"),
    ("Minimum", "numpy", "Minimum"),
    ("Mul", "numpy", "Multiply"),
    ("Neg", "numpy", "Negative"),
    ("NotEqual", "numpy", "NotEqual"),
    ("OnesLike", "numpy", "OnesLike"),
    ("Pow", "numpy", "Power"),
    ("RealDiv", "numpy", "TrueDivide"),
    ("Reciprocal", "numpy", "Reciprocal"),
    ("Relu", "nn", "Relu"),
    ("Relu6", "nn", "Relu6"),
    ("Rsqrt", "math", "Rsqrt"),
    ("SelectV2", "numpy", "Where"),
    ("Selu", "nn", "Selu"),
    ("Sigmoid", "nn", "Sigmoid"),
    ("Sign", "numpy", "Sign"),
    ("Sin", "numpy", "Sin"),
    ("Sinh", "numpy", "Sinh"),
    ("Softplus", "nn", "Softplus"),
    ("Softsign", "nn", "Softsign"),
    ("Sqrt", "numpy", "Sqrt"),
    ("Square", "numpy", "Square"),
    ("Sub", "numpy", "Subtract"),
    ("Tan", "numpy", "Tan"),
    ("Tanh", "numpy", "Tanh"),
    ("ZerosLike", "numpy", "ZerosLike"),
];

/// Reductions, likewise; each has axes and `keepdims`.
const REDUCTIONS: &[(&str, &str)] = &[
    ("All", "All"),
    ("Any", "Any"),
    ("Max", "Max"),
    ("Mean", "Mean"),
    ("Min", "Min"),
    ("Prod", "Prod"),
    ("Sum", "Sum"),
];

/// The rest of those that Keras has as well, with the names that the two give them.
const OTHERS: &[(&str, &str, &str)] = &[
    ("Cast", "core", "Cast"),
    ("ClipByValue", "numpy", "Clip"),
    ("ConcatV2", "numpy", "Concatenate"),
    ("Einsum", "numpy", "Einsum"),
    ("ExpandDims", "numpy", "ExpandDims"),
    ("LeakyRelu", "nn", "LeakyRelu"),
    ("LogSoftmax", "nn", "LogSoftmax"),
    ("Pack", "numpy", "Stack"),
    ("Reshape", "numpy", "Reshape"),
    ("Softmax", "nn", "Softmax"),
    ("Squeeze", "numpy", "Squeeze"),
    ("StridedSlice", "numpy", "GetItem"),
    ("Tile", "numpy", "Tile"),
    ("Transpose", "numpy", "Transpose"),
    ("gelu", "nn", "Gelu"),
];

/// Keras's module and name of an operation.
fn keras(op: &str) -> Option<(&'static str, &'static str)> {
    let same = SAME.iter().chain(OTHERS).find(|(name, ..)| *name == op).map(|&(_, module, class)| (module, class));
    same.or_else(|| REDUCTIONS.iter().find(|(name, _)| *name == op).map(|&(_, class)| ("numpy", class)))
}

/// The name of an operation, Keras's if it has one.
pub(super) fn class_name(op: &dyn Op) -> &'static str {
    keras(op.name()).map_or_else(|| op.name(), |(_, class)| class)
}

/// What automatic names of an operation start from: its name in snake case.
pub(super) fn default_name(op: &dyn Op) -> String {
    snake_case(class_name(op))
}

/// As Keras makes names of classes.
fn snake_case(class: &str) -> String {
    let mut snake = String::new();
    let letters: Vec<char> = class.chars().collect();
    for (at, &letter) in letters.iter().enumerate() {
        let after_lower = at > 0 && (letters[at - 1].is_lowercase() || letters[at - 1].is_ascii_digit());
        let before_lower = at > 0 && letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase()
            && (after_lower && letters[at - 1].is_lowercase() || before_lower)
            && !snake.ends_with('_')
        {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// An operation in a config: its class with settings, and where a call has its inputs.
pub(super) struct Written {
    pub object: Value,
    /// For each call the arguments; `inputs` are what stands for the inputs.
    pub args: Vec<Value>,
}

/// An operation as Keras writes it, or, of one that Keras has not, under its name in TensorFlow's registry. `inputs` are the
/// forms of its inputs, `values` those of them that are values.
pub(super) fn write(op: &dyn Op, name: &str, inputs: &[Value], values: &[Option<&Tensor>]) -> Result<Written> {
    let attrs = op.attrs();
    let written = match (as_keras(op.name(), &attrs, inputs, values)?, keras(op.name())) {
        (Some((settings, args)), Some((module, class))) => {
            let home = format!("keras.src.ops.{module}");
            Written { object: object(json!(home), class, class, name, settings), args }
        }
        _ => {
            registry::op(op.name(), &attrs).map_err(|_| {
                let message = format!("the operation `{}` has no form in a config", op.name());
                Error::unimplemented(message).note("a layer whose `forward` calls it has")
            })?;
            let written = attrs.iter().map(|(key, attr)| Ok((key.to_owned(), write_attr(attr)?)));
            let written: Map<String, Value> = written.collect::<Result<_>>()?;
            let settings = Map::from_iter([("op".to_owned(), json!(op.name())), ("attrs".to_owned(), written.into())]);
            let object = object(Value::Null, "Operation", "modulor>Operation", name, settings);
            Written { object, args: inputs.to_vec() }
        }
    };
    Ok(written)
}

fn object(module: Value, class: &str, registered: &str, name: &str, mut config: Map<String, Value>) -> Value {
    config.insert("name".to_owned(), name.into());
    json!({"module": module, "class_name": class, "config": config, "registered_name": registered})
}

/// The settings and arguments of an operation that Keras has; nothing where what it does is more than Keras's.
fn as_keras(
    op: &str,
    attrs: &Attrs,
    inputs: &[Value],
    values: &[Option<&Tensor>],
) -> Result<Option<(Map<String, Value>, Vec<Value>)>> {
    let ints = |at: usize| -> Option<Vec<i64>> {
        values.get(at).copied().flatten().and_then(|value| value.cast(DType::I64).ok()?.to_vec().ok())
    };
    let settings = |settings: Value| if let Value::Object(settings) = settings { settings } else { Map::new() };
    let first = || inputs.iter().take(1).cloned().collect::<Vec<_>>();
    let one = |settings_of: Value| Ok(Some((settings(settings_of), first())));
    if REDUCTIONS.iter().any(|(name, _)| *name == op) {
        let Some(axes) = ints(1) else { return Ok(None) };
        let axes = if axes.len() == 1 { json!(axes[0]) } else { json!(axes) };
        return one(json!({"axis": axes, "keepdims": attrs.bool("keep_dims", false)?}));
    }
    match op {
        "MatMul" if attrs.bool("transpose_a", false)? || attrs.bool("transpose_b", false)? => Ok(None),
        "BatchMatMulV2" if attrs.bool("adj_x", false)? || attrs.bool("adj_y", false)? => Ok(None),
        "Cast" => one(json!({"dtype": attrs.dtype("DstT", None)?.name()})),
        "ClipByValue" => {
            let bound = |at: usize| values.get(at).copied().flatten().map(value).transpose();
            let (Some(low), Some(high)) = (bound(1)?, bound(2)?) else { return Ok(None) };
            if !(low.is_number() && high.is_number()) {
                return Ok(None);
            }
            one(json!({"x_min": low, "x_max": high}))
        }
        "ConcatV2" => {
            let Some((_, parts)) = inputs.split_last() else { return Ok(None) };
            let Some(axis) = ints(parts.len()) else { return Ok(None) };
            Ok(Some((settings(json!({"axis": axis[0]})), vec![Value::Array(parts.to_vec())])))
        }
        "Pack" => Ok(Some((settings(json!({"axis": attrs.int("axis", 0)?})), vec![Value::Array(inputs.to_vec())]))),
        "Einsum" => {
            Ok(Some((settings(json!({"subscripts": attrs.string("equation", String::new())?})), inputs.to_vec())))
        }
        "ExpandDims" => match ints(1) {
            Some(axis) => one(json!({"axis": axis[0]})),
            None => Ok(None),
        },
        "LeakyRelu" => one(json!({"negative_slope": attrs.float("alpha", 0.2)?})),
        "LogSoftmax" | "Softmax" => one(json!({"axis": -1})),
        "Reshape" => match ints(1) {
            Some(shape) => one(json!({"newshape": shape})),
            None => Ok(None),
        },
        "Squeeze" => {
            let axes = attrs.ints("squeeze_dims")?;
            one(json!({"axis": if axes.is_empty() { Value::Null } else { json!(axes) }}))
        }
        "StridedSlice" => Ok(match (ints(1), ints(2), ints(3)) {
            (Some(begin), Some(end), Some(steps)) => {
                let items = slices(attrs, &begin, &end, &steps)?;
                items.map(|items| (Map::new(), vec![inputs[0].clone(), Value::Array(items)]))
            }
            _ => None,
        }),
        "Tile" => match ints(1) {
            Some(times) => one(json!({"repeats": times})),
            None => Ok(None),
        },
        "Transpose" => match ints(1) {
            Some(axes) => one(json!({"axes": axes})),
            None => Ok(None),
        },
        "gelu" => one(json!({"approximate": attrs.bool("approximate", false)?})),
        _ => Ok(SAME.iter().any(|(name, ..)| *name == op).then(|| (Map::new(), inputs.to_vec()))),
    }
}

/// The items of a slice as Keras writes them; nothing for one with new axes.
fn slices(attrs: &Attrs, begin: &[i64], end: &[i64], steps: &[i64]) -> Result<Option<Vec<Value>>> {
    let mask = |name: &str| attrs.int(name, 0);
    let (open, endless) = (mask("begin_mask")?, mask("end_mask")?);
    let (whole, new, one) = (mask("ellipsis_mask")?, mask("new_axis_mask")?, mask("shrink_axis_mask")?);
    if new != 0 || begin.len() != end.len() || begin.len() != steps.len() || begin.len() > 32 {
        return Ok(None);
    }
    let item = |at: usize| {
        let has = |mask: i64| mask >> at & 1 == 1;
        if has(whole) {
            return json!({"class_name": "__ellipsis__", "config": {}});
        }
        if has(one) {
            return json!(begin[at]);
        }
        let bound = |bound: i64, open: bool| if open { Value::Null } else { json!(bound) };
        let (start, stop) = (bound(begin[at], has(open)), bound(end[at], has(endless)));
        let step = bound(steps[at], steps[at] == 1);
        json!({"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}})
    };
    Ok(Some((0..begin.len()).map(item).collect()))
}

fn write_attr(attr: &Attr) -> Result<Value> {
    Ok(match attr {
        Attr::Int(value) => json!({"int": value}),
        Attr::Float(value) => json!({"float": value}),
        Attr::Bool(value) => json!({"bool": value}),
        Attr::Str(value) => json!({"string": value}),
        Attr::Type(value) => json!({"type": value.name()}),
        Attr::Shape(value) => json!({"shape": value.dims()}),
        Attr::List(values) => json!({"list": values.iter().map(write_attr).collect::<Result<Vec<_>>>()?}),
        Attr::Func(_) => return Err(Error::unimplemented("a branch or a loop has no form in a config")),
    })
}

fn read_attr(written: &Value) -> Result<Attr> {
    let wrong =
        || Error::invalid_argument(format!("an attribute is said by its kind, as in {{\"int\": 1}}, found {written}"));
    let Some((kind, value)) = written.as_object().and_then(|one| one.iter().next()) else { return Err(wrong()) };
    let read = || {
        Some(match kind.as_str() {
            "int" => Attr::Int(value.as_i64()?),
            "float" => Attr::Float(value.as_f64()? as f32),
            "bool" => Attr::Bool(value.as_bool()?),
            "string" => Attr::Str(value.as_str()?.to_owned()),
            "type" => Attr::Type(DType::from_name(value.as_str()?).ok()?),
            "shape" => Attr::Shape(
                serde_json::from_value::<Option<Vec<Option<usize>>>>(value.clone())
                    .ok()?
                    .map_or_else(modulor::Shape::unknown, Into::into),
            ),
            "list" => {
                let ints: Option<Vec<i64>> = value.as_array()?.iter().map(|part| part["int"].as_i64()).collect();
                Attr::from(&ints?[..])
            }
            _ => return None,
        })
    };
    read().ok_or_else(wrong)
}

/// An operation that a config names.
pub(super) struct Named {
    class: String,
    config: Map<String, Value>,
}

impl Named {
    /// The operation of a serialized object, if it is of one and not of a layer.
    pub fn of(object: &Value) -> Option<Named> {
        let module = object["module"].as_str().unwrap_or_default();
        let is_own = object["registered_name"] == "modulor>Operation";
        let config = object["config"].as_object().cloned().unwrap_or_default();
        let class = object["class_name"].as_str()?.to_owned();
        (is_own || module.starts_with("keras.src.ops.")).then_some(Named { class, config })
    }

    /// Calls it on symbols.
    pub fn call(&self, arguments: Arguments) -> Result<Tree> {
        self.apply(arguments).map_err(|error| error.note(format!("in the operation `{}` of the config", self.class)))
    }

    fn apply(&self, mut given: Arguments) -> Result<Tree> {
        // What is a setting in configs of today was an argument of the call in others.
        let mut setting = |name: &str, place: usize| match self.config.get(name) {
            Some(value) => Argument::read(value, &mut |_| Err(Error::invalid_argument("a setting is no tensor"))),
            None => Ok(given.take(place, name)),
        };
        let wrong = |name: &str, found: &Argument| {
            Error::invalid_argument(format!("`{name}` of `{}` is not what it can be: {found:?}", self.class))
        };
        let class = self.class.as_str();
        if class == "Operation" {
            return self.own(&given);
        }
        if let Some(&(op, ..)) = SAME.iter().find(|(.., known)| *known == class).or_else(|| divide(class)) {
            return one(same(op, &given)?);
        }
        if let Some(&(op, _)) = REDUCTIONS.iter().find(|(_, known)| *known == class) {
            let (axis, keep) = (setting("axis", 1)?, setting("keepdims", 2)?);
            let x = first(&given)?;
            let axes = match &axis {
                Argument::Null => (0..ranked(&x)? as i64).collect(),
                axis => axis.ints().ok_or_else(|| wrong("axis", axis))?,
            };
            let attrs = Attrs::new().with("keep_dims", matches!(keep, Argument::Bool(true)));
            return one(call(op, &attrs, &[&x, &Tensor::new([axes.len()], axes)?])?);
        }
        match class {
            "Cast" => {
                let dtype = setting("dtype", 1)?;
                let Argument::Text(name) = &dtype else { return Err(wrong("dtype", &dtype)) };
                one(first(&given)?.cast(DType::from_name(name)?)?)
            }
            "Clip" => {
                let (low, high) = (setting("x_min", 1)?, setting("x_max", 2)?);
                let x = first(&given)?;
                let bound = |bound: &Argument| operand(bound, x.dtype());
                one(x.clip_by_value(bound(&low)?, bound(&high)?)?)
            }
            "Concatenate" | "Stack" => {
                let axis = setting("axis", 1)?;
                let axis = match &axis {
                    Argument::Int(axis) => *axis,
                    other => return Err(wrong("axis", other)),
                };
                let parts = given.args.first().map(Argument::tree).transpose()?.map(|tree| tree.leaves());
                let parts = parts.ok_or_else(|| Error::invalid_argument("a list of tensors is needed"))?;
                one(if class == "Stack" { Tensor::stack(&parts, axis)? } else { Tensor::concat(&parts, axis)? })
            }
            "Einsum" => {
                let subscripts = setting("subscripts", 0)?;
                let Argument::Text(equation) = &subscripts else { return Err(wrong("subscripts", &subscripts)) };
                let operands: Vec<Tensor> = given.args.iter().filter_map(Argument::tensor).cloned().collect();
                one(Tensor::einsum(equation, &operands.iter().collect::<Vec<_>>())?)
            }
            "ExpandDims" => {
                let axis = setting("axis", 1)?;
                let axes = axis.ints().ok_or_else(|| wrong("axis", &axis))?;
                one(axes.iter().try_fold(first(&given)?, |x, &axis| x.expand_dims(axis))?)
            }
            "Squeeze" => {
                let axis = setting("axis", 1)?;
                let axes = if matches!(axis, Argument::Null) { Some(Vec::new()) } else { axis.ints() };
                one(first(&given)?.squeeze(axes.ok_or_else(|| wrong("axis", &axis))?)?)
            }
            "LeakyRelu" => {
                let slope = match setting("negative_slope", 1)? {
                    Argument::Float(slope) => slope as f32,
                    Argument::Int(slope) => slope as f32,
                    _ => 0.2,
                };
                one(first(&given)?.leaky_relu(slope)?)
            }
            "Softmax" | "LogSoftmax" => {
                let axis = setting("axis", 1)?;
                let axis = axis.ints().filter(|axes| axes.len() == 1).ok_or_else(|| wrong("axis", &axis))?[0];
                let op = if class == "Softmax" { "Softmax" } else { "LogSoftmax" };
                let x = first(&given)?;
                match axis == -1 || axis == ranked(&x)? as i64 - 1 {
                    true => one(call(op, &Attrs::new(), &[&x])?),
                    false => {
                        let y = call(op, &Attrs::new(), &[&x.swap_axes(axis, -1)?])?;
                        one(y.swap_axes(axis, -1)?)
                    }
                }
            }
            "Reshape" => {
                let shape = setting("newshape", 1)?;
                let shape = match &shape {
                    Argument::List(dims) => dims
                        .iter()
                        .map(|dim| match dim {
                            Argument::Null => Some(-1),
                            Argument::Int(dim) => Some(*dim),
                            _ => None,
                        })
                        .collect(),
                    other => other.ints(),
                }
                .ok_or_else(|| wrong("newshape", &shape))?;
                one(first(&given)?.reshape(shape)?)
            }
            "Tile" => {
                let times = setting("repeats", 1)?;
                one(first(&given)?.tile(times.ints().ok_or_else(|| wrong("repeats", &times))?)?)
            }
            "Transpose" => {
                let axes = setting("axes", 1)?;
                let x = first(&given)?;
                let axes = match &axes {
                    Argument::Null => (0..ranked(&x)? as i64).rev().collect(),
                    axes => axes.ints().ok_or_else(|| wrong("axes", axes))?,
                };
                one(x.permute(axes)?)
            }
            "Gelu" => {
                let approximate = !matches!(setting("approximate", 1)?, Argument::Bool(false));
                one(first(&given)?.gelu(approximate)?)
            }
            "Silu" => one(first(&given)?.silu()?),
            "GetItem" => one(get_item(&first(&given)?, &given.take(1, "key"))?),
            "Split" => {
                let (parts, axis) = (setting("indices_or_sections", 1)?, setting("axis", 2)?);
                let axis = axis.ints().and_then(|axes| axes.first().copied()).unwrap_or(0);
                let Argument::Int(count) = parts else { return Err(wrong("indices_or_sections", &parts)) };
                let count = usize::try_from(count).map_err(|_| wrong("indices_or_sections", &parts))?;
                Ok(Tree::List(first(&given)?.split(count, axis)?.into_iter().map(Tree::Leaf).collect()))
            }
            other => {
                let known = SAME.iter().chain(OTHERS).map(|(.., class)| *class);
                let known = known.chain(REDUCTIONS.iter().map(|(_, class)| *class)).chain(["Divide", "Silu", "Split"]);
                let known = nearest::suggestion(other, known);
                Err(Error::unimplemented(format!("Keras's operation `{other}` is not known here; {known}")))
            }
        }
    }

    /// One under its name in TensorFlow's registry.
    fn own(&self, given: &Arguments) -> Result<Tree> {
        let Some(name) = self.config.get("op").and_then(Value::as_str) else {
            return Err(Error::invalid_argument("an operation says which it is, `op`"));
        };
        let mut attrs = Attrs::new();
        for (key, attr) in self.config.get("attrs").and_then(Value::as_object).into_iter().flatten() {
            attrs = attrs.with(key, read_attr(attr)?);
        }
        let inputs: Vec<Tensor> = given.args.iter().map(|arg| operand(arg, DType::F32)).collect::<Result<_>>()?;
        let outputs = dispatch(registry::op(name, &attrs)?, &inputs.iter().collect::<Vec<_>>())?;
        match <[Tensor; 1]>::try_from(outputs) {
            Ok([output]) => one(output),
            Err(outputs) => Ok(Tree::List(outputs.into_iter().map(Tree::Leaf).collect())),
        }
    }
}

/// Keras's other name of a quotient.
fn divide(class: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    SAME.iter().find(|(op, ..)| class == "Divide" && *op == "RealDiv")
}

fn one(tensor: Tensor) -> Result<Tree> {
    Ok(Tree::Leaf(tensor))
}

fn call(op: &str, attrs: &Attrs, inputs: &[&Tensor]) -> Result<Tensor> {
    let op: Arc<dyn Op> = registry::op(op, attrs)?;
    dispatch(op, inputs)?.into_iter().next().ok_or_else(|| Error::internal("an operation of one output gave none"))
}

fn first(given: &Arguments) -> Result<Tensor> {
    let values = given.args.iter().chain(given.kwargs.values());
    let tensor = values.into_iter().find_map(Argument::tensor).cloned();
    tensor.ok_or_else(|| Error::invalid_argument("it is called on no tensor"))
}

fn ranked(x: &Tensor) -> Result<usize> {
    x.rank().ok_or_else(|| Error::invalid_argument("the rank of its input must be known"))
}

/// A tensor, or a number beside one of this dtype.
fn operand(argument: &Argument, beside: DType) -> Result<Tensor> {
    match argument {
        Argument::Tensor(tensor) => Ok(tensor.clone()),
        Argument::Float(number) => Tensor::number(*number, beside),
        Argument::Int(number) => Tensor::number(*number as f64, beside),
        Argument::Bool(value) => Ok(Tensor::scalar(*value)),
        other => Err(Error::invalid_argument(format!("an operand is a tensor or a number, found {other:?}"))),
    }
}

/// An operation whose inputs are its arguments, of one dtype as Keras makes them.
fn same(op: &str, given: &Arguments) -> Result<Tensor> {
    let arguments: Vec<&Argument> = given.args.iter().chain(given.kwargs.values()).collect();
    let is_choice = op == "SelectV2";
    let (chosen, values) = arguments.split_at(usize::from(is_choice).min(arguments.len()));
    // Floats win over integers; a fraction makes floats of integers.
    let tensors = || values.iter().filter_map(|argument| argument.tensor());
    let float = tensors().map(Tensor::dtype).find(|dtype| dtype.is_float());
    let has_fraction = values.iter().any(|argument| matches!(argument, Argument::Float(x) if x.fract() != 0.0));
    let divides = op == "RealDiv";
    let dtype = float.or_else(|| {
        let dtype = tensors().map(Tensor::dtype).next()?;
        Some(if (has_fraction || divides) && !dtype.is_complex() { DType::F32 } else { dtype })
    });
    let dtype = dtype.unwrap_or(DType::F32);
    let value = |argument: &&Argument| {
        let value = operand(argument, dtype)?;
        if value.dtype() == dtype { Ok(value) } else { value.cast(dtype) }
    };
    let mut inputs: Vec<Tensor> = chosen.iter().map(|chosen| operand(chosen, DType::Bool)).collect::<Result<_>>()?;
    inputs.extend(values.iter().map(value).collect::<Result<Vec<_>>>()?);
    if matches!(op, "MatMul" | "BatchMatMulV2") {
        let [a, b] = &inputs[..] else { return Err(Error::invalid_argument("a product is of two tensors")) };
        return a.matmul(b);
    }
    call(op, &Attrs::new(), &inputs.iter().collect::<Vec<_>>())
}

/// The places of a tensor that Keras's `x[key]` takes.
fn get_item(x: &Tensor, key: &Argument) -> Result<Tensor> {
    let item = |item: &Argument| {
        Ok(match item {
            Argument::Int(at) => Index::At(*at),
            Argument::Slice([start, end, step]) => Index::Range { start: *start, end: *end, step: step.unwrap_or(1) },
            Argument::Null => Index::NewAxis,
            Argument::Text(text) if text == "..." => Index::Ellipsis,
            other => return Err(Error::invalid_argument(format!("places are integers and ranges, found {other:?}"))),
        })
    };
    let items = match key {
        Argument::List(items) => items.iter().map(item).collect::<Result<Vec<Index>>>()?,
        one => vec![item(one)?],
    };
    x.slice(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_name_operations_that_there_are() {
        for op in SAME.iter().chain(OTHERS).map(|(op, ..)| *op).chain(REDUCTIONS.iter().map(|(op, _)| *op)) {
            assert!(op == "gelu" || registry::ops().any(|def| def.name == op), "{op}");
        }
    }

    #[test]
    fn names_are_made_as_keras_makes_them() {
        for (class, name) in [
            ("GetItem", "get_item"),
            ("Relu6", "relu6"),
            ("ExpandDims", "expand_dims"),
            ("MatMul", "mat_mul"),
            ("gelu", "gelu"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
