//! Batch normalisation of x seen as outer × channels × inner: every channel by its own mean and variance.

use std::ops::Range;

use super::layer::{QUAD, add, group, total};
use super::{Element, LANES, by_lanes, fma, lanes_of, load, moments, store};
use crate::float::Real;
use crate::fold::{Reduce, join_lanes};
use crate::parts::{Matrix, by_rows};
use crate::strided::Strided;

/// What is done to each element, by the four coefficients of its channel.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// ((x − c₀) − c₁)·c₂ + c₃
    Normal,
    /// dy·c₂ − ((x − c₀)·c₁ + c₃)
    Gradient,
    /// dy·c₂
    Scaled,
}

/// A [`Form`], of dy and x or of x twice.
trait Point {
    fn at<R: Real, const FUSED: bool>(dy: R, x: R, c: [R; 4]) -> R;
}

struct Normal;
struct Gradient;
struct Scaled;

impl Point for Normal {
    #[inline(always)]
    fn at<R: Real, const FUSED: bool>(_: R, x: R, c: [R; 4]) -> R {
        fma::<R, FUSED>((x - c[0]) - c[1], c[2], c[3])
    }
}

impl Point for Gradient {
    #[inline(always)]
    fn at<R: Real, const FUSED: bool>(dy: R, x: R, c: [R; 4]) -> R {
        fma::<R, FUSED>(dy, c[2], -fma::<R, FUSED>(x - c[0], c[1], c[3]))
    }
}

impl Point for Scaled {
    #[inline(always)]
    fn at<R: Real, const FUSED: bool>(dy: R, _: R, c: [R; 4]) -> R {
        dy * c[2]
    }
}

/// Writes a form of each element. With `inner` 1 the slices begin with the first channel, else a run of one channel after
/// the other does, the first of them being the run `first`.
#[inline(always)]
pub(super) fn apply<T: Element, const FUSED: bool>(
    form: Form,
    inputs: [&[T]; 2],
    coefficients: [&[T::Wide]; 4],
    [first, inner]: [usize; 2],
    out: &mut [T],
) {
    match form {
        Form::Normal => apply_point::<T, Normal, FUSED>(inputs, coefficients, [first, inner], out),
        Form::Gradient => apply_point::<T, Gradient, FUSED>(inputs, coefficients, [first, inner], out),
        Form::Scaled => apply_point::<T, Scaled, FUSED>(inputs, coefficients, [first, inner], out),
    }
}

#[inline(always)]
fn apply_point<T: Element, P: Point, const FUSED: bool>(
    [dy, x]: [&[T]; 2],
    coefficients: [&[T::Wide]; 4],
    [first, inner]: [usize; 2],
    out: &mut [T],
) {
    let channels = coefficients[0].len();
    if inner != 1 {
        let runs = dy.chunks_exact(inner).zip(x.chunks_exact(inner)).zip(out.chunks_exact_mut(inner));
        for (run, ((dy, x), out)) in runs.enumerate() {
            let channel = (first + run) % channels;
            let [a, b, c, d] = coefficients;
            let c = [a[channel], b[channel], c[channel], d[channel]];
            for ((out, &dy), &x) in out.iter_mut().zip(dy).zip(x) {
                *out = T::narrow(P::at::<_, FUSED>(dy.widen(), x.widen(), c));
            }
        }
        return;
    }
    let rows = dy.chunks_exact(channels).zip(x.chunks_exact(channels)).zip(out.chunks_exact_mut(channels));
    for ((dy, x), out) in rows {
        by_lanes!(channels, apply_lanes, P([dy, x], coefficients, &mut *out));
    }
}

/// A form of some channels of a row.
#[inline(always)]
fn apply_lanes<T: Element, P: Point, const FULL: bool, const FUSED: bool>(
    here: Range<usize>,
    [dy, x]: [&[T]; 2],
    [a, b, c, d]: [&[T::Wide]; 4],
    out: &mut [T],
) {
    let (dy, x) = (load::<T, FULL>(&dy[here.clone()]), load::<T, FULL>(&x[here.clone()]));
    let (a, b) = (lanes_of::<_, FULL>(&a[here.clone()]), lanes_of::<_, FULL>(&b[here.clone()]));
    let (c, d) = (lanes_of::<_, FULL>(&c[here.clone()]), lanes_of::<_, FULL>(&d[here.clone()]));
    let mut wide = [T::Wide::ZERO; LANES];
    for i in 0..LANES {
        wide[i] = P::at::<_, FUSED>(dy[i], x[i], [a[i], b[i], c[i], d[i]]);
    }
    store::<T, FULL>(&wide, &mut out[here]);
}

