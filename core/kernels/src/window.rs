//! The geometry that convolution and pooling share: windows that slide along up to three axes of images.

use std::ops::Range;

/// Where the channels of images lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Batch, spatial axes, channels: TensorFlow's NWC, NHWC, NDHWC.
    ChannelsLast,
    /// Batch, channels, spatial axes: NCW, NCHW, NCDHW.
    ChannelsFirst,
}

/// Images of one size, each of so many channels, in row-major order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Images {
    /// Where the channels lie.
    pub format: Format,
    /// How many images there are.
    pub batch: usize,
    /// The channels of each.
    pub channels: usize,
}

impl Images {
    /// The elements of images of so many places; none where a `usize` does not hold their number.
    pub fn elements(&self, places: usize) -> Option<usize> {
        self.batch.checked_mul(self.channels)?.checked_mul(places)
    }

    /// How far apart two channels and two neighbouring places are in images of so many places.
    pub(crate) fn steps(&self, places: usize) -> (usize, usize) {
        match self.format {
            Format::ChannelsLast => (1, self.channels),
            Format::ChannelsFirst => (places, 1),
        }
    }
}

/// What surrounds an image, as TensorFlow names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding<'a> {
    /// Nothing: windows lie in the image.
    Valid,
    /// As little as lets there be ⌈input / stride⌉ windows, half of it before, rounded down, and the rest after.
    Same,
    /// So many places before and after, for each spatial axis.
    Explicit(&'a [[usize; 2]]),
}

/// Windows along one axis: window `o` has its tap `t` at place `o·stride + t·dilation − before` of the input, or in the
/// padding.
///
/// No such sum overflows: places of the padded input are numbers of an `isize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The places of the input.
    pub input: usize,
    /// The taps of a window, at least one.
    pub size: usize,
    /// How far apart two windows are, at least 1.
    pub stride: usize,
    /// How far apart two taps are, at least 1.
    pub dilation: usize,
    /// The padding before the first place.
    pub before: usize,
    /// The padding after the last place.
    pub after: usize,
    /// The windows there are.
    pub output: usize,
}

impl Axis {
    /// An axis that has one place and one window.
    const ONE: Self = Self { input: 1, size: 1, stride: 1, dilation: 1, before: 0, after: 0, output: 1 };

    /// Windows with so many places of padding before and after; as [`Padding::Same`] has it where that is not said.
    fn new([input, size, stride, dilation]: [usize; 4], sides: Option<[usize; 2]>) -> Option<Self> {
        if size == 0 || stride == 0 || dilation == 0 {
            return None;
        }
        let reach = (size - 1).checked_mul(dilation)?.checked_add(1)?;
        let [before, after] = match sides {
            Some(sides) => sides,
            None => {
                let last = input.div_ceil(stride).saturating_sub(1) * stride;
                let whole = last.checked_add(reach)?.saturating_sub(input);
                [whole / 2, whole - whole / 2]
            }
        };
        let padded = input.checked_add(before)?.checked_add(after)?;
        isize::try_from(padded.max(reach).checked_add(stride.checked_mul(2)?)?).ok()?;
        let output = match sides {
            None => input.div_ceil(stride),
            // Less than 0 windows are too few; between −1 and 0 rounds to 0, as in TensorFlow.
            Some(_) if padded + 2 * stride <= reach => return None,
            Some(_) => (padded + stride).saturating_sub(reach) / stride,
        };
        Some(Self { input, size, stride, dilation, before, after, output })
    }

    /// The taps of window `output` that lie in the input.
    #[inline(always)]
    pub(crate) fn taps(&self, output: usize) -> Range<usize> {
        let first = output * self.stride;
        let start = self.before.saturating_sub(first).div_ceil(self.dilation);
        let end = (self.input + self.before).saturating_sub(first).div_ceil(self.dilation).min(self.size);
        start.min(end)..end
    }

