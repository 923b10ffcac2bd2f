extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], dtype = "fp32")]
    w: Variable,
}

fn main() {}
