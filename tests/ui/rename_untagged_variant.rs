use modulor::prelude::*;

#[derive(Module)]
enum A {
    #[module(rename = "one")]
    One,
}

fn main() {}