/// Writes, for some groups of rows of channels, the sums over each of dy·(x − mean) and, after them, of dy.
#[inline(always)]
pub(super) fn sums_of_rows<T: Element, const FUSED: bool>(
    [dy, x]: [&[T]; 2],
    mean: &[T::Wide],
    group: usize,
    sums: &mut [f64],
) {
    let channels = mean.len();
    let group = group * channels;
    for ((dy, x), sums) in dy.chunks(group).zip(x.chunks(group)).zip(sums.chunks_exact_mut(2 * channels)) {
        sums.fill(0.0);
        let (along_mean, plainly) = sums.split_at_mut(channels);
        for (dy, x) in dy.chunks(QUAD * channels).zip(x.chunks(QUAD * channels)) {
            by_lanes!(channels, sums_of_lanes([dy, x], mean, &mut *along_mean, &mut *plainly));
        }
    }
}

/// Adds some channels of a few rows to their sums.
#[inline(always)]
fn sums_of_lanes<T: Element, const FULL: bool, const FUSED: bool>(
    here: Range<usize>,
    [dy, x]: [&[T]; 2],
    mean: &[T::Wide],
    of_along: &mut [f64],
    of_plain: &mut [f64],
) {
    let channels = mean.len();
    let mean = lanes_of::<_, FULL>(&mean[here.clone()]);
    let (mut along, mut plain) = ([T::Wide::ZERO; LANES], [T::Wide::ZERO; LANES]);
    for (dy, x) in dy.chunks_exact(channels).zip(x.chunks_exact(channels)) {
        let (dy, x) = (load::<T, FULL>(&dy[here.clone()]), load::<T, FULL>(&x[here.clone()]));
        for i in 0..LANES {
            along[i] = fma::<T::Wide, FUSED>(dy[i], x[i] - mean[i], along[i]);
            plain[i] = plain[i] + dy[i];
        }
    }
    add::<_, FULL>(&mut of_along[here.clone()], &along);
    add::<_, FULL>(&mut of_plain[here], &plain);
}

/// As [`sums_of_rows`] where each channel has runs of elements: two sums for each of some tasks, which are a channel of a
/// group of rows.
#[inline(always)]
pub(super) fn sums_of_runs<T: Element, const FUSED: bool>(
    [dy, x]: [&[T]; 2],
    mean: &[T::Wide],
    [group, inner]: [usize; 2],
    tasks: Range<usize>,
    sums: &mut [f64],
) {
    let channels = mean.len();
    let rows = x.len() / (channels * inner);
    for (task, sums) in tasks.zip(sums.chunks_exact_mut(2)) {
        let (first, channel) = (task / channels * group, task % channels);
        let mean = mean[channel];
        let (mut along, mut plain) = ([T::Sum::start(); LANES], [T::Sum::start(); LANES]);
        for row in first..rows.min(first + group) {
            let place = (row * channels + channel) * inner..(row * channels + channel + 1) * inner;
            let (dy_blocks, dy_rest) = dy[place.clone()].as_chunks::<LANES>();
            let (x_blocks, x_rest) = x[place].as_chunks::<LANES>();
            for (dy, x) in dy_blocks.iter().zip(x_blocks) {
                for i in 0..LANES {
                    let dy = dy[i].widen();
                    along[i] = T::Sum::push(along[i], (dy * (x[i].widen() - mean)).into());
                    plain[i] = T::Sum::push(plain[i], dy.into());
                }
            }
            for (i, (dy, x)) in dy_rest.iter().zip(x_rest).enumerate() {
                let dy = dy.widen();
                along[i] = T::Sum::push(along[i], (dy * (x.widen() - mean)).into());
                plain[i] = T::Sum::push(plain[i], dy.into());
            }
        }
        for (sum, mut lanes) in sums.iter_mut().zip([along, plain]) {
            *sum = T::Sum::finish(join_lanes(&mut lanes, T::Sum::join), 1);
        }
    }
}

