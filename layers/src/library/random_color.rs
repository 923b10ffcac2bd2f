//! Colors and tones of images changed at random.

use super::augmentation::{Draws, augmentations, clipped, for_each_image, random_layers};
use super::{DataFormat, Factor, FactorWithin, SeedGenerator};
use crate::OrNone;
use modulor::{DType, DTypePolicy, Ellipsis, Error, Module, Result, Sliding, Tensor};

random_layers! {
    /// In training, adds to each image a part of the range of values, and keeps it in that.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::RandomBrightness;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (RandomBrightness::new([0.5, 0.5]).value_range([0.0, 1.0]), Tensor::from([[[0.25_f32], [0.75]]]));
    /// assert_eq!(layer.call(&x)?.to_vec::<f32>()?, [0.25, 0.75]);
    /// assert_eq!(scope::with_training(true, || layer.call(&x))?.to_vec::<f32>()?, [0.75, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    RandomBrightness {
        /// Of the range of values, the part that is added, from −1 to 1: one number is for both directions.
        #[config(into)]
        factor: FactorWithin<-1, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| brighter(x, draws, layer.factor, layer.value_range);

    /// In training, moves the values of each image away from their mean or towards it, channel by channel, by a number from
    /// `1 − least` to `1 + most` of the factor, and keeps them in the range of values.
    RandomContrast {
        /// How far from 1, from 0 to 1: one number for more contrast, two for less and for more.
        #[config(into)]
        factor: FactorWithin<0, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| of_other_contrast(x, draws, layer.factor, layer.value_range);

    /// In training, multiplies the saturation of each image by `f/(1 − f)`: 0.5 leaves the image as it is, 0 makes it gray. As
    /// Keras's, it keeps the product in the range of values, which is the same with another upper end where that is above 1.
    RandomSaturation {
        /// Where f is drawn from: from 0 to 1.
        #[config(into)]
        factor: FactorWithin<-1, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| of_other_saturation(x, draws, layer.factor, layer.value_range);

    /// In training, turns the hue of each image by up to half a circle in either direction.
    RandomHue {
        /// Of half a circle, the part that is turned by, from 0 to 1: one number is the most.
        #[config(into)]
        factor: FactorWithin<0, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| of_other_hue(x, draws, layer.factor, layer.value_range);

    /// In training, changes brightness, contrast, saturation and hue of each image, those that are set, in this order: as
    /// [`RandomBrightness`], [`RandomContrast`], [`RandomSaturation`] and [`RandomHue`].
    RandomColorJitter {
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
        /// The factor of [`RandomBrightness`]; brightness stays unless set.
        #[config(default, into)]
        brightness_factor: OrNone<Factor>,
        /// The factor of [`RandomContrast`]; contrast stays unless set.
        #[config(default, into)]
        contrast_factor: OrNone<Factor>,
        /// The factor of [`RandomSaturation`]; saturation stays unless set.
        #[config(default, into)]
        saturation_factor: OrNone<Factor>,
        /// The factor of [`RandomHue`]; hue stays unless set.
        #[config(default, into)]
        hue_factor: OrNone<Factor>,
    }
    |layer, x, draws| {
        let (mut y, range) = (x.clone(), layer.value_range);
        if let Some(factor) = layer.brightness_factor.0 {
            y = brighter(&y, draws, factor.into(), range)?;
        }
        if let Some(factor) = layer.contrast_factor.0 {
            y = of_other_contrast(&y, draws, factor.into(), range)?;
        }
        if let Some(factor) = layer.saturation_factor.0 {
            y = of_other_saturation(&y, draws, factor.into(), range)?;
        }
        if let Some(factor) = layer.hue_factor.0 {
            y = of_other_hue(&y, draws, factor.into(), range)?;
        }
        Ok(y)
    };

    /// In training, takes color away from each image: 0 leaves it as it is, 1 makes it gray.
    RandomColorDegeneration {
        /// How much, from 0 to 1.
        #[config(into)]
        factor: FactorWithin<-1, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| {
        let [least, most] = layer.factor.range("factor")?;
        let factor = for_each_image(&draws.uniform(x, least, most, DType::F32)?)?.cast(x.dtype())?;
        clipped(&(x + factor * (grayscale(x)? - x)).cast(x.dtype())?, layer.value_range)
    };

    /// In training, turns some images into their negatives: the greatest value less each value.
    RandomInvert {
        /// With which probability, from 0 to 1, drawn for each image: one number is the most; 1 unless set.
        #[config(default = 1.0.into(), into)]
        factor: FactorWithin<0, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| {
        let [least, most] = layer.factor.range("factor")?;
        let inverted = for_each_image(&draws.chosen(x, [least, most])?)?;
        inverted.select(&x.neg()?.add(layer.value_range[1])?, x)
    };

    /// In training, leaves of each image's values, as numbers of eight bits, the upper ones alone.
    RandomPosterization {
        /// How many bits stay, from 1 to 8: one number is the most, and of two the greater is not reached where they differ.
        #[config(into)]
        factor: FactorWithin<1, 8>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| {
        let ([least, most], range) = (layer.factor.range("factor")?, sorted(layer.value_range));
        let kept = match least == most {
            true => Tensor::scalar(least as i64).reshape([1])?,
            false => draws.integers(x, least as i64, most as i64)?,
        };
        let lost = for_each_image(&kept.neg()?.add(8.0)?.cast(DType::U8)?)?;
        let bytes = from_to(x, range, BYTES)?.cast(DType::U8)?;
        from_to(&bytes.right_shift(&lost)?.left_shift(&lost)?.cast(x.dtype())?, BYTES, range)
    };

    /// In training, sharpens or blurs each image: 0.5 leaves it as it is, 0 blurs it, 1 makes it as much sharper.
    RandomSharpness {
        /// How sharp, from 0 to 1: one number is the most.
        #[config(into)]
        factor: FactorWithin<0, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| {
        let [least, most] = layer.factor.range("factor")?;
        let factor = for_each_image(&(draws.uniform(x, least, most, DType::F32)? * 2.0).cast(x.dtype())?)?;
        let Some(channels) = x.shape().dim(3) else {
            return Err(Error::invalid_argument(format!("the channels must be known, found shape {}", x.shape())));
        };
        let mut blur = [1.0 / 13.0; 9];
        blur[4] = 5.0 / 13.0;
        let filter = blur.iter().flat_map(|&weight| std::iter::repeat_n(weight, channels)).collect::<Vec<f64>>();
        let filter = Tensor::new([3, 3, channels, 1], filter)?.cast(x.dtype())?;
        let blurred = x.depthwise_convolution(&filter, &Sliding::new().strides([1, 1]).same())?;
        clipped(&(x + (1.0 - factor) * (blurred - x)).cast(x.dtype())?, layer.value_range)
    };

    /// In training, adds a number to the values of each image, taken as from 0 to 255, and turns those that are then at least
    /// some threshold into their negatives.
    Solarization {
        /// Of 255, the part that is added, from 0 to 1: one number is the most; nothing unless set. As Keras's, the least of two
        /// is not a part but a value.
        #[config(default = 0.0.into(), into)]
        addition_factor: FactorWithin<0, 1>,
        /// Of 255, the part from which on values are inverted, likewise; 0 unless set.
        #[config(default = 0.0.into(), into)]
        threshold_factor: FactorWithin<0, 1>,
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
    }
    |layer, x, draws| {
        let (added, threshold) =
            (layer.addition_factor.range("addition_factor")?, layer.threshold_factor.range("threshold_factor")?);
        let mut drawn = |[least, most]: [f64; 2]| for_each_image(&draws.uniform(x, least, most * 255.0, x.dtype())?);
        let (added, threshold, range) = (drawn(added)?, drawn(threshold)?, sorted(layer.value_range));
        let y = clipped(&(from_to(x, range, BYTES)? + added).cast(x.dtype())?, BYTES)?;
        from_to(&y.less(&threshold)?.select(&y, &y.neg()?.add(255.0)?)?, BYTES, range)
    };
}

/// The values of an image of bytes.
pub(super) const BYTES: [f64; 2] = [0.0, 255.0];

pub(super) fn sorted([a, b]: [f64; 2]) -> [f64; 2] {
    [a.min(b), a.max(b)]
}

/// Values of one range as those of another.
pub(super) fn from_to(x: &Tensor, [least, most]: [f64; 2], to: [f64; 2]) -> Result<Tensor> {
    if [least, most] == to {
        return Ok(x.clone());
    }
    (x.sub(least)? / (most - least) * (to[1] - to[0])).add(to[0])
}

/// Colors as gray, in one channel; what has one channel as it is.
fn grayscale(x: &Tensor) -> Result<Tensor> {
    match x.shape().dim(3) {
        Some(1) => Ok(x.clone()),
        Some(3) => x.mul(Tensor::from([0.2989_f64, 0.587, 0.114]).cast(x.dtype())?)?.sum_keepdims(-1),
        _ => {
            let message = format!("the channels must be known, and 1 or 3, found shape {}", x.shape());
            Err(Error::invalid_argument(message))
        }
    }
}

fn brighter(x: &Tensor, draws: &mut Draws, factor: FactorWithin<-1, 1>, range: [f64; 2]) -> Result<Tensor> {
    let ([least, most], range) = (factor.range("factor")?, sorted(range));
    let added = draws.uniform(x, least, most, DType::F32)? * (range[1] - range[0]);
    clipped(&x.add(for_each_image(&added)?.cast(x.dtype())?)?, range)
}

fn of_other_contrast(x: &Tensor, draws: &mut Draws, factor: FactorWithin<0, 1>, range: [f64; 2]) -> Result<Tensor> {
    let [least, most] = factor.range("factor")?;
    let factor = for_each_image(&draws.uniform(x, 1.0 - least, 1.0 + most, x.dtype())?)?;
    let mean = x.mean_keepdims(1)?.mean_keepdims(2)?;
    clipped(&((x - &mean) * factor).add(&mean)?, range)
}

/// What `f` makes of one of hue, saturation and value, numbered so.
fn with_part(x: &Tensor, part: i64, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let mut parts = (0..3).map(|i| x.slice((Ellipsis, i))).collect::<Result<Vec<_>>>()?;
    parts[part as usize] = f(&parts[part as usize])?;
    Tensor::stack(&parts, -1)
}

fn of_other_saturation(x: &Tensor, draws: &mut Draws, factor: FactorWithin<-1, 1>, range: [f64; 2]) -> Result<Tensor> {
    let [least, most] = factor.range("factor")?;
    let factor = draws.uniform(x, least, most, DType::F32)?;
    let times = (&factor / (1.0 - &factor + 1e-7)).cast(x.dtype())?.reshape([-1, 1, 1])?;
    with_part(&x.rgb_to_hsv()?, 1, |saturation| clipped(&saturation.mul(&times)?, range))?.hsv_to_rgb()
}

fn of_other_hue(x: &Tensor, draws: &mut Draws, factor: FactorWithin<0, 1>, range: [f64; 2]) -> Result<Tensor> {
    let [least, most] = factor.range("factor")?;
    let side = draws.uniform(x, 0.0, 1.0, DType::F32)?;
    let ones = side.ones_like()?;
    let sign = side.greater(0.5)?.select(&-&ones, &ones)?;
    let turn = (sign * draws.uniform(x, least, most, DType::F32)? * 0.5).cast(x.dtype())?.reshape([-1, 1, 1])?;
    let turned = |hue: &Tensor| {
        let hue = hue + &turn;
        let hue = hue.greater(1.0)?.select(&(&hue - 1.0), &hue)?;
        hue.less(0.0)?.select(&(&hue + 1.0), &hue)
    };
    let y = with_part(&from_to(x, range, [0.0, 1.0])?.rgb_to_hsv()?, 0, turned)?.hsv_to_rgb()?;
    from_to(&clipped(&y, [0.0, 1.0])?, [0.0, 1.0], range)
}

/// In training, makes some images gray, in as many channels. An [`Augmentation`](super::Augmentation).
///
/// # Variables
///
/// `seed_generator/seed_generator_state`, from which the choice follows; see [`SeedGenerator`]. As in Keras, the seed is not in
/// the config.
///
/// ```
/// use modulor::{Call, Tensor, scope};
/// use modulor_layers::library::RandomGrayscale;
/// # fn main() -> modulor::Result<()> {
/// let (layer, x) = (RandomGrayscale::new().factor(1.0), Tensor::from([[[1.0_f32, 0.0, 0.0]]]));
/// let y = scope::with_training(true, || layer.call(&x))?;
/// assert_eq!(y.to_vec::<f32>()?, [0.2989; 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers", build = manual)]
pub struct RandomGrayscale {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// With which probability, from 0 to 1; 0.5 unless set.
    #[config(default = 0.5)]
    factor: f64,
    /// Where the channels are; last unless set.
    #[config(default)]
    data_format: DataFormat,
    #[skip]
    seed: Option<i64>,
    #[module(default)]
    seed_generator: SeedGenerator,
}

impl RandomGrayscale {
    /// The seed; without one, it follows from the layer's place in its model.
    #[must_use]
    pub fn seed(self, seed: impl Into<Option<i64>>) -> RandomGrayscale {
        RandomGrayscale { seed: seed.into(), ..self }
    }
}

augmentations! {
    RandomGrayscale |layer, x, draws| {
        if !(0.0..=1.0).contains(&layer.factor) {
            let message = format!("`factor` must be from 0 to 1, found {}", layer.factor);
            return Err(Error::invalid_argument(message));
        }
        let chosen = for_each_image(&draws.uniform(x, 0.0, 1.0, DType::F32)?.less(layer.factor)?)?;
        let gray = grayscale(x)?;
        chosen.select(&gray, x)
    };
}

super::settings::defaults! { RandomColorJitter RandomGrayscale RandomInvert Solarization }
