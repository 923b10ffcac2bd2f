//! A step of training, which is the same for all models.

use crate::measure::Report;
use modulor::prelude::*;
use std::time::Instant;

/// A model and what changes it.
pub struct Training<M, O> {
    model: M,
    optimizer: O,
    loss: SparseCategoricalCrossentropy,
}

impl<M: Layer, O: Optimizer> Training<M, O> {
    /// Inputs and class ids are taken by a step, which gives the loss that it found.
    pub fn new(model: M, optimizer: O) -> Training<M, O> {
        Training { model, optimizer, loss: SparseCategoricalCrossentropy { from_logits: true, ..Default::default() } }
    }

    /// One step: record, walk back, change the variables.
    fn step(&self, (inputs, classes): &(Tensor, Tensor)) -> Result<Tensor> {
        let tape = GradientTape::new();
        let loss = tape.record(|| self.loss.value(classes, &self.model.call(inputs)?, None))?;
        self.optimizer.minimize(&tape, &loss, &self.model.trainable_variables())?;
        Ok(loss)
    }

    /// Twenty steps whose losses are looked at, then as many as are timed.
    pub fn measure(self, report: &Report, batches: &[(Tensor, Tensor)]) -> Result<()> {
        let step = report.function(move |batch| self.step(batch));
        let mut batches = batches.iter().cycle();
        let begin = Instant::now();
        for at in 1..=20 {
            let loss: f32 = step(batches.next().expect("a cycle has no end"))?.item()?;
            if at == 1 && !report.check {
                report.emit("first_step_ms", begin.elapsed().as_secs_f64() * 1e3, &[]);
            }
            if report.check || [1, 6, 20].contains(&at) {
                report.emit(&format!("loss_{at}"), loss.into(), &[]);
            }
        }
        if report.check {
            return Ok(());
        }
        let [middle, least, most] = report.time(|| step(batches.next().expect("a cycle has no end")))?;
        report.emit("step_ms", middle * 1e3, &[("min", least * 1e3), ("max", most * 1e3)]);
        Ok(())
    }
}
