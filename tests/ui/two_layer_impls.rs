extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A;

impl Layer for A {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }
}

impl Layer<(Tensor, Tensor)> for A {
    fn forward(&self, x: &(Tensor, Tensor)) -> Result<Tensor> {
        Ok(x.0.clone())
    }
}

fn main() {}
