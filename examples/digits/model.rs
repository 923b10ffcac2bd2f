//! The model, which is its fields, and how it learns.

use super::data::Digits;
use super::shuffle::shuffled;
use modulor::prelude::*;
use modulor::scope;

/// Two layers of neurons, each asked to do without a part of what it sees while it learns, and an answer.
#[derive(Module)]
pub struct Classifier {
    flatten: Flatten,
    hidden_1: Dense,
    dropout_1: Dropout,
    hidden_2: Dense,
    dropout_2: Dropout,
    answer: Dense,
}

impl Classifier {
    pub fn new() -> Self {
        Classifier {
            flatten: Flatten::new(),
            hidden_1: Dense::new(256).activation("relu"),
            dropout_1: Dropout::new(0.3),
            hidden_2: Dense::new(128).activation("relu"),
            dropout_2: Dropout::new(0.3),
            answer: Dense::new(10),
        }
    }
}

impl Layer for Classifier {
    /// `[batch, 8, 8]` to `[batch, 10]`: a number for each class, the greatest of which is the answer.
    fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let x = self.flatten.call(images)?;
        let x = self.dropout_1.call(&self.hidden_1.call(&x)?)?;
        let x = self.dropout_2.call(&self.hidden_2.call(&x)?)?;
        self.answer.call(&x)
    }
}

/// All that training changes: what a checkpoint must hold for it to go on as if nothing had happened.
#[derive(Module)]
pub struct Training {
    pub model: Classifier,
    optimizer: Adam,
    mean_loss: Mean,
    accuracy: SparseCategoricalAccuracy,
    /// The batches seen so far, in all epochs.
    #[variable(init = 0_i64, trainable = false, weight = false)]
    step: Variable,
}

/// What is told after each batch.
pub struct Progress {
    /// The batches seen so far, in all epochs.
    pub step: usize,
    /// The mean loss of this epoch so far.
    pub loss: f32,
    /// The accuracy in training of this epoch so far.
    pub accuracy: f32,
}

pub const EPOCHS: usize = 40;
const BATCH: usize = 32;

/// The batches of an epoch.
pub fn batches(train: &Digits) -> usize {
    train.len().div_ceil(BATCH)
}

/// The batches that training takes.
pub fn steps(train: &Digits) -> usize {
    EPOCHS * batches(train)
}

impl Training {
    pub fn begin() -> Self {
        Training::new(Classifier::new(), Adam::new(), Mean::new(), SparseCategoricalAccuracy::new())
    }

    /// The training loop, written out: shuffle, record, walk back, step. It goes on from the step that has been reached.
    pub fn run(&self, train: &Digits, mut tell: impl FnMut(Progress) -> Result<()>) -> Result<()> {
        let Training { model, optimizer, mean_loss, accuracy, step } = self;
        let loss = SparseCategoricalCrossentropy { from_logits: true, ..Default::default() };
        let mut done = step.value()?.item::<i64>()? as usize;
        while done < steps(train) {
            let (epoch, first) = (done / batches(train), done % batches(train));
            if first == 0 {
                mean_loss.reset_state()?;
                accuracy.reset_state()?;
            }
            for places in shuffled(train.len(), epoch as u64)?.chunks(BATCH).skip(first) {
                let batch = train.at(places)?;
                let tape = GradientTape::new();
                let (loss, answers) = tape.record(|| {
                    let answers = scope::with_training(true, || model.call(&batch.images))?;
                    Ok::<_, Error>((loss.value(&batch.labels, &answers, None)?, answers))
                })?;
                optimizer.minimize(&tape, &loss, &model.trainable_variables())?;

                mean_loss.update_state(&loss, None)?;
                accuracy.update_state(&batch.labels, &answers, None)?;
                done += 1;
                step.assign_add(&Tensor::scalar(1_i64))?;
                tell(Progress { step: done, loss: mean_loss.result()?.item()?, accuracy: accuracy.result()?.item()? })?;
            }
        }
        Ok(())
    }
}

/// The classes the model gives to images, `[n]`.
pub fn classify(model: &Classifier, images: &Tensor) -> Result<Vec<i64>> {
    model.call(images)?.argmax(-1)?.to_vec()
}
