use modulor::prelude::*;

struct Child;

#[derive(Module)]
struct A {
    child: Child,
}

fn main() {}
