extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct Inner {
    w: Variable,
}

#[derive(Module)]
struct A {
    #[module(flatten)]
    a: Inner,
    #[module(flatten)]
    b: Inner,
}

fn main() {}
