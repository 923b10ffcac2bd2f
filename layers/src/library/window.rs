//! The settings of windows that slide over images, which convolution and pooling share.

use super::DataFormat;
use modulor::{Error, Result, Shape, Sliding, Tensor, Variable};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One number for each of `N` spatial axes, made from one for all of them or from a list.
///
/// ```
/// use modulor_layers::library::PerAxis;
///
/// assert_eq!(PerAxis::<2>::from(3), PerAxis([3, 3]));
/// assert_eq!(PerAxis::from([1, 2]), PerAxis([1, 2]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerAxis<const N: usize>(pub [usize; N]);

impl<const N: usize> From<usize> for PerAxis<N> {
    fn from(all: usize) -> Self {
        PerAxis([all; N])
    }
}

impl<const N: usize> From<[usize; N]> for PerAxis<N> {
    fn from(each: [usize; N]) -> Self {
        PerAxis(each)
    }
}

impl<const N: usize> Serialize for PerAxis<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for PerAxis<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            All(usize),
            Each(Vec<usize>),
        }
        match Form::deserialize(deserializer)? {
            Form::All(all) => Ok(all.into()),
            Form::Each(each) => <[usize; N]>::try_from(each).map(PerAxis).map_err(|each| {
                serde::de::Error::custom(format!("one number for each of {N} axes is expected, found {each:?}"))
            }),
        }
    }
}

/// What surrounds an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Nothing: windows lie in the image.
    #[default]
    Valid,
    /// Zeros, as many as let there be ⌈places / stride⌉ windows, half of them before, rounded down.
    Same,
    /// Zeros before, so that no window reads what comes after its last place; along one axis alone.
    Causal,
}

impl DataFormat {
    /// The axis of the channels.
    pub(super) fn channels(self) -> isize {
        match self {
            DataFormat::ChannelsLast => -1,
            DataFormat::ChannelsFirst => 1,
        }
    }

    /// The first spatial axis.
    pub(super) fn first_place(self) -> usize {
        match self {
            DataFormat::ChannelsLast => 1,
            DataFormat::ChannelsFirst => 2,
        }
    }

    /// Images with a number for each channel added.
    pub(super) fn add_bias(self, y: &Tensor, bias: &Variable, axes: usize) -> Result<Tensor> {
        match self {
            DataFormat::ChannelsLast => y.bias_add(bias),
            DataFormat::ChannelsFirst => {
                let mut dims = vec![1; axes + 1];
                dims[0] = -1;
                y.add(&bias.read()?.reshape(dims)?)
            }
        }
    }
}

/// How windows of a layer slide.
pub(super) fn sliding(
    strides: &[usize],
    dilations: &[usize],
    size: &[usize],
    padding: Padding,
    format: DataFormat,
) -> Result<Sliding> {
    let sliding = Sliding::new().strides(strides).dilations(dilations);
    let sliding = match padding {
        Padding::Valid => sliding,
        Padding::Same => sliding.same(),
        Padding::Causal => match (size, dilations) {
            ([size], [dilation]) => sliding.padding([[size.saturating_sub(1).saturating_mul(*dilation), 0]]),
            _ => return Err(Error::invalid_argument("`padding` may be causal along one axis alone")),
        },
    };
    Ok(if format == DataFormat::ChannelsFirst { sliding.channels_first() } else { sliding })
}

/// Refuses an input of another rank than that of images with so many axes.
pub(super) fn images(x: &Tensor, axes: usize) -> Result<()> {
    shape_of_images(x.shape(), axes)
}

/// As [`images`], of the shape of an input.
pub(super) fn shape_of_images(x: &Shape, axes: usize) -> Result<()> {
    match x.rank() {
        Some(rank) if rank != axes + 2 => Err(Error::invalid_argument(format!(
            "the input must have {} dims, of a batch, {axes} spatial axes and channels, found shape {x}",
            axes + 2,
        ))),
        _ => Ok(()),
    }
}

/// Refuses 0.
pub(super) fn at_least_one(settings: &[(&str, &[usize])]) -> Result<()> {
    match settings.iter().find(|(_, numbers)| numbers.contains(&0)) {
        Some((name, numbers)) => {
            Err(Error::invalid_argument(format!("`{name}` must be at least 1, found {numbers:?}")))
        }
        None => Ok(()),
    }
}

/// Refuses strides beside dilations, as Keras does.
pub(super) fn strides_or_dilations(strides: &[usize], dilations: &[usize]) -> Result<()> {
    if strides.iter().any(|&stride| stride > 1) && dilations.iter().any(|&dilation| dilation > 1) {
        return Err(Error::invalid_argument(format!(
            "`strides` or `dilation_rate` must be 1, found {strides:?} and {dilations:?}"
        )));
    }
    Ok(())
}
