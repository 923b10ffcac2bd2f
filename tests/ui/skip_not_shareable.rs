extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    #[skip]
    lock: std::sync::Mutex<u32>,
}

fn main() {}
