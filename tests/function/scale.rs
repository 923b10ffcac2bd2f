//! Graphs of very many nodes, on a thread of little stack: nothing recurses, and nothing looks at all nodes for each.

use modulor::graph::{Graph, gradient, trace};
use modulor::prelude::*;

/// Runs a test on a thread that a recursion over nodes would leave at once.
fn on_little_stack(test: fn() -> Result<()>) {
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(test).expect("a thread");
    thread.join().expect("nothing panics").unwrap();
}

/// Each follows the one before.
fn chain(x: &Tensor, nodes: usize) -> Result<Tensor> {
    (0..nodes).try_fold(x.clone(), |y, at| if at % 2 == 0 { y.neg() } else { y.minimum(x) })
}

/// All follow the input.
fn fan(x: &Tensor, nodes: usize) -> Result<Tensor> {
    let parts = (0..nodes / 2).map(|at| x.mul(Tensor::from([at as f32, 1.0]))).collect::<Result<Vec<_>>>()?;
    Tensor::add_n(&parts)
}

/// Each other one is a constant.
fn constants(x: &Tensor, nodes: usize) -> Result<Tensor> {
    (0..nodes / 2).try_fold(x.clone(), |y, at| y.add(Tensor::from([at as f32, 1.0])))
}

const FORMS: [fn(&Tensor, usize) -> Result<Tensor>; 3] = [chain, fan, constants];

fn x() -> Tensor {
    Tensor::from([-2.0_f32, 3.0])
}

#[test]
fn functions_of_very_many_nodes_are_compiled_and_dropped() {
    on_little_stack(|| {
        for form in FORMS {
            let function = Function::new(move |x: &Tensor| form(x, 12_000));
            let eager = form(&x(), 12_000)?;
            for _ in 0..2 {
                assert_eq!(function.call(x())?.to_bytes()?, eager.to_bytes()?);
            }
        }
        Ok(())
    });
}

#[test]
fn files_of_very_many_nodes_are_written_and_read() {
    on_little_stack(|| {
        for form in FORMS {
            let graph = trace(|x| Ok(vec![form(&x[0], 9_000)?]), &[x().spec().clone()])?;
            let bytes = graph.to_graph_def(&["x"], &["y"])?;
            let again = Graph::from_graph_def(&bytes, &["x"], &["y"], |_, _| None)?;
            assert_eq!(again.run(&[&x()])?[0].to_bytes()?, form(&x(), 9_000)?.to_bytes()?);
        }
        Ok(())
    });
}

#[test]
fn very_many_nodes_have_gradients() {
    on_little_stack(|| {
        for form in FORMS {
            let spec = x().spec().clone();
            let graph = trace(|x| Ok(vec![form(&x[0], 3_000)?]), std::slice::from_ref(&spec))?;
            let slope = gradient(&graph)?;
            let found = slope.run(&[&x(), &x().ones_like()?])?;
            let function = Function::new(move |x: &Tensor| {
                let tape = GradientTape::new();
                tape.watch(x);
                let y = tape.record(|| form(x, 3_000))?;
                tape.gradient(&y, x)
            });
            assert_eq!(function.call(x())?.to_bytes()?, found[0].to_bytes()?);
        }
        Ok(())
    });
}

/// More than any test of every day has; as the workload `scale` of the benchmarks.
#[test]
#[ignore = "minutes without a release build"]
fn a_million_nodes() {
    on_little_stack(|| {
        for form in FORMS {
            let function = Function::new(move |x: &Tensor| form(x, 1_000_000));
            assert_eq!(function.call(x())?.to_bytes()?, form(&x(), 1_000_000)?.to_bytes()?);
        }
        Ok(())
    });
}
