use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0 trainable = false)]
    w: Variable,
}

fn main() {}
