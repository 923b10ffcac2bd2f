use super::recurrent::{Held, RecurrentLayer, Settings, by_kernel, write_flat};
use super::{Cell, GRUCell};
use modulor::module::{Config, FromConfig};
use modulor::{DTypePolicy, Result, Tensor};

/// Gated recurrent units: Cho et al., 2014.
///
/// `[batch, time, n]` becomes `[batch, units]` or, with `return_sequences`, `[batch, time, units]`. The settings are those
/// of its cell, [`GRUCell`], and of [`RNN`](super::RNN).
///
/// With tanh and the sigmoid the steps are one composite, [`Recurrence`](modulor::ops::recurrent::Recurrence), which has a
/// kernel; with others they are computed one by one, as those of any cell.
///
/// # Variables
///
/// Those of the cell, below `gru_cell`.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::GRU;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::zeros([2, 5, 3], DType::F32)?;
/// assert_eq!(*GRU::new(4).call(&x)?.shape(), [2, 4]);
/// assert_eq!(*GRU::new(4).return_sequences(true).call(&x)?.shape(), [2, 5, 4]);
/// # Ok(())
/// # }
/// ```
pub type GRU = RecurrentLayer<GRUCell>;

impl Held for GRUCell {
    const CLASS: &'static str = "GRU";
    const NAME: &'static str = "gru";

    fn cell(&self) -> &dyn Cell {
        self
    }

    fn write(&self, config: &mut Config) -> Result<()> {
        write_flat(self, config)
    }

    fn read(config: &Config) -> Result<Self> {
        GRUCell::from_config(config)
    }

    fn with_dtype(self, policy: &DTypePolicy) -> Self {
        self.dtype(policy.clone())
    }

    fn whole(&self, x: &Tensor, states: &[Tensor], settings: Settings) -> Option<Result<(Tensor, Vec<Tensor>)>> {
        by_kernel(self, x, states, settings)
    }
}

impl GRU {
    /// A new layer of so many units. Variables whose shapes depend on the input are built by the first call.
    pub fn new(units: usize) -> GRU {
        RecurrentLayer::of(GRUCell::new(units))
    }
}

modulor::register!(GRU, "keras.layers");
