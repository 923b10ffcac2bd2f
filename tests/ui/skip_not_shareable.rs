use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[skip]
    lock: std::sync::Mutex<u32>,
}

fn main() {}
