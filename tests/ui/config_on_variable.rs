extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config]
    w: Variable,
}

fn main() {}
