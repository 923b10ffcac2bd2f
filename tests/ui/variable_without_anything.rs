extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(trainable = false)]
    w: Variable,
}

fn main() {}
