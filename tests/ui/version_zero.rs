use modulor::prelude::*;

#[derive(Module)]
#[module(version = 0)]
struct A;

fn main() {}
