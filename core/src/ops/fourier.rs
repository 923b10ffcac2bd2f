//! Discrete Fourier transforms along the last one, two or three axes.
//!
//! One along an axis is made of `rustfft`'s plans, which are kept from one call to the next. Its loops are others with AVX,
//! with SSE or NEON and without, so that last bits differ between such machines; by lengths alone on one.

use super::array::dims_tensor;
use super::complex::{by_part, given_as, of_parts, part_of};
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, at_least_rank,
    int_values, ints, with_rank,
};
use crate::shape::MAX_RANK;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::{Pod, cast_slice_mut};
use modulor_kernels::{Matrix, copy, each_row_with};
use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftDirection, FftNum, FftPlanner};
use std::sync::{Arc, Mutex, PoisonError};

/// The greatest length of an axis: what is kept for one is about as long.
pub(super) const LONGEST: usize = 1 << 27;

/// How many plans of a kind are kept, and of how many places in all, but for the last one.
const KEPT: (usize, usize) = (32, 1 << 22);

/// How many lines that do not lie in one piece are transformed at a time.
const LINES: usize = 8;

/// The most rows under way at a time.
const ROOMS: usize = 8;

/// Plans by length, from the one used last on.
struct Kept<P: ?Sized>(Mutex<Vec<(usize, Arc<P>)>>);

impl<P: ?Sized> Kept<P> {
    const fn new() -> Self {
        Kept(Mutex::new(Vec::new()))
    }

    fn get(&self, length: usize, plan: impl FnOnce() -> Arc<P>) -> Arc<P> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().position(|(of, _)| *of == length) {
            Some(at) => kept[..=at].rotate_right(1),
            None => {
                kept.insert(0, (length, plan()));
                let beyond = |kept: &[(usize, Arc<P>)]| {
                    kept.len() > KEPT.0 || kept.iter().map(|(length, _)| length).sum::<usize>() > KEPT.1
                };
                while kept.len() > 1 && beyond(&kept) {
                    kept.pop();
                }
            }
        }
        kept[0].1.clone()
    }
}

/// The plans of one type of numbers.
struct Plans<T> {
    forward: Kept<dyn Fft<T>>,
    back: Kept<dyn Fft<T>>,
    of_real: Kept<dyn RealToComplex<T>>,
    to_real: Kept<dyn ComplexToReal<T>>,
}

/// A part of a complex number.
trait Part: FftNum + Pod {
    fn plans() -> &'static Plans<Self>;

    /// `1/n`
    fn one_of(n: usize) -> Self;

    fn complex(length: usize, inverse: bool) -> Arc<dyn Fft<Self>> {
        let (plans, direction) = match inverse {
            true => (&Self::plans().back, FftDirection::Inverse),
            false => (&Self::plans().forward, FftDirection::Forward),
        };
        plans.get(length, || FftPlanner::new().plan_fft(length, direction))
    }

    fn of_real(length: usize) -> Arc<dyn RealToComplex<Self>> {
        Self::plans().of_real.get(length, || RealFftPlanner::new().plan_fft_forward(length))
    }

    fn to_real(length: usize) -> Arc<dyn ComplexToReal<Self>> {
        Self::plans().to_real.get(length, || RealFftPlanner::new().plan_fft_inverse(length))
    }
}

macro_rules! parts {
    ($($t:ty)*) => { $(
        impl Part for $t {
            fn plans() -> &'static Plans<$t> {
                static PLANS: Plans<$t> =
                    Plans { forward: Kept::new(), back: Kept::new(), of_real: Kept::new(), to_real: Kept::new() };
                &PLANS
            }
            fn one_of(n: usize) -> $t {
                1.0 / n as $t
            }
        }
    )* };
}
parts!(f32 f64);

/// Picoseconds that a transform of so many places takes, roughly.
fn cost(length: usize) -> usize {
    length.saturating_mul(length.max(2).ilog2() as usize).saturating_mul(300)
}

/// Operations of transforms of so many places in all, of so many each.
fn flops(places: usize, each: usize) -> u64 {
    5 * places as u64 * u64::from(each.max(2).ilog2())
}

