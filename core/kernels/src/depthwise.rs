//! Depthwise convolution: each channel with filters of its own, and the gradients of both.
//!
//! Every sum is over blocks of at most [`BLOCK`] terms of a row, which are added up in order.

use std::ops::Range;

use half::{bf16, f16};

use crate::dispatch::{LANES, by_instruction_set};
use crate::float::Real;
use crate::fold::join_lanes;
use crate::narrow::Stored;
use crate::number::Number;
use crate::parts::{Matrix, by_rows, share};
use crate::sliding::{BLOCK, Block, Gather, Slide, Start, Term, Total, gather_along, gather_channels, load};
use crate::window::{Format, Images, Window};

/// The parts that the gradient of a filter is summed in, at most, where channels are last: runs of rows of windows; and
/// where they are first: runs of images.
const PARTS: usize = 32;
const RUNS: usize = 8;
/// Multiplications that take as long as an element that is read or written.
const CHEAP: usize = 4;

/// The numbers of which there is a depthwise convolution: f32, f64, f16 and bf16.
///
/// `images` is said of the input. The output has the channels of the input times `multiplier`, output channel
/// `c·multiplier + m` being of input channel c; the filter has the places of the window, then the channels of the input, then
/// `multiplier` filters for each, in row-major order.
///
/// Every element errs by at most 4·eps·Σ|terms| where its terms do not conspire; the order of its sum is a function of
/// shapes alone. Products are added by fused multiply-add where the machine has it, and by two roundings in portable code.
/// f16 and bf16 are computed in f32 and rounded once.
///
/// Every function panics when a slice is not as long as said, which is for the caller to see to.
pub trait Depthwise: Number {
    /// Writes, for each window and output channel, the sum of what the window holds times the filter: TensorFlow's
    /// `DepthwiseConv2dNative`, along one to three axes.
    ///
    /// ```
    /// use modulor_kernels::{Depthwise, Format, Images, Padding, Window};
    ///
    /// let window = Window::new(&[3], &[2], &[1], &[1], Padding::Valid).expect("it fits");
    /// let images = Images { format: Format::ChannelsLast, batch: 1, channels: 2 };
    /// let mut out = [0.0_f32; 4];
    /// let (x, filter) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 1.0, 0.5, -1.0]);
    /// f32::depthwise(&window, images, 1, &x, &filter, &mut out);
    /// assert_eq!(out, [2.5, -2.0, 5.5, -2.0]);
    /// ```
    fn depthwise(window: &Window, images: Images, multiplier: usize, x: &[Self], filter: &[Self], out: &mut [Self]);

    /// Writes the gradient of the input, given that of the output: `DepthwiseConv2dNativeBackpropInput`.
    fn depthwise_input_gradient(
        window: &Window,
        images: Images,
        multiplier: usize,
        filter: &[Self],
        dy: &[Self],
        dx: &mut [Self],
    );

    /// The numbers of scratch that [`depthwise_filter_gradient`](Self::depthwise_filter_gradient) wants.
    fn depthwise_filter_gradient_scratch(window: &Window, images: Images, multiplier: usize) -> usize {
        parts(window, images) * window.taps() * images.channels * multiplier
    }

    /// Writes the gradient of the filter, given that of the output: `DepthwiseConv2dNativeBackpropFilter`. `scratch` may hold
    /// anything.
    fn depthwise_filter_gradient(
        window: &Window,
        images: Images,
        multiplier: usize,
        x: &[Self],
        dy: &[Self],
        gradient: &mut [Self],
        scratch: &mut [f64],
    );
}