/// The rows of a group: of channels, or of runs of each channel.
fn rows_of_group([outer, _, inner]: [usize; 3]) -> usize {
    if inner == 1 { group(outer) } else { outer.div_ceil(16).clamp(1, 256) }
}

/// The elements of scratch for any of the functions below.
pub(super) fn scratch(sizes: [usize; 3]) -> usize {
    let [outer, channels, _] = sizes;
    let groups = outer.div_ceil(rows_of_group(sizes));
    4 * channels + (2 * groups * channels).max(moments::scratch(&sizes, &AXES))
}

/// All axes but that of the channels.
const AXES: [bool; 3] = [true, false, true];

/// γ or β of a channel, or what stands for it.
fn parameter<T: Element>(of: Option<&[T]>, channel: usize, default: f64) -> f64 {
    of.map_or(default, |of| of[channel].widen().into())
}

/// The coefficients of all channels, in scratch, and what is left of it.
fn coefficients<R: Real + bytemuck::Pod>(scratch: &mut [f64], channels: usize) -> ([&mut [R]; 4], &mut [f64]) {
    let (own, rest) = scratch.split_at_mut(4 * channels);
    let (a, own) = bytemuck::cast_slice_mut(own).split_at_mut(channels);
    let (b, own) = own.split_at_mut(channels);
    let (c, own) = own.split_at_mut(channels);
    ([a, b, c, &mut own[..channels]], rest)
}

/// Writes the coefficients of [`Form::Normal`].
fn write_normal<T: Element>(
    [high, low, scale, offset]: &mut [&mut [T::Wide]; 4],
    [mean, variance]: [&[f64]; 2],
    [gamma, beta]: [Option<&[T]>; 2],
    epsilon: f64,
) {
    for i in 0..mean.len() {
        high[i] = T::Wide::narrow(mean[i]);
        // What the rounding of the mean loses matters where it is far greater than the deviations.
        low[i] = T::Wide::narrow(mean[i] - high[i].into());
        scale[i] = T::Wide::narrow(parameter(gamma, i, 1.0) / (variance[i] + epsilon).sqrt());
        offset[i] = T::Wide::narrow(parameter(beta, i, 0.0));
    }
}

/// Checks what every function is given.
fn check<T: Element>(
    [_, channels, _]: [usize; 3],
    parameters: [Option<&[T]>; 2],
    [mean, variance]: [&[T::Wide]; 2],
    scratch: bool,
) {
    let fits = parameters.iter().flatten().all(|x| x.len() == channels);
    assert!(
        fits && mean.len() == channels && variance.len() == channels,
        "each channel has its parameters and moments"
    );
    assert!(scratch, "a batch normalisation has the scratch it wants");
}

/// Applies a form on the pool.
fn apply_all<T: Element>(
    form: Form,
    [dy, x]: [&[T]; 2],
    coefficients: [&[T::Wide]; 4],
    [outer, channels, inner]: [usize; 3],
    out: &mut [T],
) {
    let lengths = [dy.len(), x.len(), out.len()];
    assert!(lengths == [outer * channels * inner; 3], "a batch has outer × channels × inner elements");
    if x.is_empty() {
        return;
    }
    let (rows, width) = if inner == 1 { (outer, channels) } else { (outer * channels, inner) };
    by_rows(rows, x.len().saturating_mul(2), Matrix::new(out, width), |rows, out| {
        let place = rows.start * width..rows.end * width;
        T::apply(form, [&dy[place.clone()], &x[place]], coefficients, [rows.start, inner], out);
    });
}

/// Normalises by the moments of the batch, and writes them.
pub(super) fn training<T: Element>(
    x: &[T],
    sizes: [usize; 3],
    parameters: [Option<&[T]>; 2],
    epsilon: f64,
    y: &mut [T],
    [mean, variance]: [&mut [T::Wide]; 2],
    scratch: &mut [f64],
) {
    let [outer, channels, inner] = sizes;
    check(sizes, parameters, [mean, variance], scratch.len() >= self::scratch(sizes));
    let (mut all, rest) = coefficients::<T::Wide>(scratch, channels);
    let strides = [channels * inner, inner, 1].map(|stride| stride as isize);
    assert!(x.len() == outer * channels * inner, "a batch has outer × channels × inner elements");
    let view = Strided::new(x, &sizes, &strides, 0).expect("the batch has as many elements");
    let moments = moments::of_view(view, &AXES, rest);
    write_normal(&mut all, moments, parameters, epsilon);
    for (to, from) in [mean, variance].into_iter().zip(moments) {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = T::Wide::narrow(from));
    }
    apply_all(Form::Normal, [x, x], all.each_ref().map(|c| &**c), sizes, y);
}

