//! Models that are asked, one sample or many at a time.

use crate::cnn::Cnn;
use crate::data;
use crate::measure::Report;
use crate::mlp::Mlp;
use modulor::prelude::*;

/// Two layers of a few neurons: what a call costs beside its arithmetic.
#[derive(Module)]
struct Small {
    hidden: Dense,
    answer: Dense,
}

impl Layer for Small {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.answer.call(&self.hidden.call(x)?)
    }
}

fn ask(report: &Report, model: impl Layer, name: &str, x: &Tensor) -> Result<()> {
    let name = format!("{name}_b{}", x.dims()?[0]);
    let function = report.function(move |x: &Tensor| model.call(x));
    report.emit(&format!("{name}_check"), function(x)?.sum(..)?.item::<f32>()?.into(), &[]);
    if !report.check {
        let [middle, least, most] = report.time(|| function(x))?;
        report.emit(&format!("{name}_us"), middle * 1e6, &[("min", least * 1e6), ("max", most * 1e6)]);
    }
    Ok(())
}

pub fn measure(report: &Report) -> Result<()> {
    let dense = |units| Dense::new(units).activation("relu");
    let (small, x) = (Small { hidden: dense(3), answer: dense(2) }, Tensor::from([[2.0_f32; 3]]));
    small.call(&x)?;
    data::set_weights(&small, "seq", &["w1", "b1", "w2", "b2"])?;
    ask(report, small, "seq", &x)?;
    for batch in [1, 256] {
        ask(report, Mlp::begin()?, "mlp", &data::digits(batch, &[784])?.0)?;
        ask(report, Cnn::begin()?, "cnn", &data::digits(batch, &[28, 28, 1])?.0)?;
    }
    Ok(())
}
