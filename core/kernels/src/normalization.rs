//! Moments, and the normalisations made of them: of rows, and of the channels of a batch.

mod batch;
mod layer;
mod moments;

use std::ops::Range;

use bytemuck::Pod;
use half::{bf16, f16};

use crate::dispatch::{LANES, by_instruction_set};
use crate::float::Real;
use crate::fold::{self, Reduce, reduction, totals_by};
use crate::narrow::Stored;
use crate::number::Float;
use crate::strided::Strided;
use batch::{Form, apply, sums_of_rows, sums_of_runs};
use layer::{normalize_rows, rows_gradient};
use moments::moment_tasks;

/// The floats that are normalised: f32, f64, f16 and bf16.
///
/// Slices are row-major and dense. Sums are made in f64 (of f64 with their rounding errors, or in groups), in an order that
/// is a function of the sizes alone. `scratch` may hold anything; a function named for it says how many elements it has at
/// least. A γ that is not there counts as 1, and a β as 0.
///
/// Every function panics when the lengths of its arguments do not fit each other, which is for the caller to see to.
pub trait Normalization: Float {
    /// What statistics are kept in: f64 for f64, else f32.
    type Statistic: Float;

    /// The elements of scratch that [`moments`](Self::moments) wants.
    ///
    /// # Panics
    /// When the slices differ in length.
    fn moments_scratch(shape: &[usize], reduced: &[bool]) -> usize;

    /// Writes the mean of `x` over the axes k with `reduced[k]`, and the variance: the mean of the squares of what the
    /// elements deviate from it. Both have the shape of the other axes, and are NaN where there is no element.
    ///
    /// It reads `x` once, and a mean far greater than the deviations costs the variance nothing; of f64 it costs some
    /// eps·|mean|·√variance.
    ///
    /// ```
    /// use modulor_kernels::{Normalization, Strided};
    ///
    /// let rows = Strided::new(&[1.0_f32, 3.0, 5.0, 5.0], &[2, 2], &[2, 1], 0).expect("in bounds");
    /// let mut scratch = vec![0.0; f32::moments_scratch(&[2, 2], &[false, true])];
    /// let (mut mean, mut variance) = ([0.0; 2], [0.0; 2]);
    /// f32::moments(rows, &[false, true], &mut mean, &mut variance, &mut scratch);
    /// assert_eq!((mean, variance), ([2.0, 5.0], [1.0, 0.0]));
    /// ```
    fn moments(x: Strided<Self>, reduced: &[bool], mean: &mut [Self], variance: &mut [Self], scratch: &mut [f64]);

    /// Writes y = γ·x̂ + β, where x̂ = (x − mean)·inverse, for each row of `n` elements, and by what it was normalised:
    /// its mean and 1/√(variance + `epsilon`). `gamma` and `beta` have `n` elements.
    ///
    /// ```
    /// use modulor_kernels::Normalization;
    ///
    /// let (mut y, mut mean, mut inverse) = ([0.0; 4], [0.0; 2], [0.0; 2]);
    /// f32::layer_normalization(&[1.0, 3.0, 5.0, 9.0], None, Some(&[1.0, 2.0]), 2, 0.0, &mut y, &mut mean, &mut inverse);
    /// assert_eq!((y, mean, inverse), ([0.0, 3.0, 0.0, 3.0], [2.0, 7.0], [1.0, 0.5]));
    /// ```
    #[allow(clippy::too_many_arguments)]
    fn layer_normalization(
        x: &[Self],
        gamma: Option<&[Self]>,
        beta: Option<&[Self]>,
        n: usize,
        epsilon: f64,
        y: &mut [Self],
        mean: &mut [Self::Statistic],
        inverse: &mut [Self::Statistic],
    );

    /// The elements of scratch that the gradients of `rows` rows of `n` elements want.
    fn layer_normalization_scratch(rows: usize, n: usize) -> usize;

    /// The gradients of [`layer_normalization`](Self::layer_normalization), given that by y, x, and what was written with y:
    ///
    /// dx = inverse·(dŷ − mean(dŷ) − x̂·mean(dŷ·x̂)) with dŷ = γ·dy, and, summed over the rows, dγ = dy·x̂ and dβ = dy.
    #[allow(clippy::too_many_arguments)]
    fn layer_normalization_gradient(
        dy: &[Self],
        x: &[Self],
        mean: &[Self::Statistic],
        inverse: &[Self::Statistic],
        gamma: Option<&[Self]>,
        n: usize,
        dx: &mut [Self],
        dgamma: Option<&mut [Self]>,
        dbeta: Option<&mut [Self]>,
        scratch: &mut [f64],
    );

