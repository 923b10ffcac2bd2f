use super::recurrent::states_expected;
use super::recurrent_dropout::{Masks, product};
use super::{Cell, SeedGenerator};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Orthogonal, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::module::{InputShapes, ManualBuild, Track};
use modulor::{Error, Layer, Module, Result, Tensor, Variable};

/// A step of a [`SimpleRNN`](super::SimpleRNN): `h = activation(x · kernel + h · recurrent_kernel + bias)`.
///
/// # Variables
///
/// `kernel` of `[n, units]`, `recurrent_kernel` of `[units, units]` and, unless `use_bias` is false, `bias` of `[units]`.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::SimpleRNNCell;
/// # fn main() -> modulor::Result<()> {
/// let (x, h) = (Tensor::zeros([2, 3], DType::F32)?, Tensor::zeros([2, 4], DType::F32)?);
/// let (y, states) = SimpleRNNCell::new(4).call((&x, &vec![h]))?;
/// assert_eq!((y.dims()?, states.len()), (&[2, 4][..], 1));
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", name = "simple_rnn_cell", build = manual)]
pub struct SimpleRNNCell {
    #[config]
    units: usize,
    /// The function of the result, by name or as an [`AnyActivation`]; tanh unless set.
    #[config(default = AnyActivation::Tanh, into)]
    activation: AnyActivation,
    /// Whether there is a bias; there is unless this says no.
    #[config(default = true)]
    use_bias: bool,
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
        init = bias_initializer,
        regularizer = bias_regularizer,
        constraint = bias_constraint,
        when = use_bias
    )]
    bias: Variable,
}

impl ManualBuild for SimpleRNNCell {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        if self.units == 0 {
            return Err(Error::invalid_argument("`units` must be at least 1, found 0"));
        }
        self.declare_seeds();
        let width = self.units;
        inputs.size(&self.kernel, "kernel", &[inputs.dim(0, -1)?, width])?;
        inputs.size(&self.recurrent_kernel, "recurrent_kernel", &[self.units, width])?;
        if self.use_bias {
            inputs.size(&self.bias, "bias", &[width])?;
        }
        Ok(())
    }
}

impl SimpleRNNCell {
    /// Says how the seeds begin, if there are to be any.
    fn declare_seeds(&self) {
        if self.dropout > 0.0 || self.recurrent_dropout > 0.0 {
            self.seed_generator.declare(self.seed);
        }
    }

    /// What dropout leaves: what was drawn for the sequence, or is now.
    fn masks(&self, x: &Tensor, h: &Tensor) -> Result<Masks> {
        let draw = || Masks::draw([self.dropout, self.recurrent_dropout], 1, &self.seed_generator, [x, h]);
        self.masks.clone().map_or_else(draw, Ok)
    }
}

impl Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> for SimpleRNNCell {
    fn forward(&self, (x, states): &(Tensor, Vec<Tensor>)) -> Result<(Tensor, Vec<Tensor>)> {
        let [h] = &states[..] else { return Err(states_expected(1, states.len())) };
        let masks = self.masks(x, h)?;
        let mut outer = product(x, &masks.x, &self.kernel.read()?, 1)?;
        if self.use_bias {
            outer = outer.bias_add(&self.bias)?;
        }
        let h = self.activation.apply(&outer.add(product(h, &masks.h, &self.recurrent_kernel.read()?, 1)?)?)?;
        Ok((h.clone(), vec![h]))
    }
}

impl Cell for SimpleRNNCell {
    fn state_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.units]; 1]
    }

    fn for_sequence(&self, x: &Tensor, states: &[Tensor]) -> Result<Option<Box<dyn Cell>>> {
        let Some(h) = states.first() else { return Ok(None) };
        self.declare_seeds();
        let mut cell = self.share();
        cell.masks = Some(self.masks(x, h)?);
        Ok(Some(Box::new(cell)))
    }
}

crate::register_cell!(SimpleRNNCell);
