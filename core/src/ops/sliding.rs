//! Windows that slide over images: the attributes that convolution and pooling share, and what users say of them.

use crate::op::{Attr, Attrs};
use crate::{Error, Result, Shape, Tensor};
use modulor_kernels::{Axis, Format, Images, Padding, Window};

/// How windows slide over images: strides, dilations, what surrounds an image, where its channels are.
///
/// ```
/// use modulor_core::{DType, Sliding, Tensor};
/// # fn main() -> modulor_core::Result<()> {
/// let x = Tensor::ones([1, 5, 5, 3], DType::F32)?;
/// let filter = Tensor::ones([3, 3, 3, 8], DType::F32)?;
/// assert_eq!(*x.convolution(&filter, &Sliding::new())?.shape(), [1, 3, 3, 8]);
/// assert_eq!(*x.convolution(&filter, &Sliding::new().strides([2, 2]).same())?.shape(), [1, 3, 3, 8]);
/// assert_eq!(*x.convolution(&filter, &Sliding::new().dilations([2, 2]))?.shape(), [1, 1, 1, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sliding {
    strides: Vec<usize>,
    dilations: Vec<usize>,
    border: Border,
    channels_first: bool,
}

impl Sliding {
    /// By one place, or for pooling by as many as a window has; without padding, channels last.
    #[must_use]
    pub fn new() -> Sliding {
        Sliding::default()
    }

    /// How far apart two windows are, for each spatial axis.
    #[must_use]
    pub fn strides(mut self, strides: impl Into<Vec<usize>>) -> Sliding {
        self.strides = strides.into();
        self
    }

    /// How far apart two taps of a window are, for each spatial axis; windows of pooling have none but 1.
    #[must_use]
    pub fn dilations(mut self, dilations: impl Into<Vec<usize>>) -> Sliding {
        self.dilations = dilations.into();
        self
    }

    /// As little padding as lets there be ⌈input / stride⌉ windows, half of it before, rounded down, the rest after:
    /// TensorFlow's `SAME`.
    #[must_use]
    pub fn same(mut self) -> Sliding {
        self.border = Border::Same;
        self
    }

    /// So many places of padding before and after, for each spatial axis: TensorFlow's `EXPLICIT`.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Vec<[usize; 2]>>) -> Sliding {
        self.border = Border::Explicit(padding.into());
        self
    }

    /// The channels come before the spatial axes: TensorFlow's `NCHW`.
    #[must_use]
    pub fn channels_first(mut self) -> Sliding {
        self.channels_first = true;
        self
    }

    /// Whether the channels come before the spatial axes.
    pub(super) fn is_channels_first(&self) -> bool {
        self.channels_first
    }

    /// The same over images with an axis of one place before their own.
    pub(super) fn with_axis(&self) -> Sliding {
        let mut all = self.clone();
        for numbers in [&mut all.strides, &mut all.dilations] {
            if !numbers.is_empty() {
                numbers.insert(0, 1);
            }
        }
        if let Border::Explicit(sides) = &mut all.border {
            sides.insert(0, [0, 0]);
        }
        all
    }

    /// As attributes, of windows along so many axes, with these strides where none were said.
    pub(super) fn slide(&self, axes: usize, strides: &[usize]) -> Result<Slide> {
        let three = |what: &str, given: &[usize], default: &[usize]| {
            let given = if given.is_empty() { default } else { given };
            if given.len() != axes {
                return Err(Error::invalid_argument(format!(
                    "{what} are one number for each of {axes} spatial axes, found {given:?}"
                )));
            }
            let mut three = [1; 3];
            three[..axes].copy_from_slice(given);
            Ok(three)
        };
        let slide = Slide {
            axes,
            strides: three("strides", &self.strides, strides)?,
            dilations: three("dilations", &self.dilations, &[1; 3][..axes])?,
            border: self.border.clone(),
            format: if self.channels_first { Format::ChannelsFirst } else { Format::ChannelsLast },
        };
        slide.check()?;
        Ok(slide)
    }
}

