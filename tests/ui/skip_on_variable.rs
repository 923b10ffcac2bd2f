use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[skip]
    w: Variable,
}

fn main() {}