    /// Writes y = γ·x·inverse for each row of `n` elements, and by what it was normalised: 1/√(mean(x²) + `epsilon`).
    fn rms_normalization(
        x: &[Self],
        gamma: Option<&[Self]>,
        n: usize,
        epsilon: f64,
        y: &mut [Self],
        inverse: &mut [Self::Statistic],
    );

    /// The gradients of [`rms_normalization`](Self::rms_normalization), with the scratch of
    /// [`layer_normalization_gradient`](Self::layer_normalization_gradient):
    ///
    /// dx = inverse·(dŷ − x̂·mean(dŷ·x̂)) with x̂ = x·inverse and dŷ = γ·dy, and, summed over the rows, dγ = dy·x̂.
    #[allow(clippy::too_many_arguments)]
    fn rms_normalization_gradient(
        dy: &[Self],
        x: &[Self],
        inverse: &[Self::Statistic],
        gamma: Option<&[Self]>,
        n: usize,
        dx: &mut [Self],
        dgamma: Option<&mut [Self]>,
        scratch: &mut [f64],
    );

    /// The elements of scratch that a batch normalisation of outer × channels × inner elements wants, or its gradient.
    fn batch_normalization_scratch(sizes: [usize; 3]) -> usize;

    /// Writes y = γ·(x − mean)/√(variance + `epsilon`) + β, of x with `sizes` outer × channels × inner, and the mean and the
    /// variance of each channel, over outer × inner. `gamma`, `beta`, `mean` and `variance` have an element for each channel.
    #[allow(clippy::too_many_arguments)]
    fn batch_normalization_training(
        x: &[Self],
        sizes: [usize; 3],
        gamma: Option<&[Self]>,
        beta: Option<&[Self]>,
        epsilon: f64,
        y: &mut [Self],
        mean: &mut [Self::Statistic],
        variance: &mut [Self::Statistic],
        scratch: &mut [f64],
    );

    /// As [`batch_normalization_training`](Self::batch_normalization_training), by a mean and a variance that are given.
    ///
    /// ```
    /// use modulor_kernels::Normalization;
    ///
    /// let mut scratch = vec![0.0; f32::batch_normalization_scratch([2, 2, 1])];
    /// let (x, mut y) = ([1.0, 2.0, 3.0, 4.0], [0.0; 4]);
    /// f32::batch_normalization(&x, [2, 2, 1], &[1.0, 2.0], &[4.0, 1.0], None, None, 0.0, &mut y, &mut scratch);
    /// assert_eq!(y, [0.0, 0.0, 1.0, 2.0]);
    /// ```
    #[allow(clippy::too_many_arguments)]
    fn batch_normalization(
        x: &[Self],
        sizes: [usize; 3],
        mean: &[Self::Statistic],
        variance: &[Self::Statistic],
        gamma: Option<&[Self]>,
        beta: Option<&[Self]>,
        epsilon: f64,
        y: &mut [Self],
        scratch: &mut [f64],
    );

    /// The gradients of batch normalisation, given that by y, x, and the mean and the variance that x was normalised by.
    /// With inverse = 1/√(variance + `epsilon`) and x̂ = (x − mean)·inverse, sums and means being those of a channel:
    /// dγ = Σ dy·x̂, dβ = Σ dy, and dx = γ·inverse·(dy − mean(dy) − x̂·mean(dy·x̂)) where the moments were the batch's
    /// (`training`), else γ·inverse·dy.
    #[allow(clippy::too_many_arguments)]
    fn batch_normalization_gradient(
        training: bool,
        dy: &[Self],
        x: &[Self],
        sizes: [usize; 3],
        mean: &[Self::Statistic],
        variance: &[Self::Statistic],
        gamma: Option<&[Self]>,
        epsilon: f64,
        dx: &mut [Self],
        dgamma: Option<&mut [Self]>,
        dbeta: Option<&mut [Self]>,
        scratch: &mut [f64],
    );
}

/// A sum in f64 of what is so much shorter that rounding errors do not count.
struct Plain;

reduction!(Plain of f64 as f64 { 0.0, |a, x| a + x, |a, b| a + b, |a, _| a });

type Total<T> = <<T as Element>::Sum as Reduce<f64>>::Total;

