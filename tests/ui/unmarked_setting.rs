extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    units: usize,
}

fn main() {}
