use modulor::prelude::*;

#[derive(Module)]
#[module(transparent)]
struct A {
    a: Variable,
    b: Variable,
}

fn main() {}
