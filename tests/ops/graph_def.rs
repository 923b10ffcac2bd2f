//! Every golden case as a GraphDef: of ours, read again; and of TensorFlow's, run by ours.

use super::accuracy;
use super::case::{CASES, Case, VARIABLES, caught, run};
use super::report::Report;
use crate::graph_def::container::{Container, Row};
use modulor::graph::{Graph, trace};
use modulor::{Error, Result, Spec, Tensor, Variable};
use std::collections::HashMap;
use std::path::Path;

/// The case as a GraphDef with a placeholder for each input, as `x0`, and the results `y0`..; with their names.
fn written(case: &Case, handle: Option<&Variable>) -> Result<(Row, Vec<u8>)> {
    let op = case.op()?;
    let specs: Vec<Spec> = case.inputs.iter().map(|input| input.spec().clone()).collect();
    let graph = trace(
        |symbols| {
            let handle = handle.map(|variable| modulor::tape::Source::watched(variable).clone());
            run(&op, &handle.into_iter().chain(symbols.iter().cloned()).collect::<Vec<_>>())
        },
        &specs,
    )?;
    let names = |letter: &str, count: usize| (0..count).map(|i| format!("{letter}{i}")).collect::<Vec<_>>();
    let (inputs, outputs) = (names("x", specs.len()), names("y", graph.outputs().count()));
    let [feeds, fetches] = [&inputs, &outputs].map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
    let bytes = graph.to_graph_def(&feeds, &fetches)?;
    let row = Row {
        op: case.def.name.to_owned(),
        case: case.golden.case.clone(),
        inputs: inputs.into_iter().enumerate().collect(),
        outputs: if outputs.is_empty() && handle.is_some() { vec!["^effects".to_owned()] } else { outputs },
        variables: handle.map(Variable::name).into_iter().collect(),
        length: bytes.len(),
    };
    Ok((row, bytes))
}

/// What a GraphDef computes of the inputs of a case.
fn computed(case: &Case, row: &Row, bytes: &[u8], handle: Option<&Variable>) -> Result<Vec<Tensor>> {
    let feeds: Vec<&str> = row.inputs.iter().map(|(_, name)| &**name).collect();
    let fetches: Vec<&str> = row.outputs.iter().map(|name| &**name).collect();
    let graph = caught(|| Graph::from_graph_def(bytes, &feeds, &fetches, |_, _| handle.cloned()))?;
    let values: Vec<&Tensor> = row.inputs.iter().map(|(i, _)| &case.inputs[*i]).collect();
    caught(|| graph.run(&values))
}

#[test]
fn every_case_is_written_and_read_again() {
    let mut report = Report::new("GraphDefs");
    let mut container = Container::default();
    for case in CASES.iter() {
        let Ok(eager) = case.run() else { continue };
        match caught(|| written(case, None)) {
            Ok((row, bytes)) => {
                report.same(case, "read again", &computed(case, &row, &bytes, None), &eager);
                // What TensorFlow has no kernel of its own for is no case of its.
                if case.golden.error.is_none() {
                    container.add(row, &bytes);
                }
            }
            Err(error) => report.add(case, "written", error, "a GraphDef"),
        }
    }
    for case in VARIABLES.iter().filter(|case| case.golden.error.is_none()) {
        let variable = Variable::new(case.variable.clone().expect("a case on a variable"));
        let both = caught(|| {
            let (row, bytes) = written(case, Some(&variable))?;
            let found = computed(case, &row, &bytes, Some(&variable))?;
            Ok((row, bytes, found))
        });
        let (row, bytes, found) = match both {
            Ok(both) => both,
            Err(error) => {
                report.add(case, "written", error, "a GraphDef");
                continue;
            }
        };
        accuracy::check(case, &found, &mut report);
        let after = case.after.clone().ok_or_else(|| Error::internal("it succeeds"));
        report.same(case, "after", &variable.value().map(|value| vec![value]), &[after.expect("recorded")]);
        container.add(row, &bytes);
    }
    assert!(container.rows.len() > 6000, "{}", container.rows.len());
    container.write("cases.zip");
    report.finish();
}

#[test]
fn graphs_that_tensorflow_traced_give_its_results() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/graph_defs.zip");
    let cases: HashMap<(&str, &str), &Case> =
        CASES.iter().map(|case| ((case.def.name, &*case.golden.case), case)).collect();
    let mut report = Report::new("values");
    let mut known = 0;
    for (row, bytes) in Container::read(&path).iter() {
        let Some(case) = cases.get(&(&*row.op, &*row.case)) else { continue };
        known += 1;
        match computed(case, row, bytes, None) {
            Ok(found) => accuracy::check(case, &found, &mut report),
            Err(error) => {
                let bare = Error::new(error.kind(), error.message());
                report.add(case, "result", format!("{bare:?}"), "a result");
            }
        }
    }
    let successes = CASES.iter().filter(|case| case.golden.error.is_none()).count();
    assert_eq!(known, successes, "`python tests/golden/generate.py graph_defs` traces what is missing");
    report.finish_some();
}
