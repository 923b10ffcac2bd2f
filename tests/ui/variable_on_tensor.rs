extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0)]
    w: Tensor,
}

fn main() {}
