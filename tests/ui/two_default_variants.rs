extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
enum A {
    #[module(default)]
    One,
    #[module(default)]
    Two,
}

fn main() {}