/// A float as these kernels see it: how it is summed, and their parts as they are compiled for every instruction set.
trait Element: Stored<Wide: Into<f64> + Pod + Send + Sync> + Send + Sync {
    type Sum: Reduce<f64>;
    fn moment_tasks(x: Strided<Self>, reduced: &[bool], tasks: Range<usize>, partial: &mut [f64]);
    fn normalize_rows(
        x: &[Self],
        parameters: [Option<&[Self]>; 2],
        n: usize,
        epsilon: f64,
        y: &mut [Self],
        mean: Option<&mut [Self::Wide]>,
        inverse: &mut [Self::Wide],
    );
    fn rows_gradient(
        inputs: [&[Self]; 2],
        mean: Option<&[Self::Wide]>,
        inverse: &[Self::Wide],
        gamma: Option<&[Self]>,
        sizes: [usize; 2],
        dx: &mut [Self],
        sums: Option<&mut [f64]>,
    );
    fn apply(form: Form, inputs: [&[Self]; 2], coefficients: [&[Self::Wide]; 4], place: [usize; 2], out: &mut [Self]);
    fn sums_of_rows(inputs: [&[Self]; 2], mean: &[Self::Wide], group: usize, sums: &mut [f64]);
    fn sums_of_runs(
        inputs: [&[Self]; 2],
        mean: &[Self::Wide],
        sizes: [usize; 2],
        tasks: Range<usize>,
        sums: &mut [f64],
    );
}

/// a·b + c
#[inline(always)]
fn fma<R: Real, const FUSED: bool>(a: R, b: R, c: R) -> R {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// [`LANES`] elements or, not `FULL`, fewer and zeros after them. Where there are as many is known when this is compiled, so
/// that they stay in registers.
#[inline(always)]
fn load<T: Element, const FULL: bool>(from: &[T]) -> [T::Wide; LANES] {
    let mut wide = [T::Wide::ZERO; LANES];
    if FULL {
        let from = from.first_chunk::<LANES>().expect("full lanes");
        for (wide, &x) in wide.iter_mut().zip(from) {
            *wide = x.widen();
        }
    } else {
        for (wide, &x) in wide.iter_mut().zip(from) {
            *wide = x.widen();
        }
    }
    wide
}

/// As [`load`] of what is wide already.
#[inline(always)]
fn lanes_of<R: Real, const FULL: bool>(from: &[R]) -> [R; LANES] {
    if FULL {
        return *from.first_chunk().expect("full lanes");
    }
    let mut lanes = [R::ZERO; LANES];
    for (lane, &x) in lanes.iter_mut().zip(from) {
        *lane = x;
    }
    lanes
}

/// Writes what [`load`] reads.
#[inline(always)]
fn store<T: Element, const FULL: bool>(wide: &[T::Wide; LANES], to: &mut [T]) {
    if FULL {
        let to = to.first_chunk_mut::<LANES>().expect("full lanes");
        for (to, &wide) in to.iter_mut().zip(wide) {
            *to = T::narrow(wide);
        }
    } else {
        for (to, &wide) in to.iter_mut().zip(wide) {
            *to = T::narrow(wide);
        }
    }
}

/// Calls `$step::<T, FULL, FUSED>`, or with `$of` after `T`, with the place of every [`LANES`] of `$n` elements, and with that of the rest.
macro_rules! by_lanes {
    ($n:expr, $step:ident$(, $of:ident)?($($arg:expr),*)) => {{
        let whole = $n / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            $step::<T, $($of,)? true, FUSED>(at..at + LANES, $($arg),*);
        }
        if whole < $n {
            $step::<T, $($of,)? false, FUSED>(whole..$n, $($arg),*);
        }
    }};
}
use by_lanes;