/// How many numbers of scratch transforms along an axis take: for each row under way, and in all.
fn work<T: Part>(dims: &[usize], axis: usize, inverse: bool) -> (usize, usize) {
    let (length, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
    if dims.contains(&0) {
        return (0, 0);
    }
    let lines = if inner == 1 { 0 } else { length * LINES.min(inner) };
    let each = lines + T::complex(length, inverse).get_inplace_scratch_len();
    (each, each * rooms(dims[..axis].iter().product()))
}

fn rooms(rows: usize) -> usize {
    rows.clamp(1, ROOMS)
}

/// Transforms the lines along an axis of dense numbers in their place.
fn along<T: Part>(all: &mut [Complex<T>], dims: &[usize], axis: usize, inverse: bool, room: &mut [Complex<T>])
where
    Complex<T>: Pod,
{
    if all.is_empty() {
        return;
    }
    let (length, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
    let (each, whole) = work::<T>(dims, axis, inverse);
    let (plan, one) = (T::complex(length, inverse), T::one_of(length));
    let block = length * inner;
    let transform = |lines: &mut [Complex<T>], room: &mut [Complex<T>]| {
        plan.process_with_scratch(lines, room);
        if inverse {
            lines.iter_mut().for_each(|x| *x = *x * one);
        }
    };
    let blocks = (all.len() / block, cost(length).saturating_mul(inner));
    each_row_with(blocks.0, blocks.1, Matrix::new(all, block), (&mut room[..whole], each), |_, block, room| {
        if inner == 1 {
            return transform(block, room);
        }
        let (lines, room) = room.split_at_mut(length * LINES.min(inner));
        for first in (0..inner).step_by(LINES) {
            let lines = &mut lines[..length * LINES.min(inner - first)];
            for (i, row) in block.chunks_exact(inner).enumerate() {
                lines[i..].iter_mut().step_by(length).zip(&row[first..]).for_each(|(to, &from)| *to = from);
            }
            transform(lines, room);
            for (i, row) in block.chunks_exact_mut(inner).enumerate() {
                row[first..].iter_mut().zip(lines[i..].iter().step_by(length)).for_each(|(to, &from)| *to = from);
            }
        }
    });
}

/// What a transform is of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    /// Complex numbers.
    Complex,
    /// Real numbers, which become the first half of the frequencies along the last axis, or come of them.
    Real,
}

/// A transform along the last axes, or back.
#[derive(Clone, Copy, Debug)]
struct Fourier {
    of: Of,
    axes: usize,
    inverse: bool,
    /// What it gives.
    to: DType,
}

impl Fourier {
    /// How many frequencies there are along the last axis of this op's complex numbers, of so many places.
    fn frequencies(self, places: usize) -> usize {
        match (self.of, places) {
            (Of::Complex, _) | (_, 0) => places,
            (Of::Real, _) => places / 2 + 1,
        }
    }

    /// Which of the last axes are transformed as complex numbers, in order.
    fn complex_axes(self, rank: usize) -> std::ops::Range<usize> {
        rank - self.axes..rank - usize::from(self.of == Of::Real)
    }

    /// The dims of the complex numbers of an op of real ones, and the places along the last axis.
    fn spectrum<'d>(
        self,
        inputs: &[View],
        out: &[usize],
        dims: &'d mut [usize; MAX_RANK],
    ) -> Result<(&'d [usize], usize)> {
        let dims = &mut dims[..out.len()];
        dims.copy_from_slice(out);
        let last = dims.len() - 1;
        let places = match self.inverse {
            true => dims[last],
            false => {
                usize::try_from(inputs[1].int(self.axes - 1)?).map_err(|_| Error::internal("a length was inferred"))?
            }
        };
        dims[last] = self.frequencies(places);
        Ok((dims, places))
    }

    /// The numbers of scratch for a transform of real numbers: for each row along the last axis, for all of them, and for the
    /// copy of the input.
    fn of_rows<T: Part>(self, dims: &[usize], places: usize) -> (usize, usize, usize) {
        if dims.contains(&0) {
            return (0, 0, 0);
        }
        let rows = dims[..dims.len() - 1].iter().product::<usize>();
        let each = match self.inverse {
            true => T::to_real(places).get_scratch_len(),
            false => T::of_real(places).get_scratch_len(),
        };
        let copied = if self.inverse { rows * dims[dims.len() - 1] } else { (rows * places).div_ceil(2) };
        (each, each * rooms(rows), copied)
    }

    fn scratch_of<T: Part>(self, inputs: &[View], out: &[usize]) -> Result<usize> {
        let mut dims = [0; MAX_RANK];
        let (dims, places) = match self.of {
            Of::Complex => (out, 0),
            Of::Real => self.spectrum(inputs, out, &mut dims)?,
        };
        let axes = self.complex_axes(dims.len()).map(|axis| work::<T>(dims, axis, self.inverse).1).max().unwrap_or(0);
        let (_, rows, copied) = if self.of == Of::Real { self.of_rows::<T>(dims, places) } else { (0, 0, 0) };
        Ok(copied + rows.max(axes))
    }

    fn complex<T: Part>(self, x: View, out: &mut ViewMut, room: &mut [Complex<T>]) -> Result<()>
    where
        Complex<T>: Pod,
    {
        let dims = out.dims();
        let out = out.elements::<Complex<T>>()?;
        copy(x.elements()?, out);
        self.complex_axes(dims.len()).rev().for_each(|axis| along(out, dims, axis, self.inverse, room));
        Ok(())
    }

    fn real<T: Part>(self, inputs: &[View], out: &mut ViewMut, room: &mut [Complex<T>]) -> Result<()>
    where
        Complex<T>: Pod,
    {
        let (x, mut dims) = (inputs[0], [0; MAX_RANK]);
        let (dims, places) = self.spectrum(inputs, out.dims(), &mut dims)?;
        // What the input has beyond is left out.
        let mut taken = [0; MAX_RANK];
        let taken = &mut taken[..dims.len()];
        taken.copy_from_slice(dims);
        let last = dims.len() - 1;
        if !self.inverse {
            taken[last] = places;
        }
        if out.is_empty() || x.dims().iter().zip(&*taken).any(|(have, take)| have < take) {
            out.bytes().fill(0);
            return Ok(());
        }
        let (each, whole, copied) = self.of_rows::<T>(dims, places);
        let (own, room) = room.split_at_mut(copied);
        let rows = dims[..last].iter().product::<usize>();
        let wrong = "rows are as long as their plan says";
        if !self.inverse {
            let real = &mut cast_slice_mut::<_, T>(own)[..rows * places];
            copy(x.restrided(taken, x.strides())?, real);
            let (out, plan) = (out.elements::<Complex<T>>()?, T::of_real(places));
            let both = (Matrix::new(real, places), Matrix::new(&mut *out, dims[last]));
            each_row_with(rows, cost(places), both, (&mut room[..whole], each), |_, (real, out), room| {
                plan.process_with_scratch(real, out, room).expect(wrong);
            });
            self.complex_axes(dims.len()).rev().for_each(|axis| along(out, dims, axis, false, room));
            return Ok(());
        }
        copy(x.restrided(taken, x.strides())?, own);
        self.complex_axes(dims.len()).for_each(|axis| along(own, dims, axis, true, room));
        let (plan, one) = (T::to_real(places), T::one_of(places));
        let both = (Matrix::new(own, dims[last]), Matrix::new(out.elements::<T>()?, places));
        each_row_with(rows, cost(places), both, (&mut room[..whole], each), |_, (spectrum, out), room| {
            // Those of real numbers are real.
            spectrum[0].im = T::zero();
            if places.is_multiple_of(2) {
                spectrum[places / 2].im = T::zero();
            }
            plan.process_with_scratch(spectrum, out, room).expect(wrong);
            out.iter_mut().for_each(|x| *x = *x * one);
        });
        Ok(())
    }

    /// Complex numbers' dtype.
    fn numbers(self, inputs: &[View]) -> DType {
        if self.of == Of::Real && !self.inverse { self.to } else { inputs[0].dtype() }
    }

    fn lengths(self, x: &Shape, lengths: &Input) -> Result<Shape> {
        allowed(lengths.spec.dtype, |d| d == DType::I32, "lengths of int32")?;
        let numbers = ints(lengths, "lengths")?;
        let shape = with_rank(&lengths.spec.shape, 1, "the lengths")?;
        if shape.merge(&[self.axes].into()).is_none() {
            return Err(Error::invalid_argument(format!("there are {} lengths, found {shape}", self.axes)));
        }
        let Some(mut dims) = x.dims() else { return Ok(Shape::unknown()) };
        let first = dims.len() - self.axes;
        for (i, dim) in dims[first..].iter_mut().enumerate() {
            let Some(numbers) = &numbers else {
                *dim = None;
                continue;
            };
            let wrong = || Error::invalid_argument(format!("a length is from 0 to {LONGEST}, found {numbers:?}"));
            let length = usize::try_from(numbers[i]).ok().filter(|&n| n <= LONGEST).ok_or_else(wrong)?;
            let half = if i + 1 == self.axes { self.frequencies(length) } else { length };
            let (needed, gives) = if self.inverse { (half, length) } else { (length, half) };
            if let Some(found) = dim.filter(|&found| found != 0 && found < needed) {
                let message =
                    format!("a transform of {length} places needs {needed} along axis {}, found {found}", first + i);
                return Err(Error::invalid_argument(message));
            }
            *dim = Some(gives);
        }
        Ok(dims.into())
    }

    /// Zeros behind what there is, up to the last dims of `like`.
    fn filled(self, x: &Tensor, like: &Tensor) -> Result<Tensor> {
        let unknown = || Error::unimplemented(format!("dims of {} are unknown", like.shape()));
        let (rank, dims) = (x.rank().ok_or_else(unknown)?, |t: &Tensor, axis| t.shape().dim(axis).ok_or_else(unknown));
        let mut paddings = vec![[0, 0]; rank];
        for (axis, [_, after]) in paddings.iter_mut().enumerate().skip(rank - self.axes) {
            *after = dims(like, axis)? as i64 - dims(x, axis)? as i64;
        }
        x.pad(paddings)
    }
}

