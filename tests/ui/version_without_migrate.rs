use modulor::prelude::*;

#[derive(Module)]
#[module(version = 2)]
struct A;

fn main() {}
