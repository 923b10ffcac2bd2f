use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = "zeros")]
    w: Variable,
}

fn main() {}
