extern crate modulor_core as modulor;

use modulor::*;

#[derive(Structure)]
struct A {
    x: Tensor,
}

fn main() {}
