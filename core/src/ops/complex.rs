//! Complex numbers of their parts, their parts, and their conjugates.

use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, same_dtype,
};
use crate::shape::{MAX_RANK, broadcast};
use crate::{DType, Error, Result, Spec, Tensor};
use bytemuck::Pod;
use modulor_kernels::{copy, place};
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
    OpDef::plain::<Conj>("Conj", Accuracy::Exact),
]];
