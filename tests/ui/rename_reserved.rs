use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[module(rename = ".ATTRIBUTES")]
    w: Variable,
}

fn main() {}
