//! Elementwise arithmetic and functions. Binary ops broadcast as NumPy does.

use super::row_major;
use super::triangle::narrow;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Operand, Scalar, Scratch, View, ViewMut, allowed, apply_one, arity,
    given, same_dtype, unsupported,
};
use crate::shape::{MAX_RANK, broadcast, same};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Binary, Fault, Number, Strided, Unary, cast};
use std::borrow::Cow;
use std::sync::Arc;

/// The dtypes an elementwise op takes: those for which TensorFlow has it, but for the complex ones without a kernel
/// here.
#[derive(Clone, Copy)]
enum Takes {
    /// float32 and float64.
    Full,
    Float,
    /// Floats and complex numbers.
    Field,
    /// float32, float64, int32 and int64.
    Wide,
    /// Floats, int32 and int64.
    FloatOrWide,
    /// The same and complex numbers.
    FieldOrWide,
    /// Floats and signed integers.
    Signed,
    /// The same and complex numbers.
    SignedOrComplex,
    Number,
    Arithmetic,
}

impl Takes {
    fn check(self, dtype: DType) -> Result<DType> {
        let unsigned = matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
        let signed = dtype.is_integer() && !unsigned;
        let full = matches!(dtype, DType::F32 | DType::F64);
        let wide = matches!(dtype, DType::I32 | DType::I64);
        let (float, complex) = (dtype.is_float(), dtype.is_complex());
        let (holds, what) = match self {
            Takes::Full => (full, "float32 and float64"),
            Takes::Float => (float, "floats"),
            Takes::Field => (float || complex, "floats and complex numbers"),
            Takes::Wide => (full || wide, "float32, float64, int32 and int64"),
            Takes::FloatOrWide => (float || wide, "floats, int32 and int64"),
            Takes::FieldOrWide => (float || wide || complex, "floats, int32, int64 and complex numbers"),
            Takes::Signed => (float || signed, "floats and signed integers"),
            Takes::SignedOrComplex => (float || signed || complex, "floats, signed integers and complex numbers"),
            Takes::Number => (float || dtype.is_integer(), "numbers"),
            Takes::Arithmetic => (float || dtype.is_integer() || complex, "numbers and complex numbers"),
        };
        allowed(dtype, |_| holds, what)
    }
}

/// An elementwise kernel that may write over an input.
pub(super) trait WriteOver {
    /// `over` says which argument the output holds.
    fn write_over(self, over: usize, others: &[View], output: &mut ViewMut) -> Result<()>;
}

impl WriteOver for Unary {
    fn write_over(self, _: usize, _: &[View], output: &mut ViewMut) -> Result<()> {
        let dtype = output.dtype();
        dispatch!(dtype, arithmetic T => T::unary_over(self, output.elements()?).map_err(|_| unsupported(dtype)),
            else => Err(unsupported(dtype)))
    }
}

impl WriteOver for Binary {
    fn write_over(self, over: usize, others: &[View], output: &mut ViewMut) -> Result<()> {
        let (dims, dtype) = (output.dims(), output.dtype());
        let mut strides = [0; MAX_RANK];
        let strides = &mut strides[..dims.len()];
        others[0].broadcast_strides(dims, strides);
        dispatch!(dtype, arithmetic T => {
            let other = others[0].restrided(dims, strides)?;
            T::binary_over(self, output.elements()?, over == 0, other).map_err(|fault| refused(fault, dtype))
        }, else => Err(unsupported(dtype)))
    }
}

/// Lets an elementwise op write over these of its inputs.
macro_rules! writes_over {
    ($inputs:expr, $kernel:expr) => {
        fn overwrites(&self) -> &'static [usize] {
            &$inputs
        }
        fn run_over(&self, over: usize, others: &[View], output: &mut ViewMut, _: &mut Scratch) -> Result<()> {
            $crate::ops::math::WriteOver::write_over($kernel, over, others, output)
        }
    };
}

/// One op a row: documentation, what it takes, its class, its TensorFlow name, method and kernel, and its gradient as
/// a formula over the input `x`, the output `y` and the incoming gradient `dy`.
macro_rules! unary {
    ($($(#[$doc:meta])* [$takes:ident] $class:ident $op:ident $method:ident = $kernel:expr,
        |$x:ident, $y:ident, $dy:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            pub(crate) struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    Takes::$takes.check(x.spec.dtype)?;
                    Ok(vec![x.spec.clone()])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    map($kernel, inputs, outputs)
                }
                writes_over!([0], $kernel);
                fn scalar(&self) -> Option<Scalar> {
                    Some(Scalar::Unary($kernel))
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    #[allow(unused_variables)]
                    let ($x, $y, $dy) = (b.input(0), b.output(0), b.dy(0));
                    let grad: Option<Tensor> = $grad;
                    Ok(vec![grad])
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
        const UNARY: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::$class)),*];
    };
}

