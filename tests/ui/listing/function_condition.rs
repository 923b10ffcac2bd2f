extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(x: &Tensor) -> Result<Tensor> {
    if x.less(0.0) { x.neg() } else { Ok(x.clone()) }
}

#[function]
fn b(x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    while x.rank() {
        x = x.sum(0)?;
    }
    Ok(x)
}

fn main() {}
