use modulor::prelude::*;

#[derive(Module)]
#[module(build = manual)]
struct A {
    #[variable(init = 0.0)]
    w: Variable,
}

fn main() {}
