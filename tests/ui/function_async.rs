extern crate modulor_core as modulor;

use modulor::*;

#[function]
async fn a(x: &Tensor) -> Result<Tensor> {
    Ok(x.clone())
}

fn main() {}
