extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config]
    #[variable(init = 0.0)]
    w: Variable,
}

fn main() {}
