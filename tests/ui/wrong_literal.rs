use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(rename = 3)]
    w: Variable,
}

fn main() {}
