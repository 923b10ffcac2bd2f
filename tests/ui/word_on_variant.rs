use modulor::prelude::*;

#[derive(Module)]
enum A {
    #[config]
    One,
}

fn main() {}
