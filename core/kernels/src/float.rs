//! Elementwise functions of f32 and f64, on slices.
//!
//! Every transcendental function is libm's, not the platform's, so that the bits are the same everywhere; within 4 ulp.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::operation::{Binary, Fault, Test, Unary, Unsupported};

/// λ and α of the self-normalising unit (Klambauer et al. 2017).
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// f32 or f64, with libm's functions.
pub(crate) trait Real:
    Copy
    + PartialOrd
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    const ZERO: Self;
    const HALF: Self;
    const ONE: Self;
    const SIX: Self;
    const NEG_INFINITY: Self;
    const SELU_SCALE: Self;
    const SELU_SCALE_ALPHA: Self;
    fn narrow(value: f64) -> Self;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn rint(self) -> Self;
    fn trunc(self) -> Self;
    fn is_nan(self) -> bool;
    fn is_infinite(self) -> bool;
    fn is_finite(self) -> bool;
    fn exp(self) -> Self;
    fn expm1(self) -> Self;
    fn log(self) -> Self;
    fn log1p(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    fn erf(self) -> Self;
    fn erfc(self) -> Self;
    fn lgamma(self) -> Self;
    fn fmod(self, divisor: Self) -> Self;
    fn pow(self, exponent: Self) -> Self;
    fn atan2(self, x: Self) -> Self;
}

macro_rules! real {
    ($t:ident, unary: $($name:ident = $f:ident),*; binary: $($name2:ident = $f2:ident),*) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const HALF: Self = 0.5;
            const ONE: Self = 1.0;
            const SIX: Self = 6.0;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;
            const SELU_SCALE: Self = SELU_SCALE as $t;
            const SELU_SCALE_ALPHA: Self = (SELU_SCALE * SELU_ALPHA) as $t;
            #[inline(always)]
            fn narrow(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $t::abs(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn floor(self) -> Self {
                $t::floor(self)
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                $t::ceil(self)
            }
            #[inline(always)]
            fn rint(self) -> Self {
                $t::round_ties_even(self)
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                $t::trunc(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $t::is_nan(self)
            }
            #[inline(always)]
            fn is_infinite(self) -> bool {
                $t::is_infinite(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            $(#[inline(always)]
            fn $name(self) -> Self {
                libm::$f(self)
            })*
            $(#[inline(always)]
            fn $name2(self, other: Self) -> Self {
                libm::$f2(self, other)
            })*
        }
    };
}
real!(f32, unary: exp = expf, expm1 = expm1f, log = logf, log1p = log1pf, sin = sinf, cos = cosf, tan = tanf,
    sinh = sinhf, cosh = coshf, tanh = tanhf, asin = asinf, acos = acosf, atan = atanf, asinh = asinhf, acosh = acoshf,
    atanh = atanhf, erf = erff, erfc = erfcf, lgamma = lgammaf; binary: fmod = fmodf, pow = powf, atan2 = atan2f);
real!(f64, unary: exp = exp, expm1 = expm1, log = log, log1p = log1p, sin = sin, cos = cos, tan = tan,
    sinh = sinh, cosh = cosh, tanh = tanh, asin = asin, acos = acos, atan = atan, asinh = asinh, acosh = acosh,
    atanh = atanh, erf = erf, erfc = erfc, lgamma = lgamma; binary: fmod = fmod, pow = pow, atan2 = atan2);

/// The greater one; NaN where one is NaN.
#[inline(always)]
pub(crate) fn maximum<R: Real>(a: R, b: R) -> R {
    if a > b || a.is_nan() { a } else { b }
}

/// The lesser one; NaN where one is NaN.
#[inline(always)]
pub(crate) fn minimum<R: Real>(a: R, b: R) -> R {
    if a < b || a.is_nan() { a } else { b }
}

/// 1 / (1 + e⁻ˣ), by the exponential that cannot overflow.
#[inline(always)]
fn sigmoid<R: Real>(x: R) -> R {
    let e = (-x.abs()).exp();
    (if x < R::ZERO { e } else { R::ONE }) / (R::ONE + e)
}

/// Φ(x), exact where it is small.
#[inline(always)]
fn normal_below<R: Real>(x: R) -> R {
    R::HALF * (x * R::narrow(-std::f64::consts::FRAC_1_SQRT_2)).erfc()
}

/// 2√(2/π)
const NEARLY_LOGIT: f64 = 2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044_715;

/// 2√(2/π)(x + 0.044715x³), whose sigmoid is nearly Φ(x).
#[inline(always)]
fn nearly_logit<R: Real>(x: R) -> R {
    R::narrow(NEARLY_LOGIT) * x * (x * x * R::narrow(CUBIC) + R::ONE)
}

#[inline(always)]
fn map<A: Copy, B>(x: &[A], out: &mut [B], f: impl Fn(A) -> B) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = f(x);
    }
}

#[inline(always)]
fn zip<A: Copy, B>(a: &[A], b: &[A], out: &mut [B], f: impl Fn(A, A) -> B) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f(a, b);
    }
}

