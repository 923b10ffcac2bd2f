//! The program on files that TensorFlow wrote: what it prints, what it makes of them, and how it ends.

use modulor::checkpoint::bundle::Bundle;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How a command ended.
struct End {
    status: i32,
    stdout: String,
    stderr: String,
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modulor"));
    command.arg("checkpoint");
    command
}

/// Runs `modulor checkpoint` with these arguments.
fn modulor(arguments: &[&str]) -> End {
    let output = command().args(arguments).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let status = output.status.code().expect("no signal ended it");
    End { status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What it prints when all is well.
fn said(arguments: &[&str]) -> String {
    let End { status, stdout, stderr } = modulor(arguments);
    assert_eq!((status, &*stderr), (0, ""), "{arguments:?}");
    stdout
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&said(arguments)).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/fixtures")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The prefix of a fixture's checkpoint.
fn fixture(name: &str) -> String {
    text(&root().join(name).join("ckpt/model")).to_owned()
}

/// The names of all fixtures with a checkpoint, with what TensorFlow lists of each; of the one that has very many, a few.
fn fixtures() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root()).expect("the folder exists") {
        let path = entry.expect("readable").path();
        if path.join("ckpt/model.index").exists() {
            let expected = fs::read_to_string(path.join("expected.json")).expect("beside every fixture");
            let expected: Value = serde_json::from_str(&expected).expect("JSON");
            let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
            found.push((name, expected["checkpoint"]["tensors"].clone()));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(found.len() >= 18, "{} fixtures", found.len());
    found
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room")
}

fn inside(folder: &TempDir, name: &str) -> String {
    text(&folder.path().join(name)).to_owned()
}

fn bytes(prefix: &str, suffix: &str) -> Vec<u8> {
    fs::read(format!("{prefix}{suffix}")).unwrap_or_else(|error| panic!("{prefix}{suffix}: {error}"))
}

/// A copy of a fixture's files, to be damaged.
fn copied(name: &str, to: &TempDir) -> String {
    for entry in fs::read_dir(root().join(name).join("ckpt")).expect("the folder exists") {
        let path = entry.expect("readable").path();
        fs::copy(&path, to.path().join(path.file_name().expect("a file"))).expect("there is room");
    }
    inside(to, "model")
}

#[test]
fn a_list_is_what_tensorflow_lists() {
    for (name, expected) in fixtures() {
        let listed = json(&["list", &fixture(&name), "--json"]);
        let (listed, expected) = (listed.as_array().expect("an array"), expected.as_array().expect("an array"));
        let fields = |row: &Value, name: &str| (row[name].clone(), row["dtype"].clone(), row["shape"].clone());
        let many = name == "ckpt_many";
        let known = |row: &&Value| !many || expected.iter().any(|other| other["key"] == row["name"]);
        let listed: Vec<&Value> = listed.iter().filter(known).collect();
        let listed_rows: Vec<_> = listed.iter().map(|row| fields(row, "name")).collect();
        let expected_rows: Vec<_> = expected.iter().map(|row| fields(row, "key")).collect();
        assert!(listed_rows == expected_rows, "{name}: {listed_rows:?}");
        for (row, expected) in listed.iter().zip(expected) {
            if let Some(bytes) = expected.get("nbytes") {
                assert_eq!(row["bytes"], *bytes, "{name}: {}", row["name"]);
            }
        }
    }
}

#[test]
fn a_list_is_an_aligned_table_and_a_prefix_may_be_the_index() {
    let table = "\
name                                        dtype    shape   bytes
_CHECKPOINTABLE_OBJECT_GRAPH                string   ()        379
model/dense_1/b/.ATTRIBUTES/VARIABLE_VALUE  float32  (3,)       12
model/dense_1/w/.ATTRIBUTES/VARIABLE_VALUE  float32  (3, 3)     36
model/dense_2/b/.ATTRIBUTES/VARIABLE_VALUE  float32  (2,)        8
model/dense_2/w/.ATTRIBUTES/VARIABLE_VALUE  float32  (3, 2)     24
";
    let prefix = fixture("seed_sequential");
    assert_eq!(said(&["list", &prefix]), table);
    assert_eq!(said(&["list", &format!("{prefix}.index")]), table);
}

#[test]
fn a_value_is_shown_as_tensors_print() {
    let prefix = fixture("seed_sequential");
    let shown = "\
model/dense_2/w/.ATTRIBUTES/VARIABLE_VALUE
float32 (3, 2), 24 bytes
[[-0.1280102  -0.94814754]
 [ 0.09932496 -0.12935522]
 [-0.1592644  -0.33933035]]
";
    assert_eq!(said(&["show", &prefix, "model/dense_2/w/.ATTRIBUTES/VARIABLE_VALUE"]), shown);
    assert_eq!(said(&["show", &prefix, "model/dense_2/w"]), shown, "the end of the key may be left out");

    let large = said(&["show", &fixture("ckpt_many"), "_CHECKPOINTABLE_OBJECT_GRAPH"]);
    assert!(large.contains("\nstring (), ") && large.contains("\nb'"), "{large}");
    let float8 = said(&["show", &fixture("ckpt_dtypes"), "model/float8_e5m2_vec"]);
    assert!(
        float8.ends_with("float8_e5m2 (4,), 4 bytes\n(values of float8_e5m2 can be copied and compared, not shown)\n")
    );
}

#[test]
fn every_value_that_tensorflow_reads_is_the_same_in_json() {
    let mut compared = 0;
    for (name, expected) in fixtures() {
        for row in expected.as_array().expect("an array") {
            let (key, dtype) = (row["key"].as_str().expect("a key"), row["dtype"].as_str().expect("a dtype"));
            let Some(data) = row["data"].as_array().filter(|_| !dtype.contains("complex") && !dtype.contains("float8"))
            else {
                continue;
            };
            let shown = json(&["show", &fixture(&name), key, "--json"]);
            assert_eq!((&shown["name"], &shown["dtype"], &shown["shape"]), (&row["key"], &row["dtype"], &row["shape"]));
            let mut flat = Vec::new();
            flatten(&shown["value"], &mut flat);
            let numbers = |values: &[Value]| values.iter().map(number).collect::<Vec<_>>();
            assert_eq!(numbers(&flat), numbers(data), "{name}: {key}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared} values");
}

fn flatten(value: &Value, out: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, out)),
        item => out.push(item.clone()),
    }
}

/// A value as what is compared: 1 and 1.0 are one number.
fn number(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn a_key_that_is_not_there_is_answered_with_the_nearest() {
    let prefix = fixture("seed_sequential");
    let End { status, stdout, stderr } = modulor(&["show", &prefix, "model/dense_1/W"]);
    let expected = format!(
        "error: {prefix}: has no tensor \"model/dense_1/W\"\n    \
         the nearest are \"model/dense_1/b\", \"model/dense_1/w\", \"model/dense_2/b\"\n"
    );
    assert_eq!((status, &*stdout, stderr), (1, "", expected));
}

#[test]
fn what_tensorflow_wrote_is_whole() {
    for (name, expected) in fixtures() {
        let answer = said(&["verify", &fixture(&name)]);
        let tensors = if name == "ckpt_many" { 1201 } else { expected.as_array().expect("an array").len() };
        assert!(answer.starts_with(&format!("OK: {tensors} tensor")), "{name}: {answer}");
    }
    assert_eq!(said(&["verify", &fixture("ckpt_sharded")]), "OK: 6 tensors, 2144 bytes in 3 data files\n");
}

#[test]
fn a_flipped_byte_is_found() {
    let folder = folder();
    let prefix = copied("seed_sequential", &folder);
    let data = format!("{prefix}.data-00000-of-00001");
    let mut flipped = fs::read(&data).expect("copied");
    flipped[40] ^= 1;
    fs::write(&data, flipped).expect("ours");

    let End { status, stdout, stderr } = modulor(&["verify", &prefix]);
    assert_eq!((status, &*stdout), (1, "DAMAGED: 1 fault in 5 tensors, 459 bytes in 1 data file\n"));
    let key = "model/dense_1/b/.ATTRIBUTES/VARIABLE_VALUE";
    let start = format!("error: {data}: key {key:?}: bytes [36, +12): their checksum is 0x");
    assert!(stderr.starts_with(&start) && stderr.ends_with(", and stored is 0x26cfcf00\n"), "{stderr}");

    // No file comes of it, and nothing of one.
    for command in ["copy", "convert"] {
        let out = inside(&folder, "out/model.safetensors");
        let out = if command == "copy" { inside(&folder, "out/model") } else { out };
        let End { status, stderr, .. } = modulor(&[command, &prefix, &out]);
        assert_eq!(status, 1, "{command}");
        assert!(stderr.contains("bytes [36, +12): their checksum is "), "{command}: {stderr}");
        let left = fs::read_dir(folder.path().join("out")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{command}");
    }
}

#[test]
fn a_graph_is_a_tree_and_a_file_without_one_says_so() {
    let tree = said(&["graph", &fixture("ckpt_containers")]);
    assert_eq!(tree, include_str!("containers.txt"));

    let prefix = fixture("ckpt_v1_saver");
    let End { status, stdout, stderr } = modulor(&["graph", &prefix]);
    let expected = format!(
        "error: {prefix}: has no object graph\n    \
         its values have names only, as `modulor checkpoint list` prints them\n"
    );
    assert_eq!((status, &*stdout, stderr), (1, "", expected));
}

#[test]
fn a_copy_has_the_same_bits_and_where_tensorflow_wrote_one_file_the_same_bytes() {
    let (folder, mut alike) = (folder(), 0);
    for (name, _) in fixtures() {
        let (from, to) = (fixture(&name), inside(&folder, &name));
        assert_eq!(said(&["copy", &from, &to]), "");
        assert_eq!(said(&["diff", &from, &to]), "", "{name}");
        said(&["verify", &to]);
        let (old, new) = (Bundle::open(&from).expect("it verified"), Bundle::open(&to).expect("it verified"));
        assert!(new.entries().all(|(_, entry)| entry.slices.is_empty()), "{name}: all are whole");
        let sliced = old.entries().any(|(_, entry)| !entry.slices.is_empty());
        if old.shards().len() == 1 && !sliced {
            for suffix in [".index", ".data-00000-of-00001"] {
                assert!(bytes(&from, suffix) == bytes(&to, suffix), "{name}{suffix}");
            }
            alike += 1;
        }
    }
    assert!(alike >= 15, "{alike} of one file");
}

#[test]
fn a_copy_has_as_many_data_files_as_wanted() {
    let folder = folder();
    for (name, shards) in
        [("keras_transformer", "5"), ("ckpt_sharded_tf", "2"), ("ckpt_dtypes", "3"), ("seed_simple", "9")]
    {
        let (from, to) = (fixture(name), inside(&folder, name));
        said(&["copy", &from, &to, "--shards", shards]);
        assert_eq!(Bundle::open(&to).expect("it was written").shards().len().to_string(), shards);
        assert_eq!(said(&["diff", &from, &to]), "", "{name}");
        let back = inside(&folder, &format!("{name}-back"));
        said(&["copy", &to, &back, "--shards", "1"]);
        assert_eq!(said(&["diff", &from, &back]), "", "{name}");
    }
    // In place: what the names say changes in one step.
    let prefix = copied("ckpt_sharded", &folder);
    said(&["copy", &prefix, &prefix, "--shards", "1"]);
    assert_eq!(said(&["diff", &prefix, &fixture("ckpt_sharded")]), "");
}

#[test]
fn a_difference_is_said_and_is_the_exit_status() {
    let (a, b) = (fixture("seed_sequential"), fixture("seed_flexible"));
    assert_eq!(modulor(&["diff", &a, &a]).status, 0);
    let End { status, stdout, stderr } = modulor(&["diff", &a, &fixture("ckpt_sharded")]);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!((status, &*stderr, lines.len()), (1, "", 2), "{stdout}");
    assert_eq!(lines[0], "_CHECKPOINTABLE_OBJECT_GRAPH: 1 of 1 elements differ");
    let extra = format!("model/extra/.ATTRIBUTES/VARIABLE_VALUE: float32(40, 10) only in {}", fixture("ckpt_sharded"));
    assert_eq!(lines[1], extra);
    assert_eq!(modulor(&["diff", &b, &a]).status, 1);

    let folder = folder();
    let changed = |name: &str, offset: usize, bytes: &[u8]| {
        // As TensorFlow would have written other values: with their checksums.
        let from = Bundle::open(&a).expect("a fixture");
        let to = inside(&folder, name);
        let mut writer = modulor::checkpoint::bundle::BundleWriter::new(&to);
        for (key, entry) in from.entries() {
            if key.starts_with("model/dense_1/b") {
                let mut all = from.read_bytes(key).expect("it verified");
                all[offset..offset + bytes.len()].copy_from_slice(bytes);
                writer.add_bytes(key, entry.dtype, &entry.shape, all).expect("as many bytes");
            } else {
                writer.add_copy(key, &from, key).expect("it is there");
            }
        }
        writer.commit().expect("there is room");
        modulor(&["diff", &a, &to]).stdout
    };
    let key = "model/dense_1/b/.ATTRIBUTES/VARIABLE_VALUE";
    // [0.35146284, -0.91057563, -0.31339267]
    let two: Vec<u8> = [2.0_f32, 1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let said = changed("two", 0, &two);
    assert_eq!(said, format!("{key}: 2 of 3 elements differ, by at most 1.9105756282806396\n"));
    let said = changed("nan", 8, &f32::NAN.to_le_bytes());
    assert_eq!(said, format!("{key}: 1 of 3 elements differ, by at most NaN\n"));
}

#[test]
fn there_and_back_through_safetensors_nothing_is_lost_but_the_graph() {
    let (folder, mut there_and_back) = (folder(), 0);
    for (name, expected) in fixtures() {
        let (from, file) = (fixture(&name), inside(&folder, &format!("{name}.safetensors")));
        let refused = expected.as_array().expect("an array").iter().find(|row| {
            let dtype = row["dtype"].as_str().expect("a dtype");
            row["key"] != "_CHECKPOINTABLE_OBJECT_GRAPH" && ["string", "complex128"].contains(&dtype)
                || dtype.starts_with("float8")
        });
        if refused.is_some() {
            let End { status, stderr, .. } = modulor(&["convert", &from, &file]);
            assert_eq!(status, 1, "{name}");
            assert!(stderr.starts_with("error: ") && !Path::new(&file).exists(), "{name}: {stderr}");
            continue;
        }
        said(&["convert", &from, &file]);
        let back = inside(&folder, &name);
        said(&["convert", &file, &back]);
        let (old, new) = (Bundle::open(&from).expect("a fixture"), Bundle::open(&back).expect("it was written"));
        for (key, entry) in old.entries().filter(|(key, _)| *key != "_CHECKPOINTABLE_OBJECT_GRAPH") {
            // Values that had names only have become variables.
            let suffix = if key.contains("/.ATTRIBUTES/") { "" } else { "/.ATTRIBUTES/VARIABLE_VALUE" };
            let there = format!("{key}{suffix}");
            assert_eq!(new.entry(&there).map(ToString::to_string), Some(entry.to_string()), "{name}: {key}");
            assert!(old.read_bytes(key).expect("whole") == new.read_bytes(&there).expect("whole"), "{name}: {key}");
        }
        assert!(said(&["graph", &back]).starts_with(".\n"), "{name}");
        there_and_back += 1;
    }
    assert!(there_and_back >= 15, "{there_and_back} fixtures");
}

#[test]
fn one_of_the_two_is_a_safetensors_file() {
    let from = fixture("seed_simple");
    let End { status, stderr, .. } = modulor(&["convert", &from, "out"]);
    let note = "    `modulor checkpoint copy` makes a checkpoint of a checkpoint\n";
    assert_eq!((status, stderr), (1, format!("error: neither of {from} and out end with .safetensors\n{note}")));
    let End { stderr, .. } = modulor(&["convert", "a.safetensors", "b.safetensors"]);
    assert!(stderr.starts_with("error: both of a.safetensors and b.safetensors end"), "{stderr}");
}

#[test]
fn a_tensor_that_safetensors_cannot_hold_is_named() {
    let folder = folder();
    let prefix = inside(&folder, "text");
    let mut writer = modulor::checkpoint::bundle::BundleWriter::new(&prefix);
    writer.add("words", &modulor::Tensor::strings([1], ["a"]).expect("one")).expect("new");
    writer.commit().expect("there is room");
    let file = inside(&folder, "text.safetensors");
    let End { status, stderr, .. } = modulor(&["convert", &prefix, &file]);
    let expected = format!("error: {file}: tensor \"words\": string tensors have no place in safetensors\n");
    assert_eq!((status, stderr), (1, expected));
}

#[test]
fn errors_end_with_1_and_misuse_with_2() {
    for arguments in [&["list"][..], &["copy"], &["show"], &["verify"], &["graph"], &["diff"], &["convert"]] {
        let End { status, stdout, stderr } = modulor(arguments);
        assert_eq!((status, &*stdout), (2, ""), "{arguments:?}");
        assert!(stderr.starts_with("error: ") && stderr.contains("Usage: modulor checkpoint"), "{stderr}");
    }
    let prefix = fixture("seed_simple");
    for arguments in [&["lst", "x"][..], &["list", "x", "--jsn"], &["copy", &prefix, "x", "--shards", "0"]] {
        assert_eq!(modulor(arguments).status, 2, "{arguments:?}");
    }
    let missing = inside(&folder(), "nothing");
    for arguments in [
        &["list", &missing][..],
        &["list", &missing, "--json"],
        &["show", &missing, "w"],
        &["verify", &missing],
        &["graph", &missing],
        &["copy", &missing, "x"],
        &["diff", &prefix, &missing],
        &["diff", &missing, &prefix],
        &["convert", &missing, "x.safetensors"],
    ] {
        let End { status, stdout, stderr } = modulor(arguments);
        assert_eq!((status, &*stdout), (1, ""), "{arguments:?}");
        let expected = format!("error: cannot open {missing}.index: no such file or directory\n");
        assert_eq!(stderr, expected, "{arguments:?}");
    }
}

#[test]
fn help_is_not_an_error_and_every_command_has_an_example() {
    for command in ["list", "show", "verify", "graph", "copy", "diff", "convert"] {
        let help = said(&[command, "--help"]);
        assert!(help.contains(&format!("\nExamples:\n  modulor checkpoint {command} ")), "{help}");
        let long = help.lines().find(|line| line.chars().count() > 105);
        assert_eq!(long, None, "{command}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = command()
        .args(["show", &fixture("ckpt_many"), "_CHECKPOINTABLE_OBJECT_GRAPH", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}

#[test]
fn a_name_in_a_file_cannot_speak_to_the_terminal() {
    let folder = folder();
    let prefix = inside(&folder, "evil");
    let mut writer = modulor::checkpoint::bundle::BundleWriter::new(&prefix);
    let name = "a\u{1b}[2J\n\u{9b}b";
    writer.add(name, &modulor::Tensor::scalar(1.0_f32)).expect("new");
    writer.commit().expect("there is room");
    let listed = said(&["list", &prefix]);
    assert!(listed.contains("\na\\u001b[2J\\n\\u009bb  float32  ()"), "{listed}");
    assert_eq!(json(&["list", &prefix, "--json"])[0]["name"], name);
}
