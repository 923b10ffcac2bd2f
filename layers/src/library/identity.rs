use super::settings::defaults;
use modulor::{DTypePolicy, Layer, Module, Result, Tensor};

/// Hands its input on, with its mask.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Identity;
/// # fn main() -> modulor::Result<()> {
/// assert_eq!(Identity::new().call(&Tensor::from([1, 2]))?.to_vec::<i32>()?, [1, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Identity {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
}

impl Layer for Identity {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

defaults! { Identity }
