use modulor::prelude::*;

#[derive(Module)]
struct A {
    kernel: Variable,
    #[module(rename = "kernel")]
    v: Variable,
}

fn main() {}