impl Op for Fourier {
    fn name(&self) -> &'static str {
        match (self.of, self.inverse, self.axes) {
            (Of::Complex, false, 1) => "FFT",
            (Of::Complex, false, 2) => "FFT2D",
            (Of::Complex, false, _) => "FFT3D",
            (Of::Complex, true, 1) => "IFFT",
            (Of::Complex, true, 2) => "IFFT2D",
            (Of::Complex, true, _) => "IFFT3D",
            (Of::Real, false, 1) => "RFFT",
            (Of::Real, false, 2) => "RFFT2D",
            (Of::Real, false, _) => "RFFT3D",
            (Of::Real, true, 1) => "IRFFT",
            (Of::Real, true, 2) => "IRFFT2D",
            (Of::Real, true, _) => "IRFFT3D",
        }
    }
    fn attrs(&self) -> Attrs {
        match (self.of, self.inverse) {
            (Of::Complex, _) => Attrs::new(),
            (Of::Real, false) => Attrs::new().with("Tcomplex", self.to),
            (Of::Real, true) => Attrs::new().with("Treal", self.to),
        }
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let (x, lengths) = match self.of {
            Of::Complex => {
                let [x] = arity(inputs)?;
                (x.spec, None)
            }
            Of::Real => {
                let [x, lengths] = arity(inputs)?;
                (x.spec, Some(lengths))
            }
        };
        at_least_rank(&x.shape, self.axes, "what is transformed")?;
        if let Some(lengths) = lengths {
            let gives = if self.inverse { part_of(x.dtype)? } else { of_parts(x.dtype)? };
            return Ok(vec![Spec::new(given_as(gives, self.to)?, self.lengths(&x.shape, lengths)?)]);
        }
        part_of(x.dtype)?;
        let long = |dims: &[Option<usize>]| dims.iter().rev().take(self.axes).flatten().any(|&dim| dim > LONGEST);
        if x.shape.dims().is_some_and(|dims| long(&dims)) {
            return Err(Error::invalid_argument(format!("a length is at most {LONGEST}, found {}", x.shape)));
        }
        Ok(vec![x.clone()])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let numbers = self.numbers(inputs);
        // What `run` says is wrong has no scratch.
        let count = by_part!(numbers, T => self.scratch_of::<T>(inputs, outputs[0].dims())).unwrap_or(0);
        count * numbers.size()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        by_part!(self.numbers(inputs), T => {
            let room = scratch.take(self.scratch_of::<T>(inputs, outputs[0].dims())?)?;
            match self.of {
                Of::Complex => self.complex::<T>(inputs[0], &mut outputs[0], room),
                Of::Real => self.real::<T>(inputs, &mut outputs[0], room),
            }
        })
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        let open =
            |x: &Tensor| x.shape().dims().is_none_or(|dims| dims.iter().rev().take(self.axes).any(Option::is_none));
        self.of == Of::Real && (open(&inputs[0]) || inputs[1].is_symbolic())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, dy) = (b.input(0), b.dy(0));
        if self.of == Of::Complex {
            // A transform is its own transpose, so that dx = conj(F conj(dy)).
            return Ok(vec![Some(apply_one(*self, &[&dy.conj()?])?.conj()?)]);
        }
        let lengths: Vec<usize> = int_values(b.input(1))?.into_iter().map(|length| length as usize).collect();
        let (places, last) = (lengths[self.axes - 1], dy.rank().unwrap_or(0).saturating_sub(1));
        if lengths.contains(&0) || x.shape().elements() == Some(0) {
            return Ok(vec![Some(x.zeros_like()?), None]);
        }
        if !self.inverse {
            // The frequencies that are not there have no part in it: dx = Re(F conj(dy)).
            let mut paddings = vec![[0, 0]; last + 1];
            paddings[last][1] = (places - self.frequencies(places)) as i64;
            let whole = dy.conj()?.pad(paddings)?.fourier(self.axes, false)?.real()?;
            return Ok(vec![Some(self.filled(&whole, x)?), None]);
        }
        // Each frequency counts as often as it is met among the places: dx = F dy · (1, 2, …) / N.
        let count = self.frequencies(places);
        let all: f64 = lengths.iter().map(|&length| length as f64).product();
        let alone = |k: usize| k == 0 || 2 * k == places;
        let weights: Vec<f64> = (0..count).map(|k| if alone(k) { 1.0 } else { 2.0 } / all).collect();
        let weights = Tensor::new([count], weights)?.cast(self.to)?;
        let rfft = Fourier { inverse: false, to: x.dtype(), ..*self };
        let whole = apply_one(rfft, &[dy, b.input(1)])?;
        let whole = Tensor::complex(&whole.real()?.mul(&weights)?, &whole.imag()?.mul(&weights)?)?;
        Ok(vec![Some(self.filled(&whole, x)?), None])
    }
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        let of = |spec: &Spec| {
            let dims = spec.shape.known().unwrap_or_default();
            let each = dims.iter().rev().take(self.axes).fold(1_usize, |all, &dim| all.saturating_mul(dim));
            flops(spec.shape.elements().unwrap_or(0), each)
        };
        match self.of {
            Of::Complex => of(&inputs[0]),
            Of::Real => of(if self.inverse { &outputs[0] } else { &inputs[0] }) / 2,
        }
    }
}

