use modulor::prelude::*;

#[derive(Structure)]
struct A {
    x: Tensor,
}

fn main() {}
