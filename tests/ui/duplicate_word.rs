use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(rename = "a", rename = "b")]
    w: Variable,
}

fn main() {}
