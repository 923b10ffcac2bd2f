//! The mistakes that the derive and the traits must catch, and what the compiler then says: one file each in `ui/`.
//!
//! The texts are compared on the compiler named in `ui/RUSTC`, which `TRYBUILD=overwrite cargo test --test ui` writes
//! them with. On another one the files must still be refused, and what is said is not looked at.

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
    cases.pass("tests/ui/pass/*.rs");
    cases.pass(large_struct());
    if compiler() == fs::read_to_string("tests/ui/RUSTC").expect("tests/ui/RUSTC is there").trim() {
        cases.compile_fail("tests/ui/*.rs");
    } else {
        println!("{}: refusals are checked, their texts are not", compiler());
        refused_whatever_the_text();
    }
}

/// A struct of 300 variables, 150 submodules and 50 settings: more than anybody writes, and still to be compiled.
fn large_struct() -> PathBuf {
    let settings = (0..50).map(|i| format!("    #[config]\n    setting_{i}: usize,\n"));
    let variables = (0..300).map(|i| {
        format!("    #[variable(shape = [input[-1], setting_{}], init = 0.0)]\n    variable_{i}: Variable,\n", i % 50)
    });
    let submodules = (0..150).map(|i| format!("    submodule_{i}: Child,\n"));
    let fields: String = settings.chain(variables).chain(submodules).collect();
    let source = format!(
        "use modulor::prelude::*;\n\n#[derive(Module)]\nstruct Child {{\n    w: Variable,\n}}\n\n\
         #[derive(Module)]\nstruct Large {{\n{fields}}}\n\nfn main() {{}}\n"
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("large_struct.rs");
    fs::write(&path, source).expect("the target folder can be written");
    path
}

fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs: it has just compiled this");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs the cases on copies whose expected texts are overwritten with whatever this compiler says.
fn refused_whatever_the_text() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    for case in fs::read_dir("tests/ui").expect("tests/ui is there").flatten() {
        if case.path().extension().is_some_and(|extension| extension == "rs") {
            fs::copy(case.path(), folder.join(case.file_name())).expect("the target folder can be written");
        }
    }
    let status = Command::new(env::current_exe().expect("a running test has a path"))
        .args(["ui", "--exact"])
        .env("TRYBUILD", "overwrite")
        .env(ELSEWHERE, &folder)
        .status()
        .expect("a running test can be run again");
    assert!(status.success(), "some mistake is not refused");
}
