use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0)]
    #[module(flatten)]
    w: Variable,
}

fn main() {}
