//! Three dense layers.

use crate::data;
use crate::measure::Report;
use crate::training::Training;
use modulor::prelude::*;
use std::time::Instant;

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

/// The whole job: five epochs over ten thousand digits by `fit`.
pub fn fit(report: &Report) -> Result<()> {
    let (images, classes) = data::digits(10_000, &[784])?;
    let begin = Instant::now();
    let loss = SparseCategoricalCrossentropy { from_logits: true, ..Default::default() };
    let trainer = Mlp::begin()?.compile(Adam::new().epsilon(1e-12), loss)?.metrics(["accuracy"])?;
    let mut trainer = trainer.run_eagerly(report.is_eager());
    let history = trainer.fit(&images, &classes).batch_size(128).epochs(5).verbose(0).run()?;
    report.emit("fit_s", begin.elapsed().as_secs_f64(), &[]);
    for (metric, name) in [("final_loss", "loss"), ("final_accuracy", "accuracy")] {
        if let Some(last) = history.get(name).and_then(<[f64]>::last) {
            report.emit(metric, *last, &[]);
        }
    }
    Ok(())
}
