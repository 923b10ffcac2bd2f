extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[module(flatten)]
    v: Variable,
}

fn main() {}
