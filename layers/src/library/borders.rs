//! Zeros around images, and borders cut away from them.

use super::DataFormat;
use super::settings::defaults;
use super::window::images;
use modulor::{DTypePolicy, Error, Index, Layer, Module, Result, Tensor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many places there are before and after an image, along each of `N` spatial axes.
///
/// Made from one number for all sides; from one for each axis, for both its sides; or from a pair for each axis, which along
/// one axis stands alone.
///
/// ```
/// use modulor_layers::library::Sides;
///
/// assert_eq!(Sides::<2>::from(3), Sides([[3, 3], [3, 3]]));
/// assert_eq!(Sides::<2>::from([1, 2]), Sides([[1, 1], [2, 2]]));
/// assert_eq!(Sides::<2>::from([[1, 2], [3, 4]]), Sides([[1, 2], [3, 4]]));
/// assert_eq!(Sides::<1>::from([1, 2]), Sides([[1, 2]]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides<const N: usize>(pub [[usize; 2]; N]);

impl<const N: usize> From<usize> for Sides<N> {
    fn from(all: usize) -> Self {
        Sides([[all; 2]; N])
    }
}

impl<const N: usize> From<[[usize; 2]; N]> for Sides<N> {
    fn from(each: [[usize; 2]; N]) -> Self {
        Sides(each)
    }
}

impl From<[usize; 2]> for Sides<1> {
    fn from(sides: [usize; 2]) -> Self {
        Sides([sides])
    }
}

impl From<[usize; 2]> for Sides<2> {
    fn from(each: [usize; 2]) -> Self {
        Sides(each.map(|side| [side; 2]))
    }
}

impl From<[usize; 3]> for Sides<3> {
    fn from(each: [usize; 3]) -> Self {
        Sides(each.map(|side| [side; 2]))
    }
}

impl<const N: usize> Serialize for Sides<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match &self.0[..] {
            [sides] => sides.serialize(serializer),
            each => each.serialize(serializer),
        }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Sides<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Debug, Deserialize)]
        #[serde(untagged)]
        enum Form {
            Both(usize),
            Each([usize; 2]),
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Forms {
            All(usize),
            Axes(Vec<Form>),
        }
        let forms = match Forms::deserialize(deserializer)? {
            Forms::All(all) => return Ok(all.into()),
            Forms::Axes(forms) => forms,
        };
        if let (1, [Form::Both(before), Form::Both(after)]) = (N, &forms[..]) {
            return Ok(Sides([[*before, *after]; N]));
        }
        let axes = forms.iter().map(|form| match form {
            Form::Both(side) => [*side; 2],
            Form::Each(sides) => *sides,
        });
        <[[usize; 2]; N]>::try_from(axes.collect::<Vec<_>>()).map(Sides).map_err(|_| {
            serde::de::Error::custom(format!("two numbers for each of {N} axes are expected, found {forms:?}"))
        })
    }
}

/// An image in zeros.
fn padded<const N: usize>(x: &Tensor, Sides(sides): Sides<N>, format: DataFormat) -> Result<Tensor> {
    images(x, N)?;
    let mut paddings = vec![[0; 2]; N + 2];
    for (padding, sides) in paddings[format.first_place()..].iter_mut().zip(sides) {
        *padding = sides.map(|side| i64::try_from(side).unwrap_or(i64::MAX));
    }
    x.pad(paddings)
}

/// What is left of an image.
fn cropped<const N: usize>(x: &Tensor, Sides(sides): Sides<N>, format: DataFormat) -> Result<Tensor> {
    images(x, N)?;
    let first = format.first_place();
    let whole = Index::Range { start: None, end: None, step: 1 };
    let mut indices = vec![whole; first];
    for (i, [before, after]) in sides.into_iter().enumerate() {
        let dim = x.shape().dim(first + i);
        if let Some(dim) = dim.filter(|&dim| before.saturating_add(after) >= dim) {
            let message = format!(
                "`cropping` [{before}, {after}] leaves nothing of axis {} of {dim} places, found an input of shape {}",
                first + i,
                x.shape()
            );
            return Err(Error::invalid_argument(message));
        }
        let [start, end] = [before, after].map(|side| i64::try_from(side).unwrap_or(i64::MAX));
        indices.push(Index::Range { start: Some(start), end: (end > 0).then_some(-end), step: 1 });
    }
    x.slice(indices)
}

