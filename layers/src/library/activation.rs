use crate::activation::AnyActivation;
use modulor::{Layer, Module, Result, Tensor};

/// An activation as a layer of its own.
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
#[module(package = "keras.layers", no_new)]
pub struct Activation {
    #[config]
    activation: AnyActivation,
}

impl Activation {
    /// The layer of an activation, given by name or as an [`AnyActivation`].
    pub fn new(activation: impl Into<AnyActivation>) -> Activation {
        Activation { activation: activation.into() }
    }
}

impl Layer for Activation {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.activation.apply(x)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}
