//! Complex numbers of their parts, their parts, and their conjugates.

use super::composite::composite;
use super::slice::Ellipsis;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, same_dtype,
};
use crate::shape::{MAX_RANK, broadcast};
use crate::{DType, Error, Result, Spec, Tensor};
use bytemuck::Pod;
use modulor_kernels::{copy, divide_slice, place};
use std::ops::Neg;
use std::sync::Arc;

/// The dtype of complex numbers whose parts are of this one.
pub(super) fn of_parts(dtype: DType) -> Result<DType> {
    match dtype {
        DType::F64 => Ok(DType::Complex128),
        _ => allowed(dtype, |d| d == DType::F32, "float32 or float64").map(|_| DType::Complex64),
    }
}

/// The dtype of the parts of complex numbers of this one.
pub(super) fn part_of(dtype: DType) -> Result<DType> {
    match dtype {
        DType::Complex128 => Ok(DType::F64),
        _ => allowed(dtype, |d| d == DType::Complex64, "complex64 or complex128").map(|_| DType::F32),
    }
}

/// What an op gives, `Tout` of which says the same.
pub(super) fn given_as(dtype: DType, said: DType) -> Result<DType> {
    if dtype == said {
        Ok(dtype)
    } else {
        Err(Error::invalid_argument(format!("gives {dtype}, and was made to give {said}")))
    }
}

/// Runs one body with a type alias for the type of the parts of complex numbers.
macro_rules! by_part {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Complex64 => {
                type $t = f32;
                $body
            }
            $crate::DType::Complex128 => {
                type $t = f64;
                $body
            }
            other => Err($crate::op::unsupported(other)),
        }
    };
}
pub(super) use by_part;

/// Numbers of real and imaginary parts.
#[derive(Debug)]
struct Complex {
    to: DType,
}

