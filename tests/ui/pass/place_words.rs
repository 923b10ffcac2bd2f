use modulor::prelude::*;

#[derive(Module)]
struct Inner {
    w: Variable,
}

#[derive(Module)]
struct A {
    #[module(rename = "kernel", alias = "weight")]
    v: Variable,
    #[module(flatten)]
    inner: Inner,
    #[module(trainable = false)]
    other: Inner,
}

fn main() {}
