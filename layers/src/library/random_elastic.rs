use super::augmentation::{batch, clipped, for_each_image, random_layers, sizes};
use super::random_blur::{bell, blurred};
use super::settings::defaults;
use super::{FactorWithin, FillMode};
use crate::resize::Interpolation;
use modulor::{DType, Error, Result, Tensor};

random_layers! {
    /// In training, distorts some images, as if they were drawn on rubber: each place shows what is near it, and places near
    /// each other what is near each other. As Keras's, it moves places as far down as to the right.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::RandomElasticTransform;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (RandomElasticTransform::new().seed(1), Tensor::from([[[5.0_f32]; 30]; 30]));
    /// let y = scope::with_training(true, || layer.call(&x))?.to_vec::<f32>()?;
    /// assert!(y.iter().all(|y| (y - 5.0).abs() < 1e-5));
    /// # Ok(())
    /// # }
    /// ```
    RandomElasticTransform {
        /// With which probability, from 0 to 1, drawn for each image: one number is the most; 1 unless set.
        #[config(default = 1.0.into(), into)]
        factor: FactorWithin<0, 1>,
        /// How far, from 0 to 1, drawn for the batch: one number is the most; 1 unless set.
        #[config(default = 1.0.into(), into)]
        scale: FactorWithin<0, 1>,
        /// How places are made, as at the nearest or bilinearly; bilinearly unless set.
        #[config(default = Interpolation::Bilinear)]
        interpolation: Interpolation,
        /// What lies beyond the edges; the image backwards unless set, by Keras's rule for this layer: before the first place
        /// without the edge, behind the last one with it.
        #[config(default = FillMode::Reflect, with = super::fill_mode)]
        fill_mode: FillMode,
        /// What lies beyond the edges with [`FillMode::Constant`]; 0 unless set.
        #[config(default)]
        fill_value: f64,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| {
        let (factor, scale) = (layer.factor.range("factor")?, layer.scale.range("scale")?);
        if factor[1] == 0.0 || scale[1] == 0.0 {
            return Ok(x.clone());
        }
        let [rows, columns, channels] = sizes(x)?;
        let chosen = for_each_image(&draws.chosen(x, factor)?)?;
        let how_far = draws.one(scale[0], scale[1], x.dtype())?;
        let alpha = how_far.mul(0.1)?.mul(rows.max(columns) as f64)?;
        let sigma = how_far.mul(0.05)?.mul(rows.min(columns) as f64)?;
        let moved = draws.normal(&batch(x, [rows, columns])?, x.dtype())?.mul(&sigma)?.expand_dims(-1)?;
        // The weights that there may be at most; those beyond three standard deviations, as whole numbers, count as 0.
        let reach = (3.0 * (0.05 * scale[1] * rows.min(columns) as f64).ceil()) as i64;
        let distances = Tensor::range(-reach, reach + 1, 1)?;
        let counted = distances.abs()?.less_equal(sigma.cast(DType::I64)?.mul(3.0)?)?.cast(x.dtype())?;
        let weights = bell(&distances.cast(x.dtype())?, &sigma.maximum(1e-6)?)?.mul(counted)?;
        let weights = weights.div(weights.sum(..)?)?;
        let moved = blurred(&moved, &weights, &weights, 1)?.squeeze([-1])?.mul(&alpha)?;
        let place = |count: usize, dims: [i64; 3]| Tensor::range(0, count as i64, 1)?.cast(x.dtype())?.reshape(dims)?.add(&moved);
        let sampled = layer.sampled(x, &place(rows, [1, -1, 1])?, &place(columns, [1, 1, -1])?, [rows, columns, channels])?;
        clipped(&chosen.select(&sampled, x)?, layer.value_range)
    };
}

impl RandomElasticTransform {
    /// What lies at these places of each image, `[batch, rows, columns]`.
    fn sampled(
        &self,
        x: &Tensor,
        down: &Tensor,
        right: &Tensor,
        [rows, columns, channels]: [usize; 3],
    ) -> Result<Tensor> {
        let images = down.slice((.., 0, 0))?.ones_like()?.cast(DType::I64)?.cumsum(0)?.sub(1.0)?.reshape([-1, 1, 1])?;
        let first = images.mul((rows * columns) as f64)?;
        let flat = x.reshape([-1, channels as i64])?;
        let mut sum: Option<Tensor> = None;
        for (row, row_weight) in self.neighbours(down)? {
            for (column, column_weight) in self.neighbours(right)? {
                let ((row, is_row), (column, is_column)) = (self.within(&row, rows)?, self.within(&column, columns)?);
                let at = row.mul(columns as f64)?.add(column)?.add(&first)?;
                let mut value = flat.gather(&at, 0)?;
                if let (Some(is_row), Some(is_column)) = (is_row, is_column) {
                    let fill = Tensor::scalar(self.fill_value).cast(x.dtype())?;
                    value = is_row.logical_and(&is_column)?.expand_dims(-1)?.select(&value, &fill)?;
                }
                let part = row_weight.mul(&column_weight)?.expand_dims(-1)?.mul(value)?;
                sum = Some(sum.map_or(Ok(part.clone()), |sum| sum.add(&part))?);
            }
        }
        sum.ok_or_else(|| Error::internal("a place has a neighbour"))
    }

    /// The places around some between places, int64, and how much each counts.
    fn neighbours(&self, places: &Tensor) -> Result<Vec<(Tensor, Tensor)>> {
        match self.interpolation {
            Interpolation::Nearest => Ok(vec![(places.round()?.cast(DType::I64)?, places.ones_like()?)]),
            Interpolation::Bilinear => {
                let before = places.floor()?;
                let part = places.sub(&before)?;
                let before = before.cast(DType::I64)?;
                Ok(vec![(before.clone(), part.neg()?.add(1.0)?), (before.add(1.0)?, part)])
            }
            other => {
                Err(Error::invalid_argument(format!("`interpolation` must be nearest or bilinear, found {other:?}")))
            }
        }
    }

    /// The place whose value stands at a place, and, where that is so only within the image, whether it is within.
    fn within(&self, place: &Tensor, count: usize) -> Result<(Tensor, Option<Tensor>)> {
        let (last, count) = (count as f64 - 1.0, count as f64);
        let nearest = |place: &Tensor| place.maximum(0.0)?.minimum(last);
        Ok(match self.fill_mode {
            FillMode::Constant => {
                let is_within = place.greater_equal(0.0)?.logical_and(&place.less_equal(last)?)?;
                (nearest(place)?, Some(is_within))
            }
            FillMode::Nearest => (nearest(place)?, None),
            FillMode::Wrap => (place.floor_mod(count)?, None),
            FillMode::Reflect => {
                let turned = place.abs()?.floor_mod(2.0 * count)?;
                (turned.less(count)?.select(&turned, &turned.neg()?.add(2.0 * count - 1.0)?)?, None)
            }
        })
    }
}

defaults! { RandomElasticTransform }
