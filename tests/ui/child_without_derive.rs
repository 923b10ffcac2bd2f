extern crate modulor_core as modulor;

use modulor::*;

struct Child;

#[derive(Module)]
struct A {
    child: Child,
}

fn main() {}
