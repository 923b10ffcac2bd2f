//! Noise in training, for robustness against it.

use super::SeedGenerator;
use super::dropout::noise_dims;
use modulor::module::{InputShapes, ManualBuild};
use modulor::op::scope;
use modulor::{DType, DTypePolicy, Error, Layer, Module, Result, Tensor};

/// The layers of noise: how much there is, from 0 to 1, other settings, and what it makes of an input in training.
macro_rules! noise {
    ($($(#[$doc:meta])* $class:ident $amount:ident $([$noise_shape:ident])? = |$layer:ident, $x:ident| $noisy:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Module)]
        #[module(package = "keras.layers", build = manual)]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
            #[config(default, into)]
            dtype: DTypePolicy,
            #[config]
            $amount: f64,
            /// The seed; without one, it follows from the layer's place in its model.
            #[config(default, into)]
            seed: Option<i64>,
            $(
                /// The dims of the choice, `None` for those of the input: along a dim of 1, inputs go or stay together.
                #[config(default, into)]
                $noise_shape: Option<Vec<Option<usize>>>,
            )?
            #[module(default)]
            seed_generator: SeedGenerator,
        }

        impl ManualBuild for $class {
            fn build(&self, _: &InputShapes) -> Result<()> {
                if self.$amount > 0.0 {
                    self.seed_generator.declare(self.seed);
                }
                Ok(())
            }
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                if !(0.0..=1.0).contains(&self.$amount) {
                    let message = format!(concat!("`", stringify!($amount), "` must be from 0 to 1, found {}"), self.$amount);
                    return Err(Error::invalid_argument(message));
                }
                if !scope::training() || self.$amount == 0.0 {
                    return Ok(x.clone());
                }
                let ($layer, $x) = (self, x);
                $noisy
            }

            fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
                Ok(x.mask().cloned())
            }
        }
    )* };
}

noise! {
    /// In training, `x` with normal noise of mean 0 and some standard deviation added. Otherwise hands its input on.
    ///
    /// # Variables
    ///
    /// `seed_generator/seed_generator_state`, from which the noise follows; see [`SeedGenerator`].
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::GaussianNoise;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (GaussianNoise::new(0.1).seed(1), Tensor::from([1.0_f32, 2.0]));
    /// assert_eq!(layer.call(&x)?.to_vec::<f32>()?, [1.0, 2.0]);
    /// assert_ne!(scope::with_training(true, || layer.call(&x))?.to_vec::<f32>()?, [1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    GaussianNoise stddev = |layer, x| x.add(normal(x, &layer.seed_generator)? * layer.stddev);
    /// In training, `x` times normal noise of mean 1 and a standard deviation of `√(rate/(1 − rate))`, as much as
    /// [`Dropout`](super::Dropout) of that rate makes. Otherwise hands its input on.
    ///
    /// # Variables
    ///
    /// `seed_generator/seed_generator_state`, from which the noise follows; see [`SeedGenerator`].
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::GaussianDropout;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (GaussianDropout::new(0.5).seed(1), Tensor::from([0.0_f32, 2.0]));
    /// let y = scope::with_training(true, || layer.call(&x))?.to_vec::<f32>()?;
    /// assert!(y[0] == 0.0 && y[1] != 2.0);
    /// # Ok(())
    /// # }
    /// ```
    GaussianDropout rate = |layer, x| {
        let rate = below_one(layer.rate)?;
        x.mul(normal(x, &layer.seed_generator)? * (rate / (1.0 - rate)).sqrt() + 1.0)
    };
    /// In training, puts the least value of [`selu`](Tensor::selu), −1.7581, in the place of each input with probability
    /// `rate`, and scales and moves all so that mean and variance stay: Klambauer et al., "Self-normalizing neural
    /// networks". Otherwise hands its input on.
    ///
    /// # Variables
    ///
    /// `seed_generator/seed_generator_state`, from which the choice follows; see [`SeedGenerator`].
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::AlphaDropout;
    /// # fn main() -> modulor::Result<()> {
    /// let (layer, x) = (AlphaDropout::new(0.5).seed(1), Tensor::from([[1.0_f32; 8]]));
    /// let y = scope::with_training(true, || layer.call(&x))?.to_vec::<f32>()?;
    /// assert!(y.iter().all(|y| (y + 0.77919).abs() < 1e-4 || (y - 1.66558).abs() < 1e-4));
    /// # Ok(())
    /// # }
    /// ```
    AlphaDropout rate [noise_shape] = |layer, x| {
        /// What [`selu`](Tensor::selu) comes to far below 0.
        const LEAST: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;
        let rate = below_one(layer.rate)?;
        let dims = match &layer.noise_shape {
            Some(wanted) => noise_dims(x, wanted)?,
            None => x.shape_tensor()?,
        };
        let draws = Tensor::stateless_uniform(&dims, &layer.seed_generator.next_seed()?, DType::F32)?;
        let kept = draws.greater_equal(rate)?.cast(x.dtype())?;
        let scale = ((1.0 - rate) * (1.0 + rate * LEAST * LEAST)).powf(-0.5);
        ((x * &kept + (1.0 - kept) * LEAST) * scale).add(-scale * LEAST * rate)
    };
}

/// Normal noise of mean 0 and standard deviation 1 for each element.
fn normal(x: &Tensor, seeds: &SeedGenerator) -> Result<Tensor> {
    Tensor::stateless_normal(&x.shape_tensor()?, &seeds.next_seed()?, x.dtype())
}

/// A rate at which something is left.
fn below_one(rate: f64) -> Result<f64> {
    match rate < 1.0 {
        true => Ok(rate),
        false => Err(Error::invalid_argument(format!("`rate` must be below 1 in training, found {rate}"))),
    }
}
