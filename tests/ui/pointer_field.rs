extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct Dense;

#[derive(Module)]
struct A {
    a: *const Dense,
}

fn main() {}
