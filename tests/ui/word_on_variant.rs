extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
enum A {
    #[config]
    One,
}

fn main() {}
