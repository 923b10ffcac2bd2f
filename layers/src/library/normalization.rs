use super::axes::{LayerAxes, floating};
use super::{IntoBatch, Numbers};
use crate::initializer::{AnyInitializer, Ones, Zeros};
use modulor::module::{InputShapes, ManualBuild};
use modulor::variable::commit;
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor, Variable};
use serde::{Deserialize, Serialize};

/// Every feature, a place along some axes, by a mean and a variance that are told or learnt beforehand:
/// `(x − mean)/√variance`.
///
/// They are told by `mean` and `variance`, which go to the last of the axes, or learnt by
/// [`adapt`](Normalization::adapt), and are 0 and 1 before. Integers become float32; float16 and bfloat16 are computed in
/// it.
///
/// # Variables
///
/// Where they are not told: `mean` and `variance`, with the dims of the axes, and `count`, int32, which Keras keeps for
/// older files. None is trainable.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Normalization;
/// # fn main() -> modulor::Result<()> {
/// let layer = Normalization::new();
/// layer.adapt([&Tensor::from([[0.0_f32, 7.0], [2.0, 9.0]]), &Tensor::from([[0.0_f32, 7.0], [2.0, 9.0]])])?;
/// assert_eq!(layer.call(&Tensor::from([[0.0_f32, 10.0]]))?.to_vec::<f32>()?, [-1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct Normalization {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Along which axes places have moments of their own; the last unless set, `[]` for one of everything.
    #[config(default, into)]
    axis: KeptAxes,
    /// The mean; learnt unless set.
    #[config(default, into)]
    mean: Option<Numbers>,
    /// The variance; learnt unless set.
    #[config(default, into)]
    variance: Option<Numbers>,
    /// Whether it goes the other way, `x·√variance + mean`; not unless set.
    #[config(default)]
    invert: bool,
    #[module(rename = "mean")]
    #[variable(init = AnyInitializer::from(Zeros), trainable = false, when = mean.is_none())]
    adapt_mean: Variable,
    #[module(rename = "variance")]
    #[variable(init = AnyInitializer::from(Ones), trainable = false, when = mean.is_none())]
    adapt_variance: Variable,
    #[variable(init = AnyInitializer::from(Zeros), dtype = DType::I32, trainable = false, when = mean.is_none())]
    count: Variable,
}

/// Axes that stay, as a list in a config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Option<LayerAxes>", into = "Vec<i64>")]
pub struct KeptAxes(Vec<i64>);

impl Default for KeptAxes {
    fn default() -> Self {
        KeptAxes(vec![-1])
    }
}

impl<A: Into<LayerAxes>> From<A> for KeptAxes {
    fn from(axes: A) -> Self {
        Some(axes.into()).into()
    }
}

impl From<Option<LayerAxes>> for KeptAxes {
    fn from(axes: Option<LayerAxes>) -> Self {
        KeptAxes(match axes {
            None => Vec::new(),
            Some(LayerAxes::One(axis)) => vec![axis],
            Some(LayerAxes::Several(axes)) => axes,
        })
    }
}

impl From<KeptAxes> for Vec<i64> {
    fn from(axes: KeptAxes) -> Self {
        axes.0
    }
}

impl KeptAxes {
    /// The axes of a tensor of so many dims, from the first.
    fn places(&self, rank: usize) -> Result<Vec<usize>> {
        let place = |&axis: &i64| {
            let place = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok().filter(|&at| at < rank);
            place.ok_or_else(|| Error::invalid_argument(format!("the input has {rank} dims, and no axis {axis}")))
        };
        let mut places = self.0.iter().map(place).collect::<Result<Vec<_>>>()?;
        places.sort_unstable();
        Ok(places)
    }
}

/// The least deviation that counts.
const LEAST: f64 = 1e-7;

impl ManualBuild for Normalization {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.mean.is_some() {
            return Ok(());
        }
        let rank = inputs.shape(0)?.rank();
        let rank = rank.ok_or_else(|| Error::invalid_argument("the rank of the input is needed"))?;
        let dims = self.axis.places(rank)?.into_iter().map(|axis| inputs.dim(0, axis as isize));
        let dims = dims.collect::<Result<Vec<_>>>()?;
        inputs.size(&self.adapt_mean, "mean", &dims)?;
        inputs.size(&self.adapt_variance, "variance", &dims)?;
        inputs.size(&self.count, "count", &[])
    }
}