/// `a·b + c`.
#[inline(always)]
fn add_product<R: Real, const FUSED: bool>(a: R, b: R, c: R) -> R {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn add_products<T: Stored, const N: usize, const FUSED: bool>(sum: &mut [T::Wide; N], a: [T; N], b: [T; N]) {
    for ((sum, a), b) in sum.iter_mut().zip(&a).zip(&b) {
        *sum = add_product::<T::Wide, FUSED>(a.widen(), b.widen(), *sum);
    }
}

/// The elements for `N` output channels from `lane` on, of the input's channels from `at` on.
#[inline(always)]
fn spread<T: Stored, const N: usize, const ONE: bool>(x: &[T], at: usize, lane: usize, multiplier: usize) -> [T; N] {
    if ONE {
        return load::<T, N, 1>(x, at + lane);
    }
    let (mut channel, mut own) = (lane / multiplier, lane % multiplier);
    let mut lanes = [T::zeroed(); N];
    for lane in &mut lanes {
        *lane = x[at + channel];
        own += 1;
        if own == multiplier {
            (channel, own) = (channel + 1, 0);
        }
    }
    lanes
}

/// Outputs beside each other of several channels, with `ONE` of as many as the input has.
struct Forward<'a, T, const ONE: bool, const FUSED: bool> {
    x: &'a [T],
    filter: &'a [T],
    out: &'a mut [T],
    channels: usize,
    multiplier: usize,
}

/// Outputs of one channel.
struct ForwardAlong<'a, T, const FUSED: bool> {
    x: &'a [T],
    filter: &'a [T],
    out: &'a mut [T],
    channels: usize,
    channel: usize,
}

/// Gradients of inputs beside each other of several channels, with `ONE` of as many as the output has.
struct Backward<'a, T, const ONE: bool, const FUSED: bool> {
    filter: &'a [T],
    dy: &'a [T],
    dx: &'a mut [T],
    channels: usize,
    multiplier: usize,
}

/// Gradients of inputs of one channel, of outputs in one plane for each of its filters.
struct BackwardAlong<'a, T, const FUSED: bool> {
    filter: &'a [T],
    dy: &'a [T],
    dx: &'a mut [T],
    channels: usize,
    first_channel: usize,
    multiplier: usize,
    outputs: usize,
}

/// A sum of products: what is added of a term, and where it goes.
macro_rules! sum_of_products {
    ($name:ident<$(const $flag:ident),*>, $is_light:expr, $backward:literal, $out:ident, |$own:ident, $sum:ident, $term:ident, $n:ident, $step:ident| $add:expr) => {
        impl<T: Stored, $(const $flag: bool),*> Gather for $name<'_, T, $($flag),*> {
            const BACKWARD: bool = $backward;
            const IS_LIGHT: bool = $is_light;
            type State<const N: usize> = Total<T::Wide, N>;

            #[inline(always)]
            fn start<const N: usize, const STEP: usize>(&self, _: Start) -> Total<T::Wide, N> {
                Total::ZERO
            }

            #[inline(always)]
            fn add<const $n: usize, const $step: usize>(&self, state: &mut Total<T::Wide, $n>, $term: Term) {
                let ($own, $sum) = (self, &mut state.block);
                $add
            }

            #[inline(always)]
            fn join<const N: usize>(&self, state: &mut Total<T::Wide, N>) {
                state.join();
            }

            #[inline(always)]
            fn put<const N: usize>(&mut self, state: Total<T::Wide, N>, block: &Block) {
                state.put(self.$out, block);
            }
        }
    };
}

