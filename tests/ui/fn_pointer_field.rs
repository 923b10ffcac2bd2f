use modulor::prelude::*;

#[derive(Module)]
struct A {
    activation: fn(&Tensor) -> Tensor,
}

fn main() {}
