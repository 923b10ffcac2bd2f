extern crate modulor_core as modulor;

use modulor::*;

type Count = usize;

#[derive(Module)]
struct A {
    units: Count,
}

fn main() {}
