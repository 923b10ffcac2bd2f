use modulor::prelude::*;

#[derive(Module)]
struct A<T> {
    a: T,
    #[skip]
    b: T,
}

fn main() {}
