use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config(default = "three")]
    units: usize,
}

fn main() {}
