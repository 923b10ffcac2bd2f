//! Convolution of images and its gradients, as products of matrices: the patches of the images, which are packed from the
//! images themselves, times the filters.
//!
//! A sum goes over the taps, in row-major order, and the channels of each, in the order of a product of so many terms.

mod along;
mod patches;
mod spread;

use std::ops::Range;

use half::{bf16, f16};

use crate::dispatch::by_instruction_set;
use crate::expression::Elementwise;
use crate::instruction_set::instruction_set;
use crate::matmul::{Epilogue, Factor, Finish, Lanes, Rows, products, products_scratch, side_by_side};
use crate::number::{Number, finish};
use crate::operation::{Binary, Unary};
use crate::parts::divide_slice;
use crate::strided::Strided;
use crate::window::{Axis, Format, Images, Window};
use along::{Units, sums_along};
use patches::{Patch, Patches, Slide};
use spread::{Grid, Spread};

/// What a convolution is of: images, the windows over them, and how many filters there are in how many groups.
///
/// The input is the images; the output is as many images of the same format, with a place for each window and a channel for
/// each filter; the filters are [taps.., channels / groups, filters] in row-major order. Filters, in order, and channels are
/// divided evenly into groups, and each filter reads the channels of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    images: Images,
    window: Window,
    filters: usize,
    groups: usize,
}

impl Filters {
    /// None where groups do not divide channels and filters, or a `usize` does not hold the elements of input, filters or
    /// output.
    pub fn new(images: Images, window: Window, filters: usize, groups: usize) -> Option<Self> {
        if groups == 0 || !images.channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
            return None;
        }
        images.elements(window.inputs())?;
        Images { channels: filters, ..images }.elements(window.outputs())?;
        window.taps().checked_mul(images.channels / groups)?.checked_mul(filters)?;
        Some(Self { images, window, filters, groups })
    }

    /// The elements of the input.
    pub fn inputs(&self) -> usize {
        self.images.batch * self.images.channels * self.window.inputs()
    }

    /// The elements of the filters.
    pub fn weights(&self) -> usize {
        self.window.taps() * (self.images.channels / self.groups) * self.filters
    }

    /// The elements of the output.
    pub fn outputs(&self) -> usize {
        self.images.batch * self.filters * self.window.outputs()
    }

    /// The channels and the filters of a group.
    fn group(&self) -> [usize; 2] {
        [self.images.channels / self.groups, self.filters / self.groups]
    }

    /// The sizes of each product whose results go to so many positions of each image, and how many products there are.
    fn sizes(&self, spread: &Spread, [positions, k, lanes]: [usize; 3]) -> ([usize; 3], usize) {
        let (positions, images) = (spread.together() * positions, self.images.batch / spread.together().max(1));
        let sizes = if spread.is_last() { [positions, k, lanes] } else { [lanes, k, positions] };
        (sizes, images * self.groups)
    }

    /// The input as places to read from.
    fn input(&self) -> Grid {
        Grid::new(self.images, self.window.three().map(|axis| axis.input))
    }

    /// The output as places to read from.
    fn output(&self) -> Grid {
        let images = Images { channels: self.filters, ..self.images };
        Grid::new(images, self.window.three().map(|axis| axis.output))
    }

    fn slides(&self) -> [Slide; 3] {
        let (axes, grid) = (self.window.three(), self.input());
        std::array::from_fn(|i| Slide {
            places: axes[i].input,
            pitch: grid.pitches[i],
            positions: axes[i].output,
            taps: axes[i].size,
            start: -(axes[i].before as isize),
            step: axes[i].stride,
            tap: axes[i].dilation as isize,
        })
    }
}

/// The floats that images are made of.
///
/// Tensors are row-major slices, of the sizes that [`Filters`] says; outputs are overwritten, and scratch may hold anything.
/// Results err by at most 4·eps·Σ|terms| where terms do not conspire. f16 and bf16 are computed in f32 and rounded once. Bits
/// do not depend on the number of threads, nor on how many images there are but for the filters' gradient.
///
/// Every function panics when a slice has another length, or scratch is shorter than its function says.
pub trait Convolution: Number {
    /// The elements of scratch that [`convolution`](Self::convolution) wants.
    fn convolution_scratch(of: &Filters) -> usize;

