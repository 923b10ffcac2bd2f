use super::augmentation::{for_each_image, random_layers};
use super::settings::defaults;
use modulor::DType;
use serde::{Deserialize, Serialize};

/// Along which axes images are flipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipMode {
    /// Left for right.
    Horizontal,
    /// Top for bottom.
    Vertical,
    /// Both at once.
    #[default]
    HorizontalAndVertical,
}

random_layers! {
    /// In training, flips half of the images.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::{FlipMode, RandomFlip};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = RandomFlip::new().mode(FlipMode::Horizontal).seed(1);
    /// let x = Tensor::from([[[[1.0_f32], [2.0], [3.0]]]; 9]);
    /// assert_eq!(layer.call(&x)?.to_vec::<f32>()?, x.to_vec::<f32>()?);
    /// let y = scope::with_training(true, || layer.call(&x))?.to_vec::<f32>()?;
    /// assert!(y.chunks(3).all(|row| row == [1.0, 2.0, 3.0] || row == [3.0, 2.0, 1.0]));
    /// # Ok(())
    /// # }
    /// ```
    RandomFlip {
        /// Along which axes; along both, at once, unless set.
        #[config(default)]
        mode: FlipMode,
    }
    |layer, x, draws| {
        let flips = for_each_image(&draws.uniform(x, 0.0, 1.0, DType::F32)?)?.less_equal(0.5)?;
        let axes: &[i64] = match layer.mode {
            FlipMode::Horizontal => &[2],
            FlipMode::Vertical => &[1],
            FlipMode::HorizontalAndVertical => &[1, 2],
        };
        flips.select(&x.reverse(axes)?, x)
    };
}

defaults! { RandomFlip }
