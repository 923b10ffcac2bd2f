//! Convolution along one, two or three axes, and the transposed one.

use super::activity::charge;
use super::lora::{LoraAlpha, LoraInitializers, LoraRank, adapts};
use super::window::{at_least_one, images, sliding, strides_or_dilations};
use super::{DataFormat, Padding, PerAxis};
use crate::OrNone;
use crate::activation::AnyActivation;
use crate::constraint::AnyConstraint;
use crate::initializer::{AnyInitializer, GlorotUniform, Zeros};
use crate::regularizer::AnyRegularizer;
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor, Variable};

/// The layers of convolution, by the number of their axes.
macro_rules! convolutions {
    ($($(#[$doc:meta])* $class:ident $axes:literal [$($axis:literal)*];)*) => { $(
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
            /// In how many groups channels and filters are: a filter reads the channels of its group.
            #[config(default = 1)]
            groups: usize,
            /// The function of the result, by name or as an [`AnyActivation`]; linear unless set.
            #[config(default, into)]
            activation: AnyActivation,
            /// Whether there is a bias; there is unless this says no.
            #[config(default = true)]
            use_bias: bool,
            /// How the kernel begins; [`GlorotUniform`] unless set.
            #[config(default = GlorotUniform::default().into(), into)]
            kernel_initializer: AnyInitializer,
            /// How the bias begins; [`Zeros`] unless set.
            #[config(default = Zeros.into(), into)]
            bias_initializer: AnyInitializer,
            /// What the kernel costs; nothing unless set.
            #[config(default, into)]
            kernel_regularizer: OrNone<AnyRegularizer>,
            /// What the bias costs; nothing unless set.
            #[config(default, into)]
            bias_regularizer: OrNone<AnyRegularizer>,
            /// What the output costs; nothing unless set.
            #[config(default, into)]
            activity_regularizer: OrNone<AnyRegularizer>,
            /// Where the kernel may be; anywhere unless set.
            #[config(default, into)]
            kernel_constraint: OrNone<AnyConstraint>,
            /// Where the bias may be; anywhere unless set.
            #[config(default, into)]
            bias_constraint: OrNone<AnyConstraint>,
            #[module(default)]
            lora_rank: LoraRank,
            #[module(default)]
            lora_alpha: LoraAlpha,
            #[skip]
            lora_initializers: LoraInitializers,
            #[variable(
                shape = [
                    $(kernel_size.0[$axis],)*
                    input[data_format.channels()].checked_div(groups).unwrap_or(0),
                    filters
                ],
                init = kernel_initializer,
                regularizer = kernel_regularizer,
                constraint = kernel_constraint,
                trainable = !lora_rank.is_set()
            )]
            kernel: Variable,
            #[variable(
                shape = [filters],
                init = bias_initializer,
                regularizer = bias_regularizer,
                constraint = bias_constraint,
                when = use_bias
            )]
            bias: Variable,
            #[variable(
                shape = [
                    $(kernel_size.0[$axis],)*
                    input[data_format.channels()].checked_div(groups).unwrap_or(0),
                    lora_rank.columns()
                ],
                init = lora_initializers.a.clone(),
                dtype = DType::F32,
                regularizer = kernel_regularizer,
                when = lora_rank.is_set()
            )]
            lora_kernel_a: Variable,
            #[variable(
                shape = [lora_rank.columns(), filters],
                init = lora_initializers.b.clone(),
                dtype = DType::F32,
                regularizer = kernel_regularizer,
                when = lora_rank.is_set()
            )]
            lora_kernel_b: Variable,
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                let (PerAxis(size), PerAxis(strides)) = (self.kernel_size, self.strides);
                let PerAxis(dilations) = self.dilation_rate;
                at_least_one(&[
                    ("filters", &[self.filters]),
                    ("groups", &[self.groups]),
                    ("kernel_size", &size),
                    ("strides", &strides),
                    ("dilation_rate", &dilations),
                ])?;
                strides_or_dilations(&strides, &dilations)?;
                images(x, $axes)?;
                let channels = usize::try_from(self.data_format.channels()).unwrap_or($axes + 1);
                if let Some(channels) = x.shape().dim(channels)
                    && !(channels.is_multiple_of(self.groups) && self.filters.is_multiple_of(self.groups))
                {
                    return Err(Error::invalid_argument(format!(
                        "`groups` {} must divide {channels} channels and {} filters",
                        self.groups, self.filters
                    )));
                }
                let sliding = sliding(&strides, &dilations, &size, self.padding, self.data_format)?;
                let mut y = match self.adapted(Variable::read)? {
                    None => x.convolution(&self.kernel, &sliding)?,
                    Some(kernel) => x.convolution(kernel, &sliding)?,
                };
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

