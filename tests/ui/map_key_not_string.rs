extern crate modulor_core as modulor;

use modulor::*;

use std::collections::HashMap;

#[derive(Module)]
struct Dense;

#[derive(Module)]
struct A {
    layers: HashMap<u8, Dense>,
}

fn main() {}
