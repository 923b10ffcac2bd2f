use modulor::prelude::*;

#[derive(Module)]
struct Residual<L> {
    inner: L,
}

#[derive(Module)]
struct Pass;

impl Layer for Pass {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }
}

impl<L: Layer> Layer for Residual<L> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.inner.call(x)
    }
}

modulor::register!(Residual<Pass>);
modulor::register!(Residual<Residual<Pass>>);

fn main() {}
