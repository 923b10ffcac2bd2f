use modulor::prelude::*;

#[derive(Module)]
union U {
    a: u32,
    b: f32,
}

fn main() {}
