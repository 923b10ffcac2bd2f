//! The ops on variables: what they return, and what the variable holds afterwards.

use super::case::{Case, VARIABLES, caught, reals, run};
use super::report::Report;
use super::{accuracy, attributes};
use modulor::graph::trace;
use modulor::tape::Source;
use modulor::{DType, GradientTape, Result, Spec, Tensor, Variable};

impl Case {
    /// The variable before the call, and the inputs with its handle.
    fn begun(&self) -> (Variable, Vec<Tensor>) {
        let variable = Variable::new(self.variable.clone().expect("a case on a variable"));
        let mut inputs = vec![variable.watched().clone()];
        inputs.extend(self.inputs.iter().cloned());
        (variable, inputs)
    }

    /// Compares the outputs, and the variable after the call.
    fn check(&self, variable: &Variable, outputs: &[Tensor], report: &mut Report) {
        accuracy::check(self, outputs, report);
        let (found, expected) = (variable.value().expect("valued"), self.after.as_ref().expect("it succeeds"));
        let alike = match found.dtype() {
            DType::String => found.to_strings().ok() == expected.to_strings().ok(),
            _ => {
                let same = |(a, b): (f64, f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                reals(&found).into_iter().zip(reals(expected)).all(same)
            }
        };
        if found.spec() != expected.spec() || !alike {
            report.add(self, "variable", found, expected);
        }
    }
}

#[test]
fn variables_become_what_they_become_in_tensorflow() {
    let mut report = Report::new("variables");
    for case in VARIABLES.iter() {
        attributes(case, &mut report);
        // Once with nobody else holding the value, and once held.
        for held in [false, true] {
            let (variable, inputs) = case.begun();
            if !held {
                variable
                    .assign(&variable.value().and_then(|value| copy(&value)).expect("plain"))
                    .expect("its own value");
            }
            let before = variable.value().expect("valued");
            let holder = held.then(|| before.clone());
            drop(before);
            match (case.op().and_then(|op| run(&op, &inputs)), &case.golden.error) {
                (Ok(found), None) => case.check(&variable, &found, &mut report),
                (Err(error), None) => report.add(case, "result", format!("{error:?}"), "a result"),
                (Ok(_), Some(expected)) => report.add(case, "error", "a result", expected),
                (Err(error), Some(expected)) => accuracy::check_error(case, &error, expected, &mut report),
            }
            let moved = holder.is_some_and(|held| held.to_string() != case.variable.as_ref().expect("one").to_string());
            if moved {
                report.add(case, "held value", "another", "the value before");
            }
        }
    }
    report.finish();
}

/// The same elements in a place of their own.
fn copy(value: &Tensor) -> Result<Tensor> {
    match value.dtype() {
        DType::String => Tensor::strings(value.dims()?, value.to_strings()?),
        dtype => Tensor::from_bytes(dtype, value.dims()?, &value.to_bytes()?),
    }
}

#[test]
fn a_traced_call_changes_the_variable_when_its_graph_runs() {
    let mut report = Report::new("traced variables");
    for case in VARIABLES.iter() {
        let (variable, inputs) = case.begun();
        let specs: Vec<Spec> = case.inputs.iter().map(|input| input.spec().clone()).collect();
        let found = caught(|| {
            let graph = trace(|x| run(&case.op()?, &[&inputs[..1], x].concat()), &specs)?;
            assert_eq!(variable.version(), 0, "tracing changes nothing");
            graph.run(&case.inputs.iter().collect::<Vec<_>>())
        });
        match (found, &case.golden.error) {
            (Ok(found), None) => case.check(&variable, &found, &mut report),
            (Err(_), Some(_)) => {}
            (found, expected) => report.add(case, "traced", format!("{found:?}"), format!("{expected:?}")),
        }
    }
    report.finish();
}

#[test]
fn the_gradient_of_a_read_arrives_at_the_variable() {
    let mut compared = 0;
    for case in VARIABLES.iter().filter(|case| !case.grads.is_empty()) {
        let (variable, inputs) = case.begun();
        let tape = GradientTape::new();
        let outputs = tape.record(|| run(&case.op()?, &inputs)).expect("it succeeds");
        let weighted = [(outputs[0].clone(), case.dy[0].clone())];
        let found = tape.gradients_with(&weighted, [&variable], Default::default()).expect("recorded");
        let [Some(found), Some(expected)] = [&found[0], &case.grads[0]] else { panic!("no gradient") };
        assert_eq!((found.spec(), reals(found)), (expected.spec(), reals(expected)));
        compared += 1;
    }
    assert!(compared > 0);
}
