//! Branches and loops in GraphDefs: those that TensorFlow traced compute what TensorFlow computes, and ours go there and back.

use super::container::Container;
use super::models::{Model, keep};
use crate::flow::programs::{PROGRAMS, Program};
use crate::flow::{first, near, second};
use crate::golden::{Entry, Fixture};
use crate::ops::tensor;
use modulor::graph::{Graph, trace};
use modulor::{DType, GradientTape, Result, Spec, Tensor, Variable, cond, recompute, scan, switch_case, while_loop};
use serde::Deserialize;
use std::path::Path;

/// What a program computes of two tensors.
#[derive(Deserialize)]
struct Case {
    program: String,
    case: String,
    inputs: Vec<Entry>,
    output: Entry,
    grads: Vec<Entry>,
    second: Vec<Entry>,
}

/// What a program computes of a tensor and a variable.
#[derive(Deserialize)]
struct OnVariable {
    program: String,
    x: Entry,
    before: Entry,
    outputs: Vec<Entry>,
    after: Entry,
}

/// Whether the results are those expected.
fn check(what: &str, found: &[Tensor], expected: &[Tensor], wrong: &mut Vec<String>) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let [found, expected] = [found, expected].map(|x| x.cast(DType::F64).expect("a number"));
        if !near(&found, &expected, 1e-12) {
            wrong.push(format!("{what}: {found} vs. {expected}"));
        }
    }
}

