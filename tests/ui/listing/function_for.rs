extern crate modulor_core as modulor;

use modulor::*;

#[function]
fn a(n: usize) -> Result<()> {
    for i in n {
        println!("{i}");
    }
    Ok(())
}

fn main() {}
