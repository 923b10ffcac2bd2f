extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[module(package = "p")]
    w: Variable,
}

fn main() {}
