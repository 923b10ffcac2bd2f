use modulor::prelude::*;

#[derive(Module)]
#[skip]
struct A;

fn main() {}
