use modulor::prelude::*;

#[derive(Module)]
#[module(build = by_hand)]
struct A;

fn main() {}
