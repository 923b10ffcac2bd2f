extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
#[module(package = "a>b")]
struct A;

fn main() {}
