//! Three dense layers.

use crate::data;
use crate::measure::Report;
use crate::training::Training;
use modulor::prelude::*;

const BATCH: usize = 128;

#[derive(Module)]
pub struct Mlp {
    hidden_1: Dense,
    hidden_2: Dense,
    answer: Dense,
}

impl Mlp {
    /// One with the weights that all programs begin with.
    pub fn begin() -> Result<Mlp> {
        let dense = |units| Dense::new(units).activation("relu");
        let model = Mlp { hidden_1: dense(512), hidden_2: dense(512), answer: Dense::new(10) };
        model.call(&Tensor::zeros([1, 784], DType::F32)?)?;
        data::set_weights(&model, "mlp", &["w1", "b1", "w2", "b2", "w3", "b3"])?;
        Ok(model)
    }
}

impl Layer for Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.hidden_1.call(x)?;
        self.answer.call(&self.hidden_2.call(&x)?)
    }
}

pub fn train(report: &Report) -> Result<()> {
    let batches = data::batches_of_digits(BATCH, &[784])?;
    Training::new(Mlp::begin()?, Adam::new().epsilon(1e-12)).measure(report, &batches)
}