pub(super) fn map(kernel: Unary, inputs: &[View], outputs: &mut [ViewMut]) -> Result<()> {
    let x = inputs[0];
    dispatch!(x.dtype(), arithmetic T => {
        T::unary(kernel, x.elements()?, outputs[0].elements()?).map_err(|_| unsupported(x.dtype()))
    }, else => Err(unsupported(x.dtype())))
}

unary! {
    /// `−x`.
    [SignedOrComplex] Exact Neg neg = Unary::Neg, |x, y, dy| Some(-dy);
    /// `|x|`.
    [Signed] Exact Abs abs = Unary::Abs, |x, y, dy| Some(dy * x.sign()?);
    /// −1, 0 or 1 by the sign of `x`; NaN of NaN.
    [Signed] Exact Sign sign = Unary::Sign, |x, y, dy| Some(dy.zeros_like()?);
    /// `eˣ`.
    [Float] Ulp4 Exp exp = Unary::Exp, |x, y, dy| Some(dy * y);
    /// `eˣ − 1`, exact near 0.
    [Float] Ulp4 Expm1 expm1 = Unary::Expm1, |x, y, dy| Some(dy * x.exp()?);
    /// The natural logarithm.
    [Float] Ulp4 Log log = Unary::Log, |x, y, dy| Some(dy * x.reciprocal()?);
    /// `ln(1 + x)`, exact near 0.
    [Float] Ulp4 Log1p log1p = Unary::Log1p, |x, y, dy| Some(dy * (x + 1.0).reciprocal()?);
    /// `√x`.
    [Float] Exact Sqrt sqrt = Unary::Sqrt, |x, y, dy| Some(apply_one(SqrtGrad, &[y, dy])?);
    /// `1/√x`.
    [Float] Ulp4 Rsqrt rsqrt = Unary::Rsqrt, |x, y, dy| Some(apply_one(RsqrtGrad, &[y, dy])?);
    /// `x²`.
    [Arithmetic] Exact Square square = Unary::Square, |x, y, dy| Some(dy * (x.conj()? * 2.0));
    /// `1/x`.
    [Field] Ulp4 Reciprocal reciprocal = Unary::Reciprocal,
        |x, y, dy| Some(of_reciprocal(y, dy)?);
    /// The sine of `x` radians.
    [Float] Ulp4 Sin sin = Unary::Sin, |x, y, dy| Some(dy * x.cos()?);
    /// The cosine of `x` radians.
    [Float] Ulp4 Cos cos = Unary::Cos, |x, y, dy| Some(-(dy * x.sin()?));
    /// The tangent of `x` radians.
    [Float] Ulp4 Tan tan = Unary::Tan, |x, y, dy| Some(dy * x.cos()?.reciprocal()?.square()?);
    /// The hyperbolic sine.
    [Float] Ulp4 Sinh sinh = Unary::Sinh, |x, y, dy| Some(dy * x.cosh()?);
    /// The hyperbolic cosine.
    [Float] Ulp4 Cosh cosh = Unary::Cosh, |x, y, dy| Some(dy * x.sinh()?);
    /// The angle in radians whose sine is `x`.
    [Float] Ulp4 Asin asin = Unary::Asin, |x, y, dy| Some(dy * (1.0 - x * x).rsqrt()?);
    /// The angle in radians whose cosine is `x`.
    [Float] Ulp4 Acos acos = Unary::Acos, |x, y, dy| Some(-(dy * (1.0 - x * x).rsqrt()?));
    /// The angle in radians whose tangent is `x`.
    [Float] Ulp4 Atan atan = Unary::Atan, |x, y, dy| Some(dy / (1.0 + x * x));
    /// The inverse of the hyperbolic sine.
    [Float] Ulp4 Asinh asinh = Unary::Asinh, |x, y, dy| Some(dy / y.cosh()?);
    /// The inverse of the hyperbolic cosine, not below 0; NaN below 1.
    [Float] Ulp4 Acosh acosh = Unary::Acosh, |x, y, dy| Some(dy / y.sinh()?);
    /// The inverse of the hyperbolic tangent; NaN outside of −1 to 1.
    [Float] Ulp4 Atanh atanh = Unary::Atanh, |x, y, dy| Some(dy / (1.0 - x * x));
    /// The hyperbolic tangent.
    [Float] Ulp4 Tanh tanh = Unary::Tanh, |x, y, dy| Some(apply_one(TanhGrad, &[y, dy])?);
    /// `1/(1 + e⁻ˣ)`.
    [Float] Ulp4 Sigmoid sigmoid = Unary::Sigmoid, |x, y, dy| Some(apply_one(SigmoidGrad, &[y, dy])?);
    /// `ln(1 + eˣ)`.
    [Float] Ulp4 Softplus softplus = Unary::Softplus, |x, y, dy| Some(apply_one(SoftplusGrad, &[dy, x])?);
    /// `x/(1 + |x|)`.
    [Float] Ulp4 Softsign softsign = Unary::Softsign, |x, y, dy| Some(apply_one(SoftsignGrad, &[dy, x])?);
    /// The error function.
    [Float] Ulp4 Erf erf = Unary::Erf, |x, y, dy| Some(dy * std::f64::consts::FRAC_2_SQRT_PI * (-(x * x)).exp()?);
    /// `1 − erf(x)`, exact where that is small.
    [Float] Ulp4 Erfc erfc = Unary::Erfc, |x, y, dy| Some(dy * -std::f64::consts::FRAC_2_SQRT_PI * (-(x * x)).exp()?);
    /// `ln |Γ(x)|`; ∞ at the poles.
    [Float] Special Lgamma lgamma = Unary::Lgamma, |x, y, dy| Some(dy * x.digamma()?);
    /// The largest whole number not above `x`.
    [Float] Exact Floor floor = Unary::Floor, |x, y, dy| None;
    /// The smallest whole number not below `x`.
    [Float] Exact Ceil ceil = Unary::Ceil, |x, y, dy| None;
    /// The nearest whole number, halves to even.
    [Full] Exact Rint rint = Unary::Rint, |x, y, dy| None;
    /// The nearest whole number, halves to even; integers stay.
    [FloatOrWide] Exact Round round = Unary::Rint, |x, y, dy| None;
    /// `max(x, 0)`.
    [Number] Exact Relu relu = Unary::Relu, |x, y, dy| Some(apply_one(ReluGrad, &[dy, y])?);
    /// `min(max(x, 0), 6)`.
    [Number] Exact Relu6 relu6 = Unary::Relu6, |x, y, dy| Some(apply_one(Relu6Grad, &[dy, y])?);
    /// `x` above 0, `eˣ − 1` below.
    [Float] Ulp4 Elu elu = Unary::Elu, |x, y, dy| Some(apply_one(EluGrad, &[dy, y])?);
    /// `1.0507·x` above 0, `1.7581·(eˣ − 1)` below: keeps mean and variance through deep nets.
    [Float] Ulp4 Selu selu = Unary::Selu, |x, y, dy| Some(apply_one(SeluGrad, &[dy, y])?);
}

