use super::axes::{LayerAxes, wide};
use modulor::{DTypePolicy, Layer, Module, Result, Tensor};

/// Every sample over its Euclidean norm along some axes; zeros stay zeros.
///
/// float16 and bfloat16 are computed in float32.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::UnitNormalization;
/// # fn main() -> modulor::Result<()> {
/// let y = UnitNormalization::new().call(&Tensor::from([[0.0_f32, -4.0], [0.0, 0.0]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, -1.0, 0.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct UnitNormalization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Along which axis, or axes; the last unless set.
    #[config(default = LayerAxes::One(-1), into)]
    axis: LayerAxes,
}

/// The square of the least norm that counts.
const LEAST: f64 = 1e-24;

impl Layer for UnitNormalization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        wide(x)?.l2_normalize(self.axis.sorted(), LEAST)?.cast(x.dtype())
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

impl Default for UnitNormalization {
    fn default() -> Self {
        UnitNormalization::new()
    }
}
