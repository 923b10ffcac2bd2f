extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config]
    units: usize,
}

impl A {
    fn new() -> A {
        A { units: 3 }
    }
}

fn main() {}