/// Normalises by moments that are given.
pub(super) fn inference<T: Element>(
    x: &[T],
    sizes: [usize; 3],
    given: [&[T::Wide]; 2],
    parameters: [Option<&[T]>; 2],
    epsilon: f64,
    y: &mut [T],
    scratch: &mut [f64],
) {
    let channels = sizes[1];
    check(sizes, parameters, given, scratch.len() >= self::scratch(sizes));
    let (mut all, rest) = coefficients::<T::Wide>(scratch, channels);
    let (mean, rest) = rest.split_at_mut(channels);
    let variance = &mut rest[..channels];
    for (to, from) in [&mut *mean, &mut *variance].into_iter().zip(given) {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = from.into());
    }
    write_normal(&mut all, [mean, variance], parameters, epsilon);
    apply_all(Form::Normal, [x, x], all.each_ref().map(|c| &**c), sizes, y);
}

/// The gradients by x, γ and β; with `training` the moments are those of the batch, else constants.
#[allow(clippy::too_many_arguments)]
pub(super) fn gradient<T: Element>(
    training: bool,
    inputs: [&[T]; 2],
    sizes: [usize; 3],
    [mean, variance]: [&[T::Wide]; 2],
    gamma: Option<&[T]>,
    epsilon: f64,
    dx: &mut [T],
    [mut of_gamma, mut of_beta]: [Option<&mut [T]>; 2],
    scratch: &mut [f64],
) {
    let [outer, channels, inner] = sizes;
    check(sizes, [gamma, None], [mean, variance], scratch.len() >= self::scratch(sizes));
    check(sizes, [of_gamma.as_deref(), of_beta.as_deref()], [mean, variance], true);
    let lengths = inputs.map(<[T]>::len);
    assert!(lengths == [outer * channels * inner; 2], "a batch has outer × channels × inner elements");
    if inputs[0].is_empty() {
        return [of_gamma, of_beta].into_iter().flatten().for_each(|of| of.fill(T::zeroed()));
    }
    let (all, rest) = coefficients::<T::Wide>(scratch, channels);
    let group = rows_of_group(sizes);
    let groups = outer.div_ceil(group);
    let sums = &mut rest[..2 * groups * channels];
    let work = inputs[0].len().saturating_mul(2);
    if !training && of_gamma.is_none() && of_beta.is_none() {
        // Nobody asks for them.
    } else if inner == 1 {
        by_rows(groups, work, Matrix::new(&mut *sums, 2 * channels), |groups, sums| {
            let place = groups.start * group * channels..outer.min(groups.end * group) * channels;
            T::sums_of_rows(inputs.map(|x| &x[place.clone()]), mean, group, sums);
        });
    } else {
        by_rows(groups * channels, work, Matrix::new(&mut *sums, 2), |tasks, sums| {
            T::sums_of_runs(inputs, mean, [group, inner], tasks, sums);
        });
    }
    let count = (outer * inner) as f64;
    let [centre, slope, scale, offset] = all;
    for i in 0..channels {
        let places = if inner == 1 { [i, channels + i] } else { [2 * i, 2 * i + 1] };
        let [along, plain] = places.map(|place| total::<T>(sums, 2 * channels, place));
        let inverse = 1.0 / (variance[i].into() + epsilon).sqrt();
        let factor = parameter(gamma, i, 1.0) * inverse;
        centre[i] = mean[i];
        scale[i] = T::Wide::narrow(factor);
        slope[i] = T::Wide::narrow(factor * inverse * inverse * (along / count));
        offset[i] = T::Wide::narrow(factor * (plain / count));
        for (out, sum) in [(&mut of_gamma, along * inverse), (&mut of_beta, plain)] {
            if let Some(out) = out {
                out[i] = T::narrow(T::Wide::narrow(sum));
            }
        }
    }
    let form = if training { Form::Gradient } else { Form::Scaled };
    apply_all(form, inputs, [centre, slope, scale, offset], sizes, dx);
}
