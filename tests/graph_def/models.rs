//! Models and steps of training as GraphDefs: read again they do what they did, and TensorFlow does the same.

use super::container::{Container, Row};
use modulor::graph::{Graph, trace};
use modulor::keras::library::{
    AttentionInputs, BatchNormalization, Conv2D, Dense, Flatten, GRU, LSTM, LayerNormalization, MaxPooling2D,
    MultiHeadAttention,
};
use modulor::keras::optimizer::{Adam, SGD};
use modulor::prelude::*;
use modulor::{Call, GradientTape, Result, Spec, Tensor, Variable, op::scope};

/// Numbers without pattern.
fn wave(dims: &[usize], most: f64) -> Tensor {
    let count: usize = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (most * (i as f64 * 1.37 + most).sin()) as f32).collect();
    Tensor::new(dims, values).expect("as many as dims")
}

/// What a model does in one call with some inputs.
pub(super) struct Model<'a> {
    pub name: &'static str,
    pub inputs: Vec<Tensor>,
    pub variables: Vec<Variable>,
    pub call: Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>> + 'a>,
}

/// Runs the model as a graph out of a file, and keeps it, with what it was given and what it gave, for TensorFlow.
pub(super) fn keep(model: Model, container: &mut Container) -> Result<()> {
    let before = model.variables.iter().map(Variable::value).collect::<Result<Vec<_>>>()?;
    let reset = || model.variables.iter().zip(&before).try_for_each(|(variable, value)| variable.assign(value));
    let specs: Vec<Spec> = model.inputs.iter().map(|input| input.spec().clone()).collect();
    let graph = trace(|x| (model.call)(x), &specs)?;
    let fed: Vec<&Tensor> = model.inputs.iter().collect();
    let outputs = graph.run(&fed)?;
    let after = model.variables.iter().map(Variable::value).collect::<Result<Vec<_>>>()?;
    reset()?;

    let names = |what: &str, count: usize| (0..count).map(|i| format!("{what}_{i}")).collect::<Vec<_>>();
    let (inputs, results) = (names("input", fed.len()), names("result", outputs.len()));
    let text = |names: &[String]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let [input_names, result_names] = [&inputs, &results].map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
    let bytes = graph.to_graph_def(&input_names, &result_names)?;
    let mut variables = vec![String::new(); model.variables.len()];
    let again = Graph::from_graph_def(&bytes, &input_names, &result_names, |name, _| {
        let at = model.variables.iter().position(|variable| variable.path().as_deref() == Some(name))?;
        variables[at] = name.to_owned();
        Some(model.variables[at].clone())
    })?;
    assert!(again.op_names().all(|op| op.starts_with(|c: char| c.is_ascii_uppercase())), "{}", model.name);
    // The bodies of composites need not have the bits of their kernels.
    let near = |found: &Tensor, expected: &Tensor, what: &str| {
        let off = (found - expected).cast(modulor::DType::F32)?.abs()?.max(..)?.item::<f32>()?;
        assert!(off <= 2e-5, "{}: {what} is off by {off}", model.name);
        Ok::<_, modulor::Error>(())
    };
    for (i, (found, expected)) in again.run(&fed)?.iter().zip(&outputs).enumerate() {
        near(found, expected, &format!("output {i}"))?;
    }
    for (variable, expected) in model.variables.iter().zip(&after) {
        near(&variable.value()?, expected, &variable.name())?;
    }
    reset()?;

    let row = |op: &str, inputs: &[String], outputs: &[String], variables: &[String]| Row {
        op: op.to_owned(),
        case: model.name.to_owned(),
        inputs: inputs.iter().cloned().enumerate().collect(),
        outputs: text(outputs),
        variables: text(variables),
        length: 0,
    };
    container.add(row("model", &inputs, &results, &variables), &bytes);
    // The values are the constants of a graph of their own: inputs, outputs, variables before and after.
    let values = [model.inputs.clone(), outputs, before, after].concat();
    let data = trace(|_| Ok(values.clone()), &[])?;
    let names = names("value", values.len());
    let data = data.to_graph_def(&[], &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    container.add(row("values", &[], &names, &[]), &data);
    Ok(())
}

#[derive(Module)]
struct Perceptron {
    hidden: Dense,
    out: Dense,
    optimizer: Adam,
}

#[derive(Module)]
struct Convolutional {
    conv: Conv2D,
    norm: BatchNormalization,
    pool: MaxPooling2D,
    flat: Flatten,
    out: Dense,
    optimizer: SGD,
}

#[derive(Module)]
struct Block {
    norm: LayerNormalization,
    attention: MultiHeadAttention,
    out: Dense,
}

impl Layer for Perceptron {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.out.call(&self.hidden.call(x)?)
    }
}

