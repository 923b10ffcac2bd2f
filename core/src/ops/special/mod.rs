//! Special functions: inverses of error functions, polygamma and zeta, incomplete gamma and beta functions, modified
//! Bessel functions. Computed in float64 whatever the dtype, and rounded once.

mod functions;

use super::math::{broadcast_shape, repeated};
use super::triangle::narrow;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Backward, Input, Op, OpDef, Operand, Scratch, View, ViewMut, allowed, apply_one, arity, same_dtype,
    unsupported,
};
use crate::shape::MAX_RANK;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{cast, copy, divide_slice};
use std::f64::consts::{FRAC_2_SQRT_PI, TAU};

/// Picoseconds that a function takes, roughly.
const COST: usize = 100_000;

/// float32 and float64.
fn is_full(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64)
}

/// A function of float32 and float64 alone, of narrower floats by float32.
pub(super) fn in_full(a: &Tensor, b: &Tensor, f: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
    match is_full(a.dtype()) {
        true => f(a, b),
        false => f(&a.cast(DType::F32)?, &b.cast(DType::F32)?)?.cast(a.dtype()),
    }
}

/// One function of one float a row: documentation, class, TensorFlow's name, method and function, and its gradient as
/// a formula over the input `x`, the output `y` and the incoming gradient `dy`.
macro_rules! of_one {
    ($($(#[$doc:meta])* $op:ident $method:ident, |$x:ident, $y:ident, $dy:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    allowed(x.spec.dtype, DType::is_float, "floats")?;
                    Ok(vec![x.spec.clone()])
                }
                fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
                    inputs[0].len() * size_of::<f64>()
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let (x, out) = (inputs[0], &mut outputs[0]);
                    let wide = scratch.take::<f64>(x.len())?;
                    dispatch!(x.dtype(), float T => {
                        cast(x.elements::<T>()?, wide);
                        divide_slice(wide, COST, 1, |_, x| x.iter_mut().for_each(|x| *x = functions::$method(*x)));
                        narrow(wide, out.elements::<T>()?)
                    }, else => Err(unsupported(x.dtype())))
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    #[allow(unused_variables)]
                    let ($x, $y, $dy) = (b.input(0), b.output(0), b.dy(0));
                    Ok(vec![Some($grad)])
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`.")]
                pub fn $method(&self) -> Result<Tensor> {
                    apply_one($op, &[self])
                }
            }
        )*
        const OF_ONE: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Special)),*];
    };
}

of_one! {
    /// The y with `erf(y) = x`; ±∞ of ±1, NaN beyond.
    Erfinv erfinv, |x, y, dy| dy * y.square()?.exp()? * (1.0 / FRAC_2_SQRT_PI);
    /// The y below which a standard normal number is with probability `x`; NaN outside of 0 to 1.
    Ndtri ndtri, |x, y, dy| dy * (y.square()? * 0.5).exp()? * TAU.sqrt();
    /// `ψ(x)`, the derivative of `ln Γ(x)`; NaN at its poles.
    Digamma digamma, |x, y, dy| dy * in_full(&x.ones_like()?, x, |n, x| n.polygamma(x))?;
    /// The modified Bessel function `I₀(x)`.
    BesselI0 bessel_i0, |x, y, dy| dy * x.bessel_i1()?;
    /// The modified Bessel function `I₁(x)`. Its slope in 0 is ½, where TensorFlow has 1.
    BesselI1 bessel_i1, |x, y, dy| dy * half_at_zero(x, &(x.bessel_i0()? - y / not_zero(x)?))?;
    /// `e^−|x|·I₀(x)`.
    BesselI0e bessel_i0e, |x, y, dy| dy * (x.bessel_i1e()? - x.sign()? * y);
    /// `e^−|x|·I₁(x)`.
    BesselI1e bessel_i1e, |x, y, dy| {
        dy * half_at_zero(x, &(x.bessel_i0e()? - y * (x.sign()? + not_zero(x)?.reciprocal()?)))?
    };
}

/// `x`, and 1 where it is 0.
fn not_zero(x: &Tensor) -> Result<Tensor> {
    x.equal(0.0)?.select(&x.ones_like()?, x)
}

/// `slope`, and ½ where `x` is 0.
fn half_at_zero(x: &Tensor, slope: &Tensor) -> Result<Tensor> {
    x.equal(0.0)?.select(&(x.ones_like()? * 0.5), slope)
}

/// One function of two floats that broadcast a row, as [`of_one!`], with what it takes and the gradients of both.
macro_rules! of_two {
    ($($(#[$doc:meta])* [$takes:path, $what:literal] $op:ident $method:ident = $function:path,
        |$a:ident, $b:ident, $dy:ident, $back:ident| ($da:expr, $db:expr);)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    arity::<2>(inputs)?;
                    let dtype = allowed(same_dtype(inputs)?, $takes, $what)?;
                    Ok(vec![Spec::new(dtype, broadcast_shape(inputs)?)])
                }
                fn scratch(&self, _: &[View], outputs: &[ViewMut]) -> usize {
                    2 * outputs[0].len() * size_of::<f64>()
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let (dims, out) = (outputs[0].dims(), &mut outputs[0]);
                    let (first, second) = scratch.take::<f64>(2 * out.len())?.split_at_mut(out.len());
                    dispatch!(out.dtype(), float T => {
                        repeated::<T, _>(inputs, dims, |a, b| {
                            cast(a, first);
                            cast(b, second);
                        })?;
                        let second = &*second;
                        divide_slice(first, COST, 1, |start, a| {
                            a.iter_mut().zip(&second[start..]).for_each(|(a, b)| *a = $function(*a, *b));
                        });
                        narrow(first, out.elements::<T>()?)
                    }, else => Err(unsupported(out.dtype())))
                }
                fn grad(&self, $back: &Backward) -> Result<Vec<Option<Tensor>>> {
                    let ($a, $b, $dy) = ($back.input(0), $back.input(1), $back.dy(0));
                    Ok(vec![$da, $db])
                }
                fn broadcasts(&self) -> bool {
                    true
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`; shapes broadcast, dtypes must be equal.")]
                pub fn $method(&self, other: impl Operand) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op, &[self, &other.operand(self.dtype())?])
                }
            }
        )*
        const OF_TWO: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Special)),*];
    };
}

