//! Images mixed with others of their batch.

use super::FactorWithin;
use super::augmentation::{Draws, changed, for_each_image, random_layers};
use super::random_erasing::rectangles;
use super::settings::defaults;
use modulor::{Error, Result, Tensor};

/// Random layers that mix images: of a batch with its channels last, which image goes into which, how much of each is its own,
/// `[batch]`, and the mixed images.
macro_rules! mixes {
    ($(
        $(#[$doc:meta])*
        $class:ident { $($(#[$about:meta])* $setting:ident: $of:ty,)* }
        |$layer:ident, $x:ident, $draws:ident| $made:expr;
    )*) => { $(
        random_layers! {
            $(#[$doc])*
            ///
            /// Labels are mixed with their images by [`augment_labelled`](Self::augment_labelled). How many images there are
            /// must be known.
            $class { $($(#[$about])* $setting: $of,)* }
            |layer, x, draws| Ok(layer.mixed(x, draws)?.images);
        }

        impl $class {
            fn mixed(&self, $x: &Tensor, $draws: &mut Draws) -> Result<Mixed> {
                let $layer = self;
                $made
            }

            /// What training makes of a batch of images and their labels, `[batch, classes]` of floats, as `seed`, integers of
            /// `[2]`, has it: labels are mixed as their images are.
            pub fn augment_labelled(&self, images: &Tensor, labels: &Tensor, seed: &Tensor) -> Result<(Tensor, Tensor)> {
                let mut mixed = None;
                let y = changed(images, &self.dtype, self.data_format, |x| {
                    let found = self.mixed(x, &mut Draws::Seed(seed, 0))?;
                    let images = found.images.clone();
                    mixed = Some(found);
                    Ok(images)
                })?;
                let mixed = mixed.ok_or_else(|| Error::internal("the images were mixed"))?;
                Ok((y, mixed.labels(labels)?))
            }
        }
    )* };
}

/// Images mixed with others.
struct Mixed {
    images: Tensor,
    /// The number of the other image of each.
    others: Tensor,
    /// How much of each is its own.
    own: Tensor,
}

impl Mixed {
    fn labels(&self, labels: &Tensor) -> Result<Tensor> {
        let own = self.own.cast(labels.dtype())?.reshape([-1, 1])?;
        (&own * labels).add((1.0 - &own) * labels.gather(&self.others, 0)?)
    }
}

mixes! {
    /// In training, makes each image a mean of it and another one of the batch: Zhang et al., "mixup: beyond empirical risk
    /// minimization".
    ///
    /// ```
    /// use modulor::Tensor;
    /// use modulor_layers::library::MixUp;
    /// # fn main() -> modulor::Result<()> {
    /// let (x, labels) = (Tensor::from([[[[0.0_f32]]], [[[1.0]]]]), Tensor::from([[1.0_f32, 0.0], [0.0, 1.0]]));
    /// let (y, labels) = MixUp::new().augment_labelled(&x, &labels, &Tensor::from([3, 1]))?;
    /// // How much there is of the second image is how much there is of its label.
    /// assert_eq!(y.reshape([2])?.to_vec::<f32>()?, labels.slice((.., 1))?.to_vec::<f32>()?);
    /// # Ok(())
    /// # }
    /// ```
    MixUp {
        /// Both parameters of the beta distribution of how much of an image is its own, above 0; 0.2 unless set.
        #[config(default = 0.2)]
        alpha: f64,
    }
    |layer, x, draws| {
        if !(layer.alpha > 0.0 && layer.alpha.is_finite()) {
            return Err(Error::invalid_argument(format!("`alpha` must be a finite number above 0, found {}", layer.alpha)));
        }
        let others = draws.order(x)?;
        let own = draws.beta(x, &Tensor::scalar(layer.alpha as f32))?;
        let share = for_each_image(&own)?.cast(x.dtype())?;
        let images = (&share * x).add((1.0 - &share) * x.gather(&others, 0)?)?;
        Ok(Mixed { images, others, own })
    };

    /// In training, puts a rectangle of another image of the batch into each: Yun et al., "CutMix: regularization strategy to train
    /// strong classifiers with localizable features". One image alone stays as it is.
    CutMix {
        /// Where both parameters of the beta distribution of how much of an image stays are drawn from, from 0 to 1: one number
        /// is the most; 1 unless set.
        #[config(default = 1.0.into(), into)]
        factor: FactorWithin<0, 1>,
    }
    |layer, x, draws| {
        let [least, most] = layer.factor.range("factor")?;
        let alpha = (draws.one(least, most, x.dtype())? + 1e-6).cast(x.dtype())?;
        let part = (1.0 - draws.beta(x, &alpha)?).sqrt()?;
        let [inside, covered] = rectangles(x, draws, [&part, &part])?;
        let others = draws.order(x)?;
        Ok(Mixed { images: inside.select(&x.gather(&others, 0)?, x)?, others, own: 1.0 - covered })
    };
}

defaults! { CutMix MixUp }
