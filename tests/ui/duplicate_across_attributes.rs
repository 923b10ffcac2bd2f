extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(name = "a")]
#[module(name = "b")]
struct A;

fn main() {}
