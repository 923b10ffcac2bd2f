use super::settings::defaults;
use modulor::{DTypePolicy, Layer, Module, Result, Tensor};

/// Gives a sequence a mask that leaves out the steps of which every number is `mask_value`, and makes those steps zeros.
///
/// # Shapes
///
/// The output is as the input, `[batch, steps, ..]`; the mask has its dims but for the last.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Masking;
/// # fn main() -> modulor::Result<()> {
/// let y = Masking::new().mask_value(-1.0).call(&Tensor::from([[[-1.0_f32, 2.0], [-1.0, -1.0]]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 2.0, 0.0, 0.0]);
/// assert_eq!(y.mask().map(|mask| mask.to_vec::<bool>()).transpose()?, Some(vec![true, false]));
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Masking {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// What the numbers of a step that does not count are; 0 unless set.
    #[config(default)]
    mask_value: f64,
}

impl Layer for Masking {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let counts = x.not_equal(self.mask_value)?.any_keepdims(-1)?;
        let y = counts.select(x, &x.zeros_like()?)?;
        Ok(y.with_mask(Some(counts.squeeze([-1])?)))
    }
}

defaults! { Masking }