sum_of_products!(Forward<const ONE, const FUSED>, T::IS_WIDE && ONE, false, out, |own, sum, term, N, STEP| {
    let filter = load::<T, N, 1>(own.filter, term.tap * own.channels + term.lane);
    add_products::<T, N, FUSED>(sum, spread::<T, N, ONE>(own.x, term.at, term.lane, own.multiplier), filter);
});
sum_of_products!(ForwardAlong<const FUSED>, false, false, out, |own, sum, term, N, STEP| {
    let filter = [own.filter[term.tap * own.channels + own.channel]; N];
    add_products::<T, N, FUSED>(sum, load::<T, N, STEP>(own.x, term.at), filter);
});
sum_of_products!(Backward<const ONE, const FUSED>, T::IS_WIDE && ONE, true, dx, |own, sum, term, N, STEP| {
    let filter = term.tap * own.channels;
    if ONE {
        let (dy, filter) = (load::<T, N, 1>(own.dy, term.at + term.lane), load::<T, N, 1>(own.filter, filter + term.lane));
        add_products::<T, N, FUSED>(sum, dy, filter);
    } else {
        for (i, sum) in sum.iter_mut().enumerate() {
            for lane in (term.lane + i) * own.multiplier..(term.lane + i + 1) * own.multiplier {
                let (dy, filter) = (own.dy[term.at + lane], own.filter[filter + lane]);
                *sum = add_product::<T::Wide, FUSED>(dy.widen(), filter.widen(), *sum);
            }
        }
    }
});
sum_of_products!(BackwardAlong<const FUSED>, false, true, dx, |own, sum, term, N, STEP| {
    for i in 0..own.multiplier {
        let filter = [own.filter[term.tap * own.channels + own.first_channel + i]; N];
        add_products::<T, N, FUSED>(sum, load::<T, N, STEP>(own.dy, i * own.outputs + term.at), filter);
    }
});

/// What all functions here are told.
#[derive(Clone, Copy)]
struct Shape<'a> {
    window: &'a Window,
    images: Images,
    multiplier: usize,
}

impl Shape<'_> {
    /// The channels of the output.
    fn channels(&self) -> usize {
        self.images.channels * self.multiplier
    }

    /// # Panics
    /// When input, filter and output do not have as many elements as they should.
    fn check(&self, input: usize, filter: usize, output: usize) {
        let outputs = self.window.outputs().checked_mul(self.multiplier);
        let taps = Images { batch: self.window.taps(), ..self.images };
        let fits = Some(input) == self.images.elements(self.window.inputs())
            && Some(output) == outputs.and_then(|outputs| self.images.elements(outputs))
            && Some(filter) == taps.elements(self.multiplier);
        assert!(fits, "input, filter and output of a depthwise convolution are as large as they are said to be");
    }
}

#[inline(always)]
fn forward_rows<T: Stored, const FUSED: bool>(
    shape: Shape,
    slide: &Slide,
    rows: Range<usize>,
    (x, filter): (&[T], &[T]),
    out: &mut [T],
) {
    let (channels, multiplier, width) = (shape.channels(), shape.multiplier, slide.width());
    for (i, row) in rows.enumerate() {
        let (plane, row) = (row / slide.rows(), row % slide.rows());
        let out = &mut out[i * width..(i + 1) * width];
        if !slide.is_channels_last() {
            let x = &x[plane / multiplier * slide.source()..][..slide.source()];
            gather_along(
                slide,
                row,
                &mut ForwardAlong::<T, FUSED> { x, filter, out, channels, channel: plane % channels },
            );
            continue;
        }
        let x = &x[plane * slide.source()..][..slide.source()];
        if multiplier == 1 {
            gather_channels(slide, row, &mut Forward::<T, true, FUSED> { x, filter, out, channels, multiplier });
        } else {
            gather_channels(slide, row, &mut Forward::<T, false, FUSED> { x, filter, out, channels, multiplier });
        }
    }
}

#[inline(always)]
fn backward_rows<T: Stored, const FUSED: bool>(
    shape: Shape,
    slide: &Slide,
    rows: Range<usize>,
    (filter, dy): (&[T], &[T]),
    dx: &mut [T],
) {
    let (channels, multiplier, width) = (shape.channels(), shape.multiplier, slide.width());
    for (i, row) in rows.enumerate() {
        let (plane, row) = (row / slide.rows(), row % slide.rows());
        let dx = &mut dx[i * width..(i + 1) * width];
        if !slide.is_channels_last() {
            let outputs = slide.source();
            let dy = &dy[plane * multiplier * outputs..][..multiplier * outputs];
            let first_channel = plane % shape.images.channels * multiplier;
            gather_along(
                slide,
                row,
                &mut BackwardAlong::<T, FUSED> { filter, dy, dx, channels, first_channel, multiplier, outputs },
            );
            continue;
        }
        let dy = &dy[plane * slide.source()..][..slide.source()];
        if multiplier == 1 {
            gather_channels(slide, row, &mut Backward::<T, true, FUSED> { filter, dy, dx, channels, multiplier });
        } else {
            gather_channels(slide, row, &mut Backward::<T, false, FUSED> { filter, dy, dx, channels, multiplier });
        }
    }
}

