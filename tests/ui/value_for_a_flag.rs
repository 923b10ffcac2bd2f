use modulor::prelude::*;

#[derive(Module)]
#[module(no_new = true)]
struct A {
    #[config]
    units: usize,
}

fn main() {}
