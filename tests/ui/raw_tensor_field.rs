extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    mask: Tensor,
}

fn main() {}
