use modulor::prelude::*;

#[derive(Module)]
struct A {
    units: usize,
}

fn main() {}
