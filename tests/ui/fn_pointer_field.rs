extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    activation: fn(&Tensor) -> Tensor,
}

fn main() {}
