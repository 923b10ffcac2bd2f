use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    units: usize,
}

impl A {
    fn new() -> A {
        A { units: 3 }
    }
}

fn main() {}
