extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(name = "my layer")]
struct A;

fn main() {}
