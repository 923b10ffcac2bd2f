extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[config]
    schema_version: u32,
}

fn main() {}
