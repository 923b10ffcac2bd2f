//! Methods of modules, and functions that are given modules: a graph for each, of its variables and settings.

use super::{float, value, values};
use modulor::autograph::traces_of;
use modulor::prelude::*;
use modulor::{ModuleExt, scope};

#[derive(Module)]
struct Scaled {
    #[config]
    factor: f64,
    #[variable(init = 0.0)]
    calls: Variable,
    inner: Dense,
}

impl Scaled {
    #[function]
    fn scaled(&self, x: &Tensor) -> Result<Tensor> {
        self.calls.assign_add(&Tensor::scalar(1.0_f32))?;
        let y = self.inner.call(x)?;
        if self.calls.read()?.greater(2.0)? { y.mul(-self.factor) } else { y.mul(self.factor) }
    }
}

impl Layer for Scaled {
    #[function]
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.inner.call(x)?.mul(self.factor)
    }
}

fn model(factor: f64) -> Scaled {
    Scaled { factor, calls: Variable::default(), inner: Dense::new(2).kernel_initializer("ones") }.declared()
}

#[test]
fn each_module_has_its_graphs() {
    let (a, b) = (model(2.0), model(3.0));
    let x = Tensor::from([[1.0_f32, 2.0]]);
    // Not built before, and traced once all the same; what it counts is done in order.
    assert_eq!(values(a.scaled(&x)), [6.0, 6.0]);
    assert_eq!(values(a.scaled(&x)), [6.0, 6.0]);
    assert_eq!(values(a.scaled(&x)), [-6.0, -6.0]);
    assert_eq!(values(b.scaled(&x)), [9.0, 9.0]);
    assert_eq!((value(a.calls.read()), value(b.calls.read())), (3.0, 1.0));
    assert_eq!(traces_of(Scaled::scaled), ["it had not been traced", "it had not been traced"]);
    // Other variables of the same numbers are another module, the same variables with another setting as well.
    let mut shared = a.share();
    assert_eq!(values(shared.scaled(&x)), [-6.0, -6.0]);
    assert_eq!(traces_of(Scaled::scaled).len(), 2);
    shared.factor = 5.0;
    assert_eq!(values(shared.scaled(&x)), [-15.0, -15.0]);
    assert_eq!(values(a.scaled(&x)), [-6.0, -6.0]);
    assert_eq!(traces_of(Scaled::scaled).len(), 3);
    a.inner.freeze();
    assert_eq!(values(a.scaled(&x)), [-6.0, -6.0]);
    assert_eq!(traces_of(Scaled::scaled).len(), 4);
    // Drops what is not held any more, when something else is traced.
    drop((a, shared));
    let c = model(1.0);
    c.scaled(&x).unwrap();
    assert_eq!(traces_of(Scaled::scaled).len(), 2);
    assert_eq!(values(b.scaled(&x)), [9.0, 9.0]);
}

#[test]
fn a_layer_computes_by_a_graph() {
    let layer = model(2.0);
    let x = Tensor::from([[1.0_f32, 2.0]]);
    for _ in 0..2 {
        assert_eq!(values(layer.call(&x)), [6.0, 6.0]);
    }
    let tape = GradientTape::new();
    let loss = tape.record(|| layer.call(&x)?.sum(..)).unwrap();
    let gradients = tape.gradients(&loss, layer.inner.variables()).unwrap();
    let kernel = gradients.into_iter().flatten().find(|gradient| gradient.rank() == Some(2)).unwrap();
    assert_eq!(kernel.to_vec::<f32>().unwrap(), [2.0, 2.0, 4.0, 4.0]);
    assert_eq!(traces_of(<Scaled as Layer>::forward).len(), 1);
}

#[function]
fn step<L: Layer>(model: &L, optimizer: &Adam, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let tape = GradientTape::new();
    let loss = tape.record(|| model.call(x)?.squared_difference(y)?.mean(..))?;
    let variables = model.trainable_variables();
    let gradients = tape.gradients(&loss, &variables)?;
    optimizer.apply(&variables.into_iter().zip(gradients).collect::<Vec<_>>())?;
    Ok(loss)
}

#[test]
fn a_step_of_training_is_traced_once() {
    let trained = |eager: bool| {
        modulor::function::with_eager_functions(eager, || {
            let model = Dense::new(1).kernel_initializer("ones");
            let optimizer = Adam::new();
            let x = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
            let y = Tensor::from([[1.0_f32], [-1.0]]);
            let losses: Vec<f32> = (0..5).map(|_| value(step(&model, &optimizer, &x, &y))).collect();
            losses
        })
    };
    assert_eq!(trained(true), trained(false));
    assert_eq!(traces_of(step::<Dense>).len(), 1);
}

#[derive(Module)]
struct Penalized {
    inner: Dense,
}

impl Layer for Penalized {
    #[function]
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        modulor::add_loss(x.square()?.sum(..)?);
        self.inner.call(x)
    }
}

#[test]
fn losses_that_layers_add_are_collected() {
    let layer = Penalized { inner: Dense::new(1) };
    let x = Tensor::from([[1.0_f32, 2.0]]);
    for x in [&x, &(&x * 2.0)] {
        layer.call(x).unwrap();
        let (y, losses) = modulor::collecting_losses(|| layer.call(x));
        y.unwrap();
        let expected = value(x.square().and_then(|x| x.sum(..)));
        assert_eq!(losses.iter().map(|loss| loss.item::<f32>().unwrap()).collect::<Vec<_>>(), [expected]);
    }
}

#[derive(Module)]
struct Noisy {
    dropout: Dropout,
    blocks: Vec<Dense>,
}

impl Noisy {
    #[function]
    fn run(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        let mut at = 0;
        for block in &self.blocks {
            if at > 0 {
                x = block.call(&x)?;
            }
            at += 1;
        }
        self.dropout.call(&x)
    }
}

#[test]
fn the_phase_is_part_of_the_kind() {
    let noisy = Noisy { dropout: Dropout::new(0.5), blocks: vec![Dense::new(2), Dense::new(3), Dense::new(64)] };
    let x = Tensor::from([[1.0_f32, 2.0]]);
    assert_eq!(values(noisy.run(&x)), values(noisy.run(&x)));
    let noise = || scope::with_training(true, || values(noisy.run(&x)));
    assert_ne!(noise(), noise());
    let reasons = traces_of(Noisy::run);
    assert_eq!(reasons[1], "it is called in the training phase, and was not in the training phase");
    assert_eq!(reasons.len(), 2);
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    times: usize,
}

impl Settings {
    #[function]
    fn repeated(&self, x: &Tensor) -> Result<Tensor> {
        (1..self.times).try_fold(x.clone(), |y, _| y.add(x))
    }
}

#[test]
fn methods_of_plain_values_are_keyed_by_them() {
    assert_eq!(value(Settings { times: 3 }.repeated(&float(2.0))), 6.0);
    assert_eq!(value(Settings { times: 5 }.repeated(&float(2.0))), 10.0);
    let reasons = traces_of(Settings::repeated);
    assert_eq!(reasons[1], "the key is self = Settings { times: 5 }, and was self = Settings { times: 3 }");
}
