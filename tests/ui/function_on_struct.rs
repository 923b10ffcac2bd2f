extern crate modulor_core as modulor;

use modulor::*;

#[function]
struct A {
    w: Variable,
}

fn main() {}
