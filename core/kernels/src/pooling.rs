//! Pooling: the greatest or the mean of what a window holds, and the ways back.
//!
//! Every result is made by one thread, of terms in an order that its place says: gradients are gathered, not scattered.

mod beside;
mod equal;

use std::fmt;
use std::ops::Range;

use bytemuck::Pod;
use half::{bf16, f16};

use crate::dispatch::by_instruction_set;
use crate::float::Real;
use crate::narrow::Stored;
use crate::number::Number;
use crate::parts::{Matrix, by_rows};
use crate::sliding::{Block, Gather, Slide, Start, Term, Total, gather_row, load, store};
use crate::window::{Format, Images, Window};
use beside::{Beside, gradient_units, greatest_units};
use equal::{Near, Pick};

/// The numbers of which windows have a greatest: f32, f64, f16, bf16 and the integers of 8 to 64 bits.
///
/// `images` says how many inputs and outputs there are, and how their channels lie: an input has the places of the
/// window's input and an output one for each window, in row-major order.
pub trait MaxPooling: Number {
    /// −∞ or the least integer.
    const LEAST: Self;
    /// The least number that is finite.
    const LEAST_FINITE: Self;

    /// Writes the greatest element of every window, of each channel: TensorFlow's `MaxPool` and `MaxPool3D`.
    ///
    /// Padding counts as nothing, and so does NaN. The result is `least` where nothing is greater.
    ///
    /// ```
    /// use modulor_kernels::{Format, Images, MaxPooling, Padding, Window};
    ///
    /// let window = Window::new(&[2, 3], &[2, 2], &[1, 1], &[1, 1], Padding::Valid).expect("it fits");
    /// let images = Images { format: Format::ChannelsLast, batch: 1, channels: 1 };
    /// let mut out = [0; 2];
    /// i32::max_pool(&window, images, i32::LEAST, &[1, 5, 2, 3, 4, 7], &mut out);
    /// assert_eq!(out, [5, 7]);
    /// ```
    ///
    /// # Panics
    /// When `x` or `out` is not as long as the images are large.
    fn max_pool(window: &Window, images: Images, least: Self, x: &[Self], out: &mut [Self]);
}

/// The numbers that are pooled and trained: f32, f64, f16 and bf16.
///
/// Where the greatest element of a window is asked for, the first in row-major order is it until a greater one follows: it
/// stays so if it is NaN, and other NaN counts as nothing. Where several windows meet, their terms are added in the order of the windows: an element errs by at
/// most 4·eps·Σ|terms| where they do not conspire. f16 and bf16 are added in f32 and rounded once.
pub trait Pooling: MaxPooling {
    /// Writes the greatest element of every window, of each channel, and where it is: its number among the elements of
    /// its image or, with `batch_index`, of all images; −∞ and −1 for a window that is padding alone. Where channels are last
    /// that is the number of TensorFlow's `MaxPoolWithArgmax`, `(y·width + x)·channels + c` in an image.
    ///
    /// # Panics
    /// When a slice is not as long as the images are large.
    fn max_pool_argmax(
        window: &Window,
        images: Images,
        batch_index: bool,
        x: &[Self],
        out: &mut [Self],
        argmax: &mut [i64],
        scratch: &mut [u32],
    );

    /// The numbers of scratch that the functions here want which look for the greatest: one for each output.
    ///
    /// # Panics
    /// When that is no `usize`.
    fn max_pool_scratch(window: &Window, images: Images) -> usize {
        images.elements(window.outputs()).expect("outputs that are there can be counted")
    }

    /// Writes the gradient of `x`, given that of its [`max_pool`](MaxPooling::max_pool): each of `dy` goes to the greatest
    /// of its window. TensorFlow's `MaxPoolGrad`, which needs no output.
    ///
    /// # Panics
    /// When a slice is not as long as the images are large, or the scratch is too short.
    fn max_pool_gradient(
        window: &Window,
        images: Images,
        x: &[Self],
        dy: &[Self],
        dx: &mut [Self],
        scratch: &mut [u32],
    );

