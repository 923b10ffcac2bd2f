use super::axes::{beside, wide};
use crate::OrNone;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, Ones, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::{DTypePolicy, Error, Layer, Module, Result, Tensor, Variable};

/// The channels of each sample in groups, each group to a mean of 0 and a variance of 1, then scaled by γ and moved by β:
/// `γ·(x − mean)/√(variance + epsilon) + β`. Wu and He, "Group normalization".
///
/// One group is layer normalization over all axes of a sample, as many as there are channels instance normalization.
/// float16 and bfloat16 are computed in float32. Of the dims at most one may be unknown.
///
/// # Variables
///
/// `gamma` and `beta`, an element for each channel; without the one where `scale` is false, the other where `center` is.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::GroupNormalization;
/// # fn main() -> modulor::Result<()> {
/// let layer = GroupNormalization::new().groups(2).epsilon(0.0);
/// let y = layer.call(&Tensor::from([[1.0_f32, 3.0, 5.0, 9.0]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [-1.0, 1.0, -1.0, 1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct GroupNormalization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// How many groups; 32 unless set. -1 is as many as there are channels.
    #[config(default = 32)]
    groups: i64,
    /// The axis of the channels; the last unless set.
    #[config(default = -1)]
    axis: isize,
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
        shape = [input[axis]],
        init = gamma_initializer,
        regularizer = gamma_regularizer,
        constraint = gamma_constraint,
        when = scale
    )]
    gamma: Variable,
    #[variable(
        shape = [input[axis]],
        init = beta_initializer,
        regularizer = beta_regularizer,
        constraint = beta_constraint,
        when = center
    )]
    beta: Variable,
}

impl Layer for GroupNormalization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let wide = wide(x)?;
        let (axis, groups, channels) = self.grouping(x)?;
        let split = |dims: &mut Vec<i64>| {
            dims[axis] = (channels / groups) as i64;
            dims.insert(axis, groups as i64);
        };
        let dims = x.shape().dims().unwrap_or_default();
        let (mut of_groups, mut of_channels) =
            (dims.iter().map(|dim| dim.map_or(-1, |n| n as i64)).collect(), vec![1; dims.len()]);
        split(&mut of_groups);
        split(&mut of_channels);
        let grouped = wide.reshape(&of_groups)?;
        let others: Vec<i64> = (1..=dims.len()).filter(|&other| other != axis).map(|other| other as i64).collect();
        let (mean, variance) = grouped.moments_keepdims(others)?;
        let mut factor = (variance + self.epsilon).rsqrt()?;
        if let Some(gamma) = beside(&self.gamma, self.scale, &wide)? {
            factor = factor.mul(gamma.reshape(&of_channels)?)?;
        }
        let mut y = (grouped - mean).mul(factor)?;
        if let Some(beta) = beside(&self.beta, self.center, &wide)? {
            y = y.add(beta.reshape(&of_channels)?)?;
        }
        y.reshape_as(x)?.cast(self.dtype.compute_dtype()?)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }

    /// What it is given may be more exact than what it gives.
    fn autocast(&self) -> bool {
        false
    }
}

impl GroupNormalization {
    /// The axis of the channels, how many groups they are in, and how many they are.
    fn grouping(&self, x: &Tensor) -> Result<(usize, usize, usize)> {
        let refused = |words: String| Err(Error::invalid_argument(words));
        let rank = x.rank().unwrap_or(0) as isize;
        let axis = if self.axis < 0 { self.axis + rank } else { self.axis };
        if axis < 1 || axis >= rank {
            return refused(format!("`axis` must be one of a sample's, found {} of shape {}", self.axis, x.shape()));
        }
        let axis = axis as usize;
        let Some(channels) = x.shape().dim(axis) else {
            return refused(format!("the number of channels is needed, found shape {}", x.shape()));
        };
        if x.shape().dims().unwrap_or_default().iter().filter(|dim| dim.is_none()).count() > 1 {
            return refused(format!("at most one dim may be unknown, found shape {}", x.shape()));
        }
        let groups = if self.groups == -1 { channels as i64 } else { self.groups };
        match usize::try_from(groups) {
            Ok(groups) if groups > 0 && channels % groups == 0 => Ok((axis, groups, channels)),
            _ => refused(format!("`groups` must divide the {channels} channels, or be -1, found {}", self.groups)),
        }
    }
}

impl Default for GroupNormalization {
    fn default() -> Self {
        GroupNormalization::new()
    }
}
