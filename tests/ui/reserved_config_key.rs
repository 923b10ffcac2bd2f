use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config]
    schema_version: u32,
}

fn main() {}
