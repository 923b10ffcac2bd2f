use modulor::prelude::*;

#[derive(Module)]
enum A {
    #[module(default)]
    One,
    #[module(default)]
    Two,
}

fn main() {}
