//! Every op, given what none of its golden cases gives it.

use crate::ops::{CASES, Case, caught, run};
use modulor::graph::trace;
use modulor::op::{Attr, Attrs, Op};
use modulor::tensor::set_memory_limit;
use modulor::{DType, Error, ErrorKind, GradientTape, MAX_RANK, Result, Shape, Spec, Tensor, UnconnectedGradients};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Far more than any test needs, and far less than the machine has.
const MEMORY: usize = 512 << 20;

/// Other tensors in place of one.
fn replacements(input: &Tensor) -> Vec<(String, Tensor)> {
    let (dtype, dims) = (input.dtype(), input.dims().expect("a value").to_vec());
    let mut all = Vec::new();
    let mut add = |what: String, tensor: Result<Tensor>| all.extend(tensor.ok().map(|tensor| (what, tensor)));
    let mut zeros = |what: &str, dims: Vec<usize>| add(what.to_owned(), Tensor::zeros(dims, dtype));
    zeros("a scalar", vec![]);
    zeros("of dims [0]", vec![0]);
    zeros("of dims [2, 0, 3]", vec![2, 0, 3]);
    zeros("of dims [1, 1, 1, 1, 1, 1, 1]", vec![1; 7]);
    zeros("of the highest rank", vec![1; MAX_RANK]);
    for axis in 0..dims.len() {
        let mut other = dims.clone();
        other[axis] = 0;
        zeros("empty along an axis", other.clone());
        other[axis] = dims[axis] + 1;
        zeros("longer along an axis", other);
    }
    for other in
        [DType::F32, DType::F64, DType::BF16, DType::I32, DType::U64, DType::Bool, DType::Complex64, DType::String]
    {
        add(format!("of {other}"), Tensor::zeros(dims.clone(), other));
    }
    let elements: usize = dims.iter().product();
    for value in [i64::MIN, -1, i64::MIN / 2 + 1, 1, 9, i64::MAX / 8, i64::MAX] {
        let tensor = match dtype {
            DType::I32 => {
                let value = value.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                Tensor::new(dims.clone(), vec![value; elements])
            }
            DType::I64 => Tensor::new(dims.clone(), vec![value; elements]),
            DType::F32 => Tensor::new(dims.clone(), vec![value as f32; elements]),
            _ => continue,
        };
        add(format!("full of {value}"), tensor);
    }
    if dtype == DType::F32 {
        add("full of NaN".to_owned(), Tensor::new(dims, vec![f32::NAN; elements]));
    }
    all
}

/// Other values in place of one attribute.
fn other_attrs(attrs: &Attrs) -> Vec<(String, Attrs)> {
    let mut all = Vec::new();
    for (name, value) in attrs.iter() {
        let others: Vec<Attr> = match value {
            Attr::Int(_) => [i64::MIN, -1, 0, 7, i64::MAX].map(Attr::Int).to_vec(),
            Attr::Float(_) => [f32::NAN, f32::INFINITY, -1.0].map(Attr::Float).to_vec(),
            Attr::Bool(value) => vec![Attr::Bool(!value), Attr::Int(1)],
            Attr::Str(_) => ["", "no such thing", "NHWC", "NCHW"].map(Attr::from).to_vec(),
            Attr::Type(_) => DType::ALL.iter().copied().map(Attr::Type).collect(),
            Attr::Func(_) => Vec::new(),
            Attr::List(_) => [&[i64::MIN][..], &[i64::MAX], &[0, 0], &[-1]].map(Attr::from).to_vec(),
            Attr::Shape(_) => vec![Attr::Shape(Shape::unknown()), Attr::Shape([usize::MAX / 2; 3].into())],
        };
        let kinds = [Attr::Shape(Shape::scalar()), Attr::Str(String::new())];
        for other in others.into_iter().chain(kinds) {
            all.push((format!("{name}={other:?}"), attrs.clone().with(name, other)));
        }
    }
    all
}

/// Up to so many cases of each op that differ in their attributes or the number and dtypes of their inputs.
fn few_of_each(most: usize) -> Vec<&'static Case> {
    let mut seen = BTreeSet::new();
    let mut counts = BTreeMap::new();
    let mut few = Vec::new();
    for case in CASES.iter().filter(|case| case.golden.error.is_none()) {
        let dtypes: Vec<_> = case.inputs.iter().map(Tensor::dtype).collect();
        let ranks: Vec<_> = case.inputs.iter().map(Tensor::rank).collect();
        let count = counts.entry(case.def.name).or_insert(0_usize);
        if *count < most && seen.insert(format!("{} {dtypes:?} {ranks:?} {:?}", case.def.name, case.attrs)) {
            *count += 1;
            few.push(case);
        }
    }
    few
}

/// What is wrong with a result, if anything: a panic, an error that blames the library, or one that names no op.
fn fault(op: &str, result: &Result<Vec<Tensor>>) -> Option<String> {
    match result {
        Ok(outputs) => {
            // A view may repeat its elements beyond all memory.
            let unreadable = |output: &Tensor| match output.dtype() {
                DType::String => output.to_strings().err(),
                _ => output.to_bytes().err().filter(|error| error.kind() != ErrorKind::ResourceExhausted),
            };
            outputs.iter().find_map(unreadable).map(|error| format!("an output cannot be read: {error:?}"))
        }
        Err(error) => fault_of_error(op, error),
    }
}

fn fault_of_error(op: &str, error: &Error) -> Option<String> {
    let blames_library = matches!(error.kind(), ErrorKind::Internal | ErrorKind::DataLoss);
    let unclear = error.message().len() < 10 || error.op() != Some(op);
    (blames_library || unclear).then(|| format!("{error:?}"))
}

