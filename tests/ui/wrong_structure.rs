extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct Add;

impl Layer<(Tensor, Tensor)> for Add {
    fn forward(&self, (a, b): &(Tensor, Tensor)) -> Result<Tensor> {
        a.add(b)
    }
}

fn main() {
    let _ = Add.call(&Tensor::scalar(1.0));
}
