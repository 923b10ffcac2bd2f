//! Graphs of SavedModels that TensorFlow wrote: what is read of them computes what TensorFlow computed.

use modulor::checkpoint::bundle::Bundle;
use modulor::graph::Graph;
use modulor::{DType, Spec, Tensor, Variable};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Models that need what is not there yet, and what the error says of it: a table that nobody has filled from its file.
const REFUSED: &[(&str, &str)] = &[("sm_assets", "the table was not filled yet")];

/// The bytes of the fields of a message that have this number.
fn fields(mut message: &[u8], wanted: u64) -> Vec<&[u8]> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = message.split_first().expect("a whole message");
            *message = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        if tag & 7 == 0 {
            varint(&mut message);
            continue;
        }
        assert_eq!(tag & 7, 2, "of the fields of SavedModel and MetaGraphDef all others are bytes");
        let length = varint(&mut message) as usize;
        let (field, rest) = message.split_at(length);
        if tag >> 3 == wanted {
            found.push(field);
        }
        message = rest;
    }
    found
}

/// An array of expected.json that is there as a whole.
fn array(value: &Value) -> Option<Tensor> {
    let number = |value: &Value| match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let data: Vec<f64> = value["data"].as_array()?.iter().map(number).collect::<Option<_>>()?;
    let dims: Vec<usize> = value["shape"].as_array()?.iter().map(|dim| dim.as_u64().expect("a dim") as usize).collect();
    let dtype = DType::from_name(value["dtype"].as_str()?).ok()?;
    Tensor::new(dims, data).ok()?.cast(dtype).ok()
}

/// A model's variables, found by the names that their handles share.
struct Variables {
    bundle: Option<Bundle>,
    rows: Vec<Value>,
    taken: Vec<(usize, Variable)>,
}

impl Variables {
    /// The first row of this name and shape that no other handle has.
    fn find(&mut self, shared: &str, spec: &Spec) -> Option<Variable> {
        let base = shared.rsplit_once('_').filter(|(_, digits)| digits.parse::<u32>().is_ok()).map(|(base, _)| base);
        let fits = |row: &Value, name: &str| {
            let dims = row["shape"].as_array().into_iter().flatten().map(|dim| dim.as_u64().map(|dim| dim as usize));
            row["name"] == name
                && !row["path"].as_str().is_some_and(|path| path.starts_with("_all_variables"))
                && spec.shape.known().is_some_and(|known| known.iter().copied().map(Some).eq(dims))
        };
        let is_free = |at: &usize| self.taken.iter().all(|(other, _)| other != at);
        let find = |name: &str| (0..self.rows.len()).find(|at| is_free(at) && fits(&self.rows[*at], name));
        let bundle = self.bundle.as_ref()?;
        let Some(at) = find(shared).or_else(|| find(base?)) else {
            // A file of TensorFlow 1 has no paths.
            return bundle.read(shared).ok().map(Variable::new);
        };
        let key = format!("{}/.ATTRIBUTES/VARIABLE_VALUE", self.rows[at]["path"].as_str()?);
        let variable = Variable::new(bundle.read(&key).ok()?);
        self.taken.push((at, variable.clone()));
        Some(variable)
    }
}

#[test]
fn signatures_of_saved_models_compute_what_tensorflow_computed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/fixtures");
    let mut models: Vec<PathBuf> =
        fs::read_dir(folder).expect("fixtures").map(|entry| entry.expect("one").path()).collect();
    models.retain(|path| path.join("saved_model/saved_model.pb").exists());
    models.sort();
    let (mut calls, mut refused) = (0, 0);
    for path in models {
        let name = path.file_name().expect("a folder").to_string_lossy().into_owned();
        let file = fs::read(path.join("saved_model/saved_model.pb")).expect("readable");
        let [meta] = fields(&file, 2)[..] else { panic!("{name}: one graph") };
        let [graph] = fields(meta, 2)[..] else { panic!("{name}: one graph") };
        let text = fs::read(path.join("expected.json")).expect("readable");
        let expected: Value = serde_json::from_slice(&text).expect("JSON");
        let saved = &expected["saved_model"];
        for call in saved["signature_calls"].as_array().into_iter().flatten() {
            let signature = &saved["signatures"][call["signature"].as_str().expect("a name")];
            // Names of tensors, and the tensors.
            let named = |what: &str| -> Option<Vec<(&str, Tensor)>> {
                let arrays = call[what].as_object()?.iter();
                arrays.map(|(key, value)| Some((signature[what][key]["tensor"].as_str()?, array(value)?))).collect()
            };
            let (inputs, outputs) = match (named("inputs"), named("outputs")) {
                (Some(inputs), Some(outputs)) => (inputs, outputs),
                _ if REFUSED.iter().any(|(model, _)| *model == name) => (Vec::new(), Vec::new()),
                _ => continue,
            };
            let (mut feeds, mut values): (Vec<&str>, Vec<&Tensor>) =
                inputs.iter().map(|(name, value)| (*name, value)).unzip();
            let words = Tensor::strings([2], ["a", "b"]).expect("two");
            if inputs.is_empty() {
                let tensors = signature["inputs"].as_object().expect("inputs").values();
                feeds = tensors.map(|input| input["tensor"].as_str().expect("a name")).collect();
                values = vec![&words; feeds.len()];
            }
            let tensors = signature["outputs"].as_object().expect("outputs").values();
            let fetches: Vec<&str> = match outputs.is_empty() {
                true => tensors.map(|output| output["tensor"].as_str().expect("a name")).collect(),
                false => outputs.iter().map(|(name, _)| *name).collect(),
            };
            let mut variables = Variables {
                bundle: Bundle::open(path.join("saved_model/variables/variables")).ok(),
                rows: saved["variables"].as_array().cloned().unwrap_or_default(),
                taken: Vec::new(),
            };
            let read = Graph::from_graph_def(graph, &feeds, &fetches, |name, spec| variables.find(name, spec));
            if let Some((_, wanted)) = REFUSED.iter().find(|(model, _)| *model == name) {
                let error = read.and_then(|graph| graph.run(&values)).expect_err("it needs what is not there");
                assert!(error.message().contains(wanted), "{name}: {error}");
                refused += 1;
                continue;
            }
            let results = read.and_then(|graph| graph.run(&values)).unwrap_or_else(|error| panic!("{name}: {error}"));
            for ((tensor, expected), found) in outputs.iter().zip(&results) {
                assert_eq!(found.spec(), expected.spec(), "{name}: {tensor}");
                let [found, expected] =
                    [found, expected].map(|t| t.cast(DType::F64).and_then(|t| t.to_vec::<f64>()).expect("numbers"));
                for (found, expected) in found.iter().zip(&expected) {
                    let near = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
                    assert!(near || found == expected, "{name}: {tensor}: {found}, expected {expected}");
                }
            }
            calls += 1;
        }
    }
    assert!(calls >= 17 && refused >= 1, "{calls} calls, {refused} refused");
}