of_two! {
    /// The derivative, of this order, of [`digamma`](Tensor::digamma) in `other`; NaN where this is no whole number from
    /// 0 on. It has no gradient in the order. For float32 and float64.
    [is_full, "float32 and float64"] Polygamma polygamma = functions::polygamma, |n, x, dy, b| (
        None,
        b.when(1, || dy.mul((n + 1.0).polygamma(x)?))?
    );
    /// Hurwitz's `ζ(s, q) = Σ (q + k)⁻ˢ` over k from 0 on, of this, s, and `other`, q; ∞ where s is 1, NaN where it is
    /// less, or where q is negative and s no whole number. It has no gradient in s. For float32 and float64.
    [is_full, "float32 and float64"] Zeta zeta = functions::zeta, |s, q, dy, b| (
        None,
        b.when(1, || (dy * -s).mul((s + 1.0).zeta(q)?))?
    );
    /// The regularized lower incomplete gamma function `P(a, x)`, of this, a, and `other`, x: how much of the integral
    /// of `tᵃ⁻¹e⁻ᵗ` lies below x. NaN where x is negative or a not above 0.
    [DType::is_float, "floats"] Igamma igamma = functions::igamma, |a, x, dy, b| (
        b.when(0, || dy.mul(in_full(a, x, |a, x| a.igamma_slope(x))?))?,
        b.when(1, || dy.mul(gamma_density(a, x)?))?
    );
    /// The regularized upper incomplete gamma function `Q(a, x) = 1 − P(a, x)`; see [`igamma`](Tensor::igamma).
    [DType::is_float, "floats"] Igammac igammac = functions::igammac, |a, x, dy, b| (
        b.when(0, || (-dy).mul(in_full(a, x, |a, x| a.igamma_slope(x))?))?,
        b.when(1, || (-dy).mul(gamma_density(a, x)?))?
    );
    /// The derivative of [`igamma`](Tensor::igamma) in its first argument. It has no gradient in that.
    [is_full, "float32 and float64"] IgammaGradA igamma_slope = functions::igamma_slope, |a, x, dy, b| (
        match b.needs(0) {
            false => None,
            true => return Err(Error::unimplemented("no second derivative of igamma in a, as TensorFlow has none")),
        },
        b.when(1, || dy.mul(gamma_density(a, x)? * (x.log()? - a.digamma()?)))?
    );
    /// How fast a gamma number, `other`, grows with its shape, this, a, while the probability of less than it stays: minus the
    /// derivative of [`igamma`](Tensor::igamma) in a, over that in x. NaN where a number is negative or a not above 0, 0 where
    /// one is infinite. It has no gradients. For float32 and float64.
    [is_full, "float32 and float64"] RandomGammaGrad gamma_slope = functions::gamma_slope, |_a, _x, _dy, b| (
        match b.needs(0) || b.needs(1) {
            false => None,
            true => return Err(Error::unimplemented("no second derivative of gamma numbers, as TensorFlow has none")),
        },
        None
    );
}

/// `xᵃ⁻¹e⁻ˣ/Γ(a)`
fn gamma_density(a: &Tensor, x: &Tensor) -> Result<Tensor> {
    ((a - 1.0) * x.log()? - x - a.lgamma()?).exp()
}

/// The next number of a dtype after one towards another.
#[derive(Debug, Default)]
struct NextAfter;

macro_rules! next {
    ($name:ident $t:ident $bits:ident) => {
        fn $name(a: $t, b: $t) -> $t {
            if a.is_nan() || b.is_nan() {
                $t::NAN
            } else if a == b {
                b
            } else if a == 0.0 {
                $t::from_bits(1).copysign(b)
            } else {
                let away = (b > a) == (a > 0.0);
                $t::from_bits(if away { a.to_bits() + 1 } else { a.to_bits() - 1 })
            }
        }
    };
}
next!(next_f32 f32 u32);
next!(next_f64 f64 u64);

