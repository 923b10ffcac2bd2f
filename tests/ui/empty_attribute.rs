use modulor::prelude::*;

#[derive(Module)]
#[module()]
struct A;

fn main() {}