    /// As [`max_pool_gradient`](Self::max_pool_gradient), of the `argmax` that
    /// [`max_pool_argmax`](Self::max_pool_argmax) wrote: TensorFlow's `MaxPoolGradWithArgmax`.
    ///
    /// # Errors
    /// When an index is of no element of its channel in its window, other than −1, which stands for none; `dx` is then as it
    /// was.
    ///
    /// # Panics
    /// As of [`max_pool_gradient`](Self::max_pool_gradient).
    fn max_pool_gradient_at(
        window: &Window,
        images: Images,
        batch_index: bool,
        argmax: &[i64],
        dy: &[Self],
        dx: &mut [Self],
        scratch: &mut [u32],
    ) -> Result<(), NotInWindow>;

    /// Writes the gradient of `x`, given its [`max_pool`](MaxPooling::max_pool), `y`, and the gradient of that, `dy`: each of
    /// these goes to all elements of its window that are less than 10⁻⁵ from its `y`. TensorFlow's `MaxPool3DGrad`.
    ///
    /// # Panics
    /// When a slice is not as long as the images are large.
    fn max_pool_gradient_near(window: &Window, images: Images, x: &[Self], y_dy: [&[Self]; 2], dx: &mut [Self]);

    /// Writes, for every window of `x`, the element of `from` that lies where the first is that is equal to its `y`, or 0
    /// where none is: with `y` the [`max_pool`](MaxPooling::max_pool) of `x`, the gradient of
    /// [`max_pool_gradient`](Self::max_pool_gradient) with respect to `dy`. TensorFlow's `MaxPoolGradGrad` and
    /// `MaxPool3DGradGrad`.
    ///
    /// # Panics
    /// When a slice is not as long as the images are large.
    fn max_pool_pick(window: &Window, images: Images, x_from: [&[Self]; 2], y: &[Self], out: &mut [Self]);

    /// Writes the mean of every window, of each channel: of what lies in the input, as TensorFlow's `AvgPool` and
    /// `AvgPool3D` have it; 0 for a window that is padding alone.
    ///
    /// # Panics
    /// When a slice is not as long as the images are large.
    fn average_pool(window: &Window, images: Images, x: &[Self], out: &mut [Self]);

    /// The elements of scratch that [`average_pool_gradient`](Self::average_pool_gradient) wants.
    ///
    /// # Panics
    /// When that is no `usize`.
    fn average_pool_gradient_scratch(window: &Window, images: Images) -> usize;

    /// Writes the gradient of the input of [`average_pool`](Self::average_pool): TensorFlow's `AvgPoolGrad`.
    ///
    /// # Panics
    /// When a slice is not as long as the images are large, or the scratch is too short.
    fn average_pool_gradient(window: &Window, images: Images, dy: &[Self], dx: &mut [Self], scratch: &mut [Self]);
}

/// An index of a greatest element that is not in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInWindow {
    /// Where the index stands.
    pub at: usize,
}

impl fmt::Display for NotInWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index {} of the greatest elements is not in its window", self.at)
    }
}

impl std::error::Error for NotInWindow {}

/// A number with an order, as it is stored and as it is compared.
trait Ordered: Pod {
    type Wide: Copy + PartialOrd;
    const LEAST: Self;
    fn wide(self) -> Self::Wide;
    fn own(wide: Self::Wide) -> Self;
}

macro_rules! ordered {
    ($($t:ident as $wide:ty: $least:expr, $widen:expr, $narrow:expr;)*) => {
        $(impl Ordered for $t {
            type Wide = $wide;
            const LEAST: Self = $least;
            #[inline(always)]
            fn wide(self) -> $wide {
                $widen(self)
            }
            #[inline(always)]
            fn own(wide: $wide) -> Self {
                $narrow(wide)
            }
        })*
    };
    ($($t:ident),*) => {
        ordered! { $($t as $t: $t::MIN, std::convert::identity, std::convert::identity;)* }
    };
}
ordered! {
    f32 as f32: f32::NEG_INFINITY, Stored::widen, Stored::narrow;
    f64 as f64: f64::NEG_INFINITY, Stored::widen, Stored::narrow;
    f16 as f32: f16::NEG_INFINITY, Stored::widen, Stored::narrow;
    bf16 as f32: bf16::NEG_INFINITY, Stored::widen, Stored::narrow;
}
ordered!(i8, i16, i32, i64, u8, u16, u32, u64);

