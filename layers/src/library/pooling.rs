//! The greatest or the mean of windows, and of whole images.

use super::settings::{Settings, defaults, of_settings};
use super::window::{at_least_one, images, sliding};
use super::{DataFormat, Padding, PerAxis};
use modulor::module::Config;
use modulor::{DTypePolicy, Error, Layer, Module, Result, Sliding, Tensor};
use serde::{Deserialize, Serialize};

/// What windows are taken; without being said, of `DEFAULT` places along each axis, which is none where it is 0.
#[derive(Clone, Serialize, Deserialize)]
struct Pooling<const N: usize, const DEFAULT: usize> {
    pool_size: PerAxis<N>,
    /// How far apart windows are; as far as they are large where it is none.
    #[serde(default)]
    strides: Option<PerAxis<N>>,
    #[serde(default)]
    padding: Padding,
    #[serde(default)]
    data_format: DataFormat,
}

impl<const N: usize, const DEFAULT: usize> Pooling<N, DEFAULT> {
    fn of(pool_size: PerAxis<N>) -> Self {
        Pooling { pool_size, strides: None, padding: Padding::default(), data_format: DataFormat::default() }
    }

    /// The size of windows over `x`, and how they slide.
    fn windows(&self, x: &Tensor) -> Result<([usize; N], Sliding)> {
        let (PerAxis(size), PerAxis(strides)) = (self.pool_size, self.strides.unwrap_or(self.pool_size));
        at_least_one(&[("pool_size", &size), ("strides", &strides)])?;
        images(x, N)?;
        if self.padding == Padding::Causal {
            return Err(Error::invalid_argument("`padding` must be valid or same, found causal"));
        }
        Ok((size, sliding(&strides, &[], &size, self.padding, self.data_format)?))
    }
}

impl<const N: usize, const DEFAULT: usize> Settings for Pooling<N, DEFAULT> {
    fn complete(config: &mut Config) {
        if DEFAULT > 0 {
            config.entry("pool_size").or_insert(DEFAULT.into());
        }
    }

    fn finish(&self, config: &mut Config) {
        if self.strides.is_none() {
            config.insert("strides".to_owned(), config["pool_size"].clone());
        }
    }
}

