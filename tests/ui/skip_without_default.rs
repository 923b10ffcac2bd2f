extern crate modulor_core as modulor;

use modulor::*;

#[derive(Clone)]
struct NoDefault;

#[derive(Module)]
struct A {
    #[skip]
    cache: NoDefault,
}

fn main() {}
