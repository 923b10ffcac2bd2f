use super::recurrent::{Held, RecurrentLayer, write_flat};
use super::{Cell, SimpleRNNCell};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::AnyInitializer;
use crate::regularizer::AnyRegularizer;
use modulor::Result;
use modulor::module::{Config, FromConfig};
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
}

super::recurrent::layer_of! { SimpleRNN SimpleRNNCell
    /// The function of the result, by name or as an [`AnyActivation`]; tanh unless set.
    activation: impl Into<AnyActivation>,
    /// Whether there is a bias; there is unless this says no.
    use_bias: bool,
    /// How the kernel begins; `GlorotUniform` unless set.
    kernel_initializer: impl Into<AnyInitializer>,
    /// How the recurrent kernel begins; `Orthogonal` unless set.
    recurrent_initializer: impl Into<AnyInitializer>,
    /// How the bias begins; `Zeros` unless set.
    bias_initializer: impl Into<AnyInitializer>,
    /// What the kernel costs; nothing unless set.
    kernel_regularizer: impl Into<OrNone<AnyRegularizer>>,
    /// What the recurrent kernel costs; nothing unless set.
    recurrent_regularizer: impl Into<OrNone<AnyRegularizer>>,
    /// What the bias costs; nothing unless set.
    bias_regularizer: impl Into<OrNone<AnyRegularizer>>,
    /// Where the kernel may be; anywhere unless set.
    kernel_constraint: impl Into<OrNone<AnyConstraint>>,
    /// Where the recurrent kernel may be; anywhere unless set.
    recurrent_constraint: impl Into<OrNone<AnyConstraint>>,
    /// Where the bias may be; anywhere unless set.
    bias_constraint: impl Into<OrNone<AnyConstraint>>,
    /// In training, the part of the inputs that is left out, the same in all steps of a sequence; none unless set.
    dropout: f64,
    /// In training, the part of h that is left out, the same in all steps of a sequence; none unless set.
    recurrent_dropout: f64,
    /// The seed of dropout; without one, it follows from the layer's place in its model.
    seed: impl Into<Option<i64>>,
}

modulor::register!(SimpleRNN, "keras.layers");
