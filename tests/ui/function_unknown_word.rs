extern crate modulor_core as modulor;

use modulor::*;

#[function(carte = modulor)]
fn a(x: &Tensor) -> Result<Tensor> {
    Ok(x.clone())
}

fn main() {}