/// What surrounds an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Border {
    #[default]
    Valid,
    Same,
    Explicit(Vec<[usize; 2]>),
}

/// The attributes of windows along two or three axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slide {
    pub(super) axes: usize,
    strides: [usize; 3],
    dilations: [usize; 3],
    pub(super) border: Border,
    format: Format,
}

impl Slide {
    pub(super) fn is_channels_first(&self) -> bool {
        self.format == Format::ChannelsFirst
    }

    pub(super) fn parse(attrs: &Attrs, axes: usize) -> Result<Slide> {
        let format = match (&*attrs.string("data_format", layout(axes, false).to_owned())?, axes) {
            ("NHWC", 2) | ("NDHWC", 3) => Format::ChannelsLast,
            ("NCHW", 2) | ("NCDHW", 3) => Format::ChannelsFirst,
            (other, _) => {
                let [last, first] = [false, true].map(|first| layout(axes, first));
                return Err(Error::invalid_argument(format!("data_format is {last} or {first}, found {other}")));
            }
        };
        let first = format == Format::ChannelsFirst;
        let strides = along(attrs, "strides", axes, first)?
            .ok_or_else(|| Error::invalid_argument("attribute `strides` is missing"))?;
        let dilations = along(attrs, "dilations", axes, first)?.unwrap_or([1; 3]);
        let explicit = attrs.ints("explicit_paddings")?;
        let border = match &*attrs.string("padding", None)? {
            "VALID" if explicit.is_empty() => Border::Valid,
            "SAME" if explicit.is_empty() => Border::Same,
            "EXPLICIT" => Border::Explicit(sides(&explicit, axes, first)?),
            "VALID" | "SAME" => {
                let message = format!("explicit_paddings belong to EXPLICIT padding, found {explicit:?}");
                return Err(Error::invalid_argument(message));
            }
            other => {
                let message = format!("padding is SAME, VALID or EXPLICIT, found {other}");
                return Err(Error::invalid_argument(message));
            }
        };
        let slide = Slide { axes, strides, dilations, border, format };
        slide.check()?;
        Ok(slide)
    }

    /// The size of windows that an attribute says.
    pub(super) fn size(&self, attrs: &Attrs) -> Result<[usize; 3]> {
        along(attrs, "ksize", self.axes, self.is_first())?
            .ok_or_else(|| Error::invalid_argument("attribute `ksize` is missing"))
    }

    fn check(&self) -> Result<()> {
        if let Border::Explicit(sides) = &self.border
            && sides.len() != self.axes
        {
            return Err(Error::invalid_argument(format!(
                "padding is two numbers for each of {} spatial axes, found {sides:?}",
                self.axes
            )));
        }
        for (what, numbers) in [("strides", self.strides), ("dilations", self.dilations)] {
            if numbers.contains(&0) {
                return Err(Error::invalid_argument(format!(
                    "{what} must be at least 1, found {:?}",
                    self.of(&numbers)
                )));
            }
        }
        Ok(())
    }

    /// Refuses dilations and explicit padding where an op has no attribute for them.
    pub(super) fn without(&self, op: &str, dilations: bool, explicit: bool) -> Result<()> {
        if dilations && self.dilations != [1; 3] {
            return Err(Error::invalid_argument(format!("{op} takes no dilations, found {:?}", self.dilations())));
        }
        if explicit && let Border::Explicit(sides) = &self.border {
            return Err(Error::invalid_argument(format!("{op} takes padding SAME or VALID, found {sides:?}")));
        }
        Ok(())
    }

