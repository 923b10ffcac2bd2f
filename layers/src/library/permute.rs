use modulor::{DTypePolicy, Error, Layer, Module, Result, Tensor};

/// The axes of every sample in another order.
///
/// `dims` are the axes as they come, counted from 1: 0 is the batch, which stays.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::Permute;
/// # fn main() -> modulor::Result<()> {
/// let y = Permute::new([3, 1, 2]).call(&Tensor::zeros([8, 5, 6, 7], DType::F32)?)?;
/// assert_eq!(*y.shape(), [8, 7, 5, 6]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Permute {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config(into)]
    dims: Vec<usize>,
}

impl Layer for Permute {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(1..=self.dims.len()) {
            let message = format!("`dims` must be the axes from 1 on in some order, found {:?}", self.dims);
            return Err(Error::invalid_argument(message));
        }
        if x.rank().is_some_and(|rank| rank != self.dims.len() + 1) {
            let message = format!(
                "`dims` {:?} are for samples of {} axes, found an input of shape {}",
                self.dims,
                self.dims.len(),
                x.shape()
            );
            return Err(Error::invalid_argument(message));
        }
        x.permute([0].into_iter().chain(self.dims.iter().map(|&axis| axis as i64)).collect::<Vec<_>>())
    }
}