fn rows_of_windows(window: &Window, images: Images) -> usize {
    let [planes, rows, _] = window.three();
    images.batch.saturating_mul(planes.output * rows.output)
}

/// The parts that the sums of a filter's gradient are in.
fn parts(window: &Window, images: Images) -> usize {
    match images.format {
        Format::ChannelsLast => PARTS.min(rows_of_windows(window, images)),
        Format::ChannelsFirst => RUNS.min(images.batch),
    }
}

/// Adds, to the gradient of `N` output channels from `lane` on, what a row of windows has to do with it.
#[inline(always)]
fn add_row<T: Stored, const N: usize, const ONE: bool, const FUSED: bool>(
    shape: Shape,
    row: usize,
    lane: usize,
    (x, dy): (&[T], &[T]),
    sums: &mut [f64],
) where
    T::Wide: Into<f64>,
{
    let Shape { window, images: Images { channels: inputs, .. }, multiplier } = shape;
    let ([planes, rows, columns], channels) = (window.three(), shape.channels());
    let (image, plane, own) = (row / rows.output / planes.output, row / rows.output % planes.output, row % rows.output);
    let dy = &dy[row * columns.output * channels..][..columns.output * channels];
    for i in planes.taps(plane) {
        for j in rows.taps(own) {
            let place = (image * planes.input + planes.place(plane, i)) * rows.input + rows.place(own, j);
            let x = &x[place * columns.input * inputs..][..columns.input * inputs];
            for k in 0..columns.size {
                let tap = (i * rows.size + j) * columns.size + k;
                let mut windows = columns.windows(k);
                while !windows.is_empty() {
                    let next = windows.end.min(windows.start + BLOCK);
                    let mut block = [T::Wide::ZERO; N];
                    for column in windows.start..next {
                        let x = spread::<T, N, ONE>(x, columns.place(column, k) * inputs, lane, multiplier);
                        let dy = load::<T, N, 1>(dy, column * channels + lane);
                        add_products::<T, N, FUSED>(&mut block, x, dy);
                    }
                    for (sum, block) in sums[tap * channels + lane..][..N].iter_mut().zip(&block) {
                        *sum += (*block).into();
                    }
                    windows.start = next;
                }
            }
        }
    }
}

/// Writes the parts of a filter's gradient, where channels are last.
#[inline(always)]
fn filter_parts<T: Stored, const FUSED: bool>(
    shape: Shape,
    parts: Range<usize>,
    factors: (&[T], &[T]),
    sums: &mut [f64],
) where
    T::Wide: Into<f64>,
{
    let channels = shape.channels();
    let count = self::parts(shape.window, shape.images);
    let rows = rows_of_windows(shape.window, shape.images);
    let width = shape.window.taps() * channels;
    sums.fill(0.0);
    for (i, part) in parts.enumerate() {
        let sums = &mut sums[i * width..][..width];
        for row in share(rows, part, count) {
            let mut lane = 0;
            macro_rules! lanes {
                ($n:expr) => {
                    while channels - lane >= $n {
                        if shape.multiplier == 1 {
                            add_row::<T, $n, true, FUSED>(shape, row, lane, factors, sums);
                        } else {
                            add_row::<T, $n, false, FUSED>(shape, row, lane, factors, sums);
                        }
                        lane += $n;
                    }
                };
            }
            lanes!(64);
            lanes!(16);
            lanes!(4);
            lanes!(1);
        }
    }
}

