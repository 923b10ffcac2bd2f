//! What `fit` costs beside a loop that a user would write: a small model, so that a step is short.

use crate::measure::Report;
use modulor::keras::callback::ProgbarLogger;
use modulor::keras::metric::Mean;
use modulor::prelude::*;
use std::io;
use std::time::Instant;

const BATCHES: usize = 1250;
const BATCH: usize = 32;

fn model() -> Sequential {
    Sequential::new().add(Dense::new(32).activation("relu")).add(Dense::new(10))
}

fn loss() -> SparseCategoricalCrossentropy {
    SparseCategoricalCrossentropy { from_logits: true, ..Default::default() }
}

/// A step as a user would write it, which counts the losses in `mean` or does not.
fn step(mean: Option<Mean>) -> Function<(Tensor, Tensor)> {
    let (model, optimizer, loss) = (model(), Adam::new(), loss());
    Function::new(move |(x, y): &(Tensor, Tensor)| {
        let tape = GradientTape::new();
        let loss = tape.record(|| loss.value(y, &model.call(x)?, None))?;
        optimizer.minimize(&tape, &loss, &model.trainable_variables())?;
        if let Some(mean) = &mean {
            mean.update_state(&loss, Some(&Tensor::scalar(BATCH as f64)))?;
        }
        Ok(loss)
    })
}

/// Rounds over the batches of one dataset in turn, each short beside the moods of a machine: of a loop that counts nothing, of one that counts the mean loss, which costs
/// what a metric does, and of `fit` with a bar.
pub fn beside_a_loop(report: &Report) -> Result<()> {
    set_seed(1);
    let dims = Tensor::from([(BATCHES * BATCH) as i64, 64]);
    let x = Tensor::stateless_normal(&dims, &Tensor::from([1, 2]), DType::F32)?;
    let y = x.slice((.., ..10))?.argmax(-1)?;
    let dataset = Dataset::from_tensor_slices((x, y))?.shuffle(usize::MAX, 1).batch(BATCH);

    let seconds = |all: &mut dyn FnMut() -> Result<()>| -> Result<f64> {
        let begin = Instant::now();
        all()?;
        Ok(begin.elapsed().as_secs_f64())
    };
    let of_loop = |step: &Function<(Tensor, Tensor)>| {
        for batch in dataset.iter_at(0, 0) {
            step.call(&batch?)?;
        }
        Ok(())
    };
    let (plain, counting) = (step(None), step(Some(Mean::new())));
    let mut trainer = model().compile(Adam::new(), loss())?;
    let mut of_fit = || {
        let bar = ProgbarLogger::to(io::sink(), true);
        trainer.fit_batches(&dataset).callback(bar).run().map(|_| ())
    };

    let mut rounds = Vec::new();
    for round in 0..=8 * report.repeats.max(5) {
        let mut of_each = [0.0; 3];
        // Each goes first in turn.
        for at in (0..3).map(|at| (at + round) % 3) {
            of_each[at] = match at {
                0 => seconds(&mut || of_loop(&plain))?,
                1 => seconds(&mut || of_loop(&counting))?,
                _ => seconds(&mut of_fit)?,
            };
        }
        // What is traced is traced in the first.
        if round > 0 {
            rounds.push(of_each);
        }
    }
    let step = 1e6 / BATCHES as f64;
    let figures: [(&str, fn([f64; 3]) -> f64, f64); 5] = [
        ("loop_us", |[plain, ..]| plain, step),
        ("counting_loop_us", |[_, counting, _]| counting, step),
        ("fit_us", |[.., fit]| fit, step),
        ("fit_over_loop", |[plain, _, fit]| fit / plain, 1.0),
        ("fit_over_counting_loop", |[_, counting, fit]| fit / counting, 1.0),
    ];
    for (metric, of, unit) in figures {
        let mut found: Vec<f64> = rounds.iter().map(|&round| of(round) * unit).collect();
        found.sort_by(f64::total_cmp);
        report.emit(metric, found[found.len() / 2], &[("min", found[0]), ("max", found[found.len() - 1])]);
    }
    Ok(())
}
