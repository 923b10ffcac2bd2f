//! A convolutional network learns to read the digits of MNIST.
//!
//! `bash examples/mnist/fetch.sh` brings 10,000 of them, and then `cargo run --release --example mnist`. With
//! `-- --data FOLDER` it takes the files of MNIST as they were published, or others of their form.

mod data;
#[path = "../digits/shuffle.rs"]
mod shuffle;

use data::Digits;
use indicatif::{ProgressBar, ProgressStyle};
use modulor::keras::library::{Conv2D, MaxPooling2D};
use modulor::keras::optimizer::schedule::CosineDecay;
use modulor::prelude::*;
use modulor::scope;
use shuffle::shuffled;
use std::path::PathBuf;
use std::time::Instant;

const SEED: u64 = 1;
const EPOCHS: usize = 12;
const BATCH: usize = 64;

/// Two convolutions, each seen at half its size by what follows, and an answer.
fn network() -> Sequential {
    Sequential::new()
        .add(Conv2D::new(32, 3).activation("relu"))
        .add(MaxPooling2D::new())
        .add(Conv2D::new(64, 3).activation("relu"))
        .add(MaxPooling2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(10))
}

fn main() -> Result<()> {
    set_seed(SEED);
    let (learn, test) = Digits::load(&folder())?;
    println!("{} digits to learn from, {} held out\n", learn.len(), test.len());

    let (begin, model) = (Instant::now(), network());
    train(&model, &learn)?;
    println!("\nthe model has {} parameters and learnt for {:.0?}", model.count_params(), begin.elapsed());
    println!("test accuracy: {:.4}", accuracy(&model, &test)?);
    Ok(())
}

/// What follows `--data`, or the folder that `fetch.sh` fills.
fn folder() -> PathBuf {
    let given = std::env::args_os().skip_while(|argument| argument != "--data").nth(1);
    given.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/mnist/data"), PathBuf::from)
}

fn train(model: &Sequential, digits: &Digits) -> Result<()> {
    let steps = EPOCHS * digits.len().div_ceil(BATCH);
    let optimizer = Adam::new().learning_rate(CosineDecay::new(2e-3, steps as u64));
    let mean_loss = Mean::new();
    let loss = SparseCategoricalCrossentropy { from_logits: true, ..Default::default() };
    let bar = ProgressBar::new(steps as u64).with_style(
        ProgressStyle::with_template("{bar:40} {percent:>3} %  {elapsed_precise}  {msg}")
            .expect("a template of its own words"),
    );
    for epoch in 0..EPOCHS {
        mean_loss.reset_state()?;
        for places in shuffled(digits.len(), epoch as u64)?.chunks(BATCH) {
            let batch = digits.at(places)?;
            let tape = GradientTape::new();
            let loss = tape.record(|| {
                let answers = scope::with_training(true, || model.call(&batch.images))?;
                loss.value(&batch.labels, &answers, None)
            })?;
            optimizer.minimize(&tape, &loss, &model.trainable_variables())?;
            mean_loss.update_state(&loss, None)?;
            bar.inc(1);
        }
        bar.set_message(format!("loss {:.4}", mean_loss.result()?.item::<f32>()?));
    }
    bar.finish();
    Ok(())
}

/// The part of the digits that are taken for what they are.
fn accuracy(model: &Sequential, digits: &Digits) -> Result<f32> {
    let accuracy = SparseCategoricalAccuracy::new();
    let places: Vec<i32> = (0..digits.len() as i32).collect();
    for places in places.chunks(500) {
        let batch = digits.at(places)?;
        accuracy.update_state(&batch.labels, &model.call(&batch.images)?, None)?;
    }
    accuracy.result()?.item()
}
