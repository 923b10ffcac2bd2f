extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[skip]
    w: Variable,
}

fn main() {}
