//! Every op of the registry against every golden case of it.
//!
//! What is checked of an op follows from its row and from what TensorFlow recorded: nothing here knows an op by name
//! but the few lists that say so.

mod accuracy;
mod allocation;
mod case;
mod coverage;
mod fused;
mod gradient;
mod graph_def;
mod in_place;
mod inference;
mod report;
mod variable;
mod view;

pub use allocation::{allocations, asked, bytes_asked};
use case::VARIABLES;
pub use case::{CASES, Case, caught, run, tensor};
use modulor::registry;
use report::Report;
use std::collections::BTreeSet;

/// Ops that take graphs, lists or handles, which no golden case of an op has: whole programs of TensorFlow do, in `tests/flow`.
const IN_PROGRAMS: [&str; 32] = [
    "If",
    "StatelessIf",
    "Case",
    "StatelessCase",
    "While",
    "StatelessWhile",
    "PartitionedCall",
    "StatefulPartitionedCall",
    "EmptyTensorList",
    "TensorListReserve",
    "TensorListPushBack",
    "TensorListPopBack",
    "TensorListStack",
    "TensorListFromTensor",
    "TensorListGetItem",
    "TensorListSetItem",
    "TensorListElementShape",
    "VariableShape",
    "TensorListLength",
    "OptionalFromValue",
    "OptionalNone",
    "OptionalHasValue",
    "OptionalGetValue",
    // In the unit tests beside them.
    "HashTableV2",
    "MutableHashTableV2",
    "InitializeTableV2",
    "LookupTableImportV2",
    "LookupTableInsertV2",
    "LookupTableFindV2",
    "LookupTableRemoveV2",
    "LookupTableSizeV2",
    "LookupTableExportV2",
];

#[test]
fn every_op_has_a_golden_case() {
    let recorded: BTreeSet<&str> = CASES.iter().chain(VARIABLES.iter()).map(|case| case.def.name).collect();
    let known = |name: &&str| recorded.contains(name) || IN_PROGRAMS.contains(name);
    let missing: Vec<_> = registry::ops().map(|def| def.name).filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "no golden case for {missing:?}: add some to tests/golden");
}

#[test]
fn no_op_is_listed_twice() {
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = registry::ops().map(|def| def.name).filter(|name| !seen.insert(*name)).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn values_errors_and_attributes_are_tensorflows() {
    let mut report = Report::new("values");
    for case in CASES.iter() {
        attributes(case, &mut report);
        match (case.run(), &case.golden.error) {
            (Ok(found), None) => accuracy::check(case, &found, &mut report),
            (Err(error), None) => report.add(case, "result", format!("{error:?}"), "a result"),
            (Ok(_), Some(expected)) => report.add(case, "error", "a result", expected),
            (Err(error), Some(expected)) => accuracy::check_error(case, &error, expected, &mut report),
        }
    }
    report.finish();
}

/// What an op says of its attributes is what TensorFlow's node says, and gives the same op when it is read.
fn attributes(case: &Case, report: &mut Report) {
    let Ok(op) = case.op() else { return };
    let attrs = op.attrs();
    match (case.def.parse)(&attrs).map(|again| again.attrs()) {
        Ok(again) if again == attrs => {}
        again => report.add(case, "attrs again", format!("{again:?}"), format!("{attrs:?}")),
    }
    for (name, value) in attrs.iter() {
        let given = case.attrs.get(name);
        if given != Some(value) {
            report.add(case, "attrs", format!("{name}={value:?}"), format!("{given:?}"));
        }
    }
}

#[test]
fn four_threads_at_once_give_the_same_bits() {
    let alone: Vec<_> = CASES.iter().map(|case| case.run().ok()).collect();
    let reports = std::thread::scope(|scope| {
        let all = [(); 4].map(|()| {
            scope.spawn(|| {
                let mut report = Report::new("threads");
                for (case, alone) in CASES.iter().zip(&alone) {
                    let Some(alone) = alone else { continue };
                    report.same(case, "beside other threads", &case.run(), alone);
                }
                report
            })
        });
        all.map(|thread| thread.join().expect("panics of ops are caught"))
    });
    reports.into_iter().for_each(Report::finish);
}
