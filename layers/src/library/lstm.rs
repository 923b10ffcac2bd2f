use super::recurrent::{Held, RecurrentLayer, Settings, by_kernel, write_flat};
use super::{Cell, LSTMCell};
use modulor::module::{Config, FromConfig};
use modulor::{DTypePolicy, Result, Tensor};

/// Long short-term memory: Hochreiter and Schmidhuber, 1997.
///
/// `[batch, time, n]` becomes `[batch, units]` or, with `return_sequences`, `[batch, time, units]`. The settings are those
/// of its cell, [`LSTMCell`], and of [`RNN`](super::RNN).
///
/// With tanh and the sigmoid the steps are one composite, [`Recurrence`](modulor::ops::recurrent::Recurrence), which has a
/// kernel; with others they are computed one by one, as those of any cell.
///
/// # Variables
///
/// Those of the cell, below `lstm_cell`.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::LSTM;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::zeros([2, 5, 3], DType::F32)?;
/// assert_eq!(*LSTM::new(4).call(&x)?.shape(), [2, 4]);
/// assert_eq!(*LSTM::new(4).return_sequences(true).call(&x)?.shape(), [2, 5, 4]);
/// # Ok(())
/// # }
/// ```
pub type LSTM = RecurrentLayer<LSTMCell>;

impl Held for LSTMCell {
    const CLASS: &'static str = "LSTM";
    const NAME: &'static str = "lstm";

    fn cell(&self) -> &dyn Cell {
        self
    }

    fn write(&self, config: &mut Config) -> Result<()> {
        write_flat(self, config)
    }

    fn read(config: &Config) -> Result<Self> {
        LSTMCell::from_config(config)
    }

    fn with_dtype(self, policy: &DTypePolicy) -> Self {
        self.dtype(policy.clone())
    }

    fn whole(&self, x: &Tensor, states: &[Tensor], settings: Settings) -> Option<Result<(Tensor, Vec<Tensor>)>> {
        by_kernel(self, x, states, settings)
    }
}

impl LSTM {
    /// A new layer of so many units. Variables whose shapes depend on the input are built by the first call.
    pub fn new(units: usize) -> LSTM {
        RecurrentLayer::of(LSTMCell::new(units))
    }
}

modulor::register!(LSTM, "keras.layers");
