use modulor::{Error, Layer, Module, Result, Shape, Tensor};

/// The entry of a model: says what it takes, and hands it on.
///
/// A [`Sequential`](super::Sequential) from Keras begins with one.
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct InputLayer {
    /// The dims with the batch in front, `None` for one that may be any.
    #[config]
    batch_shape: Vec<Option<usize>>,
    /// The dtype that Keras converts inputs to.
    #[config(default = "float32".to_owned())]
    dtype: String,
    /// Keras's key for sparse inputs, which are not there.
    #[config(default)]
    sparse: bool,
    /// Keras's key for ragged inputs, which are not there.
    #[config(default)]
    ragged: bool,
    /// Whether the input may be left out.
    #[config(default)]
    optional: bool,
}

impl Layer for InputLayer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.sparse || self.ragged {
            return Err(Error::unimplemented("sparse and ragged inputs do not exist here"));
        }
        let expected = Shape::from(self.batch_shape.clone());
        if !expected.is_compatible_with(x.shape()) {
            let message = format!("expected an input of shape {expected}, found {}", x.shape());
            return Err(Error::invalid_argument(message));
        }
        Ok(x.clone())
    }

    fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
        Ok(x.mask().cloned())
    }
}
