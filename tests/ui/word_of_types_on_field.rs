use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(package = "p")]
    w: Variable,
}

fn main() {}
