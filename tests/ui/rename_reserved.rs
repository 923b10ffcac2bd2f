extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[module(rename = ".ATTRIBUTES")]
    w: Variable,
}

fn main() {}
