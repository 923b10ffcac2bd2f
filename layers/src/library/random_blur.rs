use super::augmentation::{clipped, for_each_image, random_layers};
use super::settings::defaults;
use super::{FactorWithin, PerAxis};
use modulor::ops::images::{blurred, gaussian_weights};
use modulor::{Error, Tensor};

random_layers! {
    /// In training, blurs some images: each value becomes a mean of those around it, with weights that fall as a normal
    /// distribution does, the same for all images of a batch.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::RandomGaussianBlur;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (RandomGaussianBlur::new().factor([1.0, 1.0]), Tensor::from([[[0.0_f32]; 3], [[90.0]; 3], [[0.0]; 3]]));
    /// let y = scope::with_training(true, || layer.call(&x))?.to_vec::<f32>()?;
    /// assert!(y[1] > 0.0 && y[4] < 90.0);
    /// # Ok(())
    /// # }
    /// ```
    RandomGaussianBlur {
        /// With which probability, from 0 to 1, drawn for each image: one number is the most; 1 unless set.
        #[config(default = 1.0.into(), into)]
        factor: FactorWithin<0, 1>,
        /// How many rows and columns are looked at, odd numbers; 3 and 3 unless set.
        #[config(default = PerAxis([3, 3]), into)]
        kernel_size: PerAxis<2>,
        /// The standard deviation of the weights, from 0 to 1: one number is the most; 1 unless set.
        #[config(default = 1.0.into(), into)]
        sigma: FactorWithin<0, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| {
        let PerAxis(size) = layer.kernel_size;
        if size.iter().any(|size| size % 2 == 0) {
            return Err(Error::invalid_argument(format!("`kernel_size` must be odd numbers, found {size:?}")));
        }
        let chosen = for_each_image(&draws.chosen(x, layer.factor.range("factor")?)?)?;
        let [least, most] = layer.sigma.range("sigma")?;
        let sigma = draws.several(&Tensor::from([2]), least, most, x.dtype())?.add(1e-6)?;
        let along = |axis: usize| {
            let middle = (size[axis] - 1) as f64 / 2.0;
            let distances = Tensor::range(0, size[axis] as i64, 1)?.cast(x.dtype())?.sub(middle)?;
            gaussian_weights(&distances, &sigma.slice(axis as i64)?)
        };
        let blurred = blurred(x, &along(0)?, &along(1)?)?;
        clipped(&chosen.select(&blurred, x)?, layer.value_range)
    };
}

defaults! { RandomGaussianBlur }