impl Op for NextAfter {
    fn name(&self) -> &'static str {
        "NextAfter"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        arity::<2>(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, is_full, "float32 and float64")?;
        Ok(vec![Spec::new(dtype, broadcast_shape(inputs)?)])
    }
    fn scratch(&self, _: &[View], outputs: &[ViewMut]) -> usize {
        outputs[0].len() * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (dims, out) = (outputs[0].dims(), &mut outputs[0]);
        macro_rules! each {
            ($t:ident $next:ident) => {{
                let first = scratch.take::<$t>(out.len())?;
                let out = out.elements::<$t>()?;
                repeated::<$t, _>(inputs, dims, |a, b| {
                    copy(a, first);
                    copy(b, out);
                })?;
                out.iter_mut().zip(&*first).for_each(|(b, a)| *b = $next(*a, *b));
            }};
        }
        match out.dtype() {
            DType::F32 => each!(f32 next_f32),
            _ => each!(f64 next_f64),
        }
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.dy(0).clone()), b.when(1, || b.dy(0).zeros_like())?])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

/// How much of the integral of a beta density lies below a number.
#[derive(Debug, Default)]
struct Betainc;

impl Op for Betainc {
    fn name(&self) -> &'static str {
        "Betainc"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        arity::<3>(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, is_full, "float32 and float64")?;
        if inputs.iter().any(|input| input.spec.shape.rank().is_none()) {
            return Ok(vec![Spec::new(dtype, Shape::unknown())]);
        }
        let mut shape = Shape::scalar();
        for own in inputs.iter().map(|input| &input.spec.shape).filter(|own| own.rank() != Some(0)) {
            let both = if shape.rank() == Some(0) { Some(own.clone()) } else { shape.merge(own) };
            shape = both.ok_or_else(|| {
                Error::invalid_argument(format!("arguments are scalars or of one shape, found {shape} and {own}"))
            })?;
        }
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, _: &[View], outputs: &[ViewMut]) -> usize {
        3 * outputs[0].len() * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (dims, out) = (outputs[0].dims(), &mut outputs[0]);
        let len = out.len();
        let all = scratch.take::<f64>(3 * len)?;
        dispatch!(out.dtype(), float T => {
            for (i, input) in inputs.iter().enumerate() {
                let mut strides = [0; MAX_RANK];
                let strides = &mut strides[..dims.len()];
                input.broadcast_strides(dims, strides);
                cast(input.restrided::<T>(dims, strides)?, &mut all[i * len..][..len]);
            }
            let (a, others) = all.split_at_mut(len);
            let (b, x) = others.split_at(len);
            divide_slice(a, COST, 1, |start, a| {
                let others = b[start..].iter().zip(&x[start..]);
                a.iter_mut().zip(others).for_each(|(a, (b, x))| *a = functions::betainc(*a, *b, *x));
            });
            narrow(a, out.elements::<T>()?)
        }, else => Err(unsupported(out.dtype())))
    }
    fn grad(&self, back: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (a, b, x) = (back.input(0), back.input(1), back.input(2));
        let density = back.when(2, || {
            let beta = a.lgamma()? + b.lgamma()? - (a + b).lgamma()?;
            let log = (b - 1.0).xlog1py(-x)? + (a - 1.0).xlogy(x)? - beta;
            back.dy(0).mul(log.exp()?)
        })?;
        Ok(vec![None, None, density])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

impl Tensor {
    /// The next number of this dtype after each element towards another; the other where both are equal. TensorFlow's
    /// `NextAfter`, for float32 and float64; shapes broadcast.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let next = Tensor::from([1.0_f32, 0.0]).next_after(2.0)?;
    /// assert_eq!(next.to_vec::<f32>()?, [1.0 + f32::EPSILON, f32::from_bits(1)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_after(&self, other: impl Operand) -> Result<Tensor> {
        self.check()?;
        apply_one(NextAfter, &[self, &other.operand(self.dtype())?])
    }

    /// The regularized incomplete beta function `I_x(a, b)`, of this, a: how much of the integral of `tᵃ⁻¹(1 − t)ᵇ⁻¹` lies
    /// below x. NaN where a or b is not above 0, or x not between 0 and 1. Arguments are scalars or of one shape; there
    /// are no gradients in a and b. TensorFlow's `Betainc`, for float32 and float64.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let below = Tensor::scalar(1.0_f64).betainc(1.0, &Tensor::from([0.25, 0.5]))?;
    /// assert_eq!(below.to_vec::<f64>()?, [0.25, 0.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn betainc(&self, b: impl Operand, x: impl Operand) -> Result<Tensor> {
        self.check()?;
        apply_one(Betainc, &[self, &b.operand(self.dtype())?, &x.operand(self.dtype())?])
    }
}

const OTHERS: &[OpDef] =
    &[OpDef::plain::<NextAfter>("NextAfter", Accuracy::Exact), OpDef::plain::<Betainc>("Betainc", Accuracy::Special)];

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[OF_ONE, OF_TWO, OTHERS];
