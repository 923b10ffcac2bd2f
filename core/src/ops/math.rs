//! Elementwise arithmetic, functions, comparison and logic. Binary ops broadcast as NumPy does.

use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Operand, Scratch, View, ViewMut, allowed, apply_one, arity,
    same_dtype, unsupported,
};
use crate::shape::{MAX_RANK, broadcast};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Binary, Compare, Fault, Logical, Number, Strided, Test, Unary, cast, select};
use std::sync::Arc;

/// The dtypes an elementwise op takes.
#[derive(Clone, Copy)]
enum Takes {
    Float,
    /// Floats and signed integers.
    Signed,
    Number,
    Arithmetic,
}

impl Takes {
    fn check(self, dtype: DType) -> Result<DType> {
        let unsigned = matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
        match self {
            Takes::Float => allowed(dtype, DType::is_float, "floats"),
            Takes::Signed => {
                allowed(dtype, |d| d.is_float() || d.is_integer() && !unsigned, "floats and signed integers")
            }
            Takes::Number => allowed(dtype, |d| d.is_float() || d.is_integer(), "numbers"),
            Takes::Arithmetic => {
                allowed(dtype, |d| d.is_float() || d.is_integer() || d.is_complex(), "numbers and complex numbers")
            }
        }
    }
}

