use modulor::prelude::*;

#[derive(Module)]
#[module(name = "my layer")]
struct A;

fn main() {}
