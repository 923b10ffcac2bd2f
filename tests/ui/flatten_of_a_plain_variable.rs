use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(flatten)]
    v: Variable,
}

fn main() {}
