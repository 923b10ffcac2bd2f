//! Branches and loops: plain Rust on values, ops with graphs for bodies in a trace, both as TensorFlow's.

mod behaviour;
mod lists;
pub mod programs;

use crate::golden::{Entry, Fixture};
use crate::ops::tensor;
use modulor::graph::trace;
use modulor::{DType, Result, Shape, Spec, Tensor};
use programs::{PROGRAMS, Program};
pub use programs::{first, second};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Case {
    program: String,
    case: String,
    inputs: Vec<Entry>,
    output: Entry,
    /// Of the sum of the output.
    grads: Vec<Entry>,
    /// Of what these come to.
    second: Vec<Entry>,
}

/// Whether two tensors of float64 are of one shape and agree to so much of their size; what is no number too.
pub fn near(found: &Tensor, expected: &Tensor, tolerance: f64) -> bool {
    let [a, b] = [found, expected].map(|x| x.to_vec::<f64>().expect("float64"));
    let close =
        |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * (1.0 + b.abs()) || a == b || a.is_nan() && b.is_nan();
    found.shape() == expected.shape() && a.iter().zip(&b).all(close)
}

type Order = fn(Program, &Tensor, &Tensor) -> Result<Vec<Tensor>>;

#[test]
fn programs_are_tensorflows_by_values_and_by_graphs() {
    let fixture = Fixture::<Case>::read("flow").unwrap();
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    for (name, program) in PROGRAMS {
        let shapes = [Shape::from([3]), Shape::from([None])];
        let graphs = shapes.map(|shape| {
            let specs = vec![Spec::new(DType::F64, shape); 2];
            [first as Order, second].map(|order| {
                let graph = trace(|x| order(*program, &x[0], &x[1]), &specs);
                graph.unwrap_or_else(|error| panic!("{name} of {specs:?}: {error:?}"))
            })
        });
        for case in fixture.cases.iter().filter(|case| case.program == *name) {
            met.insert(*name);
            let read = |entry: &Entry| tensor(&fixture.array(entry).unwrap());
            let [x, w] = [0, 1].map(|i| read(&case.inputs[i]));
            let expected = [
                [&case.output].into_iter().chain(&case.grads).map(read).collect::<Vec<_>>(),
                case.second.iter().map(read).collect(),
            ];
            for (at, (order, expected)) in [first as Order, second].into_iter().zip(&expected).enumerate() {
                let eager = order(*program, &x, &w).unwrap();
                let check = |found: &[Tensor], by: &str, wrong: &mut Vec<String>| {
                    for (found, expected) in found.iter().zip(expected) {
                        if !near(found, expected, 1e-12) {
                            wrong.push(format!("{name}, {}, {by}: {found} vs. {expected}", case.case));
                        }
                    }
                };
                check(&eager, "values", &mut wrong);
                for graphs in &graphs {
                    let found = graphs[at].run(&[&x, &w]).unwrap();
                    check(&found, "a graph", &mut wrong);
                    // A sum over the uses of one tensor may be taken in another order; the result itself may not.
                    let same = |i: usize| found[i].to_vec::<f64>().unwrap() == eager[i].to_vec::<f64>().unwrap();
                    if at == 0 && !same(0) && !eager[0].to_string().contains("nan") {
                        wrong.push(format!("{name}, {}: {} traced, {} by values", case.case, found[0], eager[0]));
                    }
                }
            }
        }
    }
    assert_eq!(met.len(), PROGRAMS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
