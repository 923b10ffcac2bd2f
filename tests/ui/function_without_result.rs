extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(x: &Tensor) -> Tensor {
    x.clone()
}

#[function]
fn b(x: &Tensor) {
    println!("{x}");
}

fn main() {}
