use super::axes::{beside, wide};
use crate::OrNone;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, Ones, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::op::scope;
use modulor::variable::{Initializer, commit};
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor, Variable};
use serde::{Deserialize, Serialize};

/// Every channel to a mean of 0 and a variance of 1, then scaled by γ and moved by β:
/// `γ·(x − mean)/√(variance + epsilon) + β`. Ioffe and Szegedy, "Batch normalization".
///
/// In training mean and variance are those of the batch, and what is remembered of them moves towards these:
/// `moving = moving·momentum + batch·(1 − momentum)`, both in one commit. Otherwise, and where the layer is frozen, they
/// are the moving ones. Places that the input's mask leaves out do not count. float16 and bfloat16 are computed in
/// float32. A batch of no elements has moments that are NaN, and so have then the moving ones.
///
/// # Variables
///
/// `gamma` and `beta`, an element for each channel; without the one where `scale` is false, the other where `center` is.
/// `moving_mean` and `moving_variance`, likewise, not trainable; with `renorm` also `moving_stddev`, `renorm_mean` and
/// `renorm_stddev`.
///
/// ```
/// use modulor::{Call, ModuleExt, Tensor, scope};
/// use modulor_layers::library::BatchNormalization;
/// # fn main() -> modulor::Result<()> {
/// let layer = BatchNormalization::new().momentum(0.5).epsilon(0.0);
/// let x = Tensor::from([[1.0_f32, 5.0], [3.0, 9.0]]);
/// let y = scope::with_training(true, || layer.call(&x))?;
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, -1.0, 1.0, 1.0]);
/// let moving = layer.non_trainable_variables();
/// assert_eq!(moving[0].value()?.to_vec::<f32>()?, [1.0, 3.5]);
/// assert_eq!(moving[1].value()?.to_vec::<f32>()?, [1.0, 2.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct BatchNormalization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// The axis of the channels; the last unless set.
    #[config(default = -1)]
    axis: isize,
    /// How much of the moving moments stays at each step; 0.99 unless set.
    #[config(default = 0.99)]
    momentum: f64,
    /// What is added to the variance; 0.001 unless set.
    #[config(default = 1e-3)]
    epsilon: f64,
    /// Whether there is a β; there is unless this says no.
    #[config(default = true)]
    center: bool,
    /// Whether there is a γ; there is unless this says no.
    #[config(default = true)]
    scale: bool,
    /// How β begins; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    beta_initializer: AnyInitializer,
    /// How γ begins; [`Ones`] unless set.
    #[config(default = Ones.into(), into)]
    gamma_initializer: AnyInitializer,
    /// How the moving mean begins; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    moving_mean_initializer: AnyInitializer,
    /// How the moving variance begins; [`Ones`] unless set.
    #[config(default = Ones.into(), into)]
    moving_variance_initializer: AnyInitializer,
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
    /// Keras's word for moments over several devices; there is one here.
    #[config(default)]
    synchronized: bool,
    /// Whether training goes by moments that are remembered as well: Ioffe, "Batch renormalization"; not unless set.
    #[config(default)]
    renorm: bool,
    /// How far these may be from the batch's; any distance unless set.
    #[config(default, into)]
    renorm_clipping: Option<RenormClipping>,
    /// How much of these stays at each step; 0.99 unless set.
    #[config(default = 0.99)]
    renorm_momentum: f64,
    #[variable(
        shape = [input[axis]],
        init = gamma_initializer,
        regularizer = gamma_regularizer,
        constraint = gamma_constraint,
        when = scale,
        autocast = false
    )]
    gamma: Variable,
    #[variable(
        shape = [input[axis]],
        init = beta_initializer,
        regularizer = beta_regularizer,
        constraint = beta_constraint,
        when = center,
        autocast = false
    )]
    beta: Variable,
    #[variable(shape = [input[axis]], init = moving_mean_initializer, trainable = false, autocast = false)]
    moving_mean: Variable,
    #[variable(shape = [input[axis]], init = moving_variance_initializer, trainable = false, autocast = false)]
    moving_variance: Variable,
    #[variable(shape = [input[axis]], init = RootOf(moving_variance_initializer), trainable = false, autocast = false, when = renorm)]
    moving_stddev: Variable,
    #[variable(shape = [input[axis]], init = moving_mean_initializer, trainable = false, autocast = false, when = renorm)]
    renorm_mean: Variable,
    #[variable(shape = [input[axis]], init = RootOf(moving_variance_initializer), trainable = false, autocast = false, when = renorm)]
    renorm_stddev: Variable,
}

/// The bounds of what batch renormalization corrects by: `(x − mean)/σ · r + d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenormClipping {
    /// The most that r may be; anything unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmax: Option<f64>,
    /// The least that r may be; anything unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmin: Option<f64>,
    /// The most that d may be, and its negative the least; anything unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dmax: Option<f64>,
}

impl RenormClipping {
    fn check(self) -> Result<()> {
        let RenormClipping { rmax, rmin, dmax } = self;
        if rmax.zip(rmin).is_some_and(|(most, least)| most < least) {
            return Err(Error::invalid_argument("`rmax` of `renorm_clipping` must not be less than `rmin`"));
        }
        if dmax.is_some_and(|most| most < 0.0) {
            return Err(Error::invalid_argument("`dmax` of `renorm_clipping` must not be negative"));
        }
        Ok(())
    }
}

/// The root of what another initializer gives.
struct RootOf(AnyInitializer);

impl Initializer for RootOf {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        self.0.init(dims, dtype, seed)?.sqrt()
    }
}