/// The greatest.
struct Max<'a, T> {
    least: T,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Ordered> Gather for Max<'_, T> {
    const BACKWARD: bool = false;
    type State<const N: usize> = [T::Wide; N];

    #[inline(always)]
    fn start<const N: usize, const STEP: usize>(&self, _: Start) -> [T::Wide; N] {
        [self.least.wide(); N]
    }

    #[inline(always)]
    fn add<const N: usize, const STEP: usize>(&self, state: &mut [T::Wide; N], term: Term) {
        let x = load::<T, N, STEP>(self.x, term.at + term.lane);
        for (best, x) in state.iter_mut().zip(&x) {
            let x = x.wide();
            *best = if x > *best { x } else { *best };
        }
    }

    #[inline(always)]
    fn join<const N: usize>(&self, _: &mut [T::Wide; N]) {}

    #[inline(always)]
    fn put<const N: usize>(&mut self, state: [T::Wide; N], block: &Block) {
        let mut own = [T::zeroed(); N];
        for (own, best) in own.iter_mut().zip(&state) {
            *own = T::own(*best);
        }
        store(own, self.out, block.at, block.step);
    }
}

/// The taps of the greatest, and the greatest where they are wanted.
struct Best<'a, T> {
    x: &'a [T],
    out: Option<&'a mut [T]>,
    taps: &'a mut [u32],
}

impl<T: Ordered> Gather for Best<'_, T> {
    const BACKWARD: bool = false;
    type State<const N: usize> = ([T::Wide; N], [u32; N]);

    #[inline(always)]
    fn start<const N: usize, const STEP: usize>(&self, start: Start) -> Self::State<N> {
        match start.first {
            Some(term) => (load::<T, N, STEP>(self.x, term.at + term.lane).map(T::wide), [term.tap as u32; N]),
            None => ([T::LEAST.wide(); N], [0; N]),
        }
    }

    #[inline(always)]
    fn add<const N: usize, const STEP: usize>(&self, (best, taps): &mut Self::State<N>, term: Term) {
        let x = load::<T, N, STEP>(self.x, term.at + term.lane);
        let tap = term.tap as u32;
        for ((best, taps), x) in best.iter_mut().zip(taps).zip(&x) {
            let x = x.wide();
            let is_greater = x > *best;
            *best = if is_greater { x } else { *best };
            *taps = if is_greater { tap } else { *taps };
        }
    }

    #[inline(always)]
    fn join<const N: usize>(&self, _: &mut Self::State<N>) {}

    #[inline(always)]
    fn put<const N: usize>(&mut self, (best, taps): Self::State<N>, block: &Block) {
        if let Some(out) = &mut self.out {
            store(best.map(T::own), out, block.at, block.step);
        }
        store(taps, self.taps, block.at, block.step);
    }
}

/// The sum or, with `DIVIDES`, the mean.
struct Mean<'a, X, T, const DIVIDES: bool> {
    x: &'a [X],
    out: &'a mut [T],
}

impl<X: Stored, T: Stored<Wide = X::Wide>, const DIVIDES: bool> Gather for Mean<'_, X, T, DIVIDES> {
    const BACKWARD: bool = !DIVIDES;
    type State<const N: usize> = Total<X::Wide, N>;

    #[inline(always)]
    fn start<const N: usize, const STEP: usize>(&self, _: Start) -> Total<X::Wide, N> {
        Total::ZERO
    }

    #[inline(always)]
    fn add<const N: usize, const STEP: usize>(&self, state: &mut Total<X::Wide, N>, term: Term) {
        let x = load::<X, N, STEP>(self.x, term.at + term.lane);
        for (sum, x) in state.block.iter_mut().zip(&x) {
            *sum = *sum + x.widen();
        }
    }

    #[inline(always)]
    fn join<const N: usize>(&self, state: &mut Total<X::Wide, N>) {
        state.join();
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, mut state: Total<X::Wide, N>, block: &Block) {
        if DIVIDES && block.count > 0 {
            let count = <X::Wide as Real>::narrow(block.count as f64);
            for sum in &mut state.sum {
                *sum = *sum / count;
            }
        }
        state.put(self.out, block);
    }
}

