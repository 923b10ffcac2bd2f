extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    a: Self,
}

fn main() {}
