use super::reshape::reshaped;
use modulor::{DTypePolicy, Layer, Module, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Where the channels of an image are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// `[batch, .., channels]`.
    #[default]
    ChannelsLast,
    /// `[batch, channels, ..]`.
    ChannelsFirst,
}

/// Every sample as one vector: `[batch, ..]` becomes `[batch, n]`, and `[batch]` becomes `[batch, 1]`.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::Flatten;
/// # fn main() -> modulor::Result<()> {
/// let y = Flatten::new().call(&Tensor::zeros([5, 2, 3], DType::F32)?)?;
/// assert_eq!(*y.shape(), [5, 6]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Flatten {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// Where the channels are: they come last in the result.
    #[config(default)]
    data_format: DataFormat,
}

impl Layer for Flatten {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let moved = match (self.data_format, x.rank()) {
            (DataFormat::ChannelsFirst, Some(rank)) if rank > 2 => {
                let perm: Vec<i64> = [0].into_iter().chain(2..rank as i64).chain([1]).collect();
                x.permute(perm)?
            }
            _ => x.with_mask(None),
        };
        reshaped(&moved, &[-1])
    }
}

impl Default for Flatten {
    fn default() -> Self {
        Flatten::new()
    }
}
