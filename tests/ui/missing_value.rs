use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(rename)]
    w: Variable,
}

fn main() {}