    /// Writes, for each window, the sum of the products of its taps' channels with each filter; the padding is zeros.
    ///
    /// ```
    /// use modulor_kernels::{Convolution, Filters, Format, Images, Padding, Window};
    ///
    /// let window = Window::new(&[5], &[3], &[1], &[1], Padding::Valid).expect("it fits");
    /// let images = Images { format: Format::ChannelsLast, batch: 1, channels: 1 };
    /// let of = Filters::new(images, window, 1, 1).expect("it fits");
    /// let mut out = [0.0_f32; 3];
    /// let mut scratch = vec![0.0; f32::convolution_scratch(&of)];
    /// f32::convolution(&of, &[1.0, 2.0, 3.0, 4.0, 5.0], &[1.0, 0.0, -1.0], &mut out, &mut scratch);
    /// assert_eq!(out, [-2.0; 3]);
    /// ```
    fn convolution(of: &Filters, input: &[Self], filters: &[Self], output: &mut [Self], scratch: &mut [Self]);

    /// As [`convolution`](Self::convolution), and `activation(.. + bias)` in the same pass, with one element of the bias for
    /// each filter: the bits are those of one kernel after the other.
    ///
    /// # Panics
    /// When the bias has another length, too.
    fn convolution_with(
        of: &Filters,
        input: &[Self],
        filters: &[Self],
        follows: (Option<&[Self]>, Option<Unary>),
        output: &mut [Self],
        scratch: &mut [Self],
    );

    /// The elements of scratch that [`input_gradient`](Self::input_gradient) wants.
    fn input_gradient_scratch(of: &Filters) -> usize;

    /// Writes the gradient with respect to the input, given that with respect to the output: the transposed convolution.
    fn input_gradient(of: &Filters, gradient: &[Self], filters: &[Self], input: &mut [Self], scratch: &mut [Self]);

    /// The elements of scratch that [`filters_gradient`](Self::filters_gradient) wants.
    fn filters_gradient_scratch(of: &Filters) -> usize;

    /// Writes the gradient with respect to the filters, given the input and the gradient with respect to the output.
    fn filters_gradient(of: &Filters, input: &[Self], gradient: &[Self], filters: &mut [Self], scratch: &mut [Self]);
}

/// Filters as a factor: for each group, lanes that are the channels of the product's result.
#[derive(Clone, Copy)]
struct Weights<'a, T> {
    lanes: Lanes<'a, T>,
    /// From one group to the next.
    group: usize,
}

/// Writes the product of patches and weights for each group to the places of `spread`, whose channels are the weights' lanes.
fn multiply<T: Factor>(
    of: &Filters,
    patches: &Patches<T>,
    weights: Weights<T>,
    sizes: [usize; 3],
    spread: Spread,
    finish: Option<&Finish<T>>,
    (out, scratch): (&mut [T], &mut [T]),
) {
    let (lanes, together) = (sizes[2], spread.together());
    let (sizes, count) = of.sizes(&spread, sizes);
    let groups: usize = of.groups;
    let weights =
        |group: usize| Lanes { offset: weights.lanes.offset + (group * weights.group) as isize, ..weights.lanes };
    // A group's patches have the channels after those of the group before.
    let grouped = |group: usize| group * patches.channels * patches.channel;
    // SAFETY: places of a spread are distinct, and so are the channels of groups and the images; weights are as many as the
    // filters have.
    #[allow(unsafe_code)]
    unsafe {
        if spread.is_last() {
            let parts = |group: usize| {
                let left = Patch::<T, false>::new(patches, grouped(group), of.images.batch);
                (left, weights(group), spread.part(0, group * lanes))
            };
            products(sizes, count, &parts, false, finish, out, scratch);
        } else {
            let parts = |index: usize| {
                let (image, group) = (index / groups, index % groups);
                let right = Patch::<T, false>::new(patches, image * patches.image + grouped(group), together);
                (weights(group), right, spread.part(image, group * lanes))
            };
            products(sizes, count, &parts, false, None, out, scratch);
        }
    }
}

fn convolution_scratch<T: Factor>(of: &Filters) -> usize {
    if of.outputs() == 0 {
        return 0;
    }
    let [channels, lanes] = of.group();
    let spread = Spread::whole(of.output());
    let (sizes, _) = of.sizes(&spread, [of.window.outputs(), of.window.taps() * channels, lanes]);
    products_scratch::<T>(sizes, spread, false)
}

/// What follows a convolution: a bias for each filter, and a function of each element.
type Follows<'a, T> = (Option<&'a [T]>, Option<Unary>);

