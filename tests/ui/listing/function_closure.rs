extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(x: &Tensor) -> Result<Tensor> {
    let absolute = |x: &Tensor| -> Result<Tensor> { if x.less(0.0)? { x.neg() } else { Ok(x.clone()) } };
    absolute(x)
}

fn main() {}
