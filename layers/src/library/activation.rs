use crate::activation::AnyActivation;
use modulor::{DTypePolicy, Layer, Module, Result, Tensor};

/// An activation as a layer of its own: `new` takes its name, or an [`AnyActivation`].
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Activation;
/// # fn main() -> modulor::Result<()> {
/// let y = Activation::new("relu").call(&Tensor::from([-1.0_f32, 2.0]))?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Activation {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config(into)]
    activation: AnyActivation,
}

impl Layer for Activation {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.activation.apply(x)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}
