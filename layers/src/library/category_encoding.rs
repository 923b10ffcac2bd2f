use super::recurrent::{Otherwise, Under};
use modulor::module::{Config, Track};
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor};
use serde::{Deserialize, Serialize};

/// How categories become vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// A sample as one vector, 1 at each category that is in it.
    #[default]
    #[serde(alias = "binary")]
    MultiHot,
    /// Each category as a vector, 1 at its place.
    OneHot,
    /// A sample as one vector of how often each category is in it.
    Count,
}

/// Categories, integers from 0 on, as vectors of `num_tokens`; of one that is no such integer nothing is in the vector.
///
/// As in Keras, a category below 0 is an error where as many as two axes are counted, and is left out elsewhere.
///
/// # Shapes
///
/// `[.., n]` becomes `[.., n, num_tokens]` by `OneHot`, `[.., 1]` becomes `[.., num_tokens]`; by the other modes `[n]`
/// becomes `[num_tokens]` and `[batch, n, ..]` becomes `[batch, .., num_tokens]`.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::CategoryEncoding;
/// # fn main() -> modulor::Result<()> {
/// let y = CategoryEncoding::new(3).call(&Tensor::from([[0, 0], [2, 1]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct CategoryEncoding {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    num_tokens: usize,
    /// How categories become vectors; as one for each sample unless set.
    #[config(default)]
    output_mode: OutputMode,
}

impl Layer for CategoryEncoding {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        encoded(x, None, self.output_mode, self.num_tokens, self.dtype.compute_dtype()?)
    }
}

/// The function of [`WeightedCounts`].
#[derive(Clone, Copy, Debug, Default)]
pub struct CountWeights;

impl Otherwise for CountWeights {
    fn arguments(&self) -> Config {
        Config::from_iter([("count_weights".to_owned(), serde_json::Value::Null)])
    }
}

/// A [`CategoryEncoding`] from categories and a number for each of them.
pub type WeightedCounts = Under<CategoryEncoding, CountWeights>;

impl CategoryEncoding {
    /// This layer, which counts each category as much as a number says that is given beside it, of the same shape: Keras's
    /// `count_weights`. Its mode must be [`Count`](OutputMode::Count).
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::{CategoryEncoding, OutputMode};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = CategoryEncoding::new(3).output_mode(OutputMode::Count);
    /// let (x, weights) = (Tensor::from([[0, 1, 1]]), Tensor::from([[0.5_f32, 1.0, 2.0]]));
    /// assert_eq!(layer.with_count_weights().call((&x, &weights))?.to_vec::<f32>()?, [0.5, 3.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_count_weights(&self) -> WeightedCounts {
        Under::of(self.share(), CountWeights)
    }
}

impl Layer<(Tensor, Tensor)> for WeightedCounts {
    fn forward(&self, (x, weights): &(Tensor, Tensor)) -> Result<Tensor> {
        let layer = self.module();
        if layer.output_mode != OutputMode::Count {
            let message = format!("`count_weights` are for the `output_mode` count, found {:?}", layer.output_mode);
            return Err(Error::invalid_argument(message));
        }
        if !x.shape().is_compatible_with(weights.shape()) {
            let message = format!(
                "there must be a weight for each of the categories of {}, found {}",
                x.shape(),
                weights.shape()
            );
            return Err(Error::invalid_argument(message));
        }
        let dtype = layer.dtype.compute_dtype()?;
        encoded(x, Some(&weights.cast(dtype)?), layer.output_mode, layer.num_tokens, dtype)
    }
}

/// Categories below `depth` as vectors, where they are counted by their weights. Of at most two axes, what is counted must not
/// be negative.
pub(super) fn encoded(
    x: &Tensor,
    weights: Option<&Tensor>,
    mode: OutputMode,
    depth: usize,
    dtype: DType,
) -> Result<Tensor> {
    if depth == 0 {
        return Err(Error::invalid_argument("`num_tokens` must be at least 1, found 0"));
    }
    let rank = x.rank().ok_or_else(|| Error::invalid_argument("the rank of the input is needed"))?;
    let x = if x.dtype() == DType::I32 { x.clone() } else { x.cast(DType::I64)? };
    let x = if rank == 0 { x.expand_dims(0)? } else { x };
    // What counts are made of; the narrower floats are rounded from it.
    let counted = if dtype == DType::F64 || dtype.is_integer() { dtype } else { DType::F32 };
    match mode {
        OutputMode::OneHot if rank > 1 && x.shape().dim(rank - 1) == Some(1) => {
            x.squeeze([rank as i64 - 1])?.one_hot(depth, dtype)
        }
        OutputMode::OneHot => x.one_hot(depth, dtype),
        OutputMode::MultiHot if rank <= 2 => x.occurs(depth, counted)?.cast(dtype),
        OutputMode::Count if rank <= 2 => {
            let weights = match weights {
                Some(weights) if rank == 0 => weights.expand_dims(0)?.cast(counted)?,
                Some(weights) => weights.cast(counted)?,
                None => Tensor::zeros([0], counted)?,
            };
            x.bincount(depth, Some(&weights))?.cast(dtype)
        }
        OutputMode::MultiHot => x.one_hot(depth, dtype)?.sum([1])?.minimum(1.0),
        OutputMode::Count => {
            let each = x.one_hot(depth, dtype)?;
            weights.map_or(Ok(each.clone()), |weights| each.mul(weights.expand_dims(-1)?))?.sum([1])
        }
    }
}
