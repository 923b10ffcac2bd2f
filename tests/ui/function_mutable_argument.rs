extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(x: &mut Tensor, by: &Tensor) -> Result<()> {
    *x = x.add(by)?;
    Ok(())
}

fn main() {}
