//! Steps of training: compiled they give the bits of operations called one by one, and allocate nothing.

use crate::ops::allocations;
use modulor::keras::library::*;
use modulor::prelude::*;
use modulor::scope;
use std::sync::Arc;

/// Numbers without pattern.
fn wave(dims: &[usize], seed: f32) -> Tensor {
    let count: usize = dims.iter().product();
    Tensor::new(dims, (0..count).map(|i| (i as f32 * 1.37 + seed).sin()).collect::<Vec<_>>()).unwrap()
}

/// A model's step: forward, loss, gradients, and Adam's change of the variables.
type Step = Arc<dyn Fn(&(Tensor, Tensor)) -> Result<Tensor> + Send + Sync>;

/// All variables of a model and its optimizer, as they are by then.
type Variables = Arc<dyn Fn() -> Vec<Variable> + Send + Sync>;

fn step(model: impl Layer + 'static, optimizer: impl Optimizer + 'static) -> (Step, Variables) {
    let (model, optimizer) = (Arc::new(model), Arc::new(optimizer));
    let both = (model.clone(), optimizer.clone());
    let step = move |(x, labels): &(Tensor, Tensor)| {
        scope::with_training(true, || {
            let tape = GradientTape::new();
            let loss = tape.record(|| {
                let logits = model.call(x)?;
                SparseCategoricalCrossentropy { from_logits: true, ..Default::default() }.value(labels, &logits, None)
            })?;
            let variables = model.trainable_variables();
            let gradients = tape.gradients(&loss, &variables)?;
            optimizer.apply(&variables.into_iter().zip(gradients).collect::<Vec<_>>())?;
            Ok(loss)
        })
    };
    (Arc::new(step), Arc::new(move || [both.0.variables(), both.1.variables()].concat()))
}

/// Two of the same model and optimizer, after a first step each of operations called one by one.
fn twins<L: Layer + 'static>(
    model: impl Fn() -> L,
    optimizer: fn() -> Adam,
    batch: &(Tensor, Tensor),
) -> [(Step, Variables); 2] {
    let twins = [step(model(), optimizer()), step(model(), optimizer())];
    for (step, _) in &twins {
        step(batch).unwrap();
    }
    twins
}

/// Steps one by one and compiled, from the same variables.
fn compare<L: Layer + 'static>(what: &str, model: impl Fn() -> L, batch: (Tensor, Tensor)) {
    let [(eager, first), (traced, second)] = twins(model, Adam::new, &batch);
    let (a, b) = (first(), second());
    let everything = |v: &[Variable]| v.iter().map(|v| v.value().unwrap()).collect::<Vec<_>>();
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(&b) {
        b.assign(&a.value().unwrap()).unwrap();
    }
    let compiled = Function::new(move |batch: &(Tensor, Tensor)| traced(batch));
    for at in 0..5 {
        let one = eager(&batch).unwrap();
        let (other, asked) = allocations(|| compiled.call(&batch).unwrap());
        assert_eq!(one.to_bytes().unwrap(), other.to_bytes().unwrap(), "{what}: the loss of step {at}");
        for ((v, one), other) in a.iter().zip(everything(&a)).zip(everything(&b)) {
            assert_eq!(one.to_bytes().unwrap(), other.to_bytes().unwrap(), "{what}: {:?} after step {at}", v.path());
        }
        if at >= 2 {
            assert_eq!(asked, 0, "{what}: allocations of step {at}");
        }
    }
    assert_eq!(compiled.traces().len(), 1, "{what}");
}

#[derive(Module)]
struct Perceptron {
    hidden: Dense,
    dropout: Dropout,
    answer: Dense,
}

impl Layer for Perceptron {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.answer.call(&self.dropout.call(&self.hidden.call(x)?)?)
    }
}

#[test]
fn of_a_perceptron() {
    let model = || Perceptron {
        hidden: Dense::new(33).activation("relu"),
        dropout: Dropout::new(0.25).seed(7),
        answer: Dense::new(5),
    };
    let labels = Tensor::from([0, 1, 2, 3, 4, 0, 1]);
    compare("perceptron", model, (wave(&[7, 19], 0.5), labels));
}

#[derive(Module)]
struct Convolutional {
    convolution: Conv2D,
    norm: BatchNormalization,
    pool: MaxPooling2D,
    flatten: Flatten,
    answer: Dense,
}

impl Layer for Convolutional {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.norm.call(&self.convolution.call(x)?)?.relu()?;
        self.answer.call(&self.flatten.call(&self.pool.call(&x)?)?)
    }
}

#[test]
fn of_a_convolutional_net() {
    let model = || Convolutional {
        convolution: Conv2D::new(6, 3),
        norm: BatchNormalization::new(),
        pool: MaxPooling2D::new(),
        flatten: Flatten::new(),
        answer: Dense::new(3),
    };
    compare("convolutional", model, (wave(&[4, 9, 9, 2], 0.5), Tensor::from([0, 1, 2, 0])));
}

#[derive(Module)]
struct Recurrent {
    embedding: Embedding,
    lstm: LSTM,
    answer: Dense,
}

impl Layer for Recurrent {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.answer.call(&self.lstm.call(&self.embedding.call(x)?)?)
    }
}

#[test]
fn of_a_recurrent_net() {
    let model = || Recurrent { embedding: Embedding::new(11, 4), lstm: LSTM::new(5), answer: Dense::new(2) };
    let words = Tensor::new([3, 6], (0..18).map(|i| i * 7 % 11).collect::<Vec<i32>>()).unwrap();
    compare("recurrent", model, (words, Tensor::from([0, 1, 1])));
}

#[derive(Module)]
struct Attentive {
    norm: LayerNormalization,
    attention: MultiHeadAttention,
    wide: Dense,
    pool: GlobalAveragePooling1D,
    answer: Dense,
}

impl Layer for Attentive {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.norm.call(x)?;
        let x = x.add(&self.attention.call((&y, &y))?)?;
        self.answer.call(&self.pool.call(&self.wide.call(&x)?)?)
    }
}

#[test]
fn of_an_attentive_net() {
    let model = || Attentive {
        norm: LayerNormalization::new(),
        attention: MultiHeadAttention::new(2, 3),
        wide: Dense::new(9).activation("gelu"),
        pool: GlobalAveragePooling1D::new(),
        answer: Dense::new(3),
    };
    compare("attentive", model, (wave(&[2, 5, 6], 0.5), Tensor::from([2, 1])));
}
