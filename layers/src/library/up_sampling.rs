//! Images made larger.

use super::reshape::under;
use super::settings::defaults;
use super::window::{at_least_one, images};
use super::{DataFormat, PerAxis};
use crate::resize::Interpolation;
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor};

/// Every place so many times, along each spatial axis.
fn repeated(x: &Tensor, size: &[usize], format: DataFormat) -> Result<Tensor> {
    at_least_one(&[("size", size)])?;
    images(x, size.len())?;
    let needs_rank = || Error::invalid_argument("the rank of the input must be known");
    let (mut dims, first) = (x.shape().dims().ok_or_else(needs_rank)?, format.first_place());
    let (mut y, mut multiples, mut factors) = (x.clone(), vec![1; dims.len() + size.len()], vec![1; dims.len()]);
    for (i, &times) in size.iter().enumerate() {
        let times = i64::try_from(times).unwrap_or(i64::MAX);
        // What a place is repeated along is an axis behind it, until all are there.
        y = y.expand_dims((first + 2 * i + 1) as i64)?;
        (multiples[first + 2 * i + 1], factors[first + i]) = (times, times);
        dims[first + i] = dims[first + i].map(|dim| dim.saturating_mul(size[i]));
    }
    let y = y.tile(multiples)?;
    under(&y, &dims, || x.shape_tensor()?.cast(DType::I64)?.mul(Tensor::new([factors.len()], factors.clone())?))
}

/// Every step of a sequence `size` times: `[batch, steps, channels]` becomes `[batch, size · steps, channels]`.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::UpSampling1D;
/// # fn main() -> modulor::Result<()> {
/// let y = UpSampling1D::new().call(&Tensor::from([[[1.0_f32], [5.0]]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 1.0, 5.0, 5.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct UpSampling1D {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// How many times; 2 unless set.
    #[config(default = 2)]
    size: usize,
}

impl Layer for UpSampling1D {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        repeated(x, &[self.size], DataFormat::ChannelsLast)
    }
}

/// An image with `size` times as many rows and columns: `[batch, rows, columns, channels]` becomes
/// `[batch, size · rows, size · columns, channels]`; with [`DataFormat::ChannelsFirst`] the channels come second in both.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::UpSampling2D;
/// # fn main() -> modulor::Result<()> {
/// let y = UpSampling2D::new().size([1, 2]).call(&Tensor::from([[[[1.0_f32], [5.0]], [[2.0], [3.0]]]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 1.0, 5.0, 5.0, 2.0, 2.0, 3.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct UpSampling2D {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// How many times along each axis; 2 unless set.
    #[config(default = 2.into(), into)]
    size: PerAxis<2>,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
    /// How what is new is made; as at the nearest place unless set.
    #[config(default)]
    interpolation: Interpolation,
}

impl Layer for UpSampling2D {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.interpolation == Interpolation::Nearest {
            return repeated(x, &self.size.0, self.data_format);
        }
        at_least_one(&[("size", &self.size.0)])?;
        images(x, 2)?;
        let is_first = self.data_format == DataFormat::ChannelsFirst;
        let last = if is_first { x.permute([0, 2, 3, 1])? } else { x.clone() };
        let size = [0, 1].map(|axis| last.shape().dim(axis + 1)?.checked_mul(self.size.0[axis]));
        let [Some(rows), Some(columns)] = size else {
            let message = format!("the rows and columns of the input must be known, found shape {}", x.shape());
            return Err(Error::invalid_argument(message));
        };
        let y = self.interpolation.resized(&last, [rows, columns], false)?.cast(x.dtype())?;
        if is_first { y.permute([0, 3, 1, 2]) } else { Ok(y) }
    }
}

/// A volume with `size` times as many places along each axis: `[batch, places.., channels]` becomes
/// `[batch, size · places.., channels]`, along three axes; with [`DataFormat::ChannelsFirst`] the channels come second in both.
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct UpSampling3D {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// How many times along each axis; 2 unless set.
    #[config(default = 2.into(), into)]
    size: PerAxis<3>,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
}

impl Layer for UpSampling3D {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        repeated(x, &self.size.0, self.data_format)
    }
}

defaults! { UpSampling1D UpSampling2D UpSampling3D }
