extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], init = 0.0, weight = false)]
    w: Variable,
}

fn main() {}
