//! Images moved, turned, zoomed and sheared at random.

use super::augmentation::random_layers;
use super::{Factor, FactorWithin, FillMode};
use crate::OrNone;
use crate::resize::Interpolation;
use modulor::{DType, Error, Interpolation as Resize, Result, Tensor};

/// The layers of maps: what they need and may be told beside how places are made, and the maps of a batch of images, eight
/// numbers each.
macro_rules! maps {
    ($(
        $(#[$doc:meta])*
        $class:ident { $($(#[$about:meta])* $setting:ident: $of:ty,)* }
        |$layer:ident, $x:ident, $draws:ident| $maps:expr;
    )*) => {
        random_layers! { $(
            $(#[$doc])*
            $class {
                $($(#[$about])* $setting: $of,)*
                /// What lies beyond the edges; the image backwards unless set.
                #[config(default = FillMode::Reflect, with = super::fill_mode)]
                fill_mode: FillMode,
                /// How places are made, as at the nearest or bilinearly; bilinearly unless set.
                #[config(default = Interpolation::Bilinear)]
                interpolation: Interpolation,
                /// What lies beyond the edges with [`FillMode::Constant`]; 0 unless set.
                #[config(default)]
                fill_value: f64,
            }
            |$layer, $x, $draws| {
                let maps = $maps;
                let interpolation = places_by($layer.interpolation)?;
                $x.projective_transform_in_place(&maps, interpolation, $layer.fill_mode, $layer.fill_value)
            };
        )* }
    };
}

/// How places are made, by the two ways that there are of it in maps.
pub(super) fn places_by(interpolation: Interpolation) -> Result<Resize> {
    match interpolation {
        Interpolation::Nearest => Ok(Resize::Nearest),
        Interpolation::Bilinear => Ok(Resize::Bilinear),
        other => Err(Error::invalid_argument(format!("`interpolation` must be nearest or bilinear, found {other:?}"))),
    }
}

maps! {
    /// In training, moves each image down and to the right, by parts of its rows and columns.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::{FillMode, RandomTranslation};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = RandomTranslation::new(0.0, [0.5, 0.5]).fill_mode(FillMode::Constant);
    /// let x = Tensor::from([[[[1.0_f32], [2.0], [3.0], [4.0]]]]);
    /// let y = scope::with_training(true, || layer.call(&x))?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 0.0, 1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    RandomTranslation {
        /// Of the rows, the part that is moved by, from −1 to 1: one number is for both directions.
        #[config(into)]
        height_factor: Factor,
        /// Of the columns, the part that is moved by, from −1 to 1: one number is for both directions.
        #[config(into)]
        width_factor: Factor,
    }
    |layer, x, draws| {
        let within = |factor: f64| (-1.0..=1.0).contains(&factor);
        let [height, width] = [(layer.height_factor, "height_factor"), (layer.width_factor, "width_factor")]
            .map(|(factor, name)| factor.range(name, "from -1 to 1", within));
        let (height, width) = (height?, width?);
        let down = draws.uniform(x, height[0], height[1], DType::F32)? * places(x, 1)?;
        let right = draws.uniform(x, width[0], width[1], DType::F32)? * places(x, 2)?;
        maps_of([Some(1.0), Some(0.0), None, Some(0.0), Some(1.0), None, Some(0.0), Some(0.0)], [-right, -down])?
    };

    /// In training, turns each image about its center.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::{Interpolation, RandomRotation};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = RandomRotation::new([0.25, 0.25]).interpolation(Interpolation::Nearest);
    /// let x = Tensor::from([[[1.0_f32], [2.0]], [[3.0], [4.0]]]);
    /// let y = scope::with_training(true, || layer.call(&x))?;
    /// assert_eq!(y.to_vec::<f32>()?, [2.0, 4.0, 1.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    RandomRotation {
        /// How many full turns, counterclockwise: one number is for both directions.
        #[config(into)]
        factor: FactorWithin<-1, 1>,
    }
    |layer, x, draws| {
        let [least, most] = layer.factor.range("factor")?;
        let angle = draws.uniform(x, least * 360.0, most * 360.0, DType::F32)? * (std::f64::consts::PI / 180.0);
        let (cos, sin) = (angle.cos()?, angle.sin()?);
        let [down, across] = [1, 2].map(|axis| (places(x, axis)? - 1.0).mul(0.5));
        let (down, across) = (down?, across?);
        let a2 = &across - &across * &cos + &down * &sin;
        let b2 = &down - &across * &sin - &down * &cos;
        maps_of([None, None, None, None, None, None, Some(0.0), Some(0.0)], [cos.clone(), -&sin, a2, sin, cos, b2])?
    };

    /// In training, zooms each image about its center: what is seen has `1 + factor` times as many rows and columns.
    ///
    /// ```
    /// use modulor::{Call, Tensor, scope};
    /// use modulor_layers::library::{FillMode, RandomZoom};
    /// # fn main() -> modulor::Result<()> {
    /// let layer = RandomZoom::new([1.0, 1.0]).fill_mode(FillMode::Constant);
    /// let x = Tensor::from([[[[1.0_f32], [2.0], [3.0]]]]);
    /// let y = scope::with_training(true, || layer.call(&x))?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    RandomZoom {
        /// Of the rows, above −1 and up to 1: below 0 the image becomes larger. One number is for both directions.
        #[config(into)]
        height_factor: Factor,
        /// Of the columns, likewise; as the rows unless set.
        #[config(default, into)]
        width_factor: OrNone<Factor>,
    }
    |layer, x, draws| {
        let within = |factor: f64| factor > -1.0 && factor <= 1.0;
        let mut zoom = |factor: Factor, name: &str| {
            let [least, most] = factor.range(name, "above -1, and at most 1", within)?;
            draws.uniform(x, 1.0 + least, 1.0 + most, DType::F32)
        };
        let height = zoom(layer.height_factor, "height_factor")?;
        let width = match layer.width_factor.0 {
            Some(factor) => zoom(factor, "width_factor")?,
            None => height.clone(),
        };
        let [down, across] = [(1, &height), (2, &width)].map(|(axis, zoom)| ((places(x, axis)? - 1.0) / 2.0).mul(1.0 - zoom));
        let numbers = [width, across?, height, down?];
        maps_of([None, Some(0.0), None, Some(0.0), None, None, Some(0.0), Some(0.0)], numbers)?
    };

    /// In training, shears each image along its rows and columns.
    RandomShear {
        /// Along the rows, of what is how far down; not at all unless set.
        #[config(default = 0.0.into(), into)]
        x_factor: FactorWithin<-1, 1>,
        /// Along the columns, of what is how far to the right; not at all unless set.
        #[config(default = 0.0.into(), into)]
        y_factor: FactorWithin<-1, 1>,
    }
    |layer, x, draws| {
        let ([x_least, x_most], [y_least, y_most]) = (layer.x_factor.range("x_factor")?, layer.y_factor.range("y_factor")?);
        let side = draws.uniform(x, 0.0, 1.0, x.dtype())?;
        let ones = side.ones_like()?;
        let sign = side.greater(0.5)?.select(&-&ones, &ones)?;
        let down = draws.uniform(x, y_least, y_most, x.dtype())?.mul(&sign)?.cast(DType::F32)?;
        let across = draws.uniform(x, x_least, x_most, x.dtype())?.mul(&sign)?.cast(DType::F32)?;
        maps_of([Some(1.0), None, Some(0.0), None, Some(1.0), Some(0.0), Some(0.0), Some(0.0)], [across, down])?
    };
}

/// How many places there are along an axis, as a number of float32.
pub(super) fn places(x: &Tensor, axis: usize) -> Result<Tensor> {
    match x.shape().dim(axis) {
        Some(places) => Ok(Tensor::scalar(places as f32)),
        None => x.shape_tensor()?.cast(DType::F32)?.slice(axis as i64),
    }
}

/// Maps of eight numbers each, some the same for all images; `numbers` has the others, each of `[batch]`.
fn maps_of<const N: usize>(fixed: [Option<f64>; 8], numbers: [Tensor; N]) -> Result<Tensor> {
    let (first, mut numbers) = (numbers[0].clone(), numbers.into_iter());
    let columns = fixed.map(|fixed| match fixed {
        Some(fixed) => first.zeros_like()?.add(fixed),
        None => numbers.next().ok_or_else(|| Error::internal("a number for each that is not fixed")),
    });
    Tensor::stack(&columns.into_iter().collect::<Result<Vec<_>>>()?, 1)
}

impl Default for RandomShear {
    fn default() -> Self {
        RandomShear::new()
    }
}