#[test]
fn what_tensorflow_traced_computes_what_tensorflow_computes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (flow, on_variables) =
        (Fixture::<Case>::read("flow").unwrap(), Fixture::<OnVariable>::read("flow_graphs").unwrap());
    let (mut wrong, mut calls) = (Vec::new(), 0);
    for (row, bytes) in Container::read(&golden.join("flow_graphs.zip")).iter() {
        let what = format!("{} {}", row.op, row.case);
        let inputs: Vec<&str> = row.inputs.iter().map(|(_, name)| &**name).collect();
        let outputs: Vec<&str> = row.outputs.iter().map(|name| &**name).collect();
        let v = Variable::new(Tensor::zeros([3], DType::F64).unwrap());
        let read = |bytes: &[u8], inputs: &[&str], outputs: &[&str]| {
            Graph::from_graph_def(bytes, inputs, outputs, |name, _| (name == "v").then(|| v.clone()))
                .unwrap_or_else(|error| panic!("{what}: {error}"))
        };
        let graph = read(bytes, &inputs, &outputs);
        // And once more through a file of our own.
        let names = |letter: &str, count: usize| (0..count).map(|i| format!("{letter}{i}")).collect::<Vec<_>>();
        let (x, y) = (names("x", inputs.len()), names("y", outputs.len()));
        let [x, y] = [&x, &y].map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
        v.stamp("v");
        let own = graph.to_graph_def(&x, &y).unwrap_or_else(|error| panic!("{what}: {error}"));
        let graphs = [graph, read(&own, &x, &y)];
        if row.variables.is_empty() {
            for case in flow.cases.iter().filter(|case| case.program == row.op) {
                let of = |entry: &Entry| tensor(&flow.array(entry).unwrap());
                let expected: Vec<Tensor> = match row.case.starts_with("first") {
                    true => [&case.output].into_iter().chain(&case.grads).map(of).collect(),
                    false => case.second.iter().map(of).collect(),
                };
                let given: Vec<Tensor> = case.inputs.iter().map(of).collect();
                for (graph, by) in graphs.iter().zip(["read", "read again"]) {
                    let fed: Vec<&Tensor> = row.inputs.iter().map(|(at, _)| &given[*at]).collect();
                    let found = graph.run(&fed).unwrap_or_else(|error| panic!("{what} {by}: {error}"));
                    check(&format!("{what}, {}, {by}", case.case), &found, &expected, &mut wrong);
                    calls += 1;
                }
            }
        } else {
            for case in on_variables.cases.iter().filter(|case| case.program == row.op) {
                let of = |entry: &Entry| tensor(&on_variables.array(entry).unwrap());
                let expected: Vec<Tensor> = case.outputs.iter().map(of).collect();
                for (graph, by) in graphs.iter().zip(["read", "read again"]) {
                    v.assign(&of(&case.before)).unwrap();
                    let found = graph.run(&[&of(&case.x)]).unwrap_or_else(|error| panic!("{what} {by}: {error}"));
                    check(&format!("{what} {by}"), &found, &expected, &mut wrong);
                    check(&format!("{what} {by}: v"), &[v.value().unwrap()], &[of(&case.after)], &mut wrong);
                    calls += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(calls > 300, "{calls} calls");
}

fn of(values: [f64; 3]) -> Tensor {
    Tensor::from(values.to_vec())
}

/// A body that draws is written as what has state.
#[test]
fn what_is_drawn_in_a_loop_is_drawn_in_tensorflow_too() -> Result<()> {
    let shape = Tensor::from([3_i32]);
    let body = |x: &[Tensor]| {
        let step = |y: &Tensor| Ok(y + Tensor::random_uniform(&shape, [1, 2], DType::F64)?);
        Ok(vec![while_loop(|y: &Tensor| y.sum(..)?.less(20.0), step, x[0].clone())?])
    };
    let graph = trace(body, &[Spec::new(DType::F64, [3])])?;
    let bytes = graph.to_graph_def(&["x"], &["y"])?;
    let again = Graph::from_graph_def(&bytes, &["x"], &["y"], |_, _| None)?;
    // The op of a node is its second field.
    let is_there = |op: &[u8]| bytes.windows(op.len()).any(|window| window == op);
    assert!(is_there(b"\x12\x05While") && !is_there(b"\x12\x0EStatelessWhile"));
    assert!(again.run(&[&of([0.0; 3])])?[0].sum(..)?.item::<f64>()? >= 20.0);
    Ok(())
}

#[test]
fn ours_are_written_for_tensorflow() -> Result<()> {
    let mut container = Container::default();
    let inputs = || vec![of([0.25, 1.5, 0.75]), of([1.25, 0.5, 2.0])];
    for (name, program) in PROGRAMS {
        for (order, call) in [("", first as fn(Program, &Tensor, &Tensor) -> Result<Vec<Tensor>>), ("second ", second)]
        {
            let name: &'static str = Box::leak(format!("{order}{name}").into_boxed_str());
            let call = Box::new(move |x: &[Tensor]| call(*program, &x[0], &x[1]));
            keep(Model { name, inputs: inputs(), variables: Vec::new(), call }, &mut container)?;
        }
    }

    // Variables that are read and written in bodies.
    let v = Variable::new(of([1.5, 3.0, 0.5]));
    v.stamp("net/v");
    let call = |x: &[Tensor]| {
        let step = |(i, y): &(Tensor, Tensor)| {
            v.assign_add(&(y * 0.5))?;
            let change = || v.assign_sub(&x[1]).and_then(|()| v.read());
            let z = cond(&y.sum(..)?.greater(3.0)?, change, || v.read())?;
            Ok((i + 1.0, (z * 0.25 + y).tanh()?))
        };
        let (_, y) = while_loop(|(i, _)| i.less(4.0), step, (Tensor::scalar(0), x[0].clone()))?;
        let of = |scale: f64| {
            let v = &v;
            move || v.assign(&(v.read()? * scale)).and_then(|()| v.read())
        };
        let index = y.sum(..)?.cast(DType::I32)?;
        let z = switch_case(&index, &[&of(2.0), &of(3.0), &of(0.5)])?;
        Ok(vec![y, z, v.read()?])
    };
    let model = Model { name: "writes in bodies", inputs: inputs(), variables: vec![v.clone()], call: Box::new(call) };
    keep(model, &mut container)?;

    // A composite and its gradient in a loop, a scan, and what is computed again for its gradient.
    let call = |x: &[Tensor]| {
        let tape = GradientTape::new();
        let loss = tape.record(|| {
            let cell = |h: &Tensor, x: &Tensor| {
                let h = (h * &v.read()? + x).gelu(false)?;
                Ok((h.clone(), h.softmax(-1)?))
            };
            let xs = Tensor::stack(&[x[0].clone(), x[1].clone(), &x[0] * &x[1]], 0)?;
            let (last, all) = scan(cell, x[0].clone(), &xs)?;
            let again = recompute(|x: &Tensor| x.sin()?.mul(&v.read()?), &last)?;
            (again.sum(..)? + all.square()?.sum(..)?).identity()
        })?;
        let slopes = tape.gradients(&loss, [&v])?;
        Ok([loss].into_iter().chain(slopes.into_iter().flatten()).collect())
    };
    let model = Model { name: "a scan's gradient", inputs: inputs(), variables: vec![v.clone()], call: Box::new(call) };
    keep(model, &mut container)?;
    container.write("flow.zip");
    Ok(())
}
