extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A;

impl Layer for A {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn call(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }
}

fn main() {}