/// The sum of what goes to a place from the windows of which it is the greatest.
struct ToGreatest<'a, T> {
    taps: &'a [u32],
    dy: &'a [T],
    dx: &'a mut [T],
}

impl<T: Stored> Gather for ToGreatest<'_, T> {
    const BACKWARD: bool = true;
    type State<const N: usize> = Total<T::Wide, N>;

    #[inline(always)]
    fn start<const N: usize, const STEP: usize>(&self, _: Start) -> Total<T::Wide, N> {
        Total::ZERO
    }

    #[inline(always)]
    fn add<const N: usize, const STEP: usize>(&self, state: &mut Total<T::Wide, N>, term: Term) {
        let taps = load::<u32, N, STEP>(self.taps, term.at + term.lane);
        let dy = load::<T, N, STEP>(self.dy, term.at + term.lane);
        let own = term.tap as u32;
        for ((sum, &tap), dy) in state.block.iter_mut().zip(&taps).zip(&dy) {
            let dy = if tap == own { dy.widen() } else { T::Wide::ZERO };
            *sum = *sum + dy;
        }
    }

    #[inline(always)]
    fn join<const N: usize>(&self, state: &mut Total<T::Wide, N>) {
        state.join();
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, state: Total<T::Wide, N>, block: &Block) {
        state.put(self.dx, block);
    }
}

/// Makes `$rows` of the results of all images: `$gather` of each, given what is read of its image or plane and which part of
/// the outputs the row is.
macro_rules! each_row {
    ($slide:ident, $rows:ident, |$source:ident, $row:ident| $gather:expr) => {
        for (i, row) in $rows.enumerate() {
            let plane = row / $slide.rows();
            let $source = plane * $slide.source()..(plane + 1) * $slide.source();
            let $row = i * $slide.width()..(i + 1) * $slide.width();
            gather_row($slide, row % $slide.rows(), &mut $gather);
        }
    };
}

#[inline(always)]
fn max_rows<T: Ordered, const FUSED: bool>(slide: &Slide, rows: Range<usize>, least: T, x: &[T], out: &mut [T]) {
    each_row!(slide, rows, |source, row| Max { least, x: &x[source], out: &mut out[row] });
}

#[inline(always)]
fn tap_rows<T: Ordered, const FUSED: bool>(
    slide: &Slide,
    rows: Range<usize>,
    x: &[T],
    mut out: Option<&mut [T]>,
    taps: &mut [u32],
) {
    each_row!(slide, rows, |source, row| {
        let out = out.as_deref_mut().map(|out| &mut out[row.clone()]);
        Best { x: &x[source], out, taps: &mut taps[row] }
    });
}

#[inline(always)]
fn gradient_rows<T: Stored, const FUSED: bool>(
    slide: &Slide,
    rows: Range<usize>,
    taps: &[u32],
    dy: &[T],
    dx: &mut [T],
) {
    each_row!(slide, rows, |source, row| ToGreatest { taps: &taps[source.clone()], dy: &dy[source], dx: &mut dx[row] });
}

#[inline(always)]
fn near_rows<T: Stored, const FUSED: bool>(
    slide: &Slide,
    rows: Range<usize>,
    x: &[T],
    y: &[T],
    dy: &[T],
    dx: &mut [T],
) {
    let x = &x[rows.start * slide.width()..];
    each_row!(slide, rows, |source, row| {
        Near { x: &x[row.clone()], y: &y[source.clone()], dy: &dy[source], dx: &mut dx[row] }
    });
}

