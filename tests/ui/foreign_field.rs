extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    log: Option<Vec<std::fs::File>>,
}

fn main() {}
