extern crate modulor_core as modulor;

use modulor::*;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Foo;

#[derive(Module)]
struct A {
    #[config(default)]
    foo: Foo,
}

fn main() {}
