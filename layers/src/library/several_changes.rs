//! Images changed by several other layers, of which each time some are drawn.

use super::augmentation::{Draws, clipped, random_layers};
use super::settings::defaults;
use super::{
    AutoContrast, Equalization, FactorWithin, RandomBrightness, RandomColorDegeneration, RandomContrast,
    RandomPosterization, RandomRotation, RandomSharpness, RandomShear, RandomTranslation, Solarization,
};
use crate::resize::Interpolation;
use modulor::op::scope;
use modulor::{DTypePolicy, Error, Layer, Result, Tensor, switch_case};

/// What images may be changed by.
#[derive(Clone, Copy)]
enum Change {
    Shear,
    Translation,
    Rotation,
    Brightness,
    ColorDegeneration,
    Contrast,
    Sharpness,
    Posterization,
    Solarization,
    AutoContrast,
    Equalization,
}

/// Those of [`RandAugment`], in Keras's order.
const ALL: [Change; 11] = [
    Change::Shear,
    Change::Translation,
    Change::Rotation,
    Change::Brightness,
    Change::ColorDegeneration,
    Change::Contrast,
    Change::Sharpness,
    Change::Posterization,
    Change::Solarization,
    Change::AutoContrast,
    Change::Equalization,
];

/// Those of [`AugMix`], in Keras's order: first those that are always among them.
const MIXED: [Change; 11] = [
    Change::Shear,
    Change::Translation,
    Change::Rotation,
    Change::Posterization,
    Change::Solarization,
    Change::AutoContrast,
    Change::Equalization,
    Change::Brightness,
    Change::ColorDegeneration,
    Change::Contrast,
    Change::Sharpness,
];
const ALWAYS: usize = 7;

/// The most seeds that a change takes.
const SEEDS: usize = 3;

/// What makes one of several things.
type Branch<'a> = &'a dyn Fn() -> Result<Tensor>;

/// How changes are made, and how far they go.
struct Changes<'a> {
    dtype: &'a DTypePolicy,
    factor: [f64; 2],
    value_range: [f64; 2],
    interpolation: Interpolation,
}

impl Changes<'_> {
    /// How many bits are left by posterization, at the most.
    fn bits(&self) -> f64 {
        (8.0 * self.factor[1]).trunc().max(1.0)
    }

    /// How many seeds a change takes.
    fn seeds(&self, change: Change) -> usize {
        match change {
            Change::Shear => SEEDS,
            Change::Translation | Change::Solarization => 2,
            Change::Rotation
            | Change::Brightness
            | Change::ColorDegeneration
            | Change::Contrast
            | Change::Sharpness => 1,
            Change::Posterization => usize::from(self.bits() > 1.0),
            Change::AutoContrast | Change::Equalization => 0,
        }
    }

    /// What a change makes of a batch of images whose channels are last, as these seeds have it.
    fn made(&self, change: Change, x: &Tensor, seeds: &[Tensor]) -> Result<Tensor> {
        let &Changes { dtype, factor, value_range, interpolation } = self;
        let draws = &mut Draws::Drawn(seeds.iter());
        match change {
            Change::Shear => {
                RandomShear::new().x_factor(factor).y_factor(factor).interpolation(interpolation).made(x, draws)
            }
            Change::Translation => RandomTranslation::new(factor, factor).interpolation(interpolation).made(x, draws),
            Change::Rotation => RandomRotation::new(factor).interpolation(interpolation).made(x, draws),
            Change::Brightness => RandomBrightness::new(factor).value_range(value_range).made(x, draws),
            Change::ColorDegeneration => RandomColorDegeneration::new(factor).value_range(value_range).made(x, draws),
            Change::Contrast => RandomContrast::new(factor).value_range(value_range).made(x, draws),
            Change::Sharpness => RandomSharpness::new(factor).value_range(value_range).made(x, draws),
            Change::Posterization => RandomPosterization::new(self.bits()).value_range(value_range).made(x, draws),
            Change::Solarization => {
                let layer = Solarization::new().addition_factor(factor).threshold_factor(factor);
                layer.value_range(value_range).made(x, draws)
            }
            Change::AutoContrast => AutoContrast::new().dtype(dtype.clone()).value_range(value_range).forward(x),
            Change::Equalization => {
                let layer = Equalization::new().dtype(dtype.clone()).value_range(value_range);
                scope::with_training(true, || layer.forward(x))
            }
        }
    }

    /// What the change of this number makes, each by its own seeds; for a number beyond, the images as they are.
    fn chosen(&self, number: &Tensor, changes: &[(Change, &[Tensor])], x: &Tensor) -> Result<Tensor> {
        let branches: Vec<_> = changes.iter().map(|&(change, seeds)| move || self.made(change, x, seeds)).collect();
        let none = || Ok(x.clone());
        let branches: Vec<Branch> = branches.iter().map(|branch| branch as Branch).chain([&none as Branch]).collect();
        switch_case(number, &branches)
    }
}

