use super::axes::{LayerAxes, beside, wide};
use crate::OrNone;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, Ones, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::module::{InputShapes, ManualBuild};
use modulor::{DTypePolicy, Error, Layer, Module, Result, Tensor, Variable};

/// Every sample to a mean of 0 and a variance of 1 along some axes, then scaled by γ and moved by β:
/// `γ·(x − mean)/√(variance + epsilon) + β`. Ba et al., "Layer normalization".
///
/// float16 and bfloat16 are computed in float32.
///
/// # Variables
///
/// `gamma` and `beta`, with the dims of the axes; without the one where `scale` is false, the other where `center` is.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::LayerNormalization;
/// # fn main() -> modulor::Result<()> {
/// let layer = LayerNormalization::new().epsilon(0.0);
/// let y = layer.call(&Tensor::from([[1.0_f32, 3.0], [5.0, 9.0]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 1.0, -1.0, 1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct LayerNormalization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Along which axis, or axes; the last unless set.
    #[config(default = LayerAxes::One(-1), into)]
    axis: LayerAxes,
    /// What is added to the variance; 0.001 unless set.
    #[config(default = 1e-3)]
    epsilon: f64,
    /// Whether there is a β; there is unless this says no.
    #[config(default = true)]
    center: bool,
    /// Whether there is a γ; there is unless this says no.
    #[config(default = true)]
    scale: bool,
    /// Whether it is `γ·x/√(variance + epsilon)`, without a β but always with a γ, as Keras once took RMS normalization
    /// to be; not unless set. [`RMSNormalization`](super::RMSNormalization) is what it is.
    #[config(default)]
    rms_scaling: bool,
    /// How β begins; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    beta_initializer: AnyInitializer,
    /// How γ begins; [`Ones`] unless set.
    #[config(default = Ones.into(), into)]
    gamma_initializer: AnyInitializer,
    /// What β costs; nothing unless set.
    #[config(default, into)]
    beta_regularizer: OrNone<AnyRegularizer>,
    /// What γ costs; nothing unless set.
    #[config(default, into)]
    gamma_regularizer: OrNone<AnyRegularizer>,
    /// Where β may be; anywhere unless set.
    #[config(default, into)]
    beta_constraint: OrNone<AnyConstraint>,
    /// Where γ may be; anywhere unless set.
    #[config(default, into)]
    gamma_constraint: OrNone<AnyConstraint>,
    #[variable(
        init = gamma_initializer,
        regularizer = gamma_regularizer,
        constraint = gamma_constraint,
        when = scale || rms_scaling
    )]
    gamma: Variable,
    #[variable(
        init = beta_initializer,
        regularizer = beta_regularizer,
        constraint = beta_constraint,
        when = center && !rms_scaling
    )]
    beta: Variable,
}

impl ManualBuild for LayerNormalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let dims = self.axis.dims(inputs)?;
        if self.scale || self.rms_scaling {
            inputs.size(&self.gamma, "gamma", &dims)?;
        }
        if self.center && !self.rms_scaling {
            inputs.size(&self.beta, "beta", &dims)?;
        }
        Ok(())
    }
}

impl Layer for LayerNormalization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (wide, axes) = (wide(x)?, self.axis.sorted());
        let gamma = beside(&self.gamma, self.scale || self.rms_scaling, &wide)?;
        let beta = beside(&self.beta, self.center && !self.rms_scaling, &wide)?;
        let y = match &gamma {
            Some(gamma) if self.rms_scaling => {
                let (_, variance) = wide.moments_keepdims(&*axes)?;
                wide.mul((variance + self.epsilon).rsqrt()?)?.mul(self.placed(gamma, x, true)?)?
            }
            _ => {
                let placed = |p: Option<Tensor>| p.map(|p| self.placed(&p, x, false)).transpose();
                let (gamma, beta) = (placed(gamma)?, placed(beta)?);
                wide.layer_norm(axes, gamma.as_ref(), beta.as_ref(), self.epsilon)?
            }
        };
        y.cast(self.dtype.compute_dtype()?)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }

    /// What it is given may be more exact than what it gives.
    fn autocast(&self) -> bool {
        false
    }
}

impl LayerNormalization {
    /// A parameter under the dims of the axes in their order in `x`, perhaps with dims of 1 for the others.
    ///
    /// They are those that it has, but where some axes are counted from the front and others from the end.
    fn placed(&self, parameter: &Tensor, x: &Tensor, broadcast: bool) -> Result<Tensor> {
        let needed = || Error::invalid_argument("these axes need an input whose rank is known");
        let Some(mut places) = self.axis.places(x) else {
            return if broadcast { Err(needed()) } else { Ok(parameter.clone()) };
        };
        places.sort_unstable();
        let dim = |axis: usize| x.shape().dim(axis).map_or(-1, |dim| dim as i64);
        let dims: Vec<i64> = match broadcast {
            true => (0..x.rank().unwrap_or(0)).map(|axis| if places.contains(&axis) { dim(axis) } else { 1 }).collect(),
            false => places.into_iter().map(dim).collect(),
        };
        if dims.len() == 1 { Ok(parameter.clone()) } else { parameter.reshape(dims) }
    }
}

impl Default for LayerNormalization {
    fn default() -> Self {
        LayerNormalization::new()
    }
}
