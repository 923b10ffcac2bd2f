//! A convolutional network learns to read the digits of MNIST.
//!
//! `bash examples/mnist/fetch.sh` brings 10,000 of them, and then `cargo run --release --example mnist`. With
//! `-- --data FOLDER` it takes the files of MNIST as they were published, or others of their form.

mod data;
#[path = "../digits/shuffle.rs"]
mod shuffle;

use data::Digits;
use modulor::keras::library::{Conv2D, MaxPooling2D};
use modulor::keras::optimizer::schedule::CosineDecay;
use modulor::prelude::*;
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
    let steps = EPOCHS * learn.len().div_ceil(BATCH);
    let optimizer = Adam::new().learning_rate(CosineDecay::new(2e-3, steps as u64));
    let loss = SparseCategoricalCrossentropy { from_logits: true, ..Default::default() };
    let mut trainer = model.compile(optimizer, loss)?.metrics(["accuracy"])?;
    trainer.fit(&learn.images, &learn.labels).batch_size(BATCH).epochs(EPOCHS).run()?;

    println!("\nthe model has {} parameters and learnt for {:.0?}", model.count_params(), begin.elapsed());
    let found = trainer.evaluate(&test.images, &test.labels).batch_size(500).verbose(0).run()?;
    println!("test accuracy: {:.4}", found["accuracy"]);
    Ok(())
}

/// What follows `--data`, or the folder that `fetch.sh` fills.
fn folder() -> PathBuf {
    let given = std::env::args_os().skip_while(|argument| argument != "--data").nth(1);
    given.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/mnist/data"), PathBuf::from)
}