/// Every way to call an op wrongly with one case as the start: what is said of it, the op, its inputs.
fn wrong_calls(case: &Case, op: &Arc<dyn Op>) -> Vec<(String, Arc<dyn Op>, Vec<Tensor>)> {
    let mut calls = Vec::new();
    let inputs = &case.inputs;
    let mut by_kind: BTreeMap<String, Vec<Tensor>> = BTreeMap::new();
    for i in 0..inputs.len() {
        for (what, other) in replacements(&inputs[i]) {
            let mut changed = inputs.clone();
            changed[i] = other.clone();
            by_kind.entry(what.clone()).or_insert_with(|| inputs.clone())[i] = other;
            calls.push((format!("input {i} {what}"), op.clone(), changed));
        }
    }
    calls.extend(by_kind.into_iter().map(|(what, inputs)| (format!("all inputs {what}"), op.clone(), inputs)));
    calls.push(("no inputs".to_owned(), op.clone(), Vec::new()));
    calls.push(("the last input missing".to_owned(), op.clone(), inputs[..inputs.len().saturating_sub(1)].to_vec()));
    let more = inputs.iter().cloned().chain([Tensor::scalar(1.0_f32)]).collect();
    calls.push(("one input more".to_owned(), op.clone(), more));
    calls
}

fn report(faults: Vec<String>) {
    let shown: Vec<_> = faults.iter().take(80).map(|fault| fault.chars().take(260).collect::<String>()).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), shown.join("\n"));
}

#[test]
fn wrong_inputs_are_refused_or_make_sense() {
    set_memory_limit(MEMORY);
    let mut faults = Vec::new();
    for case in few_of_each(4) {
        let Ok(op) = case.op() else { continue };
        let name = case.def.name;
        for (what, op, inputs) in wrong_calls(case, &op) {
            let result = run(&op, &inputs);
            if let Some(fault) = fault(name, &result) {
                faults.push(format!("{name} ({}), {what}: {fault}", case.golden.case));
            }
        }
    }
    report(faults);
}

#[test]
fn wrong_attributes_are_refused_or_make_sense() {
    set_memory_limit(MEMORY);
    let mut faults = Vec::new();
    for case in few_of_each(4) {
        let name = case.def.name;
        for (what, attrs) in other_attrs(&case.attrs) {
            let result = caught(|| modulor::registry::op(name, &attrs)).and_then(|op| run(&op, &case.inputs));
            if let Some(fault) = fault(name, &result) {
                faults.push(format!("{name} ({}), {what}: {fault}", case.golden.case));
            }
        }
    }
    report(faults);
}

/// With symbols of every wrong input, whose values inference does not see.
#[test]
fn wrong_symbols_are_refused_or_make_sense() {
    set_memory_limit(MEMORY);
    let mut faults = Vec::new();
    for case in few_of_each(2) {
        let Ok(op) = case.op() else { continue };
        for (what, op, inputs) in wrong_calls(case, &op) {
            let specs: Vec<Spec> = inputs.iter().map(|input| input.spec().clone()).collect();
            let values: Vec<&Tensor> = inputs.iter().collect();
            let result = caught(|| trace(|symbols| run(&op, symbols), &specs)?.run(&values));
            if let Some(fault) = fault(case.def.name, &result) {
                faults.push(format!("{} ({}), {what}: {fault}", case.def.name, case.golden.case));
            }
        }
    }
    report(faults);
}

/// The gradient of whatever an op makes of empty tensors, scalars and the highest rank has its input's shape.
#[test]
fn gradients_of_strange_inputs_have_their_shapes() {
    set_memory_limit(MEMORY);
    let mut faults = Vec::new();
    for case in few_of_each(4).into_iter().filter(|case| !case.grads.is_empty()) {
        let Ok(op) = case.op() else { continue };
        for (what, op, inputs) in wrong_calls(case, &op) {
            let tape = GradientTape::new();
            let sources: Vec<&Tensor> = inputs.iter().filter(|input| input.dtype().is_float()).collect();
            sources.iter().for_each(|source| tape.watch(*source));
            let Ok(outputs) = tape.record(|| run(&op, &inputs)) else { continue };
            let targets: Vec<_> = outputs.into_iter().filter(|t| t.dtype().is_float()).map(|t| (t, None)).collect();
            let found = caught(|| tape.gradients_with(&targets, &sources, UnconnectedGradients::Zero));
            // TensorFlow, too, has no gradient of a full Q of a tall matrix or its like of singular vectors, none of the gradient of a CTC loss, and none of
            // the determinant of a matrix without an inverse.
            let known = |kind: ErrorKind| match case.def.name {
                _ if kind == ErrorKind::ResourceExhausted => true,
                "Qr" | "Svd" | "CTCLoss" => kind == ErrorKind::Unimplemented,
                "MatrixDeterminant" | "LogMatrixDeterminant" => kind == ErrorKind::InvalidArgument,
                _ => false,
            };
            let fault = match found {
                Err(error) => Some(format!("{error:?}")).filter(|_| !known(error.kind())),
                Ok(gradients) => gradients.iter().zip(&sources).find_map(|(gradient, source)| {
                    let gradient = gradient.as_ref()?;
                    (gradient.spec() != source.spec()).then(|| format!("{} for {}", gradient.spec(), source.spec()))
                }),
            };
            faults.extend(fault.map(|fault| format!("{} ({}), {what}: {fault}", case.def.name, case.golden.case)));
        }
    }
    report(faults);
}

/// A thread may have no more stack than this.
#[test]
fn every_op_runs_on_a_small_stack() {
    CASES.iter().for_each(drop);
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    let ran = thread.spawn(|| CASES.iter().filter(|case| case.run().is_ok()).count()).expect("a thread").join();
    assert!(ran.expect("nothing panics") > 1000);
}
