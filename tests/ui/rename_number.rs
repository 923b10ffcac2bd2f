use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(rename = "0")]
    w: Variable,
}

fn main() {}