/// The layers that work on the borders of images, by the function that does it and the number of axes: the setting, and what it
/// is unless set.
macro_rules! borders {
    ($($(#[$doc:meta])* $class:ident $function:ident $axes:literal; $(#[$what:meta])* $sides:ident = $default:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Module)]
        #[module(package = "keras.layers")]
        pub struct $class {
            /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
            #[config(default, into)]
            dtype: DTypePolicy,
            $(#[$what])*
            #[config(default = $default.into(), into)]
            $sides: Sides<$axes>,
            /// Where the channels are; last unless set.
            #[config(default)]
            data_format: DataFormat,
        }

        impl Layer for $class {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                $function(x, self.$sides, self.data_format)
            }
        }

        defaults! { $class }
    )* };
}

borders! {
    /// A sequence with zeros before and after: `[batch, steps, channels]` becomes `[batch, before + steps + after, channels]`;
    /// with [`DataFormat::ChannelsFirst`] the channels come second in both.
    ///
    /// ```
    /// use modulor::{Call, Tensor};
    /// use modulor_layers::library::ZeroPadding1D;
    /// # fn main() -> modulor::Result<()> {
    /// let y = ZeroPadding1D::new().padding([2, 0]).call(&Tensor::from([[[1.0_f32], [5.0]]]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 0.0, 1.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    ZeroPadding1D padded 1;
    /// How many zeros there are on each side; 1 unless set.
    padding = 1;
    /// An image with zeros around it: `[batch, rows, columns, channels]` gets more rows and columns; with
    /// [`DataFormat::ChannelsFirst`] the channels come second.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::ZeroPadding2D;
    /// # fn main() -> modulor::Result<()> {
    /// let x = Tensor::zeros([2, 7, 7, 3], DType::F32)?;
    /// assert_eq!(*ZeroPadding2D::new().call(&x)?.shape(), [2, 9, 9, 3]);
    /// assert_eq!(*ZeroPadding2D::new().padding([[0, 1], [2, 3]]).call(&x)?.shape(), [2, 8, 12, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ZeroPadding2D padded 2;
    /// How many zeros there are on each side; 1 unless set.
    padding = 1;
    /// A volume with zeros around it: `[batch, places.., channels]` gets more places along three axes; with
    /// [`DataFormat::ChannelsFirst`] the channels come second.
    ZeroPadding3D padded 3;
    /// How many zeros there are on each side; 1 unless set.
    padding = 1;
    /// An image without its border: `[batch, rows, columns, channels]` gets fewer rows and columns, of which some must be left;
    /// with [`DataFormat::ChannelsFirst`] the channels come second.
    ///
    /// ```
    /// use modulor::{Call, DType, Tensor};
    /// use modulor_layers::library::Cropping2D;
    /// # fn main() -> modulor::Result<()> {
    /// let y = Cropping2D::new().cropping([[2, 2], [4, 0]]).call(&Tensor::zeros([2, 28, 28, 3], DType::F32)?)?;
    /// assert_eq!(*y.shape(), [2, 24, 24, 3]);
    /// # Ok(())
    /// # }
    /// ```
    Cropping2D cropped 2;
    /// How many places go on each side; none unless set.
    cropping = 0;
    /// A volume without its border: `[batch, places.., channels]` gets fewer places along three axes, of which some must be
    /// left; with [`DataFormat::ChannelsFirst`] the channels come second.
    Cropping3D cropped 3;
    /// How many places go on each side; 1 unless set.
    cropping = 1;
}

/// A sequence without its first and last steps: `[batch, steps, channels]` gets fewer steps, of which some must be left.
///
/// ```
/// use modulor::{Call, Tensor};
/// use modulor_layers::library::Cropping1D;
/// # fn main() -> modulor::Result<()> {
/// let y = Cropping1D::new().cropping([1, 0]).call(&Tensor::from([[[1.0_f32], [5.0], [7.0]]]))?;
/// assert_eq!(y.to_vec::<f32>()?, [5.0, 7.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.layers")]
pub struct Cropping1D {
    /// What it computes in and keeps its variables in, by name or as a [`DTypePolicy`]; the ambient policy unless set.
    #[config(default, into)]
    dtype: DTypePolicy,
    /// How many steps go on each side; 1 unless set.
    #[config(default = 1.into(), into)]
    cropping: Sides<1>,
}

impl Layer for Cropping1D {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        cropped(x, self.cropping, DataFormat::ChannelsLast)
    }
}

defaults! { Cropping1D }
