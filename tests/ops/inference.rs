//! Inference foretells evaluation, and a traced call computes what an eager one does.

use super::case::{CASES, Case, caught, run};
use super::report::Report;
use modulor::graph::trace;
use modulor::op::{Effect, Input, Op};
use modulor::{Function, Result, Shape, Spec, Tensor};
use std::sync::Arc;

/// What is known of an input while a graph is traced.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// The value.
    Value,
    /// Dtype and every dim.
    Dims,
    /// Dtype and every dim but the first.
    NotDim0,
    /// The dtype.
    DType,
}

/// What to try for so many inputs, and what to call it: all symbols, and each alone among values.
fn knowledge(inputs: usize) -> Vec<(String, Vec<Known>)> {
    let kinds = [(Known::Dims, "dims known"), (Known::NotDim0, "dim 0 unknown"), (Known::DType, "rank unknown")];
    let mut all = Vec::new();
    for (kind, what) in kinds {
        all.push((format!("all inputs symbols, {what}"), vec![kind; inputs]));
        if inputs > 1 {
            all.extend((0..inputs).map(|symbol| {
                let known = (0..inputs).map(|i| if i == symbol { kind } else { Known::Value });
                (format!("input {symbol} a symbol, {what}"), known.collect())
            }));
        }
    }
    all
}

fn spec(tensor: &Tensor, known: Known) -> Spec {
    let mut dims = tensor.shape().dims().expect("a value");
    if let (Known::NotDim0, Some(first)) = (known, dims.first_mut()) {
        *first = None;
    }
    let shape = if known == Known::DType { Shape::unknown() } else { dims.into() };
    Spec::new(tensor.dtype(), shape)
}

/// Traces the op over symbols where a value is not known, and runs the graph on the values.
fn traced(op: &Arc<dyn Op>, inputs: &[Tensor], known: &[Known]) -> Result<(Vec<Spec>, Vec<Tensor>)> {
    let fed: Vec<usize> = (0..inputs.len()).filter(|&i| known[i] != Known::Value).collect();
    let specs: Vec<Spec> = fed.iter().map(|&i| spec(&inputs[i], known[i])).collect();
    let graph = trace(
        |symbols| {
            let mut all = inputs.to_vec();
            fed.iter().zip(symbols).for_each(|(&i, symbol)| all[i] = symbol.clone());
            run(op, &all)
        },
        &specs,
    )?;
    let values: Vec<&Tensor> = fed.iter().map(|&i| &inputs[i]).collect();
    Ok((graph.outputs().cloned().collect(), graph.run(&values)?))
}

#[test]
fn inference_gives_the_specs_of_evaluation() {
    let mut report = Report::new("specs");
    for case in CASES.iter() {
        let (Ok(op), Ok(outputs)) = (case.op(), case.run()) else { continue };
        let inputs: Vec<Input> =
            case.inputs.iter().map(|tensor| Input { spec: tensor.spec(), value: Some(tensor) }).collect();
        let found = caught(|| op.infer(&inputs));
        let agree = found.as_ref().is_ok_and(|specs| {
            specs.len() == outputs.len()
                && specs
                    .iter()
                    .zip(&outputs)
                    .all(|(spec, output)| spec.dtype == output.dtype() && spec.shape.is_compatible_with(output.shape()))
        });
        if !agree {
            report.add(case, "specs", format!("{found:?}"), format!("{outputs:?}"));
        }
    }
    report.finish();
}

#[test]
fn a_traced_call_gives_the_bits_of_an_eager_one() {
    let mut report = Report::new("traced");
    for case in CASES.iter() {
        let Ok(eager) = case.run() else { continue };
        for (what, known) in knowledge(case.inputs.len()) {
            let found = caught(|| traced(&case.op()?, &case.inputs, &known));
            if let Ok((specs, _)) = &found {
                for (spec, output) in specs.iter().zip(&eager) {
                    if spec.dtype != output.dtype() || !spec.shape.is_compatible_with(output.shape()) {
                        report.add(case, &what, spec, output.spec());
                    }
                }
            }
            report.same(case, &what, &found.map(|(_, outputs)| outputs), &eager);
        }
    }
    report.finish();
}