impl Layer for Convolutional {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.norm.call(&self.conv.call(x)?)?;
        self.out.call(&self.flat.call(&self.pool.call(&x)?)?)
    }
}

impl Layer for Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.norm.call(x)?;
        let y: Tensor = self.attention.call(AttentionInputs::new(&y, &y))?;
        self.out.call(&(x + y))
    }
}

#[test]
fn models_are_written_and_read_again() -> Result<()> {
    let mut container = Container::default();

    let net = Perceptron { hidden: Dense::new(8).activation("gelu"), out: Dense::new(2), optimizer: Adam::new() };
    let step = |x: &[Tensor]| {
        let tape = GradientTape::new();
        let loss = tape.record(|| net.call(&x[0])?.squared_difference(&x[1])?.mean(..))?;
        let weights = [net.hidden.variables(), net.out.variables()].concat();
        net.optimizer.minimize(&tape, &loss, &weights)?;
        Ok(vec![loss])
    };
    let inputs = vec![wave(&[5, 4], 1.0), wave(&[5, 2], 0.7)];
    step(&inputs)?;
    keep(Model { name: "a step of Adam", inputs, variables: net.variables(), call: Box::new(step) }, &mut container)?;

    let net = Convolutional {
        conv: Conv2D::new(4, 3).activation("relu"),
        norm: BatchNormalization::new(),
        pool: MaxPooling2D::new(),
        flat: Flatten::new(),
        out: Dense::new(3).activation("softmax"),
        optimizer: SGD::new().momentum(0.9),
    };
    let step = |x: &[Tensor]| {
        let tape = GradientTape::new();
        let loss = tape.record(|| {
            let y = scope::with_training(true, || net.call(&x[0]))?;
            y.squared_difference(&x[1])?.mean(..)
        })?;
        let weights = [net.conv.variables(), net.out.variables()].concat();
        net.optimizer.minimize(&tape, &loss, &weights)?;
        Ok(vec![loss, net.call(&x[0])?])
    };
    let inputs = vec![wave(&[2, 8, 8, 3], 1.0), wave(&[2, 3], 0.5)];
    step(&inputs)?;
    keep(Model { name: "a step of a CNN", inputs, variables: net.variables(), call: Box::new(step) }, &mut container)?;

    let x = vec![wave(&[3, 4, 5], 1.0)];
    let lstm = LSTM::new(4).return_sequences(true);
    lstm.call(&x[0])?;
    let call = |x: &[Tensor]| Ok(vec![lstm.call(&x[0])?]);
    let (inputs, variables) = (x.clone(), lstm.variables());
    keep(Model { name: "LSTM", inputs, variables, call: Box::new(call) }, &mut container)?;

    let gru = GRU::new(4);
    gru.call(&x[0])?;
    let call = |x: &[Tensor]| {
        let tape = GradientTape::new();
        let y = tape.record(|| gru.call(&x[0])?.square()?.sum(..))?;
        let slopes = tape.gradients(&y, gru.variables())?;
        Ok([y].into_iter().chain(slopes.into_iter().flatten()).collect())
    };
    let (inputs, variables) = (x.clone(), gru.variables());
    keep(Model { name: "gradients of a GRU", inputs, variables, call: Box::new(call) }, &mut container)?;

    let block = Block {
        norm: LayerNormalization::new(),
        attention: MultiHeadAttention::new(2, 3),
        out: Dense::new(5).activation("gelu"),
    };
    block.call(&x[0])?;
    let call = |x: &[Tensor]| Ok(vec![block.call(&x[0])?]);
    let variables = block.variables();
    keep(Model { name: "attention", inputs: x, variables, call: Box::new(call) }, &mut container)?;

    assert_eq!(container.rows.len(), 10);
    container.write("models.zip");
    Ok(())
}