/// The sum of the products along some rows of one plane, of what lies `step` apart and side by side: in lanes that are
/// joined in a tree.
macro_rules! along {
    ($shape:ident, $x:ident, $dy:ident, $step:expr, $taps:ident) => {{
        let [planes, rows, columns] = $shape.window.three();
        let windows = columns.windows($taps[2]);
        // What is read with other strides is read one by one.
        let whole = if $step == 0 { 0 } else { windows.len() / LANES * LANES };
        let each = windows.len().div_ceil(LANES);
        let (mut total, mut lanes, mut terms) = ([0.0; LANES], [T::Wide::ZERO; LANES], 0);
        for plane in planes.windows($taps[0]) {
            for row in rows.windows($taps[1]) {
                if windows.is_empty() {
                    continue;
                }
                let place = planes.place(plane, $taps[0]) * rows.input + rows.place(row, $taps[1]);
                let first = place * columns.input + columns.place(windows.start, $taps[2]);
                let dy = &$dy[(plane * rows.output + row) * columns.output..][windows.clone()];
                for i in (0..whole).step_by(LANES) {
                    let x = load::<T, LANES, $step>($x, first + i * columns.stride);
                    add_products::<T, LANES, FUSED>(&mut lanes, x, load::<T, LANES, 1>(dy, i));
                }
                for i in whole..windows.len() {
                    let (lane, x) = (&mut lanes[(i - whole) % LANES], $x[first + i * columns.stride].widen());
                    *lane = add_product::<T::Wide, FUSED>(x, dy[i].widen(), *lane);
                }
                terms += each;
                if terms >= BLOCK {
                    for (total, lane) in total.iter_mut().zip(&mut lanes) {
                        *total += std::mem::replace(lane, T::Wide::ZERO).into();
                    }
                    terms = 0;
                }
            }
        }
        for (total, lane) in total.iter_mut().zip(lanes) {
            *total += lane.into();
        }
        join_lanes(&mut total, |a, b| a + b)
    }};
}

/// Writes the parts of a filter's gradient where channels are first: all taps of an output channel, over some images.
#[inline(always)]
fn filter_parts_along<T: Stored, const FUSED: bool>(
    shape: Shape,
    parts: Range<usize>,
    (x, dy): (&[T], &[T]),
    sums: &mut [f64],
) where
    T::Wide: Into<f64>,
{
    let ([_, rows, columns], channels) = (shape.window.three(), shape.channels());
    let (inputs, outputs, taps) = (shape.window.inputs(), shape.window.outputs(), shape.window.taps());
    let runs = self::parts(shape.window, shape.images);
    sums.fill(0.0);
    for (i, part) in parts.enumerate() {
        let (run, channel) = (part / channels, part % channels);
        for image in share(shape.images.batch, run, runs) {
            let plane = image * channels + channel;
            let x = &x[plane / shape.multiplier * inputs..][..inputs];
            let dy = &dy[plane * outputs..][..outputs];
            for (tap, sum) in sums[i * taps..][..taps].iter_mut().enumerate() {
                let taps = [tap / columns.size / rows.size, tap / columns.size % rows.size, tap % columns.size];
                *sum += match columns.stride {
                    1 => along!(shape, x, dy, 1, taps),
                    2 => along!(shape, x, dy, 2, taps),
                    _ => along!(shape, x, dy, 0, taps),
                };
            }
        }
    }
}

/// Adds the parts of a filter's gradient up.
fn join_parts<T: Stored>(shape: Shape, sums: &[f64], gradient: &mut [T]) {
    let (taps, channels) = (shape.window.taps(), shape.channels());
    for (at, gradient) in gradient.iter_mut().enumerate() {
        let own = match shape.images.format {
            Format::ChannelsLast => at,
            Format::ChannelsFirst => at % channels * taps + at / channels,
        };
        let sum = sums.chunks_exact(taps * channels).fold(0.0, |sum, part| sum + part[own]);
        *gradient = T::narrow(<T::Wide as Real>::narrow(sum));
    }
}

