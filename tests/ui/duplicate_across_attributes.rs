use modulor::prelude::*;

#[derive(Module)]
#[module(name = "a")]
#[module(name = "b")]
struct A;

fn main() {}
