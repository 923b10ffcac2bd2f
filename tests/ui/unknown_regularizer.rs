extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], regularizer = "l3")]
    w: Variable,
}

fn main() {}