/// One op a row: documentation, what it takes, its class, its TensorFlow name, method and kernel, and its gradient as
/// a formula over the input `x`, the output `y` and the incoming gradient `dy`.
macro_rules! unary {
    ($($(#[$doc:meta])* [$takes:ident] $class:ident $op:ident $method:ident = $kernel:expr,
        |$x:ident, $y:ident, $dy:ident| $grad:expr;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

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
                    map(&$kernel, inputs, outputs)
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

fn map(kernel: &Unary, inputs: &[View], outputs: &mut [ViewMut]) -> Result<()> {
    let x = inputs[0];
    dispatch!(x.dtype(), arithmetic T => {
        T::unary(*kernel, x.elements()?, outputs[0].elements()?).map_err(|_| unsupported(x.dtype()))
    }, else => Err(unsupported(x.dtype())))
}

unary! {
    /// `−x`.
    [Arithmetic] Exact Neg neg = Unary::Neg, |x, y, dy| Some(-dy);
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
    [Float] Exact Sqrt sqrt = Unary::Sqrt, |x, y, dy| Some(dy * 0.5 / y);
    /// `1/√x`.
    [Float] Ulp4 Rsqrt rsqrt = Unary::Rsqrt, |x, y, dy| Some(dy * -0.5 * y * y * y);
    /// `x²`.
    [Arithmetic] Exact Square square = Unary::Square, |x, y, dy| Some(dy * (x * 2.0));
    /// `1/x`.
    [Float] Exact Reciprocal reciprocal = Unary::Reciprocal, |x, y, dy| Some(-(dy * y * y));
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
    /// The hyperbolic tangent.
    [Float] Ulp4 Tanh tanh = Unary::Tanh, |x, y, dy| Some(dy * (1.0 - y * y));
    /// `1/(1 + e⁻ˣ)`.
    [Float] Ulp4 Sigmoid sigmoid = Unary::Sigmoid, |x, y, dy| Some(dy * y * (1.0 - y));
    /// `ln(1 + eˣ)`.
    [Float] Ulp4 Softplus softplus = Unary::Softplus, |x, y, dy| Some(dy * x.sigmoid()?);
    /// `x/(1 + |x|)`.
    [Float] Exact Softsign softsign = Unary::Softsign, |x, y, dy| Some(dy / (1.0 + x.abs()?).square()?);
    /// The error function.
    [Float] Ulp4 Erf erf = Unary::Erf, |x, y, dy| Some(dy * std::f64::consts::FRAC_2_SQRT_PI * (-(x * x)).exp()?);
    /// `1 − erf(x)`, exact where that is small.
    [Float] Ulp4 Erfc erfc = Unary::Erfc, |x, y, dy| Some(dy * -std::f64::consts::FRAC_2_SQRT_PI * (-(x * x)).exp()?);
    /// The largest whole number not above `x`.
    [Float] Exact Floor floor = Unary::Floor, |x, y, dy| None;
    /// The smallest whole number not below `x`.
    [Float] Exact Ceil ceil = Unary::Ceil, |x, y, dy| None;
    /// The nearest whole number, halves to even.
    [Float] Exact Rint rint = Unary::Rint, |x, y, dy| None;
    /// The nearest whole number, halves to even; integers stay.
    [Number] Exact Round round = Unary::Rint, |x, y, dy| None;
    /// `max(x, 0)`.
    [Number] Exact Relu relu = Unary::Relu, |x, y, dy| Some(dy * y.greater(0.0)?.cast(dy.dtype())?);
    /// `min(max(x, 0), 6)`.
    [Number] Exact Relu6 relu6 = Unary::Relu6,
        |x, y, dy| Some(dy * x.greater(0.0)?.logical_and(&x.less(6.0)?)?.cast(dy.dtype())?);
    /// `x` above 0, `eˣ − 1` below.
    [Float] Ulp4 Elu elu = Unary::Elu, |x, y, dy| Some(y.less(0.0)?.select(&(dy * (y + 1.0)), dy)?);
    /// `1.0507·x` above 0, `1.7581·(eˣ − 1)` below: keeps mean and variance through deep nets.
    [Float] Ulp4 Selu selu = Unary::Selu,
        |x, y, dy| Some(y.less(0.0)?.select(&(dy * (y + SELU_SCALE_ALPHA)), &(dy * SELU_SCALE))?);
}

/// λ of Klambauer et al., "Self-Normalizing Neural Networks".
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// λα of the same.
const SELU_SCALE_ALPHA: f64 = 1.758_099_340_847_376_6;

/// One binary op a row, as [`unary!`]; the gradients of both sides, before they are summed back to their shapes.
macro_rules! binary {
    ($($(#[$doc:meta])* [$takes:ident] $class:ident $op:ident $method:ident = $kernel:expr,
        |$a:ident, $b:ident, $y:ident, $dy:ident| ($da:expr, $db:expr);)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let dtype = Takes::$takes.check(same_dtype(inputs)?)?;
                    Ok(vec![Spec::new(dtype, broadcast_shape(inputs)?)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    zip($kernel, inputs, outputs)
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
        const BINARY: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::$class)),*];
    };
}

fn broadcast_shape(inputs: &[Input]) -> Result<Shape> {
    let [a, b] = arity(inputs)?;
    broadcast(&a.spec.shape, &b.spec.shape)
}

/// Calls `f` with both inputs repeated to `dims`.
fn repeated<T: bytemuck::Pod, R>(
    inputs: &[View],
    dims: &[usize],
    f: impl FnOnce(Strided<T>, Strided<T>) -> R,
) -> Result<R> {
    let (mut left, mut right) = ([0; MAX_RANK], [0; MAX_RANK]);
    let (left, right) = (&mut left[..dims.len()], &mut right[..dims.len()]);
    inputs[0].broadcast_strides(dims, left);
    inputs[1].broadcast_strides(dims, right);
    Ok(f(inputs[0].restrided(dims, left)?, inputs[1].restrided(dims, right)?))
}

fn zip(kernel: Binary, inputs: &[View], outputs: &mut [ViewMut]) -> Result<()> {
    let out = &mut outputs[0];
    let (dims, dtype) = (out.dims(), out.dtype());
    dispatch!(dtype, arithmetic T => {
        let out = out.elements()?;
        repeated(inputs, dims, |a, b| T::binary(kernel, a, b, out))?.map_err(|fault| match fault {
            Fault::ZeroDivisor { .. } => Error::invalid_argument("Integer division by zero"),
            Fault::NegativeExponent { .. } => {
                Error::invalid_argument("Integers to negative integer powers are not allowed")
            }
            _ => unsupported(dtype),
        })
    }, else => Err(unsupported(dtype)))
}

binary! {
    /// `a + b`.
    [Arithmetic] Exact AddV2 add = Binary::Add, |a, b, y, dy| (Some(dy.clone()), Some(dy.clone()));
    /// `a − b`.
    [Arithmetic] Exact Sub sub = Binary::Sub, |a, b, y, dy| (Some(dy.clone()), Some(-dy));
    /// `a · b`.
    [Arithmetic] Exact Mul mul = Binary::Mul, |a, b, y, dy| (Some(dy * b), Some(dy * a));
    /// `a / b`, of floats; of integers see [`floor_div`](Tensor::floor_div).
    [Float] Exact RealDiv div = Binary::Div, |a, b, y, dy| (Some(dy / b), Some(-(dy * (a / b) / b)));
    /// `⌊a / b⌋`, also of integers.
    [Number] Exact FloorDiv floor_div = Binary::FloorDiv, |a, b, y, dy| (None, None);
    /// `a − ⌊a / b⌋·b`: the remainder with the sign of `b`.
    [Number] Exact FloorMod floor_mod = Binary::FloorMod,
        |a, b, y, dy| (Some(dy.clone()), Some(-(dy * a.floor_div(b)?)));
    /// `a / b`, and 0 where `b` is 0.
    [Float] Exact DivNoNan div_no_nan = Binary::DivNoNan,
        |a, b, y, dy| (Some(dy.div_no_nan(b)?), Some(-(dy * a.div_no_nan(b)?.div_no_nan(b)?)));
    /// `aᵇ`.
    [Number] Ulp4 Pow pow = Binary::Pow, |a, b, y, dy| (
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
    /// `(a − b)²`.
    [Arithmetic] Exact SquaredDifference squared_difference = Binary::SquaredDifference,
        |a, b, y, dy| (Some(dy * ((a - b) * 2.0)), Some(dy * ((b - a) * 2.0)));
}

/// One comparison a row.
macro_rules! compare {
    ($($(#[$doc:meta])* $op:ident $method:ident;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let equality = matches!(Compare::$op, Compare::Equal | Compare::NotEqual);
                    let ordered = |d: DType| d.is_float() || d.is_integer();
                    let equatable = |d: DType| ordered(d) || d.is_complex() || matches!(d, DType::Bool | DType::String);
                    match same_dtype(inputs)? {
                        dtype if equality => allowed(dtype, equatable, "numbers, bools and strings")?,
                        dtype => allowed(dtype, ordered, "numbers")?,
                    };
                    Ok(vec![Spec::new(DType::Bool, broadcast_shape(inputs)?)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    compare(Compare::$op, inputs, outputs)
                }
                fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
                    compare_strings(inputs, Compare::$op)
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
                }
                fn broadcasts(&self) -> bool {
                    true
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`; shapes broadcast, the result is bool.")]
                pub fn $method(&self, other: impl Operand) -> Result<Tensor> {
                    self.check()?;
                    apply_one($op, &[self, &other.operand(self.dtype())?])
                }
            }
        )*
        const COMPARE: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

fn compare(kernel: Compare, inputs: &[View], outputs: &mut [ViewMut]) -> Result<()> {
    let dtype = inputs[0].dtype();
    let dims = outputs[0].dims();
    let out = outputs[0].elements()?;
    if dtype == DType::Bool {
        return repeated(inputs, dims, |a, b| u8::compare(kernel, a, b, out))?.map_err(|_| unsupported(dtype));
    }
    dispatch!(dtype, arithmetic T => {
        repeated(inputs, dims, |a, b| T::compare(kernel, a, b, out))?.map_err(|_| unsupported(dtype))
    }, else => Err(unsupported(dtype)))
}

fn compare_strings(inputs: &[&Tensor], kernel: Compare) -> Result<Vec<Tensor>> {
    let shape = broadcast(inputs[0].shape(), inputs[1].shape())?;
    let (a, b) = (inputs[0].broadcast_to(&shape)?.to_strings()?, inputs[1].broadcast_to(&shape)?.to_strings()?);
    let equal = matches!(kernel, Compare::Equal);
    let same: Vec<bool> = a.iter().zip(&b).map(|(a, b)| (a == b) == equal).collect();
    Ok(vec![Tensor::new(shape.known().unwrap_or_default(), same)?])
}

compare! {
    /// Where `a = b`.
    Equal equal;
    /// Where `a ≠ b`.
    NotEqual not_equal;
    /// Where `a < b`.
    Less less;
    /// Where `a ≤ b`.
    LessEqual less_equal;
    /// Where `a > b`.
    Greater greater;
    /// Where `a ≥ b`.
    GreaterEqual greater_equal;
}

/// One question about floats a row.
macro_rules! question {
    ($($(#[$doc:meta])* $op:ident $method:ident;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [x] = arity(inputs)?;
                    Takes::Float.check(x.spec.dtype)?;
                    Ok(vec![Spec::new(DType::Bool, &x.spec.shape)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let x = inputs[0];
                    dispatch!(x.dtype(), float T => {
                        T::test(Test::$op, x.elements()?, outputs[0].elements()?).map_err(|_| unsupported(x.dtype()))
                    }, else => Err(unsupported(x.dtype())))
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None])
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
        const QUESTIONS: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

question! {
    /// Where `x` is not a number.
    IsNan is_nan;
    /// Where `x` is +∞ or −∞.
    IsInf is_inf;
    /// Where `x` is neither infinite nor NaN.
    IsFinite is_finite;
}

/// One connective of bools a row.
macro_rules! logical {
    ($($(#[$doc:meta])* $op:ident $method:ident $kernel:ident;)*) => {
        $(
            #[derive(Debug, Default)]
            struct $op;

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    allowed(same_dtype(inputs)?, |d| d == DType::Bool, "bools")?;
                    Ok(vec![Spec::new(DType::Bool, broadcast_shape(inputs)?)])
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
                    let dims = outputs[0].dims();
                    let out = outputs[0].elements()?;
                    repeated(inputs, dims, |a, b| modulor_kernels::logical(Logical::$kernel, a, b, out))
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
                }
                fn broadcasts(&self) -> bool {
                    true
                }
            }

            impl Tensor {
                $(#[$doc])*
                #[doc = concat!("\n\nTensorFlow's `", stringify!($op), "`; shapes broadcast.")]
                pub fn $method(&self, other: &Tensor) -> Result<Tensor> {
                    apply_one($op, &[self, other])
                }
            }
        )*
        const LOGICAL: &[OpDef] = &[$(OpDef::plain::<$op>(stringify!($op), Accuracy::Exact)),*];
    };
}

logical! {
    /// Where both are true.
    LogicalAnd logical_and And;
    /// Where either is true.
    LogicalOr logical_or Or;
}

/// Where `x` is false.
#[derive(Debug, Default)]
struct LogicalNot;

impl Op for LogicalNot {
    fn name(&self) -> &'static str {
        "LogicalNot"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        allowed(x.spec.dtype, |d| d == DType::Bool, "bools")?;
        Ok(vec![x.spec.clone()])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        modulor_kernels::not(inputs[0].elements()?, outputs[0].elements()?);
        Ok(())
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

impl Tensor {
    /// Where `x` is false. TensorFlow's `LogicalNot`.
    pub fn logical_not(&self) -> Result<Tensor> {
        apply_one(LogicalNot, &[self])
    }
}

/// The first where a condition holds, else the second; all three broadcast.
#[derive(Debug, Default)]
struct SelectV2;

fn pick<T: bytemuck::Pod>(cond: Strided<u8>, a: Strided<T>, b: Strided<T>, out: &mut ViewMut) -> Result<()> {
    select(cond, a, b, out.elements()?);
    Ok(())
}

impl Op for SelectV2 {
    fn name(&self) -> &'static str {
        "SelectV2"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [cond, a, b] = arity(inputs)?;
        allowed(cond.spec.dtype, |d| d == DType::Bool, "a condition of bools")?;
        let dtype = allowed(same_dtype(&inputs[1..])?, |d| d.size() > 0, "plain elements")?;
        let shape = broadcast(&cond.spec.shape, &broadcast(&a.spec.shape, &b.spec.shape)?)?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let out = &mut outputs[0];
        let dims = out.dims();
        let mut strides = [0; MAX_RANK];
        let strides = &mut strides[..dims.len()];
        inputs[0].broadcast_strides(dims, strides);
        let cond = inputs[0].restrided(dims, strides)?;
        // Moving elements is the same for all types of one width.
        match out.dtype().size() {
            1 => repeated(&inputs[1..], dims, |a, b| pick::<u8>(cond, a, b, out))?,
            2 => repeated(&inputs[1..], dims, |a, b| pick::<u16>(cond, a, b, out))?,
            4 => repeated(&inputs[1..], dims, |a, b| pick::<u32>(cond, a, b, out))?,
            8 => repeated(&inputs[1..], dims, |a, b| pick::<u64>(cond, a, b, out))?,
            _ => repeated(&inputs[1..], dims, |a, b| pick::<u128>(cond, a, b, out))?,
        }
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (cond, dy) = (b.input(0), b.dy(0));
        let zeros = dy.zeros_like()?;
        Ok(vec![None, b.when(1, || cond.select(dy, &zeros))?, b.when(2, || cond.select(&zeros, dy))?])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

impl Tensor {
    /// `a` where this is true, `b` elsewhere; all three broadcast. TensorFlow's `SelectV2`, `tf.where` of three.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([-1.0_f32, 2.0]);
    /// let y = x.greater(0.0)?.select(&x, &x.zeros_like()?)?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn select(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        apply_one(SelectV2, &[self, a, b])
    }
}

/// The same values in another dtype.
#[derive(Debug)]
struct Cast {
    to: DType,
}

impl Op for Cast {
    fn name(&self) -> &'static str {
        "Cast"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("DstT", self.to)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        for dtype in [x.spec.dtype, self.to] {
            allowed(dtype, |d| d.size() > 0, "numbers and bools")?;
        }
        Ok(vec![Spec::new(self.to, &x.spec.shape)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        cast_into(inputs[0], &mut outputs[0])
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
        apply_one(Cast { to: dtype }, &[self])
    }
}

/// `x` above 0, `alpha·x` below.
#[derive(Debug)]
struct LeakyRelu {
    alpha: f32,
}

impl Op for LeakyRelu {
    fn name(&self) -> &'static str {
        "LeakyRelu"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("alpha", self.alpha)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        Takes::Float.check(x.spec.dtype)?;
        Ok(vec![x.spec.clone()])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        map(&Unary::LeakyRelu(f64::from(self.alpha)), inputs, outputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let dy = b.dy(0);
        Ok(vec![Some(b.input(0).greater(0.0)?.select(dy, &(dy * f64::from(self.alpha)))?)])
    }
}

impl Tensor {
    /// `x` above 0, `alpha·x` below. TensorFlow's `LeakyRelu`.
    pub fn leaky_relu(&self, alpha: f32) -> Result<Tensor> {
        apply_one(LeakyRelu { alpha }, &[self])
    }
}

const WITH_ATTRS: &[OpDef] = &[
    OpDef::plain::<LogicalNot>("LogicalNot", Accuracy::Exact),
    OpDef::plain::<SelectV2>("SelectV2", Accuracy::Exact),
    OpDef {
        name: "Cast",
        parse: |attrs| Ok(Arc::new(Cast { to: attrs.dtype("DstT", None)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "LeakyRelu",
        parse: |attrs| Ok(Arc::new(LeakyRelu { alpha: attrs.float("alpha", 0.2)? })),
        accuracy: Accuracy::Exact,
    },
];

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[UNARY, BINARY, COMPARE, QUESTIONS, LOGICAL, WITH_ATTRS];
