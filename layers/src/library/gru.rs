use super::recurrent::{Held, RecurrentLayer, Settings, by_kernel, write_flat};
use super::{Cell, GRUCell};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::AnyInitializer;
use crate::regularizer::AnyRegularizer;
use modulor::module::{Config, FromConfig};
use modulor::{Result, Tensor};

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

    fn whole(&self, x: &Tensor, states: &[Tensor], settings: Settings) -> Option<Result<(Tensor, Vec<Tensor>)>> {
        by_kernel(self, x, states, settings)
    }
}

super::recurrent::layer_of! { GRU GRUCell
    /// The function of the result, by name or as an [`AnyActivation`]; tanh unless set.
    activation: impl Into<AnyActivation>,
    /// The function of the gates, by name or as an [`AnyActivation`]; the sigmoid unless set.
    recurrent_activation: impl Into<AnyActivation>,
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
    /// Whether r multiplies the product of h and the recurrent kernel, as it does unless this says no, or h itself.
    reset_after: bool,
    /// The seed of dropout; without one, it follows from the layer's place in its model.
    seed: impl Into<Option<i64>>,
}

modulor::register!(GRU, "keras.layers");
