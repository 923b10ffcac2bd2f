//! The mistakes that the derive and the traits must catch, and what the compiler then says: one file each in `ui/`.
//!
//! The texts are compared on the compiler named in `ui/RUSTC`, which `TRYBUILD=overwrite cargo test --test ui` writes
//! them with. On another one the files must still be refused, and what is said is not looked at.

use std::{env, fs, path::Path, process::Command};

/// Says, to the test run by itself, that it should take the files from elsewhere.
const ELSEWHERE: &str = "MODULOR_UI_CASES";

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    if let Ok(folder) = env::var(ELSEWHERE) {
        return cases.compile_fail(format!("{folder}/*.rs"));
    }
    cases.pass("tests/ui/pass/*.rs");
    if compiler() == fs::read_to_string("tests/ui/RUSTC").expect("tests/ui/RUSTC is there").trim() {
        cases.compile_fail("tests/ui/*.rs");
    } else {
        println!("{}: refusals are checked, their texts are not", compiler());
        refused_whatever_the_text();
    }
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
