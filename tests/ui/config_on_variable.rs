use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    w: Variable,
}

fn main() {}
