use modulor::{DTypePolicy, Error, Layer, Module, Result, Tensor};

/// Every vector `n` times, as the steps of a sequence: `[batch, channels]` becomes `[batch, n, channels]`.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::RepeatVector;
/// # fn main() -> modulor::Result<()> {
/// let y = RepeatVector::new(2).call(&Tensor::from([[1.0_f32, 5.0]]))?;
/// assert_eq!(*y.shape(), [1, 2, 2]);
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 5.0, 1.0, 5.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct RepeatVector {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    n: usize,
}

impl Layer for RepeatVector {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.n == 0 {
            return Err(Error::invalid_argument("`n` must be at least 1, found 0"));
        }
        if x.rank().is_some_and(|rank| rank != 2) {
            let message = format!("the input must be `[batch, channels]`, found shape {}", x.shape());
            return Err(Error::invalid_argument(message));
        }
        x.expand_dims(1)?.tile([1, i64::try_from(self.n).unwrap_or(i64::MAX), 1])
    }
}
