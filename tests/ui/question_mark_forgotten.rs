extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct Pass;

impl Layer for Pass {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }
}

fn main() {
    let x = Tensor::scalar(1.0);
    let _ = Pass.call(Pass.call(&x));
}
