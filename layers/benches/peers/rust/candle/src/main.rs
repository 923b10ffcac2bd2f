//! candle on CPUs.

#[path = "../../protocol.rs"]
mod protocol;

use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss, ops};
use protocol::{BATCHES, Report, Values, read, shuffled};
use std::collections::HashMap;

const CPU: Device = Device::Cpu;

type Variables = HashMap<String, Var>;

fn tensor(values: &Values) -> Result<Tensor> {
    match values {
        Values::Floats(dims, values) => Tensor::from_slice(values, dims.as_slice(), &CPU),
        Values::Ids(dims, values) => {
            let values: Vec<u32> = values.iter().map(|&id| id as u32).collect();
            Tensor::from_slice(&values, dims.as_slice(), &CPU)
        }
    }
}

fn variables(name: &str) -> Result<Variables> {
    read(name).iter().map(|(name, values)| Ok((name.clone(), Var::from_tensor(&tensor(values)?)?))).collect()
}

/// Images have their channels first here.
fn variables_of_cnn() -> Result<Variables> {
    let turned = |(name, values): (String, Values)| {
        let value = tensor(&values)?;
        let value = match name.as_str() {
            "c1" | "c2" => value.permute((3, 2, 0, 1))?.contiguous()?,
            "w1" => value.reshape((12, 12, 64, 128))?.permute((2, 0, 1, 3))?.contiguous()?.reshape((9216, 128))?,
            _ => value,
        };
        Ok((name, Var::from_tensor(&value)?))
    };
    read("cnn").into_iter().map(turned).collect()
}

fn dense(x: &Tensor, kernel: &Var, bias: &Var) -> Result<Tensor> {
    x.matmul(kernel)?.broadcast_add(bias)
}

fn small(p: &Variables, x: &Tensor) -> Result<Tensor> {
    dense(&dense(x, &p["w1"], &p["b1"])?.relu()?, &p["w2"], &p["b2"])?.relu()
}

fn mlp(p: &Variables, x: &Tensor) -> Result<Tensor> {
    let x = dense(x, &p["w1"], &p["b1"])?.relu()?;
    dense(&dense(&x, &p["w2"], &p["b2"])?.relu()?, &p["w3"], &p["b3"])
}

fn cnn(p: &Variables, x: &Tensor) -> Result<Tensor> {
    let convolution = |x: &Tensor, kernel: &str, bias: &str| -> Result<Tensor> {
        x.conv2d(&p[kernel], 0, 1, 1, 1)?.broadcast_add(&p[bias].reshape((1, (), 1, 1))?)?.relu()
    };
    let x = convolution(&convolution(x, "c1", "cb1")?, "c2", "cb2")?.max_pool2d(2)?.flatten_from(1)?;
    dense(&dense(&x, &p["w1"], &p["b1"])?.relu()?, &p["w2"], &p["b2"])
}

fn transformer(p: &Variables, tokens: &Tensor, hidden: &Tensor) -> Result<Tensor> {
    let (batch, length, width, heads) = (16, 128, 128, 4);
    let dense = |x: &Tensor, kernel: &Var, bias: &Var| -> Result<Tensor> {
        let last = x.dim(D::Minus1)?;
        dense(&x.reshape((batch * length, last))?, kernel, bias)?.reshape((batch, length, ()))
    };
    let words = p["tok"].index_select(&tokens.flatten_all()?, 0)?.reshape((batch, length, width))?;
    let mut x = words.broadcast_add(&p["pos"])?;
    for block in 0..4 {
        let of = |name: &str| &p[&format!("{block}.{name}")];
        let y = ops::layer_norm_slow(&x, of("ln1.g"), of("ln1.b"), 1e-5)?;
        let parts = dense(&y, of("wqkv"), of("bqkv"))?.reshape((batch, length, 3, heads, width / heads))?;
        let parts = parts.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let (query, key, value) = (parts.get(0)?, parts.get(1)?, parts.get(2)?);
        let scores = (query.matmul(&key.t()?)? * ((width / heads) as f64).powf(-0.5))?.broadcast_add(hidden)?;
        let seen = ops::softmax(&scores, D::Minus1)?.matmul(&value)?.transpose(1, 2)?.contiguous()?;
        x = (x + dense(&seen.reshape((batch, length, width))?, of("wo"), of("bo"))?)?;
        let y = ops::layer_norm_slow(&x, of("ln2.g"), of("ln2.b"), 1e-5)?;
        x = (x + dense(&dense(&y, of("w1"), of("b1"))?.gelu()?, of("w2"), of("b2"))?)?;
    }
    let y = ops::layer_norm_slow(&x, &p["lnf.g"], &p["lnf.b"], 1e-5)?;
    dense(&y, &p["head"], &p["headb"])?.reshape((batch * length, 256))
}

