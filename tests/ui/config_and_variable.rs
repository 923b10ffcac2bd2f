use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    #[variable(init = 0.0)]
    w: Variable,
}

fn main() {}