convolutions! {
    /// The convolution of sequences with filters: `activation(x ∗ kernel + bias)`, a product with every window of `x`.
    ///
    /// # Shapes
    ///
    /// `[batch, steps, channels]` becomes `[batch, windows, filters]`; with [`DataFormat::ChannelsFirst`] the channels come
    /// second in both.
    ///
    /// # Variables
    ///
    /// `kernel` of `[kernel_size, channels / groups, filters]` and, unless `use_bias` is false, `bias` of `[filters]`.
    /// With a `lora_rank`, `kernel` is not trainable, and there are `lora_kernel_a`, of the kernel's shape but for `lora_rank`
    /// last, and `lora_kernel_b` of `[lora_rank, filters]`, float32.
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::initializer::Ones;
    /// use modulor_layers::library::{Conv1D, Padding};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = Conv1D::new(1, 2).padding(Padding::Causal).kernel_initializer(Ones);
    /// let y = layer.call(&Tensor::from([[[1.0_f32], [2.0], [3.0]]]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 3.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    Conv1D 1 [0];
    /// The convolution of images with filters: `activation(x ∗ kernel + bias)`, a product with every window of `x`.
    ///
    /// # Shapes
    ///
    /// `[batch, rows, columns, channels]` becomes `[batch, windows, windows, filters]`; with
    /// [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// # Variables
    ///
    /// `kernel` of `[kernel_size.., channels / groups, filters]` and, unless `use_bias` is false, `bias` of `[filters]`.
    /// With a `lora_rank`, `kernel` is not trainable, and there are `lora_kernel_a`, of the kernel's shape but for `lora_rank`
    /// last, and `lora_kernel_b` of `[lora_rank, filters]`, float32.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::{Conv2D, Padding};
    /// # fn main() -> modulor::Result<()> {
    /// let x = Tensor::zeros([2, 28, 28, 1], DType::F32)?;
    /// assert_eq!(*Conv2D::new(8, 3).activation("relu").call(&x)?.shape(), [2, 26, 26, 8]);
    /// let layer = Conv2D::new(8, [5, 3]).strides(2).padding(Padding::Same);
    /// assert_eq!(*layer.call(&x)?.shape(), [2, 14, 14, 8]);
    /// # Ok(())
    /// # }
    /// ```
    Conv2D 2 [0 1];
    /// The convolution of volumes with filters: `activation(x ∗ kernel + bias)`, a product with every window of `x`.
    ///
    /// # Shapes
    ///
    /// `[batch, places, places, places, channels]` becomes `[batch, windows, windows, windows, filters]`; with
    /// [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// # Variables
    ///
    /// `kernel` of `[kernel_size.., channels / groups, filters]` and, unless `use_bias` is false, `bias` of `[filters]`.
    /// With a `lora_rank`, `kernel` is not trainable, and there are `lora_kernel_a`, of the kernel's shape but for `lora_rank`
    /// last, and `lora_kernel_b` of `[lora_rank, filters]`, float32.
    Conv3D 3 [0 1 2];
}

adapts! {
    Conv1D kernel by lora_kernel_a lora_kernel_b, kernel_constraint;
    Conv2D kernel by lora_kernel_a lora_kernel_b, kernel_constraint;
    Conv3D kernel by lora_kernel_a lora_kernel_b, kernel_constraint;
}

/// The places along an axis of the transposed convolution of so many windows.
fn places([windows, size, stride, dilation]: [usize; 4], padding: Padding, more: Option<usize>) -> Result<usize> {
    let reach = size.saturating_sub(1).saturating_mul(dilation).saturating_add(1);
    let last = windows.saturating_sub(1).saturating_mul(stride);
    if windows == 0 {
        return Err(Error::invalid_argument("there must be at least one place along each axis, found 0"));
    }
    Ok(match (padding, more) {
        (Padding::Same, None) => windows.saturating_mul(stride),
        (Padding::Same, Some(more)) => last.saturating_add(reach % 2).saturating_add(more),
        (_, more) => last.saturating_add(reach).saturating_add(more.unwrap_or(stride.saturating_sub(reach))),
    })
}

