//! The mistakes that the derive and the traits must catch, and what the compiler then says: one file each in `ui/`.
//!
//! The texts are compared on the compiler named in `ui/RUSTC`, which `TRYBUILD=overwrite cargo test --test ui` writes
//! them with. On another compiler the files must still be refused, and what is said is not looked at.
//!
//! The files use core alone, because messages list types that implement a trait, and the library of layers grows. Where
//! the compiler looks further all the same, in `ui/listing`, only the lines in the `.contains` file are compared.
//!
//! No case here has to succeed: with one, every case would be built by itself instead of all at once. What the words do
//! when they are used right is tested in `ui/pass`, one module for each word.

#[path = "ui/pass/mod.rs"]
mod pass;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Says, to the test run by itself, that it should take the files from elsewhere.
const ELSEWHERE: &str = "MODULOR_UI_CASES";

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    if let Ok(folder) = env::var(ELSEWHERE) {
        return cases.compile_fail(format!("{folder}/*.rs"));
    }
    let is_known = compiler() == read(Path::new("tests/ui/RUSTC")).trim();
    if is_known {
        cases.compile_fail("tests/ui/*.rs");
    } else {
        println!("{}: refusals are checked, their texts are not", compiler());
        refusals("tests/ui");
    }
    drop(cases);
    let listing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tests/ui/listing");
    fs::create_dir_all(&listing).expect("the target folder can be written");
    fs::write(listing.join("large_struct.rs"), large_struct()).expect("the target folder can be written");
    refusals("tests/ui/listing");
    let said = |case: &str| read(&listing.join(case).with_extension("stderr"));
    let of_large_struct = said("large_struct");
    let errors: Vec<_> = of_large_struct.lines().filter(|line| line.starts_with("error")).collect();
    assert!(errors.len() == 1 && errors[0].contains(COMPILED), "{of_large_struct}");
    for case in files("tests/ui/listing", "contains").into_iter().filter(|_| is_known) {
        let said = said(&case.file_stem().expect("a file with an extension has a name").to_string_lossy());
        for line in read(&case).lines() {
            assert!(said.contains(line), "{}: nothing says `{line}`:\n{said}", case.display());
        }
    }
}

fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs: it has just compiled this");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Checks that every case of a folder is refused, whatever is said, which is written to the same folder in the target's.
fn refusals(cases: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(cases);
    fs::create_dir_all(&folder).expect("the target folder can be written");
    for case in files(cases, "rs") {
        let name = case.file_name().expect("a file has a name");
        fs::copy(&case, folder.join(name)).expect("the target folder can be written");
    }
    let status = Command::new(env::current_exe().expect("a running test has a path"))
        .args(["ui", "--exact"])
        .env("TRYBUILD", "overwrite")
        .env(ELSEWHERE, &folder)
        .status()
        .expect("a running test can be run again");
    assert!(status.success(), "some mistake in {cases} is not refused");
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is part of the repository").flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the only error of [`large_struct`] says: one that the compiler comes to when it has no other.
const COMPILED: &str = "all of it was compiled";

/// A struct of 300 variables, 150 submodules and 50 settings: more than anybody writes, and still to be compiled.
fn large_struct() -> String {
    let settings = (0..50).map(|i| format!("    #[config]\n    setting_{i}: usize,\n"));
    let variables = (0..300).map(|i| {
        format!("    #[variable(shape = [input[-1], setting_{}], init = 0.0)]\n    variable_{i}: Variable,\n", i % 50)
    });
    let submodules = (0..150).map(|i| format!("    submodule_{i}: Child,\n"));
    let fields: String = settings.chain(variables).chain(submodules).collect();
    format!(
        "use modulor::prelude::*;\n\n#[derive(Module)]\nstruct Child {{\n    w: Variable,\n}}\n\n\
         #[derive(Module)]\nstruct Large {{\n{fields}}}\n\nconst _: () = panic!(\"{COMPILED}\");\n\nfn main() {{}}\n"
    )
}