macro_rules! normalizations {
    ($($t:ty as $wide:ty, $sum:ty;)*) => {
        $(impl Element for $t {
            type Sum = $sum;
            by_instruction_set!(fn moment_tasks(
                x: Strided<$t>, reduced: &[bool], tasks: Range<usize>, partial: &mut [f64]
            ) = moment_tasks::<$t>);
            by_instruction_set!(fn normalize_rows(
                x: &[$t], parameters: [Option<&[$t]>; 2], n: usize, epsilon: f64, y: &mut [$t],
                mean: Option<&mut [$wide]>, inverse: &mut [$wide]
            ) = normalize_rows::<$t>);
            by_instruction_set!(fn rows_gradient(
                inputs: [&[$t]; 2], mean: Option<&[$wide]>, inverse: &[$wide], gamma: Option<&[$t]>,
                sizes: [usize; 2], dx: &mut [$t], sums: Option<&mut [f64]>
            ) = rows_gradient::<$t>);
            by_instruction_set!(fn apply(
                form: Form, inputs: [&[$t]; 2], coefficients: [&[$wide]; 4], place: [usize; 2], out: &mut [$t]
            ) = apply::<$t>);
            by_instruction_set!(fn sums_of_rows(
                inputs: [&[$t]; 2], mean: &[$wide], group: usize, sums: &mut [f64]
            ) = sums_of_rows::<$t>);
            by_instruction_set!(fn sums_of_runs(
                inputs: [&[$t]; 2], mean: &[$wide], sizes: [usize; 2], tasks: Range<usize>, sums: &mut [f64]
            ) = sums_of_runs::<$t>);
        }

        impl Normalization for $t {
            type Statistic = $wide;

            fn moments_scratch(shape: &[usize], reduced: &[bool]) -> usize {
                moments::scratch(shape, reduced)
            }

            fn moments(
                x: Strided<Self>, reduced: &[bool], mean: &mut [Self], variance: &mut [Self], scratch: &mut [f64],
            ) {
                moments::write(x, reduced, [mean, variance], scratch);
            }

            fn layer_normalization(
                x: &[Self], gamma: Option<&[Self]>, beta: Option<&[Self]>, n: usize, epsilon: f64, y: &mut [Self],
                mean: &mut [$wide], inverse: &mut [$wide],
            ) {
                layer::normalize(x, [gamma, beta], n, epsilon, y, Some(mean), inverse);
            }

            fn layer_normalization_scratch(rows: usize, n: usize) -> usize {
                layer::scratch(rows, n)
            }

            fn layer_normalization_gradient(
                dy: &[Self], x: &[Self], mean: &[$wide], inverse: &[$wide], gamma: Option<&[Self]>, n: usize,
                dx: &mut [Self], dgamma: Option<&mut [Self]>, dbeta: Option<&mut [Self]>, scratch: &mut [f64],
            ) {
                let parameters = [dgamma, dbeta];
                layer::normalize_gradient([dy, x], Some(mean), inverse, gamma, n, dx, parameters, scratch);
            }

            fn rms_normalization(
                x: &[Self], gamma: Option<&[Self]>, n: usize, epsilon: f64, y: &mut [Self], inverse: &mut [$wide],
            ) {
                layer::normalize(x, [gamma, None], n, epsilon, y, None, inverse);
            }

            fn rms_normalization_gradient(
                dy: &[Self], x: &[Self], inverse: &[$wide], gamma: Option<&[Self]>, n: usize, dx: &mut [Self],
                dgamma: Option<&mut [Self]>, scratch: &mut [f64],
            ) {
                layer::normalize_gradient([dy, x], None, inverse, gamma, n, dx, [dgamma, None], scratch);
            }

            fn batch_normalization_scratch(sizes: [usize; 3]) -> usize {
                batch::scratch(sizes)
            }

            fn batch_normalization_training(
                x: &[Self], sizes: [usize; 3], gamma: Option<&[Self]>, beta: Option<&[Self]>, epsilon: f64,
                y: &mut [Self], mean: &mut [$wide], variance: &mut [$wide], scratch: &mut [f64],
            ) {
                batch::training(x, sizes, [gamma, beta], epsilon, y, [mean, variance], scratch);
            }

            fn batch_normalization(
                x: &[Self], sizes: [usize; 3], mean: &[$wide], variance: &[$wide], gamma: Option<&[Self]>,
                beta: Option<&[Self]>, epsilon: f64, y: &mut [Self], scratch: &mut [f64],
            ) {
                batch::inference(x, sizes, [mean, variance], [gamma, beta], epsilon, y, scratch);
            }

            fn batch_normalization_gradient(
                training: bool, dy: &[Self], x: &[Self], sizes: [usize; 3], mean: &[$wide], variance: &[$wide],
                gamma: Option<&[Self]>, epsilon: f64, dx: &mut [Self], dgamma: Option<&mut [Self]>,
                dbeta: Option<&mut [Self]>, scratch: &mut [f64],
            ) {
                let (moments, parameters) = ([mean, variance], [dgamma, dbeta]);
                batch::gradient(training, [dy, x], sizes, moments, gamma, epsilon, dx, parameters, scratch);
            }
        })*
    };
}
normalizations! {
    f32 as f32, Plain;
    f64 as f64, fold::Sum;
    f16 as f32, Plain;
    bf16 as f32, Plain;
}
