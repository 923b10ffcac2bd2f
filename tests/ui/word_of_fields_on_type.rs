extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[skip]
struct A;

fn main() {}
