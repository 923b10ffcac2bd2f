//! The house rules that a compiler does not know.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of core in order: each may import itself and what stands left of it (before it here).
const CORE: &[&str] = &[
    "error",
    "nearest",
    "dtype",
    "shape",
    "tensor",
    "op",
    "ops",
    "tape",
    "graph",
    "flow",
    "registry",
    "structure",
    "control",
    "variable",
    "function",
    "graph_def",
    "module",
    "autograph",
    "layer",
    "vfs",
    "checkpoint",
];

/// Modules of layers, likewise.
const LAYERS: &[&str] = &[
    "setting",
    "family",
    "activation",
    "initializer",
    "regularizer",
    "constraint",
    "loss",
    "metric",
    "optimizer",
    "resize",
    "data",
    "library",
    "model",
    "callback",
    "training",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder of the repository, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, out: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("the folder exists") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                collect(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                out.push((path, text));
            }
        }
    }
    let mut out = Vec::new();
    collect(&root().join(folder), &mut out);
    out.sort();
    out
}

/// The first part of a file's path below `folder`: the module it belongs to.
fn module_of(path: &Path, folder: &str) -> String {
    let below = path.strip_prefix(root().join(folder)).expect("collected below it");
    let first = below.components().next().expect("a file has a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// What `lib.rs` re-exports, by name, and the module it comes from.
fn reexports(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for statement in lib.split(';').filter_map(|s| s.split("pub use ").nth(1)) {
        let statement = statement.replace(char::is_whitespace, "");
        let Some((module, list)) = statement.split_once("::") else { continue };
        for name in list.trim_matches(['{', '}']).split([',', '{', '}']) {
            let name = name.rsplit("::").next().unwrap_or(name);
            names.insert(name.to_owned(), module.to_owned());
        }
    }
    names
}

/// The names that a source takes from its crate's root: after `crate::`, one or a braced list.
fn imports(source: &str) -> Vec<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut names = Vec::new();
    for after in code.split("crate::").skip(1) {
        let mut depth = 0;
        let mut name = String::new();
        let mut part = 0;
        for c in after.chars() {
            match c {
                // A brace after a path lists what is inside that module.
                '{' if name.is_empty() || depth > 0 => depth += 1,
                '{' => break,
                '}' if depth <= 1 => break,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    names.push(std::mem::take(&mut name));
                    part = 0;
                }
                ':' if depth <= 1 => part += 1,
                c if (c.is_alphanumeric() || c == '_') && depth <= 1 && part == 0 => name.push(c),
                c if c.is_whitespace() && depth == 1 => {}
                _ if depth == 0 => break,
                _ => {}
            }
        }
        names.push(name);
    }
    names.retain(|name| !name.is_empty());
    names
}

fn check_order(folder: &str, order: &[&str]) -> Vec<String> {
    let lib = fs::read_to_string(root().join(folder).join("lib.rs")).expect("a crate has a lib.rs");
    let names = reexports(&lib);
    let place = |module: &str| order.iter().position(|&m| m == module);
    let mut faults = Vec::new();
    for (path, source) in sources(folder) {
        let module = module_of(&path, folder);
        if ["lib", "__private", "prelude"].contains(&&*module) {
            continue;
        }
        let Some(own) = place(&module) else {
            faults.push(format!("{}: module `{module}` has no place in the order", path.display()));
            continue;
        };
        // A unit test may look at its neighbours.
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for name in imports(source) {
            let from = names.get(&name).unwrap_or(&name);
            if place(from).is_some_and(|other| other > own) {
                faults.push(format!(
                    "{}: `{module}` imports `{name}` of `{from}`, which stands right of it",
                    path.display()
                ));
            }
        }
    }
    faults
}

#[test]
fn imports_only_point_left() {
    let mut faults = check_order("core/src", CORE);
    faults.extend(check_order("layers/src", LAYERS));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn crates_stand_on_what_is_below_them() {
    let mut faults = Vec::new();
    for (folder, forbidden) in [
        ("core/kernels/src", &["modulor_core", "modulor_layers", "modulor_derive"][..]),
        ("core/wire/src", &["modulor_core", "modulor_kernels", "modulor_layers", "modulor_derive"]),
        ("core/src", &["modulor_layers"]),
        ("layers/src", &["modulor_core", "modulor_kernels", "__private"]),
        ("src/cli/src", &["modulor_core", "modulor_layers", "modulor_kernels", "modulor_wire", "__private"]),
    ] {
        for (path, source) in sources(folder) {
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for word in forbidden {
                // Generated code speaks of `__private`; written code does not.
                if code.clone().any(|line| line.contains(word)) {
                    faults.push(format!("{}: names `{word}`", path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let mut faults = Vec::new();
    for folder in ["src", "core/src", "core/kernels/src", "core/wire/src", "layers/src", "derive/src", "examples"] {
        for (path, source) in sources(folder) {
            let name = path.file_stem().expect("files have names").to_string_lossy().into_owned();
            if ["utils", "util", "helpers", "common", "base", "misc"].contains(&&*name) {
                faults.push(format!("{}: a file is named for what it holds", path.display()));
            }
            for (at, line) in source.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"] {
                    if code.contains(word) && !code.contains('"') && name != "fallback" {
                        faults.push(format!("{}:{}: `{word}`", path.display(), at + 1));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    let mut faults = Vec::new();
    for folder in
        ["src", "core/src", "core/kernels/src", "core/wire/src", "layers/src", "derive/src", "tests", "examples"]
    {
        for (path, source) in sources(folder) {
            let kernels = path.starts_with(root().join("core/kernels"));
            let lines: Vec<&str> = source.lines().collect();
            for (at, line) in lines.iter().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let opens = code.contains("unsafe {") || code.contains("unsafe impl");
                if !opens || path.ends_with("tidy.rs") {
                    continue;
                }
                let said = lines[at.saturating_sub(6)..at].iter().any(|above| above.contains("SAFETY:"));
                // An allocator that counts is the one thing a test needs it for.
                let counting = path.ends_with("allocation.rs");
                if !(said && (kernels || counting)) {
                    faults.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_readme_names_the_commands_that_the_gate_runs() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("it is in the repository");
    let (readme, gate) = (read("README.md"), read(".ci/run"));
    for command in ["cargo run --release --example digits", "cargo test --workspace"] {
        assert!(readme.contains(command), "the README shows `{command}`");
        assert!(gate.replace(" --locked", "").contains(command), "the gate runs `{command}`");
    }
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let long: Vec<String> = ["core/src", "core/kernels/src", "core/wire/src", "layers/src", "derive/src", "src"]
        .iter()
        .flat_map(|folder| sources(folder))
        .map(|(path, source)| (source.lines().count(), path))
        .filter(|(lines, _)| *lines > 1000)
        .map(|(lines, path)| format!("{lines} lines: {}", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}
