use super::DataFormat;
use super::augmentation::changed;
use crate::resize::{Interpolation, rows_and_columns, window_at, window_of_ratio};
use modulor::{DTypePolicy, Layer, Module, Result, Tensor};

/// The middle of images: `height` rows and `width` columns of each. Of images that have fewer of either, the largest window in
/// the middle with the ratio of that size is made larger, bilinearly.
///
/// Images are `[batch, rows, columns, channels]`, or one without the batch; integers become floats.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::CenterCrop;
/// # fn main() -> modulor::Result<()> {
/// let x = Tensor::from([[[1.0_f32], [2.0], [3.0], [4.0]]]);
/// assert_eq!(CenterCrop::new(1, 2).call(&x)?.to_vec::<f32>()?, [2.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct CenterCrop {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    #[config]
    height: usize,
    #[config]
    width: usize,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
}

impl Layer for CenterCrop {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let size = [self.height, self.width];
        super::window::at_least_one(&[("height", &size[..1]), ("width", &size[1..])])?;
        changed(x, &self.dtype, self.data_format, |x| {
            let [rows, columns] = rows_and_columns(x)?;
            match (rows.checked_sub(self.height), columns.checked_sub(self.width)) {
                (Some(rows), Some(columns)) => window_at(x, [rows / 2, columns / 2], size),
                _ => Interpolation::Bilinear.resized(&window_of_ratio(x, size)?, size, false)?.cast(x.dtype()),
            }
        })
    }
}