    /// The windows whose tap `tap` lies in the input.
    #[inline(always)]
    pub(crate) fn windows(&self, tap: usize) -> Range<usize> {
        let first = tap * self.dilation;
        let start = self.before.saturating_sub(first).div_ceil(self.stride);
        let end = (self.input + self.before).saturating_sub(first).div_ceil(self.stride).min(self.output);
        start.min(end)..end
    }

    /// The place of the input where window `output` has its tap `tap`, one that lies there.
    #[inline(always)]
    pub(crate) fn place(&self, output: usize, tap: usize) -> usize {
        output * self.stride + tap * self.dilation - self.before
    }
}

/// Windows of one size that slide over images of one size.
///
/// ```
/// use modulor_kernels::{Padding, Window};
///
/// let window = Window::new(&[5, 4], &[3, 2], &[2, 2], &[1, 1], Padding::Same).expect("it fits");
/// let [rows, columns] = window.axes() else { panic!("two axes were given") };
/// assert_eq!((rows.output, rows.before, rows.after), (3, 1, 1));
/// assert_eq!((columns.output, columns.before, columns.after), (2, 0, 0));
/// assert_eq!((window.inputs(), window.taps(), window.outputs()), (20, 6, 6));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Axes that were not given come first.
    axes: [Axis; 3],
    given: usize,
}

impl Window {
    /// Windows over images of `input` places along each of one to three axes; of `size` taps, with strides and dilations.
    ///
    /// None where the lists differ in length, a size, stride or dilation is 0, places or windows are more than there are
    /// numbers, taps more than a `u32` counts, or the input is so small that TensorFlow counts less than 0 windows.
    pub fn new(
        input: &[usize],
        size: &[usize],
        strides: &[usize],
        dilations: &[usize],
        padding: Padding,
    ) -> Option<Self> {
        let given = input.len();
        let lists = [size.len(), strides.len(), dilations.len()];
        let explicit = if let Padding::Explicit(sides) = padding { sides.len() } else { given };
        if given == 0 || given > 3 || lists != [given; 3] || explicit != given {
            return None;
        }
        let mut axes = [Axis::ONE; 3];
        for (i, axis) in axes[3 - given..].iter_mut().enumerate() {
            let sides = match padding {
                Padding::Valid => Some([0, 0]),
                Padding::Same => None,
                Padding::Explicit(sides) => Some(sides[i]),
            };
            *axis = Axis::new([input[i], size[i], strides[i], dilations[i]], sides)?;
        }
        let count = |of: fn(&Axis) -> usize| axes.iter().try_fold(1_usize, |all, axis| all.checked_mul(of(axis)));
        count(|axis| axis.input)?;
        count(|axis| axis.output)?;
        u32::try_from(count(|axis| axis.size)?).ok()?;
        Some(Self { axes, given })
    }

    /// The axes that were given.
    pub fn axes(&self) -> &[Axis] {
        &self.axes[3 - self.given..]
    }

    /// Three axes: those that were given, after others of one place and one window.
    pub(crate) fn three(&self) -> &[Axis; 3] {
        &self.axes
    }

    /// The places of an image.
    pub fn inputs(&self) -> usize {
        self.axes.iter().map(|axis| axis.input).product()
    }

    /// The places of a window.
    pub fn taps(&self) -> usize {
        self.axes.iter().map(|axis| axis.size).product()
    }

