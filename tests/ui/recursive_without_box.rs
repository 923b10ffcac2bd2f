use modulor::prelude::*;

#[derive(Module)]
struct A {
    a: Self,
}

fn main() {}
