use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    #[module(rename = "x")]
    units: usize,
}

fn main() {}
