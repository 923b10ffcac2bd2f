//! `register!`: a type with parameters is in the registry for the types wanted.

use modulor::prelude::*;

#[derive(Module)]
struct Residual<L> {
    inner: L,
}

#[derive(Module)]
#[module(name = "pass_through")]
struct Through;

impl Layer for Through {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }
}

impl<L: Layer> Layer for Residual<L> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.inner.call(x)
    }
}

modulor::register!(Residual<Through>);

#[test]
fn a_registered_type_is_found_by_its_name() -> Result<()> {
    let layer: Box<dyn Layer> = Box::new(Residual { inner: Through });
    let names = modulor::registry::class::names();
    assert!(names.iter().any(|name| name.contains("Residual")), "{names:?}");
    assert_eq!(layer.call(Tensor::scalar(2.0_f32))?.item::<f32>()?, 2.0);
    Ok(())
}
