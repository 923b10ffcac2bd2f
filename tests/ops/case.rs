//! A golden case as what the library takes: an op, tensors in, tensors out.

use crate::golden::{Array, Entry, Fixture, OpCase};
use modulor::op::{Attr, Attrs, Op, OpDef, dispatch};
use modulor::{DType, Error, Result, Tensor, registry};
use serde_json::Value;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

/// One recorded call of an op that is in the registry.
pub struct Case {
    pub def: &'static OpDef,
    pub golden: OpCase,
    pub attrs: Attrs,
    pub inputs: Vec<Tensor>,
    /// TensorFlow's own results.
    pub outputs: Vec<Tensor>,
    /// Per output, the float64 result, where one was recorded.
    pub reference: Vec<Option<Tensor>>,
    /// Per output, the weights of the sum that `grads` derive.
    pub dy: Vec<Option<Tensor>>,
    /// Per input, TensorFlow's gradient in float64; empty where none was recorded.
    pub grads: Vec<Option<Tensor>>,
    /// The value before the call of the variable whose handle comes before the inputs, if there is one.
    pub variable: Option<Tensor>,
    /// Its value after the call.
    pub after: Option<Tensor>,
}

/// Every golden case of an op that is there, in the order they were recorded, but for those on a variable.
pub static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| cases(|golden| golden.variable.is_none()));

/// The golden cases on a variable.
pub static VARIABLES: LazyLock<Vec<Case>> = LazyLock::new(|| cases(|golden| golden.variable.is_some()));

fn cases(wanted: impl Fn(&OpCase) -> bool) -> Vec<Case> {
    let mut fixture = Fixture::<OpCase>::read_all("ops").expect("the golden values are beside this test");
    let defs: BTreeMap<_, _> = registry::ops().map(|def| (def.name, def)).collect();
    let mut absent = BTreeMap::new();
    let mut cases = Vec::new();
    for golden in std::mem::take(&mut fixture.cases).into_iter().filter(wanted) {
        match defs.get(&*golden.op) {
            Some(def) => cases.push(Case::new(def, golden, &fixture)),
            None => *absent.entry(golden.op).or_insert(0_usize) += 1,
        }
    }
    let waiting: usize = absent.values().sum();
    println!("{} golden cases; {waiting} more wait for their ops: {:?}", cases.len(), absent.keys());
    cases
}

impl Case {
    fn new(def: &'static OpDef, golden: OpCase, fixture: &Fixture<OpCase>) -> Case {
        let one = |entry: &Entry| tensor(&fixture.array(entry).expect("the fixture's own tests check every entry"));
        let all = |entries: &[Entry]| entries.iter().map(one).collect::<Vec<_>>();
        let some = |entries: &[Option<Entry>]| entries.iter().map(|entry| entry.as_ref().map(one)).collect::<Vec<_>>();
        let attrs = golden.attrs.iter().fold(Attrs::new(), |attrs, (name, value)| attrs.with(name, attr(value)));
        Case {
            inputs: all(&golden.inputs),
            outputs: all(&golden.outputs),
            reference: some(&golden.reference),
            dy: some(&golden.dy),
            grads: some(&golden.grads),
            variable: golden.variable.as_ref().map(one),
            after: golden.after.as_ref().map(one),
            def,
            golden,
            attrs,
        }
    }

    /// The op with these attributes, or why they are refused: a new one each time, since one that draws from a stream
    /// goes on with it.
    pub fn op(&self) -> Result<Arc<dyn Op>> {
        (self.def.parse)(&self.attrs)
    }

    /// The outputs of the library.
    pub fn run(&self) -> Result<Vec<Tensor>> {
        run(&self.op()?, &self.inputs)
    }

    /// The same op where every float is one of float64, and every part of a complex number, as the reference and the gradients
    /// were recorded.
    pub fn widened(&self) -> Result<Arc<dyn Op>> {
        let wide = |value: &Attr| match value {
            Attr::Type(dtype) if dtype.is_float() => Attr::Type(DType::F64),
            Attr::Type(dtype) if dtype.is_complex() => Attr::Type(DType::Complex128),
            other => other.clone(),
        };
        (self.def.parse)(&self.attrs.iter().fold(Attrs::new(), |attrs, (name, value)| attrs.with(name, wide(value))))
    }
}