impl Op for Complex {
    fn name(&self) -> &'static str {
        "Complex"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("Tout", self.to)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [re, im] = arity(inputs)?;
        let dtype = given_as(of_parts(same_dtype(inputs)?)?, self.to)?;
        Ok(vec![Spec::new(dtype, broadcast(&re.spec.shape, &im.spec.shape)?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let dims = outputs[0].dims();
        let (mut strides, mut within) = ([0; MAX_RANK], [0; MAX_RANK]);
        let (strides, within) = (&mut strides[..dims.len()], &mut within[..dims.len()]);
        let mut step = 2;
        for (within, &dim) in within.iter_mut().zip(dims).rev() {
            *within = step;
            step *= dim as isize;
        }
        by_part!(self.to, T => {
            let out = outputs[0].elements::<T>()?;
            for (offset, x) in inputs.iter().enumerate() {
                x.broadcast_strides(dims, strides);
                place(x.restrided::<T>(dims, strides)?, out, within, offset)
                    .ok_or_else(|| Error::internal("parts lie in their numbers"))?;
            }
            Ok(())
        })
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![b.when(0, || b.dy(0).real())?, b.when(1, || b.dy(0).imag())?])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

/// The real parts of complex numbers, or the imaginary ones.
#[derive(Debug)]
struct Part {
    imag: bool,
    to: DType,
}

impl Op for Part {
    fn name(&self) -> &'static str {
        if self.imag { "Imag" } else { "Real" }
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("Tout", self.to)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        Ok(vec![Spec::new(given_as(part_of(x.spec.dtype)?, self.to)?, &x.spec.shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let x = inputs[0];
        let mut strides = [0; MAX_RANK];
        let strides = &mut strides[..x.dims().len()];
        strides.iter_mut().zip(x.strides()).for_each(|(stride, own)| *stride = 2 * own);
        by_part!(x.dtype(), T => {
            copy(x.parts::<T>(self.imag, strides)?, outputs[0].elements()?);
            Ok(())
        })
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (dy, none) = (b.dy(0), b.dy(0).zeros_like()?);
        let (re, im) = if self.imag { (&none, dy) } else { (dy, &none) };
        Ok(vec![Some(Tensor::complex(re, im)?)])
    }
}

/// Numbers with the opposite imaginary parts.
#[derive(Debug, Default)]
struct Conj;

impl Op for Conj {
    fn name(&self) -> &'static str {
        "Conj"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        part_of(x.spec.dtype)?;
        Ok(vec![x.spec.clone()])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        fn conjugate<T: Pod + Neg<Output = T>>(x: View, out: &mut ViewMut) -> Result<()>
        where
            num_complex::Complex<T>: Pod,
        {
            let out = out.elements::<num_complex::Complex<T>>()?;
            copy(x.elements()?, out);
            out.iter_mut().for_each(|x| x.im = -x.im);
            Ok(())
        }
        by_part!(inputs[0].dtype(), T => conjugate::<T>(inputs[0], &mut outputs[0]))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.dy(0).conj()?)])
    }
}

/// Picoseconds that a measure of a number takes, about.
const COST: usize = 10_000;

/// The measures of a complex number by its parts, the same bits everywhere.
trait Measured {
    fn magnitude(re: Self, im: Self) -> Self;
    fn angle(re: Self, im: Self) -> Self;
}

impl Measured for f32 {
    fn magnitude(re: f32, im: f32) -> f32 {
        libm::hypotf(re, im)
    }
    fn angle(re: f32, im: f32) -> f32 {
        libm::atan2f(im, re)
    }
}

impl Measured for f64 {
    fn magnitude(re: f64, im: f64) -> f64 {
        libm::hypot(re, im)
    }
    fn angle(re: f64, im: f64) -> f64 {
        libm::atan2(im, re)
    }
}

/// How long complex numbers are as arrows, or their angles in radians.
#[derive(Debug)]
struct Measure {
    angle: bool,
    to: DType,
}

impl Op for Measure {
    fn name(&self) -> &'static str {
        if self.angle { "Angle" } else { "ComplexAbs" }
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("Tout", self.to)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        Ok(vec![Spec::new(given_as(part_of(x.spec.dtype)?, self.to)?, &x.spec.shape)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        outputs[0].len() * inputs[0].dtype().size()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, out) = (inputs[0], &mut outputs[0]);
        by_part!(x.dtype(), T => {
            let numbers = scratch.take::<num_complex::Complex<T>>(out.len())?;
            copy(x.elements()?, numbers);
            let (numbers, measure) = (&*numbers, if self.angle { T::angle } else { T::magnitude });
            divide_slice(out.elements::<T>()?, COST, 1, |start, out| {
                out.iter_mut().zip(&numbers[start..]).for_each(|(y, x)| *y = measure(x.re, x.im));
            });
            Ok(())
        })
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, y, dy) = (b.input(0), b.output(0), b.dy(0));
        let (re, im) = (x.real()?, x.imag()?);
        if self.angle {
            let part = dy.div(re.square()?.add(im.square()?)?)?;
            return Ok(vec![Some(Tensor::complex(&im.mul(-&part)?, &re.mul(&part)?)?)]);
        }
        // Nothing flows to 0, as in TensorFlow.
        Ok(vec![Some(Tensor::complex(&dy.mul(re)?.div_no_nan(y)?, &dy.mul(im)?.div_no_nan(y)?)?)])
    }
}