/// As [`traced`], as a compiled function, twice.
fn compiled(case: &Case, known: &[Known]) -> Result<[Vec<Tensor>; 2]> {
    let fed: Vec<usize> = (0..known.len()).filter(|&i| known[i] != Known::Value).collect();
    let specs = fed.iter().map(|&i| Tensor::placeholder(spec(&case.inputs[i], known[i]))).collect::<Vec<_>>();
    let values: Vec<Tensor> = fed.iter().map(|&i| case.inputs[i].clone()).collect();
    let (op, inputs) = (case.op()?, case.inputs.clone());
    let function = Function::new(move |symbols: &Vec<Tensor>| {
        let mut all = inputs.clone();
        fed.iter().zip(symbols).for_each(|(&i, symbol)| all[i] = symbol.clone());
        run(&op, &all)
    });
    let function = function.taking(&specs);
    Ok([function.call(&values)?, function.call(&values)?])
}

#[test]
fn a_compiled_call_gives_the_bits_of_an_eager_one() {
    let mut report = Report::new("compiled");
    for case in CASES.iter() {
        let Ok(eager) = case.run() else { continue };
        // One that draws goes on with its stream.
        let draws = case.op().is_ok_and(|op| op.effect() != Effect::Pure);
        for (what, known) in knowledge(case.inputs.len()) {
            if draws || known.contains(&Known::DType) {
                continue;
            }
            match caught(|| compiled(case, &known)) {
                Ok([first, second]) => {
                    report.same(case, &what, &Ok(first), &eager);
                    report.same(case, &what, &Ok(second), &eager);
                }
                Err(error) => report.same(case, &what, &Err(error), &eager),
            }
        }
    }
    report.finish();
}

/// What TensorFlow refuses, a graph refuses: while it is traced, or when it runs.
#[test]
fn a_traced_call_refuses_what_an_eager_one_does() {
    let mut report = Report::new("traced refusals");
    for case in CASES.iter().filter(|case| case.run().is_err()) {
        let Ok(op) = case.op() else { continue };
        for (what, known) in knowledge(case.inputs.len()) {
            match caught(|| traced(&op, &case.inputs, &known)) {
                Ok(_) => report.add(case, &what, "a result", "an error"),
                Err(error) if error.message().contains("PANIC") => report.add(case, &what, error, "an error"),
                Err(_) => {}
            }
        }
    }
    report.finish();
}

#[test]
fn the_value_of_a_symbol_is_an_error_that_names_the_op() {
    fn look(case: &Case, report: &mut Report) -> Result<()> {
        let (Ok(op), Ok(eager)) = (case.op(), case.run()) else { return Ok(()) };
        let specs: Vec<Spec> = case.inputs.iter().map(|input| spec(input, Known::NotDim0)).collect();
        trace(
            |symbols| {
                let outputs = run(&op, symbols)?;
                for (output, eager) in outputs.iter().zip(&eager).filter(|(output, _)| output.is_symbolic()) {
                    let looks = [output.to_bytes().err(), output.to_strings().err(), output.item::<f32>().err()];
                    for error in looks {
                        if error.as_ref().and_then(|error| error.op()) != Some(case.def.name) {
                            report.add(case, "value of a symbol", format!("{error:?}"), eager.spec());
                        }
                    }
                }
                Ok(outputs)
            },
            &specs,
        )?;
        Ok(())
    }
    let mut report = Report::new("values of symbols");
    for case in CASES.iter() {
        if let Err(error) = caught(|| look(case, &mut report)) {
            report.add(case, "tracing", format!("{error:?}"), "symbols");
        }
    }
    report.finish();
}
