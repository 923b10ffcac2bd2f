//! burn on CPUs. Modes: flex, ndarray.

#[path = "../../protocol.rs"]
mod protocol;

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, GateController, LayerNorm, LayerNormConfig, Linear, LinearConfig, Lstm, LstmConfig,
    PaddingConfig2d,
};
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use burn::tensor::activation::{gelu_approximate, relu, sigmoid, softmax};
use burn::tensor::{Int, TensorData};
use protocol::{BATCHES, Report, Values, read, shuffled};
use std::collections::HashMap;
use std::hint::black_box;

type File = HashMap<String, Values>;

fn data(values: &Values) -> TensorData {
    match values {
        Values::Floats(dims, values) => TensorData::new(values.clone(), dims.clone()),
        Values::Ids(dims, values) => TensorData::new(values.clone(), dims.clone()),
    }
}

fn tensor<const N: usize>(values: &Values, device: &Device) -> Tensor<N> {
    Tensor::from_data(data(values), device)
}

fn parameter<const N: usize>(values: &Values, device: &Device) -> Param<Tensor<N>> {
    Param::from_tensor(tensor(values, device))
}

fn turned<const N: usize>(value: Tensor<N>, device: &Device) -> Param<Tensor<N>> {
    Param::from_data(value.into_data(), device)
}

fn scalar(x: Tensor<1>) -> f32 {
    x.into_data().iter::<f32>().next().expect("a scalar has an element")
}

fn dense(file: &File, kernel: &str, bias: &str, device: &Device) -> Linear {
    let Values::Floats(dims, _) = &file[kernel] else { panic!("kernels are floats") };
    let mut layer = LinearConfig::new(dims[0], dims[1]).init(device);
    layer.weight = parameter(&file[kernel], device);
    layer.bias = Some(parameter(&file[bias], device));
    layer
}

#[derive(Module, Debug)]
struct Small {
    hidden: Linear,
    answer: Linear,
}

impl Small {
    fn new(device: &Device) -> Small {
        let file = read("seq");
        Small { hidden: dense(&file, "w1", "b1", device), answer: dense(&file, "w2", "b2", device) }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        relu(self.answer.forward(relu(self.hidden.forward(x))))
    }
}

#[derive(Module, Debug)]
struct Mlp {
    hidden_1: Linear,
    hidden_2: Linear,
    answer: Linear,
}

impl Mlp {
    fn new(device: &Device) -> Mlp {
        let file = read("mlp");
        let dense = |kernel, bias| dense(&file, kernel, bias, device);
        Mlp { hidden_1: dense("w1", "b1"), hidden_2: dense("w2", "b2"), answer: dense("w3", "b3") }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = relu(self.hidden_1.forward(x));
        self.answer.forward(relu(self.hidden_2.forward(x)))
    }
}

#[derive(Module, Debug)]
struct Cnn {
    convolution_1: Conv2d,
    convolution_2: Conv2d,
    pool: MaxPool2d,
    hidden: Linear,
    answer: Linear,
}

