//! Loops whose bodies do next to nothing: what an iteration costs beside its arithmetic.

use crate::measure::Report;
use modulor::prelude::*;
use modulor::{scan, while_loop};

const ITERATIONS: usize = 10_000;

/// A number that is multiplied and added to, so often; and the same by a scan over a vector.
pub fn measure(report: &Report) -> Result<()> {
    let x = Tensor::scalar(0.5_f32);
    let count = report.function(|x: &Tensor| {
        let begin = (Tensor::scalar(0_i32), x.clone());
        let next = |(at, y): &(Tensor, Tensor)| Ok((at.add(1.0)?, y.mul(0.999)?.add(0.001)?));
        Ok(while_loop(|(at, _)| at.less(ITERATIONS as f64), next, begin)?.1)
    });
    let xs = Tensor::new([ITERATIONS], (0..ITERATIONS).map(|at| at as f32 * 1e-4).collect::<Vec<_>>())?;
    let running = report.function(|xs: &Tensor| {
        let step = |y: &Tensor, x: &Tensor| {
            let y = y.mul(0.999)?.add(x)?;
            Ok((y.clone(), y))
        };
        Ok(scan(step, Tensor::scalar(0.0_f32), xs)?.1)
    });
    report.emit("check", (count(&x)?.item::<f32>()? + running(&xs)?.mean(..)?.item::<f32>()?).into(), &[]);
    if !report.check {
        for (name, function, x) in [("while_us", &count, &x), ("scan_us", &running, &xs)] {
            let [middle, least, most] = report.time(|| function(x))?.map(|seconds| seconds * 1e6 / ITERATIONS as f64);
            report.emit(name, middle, &[("min", least), ("max", most)]);
        }
    }
    Ok(())
}