/// An op of two operands: its dtypes, name and kernel, the shape of its output and whether that is a broadcast, and the
/// gradients of both operands, before they are summed back to their shapes.
macro_rules! of_two {
    ([$takes:ident] $op:ident = $kernel:expr, $shape:ident, $broadcasts:literal,
        |$a:ident, $b:ident, $y:ident, $dy:ident| ($da:expr, $db:expr)) => {
        #[derive(Debug, Default)]
        pub(crate) struct $op;

        impl Op for $op {
            fn name(&self) -> &'static str {
                stringify!($op)
            }
            fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                arity::<2>(inputs)?;
                let dtype = Takes::$takes.check(same_dtype(inputs)?)?;
                Ok(vec![Spec::new(dtype, $shape(inputs)?)])
            }
            fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                zip($kernel, inputs, outputs)
            }
            writes_over!([0, 1], $kernel);
            fn scalar(&self) -> Option<Scalar> {
                Some(Scalar::Binary($kernel))
            }
            fn grad(&self, back: &Backward) -> Result<Vec<Option<Tensor>>> {
                #[allow(unused_variables)]
                let ($a, $b, $y, $dy) = (back.input(0), back.input(1), back.output(0), back.dy(0));
                let none = || Ok::<Option<Tensor>, Error>(None);
                let da = if back.needs(0) { $da } else { none()? };
                let db = if back.needs(1) { $db } else { none()? };
                Ok(vec![da, db])
            }
            fn broadcasts(&self) -> bool {
                $broadcasts
            }
        }
    };
}

