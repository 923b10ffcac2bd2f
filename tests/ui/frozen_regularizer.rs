use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], init = 0.0, trainable = false, regularizer = "l2")]
    w: Variable,
}

fn main() {}
