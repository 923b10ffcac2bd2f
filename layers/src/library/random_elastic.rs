use super::augmentation::{batch, clipped, for_each_image, random_layers, sizes};
use super::random_affine::places_by;
use super::settings::defaults;
use super::{FactorWithin, FillMode};
use crate::resize::Interpolation;
use modulor::ops::images::{blurred, displaced, gaussian_weights};
use modulor::{DType, Tensor};

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
        let [rows, columns, _] = sizes(x)?;
        let chosen = for_each_image(&draws.chosen(x, factor)?)?;
        let how_far = draws.one(scale[0], scale[1], x.dtype())?;
        let alpha = how_far.mul(0.1)?.mul(rows.max(columns) as f64)?;
        let sigma = how_far.mul(0.05)?.mul(rows.min(columns) as f64)?;
        let moved = draws.normal(&batch(x, [rows, columns])?, x.dtype())?.mul(&sigma)?.expand_dims(-1)?;
        // The weights that there may be at most; those beyond three standard deviations, as whole numbers, count as 0.
        let reach = (3.0 * (0.05 * scale[1] * rows.min(columns) as f64).ceil()) as i64;
        let distances = Tensor::range(-reach, reach + 1, 1)?;
        let counted = distances.abs()?.less_equal(sigma.cast(DType::I64)?.mul(3.0)?)?.cast(x.dtype())?;
        let weights = gaussian_weights(&distances.cast(x.dtype())?, &sigma.maximum(1e-6)?)?.mul(counted)?;
        let weights = weights.div(weights.sum(..)?)?;
        let moved = blurred(&moved, &weights, &weights)?.squeeze([-1])?.mul(&alpha)?;
        let how = places_by(layer.interpolation)?;
        let sampled = displaced(x, [&moved, &moved], how, layer.fill_mode, layer.fill_value)?;
        clipped(&chosen.select(&sampled, x)?, layer.value_range)
    };
}

defaults! { RandomElasticTransform }
