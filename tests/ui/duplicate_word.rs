extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[module(rename = "a", rename = "b")]
    w: Variable,
}

fn main() {}
