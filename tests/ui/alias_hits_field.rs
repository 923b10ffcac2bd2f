extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    kernel: Variable,
    #[module(alias = "kernel")]
    v: Variable,
}

fn main() {}
