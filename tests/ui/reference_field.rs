use modulor::prelude::*;

#[derive(Module)]
struct Dense;

#[derive(Module)]
struct A {
    a: &'static Dense,
}

fn main() {}
