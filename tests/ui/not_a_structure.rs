extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A;

impl Layer<u32> for A {
    fn forward(&self, _: &u32) -> Result<Tensor> {
        Ok(Tensor::scalar(1.0))
    }
}

fn main() {}
