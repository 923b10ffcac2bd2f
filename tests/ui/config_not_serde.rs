extern crate modulor_core as modulor;

use modulor::*;

struct Foo;

#[derive(Module)]
struct A {
    #[config]
    foo: Foo,
}

fn main() {}
