extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[module(rename = 3)]
    w: Variable,
}

fn main() {}
