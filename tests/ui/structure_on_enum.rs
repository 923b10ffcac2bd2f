extern crate modulor_core as modulor;

use modulor::*;

#[derive(Structure, Clone)]
enum A {
    One(Tensor),
}

fn main() {}
