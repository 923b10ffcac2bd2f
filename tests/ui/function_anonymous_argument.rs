extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(model: &impl Layer, x: &Tensor) -> Result<Tensor> {
    model.call(x)
}

fn main() {}
