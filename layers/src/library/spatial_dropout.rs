//! Dropout of whole channels.

use super::dropout::dropped;
use super::settings::{Settings, of_settings};
use super::window::images;
use super::{DataFormat, SeedGenerator};
use modulor::module::Config;
use modulor::{DTypePolicy, Layer, Result, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Serialize, Deserialize)]
struct SpatialDropout {
    rate: f64,
    #[serde(default)]
    seed: Option<i64>,
    /// Where the channels are, if that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_format: Option<DataFormat>,
}

/// Keras's constructors take the dtype by name, and nothing of other layers but the name.
impl Settings for SpatialDropout {
    fn complete(config: &mut Config) {
        // Of sequences nothing is said of it.
        if config.get("data_format").is_none_or(Value::is_null) {
            config.insert("data_format".to_owned(), json!(DataFormat::default()));
        }
    }

    fn finish(&self, config: &mut Config) {
        config.remove("trainable");
        let name = config["dtype"]["config"]["name"].clone();
        config.insert("dtype".to_owned(), name);
    }
}

/// The layers of spatial dropout, by the number of their axes: where the channels are, the keys of a config, and perhaps the
/// setting that says otherwise.
macro_rules! spatial_dropout {
    ($(
        $(#[$doc:meta])*
        $class:ident $name:literal $axes:literal $format:expr, [$($key:literal)*] $($data_format:ident)?;
    )*) => { $(
        $(#[$doc])*
        pub struct $class {
            dtype: DTypePolicy,
            settings: SpatialDropout,
            seed_generator: SeedGenerator,
        }

        impl $class {
            /// That leaves out each channel with this probability.
            pub fn new(rate: f64) -> $class {
                let settings = SpatialDropout { rate, seed: None, data_format: $format };
                $class { dtype: DTypePolicy::default(), settings, seed_generator: SeedGenerator::default() }
            }

            /// The seed; without one, it follows from the layer's place in its model.
            #[must_use]
            pub fn seed(mut self, seed: impl Into<Option<i64>>) -> $class {
                self.settings.seed = seed.into();
                self
            }

            $(
                /// Where the channels are; last unless set.
                #[must_use]
                pub fn $data_format(mut self, $data_format: DataFormat) -> $class {
                    self.settings.data_format = Some($data_format);
                    self
                }
            )?
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                images(x, $axes)?;
                let mut noise_shape = [Some(1); $axes + 2];
                noise_shape[0] = None;
                match self.settings.data_format.unwrap_or_default() {
                    DataFormat::ChannelsLast => noise_shape[$axes + 1] = None,
                    DataFormat::ChannelsFirst => noise_shape[1] = None,
                }
                dropped(x, self.settings.rate, &self.seed_generator, Some(&noise_shape))
            }

            fn mask(&self, x: &Tensor) -> Result<Option<Tensor>> {
                Ok(x.mask().cloned())
            }
        }

        of_settings! {
            $class $name [$($key)*]
            with seed_generator, |layer| {
                if layer.settings.rate > 0.0 {
                    layer.seed_generator.declare(layer.settings.seed);
                }
            }
        }
    )* };
}

spatial_dropout! {
    /// In training, leaves out each channel of a sequence with probability `rate`, in all its steps, and scales the others
    /// so that their sum stays: Tompson et al., "Efficient object localization using convolutional networks". Otherwise
    /// hands its input, `[batch, steps, channels]`, on.
    ///
    /// # Variables
    ///
    /// `seed_generator/seed_generator_state`, from which the choice follows; see [`SeedGenerator`].
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor, scope};
    /// use modulor_layers::library::SpatialDropout1D;
    /// # fn main() -> modulor::Result<()> {
    /// let layer = SpatialDropout1D::new(0.5).seed(1);
    /// let y = scope::with_training(true, || layer.call(&Tensor::ones([1, 2, 8], DType::F32)?))?.to_vec::<f32>()?;
    /// assert!(y.iter().all(|&y| y == 0.0 || y == 2.0) && y[..8] == y[8..]);
    /// # Ok(())
    /// # }
    /// ```
    SpatialDropout1D "spatial_dropout1d" 1 None, ["rate" "seed"];
    /// [`SpatialDropout1D`] of images: each channel, in all its places, with probability `rate`.
    ///
    /// The input is `[batch, rows, columns, channels]`; with [`DataFormat::ChannelsFirst`] the channels come second.
    ///
    /// # Variables
    ///
    /// `seed_generator/seed_generator_state`, from which the choice follows; see [`SeedGenerator`].
    SpatialDropout2D "spatial_dropout2d" 2 Some(DataFormat::ChannelsLast), ["rate" "seed" "data_format"] data_format;
    /// [`SpatialDropout1D`] of volumes: each channel, in all its places, with probability `rate`.
    ///
    /// The input is `[batch, places.., channels]`, along three axes; with [`DataFormat::ChannelsFirst`] the channels come
    /// second.
    ///
    /// # Variables
    ///
    /// `seed_generator/seed_generator_state`, from which the choice follows; see [`SeedGenerator`].
    SpatialDropout3D "spatial_dropout3d" 3 Some(DataFormat::ChannelsLast), ["rate" "seed" "data_format"] data_format;
}
