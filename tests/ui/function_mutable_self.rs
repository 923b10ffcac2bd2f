extern crate modulor_core as modulor;

use modulor::*;

#[derive(Module)]
struct A {
    w: Variable,
}

impl A {
    #[function]
    fn step(&mut self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    #[function]
    fn end(self) -> Result<()> {
        Ok(())
    }
}

fn main() {}
