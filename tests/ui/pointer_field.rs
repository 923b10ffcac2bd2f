use modulor::prelude::*;

#[derive(Module)]
struct Dense;

#[derive(Module)]
struct A {
    a: *const Dense,
}

fn main() {}