/// What Keras adds to a count that divides.
const COUNT_EPSILON: f64 = 1e-7;

impl Layer for BatchNormalization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (wide, axis, epsilon) = (wide(x)?, self.axis as i64, self.epsilon);
        let gamma = beside(&self.gamma, self.scale, &wide)?;
        let beta = beside(&self.beta, self.center, &wide)?;
        let y = if !scope::training() || self.moving_mean.is_frozen() {
            let [mean, variance] = [&self.moving_mean, &self.moving_variance].map(Variable::read);
            wide.batch_norm(axis, &mean?, &variance?, gamma.as_ref(), beta.as_ref(), epsilon)?
        } else if x.mask().is_none() && !self.renorm {
            let (y, mean, variance) = wide.batch_norm_training(axis, gamma.as_ref(), beta.as_ref(), epsilon)?;
            self.learn(&mean, &variance)?;
            y
        } else {
            let (mean, variance) = self.moments(&wide, x.mask())?;
            let (gamma, beta) = match self.renorm {
                true => self.corrected(&mean, &variance, gamma, beta)?,
                false => (gamma, beta),
            };
            self.learn(&mean, &variance)?;
            wide.batch_norm(axis, &mean, &variance, gamma.as_ref(), beta.as_ref(), epsilon)?
        };
        y.cast(x.dtype())
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

impl BatchNormalization {
    /// The moments of each channel, of the places that a mask leaves.
    fn moments(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let rank = x.rank().ok_or_else(|| Error::invalid_argument("normalizing a batch needs its rank"))?;
        let axis = if self.axis < 0 { self.axis + rank as isize } else { self.axis } as usize;
        let others: Vec<i64> = (0..rank).filter(|&other| other != axis).map(|other| other as i64).collect();
        let Some(mask) = mask else { return x.moments(others) };
        if mask.rank() != Some(rank - 1) {
            let message =
                format!("the mask must have one dim less than the input, found {} and {}", mask.shape(), x.shape());
            return Err(Error::invalid_argument(message));
        }
        let counts = mask.cast(DType::Bool)?.expand_dims(-1)?.broadcast_like(x)?;
        let zeros = x.zeros_like()?;
        let count = counts.cast(x.dtype())?.sum_keepdims(&*others)? + COUNT_EPSILON;
        let mean = counts.select(x, &zeros)?.sum_keepdims(&*others)?.div(&count)?;
        let deviation = counts.select(&(x - &mean), &zeros)?;
        let variance = deviation.square()?.sum_keepdims(&*others)?.div(&count)?;
        Ok((mean.squeeze(&others)?, variance.squeeze(&others)?))
    }

    /// γ and β with the correction by the remembered moments.
    fn corrected(
        &self,
        mean: &Tensor,
        variance: &Tensor,
        gamma: Option<Tensor>,
        beta: Option<Tensor>,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let clipping = self.renorm_clipping.unwrap_or_default();
        clipping.check()?;
        let remembered = |variable: &Variable| variable.read()?.cast(mean.dtype());
        let stddev = remembered(&self.renorm_stddev)?.maximum(self.epsilon.sqrt())?;
        let mut r = (variance + self.epsilon).sqrt()? / &stddev;
        let mut d = (mean - remembered(&self.renorm_mean)?).div(&stddev)?;
        if let Some(rmin) = clipping.rmin {
            r = r.maximum(rmin)?;
        }
        if let Some(rmax) = clipping.rmax {
            r = r.minimum(rmax)?;
        }
        if let Some(dmax) = clipping.dmax {
            d = d.maximum(-dmax)?.minimum(dmax)?;
        }
        let (r, d) = (r.stop_gradient()?, d.stop_gradient()?);
        let (r, d) = match &gamma {
            Some(gamma) => (r.mul(gamma)?, d.mul(gamma)?),
            None => (r, d),
        };
        let d = beta.map_or(Ok(d.clone()), |beta| d.add(beta))?;
        Ok((Some(r), Some(d)))
    }

    /// Moves what is remembered towards the moments of a batch.
    fn learn(&self, mean: &Tensor, variance: &Tensor) -> Result<()> {
        let (mean, variance) = (mean.stop_gradient()?, variance.stop_gradient()?);
        let moved = |variable: &Variable, batch: &Tensor, stays: f64| {
            let kept = variable.read()?.cast(batch.dtype())?;
            (kept * stays).add(batch * (1.0 - stays))
        };
        let moving_mean = moved(&self.moving_mean, &mean, self.momentum)?;
        let mut writes = vec![(&self.moving_mean, moving_mean)];
        if self.renorm {
            let stddev = (&variance + self.epsilon).sqrt()?;
            writes.push((&self.renorm_mean, moved(&self.renorm_mean, &mean, self.renorm_momentum)?));
            writes.push((&self.renorm_stddev, moved(&self.renorm_stddev, &stddev, self.renorm_momentum)?));
            let moving = moved(&self.moving_stddev, &stddev, self.momentum)?;
            writes.push((&self.moving_variance, (moving.square()? - self.epsilon).relu()?));
            writes.push((&self.moving_stddev, moving));
        } else {
            writes.push((&self.moving_variance, moved(&self.moving_variance, &variance, self.momentum)?));
        }
        let writes = writes.into_iter().map(|(variable, value)| Ok((variable.clone(), value.cast(variable.dtype())?)));
        commit(writes.collect::<Result<Vec<_>>>()?)
    }
}

impl Default for BatchNormalization {
    fn default() -> Self {
        BatchNormalization::new()
    }
}
