//! What there is of TensorFlow's and Keras's, of which there are golden values; printed where tests are run.

use crate::{golden::read_manifest, keras, ops};
use modulor::keras::activation::ACTIVATIONS;
use modulor::keras::callback::CALLBACKS;
use modulor::keras::library::LAYERS;
use modulor::keras::loss::LOSSES;
use modulor::keras::metric::METRICS;
use modulor::keras::optimizer::OPTIMIZERS;
use modulor::keras::optimizer::schedule::SCHEDULES;
use modulor::keras::{constraint::CONSTRAINTS, initializer::INITIALIZERS, regularizer::REGULARIZERS};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Keras's classes that do not exist here: of other frameworks, or code in a file, or base classes.
const NEVER: [&str; 7] =
    ["FlaxLayer", "JaxLayer", "Lambda", "MeanMetricWrapper", "TFSMLayer", "TorchModuleWrapper", "Wrapper"];

#[test]
fn what_there_is_is_told() {
    let names: BTreeMap<String, BTreeSet<String>> = read_manifest("names").expect("the fixture is there");
    let kinds = [
        ("layers", "keras.layers", LAYERS),
        ("activations", "keras.activations", ACTIVATIONS),
        ("losses", "keras.losses", LOSSES),
        ("metrics", "keras.metrics", METRICS),
        ("optimizers", "keras.optimizers", OPTIMIZERS),
        ("schedules", "keras.optimizers.schedules", SCHEDULES),
        ("initializers", "keras.initializers", INITIALIZERS),
        ("regularizers", "keras.regularizers", REGULARIZERS),
        ("constraints", "keras.constraints", CONSTRAINTS),
    ];
    // Past the harness, which keeps what a test prints unless it fails.
    let mut out = std::io::stdout().lock();
    let mut tell = |line: String| writeln!(out, "{line}").expect("a place to print to");
    let calls = ops::CASES.len();
    let recorded: BTreeSet<&str> = ops::CASES.iter().map(|case| case.def.name).collect();
    tell(format!("golden values: {} ops of TensorFlow, in {calls} calls", recorded.len()));
    for (kind, module, ours) in kinds {
        let theirs = &names[kind];
        let met = keras::recorded(module);
        let (mut known, mut missing) = (0, Vec::new());
        for name in theirs.iter().filter(|name| !NEVER.contains(&name.as_str())) {
            // Two metrics of values, and not of predictions; the optimizers that have no defaults, and the activation.
            let here = ours.contains(&name.as_str())
                || kind == "metrics" && ["Mean", "Sum"].contains(&name.as_str())
                || kind == "activations" && name == "threshold"
                || kind == "optimizers" && ["LossScaleOptimizer", "MultiOptimizer"].contains(&name.as_str());
            // What an input layer computes is its input.
            assert!(!here || met.contains(name) || name == "InputLayer", "{name} is here, and no row is about it");
            known += usize::from(here);
            missing.extend((!here).then_some(name.as_str()));
        }
        let missing = if missing.is_empty() { String::new() } else { format!("; not {}", missing.join(", ")) };
        tell(format!("golden values: {known} of Keras's {} {kind}{missing}", theirs.len()));
    }
    let table =
        include_str!("../src/from_keras.md").lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let table: Vec<(&str, &str)> = table.collect();
    for name in &names["functions"] {
        let words = format!("`{name}`");
        let rows = table.iter().filter(|(names, _)| format!("`{names}").split(", ").any(|found| found == words));
        assert_eq!(rows.count(), 1, "{name} has one row in from_keras.md");
    }
    tell(format!("from_keras.md says where each of the {} functions of keras.ops is", names["functions"].len()));
    let is_here = |name: &str| CALLBACKS.contains(&name) || name == "CallbackList";
    let (known, missing): (Vec<&String>, Vec<_>) = names["callbacks"].iter().partition(|name| is_here(name.as_str()));
    let missing: Vec<_> = missing.into_iter().map(String::as_str).collect();
    let all = names["callbacks"].len();
    tell(format!("callbacks: {} of Keras's {all}; not {}", known.len(), missing.join(", ")));
}
