extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(init = "zeros")]
    w: Variable,
}

fn main() {}
