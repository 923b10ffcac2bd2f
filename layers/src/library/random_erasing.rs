use super::augmentation::{Draws, batch, clipped, for_each_image, random_layers, sizes};
use super::settings::defaults;
use super::{DataFormat, FactorWithin, Numbers};
use crate::OrNone;
use crate::resize::rows_and_columns;
use modulor::{Error, Result, Tensor};

random_layers! {
    /// In training, puts noise or a color in a rectangle somewhere in some images.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::RandomErasing;
    /// # fn main() -> modulor::Result<()> {
    /// let layer = RandomErasing::new().factor([1.0, 1.0]).scale([1.0, 1.0]).fill_value(7.0);
    /// let y = scope::with_training(true, || layer.call(&Tensor::from([[[1.0_f32], [2.0]]])))?;
    /// assert_eq!(y.to_vec::<f32>()?, [7.0, 7.0]);
    /// # Ok(())
    /// # }
    /// ```
    RandomErasing {
        /// With which probability, from 0 to 1, drawn for each image: one number is the most; 1 unless set.
        #[config(default = 1.0.into(), into)]
        factor: FactorWithin<0, 1>,
        /// The squares of the parts of rows and columns that the rectangle has, from 0 to 1; from 0.02 to 0.33 unless set.
        #[config(default = [0.02, 0.33].into(), into)]
        scale: FactorWithin<0, 1>,
        /// What is put there: a number, or one for each of three channels; noise, normal and as wide as the greatest value,
        /// unless set.
        #[config(default, into)]
        fill_value: OrNone<Numbers>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| {
        let [least, most] = layer.scale.range("scale")?;
        let [rows, columns, channels] = sizes(x)?;
        let parts = draws.several(&batch(x, [2])?, least, most, x.dtype())?.sqrt()?;
        let [inside, _] = rectangles(x, draws, [&parts.slice((.., 0))?, &parts.slice((.., 1))?])?;
        let chosen = for_each_image(&draws.chosen(x, layer.factor.range("factor")?)?)?;
        let filling = match &layer.fill_value.0 {
            None => {
                // It is drawn as the images were given.
                let noise = match layer.data_format {
                    DataFormat::ChannelsLast => draws.normal(&batch(x, [rows, columns, channels])?, x.dtype())?,
                    DataFormat::ChannelsFirst => {
                        draws.normal(&batch(x, [channels, rows, columns])?, x.dtype())?.permute([0, 2, 3, 1])?
                    }
                };
                noise.mul(layer.value_range[1])?
            }
            Some(numbers) => color(numbers, channels)?.cast(x.dtype())?,
        };
        chosen.logical_and(&inside)?.select(&clipped(&filling, layer.value_range)?, x)
    };
}

/// The rectangles of images, drawn, of which those parts of the columns and of the rows are covered: where they are, bools of
/// `[batch, rows, columns, 1]`, and the part of each image, of `[batch]`.
pub(super) fn rectangles(x: &Tensor, draws: &mut Draws, parts: [&Tensor; 2]) -> Result<[Tensor; 2]> {
    let [rows, columns] = rows_and_columns(x)?;
    let mut along = |places: usize, part: &Tensor| {
        let covered = part.mul(places as f64)?.cast(x.dtype())?;
        let begin = draws.uniform(x, 0.0, 1.0, x.dtype())? * (places as f64 - &covered);
        let end = begin.add(&covered)?;
        let places = Tensor::new([places], (0..places).map(|at| at as f64).collect::<Vec<_>>())?.cast(x.dtype())?;
        let (begin, end) = (begin.expand_dims(-1)?, end.expand_dims(-1)?);
        let within = places.greater_equal(&begin)?.logical_and(&places.less(&end)?)?;
        Ok::<_, modulor::Error>((within, (end - begin).squeeze([-1])?))
    };
    let ((across, width), (down, height)) = (along(columns, parts[0])?, along(rows, parts[1])?);
    let inside = down.expand_dims(-1)?.logical_and(&across.expand_dims(1)?)?.expand_dims(-1)?;
    Ok([inside, (width * height).div((rows * columns) as f64)?])
}

/// The values of a color.
fn color(numbers: &Numbers, channels: usize) -> Result<Tensor> {
    match (numbers, &numbers.dims()[..]) {
        (Numbers::One(_), _) => numbers.tensor(modulor::DType::F64),
        (_, &[count]) if count == channels => numbers.tensor(modulor::DType::F64),
        _ => {
            let message =
                format!("`fill_value` must be a number, or one for each of {channels} channels, found {numbers:?}");
            Err(Error::invalid_argument(message))
        }
    }
}

defaults! { RandomErasing }