impl Layer for Normalization {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (wide, dtype) = floating(x, &self.dtype)?;
        let rank = x.rank().ok_or_else(|| Error::invalid_argument("the rank of the input is needed"))?;
        let places = self.axis.places(rank)?;
        let [mean, variance] = match (&self.mean, &self.variance) {
            (None, None) => [&self.adapt_mean, &self.adapt_variance].map(|moment| moment.read()?.cast(wide.dtype())),
            (Some(mean), Some(variance)) if mean.dims() == variance.dims() && mean.dims().len() <= places.len() => {
                [mean, variance].map(|moment| moment.tensor(wide.dtype()))
            }
            (mean, variance) => {
                let message = format!(
                    "`mean` and `variance` are told together, of one shape and of no more dims than the {} axes, \
                     found {mean:?} and {variance:?}",
                    places.len()
                );
                return Err(Error::invalid_argument(message));
            }
        };
        // The dims of the moments belong to the last of the axes.
        let along = |moment: Tensor| {
            let mut dims = vec![1; rank];
            let own = moment.dims()?;
            places.iter().rev().zip(own.iter().rev()).for_each(|(&axis, &dim)| dims[axis] = dim as i64);
            moment.reshape(dims)
        };
        let (mean, deviation) = (along(mean?)?, along(variance?)?.sqrt()?.maximum(LEAST)?);
        let y = if self.invert { wide.mul(deviation)?.add(mean)? } else { wide.sub(mean)?.div(deviation)? };
        y.cast(dtype)
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}

impl Normalization {
    /// Learns the mean and the variance of each feature of some batches, instead of what was learnt before.
    ///
    /// An error where they are told, where there is no batch, and where one is of another shape than the layer is built
    /// for.
    pub fn adapt<B: IntoBatch>(&self, batches: impl IntoIterator<Item = B>) -> Result<()> {
        if self.mean.is_some() {
            return Err(Error::failed_precondition("`mean` and `variance` are told, and not learnt"));
        }
        let mut learnt: Option<(f64, Tensor, Tensor)> = None;
        for batch in batches {
            let batch = &batch.into_batch()?;
            ManualBuild::build(self, &InputShapes::of(std::slice::from_ref(batch)))?;
            let (wide, _) = floating(batch, &self.dtype)?;
            let dims = batch.dims()?;
            let kept = self.axis.places(dims.len())?;
            let others: Vec<usize> = (0..dims.len()).filter(|axis| !kept.contains(axis)).collect();
            let count = others.iter().map(|&axis| dims[axis]).product::<usize>() as f64;
            let (mean, variance) = wide.moments(others.iter().map(|&axis| axis as i64).collect::<Vec<_>>())?;
            let built = self.adapt_mean.shape().unwrap_or_default();
            if *mean.shape() != *built {
                let found = mean.shape();
                return Err(Error::invalid_argument(format!("the features are {built:?}, and a batch has {found}")));
            }
            learnt = Some(match learnt {
                None => (count, mean, variance),
                Some((before, old_mean, old_variance)) => {
                    let total = before + count;
                    let [old, new] = [before / total, count / total];
                    let joint = (&old_mean * old).add(&mean * new)?;
                    let spread = |variance: &Tensor, mean: &Tensor| variance.add((mean - &joint).square()?);
                    let variance = (spread(&old_variance, &old_mean)? * old).add(spread(&variance, &mean)? * new)?;
                    (total, joint, variance)
                }
            });
        }
        let Some((_, mean, variance)) = learnt else {
            return Err(Error::invalid_argument("there must be at least one batch to learn from"));
        };
        let writes = [(&self.adapt_mean, mean), (&self.adapt_variance, variance)];
        let writes = writes.map(|(variable, value)| Ok((variable.clone(), value.cast(variable.dtype())?)));
        commit(writes.into_iter().collect::<Result<Vec<_>>>()?)
    }
}

impl Default for Normalization {
    fn default() -> Self {
        Normalization::new()
    }
}
