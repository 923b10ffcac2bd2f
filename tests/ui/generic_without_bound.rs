use modulor::prelude::*;

#[derive(Module)]
struct Residual<L> {
    inner: L,
}

impl<L> Layer for Residual<L> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }
}

fn main() {}
