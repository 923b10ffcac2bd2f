//! An LSTM over embedded words, and a dense layer on what it ends with.

use crate::data::{self, BATCHES};
use crate::measure::Report;
use crate::training::Training;
use modulor::keras::library::{Embedding, LSTM};
use modulor::prelude::*;

#[derive(Module)]
struct Classifier {
    words: Embedding,
    lstm: LSTM,
    answer: Dense,
}

impl Layer for Classifier {
    fn forward(&self, words: &Tensor) -> Result<Tensor> {
        self.answer.call(&self.lstm.call(&self.words.call(words)?)?)
    }
}

pub fn train(report: &Report) -> Result<()> {
    let file = data::open("seqs")?;
    let (words, classes) = (file.read("lstm_x")?, file.read("lstm_y")?);
    let batch = |at: usize| Ok((words.slice(at)?, classes.slice(at)?));
    let batches = (0..BATCHES).map(batch).collect::<Result<Vec<_>>>()?;

    let model = Classifier { words: Embedding::new(5000, 64), lstm: LSTM::new(128), answer: Dense::new(2) };
    model.call(&batches[0].0)?;
    data::set_weights(&model, "lstm", &["emb", "wx", "wh", "b", "w", "wb"])?;
    Training::new(model, Adam::new().epsilon(1e-12)).measure(report, &batches)
}
