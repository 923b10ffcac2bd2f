//! Recurrent layers of images, whose products are convolutions.

use super::lstm_cell::ForgetBias;
use super::recurrent::{Held, RecurrentLayer, states_expected, write_flat};
use super::recurrent_dropout::{Masks, masked};
use super::window::{at_least_one, shape_of_images, sliding, strides_or_dilations};
use super::{Cell, DataFormat, Padding, PerAxis, SeedGenerator};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Orthogonal, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::module::{Config, FromConfig, InputShapes, ManualBuild, Track};
use modulor::{Error, Layer, Module, Result, Shape, Sliding, Tensor, Variable};

/// A step of a [`ConvLSTM2D`] or of its kind along `N` axes: `c = f · c + i · activation(g)`, `h = o · activation(c)`.
///
/// The gates i, f and o are the recurrent activation, of `x ∗ kernel + bias` and of `h ∗ recurrent_kernel`; h has as many
/// places as x has windows, and its convolution is of the same size.
///
/// # Variables
///
/// `kernel` of `[kernel_size.., channels, 4·filters]`, `recurrent_kernel` of `[kernel_size.., filters, 4·filters]` and,
/// unless `use_bias` is false, `bias` of `[4·filters]`, each for i, f, g and o in this order.
///
/// As in Keras no config names one by itself.
#[derive(Module)]
#[module(package = "keras.layers", name = "conv_lstm_cell", build = manual)]
pub struct ConvLSTMCell<const N: usize> {
    #[config]
    filters: usize,
    #[config(into)]
    kernel_size: PerAxis<N>,
    /// How far apart two windows of the input are; 1 unless set.
    #[config(default = 1.into(), into)]
    strides: PerAxis<N>,
    /// What surrounds an image; nothing unless set.
    #[config(default)]
    padding: Padding,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
    /// How far apart two taps of a window of the input are; 1 unless set.
    #[config(default = 1.into(), into)]
    dilation_rate: PerAxis<N>,
    /// The function of the result, by name or as an [`AnyActivation`]; tanh unless set.
    #[config(default = AnyActivation::Tanh, into)]
    activation: AnyActivation,
    /// The function of the gates, by name or as an [`AnyActivation`]; the sigmoid unless set.
    #[config(default = AnyActivation::Sigmoid, into)]
    recurrent_activation: AnyActivation,
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
    /// Whether the bias of f begins with ones; it does unless this says no.
    #[config(default = true)]
    unit_forget_bias: bool,
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
        init = ForgetBias { initializer: bias_initializer, unit: unit_forget_bias, units: filters },
        regularizer = bias_regularizer,
        constraint = bias_constraint,
        when = use_bias
    )]
    bias: Variable,
}

/// The number of gates.
const GATES: usize = 4;

impl<const N: usize> ManualBuild for ConvLSTMCell<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.check()?;
        shape_of_images(inputs.shape(0)?, N)?;
        self.declare_seeds();
        let channels = inputs.dim(0, self.data_format.channels())?;
        let of = |channels: usize| [&self.kernel_size.0[..], &[channels, GATES * self.filters]].concat();
        inputs.size(&self.kernel, "kernel", &of(channels))?;
        inputs.size(&self.recurrent_kernel, "recurrent_kernel", &of(self.filters))?;
        if self.use_bias {
            inputs.size(&self.bias, "bias", &[GATES * self.filters])?;
        }
        Ok(())
    }
}

impl<const N: usize> ConvLSTMCell<N> {
    /// Refuses settings that make no sense.
    fn check(&self) -> Result<()> {
        let (PerAxis(size), PerAxis(strides)) = (self.kernel_size, self.strides);
        let PerAxis(dilations) = self.dilation_rate;
        at_least_one(&[
            ("filters", &[self.filters]),
            ("kernel_size", &size),
            ("strides", &strides),
            ("dilation_rate", &dilations),
        ])?;
        strides_or_dilations(&strides, &dilations)?;
        if self.padding == Padding::Causal {
            return Err(Error::invalid_argument("`padding` must be valid or same, found causal"));
        }
        Ok(())
    }

