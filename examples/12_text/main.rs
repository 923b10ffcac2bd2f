//! 12. Texts: words become numbers, and a recurrent layer reads them. Is a short message kind or not?
//!
//! `bash examples/12_text/fetch.sh`, and then `cargo run --release --example 12_text`

use modulor::data::Csv;
use modulor::keras::library::{Bidirectional, Embedding, LSTM};
use modulor::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How many messages of each kind there are at most, how many words are known, and how many of a message are read.
const EACH: usize = 3000;
const KNOWN: usize = 3000;
const LENGTH: usize = 24;

/// The words of a message.
fn words(message: &str) -> impl Iterator<Item = String> + '_ {
    let parts = message.split(|c: char| !c.is_ascii_alphabetic() && c != '\'').filter(|part| part.len() > 1);
    parts.map(str::to_ascii_lowercase)
}

/// Messages, and 1 for those that are kind: as many of both, and none twice.
fn messages(path: &Path) -> Result<Vec<(String, f32)>> {
    let columns = Csv::new(path).default("confidence", "0").columns()?;
    let (texts, feelings) = (columns["text"].to_strings()?, columns["sentiment"].to_strings()?);
    let sure = columns["confidence"].to_vec::<f32>()?;
    let (mut met, mut found) = (BTreeSet::new(), [Vec::new(), Vec::new()]);
    for ((text, feeling), sure) in texts.iter().zip(feelings.iter()).zip(sure) {
        let text = String::from_utf8_lossy(text).into_owned();
        let which = match &feeling[..] {
            b"positive" => 1,
            b"negative" => 0,
            _ => continue,
        };
        // Those that people agreed about, if their words are new.
        if sure > 0.9 && met.insert(words(&text).collect::<Vec<_>>()) {
            found[which].push(text);
        }
    }
    let [unkind, kind] = &found;
    let count = EACH.min(unkind.len()).min(kind.len());
    // Of each kind from the whole of the table, where what they are about changes: by steps of a prime number.
    let one = |of: &[String], at: usize| of[at * 10_007 % of.len()].clone();
    Ok((0..count).flat_map(|at| [(one(unkind, at), 0.0), (one(kind, at), 1.0)]).collect())
}

/// The numbers of the most frequent words: from 2 on, since 0 is no word and 1 is one that is not known.
fn vocabulary(texts: &[String]) -> BTreeMap<String, i32> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    texts.iter().flat_map(|text| words(text)).for_each(|word| *counts.entry(word).or_default() += 1);
    let mut by_count: Vec<(String, usize)> = counts.into_iter().collect();
    by_count.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    by_count.into_iter().take(KNOWN - 2).map(|(word, _)| word).zip(2..).collect()
}

/// Messages as numbers, `[n, LENGTH]`.
fn numbers(texts: &[String], known: &BTreeMap<String, i32>) -> Result<Tensor> {
    let mut numbers = vec![0; texts.len() * LENGTH];
    for (row, text) in numbers.chunks_exact_mut(LENGTH).zip(texts) {
        row.iter_mut().zip(words(text)).for_each(|(number, word)| *number = known.get(&word).copied().unwrap_or(1));
    }
    Tensor::new([texts.len(), LENGTH], numbers)
}

fn main() -> Result<()> {
    set_seed(1);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/12_text/data/messages.csv");
    let all = messages(&path).map_err(|error| error.note("examples/12_text/fetch.sh brings it"))?;
    // Every fifth pair of them is held out.
    let (test, train): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(at, _)| at / 2 % 5 == 0);
    let columns = |rows: Vec<(usize, (String, f32))>| rows.into_iter().map(|(_, row)| row).unzip();
    let ((test, test_kind), (train, train_kind)): ((Vec<_>, Vec<f32>), (Vec<_>, Vec<f32>)) =
        (columns(test), columns(train));
    let known = vocabulary(&train);
    println!("{} messages to learn from, {} held out, {} words", train.len(), test.len(), known.len());

    // Rows that are 0 to their end are masked there: the recurrent layer reads as many words as a message has, both ways.
    let model = Sequential::new()
        .add(Embedding::new(KNOWN, 24).mask_zero(true))
        .add(Bidirectional::new(LSTM::new(16))?)
        .add(Dropout::new(0.5))
        .add(Dense::new(1).activation("sigmoid"));
    let mut trainer = model.compile(Adam::new().learning_rate(2e-3), "binary_crossentropy")?.metrics(["accuracy"])?;
    let mut stopping = EarlyStopping::new().patience(1).restore_best_weights(true);
    let (x, y) = (numbers(&train, &known)?, Tensor::new([train.len(), 1], train_kind)?);
    let fit = trainer.fit(&x, &y).epochs(6).verbose(2).validation_split(0.1);
    fit.callback(&mut stopping).run()?;

    let own = ["thank you so much, what a lovely crew", "my flight was late again and nobody answers the phone"];
    let said = trainer.predict(&numbers(&own.map(str::to_owned), &known)?).verbose(0).run()?.to_vec::<f32>()?;
    own.iter().zip(said).for_each(|(text, kind)| println!("{kind:.2} {text}"));
    let found =
        trainer.evaluate(&numbers(&test, &known)?, &Tensor::new([test.len(), 1], test_kind)?).verbose(0).run()?;
    println!("test accuracy: {:.4}", found["accuracy"]);
    Ok(())
}
