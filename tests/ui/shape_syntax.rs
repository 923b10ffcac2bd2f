extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(shape = 3)]
    w: Variable,
    #[variable(shape = [2, ,])]
    v: Variable,
}

fn main() {}