fn lstm(p: &Variables, tokens: &Tensor) -> Result<Tensor> {
    let (batch, length) = tokens.dims2()?;
    let x = p["emb"].index_select(&tokens.flatten_all()?, 0)?.reshape((batch, length, 64))?;
    let zeros = || Tensor::zeros((batch, 128), DType::F32, &CPU);
    let (mut h, mut c) = (zeros()?, zeros()?);
    for at in 0..length {
        let x = dense(&x.narrow(1, at, 1)?.squeeze(1)?.contiguous()?, &p["wx"], &p["b"])?;
        let gates = (x + h.matmul(&p["wh"])?)?.chunk(4, 1)?;
        c = ((ops::sigmoid(&gates[1])? * c)? + (ops::sigmoid(&gates[0])? * gates[2].tanh()?)?)?;
        h = (ops::sigmoid(&gates[3])? * c.tanh()?)?;
    }
    dense(&h, &p["w"], &p["wb"])
}

/// A function of variables and inputs.
type Model<'a> = &'a dyn Fn(&Variables, &Tensor) -> Result<Tensor>;

fn train(report: &Report, p: &Variables, model: Model, batches: &[(Tensor, Tensor)], weight_decay: f64) -> Result<()> {
    let parameters = ParamsAdamW { lr: 1e-3, eps: 1e-12, weight_decay, ..Default::default() };
    let mut optimizer = AdamW::new(p.values().cloned().collect(), parameters)?;
    let mut step = |at: usize| {
        let (x, y) = &batches[at];
        let loss = loss::cross_entropy(&model(p, x)?, y)?;
        optimizer.backward_step(&loss)?;
        loss.to_scalar()
    };
    report.train(|at| step(at).expect("a step succeeds"));
    Ok(())
}

/// The whole job: five epochs over ten thousand digits.
fn fit(report: &Report) -> Result<()> {
    let file = read("mnist");
    let (x, y) = (tensor(&file["x"])?, tensor(&file["y"])?);
    let (begin, count) = (std::time::Instant::now(), x.dim(0)?);
    let p = variables("mlp")?;
    let parameters = ParamsAdamW { lr: 1e-3, eps: 1e-12, weight_decay: 0.0, ..Default::default() };
    let mut optimizer = AdamW::new(p.values().cloned().collect(), parameters)?;
    let mut total = 0.0;
    for epoch in 0..5 {
        total = 0.0;
        for some in shuffled(count, epoch).chunks(128) {
            let places = Tensor::new(some, &CPU)?;
            let loss = loss::cross_entropy(&mlp(&p, &x.index_select(&places, 0)?)?, &y.index_select(&places, 0)?)?;
            optimizer.backward_step(&loss)?;
            total += f64::from(loss.to_scalar::<f32>()?) * some.len() as f64;
        }
    }
    report.emit("fit_s", begin.elapsed().as_secs_f64(), &[]);
    report.emit("final_loss", total / count as f64, &[]);
    Ok(())
}

