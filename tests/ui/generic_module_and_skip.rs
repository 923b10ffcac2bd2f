extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A<T> {
    a: T,
    #[skip]
    b: T,
}

fn main() {}
