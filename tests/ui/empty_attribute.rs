extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module()]
struct A;

fn main() {}