    /// Says how the seeds begin, if there are to be any.
    fn declare_seeds(&self) {
        if self.dropout > 0.0 || self.recurrent_dropout > 0.0 {
            self.seed_generator.declare(self.seed);
        }
    }

    /// What dropout leaves: what was drawn for the sequence, or is now.
    fn masks(&self, x: &Tensor, h: &Tensor) -> Result<Masks> {
        let draw = || Masks::draw_each([self.dropout, self.recurrent_dropout], GATES, &self.seed_generator, [x, h]);
        self.masks.clone().map_or_else(draw, Ok)
    }

    /// The axis of the channels.
    fn channels(&self) -> i64 {
        self.data_format.channels() as i64
    }

    /// The convolution of images under the masks with a kernel of all gates.
    fn convolved(&self, x: &Tensor, masks: &[Tensor], kernel: &Tensor, sliding: &Sliding) -> Result<Tensor> {
        if masks.len() < 2 {
            return masked(x, masks, 0)?.convolution(kernel, sliding);
        }
        let kernels = kernel.split(GATES, -1)?;
        let of = |(gate, kernel): (usize, &Tensor)| masked(x, masks, gate)?.convolution(kernel, sliding);
        Tensor::concat(&kernels.iter().enumerate().map(of).collect::<Result<Vec<_>>>()?, self.channels())
    }
}

impl<const N: usize> Layer<(Tensor, Vec<Tensor>), (Tensor, Vec<Tensor>)> for ConvLSTMCell<N> {
    fn forward(&self, (x, states): &(Tensor, Vec<Tensor>)) -> Result<(Tensor, Vec<Tensor>)> {
        let [h, c] = &states[..] else { return Err(states_expected(2, states.len())) };
        let (masks, format, size) = (self.masks(x, h)?, self.data_format, &self.kernel_size.0);
        let of_x = sliding(&self.strides.0, &self.dilation_rate.0, size, self.padding, format)?;
        let of_h = sliding(&[1; N], &[1; N], size, Padding::Same, format)?;
        let mut sums = self.convolved(x, &masks.x, &self.kernel.read()?, &of_x)?;
        if self.use_bias {
            sums = format.add_bias(&sums, &self.bias, N)?;
        }
        let sums = sums.add(self.convolved(h, &masks.h, &self.recurrent_kernel.read()?, &of_h)?)?;
        let sums = sums.split(GATES, self.channels())?;
        let gate = |at: usize| self.recurrent_activation.apply(&sums[at]);
        let c = gate(1)?.mul(c)?.add(gate(0)? * self.activation.apply(&sums[2])?)?;
        let h = gate(3)?.mul(self.activation.apply(&c)?)?;
        Ok((h.clone(), vec![h, c]))
    }
}

impl<const N: usize> Cell for ConvLSTMCell<N> {
    fn state_shapes(&self) -> Vec<Vec<usize>> {
        let mut shape = vec![0; N + 1];
        match self.data_format {
            DataFormat::ChannelsLast => shape[N] = self.filters,
            DataFormat::ChannelsFirst => shape[0] = self.filters,
        }
        vec![shape; 2]
    }

    fn state_shapes_for(&self, x: &Shape) -> Result<Vec<Vec<usize>>> {
        self.check()?;
        shape_of_images(x, N)?;
        let (mut shapes, first) = (self.state_shapes(), self.data_format.first_place());
        for axis in 0..N {
            let places = x.dim(first + axis).ok_or_else(|| {
                Error::invalid_argument(format!("the spatial dims of the input must be known, found shape {x}"))
            })?;
            let reach = (self.kernel_size.0[axis] - 1).saturating_mul(self.dilation_rate.0[axis]).saturating_add(1);
            let windows = match self.padding {
                Padding::Valid if places < reach => {
                    let message = format!("a window of {reach} places does not fit into images of shape {x}");
                    return Err(Error::invalid_argument(message));
                }
                Padding::Valid => (places - reach) / self.strides.0[axis] + 1,
                _ => places.div_ceil(self.strides.0[axis]),
            };
            shapes.iter_mut().for_each(|shape| shape[first - 1 + axis] = windows);
        }
        Ok(shapes)
    }

