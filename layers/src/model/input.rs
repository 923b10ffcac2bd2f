//! The inputs of models.

use crate::library::InputLayer;
use modulor::layer::functional;
use modulor::{DType, Shape, Spec, Tensor};
use std::sync::Arc;

/// What models are fed, as a symbol on which layers are called.
///
/// `Input::new` is the symbol of a batch of any size; the builder, [`with_shape`](Input::with_shape), says more.
///
/// ```
/// use modulor::DType;
/// use modulor_layers::model::Input;
/// let x = Input::new([3]);
/// assert_eq!(x.shape().to_string(), "(None, 3)");
/// // Sequences of any length, sixteen in a batch.
/// let words = Input::with_shape([None]).batch_size(16).dtype(DType::I32).name("words").build();
/// assert_eq!(words.spec().to_string(), "int32(16, None)");
/// ```
#[derive(Clone, Debug)]
#[must_use = "`build` gives the symbol"]
pub struct Input {
    shape: Shape,
    batch_size: Option<usize>,
    dtype: DType,
    name: Option<String>,
}

/// What is known of an input: what its symbol carries.
pub(crate) struct Entry {
    pub layer: Arc<InputLayer>,
    pub name: Option<String>,
}

impl Input {
    /// The symbol of a batch of any size, of float32: `shape` has the dims of one sample, `None` for one that may be any.
    #[allow(clippy::new_ret_no_self, reason = "a model is made of tensors; the builder is `with_shape`")]
    pub fn new(shape: impl Into<Shape>) -> Tensor {
        Input::with_shape(shape).build()
    }

    /// An input whose samples have this shape.
    pub fn with_shape(shape: impl Into<Shape>) -> Input {
        Input { shape: shape.into(), batch_size: None, dtype: DType::F32, name: None }
    }

    /// With batches of one size.
    pub fn batch_size(mut self, samples: usize) -> Input {
        self.batch_size = Some(samples);
        self
    }

    /// Of another dtype; what a model is given is converted to it.
    pub fn dtype(mut self, dtype: DType) -> Input {
        self.dtype = dtype;
        self
    }

    /// With a name; otherwise it is `input_layer`, `input_layer_1`, .. in each model.
    pub fn name(mut self, name: impl Into<String>) -> Input {
        self.name = Some(name.into());
        self
    }

    /// The symbol.
    pub fn build(self) -> Tensor {
        let dims = self.shape.dims().unwrap_or_default();
        let dims: Vec<Option<usize>> = [self.batch_size].into_iter().chain(dims).collect();
        symbol(InputLayer::new(dims).dtype(self.dtype.name().to_owned()), self.dtype, self.name)
    }
}

/// The symbol of an input layer.
pub(crate) fn symbol(layer: InputLayer, dtype: DType, name: Option<String>) -> Tensor {
    let spec = Spec::new(dtype, layer.shape());
    functional::input(spec, Arc::new(Entry { layer: Arc::new(layer), name }))
}
