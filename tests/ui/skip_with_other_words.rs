extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[skip]
    #[module(rename = "x")]
    cache: u32,
}

fn main() {}
