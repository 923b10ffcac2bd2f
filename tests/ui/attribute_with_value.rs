extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config = 3]
    units: usize,
}

fn main() {}
