use modulor::{Result, Tensor};

/// A batch of data to learn from: what an iteration over tensors gives, or over a [`Dataset`](crate::data::Dataset).
///
/// ```
/// use modulor::Tensor;
/// use modulor_layers::data::Dataset;
/// use modulor_layers::library::StringLookup;
/// # fn main() -> modulor::Result<()> {
/// let words = Tensor::strings([3], ["a", "b", "a"])?;
/// let (one, other) = (StringLookup::new(), StringLookup::new());
/// one.adapt([&words])?;
/// other.adapt(&Dataset::from_tensor_slices(words)?.batch(2))?;
/// assert_eq!(one.get_vocabulary(true)?, other.get_vocabulary(true)?);
/// # Ok(())
/// # }
/// ```
pub trait IntoBatch {
    /// The batch, or why there is none.
    fn into_batch(self) -> Result<Tensor>;
}

impl IntoBatch for Tensor {
    fn into_batch(self) -> Result<Tensor> {
        Ok(self)
    }
}

impl IntoBatch for &Tensor {
    fn into_batch(self) -> Result<Tensor> {
        Ok(self.clone())
    }
}

impl IntoBatch for Result<Tensor> {
    fn into_batch(self) -> Result<Tensor> {
        self
    }
}
