//! Images mixed with others of their batch.

use super::augmentation::{Augmentation, Draws, changed, for_each_image};
use super::random_erasing::rectangles;
use super::settings::defaults;
use super::{DataFormat, FactorWithin, SeedGenerator};
use modulor::module::{InputShapes, ManualBuild};
use modulor::op::scope;
use modulor::{DTypePolicy, Error, Layer, Module, Result, Tensor};

/// The layers that mix: their settings before the seed; and of a batch with its channels last, which image goes into which, how
/// much of each is its own, `[batch]`, and the mixed images.
macro_rules! mixes {
    ($(
        $(#[$doc:meta])*
        $class:ident { $($(#[$about:meta])* $setting:ident: $of:ty,)* }
        |$layer:ident, $x:ident, $draws:ident| $made:expr;
    )*) => { $(
        $(#[$doc])*
        ///
        /// An [`Augmentation`]; with labels by [`augment_labelled`](Self::augment_labelled). How many images there are must be
        /// known.
        ///
        /// # Variables
        ///
        /// `seed_generator/seed_generator_state`, from which all that is drawn follows; see [`SeedGenerator`].
        #[derive(Module)]
        #[module(package = "keras.layers", build = manual)]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
            #[config(default, into)]
            dtype: DTypePolicy,
            $($(#[$about])* $setting: $of,)*
            /// The seed; without one, it follows from the layer's place in its model.
            #[config(default, into)]
            seed: Option<i64>,
            /// Where the channels are; last unless set.
            #[config(default)]
            data_format: DataFormat,
            #[module(default)]
            seed_generator: SeedGenerator,
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

        impl ManualBuild for $class {
            fn build(&self, _: &InputShapes) -> Result<()> {
                self.seed_generator.declare(self.seed);
                Ok(())
            }
        }

        impl Augmentation for $class {
            fn augment(&self, images: &Tensor, seed: &Tensor) -> Result<Tensor> {
                changed(images, &self.dtype, self.data_format, |x| Ok(self.mixed(x, &mut Draws::Seed(seed, 0))?.images))
            }
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                if !scope::training() {
                    return super::augmentation::given(x, &self.dtype);
                }
                changed(x, &self.dtype, self.data_format, |x| {
                    Ok(self.mixed(x, &mut Draws::State(&self.seed_generator))?.images)
                })
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
