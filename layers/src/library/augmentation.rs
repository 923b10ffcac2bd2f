//! What layers that change images at random have in common.

use super::{DataFormat, SeedGenerator};
use modulor::{DType, DTypePolicy, Error, Layer, Result, Tensor};

/// A layer that changes images at random in training, and otherwise hands them on, in the dtype that it computes in.
///
/// Images are `[batch, rows, columns, channels]`, each of which is changed in its own way, or one image without the batch; with
/// [`DataFormat::ChannelsFirst`] the channels come before the rows. Integers become floats.
///
/// As a layer of a model it draws from its own state, so that the same seed gives the same in each training. In a pipeline of
/// data, what is drawn follows from the element by [`Dataset::map_seeded`](crate::data::Dataset::map_seeded), on any number of
/// threads:
///
/// ```
/// use modulor::{DType, Tensor};
/// use modulor_layers::data::Dataset;
/// use modulor_layers::library::{Augmentation, RandomFlip};
/// # fn main() -> modulor::Result<()> {
/// let images = Dataset::from_tensor_slices(Tensor::from([[[[1.0_f32], [2.0]]]; 8]))?;
/// let flip = RandomFlip::new();
/// let flipped = images.map_seeded(7, move |image, seed| flip.augment(&image, &seed)).threads(2);
/// let all = || flipped.iter().map(|image| image?.to_vec::<f32>()).collect::<modulor::Result<Vec<_>>>();
/// assert_eq!(all()?, all()?);
/// assert!(all()?.contains(&vec![1.0, 2.0]) && all()?.contains(&vec![2.0, 1.0]));
/// # Ok(())
/// # }
/// ```
pub trait Augmentation: Layer {
    /// What training makes of images, as `seed`, integers of `[2]`, has it: a function of the two, which leaves the layer's
    /// state as it is.
    fn augment(&self, images: &Tensor, seed: &Tensor) -> Result<Tensor>;
}