impl Tensor {
    /// The discrete Fourier transform `X[k] = Σ_j x[j]·exp(−2πi·jk/n)` of complex numbers along the last `axes` axes, of which
    /// there are 1 to 3: one along each. TensorFlow's `FFT`, `FFT2D` and `FFT3D`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1.0_f64, 2.0, 3.0, 4.0]);
    /// let y = Tensor::complex(&x, &x.zeros_like()?)?.fft(1)?;
    /// assert!(y.imag()?.all_close(Tensor::from([0.0, 2.0, 0.0, -2.0]), 0.0, 1e-14, false)?.item::<bool>()?);
    /// assert!(y.ifft(1)?.real()?.sub(&x)?.abs()?.max(..)?.item::<f64>()? < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For numbers that are not complex, fewer axes, and axes of more than 2²⁷ places.
    pub fn fft(&self, axes: usize) -> Result<Tensor> {
        self.fourier(axes, false)
    }

    /// What [`fft`](Tensor::fft) makes this of: `x[j] = Σ_k X[k]·exp(2πi·jk/n)/n`. TensorFlow's `IFFT`, `IFFT2D` and `IFFT3D`.
    pub fn ifft(&self, axes: usize) -> Result<Tensor> {
        self.fourier(axes, true)
    }

    fn fourier(&self, axes: usize, inverse: bool) -> Result<Tensor> {
        self.check()?;
        apply_one(Fourier { of: Of::Complex, axes: in_all(axes)?, inverse, to: self.dtype() }, &[self])
    }

