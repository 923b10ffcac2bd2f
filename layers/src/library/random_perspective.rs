use super::augmentation::{batch, for_each_image, random_layers, sizes};
use super::random_affine::places_by;
use super::settings::defaults;
use super::{FactorWithin, FillMode};
use crate::resize::Interpolation;
use modulor::ops::images::maps_between;
use modulor::{DType, Error, Tensor};

random_layers! {
    /// In training, shows some images as if from another side: each corner is moved by a part of its place, and the rest of the
    /// image follows. The corner whose place is 0 stays.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::RandomPerspective;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (RandomPerspective::new().factor([1.0, 1.0]).seed(1), Tensor::from([[[1.0_f32], [2.0]], [[3.0], [4.0]]]));
    /// let y = scope::with_training(true, || layer.call(&x))?;
    /// assert_eq!((y.dims()?, y.to_vec::<f32>()?[0]), (&[2, 2, 1][..], 1.0));
    /// # Ok(())
    /// # }
    /// ```
    RandomPerspective {
        /// With which probability, from 0 to 1, drawn for each image: one number is the most; 1 unless set.
        #[config(default = 1.0.into(), into)]
        factor: FactorWithin<0, 1>,
        /// How far, from 0 to 1: a corner is moved by up to half of this part of its place; 1 unless set.
        #[config(default = 1.0)]
        scale: f64,
        /// How places are made, as at the nearest or bilinearly; bilinearly unless set.
        #[config(default = Interpolation::Bilinear)]
        interpolation: Interpolation,
        /// What lies beyond the edges; 0 unless set.
        #[config(default)]
        fill_value: f64,
    }
    |layer, x, draws| {
        if !(0.0..=1.0).contains(&layer.scale) {
            return Err(Error::invalid_argument(format!("`scale` must be from 0 to 1, found {}", layer.scale)));
        }
        let chosen = for_each_image(&draws.chosen(x, layer.factor.range("factor")?)?)?;
        let moved = draws.several(&batch(x, [4, 2])?, -0.5 * layer.scale, 0.5 * layer.scale, x.dtype())?;
        let [rows, columns, _] = sizes(x)?;
        let [right, bottom] = [columns, rows].map(|places| places.saturating_sub(1) as f64);
        let corners = Tensor::from([[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]]).cast(x.dtype())?;
        let maps = maps_between(&(&corners + &corners * moved).cast(DType::F32)?, &corners.cast(DType::F32)?)?;
        let how = places_by(layer.interpolation)?;
        let y = x.projective_transform_in_place(&maps, how, FillMode::Constant, layer.fill_value)?;
        chosen.select(&y, x)
    };
}

defaults! { RandomPerspective }
