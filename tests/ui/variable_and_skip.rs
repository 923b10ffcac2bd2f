use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0)]
    #[skip]
    w: Variable,
}

fn main() {}
