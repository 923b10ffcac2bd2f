use super::activity::charge;
use super::settings::defaults;
use crate::regularizer::L1L2;
use modulor::{DTypePolicy, Layer, Module, Result, Tensor};

/// Hands its input on, and adds `l1·Σ|x| + l2·Σx²`, by the size of the batch, to the losses of the running call.
///
/// ```
/// use modulor::{Call, Tensor, collecting_losses};
/// use modulor_layers::library::ActivityRegularization;
/// # fn main() -> modulor::Result<()> {
/// let layer = ActivityRegularization::new().l1(0.5).l2(0.25);
/// let (y, losses) = collecting_losses(|| layer.call(&Tensor::from([[1.0_f32, -2.0]])));
/// assert_eq!(y?.to_vec::<f32>()?, [1.0, -2.0]);
/// assert_eq!(losses[0].item::<f32>()?, 2.75);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct ActivityRegularization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// The price of Σ|x|; 0 unless set.
    #[config(default)]
    l1: f64,
    /// The price of Σx²; 0 unless set.
    #[config(default)]
    l2: f64,
}

impl Layer for ActivityRegularization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        charge(Some(&L1L2 { l1: self.l1, l2: self.l2 }.into()), x)?;
        Ok(x.clone())
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

defaults! { ActivityRegularization }
