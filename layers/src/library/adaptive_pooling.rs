//! The greatest or the mean of windows that are as many as is said, however large the image.

use super::window::{at_least_one, images};
use super::{DataFormat, PerAxis};
use modulor::{DTypePolicy, Error, Layer, Module, Result, Sliding, Tensor};

/// Pools along one spatial axis after the other, so that each has a given number of windows.
///
/// Window `i` of `n` over `m` places begins at `⌊i·m/n⌋` and ends before `⌈(i + 1)·m/n⌉`; so it has ⌈m/n⌉ places, or one more.
fn adapted<const N: usize>(
    x: &Tensor,
    PerAxis(counts): PerAxis<N>,
    format: DataFormat,
    pool: impl Fn(&Tensor, &[usize], &Sliding) -> Result<Tensor>,
) -> Result<Tensor> {
    at_least_one(&[("output_size", &counts)])?;
    images(x, N)?;
    let mut y = x.clone();
    for (i, count) in counts.into_iter().enumerate() {
        let axis = format.first_place() + i;
        let places = x.shape().dim(axis).ok_or_else(|| {
            let message = format!("the spatial dims of the input must be known, found shape {}", x.shape());
            Error::invalid_argument(message)
        })?;
        if places == 0 {
            let message = format!("there are no places to pool along axis {axis} of an input of shape {}", x.shape());
            return Err(Error::invalid_argument(message));
        }
        let windows = |places: usize, stride: usize| {
            let (mut size, mut strides) = ([1; N], [1; N]);
            (size[i], strides[i]) = (places, stride);
            let sliding = Sliding::new().strides(strides);
            pool(&y, &size, &if format == DataFormat::ChannelsFirst { sliding.channels_first() } else { sliding })
        };
        let small = places.div_ceil(count);
        y = if places % count == 0 {
            windows(small, small)?
        } else {
            // All windows of both sizes, and then those that are wanted.
            let [m, n] = [places, count].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
            let window = Tensor::range(0, n, 1)?;
            let [m, n, small_size] = [m, n, small as i64].map(Tensor::scalar);
            let start = window.mul(&m)?.floor_div(&n)?;
            let end = window.add(Tensor::scalar(1_i64))?.mul(&m)?.neg()?.floor_div(&n)?.neg()?;
            let is_large = end.sub(&start)?.greater(&small_size)?;
            let behind = start.add(Tensor::scalar((places - small + 1) as i64))?;
            let taken = is_large.select(&behind, &start)?;
            let of_small = windows(small, 1)?;
            let all = match small < places {
                true => Tensor::concat(&[of_small, windows(small + 1, 1)?], axis as i64)?,
                false => of_small,
            };
            all.gather(&taken, axis as i64)?
        };
    }
    Ok(y)
}

/// The layers of adaptive pooling, by the method that pools and the number of their axes.
macro_rules! adaptive {
    ($($(#[$doc:meta])* $class:ident $method:ident $axes:literal;)*) => { $(
        $(#[$doc])*
        ///
        /// Window `i` of `n` over `m` places begins at `⌊i·m/n⌋` and ends before `⌈(i + 1)·m/n⌉`. The number of places must be
        /// known, also in a graph.
        #[derive(Module)]
        #[module(package = "keras.layers")]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
            #[config(default, into)]
            dtype: DTypePolicy,
            #[config(into)]
            output_size: PerAxis<$axes>,
            /// Where the channels are; last unless set.
            #[config(default)]
            data_format: DataFormat,
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                adapted(x, self.output_size, self.data_format, |x, size, sliding| x.$method(size, sliding))
            }
        }
    )* };
}

adaptive! {
    /// The mean of each of `output_size` windows of steps: `[batch, steps, channels]` becomes `[batch, windows, channels]`.
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::AdaptiveAveragePooling1D;
    /// # fn main() -> modulor::Result<()> {
    /// let x = Tensor::from([[[1.0_f32], [2.0], [3.0], [7.0], [9.0]]]);
    /// assert_eq!(AdaptiveAveragePooling1D::new(3).call(&x)?.to_vec::<f32>()?, [1.5, 4.0, 8.0]);
    /// # Ok(())
    /// # }
    /// ```
    AdaptiveAveragePooling1D average_pool 1;
    /// The mean of each of `output_size` windows of an image, one number for both axes or one for each:
    /// `[batch, rows, columns, channels]` becomes `[batch, windows, windows, channels]`; with [`DataFormat::ChannelsFirst`] the
    /// channels come second in both.
    AdaptiveAveragePooling2D average_pool 2;
    /// The mean of each of `output_size` windows of a volume: `[batch, places.., channels]` becomes
    /// `[batch, windows.., channels]`, along three axes.
    AdaptiveAveragePooling3D average_pool 3;
    /// The greatest of each of `output_size` windows of steps: `[batch, steps, channels]` becomes `[batch, windows, channels]`.
    AdaptiveMaxPooling1D max_pool 1;
    /// The greatest of each of `output_size` windows of an image, one number for both axes or one for each:
    /// `[batch, rows, columns, channels]` becomes `[batch, windows, windows, channels]`; with [`DataFormat::ChannelsFirst`] the
    /// channels come second in both.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::AdaptiveMaxPooling2D;
    /// # fn main() -> modulor::Result<()> {
    /// let x = Tensor::zeros([2, 7, 9, 3], DType::F32)?;
    /// assert_eq!(*AdaptiveMaxPooling2D::new([4, 3]).call(&x)?.shape(), [2, 4, 3, 3]);
    /// # Ok(())
    /// # }
    /// ```
    AdaptiveMaxPooling2D max_pool 2;
    /// The greatest of each of `output_size` windows of a volume: `[batch, places.., channels]` becomes
    /// `[batch, windows.., channels]`, along three axes.
    AdaptiveMaxPooling3D max_pool 3;
}
