use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(init = 0.0)]
    w: Variable,
}

fn main() {}