macro_rules! depthwise {
    ($($t:ty),*) => {
        $(impl Depthwise for $t {
            fn depthwise(
                window: &Window,
                images: Images,
                multiplier: usize,
                x: &[Self],
                filter: &[Self],
                out: &mut [Self],
            ) {
                by_instruction_set!(fn part(
                    shape: Shape, slide: &Slide, rows: Range<usize>, factors: (&[$t], &[$t]), out: &mut [$t]
                ) = forward_rows::<$t>);
                let shape = Shape { window, images, multiplier };
                shape.check(x.len(), filter.len(), out.len());
                let slide = Slide::new(window, images.format, [shape.channels(), images.channels], false);
                let planes = if slide.is_channels_last() { 1 } else { shape.channels() };
                let count = slide.rows().saturating_mul(images.batch).saturating_mul(planes);
                let work = x.len() + out.len().saturating_mul(1 + window.taps() / CHEAP);
                let outputs = Matrix::new(out, slide.width());
                by_rows(count, work, outputs, |rows, out| {
                    part(shape, &slide, rows, (x, filter), out);
                });
            }

            fn depthwise_input_gradient(
                window: &Window,
                images: Images,
                multiplier: usize,
                filter: &[Self],
                dy: &[Self],
                dx: &mut [Self],
            ) {
                by_instruction_set!(fn part(
                    shape: Shape, slide: &Slide, rows: Range<usize>, factors: (&[$t], &[$t]), dx: &mut [$t]
                ) = backward_rows::<$t>);
                let shape = Shape { window, images, multiplier };
                shape.check(dx.len(), filter.len(), dy.len());
                let slide = Slide::new(window, images.format, [images.channels, shape.channels()], true);
                let planes = if slide.is_channels_last() { 1 } else { images.channels };
                let count = slide.rows().saturating_mul(images.batch).saturating_mul(planes);
                let work = dx.len() + dy.len().saturating_mul(1 + window.taps() / CHEAP);
                let outputs = Matrix::new(dx, slide.width());
                by_rows(count, work, outputs, |rows, dx| {
                    part(shape, &slide, rows, (filter, dy), dx);
                });
            }

            fn depthwise_filter_gradient(
                window: &Window,
                images: Images,
                multiplier: usize,
                x: &[Self],
                dy: &[Self],
                gradient: &mut [Self],
                scratch: &mut [f64],
            ) {
                by_instruction_set!(fn part(
                    shape: Shape, parts: Range<usize>, factors: (&[$t], &[$t]), sums: &mut [f64]
                ) = filter_parts::<$t>);
                by_instruction_set!(fn part_along(
                    shape: Shape, parts: Range<usize>, factors: (&[$t], &[$t]), sums: &mut [f64]
                ) = filter_parts_along::<$t>);
                let shape = Shape { window, images, multiplier };
                shape.check(x.len(), gradient.len(), dy.len());
                if gradient.is_empty() {
                    return;
                }
                let (parts, taps) = (parts(window, images), window.taps());
                let sums = &mut scratch[..parts * gradient.len()];
                let work = x.len() + dy.len().saturating_mul(1 + taps / CHEAP);
                match images.format {
                    Format::ChannelsLast => {
                        let sums = Matrix::new(sums, gradient.len());
                        by_rows(parts, work, sums, |parts, sums| part(shape, parts, (x, dy), sums));
                    }
                    Format::ChannelsFirst => {
                        let sums = Matrix::new(sums, taps);
                        let count = parts * shape.channels();
                        by_rows(count, work, sums, |parts, sums| part_along(shape, parts, (x, dy), sums));
                    }
                }
                join_parts(shape, sums, gradient);
            }
        })*
    };
}
depthwise!(f32, f64, f16, bf16);