    /// The windows over an image.
    pub fn outputs(&self) -> usize {
        self.axes.iter().map(|axis| axis.output).product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output, and padding before and after, along one axis.
    fn axis(input: usize, size: usize, stride: usize, dilation: usize, padding: Padding) -> Option<[usize; 3]> {
        let window = Window::new(&[input], &[size], &[stride], &[dilation], padding)?;
        Some([window.axes()[0].output, window.axes()[0].before, window.axes()[0].after])
    }

    #[test]
    fn there_are_as_many_windows_as_in_tensorflow() {
        assert_eq!(axis(7, 3, 2, 1, Padding::Valid), Some([3, 0, 0]));
        assert_eq!(axis(8, 3, 2, 1, Padding::Valid), Some([3, 0, 0]));
        assert_eq!(axis(8, 3, 1, 3, Padding::Valid), Some([2, 0, 0]));
        assert_eq!(axis(2, 3, 1, 1, Padding::Valid), Some([0, 0, 0]));
        assert_eq!(axis(1, 3, 1, 1, Padding::Valid), None);
        assert_eq!(axis(0, 3, 2, 1, Padding::Valid), Some([0, 0, 0]));
        assert_eq!(axis(0, 4, 2, 1, Padding::Valid), None);
        assert_eq!(axis(7, 3, 2, 1, Padding::Same), Some([4, 1, 1]));
        assert_eq!(axis(8, 3, 2, 1, Padding::Same), Some([4, 0, 1]));
        assert_eq!(axis(5, 2, 1, 3, Padding::Same), Some([5, 1, 2]));
        assert_eq!(axis(5, 1, 3, 1, Padding::Same), Some([2, 0, 0]));
        assert_eq!(axis(0, 3, 1, 1, Padding::Same).map(|[output, ..]| output), Some(0));
        assert_eq!(axis(5, 3, 2, 1, Padding::Explicit(&[[2, 1]])), Some([3, 2, 1]));
    }

    #[test]
    fn absurd_numbers_are_refused() {
        let most = usize::MAX;
        for padding in [Padding::Valid, Padding::Same, Padding::Explicit(&[[most, most]])] {
            for [input, size, stride, dilation] in
                [[most, 1, 1, 1], [4, most, 1, 1], [4, 2, most, 1], [4, 2, 1, most], [4, most, most, most]]
            {
                assert_eq!(axis(input, size, stride, dilation, padding), None);
            }
            for i in 0..3 {
                let mut zero = [1; 3];
                zero[i] = 0;
                assert_eq!(axis(5, zero[0], zero[1], zero[2], padding), None);
            }
        }
        let big = [1 << 30; 3];
        assert_eq!(Window::new(&big, &[1; 3], &[1; 3], &[1; 3], Padding::Same), None, "2⁹⁰ places");
        assert_eq!(Window::new(&[], &[], &[], &[], Padding::Same), None);
        assert_eq!(Window::new(&[1; 4], &[1; 4], &[1; 4], &[1; 4], Padding::Same), None);
        assert_eq!(Window::new(&[1; 2], &[1], &[1; 2], &[1; 2], Padding::Same), None);
        assert_eq!(Window::new(&[1; 2], &[1; 2], &[1; 2], &[1; 2], Padding::Explicit(&[[0, 0]])), None);
        assert_eq!(Window::new(&[1; 2], &[1 << 16; 2], &[1; 2], &[1; 2], Padding::Same), None, "2³² taps");
        let images = Images { format: Format::ChannelsLast, batch: most, channels: 2 };
        assert_eq!(images.elements(1), None);
    }

    #[test]
    fn taps_and_windows_are_those_in_the_input() {
        for [input, size, stride, dilation, before, after] in
            [[5, 3, 1, 1, 1, 1], [5, 3, 2, 2, 3, 4], [4, 2, 3, 5, 2, 9], [1, 2, 1, 2, 1, 1], [6, 5, 4, 1, 7, 7]]
        {
            let padding = [[before, after]];
            let window = Window::new(&[input], &[size], &[stride], &[dilation], Padding::Explicit(&padding));
            let axis = window.expect("it fits").axes()[0];
            for output in 0..axis.output {
                for tap in 0..size {
                    let place = (output * stride + tap * dilation).wrapping_sub(before);
                    assert_eq!(axis.taps(output).contains(&tap), place < input);
                    assert_eq!(axis.windows(tap).contains(&output), place < input);
                    if place < input {
                        assert_eq!(axis.place(output, tap), place);
                    }
                }
            }
        }
    }
}
