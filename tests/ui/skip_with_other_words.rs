use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[skip]
    #[module(rename = "x")]
    cache: u32,
}

fn main() {}
