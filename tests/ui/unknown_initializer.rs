extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], init = "glorot_unifrom")]
    w: Variable,
}

fn main() {}
