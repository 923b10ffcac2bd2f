use modulor::prelude::*;

#[derive(Module)]
struct A {
    kernel: Variable,
    #[module(alias = "kernel")]
    v: Variable,
}

fn main() {}
