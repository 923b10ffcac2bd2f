use modulor::prelude::*;

#[derive(Module)]
struct A {
    mask: Tensor,
}

fn main() {}