/// One op of two operands that broadcast a row, as [`unary!`].
macro_rules! binary {
    ($($(#[$doc:meta])* [$takes:ident] $class:ident $op:ident $method:ident = $kernel:expr,
        |$a:ident, $b:ident, $y:ident, $dy:ident| ($da:expr, $db:expr);)*) => {
        $(
            of_two! { [$takes] $op = $kernel, broadcast_shape, true, |$a, $b, $y, $dy| ($da, $db) }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`; shapes broadcast, dtypes must be equal.")]
                pub fn $method(&self, other: impl Operand) -> Result<Tensor> {
                    of_both($op, Cow::Borrowed(self), other)
                }
            }
        )*
        const BINARY: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::$class)),*];
    };
}

/// An op of two operands, the result of which may take the place of one that ends here.
pub(crate) fn of_both(op: impl Op, left: Cow<Tensor>, right: impl Operand) -> Result<Tensor> {
    left.check()?;
    let right = right.into_operand(left.dtype())?;
    given(op, vec![left, Cow::Owned(right)])
}

/// One op that TensorFlow has only for gradients a row: of the gradient that arrives and what the function took (x) or
/// gave (y), in TensorFlow's order. Both have one shape.
macro_rules! gradients {
    ($([$takes:ident] $class:ident $op:ident,
        |$a:ident, $b:ident, $y:ident, $dy:ident| ($da:expr, $db:expr);)*) => {
        $(of_two! { [$takes] $op = Binary::$op, one_shape, false, |$a, $b, $y, $dy| ($da, $db) })*
        const GRADIENTS: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::$class)),*];
    };
}

/// The shape of inputs that must have the same one.
pub(super) fn one_shape(inputs: &[Input]) -> Result<Shape> {
    inputs.iter().try_fold(Shape::unknown(), |shape, input| {
        shape.merge(&input.spec.shape).ok_or_else(|| {
            Error::invalid_argument(format!("inputs must have one shape, found {shape} and {}", input.spec.shape))
        })
    })
}

/// The shape that two inputs broadcast to.
pub(super) fn broadcast_shape(inputs: &[Input]) -> Result<Shape> {
    let [a, b] = arity(inputs)?;
    broadcast(&a.spec.shape, &b.spec.shape)
}

/// Calls `f` with both inputs repeated to `dims`.
pub(super) fn repeated<T: bytemuck::Pod, R>(
    inputs: &[View],
    dims: &[usize],
    f: impl FnOnce(Strided<T>, Strided<T>) -> R,
) -> Result<R> {
    if same(inputs[0].dims(), dims) && same(inputs[1].dims(), dims) {
        return Ok(f(inputs[0].elements()?, inputs[1].elements()?));
    }
    let (mut left, mut right) = ([0; MAX_RANK], [0; MAX_RANK]);
    let (left, right) = (&mut left[..dims.len()], &mut right[..dims.len()]);
    inputs[0].broadcast_strides(dims, left);
    inputs[1].broadcast_strides(dims, right);
    Ok(f(inputs[0].restrided(dims, left)?, inputs[1].restrided(dims, right)?))
}

pub(super) fn zip(kernel: Binary, inputs: &[View], outputs: &mut [ViewMut]) -> Result<()> {
    let out = &mut outputs[0];
    let (dims, dtype) = (out.dims(), out.dtype());
    dispatch!(dtype, arithmetic T => {
        let out = out.elements()?;
        repeated(inputs, dims, |a, b| T::binary(kernel, a, b, out))?.map_err(|fault| refused(fault, dtype))
    }, else => Err(unsupported(dtype)))
}

/// The error of a fault.
pub(crate) fn refused(fault: Fault, dtype: DType) -> Error {
    match fault {
        Fault::ZeroDivisor { .. } => Error::invalid_argument("Integer division by zero"),
        Fault::NegativeExponent { .. } => {
            Error::invalid_argument("Integers to negative integer powers are not allowed")
        }
        _ => unsupported(dtype),
    }
}

binary! {
    /// `a + b`.
    [Arithmetic] Exact AddV2 add = Binary::Add, |a, b, y, dy| (Some(dy.clone()), Some(dy.clone()));
    /// `a − b`.
    [Arithmetic] Exact Sub sub = Binary::Sub, |a, b, y, dy| (Some(dy.clone()), Some(-dy));
    /// `a · b`.
    [Arithmetic] Exact Mul mul = Binary::Mul, |a, b, y, dy| (Some(dy * b.conj()?), Some(dy * a.conj()?));
    /// `a / b`, of floats; of integers see [`floor_div`](Tensor::floor_div) and [`truncate_div`](Tensor::truncate_div).
    [Field] Exact RealDiv div = Binary::Div,
        |a, b, y, dy| (Some(dy / b.conj()?), Some(dy * (-a.conj()? / b.conj()? / b.conj()?)));
    /// `⌊a / b⌋`, also of integers.
    [Number] Exact FloorDiv floor_div = Binary::FloorDiv, |a, b, y, dy| (None, None);
    /// `a − ⌊a / b⌋·b`: the remainder with the sign of `b`.
    [Number] Exact FloorMod floor_mod = Binary::FloorMod,
        |a, b, y, dy| (Some(dy.clone()), Some(-(dy * a.floor_div(b)?)));
    /// `a / b` without its fraction, also of integers.
    [Number] Exact TruncateDiv truncate_div = Binary::TruncateDiv, |a, b, y, dy| (None, None);
    /// What [`truncate_div`](Tensor::truncate_div) leaves: the remainder with the sign of `a`.
    [Wide] Exact TruncateMod truncate_mod = Binary::TruncateMod,
        |a, b, y, dy| (Some(dy.clone()), Some(-(dy * a.truncate_div(b)?)));
    /// `a / b`, and 0 where `b` is 0.
    [Field] Exact DivNoNan div_no_nan = Binary::DivNoNan, |a, b, y, dy| (
        Some(dy.div_no_nan(b.conj()?)?),
        Some(dy * (-a.conj()?).div_no_nan(b.conj()?)?.div_no_nan(b.conj()?)?)
    );
    /// `aᵇ`.
    [Signed] Ulp4 Pow pow = Binary::Pow, |a, b, y, dy| (
        Some(dy * b * a.pow(b - 1.0)?),
        // aᵇ is constant in b where a is 0, though ln 0 is not finite.
        Some(dy * y * a.greater(0.0)?.select(&a.greater(0.0)?.select(a, &a.ones_like()?)?.log()?, &a.zeros_like()?)?)
    );
    /// The larger of both; NaN if either is.
    [Number] Exact Maximum maximum = Binary::Maximum, |a, b, y, dy| (
        Some(a.greater_equal(b)?.select(dy, &dy.zeros_like()?)?),
        Some(a.greater_equal(b)?.select(&dy.zeros_like()?, dy)?)
    );
    /// The smaller of both; NaN if either is.
    [Number] Exact Minimum minimum = Binary::Minimum, |a, b, y, dy| (
        Some(a.less_equal(b)?.select(dy, &dy.zeros_like()?)?),
        Some(a.less_equal(b)?.select(&dy.zeros_like()?, dy)?)
    );
    /// `(a − b)²`; of complex numbers `|a − b|²`.
    [FieldOrWide] Ulp4 SquaredDifference squared_difference = Binary::SquaredDifference,
        |a, b, y, dy| (Some(dy * ((a - b) * 2.0)), Some(dy * ((b - a) * 2.0)));
    /// The angle in radians of the point at height `a` and distance `b`.
    [Float] Ulp4 Atan2 atan2 = Binary::Atan2, |a, b, y, dy| (
        Some(b * (dy / (a.square()? + b.square()?))),
        Some(-a * (dy / (a.square()? + b.square()?)))
    );
    /// `a / b`, and 0 where `a` is 0.
    [Float] Exact Xdivy xdivy = Binary::Xdivy,
        |a, b, y, dy| (Some(dy * where_not_zero(a)?.xdivy(b)?), Some(dy * (-a).xdivy(b.square()?)?));
    /// `a · ln b`, and 0 where `a` is 0.
    [Float] Ulp4 Xlogy xlogy = Binary::Xlogy,
        |a, b, y, dy| (Some(dy * where_not_zero(a)?.xlogy(b)?), Some(dy * a.xdivy(b)?));
    /// `a · ln(1 + b)`, and 0 where `a` is 0.
    [Float] Ulp4 Xlog1py xlog1py = Binary::Xlog1py,
        |a, b, y, dy| (Some(dy * where_not_zero(a)?.xlog1py(b)?), Some(dy * a.xdivy(b + 1.0)?));
}

/// The gradient of `1/x`, which is `y`.
fn of_reciprocal(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    match dy.dtype().is_complex() {
        true => Ok(-(dy * y.conj()?.square()?)),
        false => apply_one(ReciprocalGrad, &[y, dy]),
    }
}

/// 1 where `x` is not 0, else 0.
fn where_not_zero(x: &Tensor) -> Result<Tensor> {
    x.not_equal(0.0)?.cast(x.dtype())
}

// TensorFlow 1's division, which graphs still say: of integers it truncates.
of_two! {
    [Arithmetic] Div = Binary::Div, broadcast_shape, true,
    |a, b, y, dy| (Some(dy / b.conj()?), Some(dy * (-a.conj()? / b.conj()? / b.conj()?)))
}

// Another name of TruncateMod, without a gradient as TensorFlow's.
of_two! { [Wide] Mod = Binary::TruncateMod, broadcast_shape, true, |a, b, y, dy| (None, None) }

gradients! {
    [Float] Exact ReluGrad, |dy, x, out, g| (Some(apply_one(ReluGrad, &[g, x])?), None);
    [Float] Exact Relu6Grad, |dy, x, out, g| (Some(apply_one(Relu6Grad, &[g, x])?), None);
    [Float] Ulp4 EluGrad, |dy, y, out, g| (Some(apply_one(EluGrad, &[g, y])?), Some(where_negative(y, &(g * dy))?));
    [Float] Special SeluGrad, |dy, y, out, g| (Some(apply_one(SeluGrad, &[g, y])?), Some(where_negative(y, &(g * dy))?));
    [Float] Ulp4 SoftplusGrad, |dy, x, out, g| (
        Some(apply_one(SoftplusGrad, &[g, x])?),
        Some(g * dy * x.sigmoid()? * (-x).sigmoid()?)
    );
    [Float] Ulp4 SoftsignGrad, |dy, x, out, g| (
        Some(apply_one(SoftsignGrad, &[g, x])?),
        Some(g * dy * -2.0 * x.sign()? * (1.0 + x.abs()?).pow(-3.0)?)
    );
    [Float] Sum TanhGrad, |y, dy, out, g| (Some(g * -2.0 * dy * y), Some(apply_one(TanhGrad, &[y, g])?));
    [Float] Ulp4 SigmoidGrad,
        |y, dy, out, g| (Some(g * dy * (1.0 - y * 2.0)), Some(apply_one(SigmoidGrad, &[y, g])?));
    [Float] Ulp4 SqrtGrad, |y, dy, out, g| (Some(-(g / y) * out), Some(apply_one(SqrtGrad, &[y, g])?));
    [Float] Ulp4 RsqrtGrad, |y, dy, out, g| (Some(g * -1.5 * dy * y.square()?), Some(apply_one(RsqrtGrad, &[y, g])?));
    [Float] Ulp4 ReciprocalGrad,
        |y, dy, out, g| (Some(g * -2.0 * dy * y), Some(apply_one(ReciprocalGrad, &[y, g])?));
}

/// `g` where `x` is below 0, else 0.
fn where_negative(x: &Tensor, g: &Tensor) -> Result<Tensor> {
    x.less(0.0)?.select(g, &g.zeros_like()?)
}

/// The same values in another dtype; with `truncate`, floats lose what a narrower one has no bits for before they are rounded.
#[derive(Debug)]
struct Cast {
    to: DType,
    truncate: bool,
}

impl Cast {
    /// The last bits that numbers of a dtype lose.
    fn lost(&self, from: DType) -> u32 {
        match (from, self.to) {
            _ if !self.truncate => 0,
            (DType::F32, DType::F16) => 13,
            (DType::F32, DType::BF16) => 16,
            (DType::F64, DType::F32) => 29,
            (DType::F64, DType::F16) => 42,
            _ => 0,
        }
    }
}

impl Op for Cast {
    fn name(&self) -> &'static str {
        "Cast"
    }
    fn attrs(&self) -> Attrs {
        let attrs = Attrs::new().with("DstT", self.to);
        if self.truncate { attrs.with("Truncate", true) } else { attrs }
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        if self.truncate && x.spec.dtype.is_complex() {
            return Err(Error::unimplemented(format!("casting {} rounds; Truncate=true is for others", x.spec.dtype)));
        }
        if x.spec.dtype.size() == 0 || self.to.size() == 0 {
            return Err(Error::unimplemented(format!("casting {} to {} is not supported", x.spec.dtype, self.to)));
        }
        Ok(vec![Spec::new(self.to, &x.spec.shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let dtype = inputs[0].dtype();
        if self.lost(dtype) > 0 { inputs[0].len() * dtype.size() } else { 0 }
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, out) = (inputs[0], &mut outputs[0]);
        macro_rules! cut {
            ($t:ident, $lost:expr) => {{
                let own = scratch.take::<$t>(x.len())?;
                cast(x.elements::<$t>()?, own);
                for x in own.iter_mut().filter(|x| !x.is_nan()) {
                    *x = $t::from_bits(x.to_bits() >> $lost << $lost);
                }
                dispatch!(self.to, float T => narrow(own, out.elements::<T>()?), else => Err(unsupported(self.to)))
            }};
        }
        match (self.lost(x.dtype()), x.dtype()) {
            (0, _) => cast_into(x, out),
            (lost, DType::F32) => cut!(f32, lost),
            (lost, _) => cut!(f64, lost),
        }
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let from = b.input(0).dtype();
        let smooth = from.is_differentiable() && self.to.is_differentiable();
        Ok(vec![if smooth { Some(b.dy(0).cast(from)?) } else { None }])
    }
}

/// Every pair of dtypes: a bool is a u8 of 0 or 1, and what is not 0 is true.
fn cast_into(x: View, out: &mut ViewMut) -> Result<()> {
    let (from, to) = (x.dtype(), out.dtype());
    match (from, to) {
        (DType::Bool, DType::Bool) => {
            modulor_kernels::copy(x.elements::<u8>()?, out.elements()?);
            Ok(())
        }
        (DType::Bool, _) => dispatch!(to, arithmetic B => {
            cast::<u8, B>(x.elements()?, out.elements()?);
            Ok(())
        }, else => Err(unsupported(to))),
        (_, DType::Bool) => dispatch!(from, arithmetic A => {
            A::nonzero(x.elements()?, out.elements()?);
            Ok(())
        }, else => Err(unsupported(from))),
        _ => dispatch!(from, arithmetic A => dispatch!(to, arithmetic B => {
            cast::<A, B>(x.elements()?, out.elements()?);
            Ok(())
        }, else => Err(unsupported(to))), else => Err(unsupported(from))),
    }
}

impl Tensor {
    /// The same values as `dtype`: floats become integers by dropping the fraction, saturating at the ends, and NaN
    /// becoming 0; bools are 0 and 1; what is not 0 is true. TensorFlow's `Cast`.
    pub fn cast(&self, dtype: DType) -> Result<Tensor> {
        self.check()?;
        if self.dtype() == dtype {
            return Ok(self.clone());
        }
        apply_one(Cast { to: dtype, truncate: false }, &[self])
    }
}

/// One op with a slope below 0 a row: of `x`, and of the gradient that arrives beside it.
macro_rules! leaky {
    ($($op:ident [$($over:literal),*] $run:ident($kind:ident, $kernel:path), |$this:ident, $b:ident| $grads:expr;)*) => { $(
        #[derive(Debug)]
        struct $op {
            alpha: f32,
        }

        impl Op for $op {
            fn name(&self) -> &'static str {
                stringify!($op)
            }
            fn attrs(&self) -> Attrs {
                Attrs::new().with("alpha", self.alpha)
            }
            fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                arity::<{ [$($over),*].len() }>(inputs)?;
                Ok(vec![Spec::new(Takes::Float.check(same_dtype(inputs)?)?, one_shape(inputs)?)])
            }
            fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                $run($kernel(self.alpha.into()), inputs, outputs)
            }
            fn scalar(&self) -> Option<Scalar> {
                Some(Scalar::$kind($kernel(self.alpha.into())))
            }
            fn overwrites(&self) -> &'static [usize] {
                &[$($over),*]
            }
            fn run_over(&self, over: usize, others: &[View], output: &mut ViewMut, _: &mut Scratch) -> Result<()> {
                $kernel(self.alpha.into()).write_over(over, others, output)
            }
            fn grad(&self, $b: &Backward) -> Result<Vec<Option<Tensor>>> {
                let $this = LeakyReluGrad { alpha: self.alpha };
                Ok($grads)
            }
        }
    )* };
}

leaky! {
    LeakyRelu [0] map(Unary, Unary::LeakyRelu), |slope, b| vec![Some(apply_one(slope, &[b.dy(0), b.input(0)])?)];
    LeakyReluGrad [0, 1] zip(Binary, Binary::LeakyReluGrad), |slope, b| vec![Some(apply_one(slope, &[b.dy(0), b.input(1)])?), None];
}

impl Tensor {
    /// `x` above 0, `alpha·x` below. TensorFlow's `LeakyRelu`.
    pub fn leaky_relu(&self, alpha: f32) -> Result<Tensor> {
        apply_one(LeakyRelu { alpha }, &[self])
    }
}

/// The sum of tensors of one shape.
#[derive(Debug, Default)]
struct AddN;

impl Op for AddN {
    fn name(&self) -> &'static str {
        "AddN"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = same_dtype(inputs)?;
        let dtype = if dtype == DType::Variant { dtype } else { Takes::Arithmetic.check(dtype)? };
        Ok(vec![Spec::new(dtype, one_shape(inputs)?)])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let [first, rest @ ..] = inputs else { return Err(Error::internal("an input was inferred")) };
        let sum = rest.iter().try_fold((*first).clone(), |sum, next| super::list::add(&sum, next))?;
        Ok(vec![sum])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        if inputs.len() > 2 { outputs[0].len() * outputs[0].dtype().size() } else { 0 }
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let out = &mut outputs[0];
        let (dims, dtype) = (out.dims(), out.dtype());
        dispatch!(dtype, arithmetic T => {
            let out = out.elements::<T>()?;
            let [first, rest @ ..] = inputs else { return Err(Error::internal("an input was inferred")) };
            let [second, rest @ ..] = rest else {
                modulor_kernels::copy(first.elements::<T>()?, out);
                return Ok(());
            };
            let sum = |a: Strided<T>, b: Strided<T>, out: &mut [T]| {
                T::binary(Binary::Add, a, b, out).map_err(|_| unsupported(dtype))
            };
            sum(first.elements()?, second.elements()?, out)?;
            for next in rest {
                let before = scratch.take::<T>(out.len())?;
                before.copy_from_slice(out);
                row_major(before, dims, |before| sum(before, next.elements()?, out))?;
            }
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(b.dy(0).clone()); b.inputs().len()])
    }
}

/// Elements kept between two bounds, each a scalar or of the elements' shape.
#[derive(Debug, Default)]
struct ClipByValue;

impl Op for ClipByValue {
    fn name(&self) -> &'static str {
        "ClipByValue"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, low, high] = arity(inputs)?;
        let dtype = Takes::Number.check(same_dtype(inputs)?)?;
        for bound in [low, high] {
            let bound = &bound.spec.shape;
            if bound.rank() != Some(0) && !bound.is_compatible_with(&x.spec.shape) {
                return Err(Error::invalid_argument(format!(
                    "a bound must be a scalar or of the shape {}, found {bound}",
                    x.spec.shape
                )));
            }
        }
        Ok(vec![Spec::new(dtype, &x.spec.shape)])
    }
    fn scratch(&self, _: &[View], outputs: &[ViewMut]) -> usize {
        outputs[0].len() * outputs[0].dtype().size()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, low, high] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let out = &mut outputs[0];
        let (dims, dtype) = (out.dims(), out.dtype());
        dispatch!(dtype, number T => {
            let out = out.elements::<T>()?;
            let below = scratch.take::<T>(out.len())?;
            let done = repeated(&[*x, *high], dims, |x, high| T::binary(Binary::Minimum, x, high, below))?;
            done.map_err(|_| unsupported(dtype))?;
            let mut strides = [0; MAX_RANK];
            let strides = &mut strides[..dims.len()];
            low.broadcast_strides(dims, strides);
            let low = low.restrided(dims, strides)?;
            row_major(below, dims, |below| T::binary(Binary::Maximum, below, low, out).map_err(|_| unsupported(dtype)))
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, low, high, dy) = (b.input(0), b.input(1), b.input(2), b.dy(0));
        let zeros = dy.zeros_like()?;
        let (below, above) = (x.less(low)?, x.greater(high)?);
        Ok(vec![
            b.when(0, || below.logical_or(&above)?.select(&zeros, dy))?,
            b.when(1, || below.select(dy, &zeros))?,
            b.when(2, || above.select(dy, &zeros))?,
        ])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

impl Tensor {
    /// The sum of tensors of one shape, of which there is at least one. TensorFlow's `AddN`.
    pub fn add_n(tensors: &[Tensor]) -> Result<Tensor> {
        apply_one(AddN, &tensors.iter().collect::<Vec<_>>())
    }

    /// `x` where it lies between `low` and `high`, else the nearer of them; each is a scalar or of this shape.
    /// TensorFlow's `ClipByValue`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([-3.0_f32, 0.5, 3.0]);
    /// assert_eq!(x.clip_by_value(-1.0, 1.0)?.to_vec::<f32>()?, [-1.0, 0.5, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn clip_by_value(&self, low: impl Operand, high: impl Operand) -> Result<Tensor> {
        self.check()?;
        let (low, high) = (low.operand(self.dtype())?, high.operand(self.dtype())?);
        apply_one(ClipByValue, &[self, &low, &high])
    }
}

const OTHERS: &[OpDef] = &[
    OpDef {
        name: "Cast",
        parse: |attrs| Ok(Arc::new(Cast { to: attrs.dtype("DstT", None)?, truncate: attrs.bool("Truncate", false)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "LeakyRelu",
        parse: |attrs| Ok(Arc::new(LeakyRelu { alpha: attrs.float("alpha", 0.2)? })),
        accuracy: Accuracy::Ulp4,
    },
    OpDef {
        name: "LeakyReluGrad",
        parse: |attrs| Ok(Arc::new(LeakyReluGrad { alpha: attrs.float("alpha", 0.2)? })),
        accuracy: Accuracy::Ulp4,
    },
    OpDef::plain::<Div>("Div", Accuracy::Exact),
    OpDef::plain::<Mod>("Mod", Accuracy::Exact),
    OpDef::plain::<AddN>("AddN", Accuracy::Sum),
    OpDef::plain::<ClipByValue>("ClipByValue", Accuracy::Exact),
];

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[UNARY, BINARY, GRADIENTS, OTHERS];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hessian;

    /// The second derivative by the tape against the difference of the first.
    #[test]
    fn ops_for_gradients_have_gradients() {
        type Function = fn(&Tensor) -> Result<Tensor>;
        let functions: [(&str, Function); 12] = [
            ("tanh", Tensor::tanh),
            ("sigmoid", Tensor::sigmoid),
            ("softplus", Tensor::softplus),
            ("softsign", Tensor::softsign),
            ("elu", Tensor::elu),
            ("selu", Tensor::selu),
            ("sqrt", |x| (x + 3.0).sqrt()),
            ("rsqrt", |x| (x + 3.0).rsqrt()),
            ("reciprocal", |x| (x + 3.0).reciprocal()),
            ("relu", |x| x.relu()?.square()),
            ("relu6", |x| (x * 4.0).relu6()?.square()),
            ("leaky_relu", |x| x.leaky_relu(0.25)?.square()),
        ];
        for (name, f) in functions {
            for at in [-1.25, -0.5, 0.75, 1.0] {
                let first = |at: f64| {
                    let x = [Tensor::scalar(at)];
                    let (_, dx) = crate::value_and_grad(|x| f(&x[0]), &x).unwrap();
                    dx[0].item::<f64>().unwrap()
                };
                let step = 1e-5;
                let expected = (first(at + step) - first(at - step)) / (2.0 * step);
                let found = hessian(f, &Tensor::scalar(at)).unwrap().item::<f64>().unwrap();
                assert!((found - expected).abs() < 1e-8 * (1.0 + expected.abs()), "{name}({at}): {found} {expected}");
            }
        }
    }

    #[test]
    fn gradients_of_complex_products_have_conjugates() {
        let x = Tensor::scalar(num_complex::Complex32::new(1.0, 2.0));
        let (_, dx) = crate::value_and_grad(|x| x[0].square(), &[x]).unwrap();
        assert_eq!(dx[0].item::<num_complex::Complex32>().unwrap(), num_complex::Complex32::new(2.0, -4.0));
    }
}
