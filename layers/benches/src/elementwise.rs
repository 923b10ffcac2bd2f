//! Many small ops, whose arithmetic is next to nothing, and a few large ones, whose memory is all.

use crate::data;
use crate::measure::Report;
use modulor::prelude::*;

const OPS: usize = 200;

/// Products, sums and hyperbolic tangents in turn, and the gradients of the sum of what comes of them.
fn forward_and_backward((x, a, b): &(Tensor, Tensor, Tensor)) -> Result<Vec<Tensor>> {
    let tape = GradientTape::new();
    [x, a, b].into_iter().for_each(|source| tape.watch(source));
    let loss = tape.record(|| {
        let mut x = x.clone();
        for at in 0..OPS {
            x = match at % 3 {
                0 => x.mul(a)?,
                1 => x.add(b)?,
                _ => x.tanh()?,
            };
        }
        x.sum(..)
    })?;
    let gradients = tape.gradients(&loss, [x, a, b])?;
    Ok([loss].into_iter().chain(gradients.into_iter().flatten()).collect())
}

pub fn small_ops(report: &Report) -> Result<()> {
    let file = data::open("w9")?;
    let inputs = (file.read("x")?, file.read("a")?, file.read("b")?);
    let function = report.function(forward_and_backward);
    let found = function(&inputs)?;
    report.emit("check", (&found[0] + found[2].sum(..)?).item::<f32>()?.into(), &[]);
    if !report.check {
        let [middle, least, most] = report.time(|| function(&inputs))?.map(|seconds| seconds * 1e6 / OPS as f64);
        report.emit("us_per_op", middle, &[("min", least), ("max", most)]);
    }
    Ok(())
}

pub fn chain(report: &Report) -> Result<()> {
    let x = data::open("w10")?.read("x")?;
    let function = report.function(|x: &Tensor| (x * 1.3 + 0.7).tanh()?.mul(x.sigmoid()?)?.add(x));
    report.emit("check", function(&x)?.mean(..)?.item::<f32>()?.into(), &[]);
    if !report.check {
        // What must be moved: x once, and the result once.
        let bytes = 8.0 * x.dims()?.iter().product::<usize>() as f64;
        let [middle, least, most] = report.time(|| function(&x))?.map(|seconds| bytes / seconds * 1e-9);
        report.emit("GB_per_s", middle, &[("best", least), ("worst", most)]);
    }
    Ok(())
}
