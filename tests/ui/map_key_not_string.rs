use modulor::prelude::*;

use std::collections::HashMap;

#[derive(Module)]
struct Dense;

#[derive(Module)]
struct A {
    layers: HashMap<u8, Dense>,
}

fn main() {}
