extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(nmae = "x")]
struct A;

fn main() {}
