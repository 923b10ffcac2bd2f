use modulor::prelude::*;

#[derive(Module)]
#[module(package = "a>b")]
struct A;

fn main() {}