    fn for_sequence(&self, x: &Tensor, states: &[Tensor]) -> Result<Option<Box<dyn Cell>>> {
        let Some(h) = states.first() else { return Ok(None) };
        self.declare_seeds();
        let mut cell = self.share();
        cell.masks = Some(self.masks(x, h)?);
        Ok(Some(Box::new(cell)))
    }
}

impl<const N: usize> Held for ConvLSTMCell<N> {
    const CLASS: &'static str = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"][N - 1];
    const NAME: &'static str = ["conv_lstm1d", "conv_lstm2d", "conv_lstm3d"][N - 1];

    fn cell(&self) -> &dyn Cell {
        self
    }

    fn write(&self, config: &mut Config) -> Result<()> {
        write_flat(self, config)
    }

    fn read(config: &Config) -> Result<Self> {
        ConvLSTMCell::from_config(config)
    }
}

/// An [`LSTM`](super::LSTM) of sequences, `[batch, time, steps, channels]`, whose products are convolutions along the
/// steps; see [`ConvLSTM2D`].
pub type ConvLSTM1D = RecurrentLayer<ConvLSTMCell<1>>;

/// An [`LSTM`](super::LSTM) of images, whose products are convolutions: Shi et al., "Convolutional LSTM network".
///
/// The settings are those of its cell, [`ConvLSTMCell`], and of [`RNN`](super::RNN). Strides, padding and dilation are
/// those of the input's convolution; that of the states goes by 1 and keeps their size.
///
/// # Shapes
///
/// `[batch, time, rows, columns, channels]` becomes `[batch, windows, windows, filters]` or, with `return_sequences`,
/// `[batch, time, windows, windows, filters]`; with [`DataFormat::ChannelsFirst`] the channels come right before the places
/// in all of them. The spatial dims must be known.
///
/// # Variables
///
/// Those of the cell, below `conv_lstm_cell`.
///
/// ```
/// use modulor::{Call, DType, Tensor};
/// use modulor_layers::library::{ConvLSTM2D, Padding};
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::zeros([2, 5, 8, 8, 1], DType::F32)?;
/// assert_eq!(*ConvLSTM2D::new(4, 3).call(&x)?.shape(), [2, 6, 6, 4]);
/// let layer = ConvLSTM2D::new(4, [3, 5]).padding(Padding::Same).return_sequences(true);
/// assert_eq!(*layer.call(&x)?.shape(), [2, 5, 8, 8, 4]);
/// # Ok(())
/// # }
/// ```
pub type ConvLSTM2D = RecurrentLayer<ConvLSTMCell<2>>;

/// An [`LSTM`](super::LSTM) of volumes, `[batch, time, places, places, places, channels]`, whose products are
/// convolutions; see [`ConvLSTM2D`].
pub type ConvLSTM3D = RecurrentLayer<ConvLSTMCell<3>>;

impl<const N: usize> RecurrentLayer<ConvLSTMCell<N>> {
    /// A new layer of so many filters, of this size. Variables whose shapes depend on the input are built by the first
    /// call.
    pub fn new(filters: usize, kernel_size: impl Into<PerAxis<N>>) -> Self {
        RecurrentLayer::of(ConvLSTMCell::new(filters, kernel_size))
    }

    super::recurrent::settings_of_cell! {
        /// How far apart two windows of the input are; 1 unless set.
        strides: impl Into<PerAxis<N>>,
        /// What surrounds an image; nothing unless set.
        padding: Padding,
        /// Where the channels are; last unless set.
        data_format: DataFormat,
        /// How far apart two taps of a window of the input are; 1 unless set.
        dilation_rate: impl Into<PerAxis<N>>,
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
        /// Whether the bias of f begins with ones; it does unless this says no.
        unit_forget_bias: bool,
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
}

modulor::register!(ConvLSTM1D, "keras.layers");
modulor::register!(ConvLSTM2D, "keras.layers");
modulor::register!(ConvLSTM3D, "keras.layers");
