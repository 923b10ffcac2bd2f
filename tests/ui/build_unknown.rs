extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(build = by_hand)]
struct A;

fn main() {}
