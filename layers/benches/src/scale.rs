//! Graphs of so many nodes: what tracing, compiling, running, writing, reading and deriving them takes for each node, which is
//! as much for many as for few.

use crate::measure::Report;
use modulor::graph::{Graph, gradient, trace};
use modulor::prelude::*;
use std::time::Instant;

/// Gradients are taken of graphs up to this size.
const DERIVED: usize = 100_000;

/// A graph of about `nodes` nodes: each follows the one before, all follow the input, or each other one is a constant.
#[derive(Clone, Copy)]
enum Form {
    Chain,
    Fan,
    Constants,
}

impl Form {
    const ALL: [(&'static str, Form); 3] =
        [("chain", Form::Chain), ("fan", Form::Fan), ("constants", Form::Constants)];

    fn of(self, x: &Tensor, nodes: usize) -> Result<Tensor> {
        let value = |at: usize| Tensor::from([at as f32 * 1e-6, 1.0]);
        match self {
            Form::Chain => (0..nodes).try_fold(x.clone(), |y, at| if at % 2 == 0 { y.tanh() } else { y.mul(x) }),
            Form::Fan => {
                let all = (0..nodes / 2).map(|at| x.mul(value(at))).collect::<Result<Vec<_>>>()?;
                Tensor::add_n(&all)
            }
            Form::Constants => (0..nodes / 2).try_fold(x.clone(), |y, at| y.add(value(at))),
        }
    }
}

pub fn measure(report: &Report) -> Result<()> {
    let (x, spec) = (Tensor::from([0.5_f32, -1.5]), Spec::new(DType::F32, [2]));
    for (name, form) in Form::ALL {
        for nodes in [10_000, 100_000, 1_000_000] {
            let mut begin = Instant::now();
            let mut emit = |what: &str| {
                let each = begin.elapsed().as_secs_f64() * 1e9 / nodes as f64;
                report.emit(&format!("{name}_{nodes}_{what}_ns"), each, &[]);
                begin = Instant::now();
            };
            let function = Function::new(move |x: &Tensor| form.of(x, nodes));
            function.concrete(&x)?;
            emit("trace");
            function.call(&x)?;
            emit("compile");
            let y = function.call(&x)?;
            emit("run");
            drop(function);
            emit("drop");
            let graph = trace(|x| Ok(vec![form.of(&x[0], nodes)?]), std::slice::from_ref(&spec))?;
            emit("trace_again");
            let bytes = graph.to_graph_def(&["x"], &["y"])?;
            emit("write");
            let again = Graph::from_graph_def(&bytes, &["x"], &["y"], |_, _| None)?;
            emit("read");
            let found = again.run(&[&x])?;
            emit("run_by_node");
            assert_eq!(y.to_vec::<f32>()?, found[0].to_vec::<f32>()?);
            if nodes <= DERIVED {
                drop(again);
                emit("drop_graph");
                let slope = gradient(&graph)?;
                emit("gradient");
                drop(slope);
                emit("drop_gradient");
                let function = Function::new(move |x: &Tensor| {
                    let tape = GradientTape::new();
                    tape.watch(x);
                    let y = tape.record(|| form.of(x, nodes))?;
                    tape.gradient(&y, x)
                });
                function.concrete(&x)?;
                emit("trace_gradient");
                function.call(&x)?;
                emit("compile_gradient");
                function.call(&x)?;
                emit("run_gradient");
            }
        }
    }
    Ok(())
}