fn convolution_with<T: Factor + Number>(
    of: &Filters,
    (input, filters): (&[T], &[T]),
    (bias, activation): Follows<T>,
    finish: impl Fn(Epilogue<'_, T>) -> Finish<'_, T>,
    output: &mut [T],
    scratch: &mut [T],
) {
    assert!(bias.is_none_or(|bias| bias.len() == of.filters), "a bias has an element for each filter");
    if of.groups == 1 && Spread::whole(of.output()).is_last() {
        let finish = finish(Epilogue { bias, activation, add: None, accumulate: false });
        return convolution(of, input, filters, Some(&finish), output, scratch);
    }
    convolution(of, input, filters, None, output, scratch);
    if let Some(bias) = bias {
        let (positions, filters) = (of.window.outputs(), of.filters);
        let (shape, strides) = match of.images.format {
            Format::ChannelsLast => ([of.images.batch, positions, filters], [0, 0, 1]),
            Format::ChannelsFirst => ([of.images.batch, filters, positions], [0, 1, 0]),
        };
        let bias = Strided::new(bias, &shape, &strides, 0).expect("there is one for each filter");
        T::binary_over(Binary::Add, output, true, bias).expect("floats are added");
    }
    if let Some(op) = activation {
        T::unary_over(op, output).expect("floats take every function");
    }
}

fn convolution<T: Factor>(
    of: &Filters,
    input: &[T],
    filters: &[T],
    finish: Option<&Finish<T>>,
    output: &mut [T],
    scratch: &mut [T],
) {
    check(of, input, filters, output);
    if output.is_empty() {
        return;
    }
    let [channels, lanes] = of.group();
    let grid = of.input();
    let patches = Patches::new(input, &grid, of.slides(), channels);
    let columns = Lanes { data: filters, offset: 0, lane: 1, depth: of.filters as isize };
    let weights = Weights { lanes: columns, group: lanes };
    let sizes = [of.window.outputs(), of.window.taps() * channels, lanes];
    multiply(of, &patches, weights, sizes, Spread::whole(of.output()), finish, (output, scratch));
}

/// Windows as seen from the places of the input along one axis that have the same remainder by the stride: those which read
/// place `first + i·stride` have their taps `tap + j·every` there, at window `start + i − j·step`.
#[derive(Clone, Copy)]
struct Residue {
    first: usize,
    places: usize,
    tap: usize,
    every: usize,
    taps: usize,
    start: isize,
    step: usize,
}

impl Residue {
    fn new(axis: &Axis, first: usize) -> Self {
        let divisor = gcd(axis.stride, axis.dilation);
        let (every, step) = (axis.stride / divisor, axis.dilation / divisor);
        let places = (axis.input - first).div_ceil(axis.stride);
        // The sum is a place of the padded input, and the product one within a window's reach.
        let reads = |tap: &usize| (first + axis.before).abs_diff(tap * axis.dilation).is_multiple_of(axis.stride);
        let Some(tap) = (0..every.min(axis.size)).find(reads) else {
            return Self { first, places, tap: 0, every, taps: 0, start: 0, step };
        };
        let ahead = (first + axis.before) as isize - (tap * axis.dilation) as isize;
        let taps = (axis.size - tap).div_ceil(every);
        Self { first, places, tap, every, taps, start: ahead / axis.stride as isize, step }
    }

    /// All of them, for each of the axes.
    fn all(of: &Filters) -> impl Iterator<Item = [Self; 3]> {
        let axes = *of.window.three();
        let [x, y, z] = axes.map(|axis| axis.stride.min(axis.input));
        (0..x * y * z).map(move |index| {
            let firsts = [index / (y * z), index / z % y, index % z];
            std::array::from_fn(|i| Self::new(&axes[i], firsts[i]))
        })
    }
}

/// The places of the input that a product gives, and its positions and taps.
fn results(of: &Filters, residues: &[Residue; 3]) -> (Spread, [usize; 2]) {
    let counts = residues.map(|residue| residue.places);
    let strides = of.window.three().map(|axis| axis.stride);
    let spread = Spread::some(of.input(), residues.map(|residue| residue.first), strides, counts);
    (spread, [counts.iter().product(), residues.iter().map(|residue| residue.taps).product()])
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The elements of the filters that are rearranged for the gradient of the input: none where there is one tap.
fn rearranged(of: &Filters) -> usize {
    if of.window.taps() == 1 { 0 } else { of.weights() }
}

fn input_gradient_scratch<T: Factor>(of: &Filters) -> usize {
    if of.inputs() == 0 {
        return 0;
    }
    let [channels, lanes] = of.group();
    let scratch = |residues| {
        let (spread, [positions, taps]) = results(of, &residues);
        let (sizes, _) = of.sizes(&spread, [positions, taps * lanes, channels]);
        products_scratch::<T>(sizes, spread, false)
    };
    rearranged(of) + Residue::all(of).map(scratch).max().unwrap_or(0)
}

fn input_gradient<T: Factor>(of: &Filters, gradient: &[T], filters: &[T], input: &mut [T], scratch: &mut [T]) {
    check(of, input, filters, gradient);
    if input.is_empty() {
        return;
    }
    let [channels, lanes] = of.group();
    let (turned, scratch) = scratch.split_at_mut(rearranged(of));
    let (axes, grid) = (of.window.three(), of.output());
    for residues in Residue::all(of) {
        let (spread, [positions, taps]) = results(of, &residues);
        let weights = if turned.is_empty() {
            // The lanes are channels of the one tap.
            let columns = Lanes { data: filters, offset: 0, lane: of.filters as isize, depth: 1 };
            Weights { lanes: columns, group: lanes }
        } else {
            let turned = &mut turned[..of.groups * taps * lanes * channels];
            rearrange(of, &residues, filters, turned);
            Weights {
                lanes: Lanes { data: turned, offset: 0, lane: 1, depth: channels as isize },
                group: taps * lanes * channels,
            }
        };
        let slides = std::array::from_fn(|i| Slide {
            places: axes[i].output,
            pitch: grid.pitches[i],
            positions: residues[i].places,
            taps: residues[i].taps,
            start: residues[i].start,
            step: 1,
            tap: -(residues[i].step as isize),
        });
        let patches = Patches::new(gradient, &grid, slides, lanes);
        let sizes = [positions, taps * lanes, channels];
        multiply(of, &patches, weights, sizes, spread, None, (&mut *input, &mut *scratch));
    }
}

/// Filters, and channels of each, that are rearranged together.
const TOGETHER: usize = 16;
/// Picoseconds that an element of the filters takes which is rearranged.
const REARRANGED: usize = 500;

/// Writes the filters' taps of a residue as [groups, taps, filters of the group, channels of the group].
fn rearrange<T: Factor>(of: &Filters, residues: &[Residue; 3], filters: &[T], turned: &mut [T]) {
    let [channels, lanes] = of.group();
    let sizes = of.window.three().map(|axis| axis.size);
    let taps = residues.map(|residue| residue.taps);
    let all: usize = taps.iter().product();
    let rearrange = |(index, to): (usize, &mut [T])| {
        let (group, tap) = (index / all, index % all);
        let of_tap = [tap / (taps[1] * taps[2]), tap / taps[2] % taps[1], tap % taps[2]];
        let mut from = 0;
        for (i, residue) in residues.iter().enumerate() {
            from = from * sizes[i] + residue.tap + of_tap[i] * residue.every;
        }
        let first = from * channels * of.filters + group * lanes;
        if T::terms(&[]).is_some() {
            let lies = Lanes { data: filters, offset: first as isize, lane: of.filters as isize, depth: 1 };
            return side_by_side(lies, channels, bytemuck::cast_slice_mut(to));
        }
        let from = &filters[first..];
        // Squares, so that lines are read and written whole.
        for (some, to) in to.chunks_mut(TOGETHER * channels).enumerate() {
            for first in (0..channels).step_by(TOGETHER) {
                for (lane, to) in to.chunks_exact_mut(channels).enumerate() {
                    let from = &from[first * of.filters + some * TOGETHER + lane..];
                    let to = &mut to[first..channels.min(first + TOGETHER)];
                    for (slot, &x) in to.iter_mut().zip(from.iter().step_by(of.filters)) {
                        *slot = x;
                    }
                }
            }
        }
    };
    let size = (channels * lanes).max(1);
    divide_slice(turned, REARRANGED, size, |start, turned| {
        (start / size..).zip(turned.chunks_exact_mut(size)).for_each(rearrange);
    });
}

fn filters_gradient_scratch<T: Factor>(of: &Filters) -> usize {
    if of.weights() == 0 {
        return 0;
    }
    let [channels, lanes] = of.group();
    let sizes = [of.window.taps() * channels, of.images.batch * of.window.outputs(), lanes];
    products_scratch::<T>(sizes, Rows { first: 0, pitch: 0 }, false)
}

fn filters_gradient<T: Factor>(of: &Filters, input: &[T], gradient: &[T], filters: &mut [T], scratch: &mut [T]) {
    check(of, input, filters, gradient);
    if filters.is_empty() {
        return;
    }
    let [channels, lanes] = of.group();
    let grid = of.input();
    let patches = Patches::new(input, &grid, of.slides(), channels);
    let grid = of.output();
    let axes = Slide::each(of.window.outputs(), grid.pitches[2]);
    let gradients = Patches::new(gradient, &grid, axes, lanes);
    let batch = of.images.batch;
    let parts = |group: usize| {
        let left = Patch::<T, true>::new(&patches, group * channels * patches.channel, batch);
        let right = Patch::<T, true>::new(&gradients, group * lanes * gradients.channel, batch);
        (left, right, Rows { first: group * lanes, pitch: of.filters })
    };
    let sizes = [of.window.taps() * channels, batch * of.window.outputs(), lanes];
    // SAFETY: groups have columns of their own; what is read in place are whole images.
    #[allow(unsafe_code)]
    unsafe {
        products(sizes, of.groups, &parts, false, None, filters, scratch);
    }
}

/// # Panics
/// When a slice has another length than the convolution says.
fn check<T>(of: &Filters, input: &[T], filters: &[T], output: &[T]) {
    let found = [input.len(), filters.len(), output.len()];
    assert_eq!(
        found,
        [of.inputs(), of.weights(), of.outputs()],
        "input, filters and output have the sizes of a convolution"
    );
}

/// What [`along`] computes, of the types that it knows.
macro_rules! along {
    (f16, $($rest:tt)*) => {};
    (bf16, $($rest:tt)*) => {};
    ($t:ident, scratch $of:ident) => {
        if let Some(units) = Units::new($of) {
            // One more, as scratch need not begin where one of them can.
            return (units.scratch::<$t>() + 1) * (size_of::<f64>() / size_of::<$t>());
        }
    };
    ($t:ident, $of:ident, $factors:expr => $filters:ident, $scratch:ident) => {
        by_instruction_set!(fn sums(
            of: &Filters, units: Units, some: Range<usize>, factors: (&[$t], &[$t]), room: &mut [f64]
        ) = sums_along::<$t>);
        if let Some(units) = Units::new($of) {
            check($of, $factors.0, $filters, $factors.1);
            let (_, scratch, _) = bytemuck::pod_align_to_mut($scratch);
            let sums = |some: Range<usize>, room: &mut [f64]| sums($of, units, some, $factors, room);
            return units.filters_gradient($of, sums, $filters, scratch);
        }
    };
}

macro_rules! convolutions {
    ($($t:ident),*) => {
        $(impl Convolution for $t {
            fn convolution_scratch(of: &Filters) -> usize {
                convolution_scratch::<Self>(of)
            }

            fn convolution(of: &Filters, input: &[Self], filters: &[Self], output: &mut [Self], scratch: &mut [Self]) {
                convolution(of, input, filters, None, output, scratch);
            }

            fn convolution_with(
                of: &Filters,
                input: &[Self],
                filters: &[Self],
                follows: (Option<&[Self]>, Option<Unary>),
                output: &mut [Self],
                scratch: &mut [Self],
            ) {
                convolution_with(of, (input, filters), follows, |of| finish!($t, of), output, scratch);
            }

            fn input_gradient_scratch(of: &Filters) -> usize {
                input_gradient_scratch::<Self>(of)
            }

            fn input_gradient(
                of: &Filters,
                gradient: &[Self],
                filters: &[Self],
                input: &mut [Self],
                scratch: &mut [Self],
            ) {
                input_gradient(of, gradient, filters, input, scratch);
            }

            fn filters_gradient_scratch(of: &Filters) -> usize {
                along!($t, scratch of);
                filters_gradient_scratch::<Self>(of)
            }

            fn filters_gradient(
                of: &Filters,
                input: &[Self],
                gradient: &[Self],
                filters: &mut [Self],
                scratch: &mut [Self],
            ) {
                along!($t, of, (input, gradient) => filters, scratch);
                filters_gradient(of, input, gradient, filters, scratch);
            }
        })*
    };
}
convolutions!(f32, f64, f16, bf16);
