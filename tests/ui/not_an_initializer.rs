use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], init = Some(3))]
    w: Variable,
}

fn main() {}
