use super::recurrent::{Whole, states_expected, whole};
use super::recurrent_dropout::{Masks, product};
use super::{Cell, SeedGenerator};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Orthogonal, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::module::{InputShapes, ManualBuild, Track};
use modulor::op::scope;
use modulor::ops::recurrent::{Cell as Kind, Recurrence};
use modulor::variable::Initializer;
use modulor::{DType, Error, Layer, Module, Result, Tensor, Variable};

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
#[derive(Module)]
#[module(package = "keras.layers", name = "lstm_cell", build = manual)]
pub struct LSTMCell {
    #[config]
    units: usize,
    /// The function of the result, by name or as an [`AnyActivation`]; tanh unless set.
    #[config(default = AnyActivation::Tanh, into)]
    activation: AnyActivation,
    /// The function of the gates, by name or as an [`AnyActivation`]; the sigmoid unless set.
    #[config(default = AnyActivation::Sigmoid, into)]
    recurrent_activation: AnyActivation,
    /// Whether there is a bias; there is unless this says no.
    #[config(default = true)]
    use_bias: bool,
    /// Whether the bias of f begins with ones; it does unless this says no.
    #[config(default = true)]
    unit_forget_bias: bool,
    /// How the kernel begins; [`GlorotUniform`] unless set.
    #[config(default = GlorotUniform::default().into(), into)]
    kernel_initializer: AnyInitializer,
    /// How the recurrent kernel begins; [`Orthogonal`] unless set.
    #[config(default = Orthogonal::default().into(), into)]
    recurrent_initializer: AnyInitializer,
    /// How the bias begins; [`Zeros`] unless set.
    #[config(default = Zeros.into(), into)]
    bias_initializer: AnyInitializer,
    /// What the kernel costs; nothing unless set.
    #[config(default, into)]
    kernel_regularizer: OrNone<AnyRegularizer>,
    /// What the recurrent kernel costs; nothing unless set.
    #[config(default, into)]
    recurrent_regularizer: OrNone<AnyRegularizer>,
    /// What the bias costs; nothing unless set.
    #[config(default, into)]
    bias_regularizer: OrNone<AnyRegularizer>,
    /// Where the kernel may be; anywhere unless set.
    #[config(default, into)]
    kernel_constraint: OrNone<AnyConstraint>,
    /// Where the recurrent kernel may be; anywhere unless set.
    #[config(default, into)]
    recurrent_constraint: OrNone<AnyConstraint>,
    /// Where the bias may be; anywhere unless set.
    #[config(default, into)]
    bias_constraint: OrNone<AnyConstraint>,
    /// In training, the part of the inputs that is left out, the same in all steps of a sequence; none unless set.
    #[config(default)]
    dropout: f64,
    /// In training, the part of h that is left out, the same in all steps of a sequence; none unless set.
    #[config(default)]
    recurrent_dropout: f64,
    /// The seed of dropout; without one, it follows from the layer's place in its model.
    #[config(default, into)]
    seed: Option<i64>,
    #[module(default)]
    seed_generator: SeedGenerator,
    #[skip]
    masks: Option<Masks>,
    #[variable(init = kernel_initializer, regularizer = kernel_regularizer, constraint = kernel_constraint)]
    kernel: Variable,
    #[variable(init = recurrent_initializer, regularizer = recurrent_regularizer, constraint = recurrent_constraint)]
    recurrent_kernel: Variable,
    #[variable(
        init = ForgetBias { initializer: bias_initializer, unit: unit_forget_bias, units },
        regularizer = bias_regularizer,
        constraint = bias_constraint,
        when = use_bias
    )]
    bias: Variable,
}

impl ManualBuild for LSTMCell {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.units == 0 {
            return Err(Error::invalid_argument("`units` must be at least 1, found 0"));
        }
        self.declare_seeds();
        let width = 4 * self.units;
        inputs.size(&self.kernel, "kernel", &[inputs.dim(0, -1)?, width])?;
        inputs.size(&self.recurrent_kernel, "recurrent_kernel", &[self.units, width])?;
        if self.use_bias {
            inputs.size(&self.bias, "bias", &[width])?;
        }
        Ok(())
    }
}

impl LSTMCell {
    /// Says how the seeds begin, if there are to be any.
    fn declare_seeds(&self) {
        if self.dropout > 0.0 || self.recurrent_dropout > 0.0 {
            self.seed_generator.declare(self.seed);
        }
    }

    /// What dropout leaves: what was drawn for the sequence, or is now.
    fn masks(&self, x: &Tensor, h: &Tensor) -> Result<Masks> {
        let draw = || Masks::draw([self.dropout, self.recurrent_dropout], 4, &self.seed_generator, [x, h]);
        self.masks.clone().map_or_else(draw, Ok)
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
        let Some(h) = states.first() else { return Ok(None) };
        self.declare_seeds();
        let mut cell = self.share();
        cell.masks = Some(self.masks(x, h)?);
        Ok(Some(Box::new(cell)))
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
        let rest = self.initializer.init(&[2 * self.units], dtype, seed.wrapping_add(1))?;
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