#[inline(always)]
fn pick_rows<T: Stored, const FUSED: bool>(
    slide: &Slide,
    rows: Range<usize>,
    x: &[T],
    from: &[T],
    y: &[T],
    out: &mut [T],
) {
    let y = &y[rows.start * slide.width()..];
    each_row!(slide, rows, |source, row| {
        Pick { x: &x[source.clone()], from: &from[source], y: &y[row.clone()], out: &mut out[row] }
    });
}

#[inline(always)]
fn mean_rows<T: Stored, const FUSED: bool>(slide: &Slide, rows: Range<usize>, x: &[T], out: &mut [T]) {
    each_row!(slide, rows, |source, row| Mean::<T, T, true> { x: &x[source], out: &mut out[row] });
}

#[inline(always)]
fn sum_rows<T: Stored, const FUSED: bool>(slide: &Slide, rows: Range<usize>, shares: &[T::Wide], dx: &mut [T])
where
    T::Wide: Stored<Wide = T::Wide>,
{
    each_row!(slide, rows, |source, row| Mean::<T::Wide, T, false> { x: &shares[source], out: &mut dx[row] });
}

/// Writes what of each of `dy` goes to each element of its window, in rows of windows with `lanes` channels.
#[inline(always)]
fn share_rows<T: Stored, const FUSED: bool>(
    window: &Window,
    lanes: usize,
    rows: Range<usize>,
    dy: &[T],
    shares: &mut [T::Wide],
) {
    let [z, y, x] = window.three();
    for (i, row) in rows.enumerate() {
        let taps = z.taps(row / y.output % z.output).len() * y.taps(row % y.output).len();
        for column in 0..x.output {
            let count = taps * x.taps(column).len();
            let part = T::Wide::ONE / <T::Wide as Real>::narrow(count as f64);
            let shares = &mut shares[(i * x.output + column) * lanes..][..lanes];
            for (share, &dy) in shares.iter_mut().zip(&dy[(row * x.output + column) * lanes..][..lanes]) {
                *share = dy.widen() * part;
            }
        }
    }
}

/// The tap of the window numbered `output` at the place numbered `place`.
fn tap_of(window: &Window, output: usize, place: usize) -> Option<usize> {
    let (mut output, mut place, mut tap, mut apart) = (output, place, 0, 1);
    for axis in window.three().iter().rev() {
        let from_first = (place % axis.input + axis.before).checked_sub(output % axis.output * axis.stride)?;
        let own = from_first / axis.dilation;
        if !from_first.is_multiple_of(axis.dilation) || own >= axis.size {
            return None;
        }
        tap += own * apart;
        apart *= axis.size;
        output /= axis.output;
        place /= axis.input;
    }
    Some(tap)
}

/// The place of tap `tap` of the window numbered `output`.
fn place_of(window: &Window, mut output: usize, mut tap: usize) -> Option<usize> {
    let (mut place, mut apart) = (0, 1);
    for axis in window.three().iter().rev() {
        let padded = output % axis.output * axis.stride + tap % axis.size * axis.dilation;
        place += padded.checked_sub(axis.before).filter(|&own| own < axis.input)? * apart;
        apart *= axis.input;
        output /= axis.output;
        tap /= axis.size;
    }
    Some(place)
}

/// Writes, for each output of image `image`, the number of the element that its tap names, counted from `first` in the
/// image, or −1 where there is none.
fn elements_of(window: &Window, images: Images, image: usize, first: usize, taps: &[u32], argmax: &mut [i64]) {
    let (channel_step, place_step) = images.steps(window.inputs());
    let outputs = image * argmax.len();
    for (own, (argmax, &tap)) in argmax.iter_mut().zip(&taps[outputs..]).enumerate() {
        let (output, channel) = place_and_channel(images, own, window.outputs());
        let place = place_of(window, output, tap as usize);
        *argmax = place.map_or(-1, |place| (first + place * place_step + channel * channel_step) as i64);
    }
}

/// The place and the channel of an element of an image of so many places.
fn place_and_channel(images: Images, element: usize, places: usize) -> (usize, usize) {
    match images.format {
        Format::ChannelsLast => (element / images.channels, element % images.channels),
        Format::ChannelsFirst => (element % places, element / places),
    }
}

