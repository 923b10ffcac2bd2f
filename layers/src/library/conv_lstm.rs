//! Recurrent layers of images, whose products are convolutions.

use super::lstm_cell::ForgetBias;
use super::recurrent::{Held, RecurrentLayer, states_expected, write_flat};
use super::recurrent_dropout::masked;
use super::window::{at_least_one, shape_of_images, sliding, strides_or_dilations};
use super::{Cell, DataFormat, Padding, PerAxis};
use crate::activation::AnyActivation;
use crate::initializer::{AnyInitializer, Zeros};
use modulor::module::{Config, FromConfig, InputShapes, ManualBuild};
use modulor::{DTypePolicy, Error, Layer, Result, Shape, Sliding, Tensor};

super::cell_settings::cell! {
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
    ConvLSTMCell {[<const N: usize>] [<N>]} "conv_lstm_cell" for RecurrentLayer<ConvLSTMCell<N>>, dropout by draw_each of 4;
    needs { filters: usize; kernel_size: PerAxis<N>, into; }
    bias = { ForgetBias { initializer: bias_initializer, unit: unit_forget_bias, units: filters } }
    /// How far apart two windows of the input are; 1 unless set.
    strides: PerAxis<N> = 1.into(), into;
    /// What surrounds an image; nothing unless set.
    padding: Padding = Padding::Valid;
    /// Where the channels are; last unless set.
    data_format: DataFormat = DataFormat::ChannelsLast;
    /// How far apart two taps of a window of the input are; 1 unless set.
    dilation_rate: PerAxis<N> = 1.into(), into;
    /// The function of the gates, by name or as an [`AnyActivation`]; the sigmoid unless set.
    recurrent_activation: AnyActivation = AnyActivation::Sigmoid, into;
    /// Whether the bias of f begins with ones; it does unless this says no.
    unit_forget_bias: bool = true;
    /// How the bias begins; [`Zeros`] unless set.
    bias_initializer: AnyInitializer = Zeros.into(), into;
}

/// The number of gates.
const GATES: usize = 4;

impl<const N: usize> ManualBuild for ConvLSTMCell<N> {
    fn build(&self, inputs: &InputShapes) -> Result<()> {
        self.check()?;
        shape_of_images(inputs.shape(0)?, N)?;
        self.declare_seeds();
        let channels = inputs.dim(0, self.data_format.channels())?;
        let width = self.filters.saturating_mul(GATES);
        let of = |channels: usize| [&self.kernel_size.0[..], &[channels, width]].concat();
        inputs.size(&self.kernel, "kernel", &of(channels))?;
        inputs.size(&self.recurrent_kernel, "recurrent_kernel", &of(self.filters))?;
        if self.use_bias {
            inputs.size(&self.bias, "bias", &[width])?;
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
        self.drawn(x, states)
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

    fn with_dtype(self, policy: &DTypePolicy) -> Self {
        self.dtype(policy.clone())
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
}

modulor::register!(ConvLSTM1D, "keras.layers");
modulor::register!(ConvLSTM2D, "keras.layers");
modulor::register!(ConvLSTM3D, "keras.layers");