impl Cnn {
    /// Images have their channels first here.
    fn new(device: &Device) -> Cnn {
        let file = read("cnn");
        let convolution = |channels: [usize; 2], kernel: &str, bias: &str| {
            let config = Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Valid);
            let mut layer = config.init(device);
            layer.weight = turned(tensor::<4>(&file[kernel], device).permute([3, 2, 0, 1]), device);
            layer.bias = Some(parameter(&file[bias], device));
            layer
        };
        let mut hidden = dense(&file, "w1", "b1", device);
        let kernel = tensor::<2>(&file["w1"], device).reshape([12, 12, 64, 128]).permute([2, 0, 1, 3]);
        hidden.weight = turned(kernel.reshape([9216, 128]), device);
        Cnn {
            convolution_1: convolution([1, 32], "c1", "cb1"),
            convolution_2: convolution([32, 64], "c2", "cb2"),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            hidden,
            answer: dense(&file, "w2", "b2", device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu(self.convolution_2.forward(relu(self.convolution_1.forward(x))));
        let x = self.pool.forward(x).flatten::<2>(1, 3);
        self.answer.forward(relu(self.hidden.forward(x)))
    }
}

#[derive(Module, Debug)]
struct Block {
    norm_1: LayerNorm,
    projection: Linear,
    output: Linear,
    norm_2: LayerNorm,
    wide: Linear,
    narrow: Linear,
}

#[derive(Module, Debug)]
struct Transformer {
    words: Embedding,
    places: Param<Tensor<2>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    answer: Linear,
}

impl Transformer {
    fn new(device: &Device) -> Transformer {
        let file = read("gpt");
        let norm = || LayerNormConfig::new(128).with_epsilon(1e-5).init(device);
        let mut words = EmbeddingConfig::new(256, 128).init(device);
        words.weight = parameter(&file["tok"], device);
        let block = |at: usize| {
            let dense = |name: &str| dense(&file, &format!("{at}.w{name}"), &format!("{at}.b{name}"), device);
            Block {
                norm_1: norm(),
                projection: dense("qkv"),
                output: dense("o"),
                norm_2: norm(),
                wide: dense("1"),
                narrow: dense("2"),
            }
        };
        Transformer {
            words,
            places: parameter(&file["pos"], device),
            blocks: (0..4).map(block).collect(),
            norm: norm(),
            answer: dense(&file, "head", "headb", device),
        }
    }

    fn forward(&self, tokens: Tensor<2, Int>, hidden: &Tensor<4>) -> Tensor<2> {
        let (batch, length, width, heads) = (16, 128, 128, 4);
        let mut x = self.words.forward(tokens) + self.places.val().unsqueeze::<3>();
        for block in &self.blocks {
            let parts = block.projection.forward(block.norm_1.forward(x.clone()));
            let parts = parts.reshape([batch, length, 3, heads, width / heads]).permute([2, 0, 3, 1, 4]);
            let part = |at: usize| -> Tensor<4> { parts.clone().slice([at..at + 1]).squeeze_dim::<4>(0) };
            let scores = part(0).matmul(part(1).swap_dims(2, 3)) * ((width / heads) as f32).powf(-0.5);
            let seen = softmax(scores + hidden.clone(), 3).matmul(part(2)).swap_dims(1, 2);
            x = x + block.output.forward(seen.reshape([batch, length, width]));
            let wide = gelu_approximate(block.wide.forward(block.norm_2.forward(x.clone())));
            x = x + block.narrow.forward(wide);
        }
        self.answer.forward(self.norm.forward(x)).reshape([batch * length, 256])
    }
}

#[derive(Module, Debug)]
struct Classifier {
    words: Embedding,
    lstm: Lstm,
    answer: Linear,
}

impl Classifier {
    fn new(device: &Device) -> Classifier {
        let file = read("lstm");
        let mut words = EmbeddingConfig::new(5000, 64).init(device);
        words.weight = parameter(&file["emb"], device);
        let mut lstm = LstmConfig::new(64, 128, true).init(device);
        let columns = |name: &str, rows: usize, gate: usize| {
            let all = tensor::<2>(&file[name], device);
            turned(all.slice([0..rows, gate * 128..(gate + 1) * 128]), device)
        };
        let set = |controller: &mut GateController, gate: usize| {
            let bias = tensor::<1>(&file["b"], device).slice([gate * 128..(gate + 1) * 128]);
            controller.input_transform.weight = columns("wx", 64, gate);
            controller.input_transform.bias = Some(turned(bias, device));
            controller.hidden_transform.weight = columns("wh", 128, gate);
            controller.hidden_transform.bias = None;
        };
        set(&mut lstm.input_gate, 0);
        set(lstm.forget_gate.as_mut().expect("it has one unless it is tied to the input's"), 1);
        set(&mut lstm.cell_gate, 2);
        set(&mut lstm.output_gate, 3);
        Classifier { words, lstm, answer: dense(&file, "w", "wb", device) }
    }

    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let (_, state) = self.lstm.forward(self.words.forward(tokens), None);
        self.answer.forward(state.hidden)
    }
}

