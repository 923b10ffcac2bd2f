//! Activations that are layers of their own, with settings, and one with a variable.

use super::axes::LayerAxes;
use super::settings::defaults;
use crate::OrNone;
use crate::activation;
use crate::constraint::AnyConstraint;
use crate::family::not_negative;
use crate::initializer::{AnyInitializer, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::module::{InputShapes, ManualBuild};
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor, Variable};

/// `x` above `threshold` and at most `max_value`; below, `negative_slope·(x − threshold)`.
///
/// No setting may be negative.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::ReLU;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::from([-2.0_f32, 0.5, 9.0]);
/// assert_eq!(ReLU::new().call(&x)?.to_vec::<f32>()?, [0.0, 0.5, 9.0]);
/// let layer = ReLU::new().max_value(6.0).negative_slope(0.5).threshold(1.0);
/// assert_eq!(layer.call(&x)?.to_vec::<f32>()?, [-1.5, -0.25, 6.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct ReLU {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// The most that comes out; anything unless set.
    #[config(default, into)]
    max_value: Option<f64>,
    /// The slope below the threshold; 0 unless set.
    #[config(default)]
    negative_slope: f64,
    /// Where `x` begins to count; 0 unless set.
    #[config(default)]
    threshold: f64,
}

impl Layer for ReLU {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let max_value = self.max_value.map(|max| not_negative("max_value", max)).transpose()?;
        let slope = not_negative("negative_slope", self.negative_slope)?;
        activation::relu(x, slope, max_value, not_negative("threshold", self.threshold)?)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

/// `x` above 0, `negative_slope·x` below.
///
/// The slope is 0.3 unless set, and not negative; that of [`AnyActivation::LeakyRelu`](crate::activation::AnyActivation) is
/// 0.2.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::LeakyReLU;
/// # fn main() -> modulor::Result<()> {
/// let y = LeakyReLU::new().negative_slope(0.5).call(&Tensor::from([-2.0_f32, 3.0]))?;
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct LeakyReLU {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// The slope below 0; 0.3 unless set.
    #[config(default = 0.3)]
    negative_slope: f64,
}

impl Layer for LeakyReLU {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.leaky_relu(not_negative("negative_slope", self.negative_slope)? as f32)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

/// `x` above 0, `α·(eˣ − 1)` below.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::ELU;
/// # fn main() -> modulor::Result<()> {
/// let y = ELU::new().alpha(2.0).call(&Tensor::from([f32::NEG_INFINITY, 3.0]))?;
/// assert_eq!(y.to_vec::<f32>()?, [-2.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct ELU {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// How far below 0 it reaches; 1 unless set.
    #[config(default = 1.0)]
    alpha: f64,
}

impl Layer for ELU {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        activation::elu(x, self.alpha)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

/// `x` above 0, `α·x` below, with an α of each place that is learnt: He et al., "Delving deep into rectifiers".
///
/// # Shapes
///
/// The output is as the input. The dims of a sample must be known, but for those of shared axes.
///
/// # Variables
///
/// `alpha`, of the shape of a sample, with dims of 1 along `shared_axes`.
///
/// ```
/// use modulor::{Call, DType, ModuleExt, Tensor};
/// use modulor_layers::library::PReLU;
/// # fn main() -> modulor::Result<()> {
/// let layer = PReLU::new().shared_axes(vec![1, 2]);
/// layer.call(&Tensor::zeros([2, 7, 7, 3], DType::F32)?)?;
/// assert_eq!(layer.weights()[0].shape(), Some(vec![1, 1, 3]));
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct PReLU {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// How α begins; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    alpha_initializer: AnyInitializer,
    /// What α costs; nothing unless set.
    #[config(default, into)]
    alpha_regularizer: OrNone<AnyRegularizer>,
    /// Where α may be; anywhere unless set.
    #[config(default, into)]
    alpha_constraint: OrNone<AnyConstraint>,
    /// The axes along which places have one α, counted from 1, the batch being 0; none unless set.
    #[config(default, into)]
    shared_axes: Option<Vec<usize>>,
    #[variable(init = alpha_initializer, regularizer = alpha_regularizer, constraint = alpha_constraint)]
    alpha: Variable,
}

impl ManualBuild for PReLU {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        let shape = inputs.shape(0)?;
        let rank =
            shape.rank().ok_or_else(|| Error::invalid_argument("a `PReLU` needs the rank of its input known"))?;
        let shared = self.shared_axes.as_deref().unwrap_or_default();
        if let Some(axis) = shared.iter().find(|&&axis| axis == 0 || axis >= rank) {
            let message =
                format!("`shared_axes` are axes of a sample, from 1 on, found {axis} for an input of {shape}");
            return Err(Error::invalid_argument(message));
        }
        let dim = |axis| if shared.contains(&axis) { Ok(1) } else { inputs.dim(0, axis as isize) };
        inputs.size(&self.alpha, "alpha", &(1..rank).map(dim).collect::<Result<Vec<_>>>()?)
    }
}

impl Layer for PReLU {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let alpha = self.alpha.read()?.cast(x.dtype())?;
        x.relu()?.sub(alpha.mul((-x).relu()?)?)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

/// `eˣ/Σ eˣ` over one axis, or over several together.
///
/// What the input's mask leaves out does not count and becomes 0, also where that is all there is. The mask broadcasts to
/// the input; of numbers, those above 0.5 count.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Softmax;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::from([[1.0_f32, 1.0, 5.0], [2.0, 3.0, 4.0]]);
/// let x = x.with_mask(Some(Tensor::from([[true, true, false], [false, false, false]])));
/// assert_eq!(Softmax::new().call(&x)?.to_vec::<f32>()?, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Softmax {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Along which axis, or axes; the last unless set.
    #[config(default = LayerAxes::One(-1), into)]
    axis: LayerAxes,
}

impl Softmax {
    fn of(&self, x: &Tensor) -> Result<Tensor> {
        match &self.axis {
            LayerAxes::One(axis) => x.softmax(*axis),
            LayerAxes::Several(axes) => match &axes[..] {
                [axis] => x.softmax(*axis),
                [] => Err(Error::invalid_argument("`axis` must name an axis, found none")),
                axes => {
                    let above = x.sub(x.max_keepdims(axes)?.stop_gradient()?)?.exp()?;
                    above.div(above.sum_keepdims(axes)?)
                }
            },
        }
    }
}

impl Layer for Softmax {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some(mask) = x.mask() else { return self.of(x) };
        let broadcasts = match (mask.shape().dims(), x.shape().dims()) {
            (Some(mask), Some(x)) => {
                let fits = |(mask, x): (&Option<usize>, &Option<usize>)| {
                    *mask == Some(1) || mask.zip(*x).is_none_or(|(mask, x)| mask == x)
                };
                mask.len() <= x.len() && mask.iter().rev().zip(x.iter().rev()).all(fits)
            }
            _ => true,
        };
        if !broadcasts {
            let message = format!("the mask must broadcast to the input, found {} and {}", mask.shape(), x.shape());
            return Err(Error::invalid_argument(message));
        }
        let counts = if mask.dtype() == DType::Bool { mask.clone() } else { mask.greater(0.5)? };
        let least = if x.dtype() == DType::F16 { -3e4 } else { -1e9 };
        let y = self.of(&counts.select(x, &Tensor::number(least, x.dtype())?)?)?;
        counts.select(&y, &y.zeros_like()?)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

defaults! { ReLU LeakyReLU ELU PReLU Softmax }
