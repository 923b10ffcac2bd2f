//! The example `digits`, held to what the README promises of it.

#[path = "../examples/digits/data.rs"]
mod data;
#[path = "../examples/digits/model.rs"]
mod model;
#[path = "../examples/digits/shuffle.rs"]
pub mod shuffle;

use data::Digits;
use model::{Classifier, EPOCHS, classify};
use modulor::checkpoint::bundle::Bundle;
use modulor::prelude::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The accuracy on the held-out fifth of one split.
fn accuracy(split: u64) -> Result<f64> {
    let (learn, test) = Digits::load()?.split(split)?;
    let model = &Classifier::new();
    modulor::module::name::stamp(model, "digits");
    let history = model.trainer()?.fit(&learn.images, &learn.labels).epochs(EPOCHS).verbose(0).run()?;
    assert_eq!(history.epochs.len(), EPOCHS);
    assert!(history["loss"].iter().all(|loss| loss.is_finite()));
    let last = history["accuracy"][EPOCHS - 1];
    assert!(last > 0.97, "it knows what it has learnt: {last}");
    let answers = classify(model, &test.images)?;
    let truth: Vec<i64> = test.labels.cast(DType::I64)?.to_vec()?;
    let right = truth.iter().zip(&answers).filter(|(t, a)| t == a).count();
    Ok(right as f64 / truth.len() as f64)
}

#[test]
fn the_file_holds_what_its_description_says() {
    let digits = Digits::load().expect("it is committed");
    assert_eq!(digits.len(), 1797);
    assert_eq!(*digits.images.shape(), [1797, 8, 8]);
    let (learn, test) = digits.split(1).expect("every place exists");
    assert_eq!((learn.len(), test.len()), (1438, 359));
}

/// The example itself, in a process of its own, with its checkpoints in `folder`.
fn example(folder: &Path) -> Command {
    let release = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../release/examples/digits");
    let mut command = Command::new(release);
    command.arg("--checkpoint-dir").arg(folder).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The line that tells all weights apart.
fn weights(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("learnt weights: "));
    line.unwrap_or_else(|| panic!("it says what it learnt: {text}")).to_owned()
}

/// The epoch that the training saved in a folder goes on with; 0 before the first save.
fn epoch(folder: &Path) -> i64 {
    let prefix = folder.join("training");
    if !folder.join("training.index").exists() {
        return 0;
    }
    let bundle = Bundle::open(prefix).expect("it is whole at any moment");
    let epoch = bundle.read("progress/epoch/.ATTRIBUTES/VARIABLE_VALUE").expect("it says where it is");
    epoch.item().expect("a number")
}

#[test]
#[ignore = "it needs the example in a release build"]
fn killed_at_any_moment_and_started_again_it_ends_with_the_same_bits() {
    let built = Command::new(env!("CARGO")).args(["build", "--release", "--locked", "--example", "digits"]).status();
    assert!(built.expect("cargo runs").success());
    let [whole, killed] = [(); 2].map(|()| tempfile::tempdir().expect("there is room"));
    let began = Instant::now();
    let expected = weights(&mut example(whole.path()));
    let length = began.elapsed();
    let mut epochs = 0_i64;
    for round in 0..12_u32 {
        let mut child = example(killed.path()).spawn().expect("it starts");
        std::thread::sleep(length * (round * 37 % 60) / 100);
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        // It never falls behind what it had reached.
        let reached = epoch(killed.path());
        assert!(reached >= epochs, "epoch {reached} after epoch {epochs}");
        epochs = reached;
    }
    assert!(epochs > 0, "some of it was done before the last kill");
    assert_eq!(weights(&mut example(killed.path())), expected);
}

#[test]
#[ignore = "five trainings: seconds in a release build, minutes in debug"]
fn the_mean_accuracy_over_five_splits_is_97_percent() {
    let accuracies: Vec<f64> = (1..=5).map(|split| accuracy(split).expect("it trains")).collect();
    let mean = accuracies.iter().sum::<f64>() / 5.0;
    println!("accuracies {accuracies:?}, mean {mean:.4}");
    assert!(mean >= 0.97, "{accuracies:?}");
}