/// Where what is drawn comes from.
pub(super) enum Draws<'a> {
    /// One seed of a layer's state after the other.
    State(&'a SeedGenerator),
    /// A seed, and how often it was drawn from.
    Seed(&'a Tensor, usize),
    /// Seeds that were drawn before.
    Drawn(std::slice::Iter<'a, Tensor>),
}

impl Draws<'_> {
    fn next_seed(&mut self) -> Result<Tensor> {
        match self {
            Draws::State(seeds) => seeds.next_seed(),
            Draws::Seed(seed, count) => {
                *count += 1;
                // All that were drawn so far and two more.
                let bits = Tensor::stateless_bits(&Tensor::from([2 * *count as i64]), seed, DType::I64)?;
                bits.slice(2 * (*count as i64 - 1)..)
            }
            Draws::Drawn(seeds) => {
                seeds.next().cloned().ok_or_else(|| Error::internal("a layer draws more often than it says"))
            }
        }
    }

    /// So many seeds, to be drawn from later.
    pub(super) fn seeds(&mut self, count: usize) -> Result<Vec<Tensor>> {
        (0..count).map(|_| self.next_seed()).collect()
    }

    /// So many integers from 0 to below `end`, int32.
    pub(super) fn numbers(&mut self, count: usize, end: usize) -> Result<Tensor> {
        let shape = Tensor::from([count as i64]);
        Tensor::stateless_uniform_int(&shape, &self.next_seed()?, &Tensor::scalar(0), &Tensor::scalar(end as i32))
    }

    /// So many parts of a whole, of Dirichlet's distribution, and a part of another, of a beta distribution, all of whose
    /// parameters are `alpha`.
    pub(super) fn shares(&mut self, count: usize, alpha: f64) -> Result<[Tensor; 2]> {
        let alpha = Tensor::scalar(alpha as f32);
        let parts = Tensor::stateless_gamma(&Tensor::from([count as i64]), &self.next_seed()?, &alpha)?;
        let one = Tensor::stateless_beta(&Tensor::from(vec![0_i32; 0]), &self.next_seed()?, &alpha, &alpha)?;
        Ok([parts.div(parts.sum(..)?)?, one])
    }

    /// A number for each image from `low` to `high`, of `[batch]`.
    pub(super) fn uniform(&mut self, x: &Tensor, low: f64, high: f64, dtype: DType) -> Result<Tensor> {
        self.several(&batch(x, [])?, low, high, dtype)
    }

    /// A number for all images from `low` to `high`, a scalar.
    pub(super) fn one(&mut self, low: f64, high: f64, dtype: DType) -> Result<Tensor> {
        self.several(&Tensor::from(vec![0_i32; 0]), low, high, dtype)
    }

    /// Numbers from `low` to `high`, of this shape.
    pub(super) fn several(&mut self, shape: &Tensor, low: f64, high: f64, dtype: DType) -> Result<Tensor> {
        between(&Tensor::stateless_uniform(shape, &self.next_seed()?, dtype)?, low, high)
    }

    /// Numbers around 0, of this shape.
    pub(super) fn normal(&mut self, shape: &Tensor, dtype: DType) -> Result<Tensor> {
        Tensor::stateless_normal(shape, &self.next_seed()?, dtype)
    }

    /// Which images are chosen, each with a probability that is drawn for it, from `low` to `high`: booleans of `[batch]`.
    pub(super) fn chosen(&mut self, x: &Tensor, [low, high]: [f64; 2]) -> Result<Tensor> {
        let probability = self.uniform(x, low, high, DType::F32)?;
        self.uniform(x, 0.0, 1.0, DType::F32)?.less(&probability)
    }

    /// A beta number for each image, both parameters of which are `alpha`, a scalar, of its dtype and of `[batch]`.
    pub(super) fn beta(&mut self, x: &Tensor, alpha: &Tensor) -> Result<Tensor> {
        Tensor::stateless_beta(&batch(x, [])?, &self.next_seed()?, alpha, alpha)
    }

    /// The numbers of the images in an order that is drawn.
    pub(super) fn order(&mut self, x: &Tensor) -> Result<Tensor> {
        let Some(images) = x.shape().dim(0) else {
            let message =
                format!("how many images there are must be known: axis 0 of the input is unknown, found {}", x.shape());
            return Err(Error::invalid_argument(message));
        };
        Tensor::range(0, images as i32, 1)?.stateless_shuffle(&self.next_seed()?, 0)
    }

    /// An integer for each image from `low` to below `high`, int64 of `[batch]`.
    pub(super) fn integers(&mut self, x: &Tensor, low: i64, high: i64) -> Result<Tensor> {
        Tensor::stateless_uniform_int(&batch(x, [])?, &self.next_seed()?, &Tensor::scalar(low), &Tensor::scalar(high))
    }
}

/// The number of images and these dims, as a shape.
pub(super) fn batch<const N: usize>(x: &Tensor, dims: [usize; N]) -> Result<Tensor> {
    let dims = dims.map(|dim| dim as i64);
    match x.shape().dim(0) {
        Some(count) => Ok(Tensor::from([&[count as i64], &dims[..]].concat())),
        None => Tensor::concat(&[x.shape_tensor()?.slice(..1)?.cast(DType::I64)?, Tensor::from(dims.to_vec())], 0),
    }
}

/// The rows and columns of images, which must be known, and their channels.
pub(super) fn sizes(x: &Tensor) -> Result<[usize; 3]> {
    match x.shape().dims().as_deref() {
        Some([_, Some(rows), Some(columns), Some(channels)]) => Ok([*rows, *columns, *channels]),
        _ => {
            Err(Error::invalid_argument(format!("rows, columns and channels must be known, found shape {}", x.shape())))
        }
    }
}

/// Numbers from 0 to 1 as numbers from `low` to `high`, with the rounding of TensorFlow.
fn between(drawn: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    let [low, high] = [low, high].map(|bound| Tensor::scalar(bound).cast(drawn.dtype()));
    let (low, high) = (low?, high?);
    (drawn * (high - &low)).add(low)
}

/// A number for each image as one that goes with all of it.
pub(super) fn for_each_image(numbers: &Tensor) -> Result<Tensor> {
    numbers.reshape([-1, 1, 1, 1])
}

/// Values no further than these two, in whichever order they are.
pub(super) fn clipped(x: &Tensor, [a, b]: [f64; 2]) -> Result<Tensor> {
    x.clip_by_value(a.min(b), a.max(b))
}

/// What `f` makes of images as a batch whose channels are last, in the dtype that a layer computes in.
pub(super) fn changed(
    x: &Tensor,
    policy: &DTypePolicy,
    format: DataFormat,
    f: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let x = given(x, policy)?;
    let is_one = x.rank() == Some(3);
    let batch = if is_one { x.expand_dims(0)? } else { x };
    let y = match format {
        DataFormat::ChannelsLast => f(&batch)?,
        DataFormat::ChannelsFirst => f(&batch.permute([0, 2, 3, 1])?)?.permute([0, 3, 1, 2])?,
    };
    if is_one { y.squeeze([0]) } else { Ok(y) }
}

/// Images in the dtype that a layer computes in.
pub(super) fn given(x: &Tensor, policy: &DTypePolicy) -> Result<Tensor> {
    match x.rank() {
        Some(3 | 4) => x.cast(policy.compute_dtype()?),
        Some(_) => Err(Error::invalid_argument(format!(
            "images have 4 dims, of a batch, rows, columns and channels, or 3 without the batch, found shape {}",
            x.shape()
        ))),
        None => Err(Error::invalid_argument("the rank of the input must be known")),
    }
}

/// Layers with fields `dtype`, `seed`, `data_format` and `seed_generator`, and what training makes of a batch of images whose
/// channels are last.
macro_rules! augmentations {
    ($($class:ident |$layer:ident, $x:ident, $draws:ident| $made:expr;)*) => { $(
        impl $class {
            pub(super) fn made(
                &self,
                $x: &modulor::Tensor,
                $draws: &mut $crate::library::augmentation::Draws,
            ) -> modulor::Result<modulor::Tensor> {
                let $layer = self;
                $made
            }
        }

        impl modulor::module::ManualBuild for $class {
            fn build(&self, _: &modulor::module::InputShapes) -> modulor::Result<()> {
                self.seed_generator.declare(self.seed);
                Ok(())
            }
        }

        impl $crate::library::Augmentation for $class {
            fn augment(&self, images: &modulor::Tensor, seed: &modulor::Tensor) -> modulor::Result<modulor::Tensor> {
                $crate::library::augmentation::changed(images, &self.dtype, self.data_format, |x| {
                    self.made(x, &mut $crate::library::augmentation::Draws::Seed(seed, 0))
                })
            }
        }

        impl modulor::Layer for $class {
            fn forward(&self, x: &modulor::Tensor) -> modulor::Result<modulor::Tensor> {
                if !modulor::op::scope::training() {
                    return $crate::library::augmentation::given(x, &self.dtype);
                }
                $crate::library::augmentation::changed(x, &self.dtype, self.data_format, |x| {
                    self.made(x, &mut $crate::library::augmentation::Draws::State(&self.seed_generator))
                })
            }
        }
    )* };
}
pub(super) use augmentations;

/// Layers that draw, each an [`Augmentation`]: their docs, to which is added what all of them say, their settings before the
/// seed, and what training makes of a batch of images whose channels are last.
macro_rules! random_layers {
    ($(
        $(#[$doc:meta])*
        $class:ident { $($(#[$about:meta])* $setting:ident: $of:ty,)* }
        |$layer:ident, $x:ident, $draws:ident| $made:expr;
    )*) => { $(
        $(#[$doc])*
        ///
        /// An [`Augmentation`](super::Augmentation).
        ///
        /// # Variables
        ///
        /// `seed_generator/seed_generator_state`, from which the changes follow; see [`SeedGenerator`](super::SeedGenerator).
        #[derive(modulor::Module)]
        #[module(package = "keras.layers", build = manual)]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`](modulor::DTypePolicy); the
            /// ambient policy unless set.
            #[config(default, into)]
            dtype: modulor::DTypePolicy,
            $($(#[$about])* $setting: $of,)*
            /// The seed; without one, it follows from the layer's place in its model.
            #[config(default, into)]
            seed: Option<i64>,
            /// Where the channels are; last unless set.
            #[config(default)]
            data_format: $crate::library::DataFormat,
            #[module(default)]
            seed_generator: $crate::library::SeedGenerator,
        }

        $crate::library::augmentation::augmentations! { $class |$layer, $x, $draws| $made; }
    )* };
}
pub(super) use random_layers;