random_layers! {
    /// In training, changes the images by some of eleven other layers, drawn for each batch: Cubuk et al., "RandAugment: practical
    /// automated data augmentation with a reduced search space".
    ///
    /// They are [`RandomShear`], [`RandomTranslation`], [`RandomRotation`], [`RandomBrightness`], [`RandomColorDegeneration`],
    /// [`RandomContrast`], [`RandomSharpness`], [`RandomPosterization`], [`Solarization`], [`AutoContrast`] and [`Equalization`].
    /// Channels that are first are so for all of them; Keras's AutoContrast takes them for rows.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::RandAugment;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (RandAugment::new().value_range([0.0, 1.0]).seed(1), Tensor::from([[[0.25_f32, 0.5, 0.75]]]));
    /// let y = scope::with_training(true, || layer.call(&x))?;
    /// assert!(y.to_vec::<f32>()?.iter().all(|value| (0.0..=1.0).contains(value)));
    /// # Ok(())
    /// # }
    /// ```
    RandAugment {
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
        /// How many changes are made, one after the other; 2 unless set.
        #[config(default = 2)]
        num_ops: usize,
        /// How far each goes, from 0 to 1: one number is the most; 0.5 unless set.
        #[config(default = 0.5.into(), into)]
        factor: FactorWithin<0, 1>,
        /// How places are made, as at the nearest or bilinearly; bilinearly unless set.
        #[config(default = Interpolation::Bilinear)]
        interpolation: Interpolation,
    }
    |layer, x, draws| {
        let &RandAugment { ref dtype, value_range, num_ops, factor, interpolation, .. } = layer;
        let changes = Changes { dtype, factor: factor.range("factor")?, value_range, interpolation };
        let numbers = draws.numbers(num_ops, ALL.len())?;
        let seeds = ALL.iter().map(|&change| draws.seeds(changes.seeds(change))).collect::<Result<Vec<_>>>()?;
        let all: Vec<(Change, &[Tensor])> = ALL.into_iter().zip(seeds.iter().map(Vec::as_slice)).collect();
        (0..num_ops).try_fold(x.clone(), |x, at| changes.chosen(&numbers.slice(at)?, &all, &x))
    };

    /// In training, makes each image a mean of it and of what several chains of changes make of it, drawn for each batch: Hendrycks
    /// et al., "AugMix: a simple data processing method to improve robustness and uncertainty".
    ///
    /// A chain has so many of the layers of [`RandAugment`], or fewer. Which they are follows from the seed as well; Keras draws
    /// that by Python's random numbers, of which no seed of a layer says anything.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::AugMix;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (AugMix::new().value_range([0.0, 1.0]).seed(1), Tensor::from([[[0.25_f32, 0.5, 0.75]]]));
    /// let y = scope::with_training(true, || layer.call(&x))?;
    /// assert!(y.to_vec::<f32>()?.iter().all(|value| (0.0..=1.0).contains(value)));
    /// # Ok(())
    /// # }
    /// ```
    AugMix {
        /// The least and the greatest value; 0 and 255 unless set.
        #[config(default = [0.0, 255.0])]
        value_range: [f64; 2],
        /// How many chains are mixed; 3 unless set.
        #[config(default = 3)]
        num_chains: usize,
        /// How many changes a chain has at the most; 3 unless set.
        #[config(default = 3)]
        chain_depth: usize,
        /// How far each goes, from 0 to 1: one number is the most; 0.3 unless set.
        #[config(default = 0.3.into(), into)]
        factor: FactorWithin<0, 1>,
        /// The parameters of the distributions of how much of each chain, and of the image itself, there is, above 0; 1 unless set.
        #[config(default = 1.0)]
        alpha: f64,
        /// Whether brightness, colors, contrast and sharpness are changed too; so unless set.
        #[config(default = true)]
        all_ops: bool,
        /// How places are made, as at the nearest or bilinearly; bilinearly unless set.
        #[config(default = Interpolation::Bilinear)]
        interpolation: Interpolation,
    }
    |layer, x, draws| {
        let &AugMix { ref dtype, value_range, num_chains, chain_depth, factor, alpha, all_ops, interpolation, .. } = layer;
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::invalid_argument(format!("`alpha` must be a finite number above 0, found {alpha}")));
        }
        let steps = num_chains.checked_mul(chain_depth).filter(|&steps| i32::try_from(steps).is_ok()).ok_or_else(|| {
            Error::invalid_argument(format!("{num_chains} chains of {chain_depth} changes are more than can be made"))
        })?;
        let changes = Changes { dtype, factor: factor.range("factor")?, value_range, interpolation };
        let kinds = if all_ops { &MIXED[..] } else { &MIXED[..ALWAYS] };
        let [weights, own] = draws.shares(num_chains, alpha)?.map(|share| share.cast(x.dtype()));
        let (weights, own) = (weights?, own?);
        let numbers = draws.numbers(steps, kinds.len() + 1)?;
        let mut mixed = x.zeros_like()?;
        for chain in 0..num_chains {
            let mut y = x.clone();
            for step in chain * chain_depth..(chain + 1) * chain_depth {
                // As many for each change, so that the next ones do not hang on which it is.
                let seeds = draws.seeds(SEEDS)?;
                let all: Vec<(Change, &[Tensor])> = kinds.iter().map(|&change| (change, &seeds[..])).collect();
                y = changes.chosen(&numbers.slice(step)?, &all, &y)?;
            }
            mixed = (mixed + y * weights.slice(chain)?).cast(x.dtype())?;
        }
        clipped(&(&own * x + (1.0 - &own) * mixed).cast(x.dtype())?, value_range)
    };
}

defaults! { AugMix RandAugment }
