extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(transparent)]
struct A {
    a: Variable,
    b: Variable,
}

fn main() {}