fn adam() -> ModuleOptimizer {
    AdamConfig::new().with_epsilon(1e-12).init()
}

fn train<M: Module, X: Clone>(
    report: &Report,
    model: M,
    forward: impl Fn(&M, X) -> Tensor<2>,
    batches: Vec<(X, Tensor<1, Int>)>,
    mut optimizer: ModuleOptimizer,
    device: &Device,
) {
    let loss = CrossEntropyLossConfig::new().init(device);
    let mut model = Some(model);
    report.train(|at| {
        let ((x, y), before) = (batches[at].clone(), model.take().expect("a step gives it back"));
        let loss = loss.forward(forward(&before, x), y);
        let gradients = GradientsParams::from_grads(loss.backward(), &before);
        model = Some(optimizer.step(1e-3, before, gradients));
        scalar(loss.inner())
    });
}

/// The whole job: five epochs over ten thousand digits.
fn fit(report: &Report, mut optimizer: ModuleOptimizer, device: &Device) {
    let file = read("mnist");
    let (Values::Floats(_, x), Values::Ids(_, y)) = (&file["x"], &file["y"]) else {
        panic!("floats and their classes")
    };
    let (begin, count) = (std::time::Instant::now(), y.len());
    let loss = CrossEntropyLossConfig::new().init(device);
    let (mut model, mut total) = (Mlp::new(device), 0.0);
    for epoch in 0..5 {
        total = 0.0;
        for some in shuffled(count, epoch).chunks(128) {
            let images: Vec<f32> = some.iter().flat_map(|&at| &x[at as usize * 784..][..784]).copied().collect();
            let classes: Vec<i64> = some.iter().map(|&at| y[at as usize]).collect();
            let images = Tensor::<2>::from_data(TensorData::new(images, [some.len(), 784]), device);
            let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [some.len()]), device);
            let loss = loss.forward(model.forward(images), classes);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-3, model, gradients);
            total += f64::from(scalar(loss.inner())) * some.len() as f64;
        }
    }
    report.emit("fit_s", begin.elapsed().as_secs_f64(), &[]);
    report.emit("final_loss", total / count as f64, &[]);
}

/// Images and classes in batches; what is asked of the first alone needs no more than that.
fn digits<const N: usize>(batches: usize, dims: [usize; N], device: &Device) -> Vec<(Tensor<N>, Tensor<1, Int>)> {
    let file = read("mnist");
    let (Values::Floats(_, x), Values::Ids(_, y)) = (&file["x"], &file["y"]) else {
        panic!("floats and their classes")
    };
    let size = dims[0];
    let batch = |at: usize| {
        let images = TensorData::new(x[at * size * 784..(at + 1) * size * 784].to_vec(), dims);
        let classes = TensorData::new(y[at * size..(at + 1) * size].to_vec(), [size]);
        (Tensor::from_data(images, device), Tensor::from_data(classes, device))
    };
    (0..batches).map(batch).collect()
}

fn ask(report: &Report, name: &str, device: &Device, call: impl Fn() -> Tensor<2>) {
    let total = scalar(call().sum());
    report.ask(name, total, || {
        black_box(call());
        device.sync().expect("it has finished")
    });
}

fn small_ops(report: &Report, device: &Device) {
    let file = read("w9");
    let source = |name: &str| tensor::<2>(&file[name], device).require_grad();
    let (x, a, b) = (source("x"), source("a"), source("b"));
    let call = || {
        let mut x = x.clone();
        for at in 0..200 {
            x = match at % 3 {
                0 => x * a.clone(),
                1 => x + b.clone(),
                _ => x.tanh(),
            };
        }
        let loss = x.sum();
        let gradients = loss.backward();
        (loss, gradients)
    };
    let (loss, gradients) = call();
    let check = scalar(loss) + scalar(a.grad(&gradients).expect("the loss depends on it").sum());
    report.small_ops(check, || {
        let (_, gradients) = call();
        black_box(a.grad(&gradients));
        device.sync().expect("it has finished")
    });
}

