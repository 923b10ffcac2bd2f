//! 12. Texts: words become numbers, and a recurrent layer reads them. Is a short message kind or not?
//!
//! `bash examples/12_text/fetch.sh`, and then `cargo run --release --example 12_text`

use modulor::data::Csv;
use modulor::keras::library::{Bidirectional, Embedding, LSTM, TextVectorization};
use modulor::prelude::*;
use std::collections::HashSet;
use std::path::Path;

/// How many messages of each kind there are at most, how many words are known, and how many of a message are read.
const EACH: usize = 3000;
const KNOWN: usize = 3000;
const LENGTH: usize = 24;

/// Messages, and 1 for those that are kind: as many of both, and none twice.
fn messages(path: &Path) -> Result<Vec<(String, f32)>> {
    let columns = Csv::new(path).default("confidence", "0").columns()?;
    let (texts, feelings) = (columns["text"].to_strings()?, columns["sentiment"].to_strings()?);
    let sure = columns["confidence"].to_vec::<f32>()?;
    let (mut met, mut found) = (HashSet::new(), [Vec::new(), Vec::new()]);
    for ((text, feeling), sure) in texts.iter().zip(feelings.iter()).zip(sure) {
        let text = String::from_utf8_lossy(text).into_owned();
        let which = match &feeling[..] {
            b"positive" => 1,
            b"negative" => 0,
            _ => continue,
        };
        // Those that people agreed about, if their letters are new.
        if sure > 0.9 && met.insert(text.to_lowercase().replace(|c: char| !c.is_alphabetic(), "")) {
            found[which].push(text);
        }
    }
    let [unkind, kind] = &found;
    let count = EACH.min(unkind.len()).min(kind.len());
    // Of each kind from the whole of the table, where what they are about changes: by steps of a prime number.
    let one = |of: &[String], at: usize| of[at * 10_007 % of.len()].clone();
    Ok((0..count).flat_map(|at| [(one(unkind, at), 0.0), (one(kind, at), 1.0)]).collect())
}

/// Texts as a tensor.
fn strings<T: AsRef<[u8]>>(texts: &[T]) -> Result<Tensor> {
    Tensor::strings([texts.len()], texts)
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

    // The words that come most often are numbered from 2 on; 0 is no word, and 1 one that is not known. A text is in small letters
    // by then, without punctuation.
    let words = TextVectorization::new().max_tokens(KNOWN).output_sequence_length(LENGTH);
    words.adapt([strings(&train)?])?;
    let known = words.vocabulary_size()?;
    println!("{} messages to learn from, {} held out, {known} words", train.len(), test.len());

    // Rows that are 0 to their end are masked there: the recurrent layer reads as many words as a message has, both ways.
    let model = Sequential::new()
        .add(Embedding::new(KNOWN, 24).mask_zero(true))
        .add(Bidirectional::new(LSTM::new(16))?)
        .add(Dropout::new(0.5))
        .add(Dense::new(1).activation("sigmoid"));
    let mut trainer = model.compile(Adam::new().learning_rate(2e-3), "binary_crossentropy")?.metrics(["accuracy"])?;
    let mut stopping = EarlyStopping::new().patience(1).restore_best_weights(true);
    let (x, y): (Tensor, _) = (words.call(&strings(&train)?)?, Tensor::new([train.len(), 1], train_kind)?);
    let fit = trainer.fit(&x, &y).epochs(6).verbose(2).validation_split(0.1);
    fit.callback(&mut stopping).run()?;

    // With the words in front, a model of texts.
    let whole = Sequential::new().add(words.share()).add(model.share());
    let own = ["thank you so much, what a lovely crew", "my flight was late again and nobody answers the phone"];
    let said = whole.call(&strings(&own)?)?.to_vec::<f32>()?;
    own.iter().zip(said).for_each(|(text, kind)| println!("{kind:.2} {text}"));
    let test: Tensor = words.call(&strings(&test)?)?;
    let found = trainer.evaluate(&test, &Tensor::new([test.dims()?[0], 1], test_kind)?).verbose(0).run()?;
    println!("test accuracy: {:.4}", found["accuracy"]);
    Ok(())
}