    /// As attributes, with those that not every op has where asked.
    pub(super) fn attrs(&self, dilations: bool, explicit: bool) -> Attrs {
        let padding = match self.border {
            Border::Valid => "VALID",
            Border::Same => "SAME",
            Border::Explicit(_) => "EXPLICIT",
        };
        let mut attrs = Attrs::new()
            .with("strides", self.list(&self.strides))
            .with("padding", padding)
            .with("data_format", layout(self.axes, self.is_first()));
        if dilations {
            attrs = attrs.with("dilations", self.list(&self.dilations));
        }
        if explicit {
            let mut paddings = Vec::new();
            if let Border::Explicit(sides) = &self.border {
                paddings = vec![0; 2 * (self.axes + 2)];
                for (i, side) in sides.iter().flatten().enumerate() {
                    paddings[2 * self.axis(0) + i] = *side as i64;
                }
            }
            attrs = attrs.with("explicit_paddings", &*paddings);
        }
        attrs
    }

    /// One number for every axis of an image: 1 for batch and channels.
    pub(super) fn list(&self, numbers: &[usize; 3]) -> Attr {
        let mut all = vec![1; self.axes + 2];
        for (i, &number) in self.of(numbers).iter().enumerate() {
            all[self.axis(i)] = number as i64;
        }
        Attr::from(&*all)
    }

    fn of<'a>(&self, numbers: &'a [usize; 3]) -> &'a [usize] {
        &numbers[..self.axes]
    }

    fn dilations(&self) -> &[usize] {
        self.of(&self.dilations)
    }

    pub(super) fn is_first(&self) -> bool {
        self.format == Format::ChannelsFirst
    }

    /// Where spatial axis `i` of an image is.
    pub(super) fn axis(&self, i: usize) -> usize {
        if self.is_first() { i + 2 } else { i + 1 }
    }

    /// Where the channels of an image are.
    pub(super) fn channels(&self) -> usize {
        if self.is_first() { 1 } else { self.axes + 1 }
    }

    /// The rank of images.
    pub(super) fn rank(&self) -> usize {
        self.axes + 2
    }

    /// The windows along one axis.
    fn along(&self, i: usize, input: usize, size: usize) -> Result<Axis> {
        let sides = if let Border::Explicit(sides) = &self.border { &sides[i..=i] } else { &[] };
        let (stride, dilation) = (self.strides[i], self.dilations[i]);
        let window = Window::new(&[input], &[size], &[stride], &[dilation], self.padding(sides));
        window.map(|window| window.axes()[0]).ok_or_else(|| {
            Error::invalid_argument(format!(
                "no window of {size} places, {dilation} apart, fits on axis {} of {input} places with padding {sides:?}",
                self.axis(i)
            ))
        })
    }

    fn padding<'a>(&self, sides: &'a [[usize; 2]]) -> Padding<'a> {
        match self.border {
            Border::Valid => Padding::Valid,
            Border::Same => Padding::Same,
            Border::Explicit(_) => Padding::Explicit(sides),
        }
    }

    /// The shape of images with these channels that has a place for each window over the images `x`.
    pub(super) fn outputs(
        &self,
        x: &Shape,
        size: impl Fn(usize) -> Option<usize>,
        channels: Option<usize>,
    ) -> Result<Shape> {
        let mut dims = vec![None; self.rank()];
        dims[0] = x.dim(0);
        dims[self.channels()] = channels;
        for i in 0..self.axes {
            let at = self.axis(i);
            if let (Some(input), Some(size)) = (x.dim(at), size(i)) {
                dims[at] = Some(self.along(i, input, size)?.output);
            }
        }
        let shape: Shape = dims.into();
        shape.known().map(crate::shape::count).transpose()?;
        Ok(shape)
    }

    /// The windows over images of these dims.
    pub(super) fn window(&self, x: &[usize], size: &[usize]) -> Option<Window> {
        let input = &x[self.axis(0)..][..self.axes];
        let sides = if let Border::Explicit(sides) = &self.border { &**sides } else { &[] };
        Window::new(input, size, self.of(&self.strides), self.dilations(), self.padding(sides))
    }

    /// The images of these dims.
    pub(super) fn images(&self, x: &[usize]) -> Images {
        Images { format: self.format, batch: x[0], channels: x[self.channels()] }
    }
}