/// Calls an op; a panic is an error as well, and never an expected one.
pub fn run(op: &Arc<dyn Op>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    caught(|| dispatch(op.clone(), &inputs))
}

/// `f()`, a panic being an error of kind `DataLoss`, which no op gives.
pub fn caught<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Error::data_loss(format!("PANIC: {}", text.unwrap_or_default())))
    })
}

/// A tensor of float64 from one of any real dtype; integers and strings stay as they are.
pub fn widened(tensor: &Tensor) -> Tensor {
    match tensor.dtype().is_float() {
        true => Tensor::new(tensor.dims().expect("a value").to_vec(), reals(tensor)).expect("as many as before"),
        false => tensor.clone(),
    }
}

/// The elements of a real dtype as float64; the parts of a complex one, in turn; nothing of strings.
pub fn reals(tensor: &Tensor) -> Vec<f64> {
    fn each<T: modulor::Element>(tensor: &Tensor, f: impl Fn(T) -> f64) -> Vec<f64> {
        tensor.to_vec::<T>().expect("the dtype was looked at").into_iter().map(f).collect()
    }
    match tensor.dtype() {
        DType::F32 => each(tensor, |x: f32| x.into()),
        DType::F64 => each(tensor, |x: f64| x),
        DType::F16 => each(tensor, half::f16::to_f64),
        DType::BF16 => each(tensor, half::bf16::to_f64),
        DType::I8 => each(tensor, |x: i8| x.into()),
        DType::I16 => each(tensor, |x: i16| x.into()),
        DType::I32 => each(tensor, |x: i32| x.into()),
        DType::I64 => each(tensor, |x: i64| x as f64),
        DType::U8 => each(tensor, |x: u8| x.into()),
        DType::U16 => each(tensor, |x: u16| x.into()),
        DType::U32 => each(tensor, |x: u32| x.into()),
        DType::U64 => each(tensor, |x: u64| x as f64),
        DType::Bool => each(tensor, |x: bool| x.into()),
        DType::Complex64 => parts(tensor, 4, |b| f32::from_ne_bytes(b.try_into().expect("4 bytes")).into()),
        DType::Complex128 => parts(tensor, 8, |b| f64::from_ne_bytes(b.try_into().expect("8 bytes"))),
        _ => Vec::new(),
    }
}

fn parts(tensor: &Tensor, size: usize, part: impl Fn(&[u8]) -> f64) -> Vec<f64> {
    tensor.to_bytes().expect("complex numbers are plain").chunks_exact(size).map(part).collect()
}

/// A golden array as a tensor.
pub fn tensor(array: &Array) -> Tensor {
    match &*array.dtype {
        "string" => Tensor::strings(array.shape.clone(), &array.strings),
        dtype => DType::from_name(dtype).and_then(|dtype| Tensor::from_bytes(dtype, array.shape.clone(), &array.bytes)),
    }
    .unwrap_or_else(|error| panic!("a golden array is no tensor: {error}"))
}

/// An attribute as a manifest writes it: `{"type": "DT_FLOAT"}` is a dtype, the rest are JSON's own kinds.
fn attr(value: &Value) -> Attr {
    match value {
        Value::Bool(value) => Attr::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(value) => Attr::Int(value),
            None => Attr::Float(number.as_f64().expect("a JSON number") as f32),
        },
        Value::String(value) => Attr::Str(value.clone()),
        Value::Array(values) => Attr::List(values.iter().map(attr).collect()),
        Value::Object(object) => {
            let name = object["type"].as_str().expect("a dtype's name").trim_start_matches("DT_").to_lowercase();
            let name = match &*name {
                "float" => "float32",
                "double" => "float64",
                "half" => "float16",
                other => other,
            };
            Attr::Type(DType::from_name(name).expect("TensorFlow's dtypes are ours"))
        }
        Value::Null => panic!("no attribute is null"),
    }
}
