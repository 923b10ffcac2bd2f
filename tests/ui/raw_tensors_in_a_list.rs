extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    masks: Vec<Tensor>,
}

fn main() {}
