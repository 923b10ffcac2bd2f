use super::recurrent::{Held, RecurrentLayer, write_flat};
use super::{Cell, SimpleRNNCell};
use modulor::module::{Config, FromConfig};
use modulor::{DTypePolicy, Result};
use serde_json::Value;

/// A recurrent layer whose output is its state.
///
/// `[batch, time, n]` becomes `[batch, units]` or, with `return_sequences`, `[batch, time, units]`. The settings are those
/// of its cell, [`SimpleRNNCell`], and of [`RNN`](super::RNN).
///
/// # Variables
///
/// Those of the cell, below `simple_rnn_cell`.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::SimpleRNN;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::zeros([2, 5, 3], DType::F32)?;
/// assert_eq!(*SimpleRNN::new(4).call(&x)?.shape(), [2, 4]);
/// assert_eq!(*SimpleRNN::new(4).return_sequences(true).call(&x)?.shape(), [2, 5, 4]);
/// # Ok(())
/// # }
/// ```
pub type SimpleRNN = RecurrentLayer<SimpleRNNCell>;

impl Held for SimpleRNNCell {
    const CLASS: &'static str = "SimpleRNN";
    const NAME: &'static str = "simple_rnn";

    fn cell(&self) -> &dyn Cell {
        self
    }

    fn write(&self, config: &mut Config) -> Result<()> {
        write_flat(self, config)?;
        // Keras leaves it out, and takes it.
        if config.get("seed").is_some_and(Value::is_null) {
            config.remove("seed");
        }
        Ok(())
    }

    fn read(config: &Config) -> Result<Self> {
        SimpleRNNCell::from_config(config)
    }

    fn with_dtype(self, policy: &DTypePolicy) -> Self {
        self.dtype(policy.clone())
    }
}

impl SimpleRNN {
    /// A new layer of so many units. Variables whose shapes depend on the input are built by the first call.
    pub fn new(units: usize) -> SimpleRNN {
        RecurrentLayer::of(SimpleRNNCell::new(units))
    }
}

modulor::register!(SimpleRNN, "keras.layers");