    /// [`fft`](Tensor::fft) of real numbers along as many axes as there are lengths, each cut or filled up with zeros to its
    /// length: along the last one the first `n/2 + 1` frequencies, which the others follow from. TensorFlow's `tf.signal.rfft`,
    /// `rfft2d` and `rfft3d`, of float32 or float64.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1.0_f32, 2.0, 3.0, 4.0, 5.0]);
    /// let y = x.rfft(&[5])?;
    /// assert_eq!(y.dims()?, [3]);
    /// assert!(y.irfft(&[5])?.sub(&x)?.abs()?.max(..)?.item::<f32>()? < 1e-5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rfft(&self, lengths: &[usize]) -> Result<Tensor> {
        self.check()?;
        let rfft = Fourier { of: Of::Real, axes: in_all(lengths.len())?, inverse: false, to: of_parts(self.dtype())? };
        rfft.fitted(self, lengths)
    }

    /// The real numbers that [`rfft`](Tensor::rfft) makes this of: as many along the last axes as the lengths say, for which the
    /// frequencies are cut or filled up with zeros. TensorFlow's `tf.signal.irfft`, `irfft2d` and `irfft3d`.
    pub fn irfft(&self, lengths: &[usize]) -> Result<Tensor> {
        self.check()?;
        let irfft = Fourier { of: Of::Real, axes: in_all(lengths.len())?, inverse: true, to: part_of(self.dtype())? };
        irfft.fitted(self, lengths)
    }
}