impl Tensor {
    /// Complex numbers of real and imaginary parts, of float32 or float64, which broadcast. TensorFlow's `Complex`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let z = Tensor::complex(&Tensor::from([1.0_f32, 2.0]), &Tensor::from([-1.0_f32, 0.5]))?;
    /// assert_eq!(z.dtype().name(), "complex64");
    /// assert_eq!(z.real()?.to_vec::<f32>()?, [1.0, 2.0]);
    /// assert_eq!(z.conj()?.imag()?.to_vec::<f32>()?, [1.0, -0.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn complex(real: &Tensor, imag: &Tensor) -> Result<Tensor> {
        real.check()?;
        let to = if real.dtype() == DType::F64 { DType::Complex128 } else { DType::Complex64 };
        apply_one(Complex { to }, &[real, imag])
    }

    /// The real parts of complex numbers; real numbers as they are. TensorFlow's `Real`.
    pub fn real(&self) -> Result<Tensor> {
        self.part(false)
    }

    /// The imaginary parts of complex numbers; zeros of real ones. TensorFlow's `Imag`.
    pub fn imag(&self) -> Result<Tensor> {
        self.part(true)
    }

    fn part(&self, imag: bool) -> Result<Tensor> {
        self.check()?;
        match (self.dtype().is_complex(), imag) {
            (true, _) => apply_one(Part { imag, to: part_of(self.dtype())? }, &[self]),
            (false, true) => self.zeros_like(),
            (false, false) => Ok(self.clone()),
        }
    }

    /// How long complex numbers are as arrows, `√(re² + im²)`; of real ones their [`abs`](Tensor::abs). TensorFlow's `ComplexAbs`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let z = Tensor::complex(&Tensor::from([3.0_f32, -1.0]), &Tensor::from([4.0_f32, 0.0]))?;
    /// assert_eq!(z.magnitude()?.to_vec::<f32>()?, [5.0, 1.0]);
    /// assert_eq!(z.angle()?.to_vec::<f32>()?[1], std::f32::consts::PI);
    /// # Ok(())
    /// # }
    /// ```
    pub fn magnitude(&self) -> Result<Tensor> {
        self.check()?;
        match self.dtype().is_complex() {
            true => apply_one(Measure { angle: false, to: part_of(self.dtype())? }, &[self]),
            false => self.abs(),
        }
    }

    /// The angles of complex numbers in radians, from −π to π; of real ones 0 or, of negative ones, π. TensorFlow's `Angle`.
    pub fn angle(&self) -> Result<Tensor> {
        self.check()?;
        match self.dtype().is_complex() {
            true => apply_one(Measure { angle: true, to: part_of(self.dtype())? }, &[self]),
            false => composite("angle", || self.zeros_like()?.atan2(self)),
        }
    }

    /// Complex numbers so long and of such angles in radians, of float32 or float64, which broadcast. Keras's `ops.polar`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let z = Tensor::polar(&Tensor::from([2.0_f64]), &Tensor::from([std::f64::consts::FRAC_PI_2]))?;
    /// let y = z.view_as_real()?.to_vec::<f64>()?;
    /// assert!(y[0].abs() < 1e-15 && y[1] == 2.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn polar(magnitude: &Tensor, angle: &Tensor) -> Result<Tensor> {
        composite("polar", || Tensor::complex(&magnitude.mul(angle.cos()?)?, &magnitude.mul(angle.sin()?)?))
    }

    /// Complex numbers whose real and imaginary parts are the two places of the last axis. Keras's `ops.view_as_complex`.
    ///
    /// # Errors
    /// For a last axis that is not of two places, and for numbers other than float32 and float64.
    pub fn view_as_complex(&self) -> Result<Tensor> {
        self.check()?;
        let last = self.shape().dims().and_then(|dims| dims.last().copied());
        if !matches!(last, None | Some(None | Some(2))) {
            let message =
                format!("real and imaginary parts are the two places of the last axis, found {}", self.shape());
            return Err(Error::invalid_argument(message));
        }
        composite("view_as_complex", || Tensor::complex(&self.slice((Ellipsis, 0))?, &self.slice((Ellipsis, 1))?))
    }

    /// The real and imaginary parts of complex numbers as two places of a new last axis. Keras's `ops.view_as_real`.
    pub fn view_as_real(&self) -> Result<Tensor> {
        composite("view_as_real", || Tensor::stack(&[self.real()?, self.imag()?], -1))
    }

    /// Complex numbers with the opposite imaginary parts; real ones as they are. TensorFlow's `Conj`.
    pub fn conj(&self) -> Result<Tensor> {
        self.check()?;
        if self.dtype().is_complex() { apply_one(Conj, &[self]) } else { Ok(self.clone()) }
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "Complex",
        parse: |attrs| Ok(Arc::new(Complex { to: attrs.dtype("Tout", Some(DType::Complex64))? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "Real",
        parse: |attrs| Ok(Arc::new(Part { imag: false, to: attrs.dtype("Tout", Some(DType::F32))? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "Imag",
        parse: |attrs| Ok(Arc::new(Part { imag: true, to: attrs.dtype("Tout", Some(DType::F32))? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "ComplexAbs",
        parse: |attrs| Ok(Arc::new(Measure { angle: false, to: attrs.dtype("Tout", Some(DType::F32))? })),
        accuracy: Accuracy::Ulp4,
    },
    OpDef {
        name: "Angle",
        parse: |attrs| Ok(Arc::new(Measure { angle: true, to: attrs.dtype("Tout", Some(DType::F32))? })),
        accuracy: Accuracy::Ulp4,
    },
    OpDef::plain::<Conj>("Conj", Accuracy::Exact),
]];