pub(crate) fn unary<R: Real>(op: Unary, x: &[R], out: &mut [R]) -> Result<(), Unsupported> {
    match op {
        Unary::Neg => map(x, out, |x| -x),
        Unary::Abs => map(x, out, R::abs),
        Unary::Sign => map(x, out, |x| {
            if x > R::ZERO {
                R::ONE
            } else if x < R::ZERO {
                -R::ONE
            } else {
                x + R::ZERO // 0 of ±0, NaN of NaN
            }
        }),
        Unary::Exp => map(x, out, R::exp),
        Unary::Expm1 => map(x, out, R::expm1),
        Unary::Log => map(x, out, R::log),
        Unary::Log1p => map(x, out, R::log1p),
        Unary::Sqrt => map(x, out, R::sqrt),
        Unary::Rsqrt => map(x, out, |x| R::ONE / x.sqrt()),
        Unary::Square => map(x, out, |x| x * x),
        Unary::Reciprocal => map(x, out, |x| R::ONE / x),
        Unary::Sin => map(x, out, R::sin),
        Unary::Cos => map(x, out, R::cos),
        Unary::Tan => map(x, out, R::tan),
        Unary::Sinh => map(x, out, R::sinh),
        Unary::Cosh => map(x, out, R::cosh),
        Unary::Tanh => map(x, out, R::tanh),
        Unary::Asin => map(x, out, R::asin),
        Unary::Acos => map(x, out, R::acos),
        Unary::Atan => map(x, out, R::atan),
        Unary::Asinh => map(x, out, R::asinh),
        Unary::Acosh => map(x, out, R::acosh),
        Unary::Atanh => map(x, out, R::atanh),
        Unary::Sigmoid => map(x, out, sigmoid),
        Unary::Softplus => map(x, out, |x| maximum(x, R::ZERO) + (-x.abs()).exp().log1p()),
        Unary::Softsign => map(x, out, |x| x / (R::ONE + x.abs())),
        Unary::Erf => map(x, out, R::erf),
        Unary::Erfc => map(x, out, R::erfc),
        Unary::Lgamma => map(x, out, R::lgamma),
        Unary::Floor => map(x, out, R::floor),
        Unary::Ceil => map(x, out, R::ceil),
        Unary::Rint => map(x, out, R::rint),
        Unary::Relu => map(x, out, |x| maximum(x, R::ZERO)),
        Unary::Relu6 => map(x, out, |x| minimum(maximum(x, R::ZERO), R::SIX)),
        Unary::LeakyRelu(slope) => {
            let slope = R::narrow(slope);
            map(x, out, |x| if x > R::ZERO { x } else { slope * x })
        }
        Unary::Elu => map(x, out, |x| if x < R::ZERO { x.expm1() } else { x }),
        Unary::Selu => map(x, out, |x| if x < R::ZERO { R::SELU_SCALE_ALPHA * x.expm1() } else { R::SELU_SCALE * x }),
        Unary::Gelu => map(x, out, |x| x * normal_below(x)),
        Unary::GeluTanh => map(x, out, |x| x * sigmoid(nearly_logit(x))),
    }
    Ok(())
}

