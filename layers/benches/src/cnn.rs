//! Two convolutions, and two dense layers on what is left of an image.

use crate::data;
use crate::measure::Report;
use crate::training::Training;
use modulor::keras::library::{Conv2D, MaxPooling2D};
use modulor::prelude::*;

const BATCH: usize = 64;

#[derive(Module)]
pub struct Cnn {
    convolution_1: Conv2D,
    convolution_2: Conv2D,
    pool: MaxPooling2D,
    flatten: Flatten,
    hidden: Dense,
    answer: Dense,
}

impl Cnn {
    /// One with the weights that all programs begin with.
    pub fn begin() -> Result<Cnn> {
        let model = Cnn {
            convolution_1: Conv2D::new(32, 3).activation("relu"),
            convolution_2: Conv2D::new(64, 3).activation("relu"),
            pool: MaxPooling2D::new(),
            flatten: Flatten::new(),
            hidden: Dense::new(128).activation("relu"),
            answer: Dense::new(10),
        };
        model.call(&Tensor::zeros([1, 28, 28, 1], DType::F32)?)?;
        data::set_weights(&model, "cnn", &["c1", "cb1", "c2", "cb2", "w1", "b1", "w2", "b2"])?;
        Ok(model)
    }
}

impl Layer for Cnn {
    fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let x = self.convolution_2.call(&self.convolution_1.call(images)?)?;
        let x = self.flatten.call(&self.pool.call(&x)?)?;
        self.answer.call(&self.hidden.call(&x)?)
    }
}

pub fn train(report: &Report) -> Result<()> {
    let batches = data::batches_of_digits(BATCH, &[28, 28, 1])?;
    Training::new(Cnn::begin()?, Adam::new().epsilon(1e-12)).measure(report, &batches)
}
