extern crate modulor_core as modulor;

use modulor::*;

#[derive(Structure, Clone)]
struct A {
    x: Tensor,
    size: usize,
}

fn main() {}