impl Fourier {
    /// The transform of what there is, and of zeros where that is less than needed.
    fn fitted(self, x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        at_least_rank(x.shape(), self.axes, "what is transformed")?;
        if lengths.iter().any(|&length| length > LONGEST) {
            return Err(Error::invalid_argument(format!("a length is from 0 to {LONGEST}, found {lengths:?}")));
        }
        let unknown =
            || Error::invalid_argument(format!("how many places are transformed must be known, found {}", x.shape()));
        let rank = x.rank().ok_or_else(unknown)?;
        let mut paddings = vec![[0, 0]; rank];
        for (i, &length) in lengths.iter().enumerate() {
            let axis = rank - self.axes + i;
            let needed = if self.inverse && i + 1 == self.axes { self.frequencies(length) } else { length };
            let found = x.shape().dim(axis).ok_or_else(unknown)?;
            paddings[axis][1] = needed.saturating_sub(found) as i64;
        }
        let more = paddings.iter().any(|[_, more]| *more > 0);
        let x = if more { &x.pad(paddings)? } else { x };
        apply_one(self, &[x, &dims_tensor(lengths)?])
    }
}

/// How many axes a transform is along.
fn in_all(axes: usize) -> Result<usize> {
    match axes {
        1..=3 => Ok(axes),
        _ => Err(Error::invalid_argument(format!("a Fourier transform is along 1 to 3 axes, found {axes}"))),
    }
}

/// A row of the table.
macro_rules! rows {
    ($($name:literal $of:ident $axes:literal $inverse:literal;)*) => {
        &[&[$(OpDef {
            name: $name,
            parse: |attrs| {
                let to = match (Of::$of, $inverse) {
                    (Of::Complex, _) => DType::Complex64,
                    (Of::Real, false) => attrs.dtype("Tcomplex", Some(DType::Complex64))?,
                    (Of::Real, true) => attrs.dtype("Treal", Some(DType::F32))?,
                };
                Ok(Arc::new(Fourier { of: Of::$of, axes: $axes, inverse: $inverse, to }))
            },
            accuracy: Accuracy::Sum,
        },)*]]
    };
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = rows! {
    "FFT" Complex 1 false;
    "FFT2D" Complex 2 false;
    "FFT3D" Complex 3 false;
    "IFFT" Complex 1 true;
    "IFFT2D" Complex 2 true;
    "IFFT3D" Complex 3 true;
    "RFFT" Real 1 false;
    "RFFT2D" Real 2 false;
    "RFFT3D" Real 3 false;
    "IRFFT" Real 1 true;
    "IRFFT2D" Real 2 true;
    "IRFFT3D" Real 3 true;
};
