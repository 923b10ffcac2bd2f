extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(no_new = true)]
struct A {
    #[config]
    units: usize,
}

fn main() {}
