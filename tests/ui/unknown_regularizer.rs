use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], regularizer = "l3")]
    w: Variable,
}

fn main() {}
