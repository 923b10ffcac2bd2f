extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[module(rename = "kernel")]
    w: Variable,
    #[module(rename = "kernel")]
    v: Variable,
}

fn main() {}
