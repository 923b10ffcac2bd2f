//! A model that is nothing but a struct learns to read handwritten digits.
//!
//! `cargo run --release --example digits`; with `-- --checkpoint-dir FOLDER` it keeps what it has learnt there after every
//! epoch: stopped at any moment and started again, it goes on, and ends with the same bits.

mod data;
mod model;
mod shuffle;

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use data::Digits;
use model::{Classifier, EPOCHS, classify};
use modulor::prelude::*;

const SEED: u64 = 1;

fn main() -> Result<()> {
    set_seed(SEED);
    let (learn, test) = Digits::load()?.split(SEED)?;
    println!("{} digits to learn from, {} held out\n", learn.len(), test.len());

    let (model, folder) = (Classifier::new(), checkpoint_dir());
    let mut trainer = model.trainer()?;
    let mut fit = trainer.fit(&learn.images, &learn.labels).epochs(EPOCHS);
    if let Some(folder) = &folder {
        fit = fit.callback(BackupAndRestore::new(folder).delete_checkpoint(false));
    }
    fit.run()?;

    let answers = classify(&model, &test.images)?;
    println!("\nthe model has {} parameters", model.count_params());
    if folder.is_some() {
        println!("learnt weights: {:016x}", fingerprint(&model)?);
    }
    let truth: Vec<i64> = test.labels.cast(DType::I64)?.to_vec()?;
    println!("\n{}\n", per_class(&truth, &answers));
    draw(&test, &truth, &answers)?;

    let right = truth.iter().zip(&answers).filter(|(t, a)| t == a).count();
    println!("test accuracy: {:.4}", right as f64 / truth.len() as f64);
    Ok(())
}

/// What follows `--checkpoint-dir`.
fn checkpoint_dir() -> Option<String> {
    std::env::args().skip_while(|argument| argument != "--checkpoint-dir").nth(1)
}

/// A number that is another one where any bit of any weight is.
fn fingerprint(model: &Classifier) -> Result<u64> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for variable in model.weights() {
        for byte in variable.value()?.to_bytes()? {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    Ok(hash)
}

/// How each class fares: how many there are, how many of them were found, and how many of the answers were right.
fn per_class(truth: &[i64], answers: &[i64]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["digit", "shown", "precision", "recall", "taken for"]);
    for class in 0..10 {
        let pairs = || truth.iter().copied().zip(answers.iter().copied());
        let shown = pairs().filter(|&(t, _)| t == class).count();
        let given = pairs().filter(|&(_, a)| a == class).count();
        let right = pairs().filter(|&(t, a)| t == class && a == class).count();
        let mistakes: Vec<String> =
            pairs().filter(|&(t, a)| t == class && a != class).map(|(_, a)| a.to_string()).collect();
        let share = |n: usize, of: usize| if of == 0 { "-".to_owned() } else { format!("{:.3}", n as f64 / of as f64) };
        let numbers = [class.to_string(), shown.to_string(), share(right, given), share(right, shown)];
        let mut row: Vec<Cell> =
            numbers.into_iter().map(|n| Cell::new(n).set_alignment(CellAlignment::Right)).collect();
        row.push(Cell::new(mistakes.join(" ")));
        table.add_row(row);
    }
    table
}

/// A few held-out digits side by side, the first wrong ones among them, with what the model said below.
fn draw(test: &Digits, truth: &[i64], answers: &[i64]) -> Result<()> {
    let wrong = (0..truth.len()).filter(|&i| truth[i] != answers[i]).take(3);
    let right = (0..truth.len()).filter(|&i| truth[i] == answers[i]);
    let chosen: Vec<usize> = wrong.chain(right).take(7).collect();
    let images = test.images.view::<f32>()?;
    // A character is as high as two are wide.
    for y in 0..8 {
        let line = chosen.iter().map(|&i| {
            (0..8)
                .map(|x| match images[[i, y, x]] {
                    ink if ink > 0.75 => "██",
                    ink if ink > 0.5 => "▓▓",
                    ink if ink > 0.25 => "▒▒",
                    ink if ink > 0.0 => "░░",
                    _ => "  ",
                })
                .collect::<String>()
        });
        println!("{}", line.collect::<Vec<_>>().join("  "));
    }
    let said = chosen.iter().map(|&i| match truth[i] == answers[i] {
        true => format!("{:^16}", answers[i]),
        false => format!("{:^16}", format!("{}, said {}", truth[i], answers[i])),
    });
    println!("{}\n", said.collect::<Vec<_>>().join("  "));
    Ok(())
}