/// Writes the taps of the elements that `argmax` names.
fn taps_of(
    window: &Window,
    images: Images,
    batch_index: bool,
    argmax: &[i64],
    taps: &mut [u32],
) -> Result<(), NotInWindow> {
    let (in_image, outputs) = (window.inputs() * images.channels, window.outputs());
    for (at, (&index, tap)) in argmax.iter().zip(taps).enumerate() {
        let (image, own) = (at / (outputs * images.channels), at % (outputs * images.channels));
        let found = || {
            let first = if batch_index { image * in_image } else { 0 };
            let element = usize::try_from(index).ok()?.checked_sub(first).filter(|&element| element < in_image)?;
            let ((output, channel), (place, other)) =
                (place_and_channel(images, own, outputs), place_and_channel(images, element, window.inputs()));
            if channel == other { tap_of(window, output, place) } else { None }
        };
        *tap = match found() {
            Some(tap) => tap as u32,
            // No tap is this one.
            None if index == -1 => u32::MAX,
            None => return Err(NotInWindow { at }),
        };
    }
    Ok(())
}

/// # Panics
/// When there are not as many elements of input and output as the images have.
fn check(window: &Window, images: Images, input: &[usize], output: &[usize]) {
    let (inputs, outputs) = (images.elements(window.inputs()), images.elements(window.outputs()));
    let fits = input.iter().all(|&len| Some(len) == inputs) && output.iter().all(|&len| Some(len) == outputs);
    assert!(fits, "pooled images are as large as they are said to be");
}

fn slide(window: &Window, images: Images, backward: bool) -> Slide<'_> {
    Slide::new(window, images.format, [images.channels; 2], backward)
}

/// The rows of all images or, where channels are not last, of all their planes.
fn rows(slide: &Slide, images: Images) -> usize {
    let planes = if slide.is_channels_last() { 1 } else { images.channels };
    slide.rows().saturating_mul(images.batch).saturating_mul(planes)
}

/// The wide numbers in scratch, and how many elements of scratch hold so many.
fn wide_scratch<T: Stored>(scratch: &mut [T]) -> &mut [T::Wide]
where
    T::Wide: Pod,
{
    bytemuck::pod_align_to_mut::<T, T::Wide>(scratch).1
}

fn wide_len<T: Stored>(count: usize) -> usize {
    let each = size_of::<T::Wide>() / size_of::<T>();
    count * each + (each - 1)
}

macro_rules! max_pooling {
    ($($t:ty),*: $rows:ident) => {
        $(impl MaxPooling for $t {
            const LEAST: Self = <$t as Ordered>::LEAST;
            const LEAST_FINITE: Self = <$t>::MIN;

            fn max_pool(window: &Window, images: Images, least: Self, x: &[Self], out: &mut [Self]) {
                $rows! { $t, part beside }
                check(window, images, &[x.len()], &[out.len()]);
                if let Some(of) = Beside::new(window, images) {
                    let ([units, _], work) = (of.units(), x.len() + out.len());
                    let out = Matrix::new(out, of.outputs());
                    return by_rows(units, work, out, |units, out| beside(&of, units, least, x, out));
                }
                let slide = slide(window, images, false);
                let (rows, work) = (rows(&slide, images), x.len() + out.len());
                by_rows(rows, work, Matrix::new(out, slide.width()), |rows, out| part(&slide, rows, least, x, out));
            }
        })*
    };
}
macro_rules! vectors {
    ($t:ty, $part:ident $beside:ident) => {
        by_instruction_set!(fn $part(
            slide: &Slide, rows: Range<usize>, least: $t, x: &[$t], out: &mut [$t]
        ) = max_rows::<$t>);
        by_instruction_set!(fn $beside(
            of: &Beside, units: Range<usize>, least: $t, x: &[$t], out: &mut [$t]
        ) = greatest_units::<$t>);
    };
}
macro_rules! plain {
    ($t:ty, $part:ident $beside:ident) => {
        fn $part(slide: &Slide, rows: Range<usize>, least: $t, x: &[$t], out: &mut [$t]) {
            max_rows::<$t, false>(slide, rows, least, x, out);
        }
        fn $beside(of: &Beside, units: Range<usize>, least: $t, x: &[$t], out: &mut [$t]) {
            greatest_units::<$t, false>(of, units, least, x, out);
        }
    };
}
max_pooling!(f32, f64, f16, bf16: vectors);
max_pooling!(i8, i16, i32, i64, u8, u16, u32, u64: plain);

