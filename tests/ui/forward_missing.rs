use modulor::prelude::*;

#[derive(Module)]
struct A;

fn main() {
    let _ = A.call(&Tensor::scalar(1.0));
}