/// The layers of transposed convolution, by the number of their axes.
macro_rules! transposed {
    ($($(#[$doc:meta])* $class:ident $axes:literal [$($axis:literal)*];)*) => { $(
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
            /// How far apart two windows of the result are; 1 unless set.
            #[config(default = 1.into(), into)]
            strides: PerAxis<$axes>,
            /// What would surround the result; nothing unless set.
            #[config(default)]
            padding: Padding,
            /// How many places come to the least there can be, less than `strides`; as Keras has it unless set.
            #[config(default)]
            output_padding: Option<PerAxis<$axes>>,
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
            kernel_initializer: AnyInitializer,
            /// How the bias begins; [`Zeros`] unless set.
            #[config(default = Zeros.into(), into)]
            bias_initializer: AnyInitializer,
            /// What the kernel costs; nothing unless set.
            #[config(default, into)]
            kernel_regularizer: OrNone<AnyRegularizer>,
            /// What the bias costs; nothing unless set.
            #[config(default, into)]
            bias_regularizer: OrNone<AnyRegularizer>,
            /// What the output costs; nothing unless set.
            #[config(default, into)]
            activity_regularizer: OrNone<AnyRegularizer>,
            /// Where the kernel may be; anywhere unless set.
            #[config(default, into)]
            kernel_constraint: OrNone<AnyConstraint>,
            /// Where the bias may be; anywhere unless set.
            #[config(default, into)]
            bias_constraint: OrNone<AnyConstraint>,
            #[variable(
                shape = [$(kernel_size.0[$axis],)* filters, input[data_format.channels()]],
                init = kernel_initializer,
                regularizer = kernel_regularizer,
                constraint = kernel_constraint
            )]
            kernel: Variable,
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
                let (PerAxis(size), PerAxis(strides)) = (self.kernel_size, self.strides);
                let PerAxis(dilations) = self.dilation_rate;
                at_least_one(&[
                    ("filters", &[self.filters]),
                    ("kernel_size", &size),
                    ("strides", &strides),
                    ("dilation_rate", &dilations),
                ])?;
                strides_or_dilations(&strides, &dilations)?;
                images(x, $axes)?;
                if self.padding == Padding::Causal {
                    return Err(Error::invalid_argument("`padding` must be valid or same, found causal"));
                }
                if let Some(PerAxis(more)) = self.output_padding
                    && more.iter().zip(&strides).any(|(more, stride)| more >= stride)
                {
                    return Err(Error::invalid_argument(format!(
                        "`output_padding` must be less than `strides`, found {more:?} and {strides:?}"
                    )));
                }
                let mut all = [0; $axes];
                for (i, all) in all.iter_mut().enumerate() {
                    let windows = x.shape().dim(self.data_format.first_place() + i).ok_or_else(|| {
                        let message = format!("the spatial dims of the input must be known, found {}", x.shape());
                        Error::invalid_argument(message)
                    })?;
                    let more = self.output_padding.map(|PerAxis(more)| more[i]);
                    *all = places([windows, size[i], strides[i], dilations[i]], self.padding, more)?;
                }
                let sliding = sliding(&strides, &dilations, &size, self.padding, self.data_format)?;
                let mut y = x.convolution_transposed(&self.kernel, all, &sliding)?;
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

transposed! {
    /// The convolution of sequences the other way round, which makes them longer: each step gives the kernel, times its
    /// channels, to the places of a window.
    ///
    /// # Shapes
    ///
    /// `[batch, windows, channels]` becomes `[batch, steps, filters]`; with [`DataFormat::ChannelsFirst`] the channels come
    /// second in both.
    ///
    /// # Variables
    ///
    /// `kernel` of `[kernel_size, filters, channels]` and, unless `use_bias` is false, `bias` of `[filters]`.
    Conv1DTranspose 1 [0];
    /// The convolution of images the other way round, which makes them larger: each place gives the kernel, times its
    /// channels, to the places of a window.
    ///
    /// # Shapes
    ///
    /// `[batch, windows, windows, channels]` becomes `[batch, rows, columns, filters]`; with
    /// [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// # Variables
    ///
    /// `kernel` of `[kernel_size.., filters, channels]` and, unless `use_bias` is false, `bias` of `[filters]`.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::{Conv2DTranspose, Padding};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = Conv2DTranspose::new(4, 3).strides(2).padding(Padding::Same);
    /// let y = layer.call(&Tensor::zeros([1, 7, 7, 2], DType::F32)?)?;
    /// assert_eq!(*y.shape(), [1, 14, 14, 4]);
    /// # Ok(())
    /// # }
    /// ```
    Conv2DTranspose 2 [0 1];
    /// The convolution of volumes the other way round, which makes them larger: each place gives the kernel, times its
    /// channels, to the places of a window.
    ///
    /// # Shapes
    ///
    /// `[batch, windows.., channels]` becomes `[batch, places.., filters]`, along three axes; with
    /// [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// # Variables
    ///
    /// `kernel` of `[kernel_size.., filters, channels]` and, unless `use_bias` is false, `bias` of `[filters]`.
    Conv3DTranspose 3 [0 1 2];
}
