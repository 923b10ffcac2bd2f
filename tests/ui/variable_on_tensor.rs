use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(init = 0.0)]
    w: Tensor,
}

fn main() {}
