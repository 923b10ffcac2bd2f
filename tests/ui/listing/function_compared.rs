extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    if x < y { Ok(x.clone()) } else { Ok(y.clone()) }
}

fn main() {}
