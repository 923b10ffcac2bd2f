extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(both: (&Tensor, &Tensor)) -> Result<Tensor> {
    both.0.add(both.1)
}

fn main() {}