/// More than can be counted.
pub(super) fn too_many() -> Error {
    Error::invalid_argument("the windows, or what they hold, are more than can be counted")
}

fn layout(axes: usize, first: bool) -> &'static str {
    match (axes, first) {
        (2, false) => "NHWC",
        (2, true) => "NCHW",
        (_, false) => "NDHWC",
        (_, true) => "NCDHW",
    }
}

/// The numbers of the spatial axes; those of batch and channels must be 1. `None` where the attribute is missing.
fn along(attrs: &Attrs, name: &str, axes: usize, first: bool) -> Result<Option<[usize; 3]>> {
    let all = attrs.ints(name)?;
    if all.is_empty() {
        return Ok(None);
    }
    let wrong = |what: &str| Error::invalid_argument(format!("{name} are {what}, found {all:?}"));
    if all.len() != axes + 2 {
        return Err(wrong(&format!("one number for each of {} axes", axes + 2)));
    }
    let at = if first { 2 } else { 1 };
    let channels = if first { 1 } else { axes + 1 };
    if all[0] != 1 || all[channels] != 1 {
        let message = format!("{name} are 1 along the batch and the channels, found {all:?}");
        return Err(Error::unimplemented(message));
    }
    let mut three = [1; 3];
    for (to, &from) in three.iter_mut().zip(&all[at..at + axes]) {
        *to = usize::try_from(from).ok().filter(|&n| n > 0).ok_or_else(|| wrong("at least 1"))?;
    }
    Ok(Some(three))
}

/// What is before and after each spatial axis; there is nothing around batch and channels.
fn sides(all: &[i64], axes: usize, first: bool) -> Result<Vec<[usize; 2]>> {
    let wrong = |what: &str| Error::invalid_argument(format!("explicit_paddings are {what}, found {all:?}"));
    let pairs = all.as_chunks::<2>().0;
    if all.len() != 2 * (axes + 2) {
        return Err(wrong(&format!("two numbers for each of {} axes", axes + 2)));
    }
    let at = if first { 2 } else { 1 };
    let channels = if first { 1 } else { axes + 1 };
    if pairs[0] != [0, 0] || pairs[channels] != [0, 0] {
        return Err(wrong("0 around the batch and the channels"));
    }
    let side = |n: i64| usize::try_from(n).map_err(|_| wrong("at least 0"));
    pairs[at..at + axes].iter().map(|&[before, after]| Ok([side(before)?, side(after)?])).collect()
}

/// The spatial axes of images, or of windows: one to three.
pub(super) fn spatial(rank: Option<usize>, what: &str) -> Result<usize> {
    let rank = rank.ok_or_else(|| Error::unimplemented(format!("the rank of {what} is needed, which is unknown")))?;
    rank.checked_sub(2).filter(|axes| (1..=3).contains(axes)).ok_or_else(|| {
        Error::invalid_argument(format!("{what} must have one to three spatial axes, rank 3 to 5, found rank {rank}"))
    })
}

/// The dims of a tensor as int32, for the ops that take sizes.
pub(super) fn sizes(x: &Tensor) -> Result<Tensor> {
    if let Some(dims) = x.shape().known() {
        return Tensor::new([dims.len()], dims.iter().map(|&dim| dim as i32).collect::<Vec<_>>());
    }
    x.shape_tensor()?.cast(crate::DType::I32)
}

/// A shape from an input that holds its dims, where they are known.
pub(super) fn shape_of(dims: Option<Vec<i64>>, rank: usize, what: &str) -> Result<Shape> {
    let Some(dims) = dims else { return Ok(Shape::of_rank(rank)) };
    let wrong = || Error::invalid_argument(format!("{what} are {rank} dims, found {dims:?}"));
    if dims.len() != rank {
        return Err(wrong());
    }
    let known = dims.iter().map(|&dim| usize::try_from(dim).map_err(|_| wrong())).collect::<Result<Vec<_>>>()?;
    crate::shape::count(&known)?;
    Ok(Shape::from(known.as_slice()))
}
