use super::augmentation::given;
use super::{DataFormat, FillMode};
use crate::resize::{Interpolation, padded_to_ratio, window_of_ratio};
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor};

/// Images of another size: `[batch, rows, columns, channels]`, or one without the batch, become ones of `height` rows and `width`
/// columns. Integers stay what they are, rounded; floats are those that the layer computes in.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::{Interpolation, Resizing};
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::from([[[0_u8], [100]]]);
/// assert_eq!(Resizing::new(1, 4).call(&x)?.to_vec::<u8>()?, [0, 25, 75, 100]);
/// let pad = Resizing::new(2, 2).pad_to_aspect_ratio(true).interpolation(Interpolation::Nearest);
/// assert_eq!(*pad.call(&x)?.shape(), [2, 2, 1]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Resizing {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    height: usize,
    #[config]
    width: usize,
    /// How places are made; bilinearly unless set.
    #[config(default = Interpolation::Bilinear)]
    interpolation: Interpolation,
    /// Whether what is resized is the largest window in the middle with the ratio of the new size, so that nothing is
    /// distorted; the whole image is unless set.
    #[config(default)]
    crop_to_aspect_ratio: bool,
    /// Whether the image is padded to the ratio of the new size, so that nothing is distorted; it is not unless set.
    #[config(default)]
    pad_to_aspect_ratio: bool,
    /// What the padding is: [`FillMode::Constant`], as in Keras.
    #[config(default, with = super::fill_mode)]
    fill_mode: FillMode,
    /// The number that is padded with; 0 unless set.
    #[config(default)]
    fill_value: f64,
    /// Whether images that become smaller are smoothed; they are not unless set.
    #[config(default)]
    antialias: bool,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
}

impl Layer for Resizing {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = if x.dtype().is_float() { given(x, &self.dtype)? } else { x.clone() };
        let (is_one, is_first) = (x.rank() == Some(3), self.data_format == DataFormat::ChannelsFirst);
        let images = if is_one { x.expand_dims(0)? } else { x.clone() };
        let images = if is_first { images.permute([0, 2, 3, 1])? } else { images };
        super::window::images(&images, 2)?;
        let y = saturated(&self.resized(&images)?, x.dtype())?;
        let y = if is_first { y.permute([0, 3, 1, 2])? } else { y };
        if is_one { y.squeeze([0]) } else { Ok(y) }
    }
}

impl Resizing {
    fn resized(&self, x: &Tensor) -> Result<Tensor> {
        let size = [self.height, self.width];
        super::window::at_least_one(&[("height", &size[..1]), ("width", &size[1..])])?;
        if self.fill_mode != FillMode::Constant {
            let message = format!("`fill_mode` must be constant, found {:?}", self.fill_mode);
            return Err(Error::invalid_argument(message));
        }
        let x = match (self.crop_to_aspect_ratio, self.pad_to_aspect_ratio) {
            (true, true) => {
                let message = "`crop_to_aspect_ratio` and `pad_to_aspect_ratio` exclude each other, found both";
                return Err(Error::invalid_argument(message));
            }
            (true, false) => window_of_ratio(x, size)?,
            (false, true) => padded_to_ratio(x, size, self.fill_value)?,
            (false, false) => x.clone(),
        };
        self.interpolation.resized(&x, size, self.antialias)
    }
}

/// Numbers in a dtype: rounded to integers, the nearest that there are.
fn saturated(y: &Tensor, dtype: DType) -> Result<Tensor> {
    if y.dtype() == dtype || dtype.is_float() {
        return y.cast(dtype);
    }
    let (least, most) = match dtype {
        DType::U8 => (0.0, f64::from(u8::MAX)),
        DType::I8 => (i8::MIN.into(), i8::MAX.into()),
        DType::U16 => (0.0, u16::MAX.into()),
        DType::I16 => (i16::MIN.into(), i16::MAX.into()),
        // The greatest of float32 that there are as integers.
        DType::I32 => (i32::MIN.into(), f64::from(2_147_483_648_f32.next_down())),
        DType::U32 => (0.0, f64::from(4_294_967_296_f32.next_down())),
        DType::I64 => (i64::MIN as f64, f64::from(9_223_372_036_854_775_808_f32.next_down())),
        _ => (0.0, f64::from(18_446_744_073_709_551_616_f32.next_down())),
    };
    y.round()?.clip_by_value(least, most)?.cast(dtype)
}
