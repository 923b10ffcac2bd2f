use super::axes::{LayerAxes, beside, wide};
use crate::initializer::{AnyInitializer, Ones};
use modulor::module::{InputShapes, ManualBuild};
use modulor::{DTypePolicy, Layer, Module, Result, Tensor, Variable};

/// Every sample by the root of the mean of its squares along some axes: `scale·x/√(mean(x²) + epsilon)`. Zhang and
/// Sennrich, "Root mean square layer normalization".
///
/// float16 and bfloat16 are computed in float32.
///
/// # Variables
///
/// `scale`, with the dims of the axes. Where these are not the last it is multiplied with the last all the same, as Keras
/// has it.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::RMSNormalization;
/// # fn main() -> modulor::Result<()> {
/// let y = RMSNormalization::new().epsilon(0.0).call(&Tensor::from([[0.0_f32, 4.0, 0.0, 0.0]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0, 0.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct RMSNormalization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Along which axis, or axes; the last unless set.
    #[config(default = LayerAxes::One(-1), into)]
    axis: LayerAxes,
    /// What is added to the mean of the squares; 0.000001 unless set.
    #[config(default = 1e-6)]
    epsilon: f64,
    #[variable(init = AnyInitializer::from(Ones))]
    scale: Variable,
}

impl ManualBuild for RMSNormalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        inputs.size(&self.scale, "scale", &self.axis.dims(inputs)?)
    }
}

impl Layer for RMSNormalization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (wide, axes) = (wide(x)?, self.axis.sorted());
        let scale = beside(&self.scale, true, &wide)?;
        let y = match (scale, self.axis.are_last(x)) {
            (Some(scale), false) => wide.rms_norm(axes, None, self.epsilon)?.mul(scale)?,
            (scale, _) => wide.rms_norm(axes, scale.as_ref(), self.epsilon)?,
        };
        y.cast(x.dtype())
    }
}

impl Default for RMSNormalization {
    fn default() -> Self {
        RMSNormalization::new()
    }
}
