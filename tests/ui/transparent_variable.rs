extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(transparent)]
struct A {
    #[variable(init = 0.0)]
    a: Variable,
}

fn main() {}
