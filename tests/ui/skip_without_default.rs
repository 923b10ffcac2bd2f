use modulor::prelude::*;

#[derive(Clone)]
struct NoDefault;

#[derive(Module)]
struct A {
    #[skip]
    cache: NoDefault,
}

fn main() {}
