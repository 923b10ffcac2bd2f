use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config = 3]
    units: usize,
}

fn main() {}
