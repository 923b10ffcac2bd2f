extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(version = 0)]
struct A;

fn main() {}
