//! Convolution of each channel by itself, and followed by one that mixes channels.

use super::activity::charge;
use super::window::{at_least_one, images, sliding};
use super::{DataFormat, Padding, PerAxis};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::{DTypePolicy, Error, Layer, Module, Result, Sliding, Tensor, Variable};

/// The convolution of each channel with filters of its own.
fn depthwise<const N: usize>(
    x: &Tensor,
    kernel: &Variable,
    [PerAxis(size), PerAxis(strides), PerAxis(dilations)]: [PerAxis<N>; 3],
    padding: Padding,
    format: DataFormat,
) -> Result<Tensor> {
    at_least_one(&[("kernel_size", &size), ("strides", &strides), ("dilation_rate", &dilations)])?;
    images(x, N)?;
    if padding == Padding::Causal {
        return Err(Error::invalid_argument("`padding` must be valid or same, found causal"));
    }
    x.depthwise_convolution(kernel, &sliding(&strides, &dilations, &size, padding, format)?)
}

/// The layers of depthwise convolution, by the number of their axes.
macro_rules! depthwise {
    ($($(#[$doc:meta])* $class:ident $axes:literal [$($axis:literal)*];)*) => { $(
        $(#[$doc])*
        #[derive(Module)]
        #[module(package = "keras.layers")]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
            #[config(default, into)]
            dtype: DTypePolicy,
            #[config(into)]
            kernel_size: PerAxis<$axes>,
            /// How far apart two windows are; 1 unless set.
            #[config(default = 1.into(), into)]
            strides: PerAxis<$axes>,
            /// What surrounds an image; nothing unless set.
            #[config(default)]
            padding: Padding,
            /// How many filters each channel has; 1 unless set.
            #[config(default = 1)]
            depth_multiplier: usize,
            /// Where the channels are; last unless set.
            #[config(default)]
            data_format: DataFormat,
            /// How far apart two taps of a window are; 1 unless set.
            #[config(default = 1.into(), into)]
            dilation_rate: PerAxis<$axes>,
            /// The function of the result, by name or as an [`AnyActivation`]; linear unless set.
            #[config(default, into)]
            activation: AnyActivation,
            /// Whether there is a bias; there is unless this says no.
            #[config(default = true)]
            use_bias: bool,
            /// How the kernel begins; [`GlorotUniform`] unless set.
            #[config(default = GlorotUniform::default().into(), into)]
            depthwise_initializer: AnyInitializer,
            /// How the bias begins; [`Zeros`] unless set.
            #[config(default = Zeros.into(), into)]
            bias_initializer: AnyInitializer,
            /// What the kernel costs; nothing unless set.
            #[config(default, into)]
            depthwise_regularizer: OrNone<AnyRegularizer>,
            /// What the bias costs; nothing unless set.
            #[config(default, into)]
            bias_regularizer: OrNone<AnyRegularizer>,
            /// What the output costs; nothing unless set.
            #[config(default, into)]
            activity_regularizer: OrNone<AnyRegularizer>,
            /// Where the kernel may be; anywhere unless set.
            #[config(default, into)]
            depthwise_constraint: OrNone<AnyConstraint>,
            /// Where the bias may be; anywhere unless set.
            #[config(default, into)]
            bias_constraint: OrNone<AnyConstraint>,
            #[variable(
                shape = [$(kernel_size.0[$axis],)* input[data_format.channels()], depth_multiplier],
                init = depthwise_initializer,
                regularizer = depthwise_regularizer,
                constraint = depthwise_constraint
            )]
            kernel: Variable,
            #[variable(
                shape = [input[data_format.channels()].saturating_mul(depth_multiplier)],
                init = bias_initializer,
                regularizer = bias_regularizer,
                constraint = bias_constraint,
                when = use_bias
            )]
            bias: Variable,
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                at_least_one(&[("depth_multiplier", &[self.depth_multiplier])])?;
                let numbers = [self.kernel_size, self.strides, self.dilation_rate];
                let mut y = depthwise(x, &self.kernel, numbers, self.padding, self.data_format)?;
                if self.use_bias {
                    y = self.data_format.add_bias(&y, &self.bias, $axes)?;
                }
                let y = self.activation.apply(&y)?;
                charge(self.activity_regularizer.0.as_ref(), &y)?;
                Ok(y)
            }
        }
    )* };
}

