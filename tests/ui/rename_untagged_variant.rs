extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
enum A {
    #[module(rename = "one")]
    One,
}

fn main() {}
