extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[module(rename)]
    w: Variable,
}

fn main() {}
