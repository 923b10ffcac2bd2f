extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(build = manual)]
struct A {
    #[variable(init = 0.0)]
    w: Variable,
}

fn main() {}
