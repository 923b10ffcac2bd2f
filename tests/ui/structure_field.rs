use modulor::prelude::*;

#[derive(Structure, Clone)]
struct A {
    x: Tensor,
    size: usize,
}

fn main() {}