macro_rules! pooling {
    ($($t:ident as $wide:ident),*) => {
        $(impl Pooling for $t {
            fn max_pool_argmax(
                window: &Window,
                images: Images,
                batch_index: bool,
                x: &[Self],
                out: &mut [Self],
                argmax: &mut [i64],
                scratch: &mut [u32],
            ) {
                check(window, images, &[x.len()], &[out.len(), argmax.len()]);
                let taps = &mut scratch[..out.len()];
                $t::taps(window, images, x, Some(out), taps);
                let [inputs, outputs] = [window.inputs(), window.outputs()].map(|places| places * images.channels);
                let count = argmax.len().checked_div(outputs).unwrap_or(0);
                by_rows(count, 2 * argmax.len(), Matrix::new(argmax, outputs), |rows, argmax| {
                    for (image, argmax) in rows.zip(argmax.chunks_exact_mut(outputs)) {
                        let first = if batch_index { image * inputs } else { 0 };
                        elements_of(window, images, image, first, taps, argmax);
                    }
                });
            }

            fn max_pool_gradient(
                window: &Window,
                images: Images,
                x: &[Self],
                dy: &[Self],
                dx: &mut [Self],
                scratch: &mut [u32],
            ) {
                by_instruction_set!(fn part(
                    of: &Beside, units: Range<usize>, x: &[$t], dy: &[$t], dx: &mut [$t]
                ) = gradient_units::<$t>);
                check(window, images, &[x.len(), dx.len()], &[dy.len()]);
                if let Some(of) = Beside::new(window, images) {
                    let [units, each] = of.units();
                    let work = x.len() + dy.len() + dx.len();
                    return by_rows(units, work, Matrix::new(dx, each), |units, dx| part(&of, units, x, dy, dx));
                }
                let taps = &mut scratch[..dy.len()];
                $t::taps(window, images, x, None, taps);
                $t::to_greatest(window, images, taps, dy, dx);
            }

            fn max_pool_gradient_at(
                window: &Window,
                images: Images,
                batch_index: bool,
                argmax: &[i64],
                dy: &[Self],
                dx: &mut [Self],
                scratch: &mut [u32],
            ) -> Result<(), NotInWindow> {
                check(window, images, &[dx.len()], &[argmax.len(), dy.len()]);
                let taps = &mut scratch[..dy.len()];
                taps_of(window, images, batch_index, argmax, taps)?;
                $t::to_greatest(window, images, taps, dy, dx);
                Ok(())
            }

            fn max_pool_gradient_near(
                window: &Window,
                images: Images,
                x: &[Self],
                [y, dy]: [&[Self]; 2],
                dx: &mut [Self],
            ) {
                by_instruction_set!(fn part(
                    slide: &Slide, rows: Range<usize>, x: &[$t], y: &[$t], dy: &[$t], dx: &mut [$t]
                ) = near_rows::<$t>);
                check(window, images, &[x.len(), dx.len()], &[y.len(), dy.len()]);
                let slide = slide(window, images, true);
                let (rows, work) = (rows(&slide, images), x.len() + y.len() + dy.len() + dx.len());
                by_rows(rows, work, Matrix::new(dx, slide.width()), |rows, dx| part(&slide, rows, x, y, dy, dx));
            }

            fn max_pool_pick(
                window: &Window,
                images: Images,
                [x, from]: [&[Self]; 2],
                y: &[Self],
                out: &mut [Self],
            ) {
                by_instruction_set!(fn part(
                    slide: &Slide, rows: Range<usize>, x: &[$t], from: &[$t], y: &[$t], out: &mut [$t]
                ) = pick_rows::<$t>);
                check(window, images, &[x.len(), from.len()], &[y.len(), out.len()]);
                let slide = slide(window, images, false);
                let (rows, work) = (rows(&slide, images), x.len() + from.len() + y.len() + out.len());
                by_rows(rows, work, Matrix::new(out, slide.width()), |rows, out| part(&slide, rows, x, from, y, out));
            }

            fn average_pool(window: &Window, images: Images, x: &[Self], out: &mut [Self]) {
                by_instruction_set!(fn part(slide: &Slide, rows: Range<usize>, x: &[$t], out: &mut [$t]) = mean_rows::<$t>);
                check(window, images, &[x.len()], &[out.len()]);
                let slide = slide(window, images, false);
                let (rows, work) = (rows(&slide, images), x.len() + out.len());
                by_rows(rows, work, Matrix::new(out, slide.width()), |rows, out| part(&slide, rows, x, out));
            }

            fn average_pool_gradient_scratch(window: &Window, images: Images) -> usize {
                wide_len::<$t>(images.elements(window.outputs()).expect("outputs that are there can be counted"))
            }

            fn average_pool_gradient(
                window: &Window,
                images: Images,
                dy: &[Self],
                dx: &mut [Self],
                scratch: &mut [Self],
            ) {
                by_instruction_set!(fn share(
                    window: &Window, lanes: usize, rows: Range<usize>, dy: &[$t], shares: &mut [$wide]
                ) = share_rows::<$t>);
                by_instruction_set!(fn sum(slide: &Slide, rows: Range<usize>, shares: &[$wide], dx: &mut [$t]) = sum_rows::<$t>);
                check(window, images, &[dx.len()], &[dy.len()]);
                let shares = &mut wide_scratch(scratch)[..dy.len()];
                let slide = slide(window, images, true);
                let lanes = if slide.is_channels_last() { images.channels } else { 1 };
                let width = window.three()[2].output * lanes;
                let count = dy.len() / width.max(1);
                by_rows(count, 2 * dy.len(), Matrix::new(shares, width), |rows, shares| {
                    share(window, lanes, rows, dy, shares);
                });
                let (rows, work, shares) = (rows(&slide, images), dy.len() + dx.len(), &*shares);
                by_rows(rows, work, Matrix::new(dx, slide.width()), |rows, dx| sum(&slide, rows, shares, dx));
            }
        }

        impl Greatest for $t {
            fn taps(window: &Window, images: Images, x: &[Self], out: Option<&mut [Self]>, taps: &mut [u32]) {
                by_instruction_set!(fn part(
                    slide: &Slide, rows: Range<usize>, x: &[$t], out: Option<&mut [$t]>, taps: &mut [u32]
                ) = tap_rows::<$t>);
                let slide = slide(window, images, false);
                let (rows, work) = (rows(&slide, images), x.len() + taps.len());
                let results = (out.map(|out| Matrix::new(out, slide.width())), Matrix::new(taps, slide.width()));
                by_rows(rows, work, results, |rows, (out, taps)| part(&slide, rows, x, out, taps));
            }

            fn to_greatest(window: &Window, images: Images, taps: &[u32], dy: &[Self], dx: &mut [Self]) {
                by_instruction_set!(fn part(
                    slide: &Slide, rows: Range<usize>, taps: &[u32], dy: &[$t], dx: &mut [$t]
                ) = gradient_rows::<$t>);
                let slide = slide(window, images, true);
                let (rows, work) = (rows(&slide, images), 2 * dy.len() + dx.len());
                by_rows(rows, work, Matrix::new(dx, slide.width()), |rows, dx| part(&slide, rows, taps, dy, dx));
            }
        })*
    };
}

/// The taps of the greatest, with these where they are wanted, and the way back along them.
trait Greatest: Sized {
    fn taps(window: &Window, images: Images, x: &[Self], out: Option<&mut [Self]>, taps: &mut [u32]);
    fn to_greatest(window: &Window, images: Images, taps: &[u32], dy: &[Self], dx: &mut [Self]);
}
pooling!(f32 as f32, f64 as f64, f16 as f32, bf16 as f32);
