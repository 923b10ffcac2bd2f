extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
union U {
    a: u32,
    b: f32,
}

fn main() {}
