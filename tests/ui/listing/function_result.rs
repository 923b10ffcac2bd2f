extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(x: &Tensor) -> Result<usize> {
    Ok(x.rank().unwrap_or(0))
}

fn main() {}
