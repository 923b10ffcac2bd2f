use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(rename = "a/b")]
    w: Variable,
}

fn main() {}
