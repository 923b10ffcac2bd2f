extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config(default = "three")]
    units: usize,
}

fn main() {}
