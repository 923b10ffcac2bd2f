extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[module(rename = "a/b")]
    w: Variable,
}

fn main() {}
