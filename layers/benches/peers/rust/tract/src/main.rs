//! tract on CPUs: inference alone, of the files that `compare.py --prepare` wrote.

#[path = "../../protocol.rs"]
mod protocol;

use protocol::{Report, Values, read};
use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

fn ask(report: &Report, name: &str, dims: &[usize], x: &[f32]) -> TractResult<()> {
    let folder = std::env::var("PEERS_DATA")?;
    let model = tract_onnx::onnx().model_for_path(format!("{folder}/{name}.onnx"))?;
    let plan = model.with_input_fact(0, f32::fact(dims).into())?.into_optimized()?.into_runnable()?;
    let (x, mut state): (TValue, _) = (Tensor::from_shape(dims, x)?.into(), plan.spawn()?);
    let total = state.run(tvec!(x.clone()))?[0].to_plain_array_view::<f32>()?.iter().sum();
    report.ask(&format!("{name}_b{}", dims[0]), total, || state.run(tvec!(x.clone())).expect("a call succeeds"));
    Ok(())
}

fn main() -> TractResult<()> {
    let mut report = Report::from_arguments();
    report.peer = "tract".to_owned();
    if report.threads > 1 {
        set_default_executor(Executor::multithread(report.threads));
    }
    ask(&report, "seq", &[1, 3], &[2.0; 3])?;
    let file = read("mnist");
    let Values::Floats(_, x) = &file["x"] else { panic!("images are floats") };
    for batch in [1, 256] {
        ask(&report, "mlp", &[batch, 784], &x[..batch * 784])?;
        ask(&report, "cnn", &[batch, 1, 28, 28], &x[..batch * 784])?;
    }
    Ok(())
}
