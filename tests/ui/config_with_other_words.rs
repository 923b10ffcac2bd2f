extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config]
    #[module(rename = "x")]
    units: usize,
}

fn main() {}
