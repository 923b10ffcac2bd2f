extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A;

fn main() {
    let _ = A.call(&Tensor::scalar(1.0));
}
