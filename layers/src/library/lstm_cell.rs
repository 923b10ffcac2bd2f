use super::Cell;
use super::recurrent::{Whole, states_expected, whole};
use super::recurrent_dropout::product;
use crate::activation::AnyActivation;
use crate::initializer::{AnyInitializer, Zeros};
use modulor::module::{InputShapes, ManualBuild};
use modulor::op::scope;
use modulor::ops::recurrent::{Cell as Kind, Recurrence};
use modulor::variable::Initializer;
use modulor::{DType, Error, Layer, Result, Tensor};

super::cell_settings::cell! {
    /// A step of an [`LSTM`](super::LSTM): `c = f · c + i · activation(g)`, `h = o · activation(c)`.
    ///
    /// The gates i, f and o are the recurrent activation, of what x and h bring.
    ///
    /// # Variables
    ///
    /// `kernel` of `[n, 4·units]`, `recurrent_kernel` of `[units, 4·units]` and, unless `use_bias` is false, `bias` of
    /// `[4·units]`, each for i, f, g and o in this order.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::LSTMCell;
    /// # fn main() -> modulor::Result<()> {
    /// let (x, zeros) = (Tensor::zeros([2, 3], DType::F32)?, Tensor::zeros([2, 4], DType::F32)?);
    /// let (y, states) = LSTMCell::new(4).call((&x, &vec![zeros.clone(), zeros]))?;
    /// assert_eq!((y.dims()?, states.len()), (&[2, 4][..], 2));
    /// # Ok(())
    /// # }
    /// ```
    LSTMCell {} "lstm_cell" for super::LSTM, dropout by draw of 4;
    needs { units: usize; }
    bias = { ForgetBias { initializer: bias_initializer, unit: unit_forget_bias, units } }
    /// The function of the gates, by name or as an [`AnyActivation`]; the sigmoid unless set.
    recurrent_activation: AnyActivation = AnyActivation::Sigmoid, into;
    /// Whether the bias of f begins with ones; it does unless this says no.
    unit_forget_bias: bool = true;
    /// How the bias begins; [`Zeros`] unless set.
    bias_initializer: AnyInitializer = Zeros.into(), into;
}

impl ManualBuild for LSTMCell {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.units == 0 {
            return Err(Error::invalid_argument("`units` must be at least 1, found 0"));
        }
        self.declare_seeds();
        let width = self.units.saturating_mul(4);
        inputs.size(&self.kernel, "kernel", &[inputs.dim(0, -1)?, width])?;
        inputs.size(&self.recurrent_kernel, "recurrent_kernel", &[self.units, width])?;
        if self.use_bias {
            inputs.size(&self.bias, "bias", &[width])?;
        }
        Ok(())
    }
}

impl Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> for LSTMCell {
    fn forward(&self, (x, states): &(Tensor, Vec<Tensor>)) -> Result<(Tensor, Vec<Tensor>)> {
        let [h, c] = &states[..] else { return Err(states_expected(2, states.len())) };
        let masks = self.masks(x, h)?;
        let inner = product(h, &masks.h, &self.recurrent_kernel.read()?, 4)?;
        let mut sums = product(x, &masks.x, &self.kernel.read()?, 4)?.add(inner)?;
        if self.use_bias {
            sums = sums.bias_add(&self.bias)?;
        }
        let sums = sums.split(4, 1)?;
        let gate = |at: usize| self.recurrent_activation.apply(&sums[at]);
        let c = gate(1)?.mul(c)?.add(gate(0)? * self.activation.apply(&sums[2])?)?;
        let h = gate(3)?.mul(self.activation.apply(&c)?)?;
        Ok((h.clone(), vec![h, c]))
    }
}

impl Cell for LSTMCell {
    fn state_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.units]; 2]
    }

    fn for_sequence(&self, x: &Tensor, states: &[Tensor]) -> Result<Option<Box<dyn Cell>>> {
        self.drawn(x, states)
    }
}

crate::register_cell!(LSTMCell);

/// Ones for f, if it is so, and otherwise what the initializer of the bias gives.
pub(super) struct ForgetBias {
    pub(super) initializer: AnyInitializer,
    pub(super) unit: bool,
    pub(super) units: usize,
}

impl Initializer for ForgetBias {
    fn init(&self, dims: &[usize], dtype: DType, seed: u64) -> Result<Tensor> {
        if !self.unit {
            return self.initializer.init(dims, dtype, seed);
        }
        let first = self.initializer.init(&[self.units], dtype, seed)?;
        let rest = self.initializer.init(&[self.units.saturating_mul(2)], dtype, seed.wrapping_add(1))?;
        Tensor::concat(&[first, Tensor::ones([self.units], dtype)?, rest], 0)
    }
}

impl Whole for LSTMCell {
    fn has_kernel(&self) -> bool {
        let drops = scope::training() && self.recurrent_dropout > 0.0;
        self.activation == AnyActivation::Tanh && self.recurrent_activation == AnyActivation::Sigmoid && !drops
    }

    fn run(&self, x: &Tensor, states: &[Tensor], ways: Recurrence) -> Result<(Tensor, Vec<Tensor>)> {
        let [h, c] = states else { return Err(states_expected(2, states.len())) };
        let masks = self.masks(&x.slice((.., 0))?, h)?;
        let bias = self.use_bias.then(|| self.bias.read()).transpose()?;
        let weights = [self.kernel.read()?, self.recurrent_kernel.read()?];
        whole(x, &masks, [&weights[0], &weights[1]], bias.as_ref(), &[h, c], Recurrence { cell: Kind::Lstm, ..ways })
    }
}
