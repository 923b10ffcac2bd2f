use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(trainable = false)]
    w: Variable,
}

fn main() {}
