use modulor::prelude::*;

#[derive(Module)]
#[module(nmae = "x")]
struct A;

fn main() {}
