//! The example `digits`, held to what the README promises of it.

#[path = "../examples/digits/data.rs"]
mod data;
#[path = "../examples/digits/model.rs"]
mod model;

use data::Digits;
use model::{Classifier, classify, steps, train};
use modulor::prelude::*;

/// The accuracy on the held-out fifth of one split.
fn accuracy(split: u64) -> Result<f64> {
    let (learn, test) = Digits::load()?.split(split)?;
    let model = Classifier::new();
    modulor::module::name::stamp(&model, "digits");
    let (mut taken, mut last) = (0, f32::NAN);
    train(&model, &learn, |now| {
        assert!(now.loss.is_finite() && (0.0..=1.0).contains(&now.accuracy), "step {}", now.step);
        (taken, last) = (now.step, now.accuracy);
    })?;
    assert_eq!(taken, steps(&learn));
    assert!(last > 0.97, "it knows what it has learnt: {last}");
    let answers = classify(&model, &test.images)?;
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

#[test]
#[ignore = "five trainings: seconds in a release build, minutes in debug"]
fn the_mean_accuracy_over_five_splits_is_97_percent() {
    let accuracies: Vec<f64> = (1..=5).map(|split| accuracy(split).expect("it trains")).collect();
    let mean = accuracies.iter().sum::<f64>() / 5.0;
    println!("accuracies {accuracies:?}, mean {mean:.4}");
    assert!(mean >= 0.97, "{accuracies:?}");
}
