//! The model, which is its fields, and what it is trained by.

use modulor::prelude::*;

/// How often all digits are seen.
pub const EPOCHS: usize = 40;

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

    /// What trains the model.
    pub fn trainer(&self) -> Result<Trainer> {
        let loss = SparseCategoricalCrossentropy { from_logits: true, ..Default::default() };
        self.compile(Adam::new(), loss)?.metrics(["accuracy"])
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

/// The classes the model gives to images, `[n]`.
pub fn classify(model: &Classifier, images: &Tensor) -> Result<Vec<i64>> {
    model.call(images)?.argmax(-1)?.to_vec()
}
