use modulor::prelude::*;

struct Foo;

#[derive(Module)]
struct A {
    #[config]
    foo: Foo,
}

fn main() {}