fn digits(size: usize, dims: &[usize]) -> Result<Vec<(Tensor, Tensor)>> {
    let file = read("mnist");
    let (x, y) = (tensor(&file["x"])?, tensor(&file["y"])?);
    let batch = |at: usize| {
        Ok((x.narrow(0, at * size, size)?.reshape([&[size], dims].concat())?, y.narrow(0, at * size, size)?))
    };
    (0..BATCHES).map(batch).collect()
}

fn ask(report: &Report, name: &str, model: Model, p: &Variables, x: &Tensor) -> Result<()> {
    let total = model(p, x)?.sum_all()?.to_scalar()?;
    report.ask(&format!("{name}_b{}", x.dim(0)?), total, || model(p, x).expect("a call succeeds"));
    Ok(())
}

fn small_ops(report: &Report) -> Result<()> {
    let p = variables("w9")?;
    let call = || {
        let mut x = p["x"].as_tensor().clone();
        for at in 0..200 {
            x = match at % 3 {
                0 => (x * p["a"].as_tensor())?,
                1 => (x + p["b"].as_tensor())?,
                _ => x.tanh()?,
            };
        }
        let loss = x.sum_all()?;
        let gradients = loss.backward()?;
        Result::Ok((loss, gradients))
    };
    let (loss, gradients) = call()?;
    let gradient = gradients.get(&p["a"]).expect("the loss depends on it");
    let check = loss.to_scalar::<f32>()? + gradient.sum_all()?.to_scalar::<f32>()?;
    report.small_ops(check, || call().expect("a call succeeds"));
    Ok(())
}

fn main() -> Result<()> {
    let mut report = Report::from_arguments();
    report.peer = "candle".to_owned();
    match report.workload.as_str() {
        "W1" => train(&report, &variables("mlp")?, &mlp, &digits(128, &[784])?, 0.0),
        "W2" => train(&report, &variables_of_cnn()?, &cnn, &digits(64, &[1, 28, 28])?, 0.0),
        "W3" => {
            let tokens = tensor(&read("seqs")["tokens"])?;
            let part = |at: usize, from: usize| tokens.get(at)?.narrow(1, from, 128)?.contiguous();
            let batches =
                (0..BATCHES).map(|at| Ok((part(at, 0)?, part(at, 1)?.flatten_all()?))).collect::<Result<Vec<_>>>()?;
            let hidden = (0..128 * 128).map(|at| if at % 128 > at / 128 { -1e9 } else { 0.0 });
            let hidden = Tensor::from_vec(hidden.collect::<Vec<f32>>(), (128, 128), &CPU)?;
            train(&report, &variables("gpt")?, &|p, x| transformer(p, x, &hidden), &batches, 0.01)
        }
        "W4" => {
            let file = read("seqs");
            let (x, y) = (tensor(&file["lstm_x"])?, tensor(&file["lstm_y"])?);
            let batches = (0..BATCHES).map(|at| Ok((x.get(at)?, y.get(at)?))).collect::<Result<Vec<_>>>()?;
            train(&report, &variables("lstm")?, &lstm, &batches, 0.0)
        }
        "W5" => {
            ask(&report, "seq", &small, &variables("seq")?, &Tensor::full(2.0_f32, (1, 3), &CPU)?)?;
            for size in [1, 256] {
                ask(&report, "mlp", &mlp, &variables("mlp")?, &digits(size, &[784])?[0].0)?;
                ask(&report, "cnn", &cnn, &variables_of_cnn()?, &digits(size, &[1, 28, 28])?[0].0)?;
            }
            Ok(())
        }
        "W6" => fit(&report),
        "W9" => small_ops(&report),
        "W10" => {
            let x = tensor(&read("w10")["x"])?;
            let call = || x.affine(1.3, 0.7)?.tanh()? * ops::sigmoid(&x)? + &x;
            let check = call()?.mean_all()?.to_scalar()?;
            report.chain(x.elem_count(), check, || call().expect("a call succeeds"));
            Ok(())
        }
        other => panic!("there is no workload {other:?}"),
    }
}
