use modulor::prelude::*;

#[derive(Structure, Clone)]
enum A {
    One(Tensor),
}

fn main() {}