depthwise! {
    /// The convolution of each channel of a sequence with filters of its own.
    ///
    /// # Shapes
    ///
    /// `[batch, steps, channels]` becomes `[batch, windows, channels · depth_multiplier]`; with
    /// [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// # Variables
    ///
    /// `kernel` of `[kernel_size, channels, depth_multiplier]` and, unless `use_bias` is false, `bias`.
    DepthwiseConv1D 1 [0];
    /// The convolution of each channel of an image with filters of its own.
    ///
    /// # Shapes
    ///
    /// `[batch, rows, columns, channels]` becomes `[batch, windows, windows, channels · depth_multiplier]`; with
    /// [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// # Variables
    ///
    /// `kernel` of `[kernel_size.., channels, depth_multiplier]` and, unless `use_bias` is false, `bias`.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::DepthwiseConv2D;
    /// # fn main() -> modulor::Result<()> {
    /// let y = DepthwiseConv2D::new(3).depth_multiplier(2).call(&Tensor::zeros([1, 5, 5, 4], DType::F32)?)?;
    /// assert_eq!(*y.shape(), [1, 3, 3, 8]);
    /// # Ok(())
    /// # }
    /// ```
    DepthwiseConv2D 2 [0 1];
}

/// The layers of separable convolution, by the number of their axes.
macro_rules! separable {
    ($($(#[$doc:meta])* $class:ident $axes:literal [$($axis:literal $one:literal)*];)*) => { $(
        $(#[$doc])*
        #[derive(Module)]
        #[module(package = "keras.layers")]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
            #[config(default, into)]
            dtype: DTypePolicy,
            #[config]
            filters: usize,
            #[config(into)]
            kernel_size: PerAxis<$axes>,
            /// How far apart two windows are; 1 unless set.
            #[config(default = 1.into(), into)]
            strides: PerAxis<$axes>,
            /// What surrounds an image; nothing unless set.
            #[config(default)]
            padding: Padding,
            /// Where the channels are; last unless set.
            #[config(default)]
            data_format: DataFormat,
            /// How far apart two taps of a window are; 1 unless set.
            #[config(default = 1.into(), into)]
            dilation_rate: PerAxis<$axes>,
            /// How many filters each channel has; 1 unless set.
            #[config(default = 1)]
            depth_multiplier: usize,
            /// The function of the result, by name or as an [`AnyActivation`]; linear unless set.
            #[config(default, into)]
            activation: AnyActivation,
            /// Whether there is a bias; there is unless this says no.
            #[config(default = true)]
            use_bias: bool,
            /// How the channels' kernel begins; [`GlorotUniform`] unless set.
            #[config(default = GlorotUniform::default().into(), into)]
            depthwise_initializer: AnyInitializer,
            /// How the kernel that mixes channels begins; [`GlorotUniform`] unless set.
            #[config(default = GlorotUniform::default().into(), into)]
            pointwise_initializer: AnyInitializer,
            /// How the bias begins; [`Zeros`] unless set.
            #[config(default = Zeros.into(), into)]
            bias_initializer: AnyInitializer,
            /// What the channels' kernel costs; nothing unless set.
            #[config(default, into)]
            depthwise_regularizer: OrNone<AnyRegularizer>,
            /// What the kernel that mixes channels costs; nothing unless set.
            #[config(default, into)]
            pointwise_regularizer: OrNone<AnyRegularizer>,
            /// What the bias costs; nothing unless set.
            #[config(default, into)]
            bias_regularizer: OrNone<AnyRegularizer>,
            /// What the output costs; nothing unless set.
            #[config(default, into)]
            activity_regularizer: OrNone<AnyRegularizer>,
            /// Where the channels' kernel may be; anywhere unless set.
            #[config(default, into)]
            depthwise_constraint: OrNone<AnyConstraint>,
            /// Where the kernel that mixes channels may be; anywhere unless set.
            #[config(default, into)]
            pointwise_constraint: OrNone<AnyConstraint>,
            /// Where the bias may be; anywhere unless set.
            #[config(default, into)]
            bias_constraint: OrNone<AnyConstraint>,
            #[variable(
                shape = [$(kernel_size.0[$axis],)* input[data_format.channels()], depth_multiplier],
                init = depthwise_initializer,
                regularizer = depthwise_regularizer,
                constraint = depthwise_constraint
            )]
            depthwise_kernel: Variable,
            #[variable(
                shape = [$($one,)* input[data_format.channels()].saturating_mul(depth_multiplier), filters],
                init = pointwise_initializer,
                regularizer = pointwise_regularizer,
                constraint = pointwise_constraint
            )]
            pointwise_kernel: Variable,
            #[variable(
                shape = [filters],
                init = bias_initializer,
                regularizer = bias_regularizer,
                constraint = bias_constraint,
                when = use_bias
            )]
            bias: Variable,
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                at_least_one(&[("filters", &[self.filters]), ("depth_multiplier", &[self.depth_multiplier])])?;
                let numbers = [self.kernel_size, self.strides, self.dilation_rate];
                let mut y = depthwise(x, &self.depthwise_kernel, numbers, self.padding, self.data_format)?;
                let each = Sliding::new();
                let each = match self.data_format {
                    DataFormat::ChannelsLast => each,
                    DataFormat::ChannelsFirst => each.channels_first(),
                };
                y = y.convolution(&self.pointwise_kernel, &each)?;
                if self.use_bias {
                    y = self.data_format.add_bias(&y, &self.bias, $axes)?;
                }
                let y = self.activation.apply(&y)?;
                charge(self.activity_regularizer.0.as_ref(), &y)?;
                Ok(y)
            }
        }
    )* };
}

