//! What a call costs, beside what is worked out by hand.

use modulor::function::OpCost;
use modulor::keras::library::{Conv2D, LSTM};
use modulor::prelude::*;
use modulor::{Cost, while_loop};

fn of<'a>(cost: &'a Cost, name: &str) -> &'a OpCost {
    cost.ops().find(|op| op.name == name).unwrap_or_else(|| panic!("no {name} in\n{cost}"))
}

fn zeros(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::F32).unwrap()
}

#[test]
fn of_a_dense_layer() {
    let (w, b) = (Variable::new(zeros(&[8, 3])), Variable::new(zeros(&[3])));
    let f = Function::new(move |x: &Tensor| x.matmul(&w)?.add(&b)?.relu());
    let cost = f.cost(zeros(&[4, 8])).unwrap();
    let dense = of(&cost, "MatMul, BiasAdd, Relu");
    // A product of 8 terms for each of 12 elements, which get a bias and go through a function.
    assert_eq!((dense.calls, dense.flops), (1, 12 * 8 * 2 + 12 * 2));
    assert_eq!((dense.read, dense.written), (4 * (32 + 24 + 3), 4 * 12));
    assert_eq!((cost.flops(), cost.variables, cost.results, cost.buffers), (216, 4 * 27, 48, 0));
    assert_eq!(f.traces().len(), 1);
}

#[test]
fn of_a_convolution() {
    let layer = Conv2D::new(4, 3);
    let x = zeros(&[2, 8, 8, 3]);
    layer.call(&x).unwrap();
    let f = Function::new(move |x: &Tensor| layer.call(x));
    let cost = f.cost(&x).unwrap();
    let conv = of(&cost, "Conv2D, BiasAdd");
    // Filters of 3 × 3 over 3 channels, at 6 × 6 places of 2 images, to 4 channels, which get a bias.
    assert_eq!(conv.flops, 2 * (2 * 6 * 6 * 4) * (3 * 3 * 3) + 2 * 6 * 6 * 4);
    assert_eq!((conv.read, conv.written), (4 * (2 * 8 * 8 * 3 + 3 * 3 * 3 * 4 + 4), 4 * 2 * 6 * 6 * 4));
}

#[test]
fn of_a_recurrence_and_of_a_loop() {
    let layer = LSTM::new(4);
    let x = zeros(&[3, 5, 2]);
    layer.call(&x).unwrap();
    let cost = Function::new(move |x: &Tensor| layer.call(x)).cost(&x).unwrap();
    // 3 × 5 steps: products of 2 × 16 and 4 × 16, and ten of each of the 16 gates.
    assert_eq!(of(&cost, "recurrence").flops, 15 * (2 * 2 * 16 + 2 * 4 * 16 + 10 * 16));
    // A body counts once.
    let f = Function::new(|x: &Tensor| {
        while_loop(|y: &Tensor| y.sum(..)?.less(10.0), |y| y.matmul(x)?.matmul(x), x.clone())
    });
    let cost = f.cost(zeros(&[5, 5])).unwrap();
    assert_eq!((of(&cost, "MatMul").calls, of(&cost, "MatMul").flops), (2, 2 * 2 * 125));
}