fn main() {
    let mut report = Report::from_arguments();
    report.peer = format!("burn-{}", report.mode);
    let plain = match report.mode.as_str() {
        "flex" => Device::flex(),
        #[allow(deprecated)]
        "ndarray" => Device::ndarray(),
        other => panic!("there is no mode {other:?}"),
    };
    let device = &plain.clone().autodiff();
    match report.workload.as_str() {
        "W1" => {
            let batches = digits(BATCHES, [128, 784], device);
            train(&report, Mlp::new(device), |model, x| model.forward(x), batches, adam(), device);
        }
        "W2" => {
            let batches = digits(BATCHES, [64, 1, 28, 28], device);
            train(&report, Cnn::new(device), |model, x| model.forward(x), batches, adam(), device);
        }
        "W3" => {
            let tokens = Tensor::<3, Int>::from_data(data(&read("seqs")["tokens"]), device);
            let batch = |at: usize| {
                let words = tokens.clone().slice([at..at + 1, 0..16, 0..128]).squeeze_dim::<2>(0);
                (words, tokens.clone().slice([at..at + 1, 0..16, 1..129]).reshape([2048]))
            };
            let hidden = (0..128 * 128).map(|at| if at % 128 > at / 128 { -1e9 } else { 0.0 });
            let hidden = TensorData::new(hidden.collect::<Vec<f32>>(), [1, 1, 128, 128]);
            let hidden = Tensor::<4>::from_data(hidden, device);
            let optimizer = AdamWConfig::new().with_epsilon(1e-12).with_weight_decay(0.01).init();
            let (model, batches) = (Transformer::new(device), (0..BATCHES).map(batch).collect());
            train(&report, model, |model, x| model.forward(x, &hidden), batches, optimizer, device);
        }
        "W4" => {
            let file = read("seqs");
            let x = Tensor::<3, Int>::from_data(data(&file["lstm_x"]), device);
            let y = Tensor::<2, Int>::from_data(data(&file["lstm_y"]), device);
            let batch = |at: usize| {
                let words = x.clone().slice([at..at + 1]).squeeze_dim::<2>(0);
                (words, y.clone().slice([at..at + 1]).reshape([64]))
            };
            let (model, batches) = (Classifier::new(device), (0..BATCHES).map(batch).collect());
            train(&report, model, |model, x| model.forward(x), batches, adam(), device);
        }
        "W5" => {
            let device = &plain;
            let (small, x) = (Small::new(device), Tensor::<2>::full([1, 3], 2.0, device));
            ask(&report, "seq_b1", device, || small.forward(x.clone()));
            let (mlp, cnn) = (Mlp::new(device), Cnn::new(device));
            for size in [1, 256] {
                let x = digits(1, [size, 784], device).remove(0).0;
                ask(&report, &format!("mlp_b{size}"), device, || mlp.forward(x.clone()));
                let x = x.reshape([size, 1, 28, 28]);
                ask(&report, &format!("cnn_b{size}"), device, || cnn.forward(x.clone()));
            }
        }
        "W6" => fit(&report, adam(), device),
        "W9" => small_ops(&report, device),
        "W10" => {
            let x = tensor::<1>(&read("w10")["x"], &plain);
            let call = || (x.clone() * 1.3 + 0.7).tanh() * sigmoid(x.clone()) + x.clone();
            report.chain(x.dims()[0], scalar(call().mean()), || {
                black_box(call());
                plain.sync().expect("it has finished")
            });
        }
        other => panic!("there is no workload {other:?}"),
    }
}
