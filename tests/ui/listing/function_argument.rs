extern crate modulor_core as modulor;

use modulor::*;

struct Handle(std::fs::File);

#[function]
fn a(x: &Tensor, handle: &Handle) -> Result<Tensor> {
    Ok(x.clone())
}

fn main() {}