separable! {
    /// The convolution of each channel of a sequence with filters of its own, and then of each step's channels.
    ///
    /// # Shapes
    ///
    /// `[batch, steps, channels]` becomes `[batch, windows, filters]`; with [`DataFormat::ChannelsFirst`] the channels come
    /// second in both.
    ///
    /// # Variables
    ///
    /// `depthwise_kernel` of `[kernel_size, channels, depth_multiplier]`, `pointwise_kernel` of
    /// `[1, channels · depth_multiplier, filters]` and, unless `use_bias` is false, `bias` of `[filters]`.
    SeparableConv1D 1 [0 1];
    /// The convolution of each channel of an image with filters of its own, and then of each place's channels.
    ///
    /// # Shapes
    ///
    /// `[batch, rows, columns, channels]` becomes `[batch, windows, windows, filters]`; with
    /// [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// # Variables
    ///
    /// `depthwise_kernel` of `[kernel_size.., channels, depth_multiplier]`, `pointwise_kernel` of
    /// `[1, 1, channels · depth_multiplier, filters]` and, unless `use_bias` is false, `bias` of `[filters]`.
    ///
    /// ```
    /// use modulor::{Call, DType, ModuleExt, Tensor};
    /// use modulor_layers::library::SeparableConv2D;
    /// # fn main() -> modulor::Result<()> {
    /// let layer = SeparableConv2D::new(8, 3);
    /// assert_eq!(*layer.call(&Tensor::zeros([1, 5, 5, 4], DType::F32)?)?.shape(), [1, 3, 3, 8]);
    /// assert_eq!(layer.count_params(), 3 * 3 * 4 + 4 * 8 + 8);
    /// # Ok(())
    /// # }
    /// ```
    SeparableConv2D 2 [0 1 1 1];
}
