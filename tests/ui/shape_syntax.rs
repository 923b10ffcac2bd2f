use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = 3)]
    w: Variable,
    #[variable(shape = [2, ,])]
    v: Variable,
}

fn main() {}
