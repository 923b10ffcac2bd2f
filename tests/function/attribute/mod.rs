//! `#[function]`: the values and gradients of the same code as plain Rust, traced once for each kind of arguments.

mod arguments;
mod branches;
mod loops;
mod methods;

use modulor::prelude::*;

fn float(x: f32) -> Tensor {
    Tensor::scalar(x)
}

fn value(result: Result<Tensor>) -> f32 {
    result.unwrap().item().unwrap()
}

fn values(result: Result<Tensor>) -> Vec<f32> {
    result.unwrap().to_vec().unwrap()
}

/// What a function gives, traced and operation by operation, which must be the same.
fn both(f: impl Fn() -> Result<Tensor>) -> Vec<f32> {
    let (eager, traced) = (modulor::function::with_eager_functions(true, &f), f());
    let (eager, traced) = (eager.unwrap(), traced.unwrap());
    assert_eq!(eager.to_bytes().unwrap(), traced.to_bytes().unwrap());
    traced.to_vec().unwrap()
}
