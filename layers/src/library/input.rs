use modulor::{DType, Error, Layer, Module, Result, Shape, Spec, Tensor};

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

impl InputLayer {
    /// The shape of what it takes.
    pub fn shape(&self) -> Shape {
        self.batch_shape.clone().into()
    }

    /// The dtype and the shape of what it takes.
    pub fn spec(&self) -> Result<Spec> {
        Ok(Spec::new(DType::from_name(&self.dtype)?, self.shape()))
    }
}

impl Layer for InputLayer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.sparse || self.ragged {
            return Err(Error::unimplemented("sparse and ragged inputs do not exist here"));
        }
        let expected = self.shape();
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

/// What a model is given for an input of this spec: of its dtype, and of its rank where an axis of 1 is missing or too many.
pub(crate) fn admitted(x: Tensor, spec: &Spec) -> Result<Tensor> {
    let x = match x.dtype() == spec.dtype {
        true => x,
        false => {
            let mask = x.mask().cloned();
            x.cast(spec.dtype)?.with_mask(mask)
        }
    };
    let expected = &spec.shape;
    if let (Some(rank), Some(wanted)) = (x.rank(), expected.rank()) {
        let mask = x.mask().cloned();
        if rank == wanted + 1 && x.shape().dim(rank - 1) == Some(1) {
            return fitting(x.squeeze([-1])?.with_mask(mask), expected);
        }
        if rank + 1 == wanted && expected.dim(wanted - 1) == Some(1) {
            return fitting(x.expand_dims(-1)?.with_mask(mask), expected);
        }
    }
    fitting(x, expected)
}

fn fitting(x: Tensor, expected: &Shape) -> Result<Tensor> {
    match any_batch(expected).is_compatible_with(x.shape()) {
        true => Ok(x),
        false => {
            let message = format!("the model's input has shape {expected}, and {} was given", x.shape());
            Err(Error::invalid_argument(message))
        }
    }
}

/// A shape whatever its batch, as Keras checks it.
fn any_batch(shape: &Shape) -> Shape {
    match shape.dims() {
        None => shape.clone(),
        Some(dims) => dims.into_iter().enumerate().map(|(axis, dim)| dim.filter(|_| axis > 0)).collect(),
    }
}
