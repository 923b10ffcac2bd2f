use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(rename = "kernel")]
    w: Variable,
    #[module(rename = "kernel")]
    v: Variable,
}

fn main() {}