/// The layers of pooling, by the method that computes them, the number of their axes and the size that windows have where
/// none is said, and how one is made.
macro_rules! pooling {
    ($(
        $(#[$doc:meta])*
        $class:ident $name:literal $method:ident $axes:literal $default:literal;
        $(#[$of:meta])*
        new($($pool_size:ident)?) = $size:expr;
    )*) => { $(
        $(#[$doc])*
        pub struct $class {
            dtype: DTypePolicy,
            settings: Pooling<$axes, $default>,
        }

        impl $class {
            $(#[$of])*
            pub fn new($($pool_size: impl Into<PerAxis<$axes>>)?) -> $class {
                $class { dtype: DTypePolicy::default(), settings: Pooling::of($size.into()) }
            }

            /// How large windows are.
            #[must_use]
            pub fn pool_size(mut self, pool_size: impl Into<PerAxis<$axes>>) -> $class {
                self.settings.pool_size = pool_size.into();
                self
            }

            /// How far apart two windows are; as far as they are large unless set.
            #[must_use]
            pub fn strides(mut self, strides: impl Into<PerAxis<$axes>>) -> $class {
                self.settings.strides = Some(strides.into());
                self
            }

            /// What surrounds an image; nothing unless set. It is no part of what is pooled.
            #[must_use]
            pub fn padding(mut self, padding: Padding) -> $class {
                self.settings.padding = padding;
                self
            }

            /// Where the channels are; last unless set.
            #[must_use]
            pub fn data_format(mut self, data_format: DataFormat) -> $class {
                self.settings.data_format = data_format;
                self
            }
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                let (size, sliding) = self.settings.windows(x)?;
                x.$method(size, &sliding)
            }
        }

        of_settings!($class $name ["pool_size" "strides" "padding" "data_format"]);
    )* };
}

pooling! {
    /// The greatest of every window of steps: `[batch, steps, channels]` becomes `[batch, windows, channels]`.
    MaxPooling1D "max_pooling1d" max_pool 1 2;
    /// Of windows of 2 steps, beside each other.
    new() = 2;
    /// The greatest of every window of an image: `[batch, rows, columns, channels]` becomes
    /// `[batch, windows, windows, channels]`; with [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::{MaxPooling2D, Padding};
    /// # fn main() -> modulor::Result<()> {
    /// let x = Tensor::zeros([2, 7, 7, 3], DType::F32)?;
    /// assert_eq!(*MaxPooling2D::new().call(&x)?.shape(), [2, 3, 3, 3]);
    /// let layer = MaxPooling2D::new().pool_size([3, 2]).strides(1).padding(Padding::Same);
    /// assert_eq!(*layer.call(&x)?.shape(), [2, 7, 7, 3]);
    /// # Ok(())
    /// # }
    /// ```
    MaxPooling2D "max_pooling2d" max_pool 2 2;
    /// Of windows of 2 by 2 places, beside each other.
    new() = 2;
    /// The greatest of every window of a volume: `[batch, places.., channels]` becomes `[batch, windows.., channels]`, along
    /// three axes.
    MaxPooling3D "max_pooling3d" max_pool 3 2;
    /// Of windows of 2 by 2 by 2 places, beside each other.
    new() = 2;
    /// The mean of every window of steps: `[batch, steps, channels]` becomes `[batch, windows, channels]`.
    AveragePooling1D "average_pooling1d" average_pool 1 0;
    /// Of windows of this size, beside each other.
    new(pool_size) = pool_size;
    /// The mean of every window of an image: `[batch, rows, columns, channels]` becomes
    /// `[batch, windows, windows, channels]`; with [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::AveragePooling2D;
    /// # fn main() -> modulor::Result<()> {
    /// let x = Tensor::from([[[[1.0_f32], [2.0]], [[3.0], [6.0]]]]);
    /// assert_eq!(AveragePooling2D::new(2).call(&x)?.to_vec::<f32>()?, [3.0]);
    /// # Ok(())
    /// # }
    /// ```
    AveragePooling2D "average_pooling2d" average_pool 2 0;
    /// Of windows of this size, beside each other.
    new(pool_size) = pool_size;
    /// The mean of every window of a volume: `[batch, places.., channels]` becomes `[batch, windows.., channels]`, along
    /// three axes.
    AveragePooling3D "average_pooling3d" average_pool 3 0;
    /// Of windows of this size, beside each other.
    new(pool_size) = pool_size;
}

/// The spatial axes.
fn spatial(format: DataFormat, axes: usize) -> Vec<i64> {
    let first = format.first_place() as i64;
    (first..first + axes as i64).collect()
}

fn greatest(x: &Tensor, axes: Vec<i64>, keepdims: bool, _: DataFormat) -> Result<Tensor> {
    if keepdims { x.max_keepdims(axes) } else { x.max(axes) }
}

/// The mean, of a sequence with a mask that of the steps which count.
fn mean(x: &Tensor, axes: Vec<i64>, keepdims: bool, format: DataFormat) -> Result<Tensor> {
    let sum = |x: &Tensor| if keepdims { x.sum_keepdims(&*axes) } else { x.sum(&*axes) };
    if let (Some(mask), [_]) = (x.mask(), &*axes) {
        let mask = mask.expand_dims(if format == DataFormat::ChannelsLast { 2 } else { 1 })?;
        let counted = mask.select(x, &x.zeros_like()?)?;
        return sum(&counted)?.div(&sum(&mask.cast(x.dtype())?)?);
    }
    if keepdims { x.mean_keepdims(axes) } else { x.mean(axes) }
}

/// The layers of pooling whole images, by the function that computes them and the number of their axes.
macro_rules! global {
    ($($(#[$doc:meta])* $class:ident $function:ident $axes:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Module)]
        #[module(package = "keras.layers")]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
            #[config(default, into)]
            dtype: DTypePolicy,
            /// Where the channels are; last unless set.
            #[config(default)]
            data_format: DataFormat,
            /// Whether the spatial axes stay, with one place each; they go unless this says yes.
            #[config(default)]
            keepdims: bool,
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                images(x, $axes)?;
                $function(x, spatial(self.data_format, $axes), self.keepdims, self.data_format)
            }
        }
    )* };
}

global! {
    /// The greatest of all steps: `[batch, steps, channels]` becomes `[batch, channels]`.
    GlobalMaxPooling1D greatest 1;
    /// The greatest of all places: `[batch, rows, columns, channels]` becomes `[batch, channels]`.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::GlobalMaxPooling2D;
    /// # fn main() -> modulor::Result<()> {
    /// let x = Tensor::zeros([2, 7, 7, 3], DType::F32)?;
    /// assert_eq!(*GlobalMaxPooling2D::new().call(&x)?.shape(), [2, 3]);
    /// assert_eq!(*GlobalMaxPooling2D::new().keepdims(true).call(&x)?.shape(), [2, 1, 1, 3]);
    /// # Ok(())
    /// # }
    /// ```
    GlobalMaxPooling2D greatest 2;
    /// The greatest of all places: `[batch, places.., channels]` becomes `[batch, channels]`, along three axes.
    GlobalMaxPooling3D greatest 3;
    /// The mean of all steps, with a mask of those that count: `[batch, steps, channels]` becomes `[batch, channels]`.
    GlobalAveragePooling1D mean 1;
    /// The mean of all places: `[batch, rows, columns, channels]` becomes `[batch, channels]`.
    GlobalAveragePooling2D mean 2;
    /// The mean of all places: `[batch, places.., channels]` becomes `[batch, channels]`, along three axes.
    GlobalAveragePooling3D mean 3;
}

defaults! {
    MaxPooling1D MaxPooling2D MaxPooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D
}