pub(crate) fn binary<R: Real>(op: Binary, a: &[R], b: &[R], out: &mut [R]) -> Result<(), Fault> {
    match op {
        Binary::Add => zip(a, b, out, |a, b| a + b),
        Binary::Sub => zip(a, b, out, |a, b| a - b),
        Binary::Mul => zip(a, b, out, |a, b| a * b),
        Binary::Div => zip(a, b, out, |a, b| a / b),
        Binary::FloorDiv => zip(a, b, out, |a, b| (a / b).floor()),
        Binary::FloorMod => zip(a, b, out, |a, b| {
            let rest = a.fmod(b);
            let opposite = (rest < R::ZERO) != (b < R::ZERO);
            if rest != R::ZERO && opposite { rest + b } else { rest }
        }),
        Binary::TruncateDiv => zip(a, b, out, |a, b| (a / b).trunc()),
        Binary::TruncateMod => zip(a, b, out, R::fmod),
        Binary::Pow => zip(a, b, out, R::pow),
        Binary::Maximum => zip(a, b, out, maximum),
        Binary::Minimum => zip(a, b, out, minimum),
        Binary::SquaredDifference => zip(a, b, out, |a, b| (a - b) * (a - b)),
        Binary::DivNoNan => zip(a, b, out, |a, b| if b == R::ZERO { R::ZERO } else { a / b }),
        Binary::Atan2 => zip(a, b, out, R::atan2),
        Binary::Xdivy => zip(a, b, out, |a, b| if a == R::ZERO { a } else { a / b }),
        Binary::Xlogy => zip(a, b, out, |a, b| if a == R::ZERO { a } else { a * b.log() }),
        Binary::Xlog1py => zip(a, b, out, |a, b| if a == R::ZERO { a } else { a * b.log1p() }),
        Binary::ReluGrad => zip(a, b, out, |dy, x| if x > R::ZERO { dy } else { R::ZERO }),
        Binary::Relu6Grad => zip(a, b, out, |dy, x| if x > R::ZERO && x < R::SIX { dy } else { R::ZERO }),
        Binary::LeakyReluGrad(slope) => {
            let slope = R::narrow(slope);
            zip(a, b, out, |dy, x| if x > R::ZERO { dy } else { slope * dy })
        }
        Binary::EluGrad => zip(a, b, out, |dy, y| if y < R::ZERO { dy * (y + R::ONE) } else { dy }),
        Binary::SeluGrad => {
            zip(a, b, out, |dy, y| if y < R::ZERO { dy * (y + R::SELU_SCALE_ALPHA) } else { dy * R::SELU_SCALE })
        }
        Binary::SoftplusGrad => zip(a, b, out, |dy, x| dy * sigmoid(x)),
        Binary::SoftsignGrad => zip(a, b, out, |dy, x| {
            let root = R::ONE + x.abs();
            dy / (root * root)
        }),
        Binary::TanhGrad => zip(a, b, out, |y, dy| dy * (R::ONE - y * y)),
        Binary::SigmoidGrad => zip(a, b, out, |y, dy| dy * y * (R::ONE - y)),
        Binary::SqrtGrad => zip(a, b, out, |y, dy| dy * R::HALF / y),
        Binary::RsqrtGrad => zip(a, b, out, |y, dy| dy * -R::HALF * (y * y * y)),
        Binary::ReciprocalGrad => zip(a, b, out, |y, dy| -dy * (y * y)),
        Binary::GeluGrad => {
            let scale = R::narrow(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 / 2.0);
            zip(a, b, out, |dy, x| dy * (normal_below(x) + x * (scale * (x * x * -R::HALF).exp())))
        }
        Binary::GeluTanhGrad => {
            let [scale, cubic] = [R::narrow(NEARLY_LOGIT), R::narrow(3.0 * CUBIC)];
            zip(a, b, out, |dy, x| {
                let logit = nearly_logit(x);
                let e = (-logit.abs()).exp();
                let sigmoid = (if logit < R::ZERO { e } else { R::ONE }) / (R::ONE + e);
                let bend = e / ((R::ONE + e) * (R::ONE + e));
                dy * (sigmoid + x * (bend * ((x * x * cubic + R::ONE) * scale)))
            })
        }
        Binary::SigmoidCrossEntropy => zip(a, b, out, |x, z| maximum(x, R::ZERO) - x * z + (-x.abs()).exp().log1p()),
    }
    Ok(())
}

pub(crate) fn test<R: Real>(op: Test, x: &[R], out: &mut [u8]) -> Result<(), Unsupported> {
    match op {
        Test::IsNan => map(x, out, |x| x.is_nan().into()),
        Test::IsInf => map(x, out, |x| x.is_infinite().into()),
        Test::IsFinite => map(x, out, |x| x.is_finite().into()),
    }
    Ok(())
}
