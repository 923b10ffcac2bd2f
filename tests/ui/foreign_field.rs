use modulor::prelude::*;

#[derive(Module)]
struct A {
    log: Option<Vec<std::fs::File>>,
}

fn main() {}
