//! Elementwise functions of f32 and f64, on slices.

use std::ops::{Add, Div, Mul, Neg, Sub};

use bytemuck::Zeroable;

use crate::dispatch::{LANES, blocks};
use crate::operation::{Binary, Fault, Test, Unary, Unsupported};
use crate::subnormal::{self, Watch, is_wary, took_care};
use crate::transcendental::{Transcendental, fma};

/// λ and α of the self-normalising unit (Klambauer et al. 2017).
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// Elements that share one look at whether the shorter form of a function will do.
const BLOCK: usize = 64;

/// f32 or f64, with what is one instruction, and libm's functions.
pub(crate) trait Real:
    Copy
    + Zeroable
    + Send
    + Sync
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
    fn mul_add(self, factor: Self, term: Self) -> Self;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn rint(self) -> Self;
    fn trunc(self) -> Self;
    fn is_nan(self) -> bool;
    fn is_infinite(self) -> bool;
    fn is_finite(self) -> bool;
    /// libm's sine, for what [`TURNS`](Transcendental::TURNS) leaves out.
    fn far_sin(self) -> Self;
    fn far_cos(self) -> Self;
    fn far_tan(self) -> Self;
    fn lgamma(self) -> Self;
    fn fmod(self, divisor: Self) -> Self;
    /// Whether subnormal numbers are near enough to be met with in earnest.
    const IS_WATCHED: bool;
    /// A product, and whether it was well to compute it so, at which no processor stops: see [`subnormal`].
    fn careful_product(self, factor: Self) -> (Self, u32);
}

macro_rules! real {
    ($t:ident, $fmod:ident, $is_watched:literal, |$a:ident, $b:ident| $product:expr, $($name:ident = $f:ident),*) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const HALF: Self = 0.5;
            const ONE: Self = 1.0;
            const SIX: Self = 6.0;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;
            const SELU_SCALE: Self = SELU_SCALE as $t;
            const SELU_SCALE_ALPHA: Self = (SELU_SCALE * SELU_ALPHA) as $t;
            const IS_WATCHED: bool = $is_watched;
            #[inline(always)]
            fn careful_product(self, factor: Self) -> (Self, u32) {
                let ($a, $b) = (self, factor);
                $product
            }
            #[inline(always)]
            fn narrow(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                $t::mul_add(self, factor, term)
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
            #[inline(always)]
            fn fmod(self, divisor: Self) -> Self {
                libm::$fmod(self, divisor)
            }
        }
    };
}
real!(
    f32,
    fmodf,
    true,
    |a, b| subnormal::product(a, b),
    far_sin = sinf,
    far_cos = cosf,
    far_tan = tanf,
    lgamma = lgammaf
);
real!(f64, fmod, false, |a, b| (a * b, 0), far_sin = sin, far_cos = cos, far_tan = tan, lgamma = lgamma);

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

/// A magnitude, bounded by where the tail of the normal distribution ends.
#[inline(always)]
fn distance<R: Transcendental>(x: R) -> R {
    let a = x.abs();
    if a > R::TAIL_END { R::TAIL_END } else { a }
}

/// xΦ(x): what is above 0 of x, less |x|Φ(−|x|), which is exact where it is small; NaN of −∞, as of −∞·0.
#[inline(always)]
fn gelu<R: Transcendental, const FUSED: bool>(x: R) -> R {
    let a = distance(x);
    let half = R::HALF * a;
    let (m, power) = a.lifted_exp_of_product::<FUSED>(-half);
    let tail = a.lowered_tail::<FUSED>([a, R::TAIL_SLOPE * R::LIFT]);
    x * (if x < R::ZERO { R::ZERO } else { R::ONE }) - (half * power) * fma!(tail, m, tail)
}

/// Φ(x) + xφ(x)
#[inline(always)]
fn gelu_slope<R: Transcendental, const FUSED: bool>(x: R) -> R {
    let density = R::narrow(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 / 2.0) / R::LIFT;
    let a = distance(x);
    let (m, power) = a.lifted_exp_of_product::<FUSED>(-R::HALF * a);
    let tail = a.lowered_tail::<FUSED>([a, R::TAIL_SLOPE * R::LIFT]);
    let factor = fma!(a, -density, R::HALF * tail);
    let below = fma!(factor, m, factor) * power;
    if x < R::ZERO { below } else { R::ONE - below }
}

/// 2√(2/π)
const NEARLY_LOGIT: f64 = 2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044_715;

/// 2√(2/π)(x + 0.044715x³), whose sigmoid is nearly Φ(x).
#[inline(always)]
fn nearly_logit<R: Real>(x: R) -> R {
    R::narrow(NEARLY_LOGIT) * x * (x * x * R::narrow(CUBIC) + R::ONE)
}

/// Writes a function of every element, of few instructions.
///
/// These are macros, because what a closure does need not be compiled for the instruction set of the function it is in.
macro_rules! each {
    ($x:expr => $out:expr, |$e:pat_param| $f:expr) => {
        for (out, &$e) in $out.iter_mut().zip($x) {
            *out = $f;
        }
    };
    ($a:expr, $b:expr => $out:expr, |$p:pat_param, $q:pat_param| $f:expr) => {
        for ((out, &$p), &$q) in $out.iter_mut().zip($a).zip($b) {
            *out = $f;
        }
    };
}

/// See [`Elementwise::pair`](crate::expression::Elementwise::pair): additions, subtractions and products.
#[inline(always)]
pub(crate) fn pair<R: Real, const FUSED: bool>(
    [op, then]: [Binary; 2],
    leads: bool,
    [a, b, c]: [&[R]; 3],
    out: &mut [R],
) -> Result<(), Unsupported> {
    macro_rules! each {
        (|$a:pat_param, $b:pat_param, $c:pat_param| $f:expr) => {
            for (((out, &$a), &$b), &$c) in out.iter_mut().zip(a).zip(b).zip(c) {
                *out = $f;
            }
        };
    }
    macro_rules! each_then {
        (|$a:ident, $b:ident| $f:expr) => {
            match (then, leads) {
                (Binary::Add, _) => each!(|$a, $b, c| $f + c),
                (Binary::Mul, _) => each!(|$a, $b, c| $f * c),
                (Binary::Sub, true) => each!(|$a, $b, c| $f - c),
                (Binary::Sub, false) => each!(|$a, $b, c| c - $f),
                _ => return Err(Unsupported),
            }
        };
    }
    let is_watched = FUSED && R::IS_WATCHED && [op, then].contains(&Binary::Mul);
    if is_watched && is_wary() {
        return Err(Unsupported);
    }
    let watch = is_watched.then(Watch::new);
    match op {
        Binary::Add => each_then!(|a, b| (a + b)),
        Binary::Sub => each_then!(|a, b| (a - b)),
        Binary::Mul => each_then!(|a, b| (a * b)),
        _ => return Err(Unsupported),
    }
    if let Some(watch) = watch {
        watch.end();
    }
    Ok(())
}

/// Writes products of two elements, with care where the last ones met with subnormal numbers: so are those of gradients that fade.
macro_rules! products {
    ($a:expr, $b:expr => $out:expr, |$p:ident, $q:ident| $usual:expr, $with_care:expr) => {
        if !FUSED || !R::IS_WATCHED {
            each!($a, $b => $out, |$p, $q| $usual);
        } else if is_wary() {
            let mut all_found = 0;
            for ((out, &$p), &$q) in $out.iter_mut().zip($a).zip($b) {
                let (product, found) = $with_care;
                *out = product;
                all_found |= found;
            }
            took_care(all_found != 0);
        } else {
            let watch = Watch::new();
            each!($a, $b => $out, |$p, $q| $usual);
            watch.end();
        }
    };
}

/// Of numbers that have no pairs.
#[inline(always)]
pub(crate) fn unpaired<T, const FUSED: bool>(
    _: [Binary; 2],
    _: bool,
    _: [&[T]; 3],
    _: &mut [T],
) -> Result<(), Unsupported> {
    Err(Unsupported)
}

pub(crate) use each;

/// Writes a function of every element, of many instructions: of [`LANES`] at a time, the last few as if zeros followed
/// them.
macro_rules! map {
    ($x:expr => $out:expr, |$e:pat_param| $f:expr) => {
        blocks!(LANES, R::ZERO, $x => $out, |x, out| each!(x => out, |$e| $f))
    };
    ($a:expr, $b:expr => $out:expr, |$p:pat_param, $q:pat_param| $f:expr) => {{
        let (a, a_rest) = $a.as_chunks::<LANES>();
        let (b, b_rest) = $b.as_chunks::<LANES>();
        let (out, out_rest) = $out.as_chunks_mut::<LANES>();
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            each!(a, b => out, |$p, $q| $f);
        }
        if !out_rest.is_empty() {
            let (mut a, mut b, mut out) = ([R::ZERO; LANES], [R::ZERO; LANES], [R::ZERO; LANES]);
            a[..a_rest.len()].copy_from_slice(a_rest);
            b[..b_rest.len()].copy_from_slice(b_rest);
            each!(&a, &b => out, |$p, $q| $f);
            out_rest.copy_from_slice(&out[..out_rest.len()]);
        }
    }};
}

/// As [`map`], with a shorter form for magnitudes that are not above a limit.
macro_rules! map_near {
    ($x:expr => $out:expr, $limit:expr, |$e:ident| $near:expr, $far:expr) => {
        blocks!(BLOCK, R::ZERO, $x => $out, |x, out| {
            // Without a branch, so that it is done in vectors.
            if x.iter().fold(true, |near, x| near & (x.abs() <= $limit)) {
                each!(x => out, |$e| $near);
            } else {
                each!(x => out, |$e| $far);
            }
        })
    };
}

#[inline(always)]
pub(crate) fn unary<R: Transcendental, const FUSED: bool>(
    op: Unary,
    x: &[R],
    out: &mut [R],
) -> Result<(), Unsupported> {
    match op {
        Unary::Neg => each!(x => out, |x| -x),
        Unary::Abs => each!(x => out, |x| x.abs()),
        Unary::Sign => each!(x => out, |x| {
            if x > R::ZERO {
                R::ONE
            } else if x < R::ZERO {
                -R::ONE
            } else {
                x + R::ZERO // 0 of ±0, NaN of NaN
            }
        }),
        Unary::Exp => map_near!(x => out, R::NORMAL, |x| x.exp_near::<FUSED>(), x.exp::<FUSED>()),
        Unary::Expm1 => map!(x => out, |x| x.expm1::<FUSED>()),
        Unary::Log => map!(x => out, |x| x.log::<FUSED>()),
        Unary::Log1p => map!(x => out, |x| x.log1p::<FUSED>()),
        Unary::Sqrt => each!(x => out, |x| x.sqrt()),
        Unary::Rsqrt => each!(x => out, |x| R::ONE / x.sqrt()),
        Unary::Square => products!(x, x => out, |a, b| a * b, a.careful_product(b)),
        Unary::Reciprocal => each!(x => out, |x| R::ONE / x),
        Unary::Sin => {
            map_near!(x => out, R::TURNS, |x| x.sin::<FUSED>(), if x.abs() <= R::TURNS { x.sin::<FUSED>() } else { x.far_sin() })
        }
        Unary::Cos => {
            map_near!(x => out, R::TURNS, |x| x.cos::<FUSED>(), if x.abs() <= R::TURNS { x.cos::<FUSED>() } else { x.far_cos() })
        }
        Unary::Tan => {
            map_near!(x => out, R::TURNS, |x| x.tan::<FUSED>(), if x.abs() <= R::TURNS { x.tan::<FUSED>() } else { x.far_tan() })
        }
        Unary::Sinh => map!(x => out, |x| x.sinh::<FUSED>()),
        Unary::Cosh => map!(x => out, |x| x.cosh::<FUSED>()),
        Unary::Tanh => map!(x => out, |x| x.tanh::<FUSED>()),
        Unary::Asin => map!(x => out, |x| x.asin::<FUSED>()),
        Unary::Acos => map!(x => out, |x| x.acos::<FUSED>()),
        Unary::Atan => map!(x => out, |x| x.atan::<FUSED>()),
        Unary::Asinh => map!(x => out, |x| x.asinh::<FUSED>()),
        Unary::Acosh => map!(x => out, |x| x.acosh::<FUSED>()),
        Unary::Atanh => map!(x => out, |x| x.atanh::<FUSED>()),
        Unary::Sigmoid => map!(x => out, |x| x.sigmoid::<FUSED>()),
        Unary::Softplus => map!(x => out, |x| maximum(x, R::ZERO) + (-x.abs()).exp::<FUSED>().log1p::<FUSED>()),
        Unary::Softsign => each!(x => out, |x| x / (R::ONE + x.abs())),
        Unary::Erf => map!(x => out, |x| x.erf::<FUSED>()),
        Unary::Erfc => map!(x => out, |x| x.erfc::<FUSED>()),
        Unary::Lgamma => each!(x => out, |x| x.lgamma()),
        Unary::Floor => each!(x => out, |x| x.floor()),
        Unary::Ceil => each!(x => out, |x| x.ceil()),
        Unary::Rint => each!(x => out, |x| x.rint()),
        Unary::Relu => each!(x => out, |x| maximum(x, R::ZERO)),
        Unary::Relu6 => each!(x => out, |x| minimum(maximum(x, R::ZERO), R::SIX)),
        Unary::LeakyRelu(slope) => {
            let slope = R::narrow(slope);
            each!(x => out, |x| if x > R::ZERO { x } else { slope * x })
        }
        Unary::Elu => map!(x => out, |x| if x < R::ZERO { x.expm1::<FUSED>() } else { x }),
        Unary::Selu => {
            map!(x => out, |x| if x < R::ZERO { R::SELU_SCALE_ALPHA * x.expm1::<FUSED>() } else { R::SELU_SCALE * x })
        }
        Unary::Gelu => map!(x => out, |x| gelu::<R, FUSED>(x)),
        Unary::GeluTanh => map!(x => out, |x| x * nearly_logit(x).sigmoid::<FUSED>()),
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn binary<R: Transcendental, const FUSED: bool>(
    op: Binary,
    a: &[R],
    b: &[R],
    out: &mut [R],
) -> Result<(), Fault> {
    match op {
        Binary::Add => each!(a, b => out, |a, b| a + b),
        Binary::Sub => each!(a, b => out, |a, b| a - b),
        Binary::Mul => products!(a, b => out, |a, b| a * b, a.careful_product(b)),
        Binary::Div => each!(a, b => out, |a, b| a / b),
        Binary::FloorDiv => each!(a, b => out, |a, b| (a / b).floor()),
        Binary::FloorMod => each!(a, b => out, |a, b| {
            let rest = a.fmod(b);
            let opposite = (rest < R::ZERO) != (b < R::ZERO);
            if rest != R::ZERO && opposite { rest + b } else { rest }
        }),
        Binary::TruncateDiv => each!(a, b => out, |a, b| (a / b).trunc()),
        Binary::TruncateMod => each!(a, b => out, |a, b| a.fmod(b)),
        Binary::Pow => map!(a, b => out, |a, b| a.pow::<FUSED>(b)),
        Binary::Maximum => each!(a, b => out, |a, b| maximum(a, b)),
        Binary::Minimum => each!(a, b => out, |a, b| minimum(a, b)),
        Binary::SquaredDifference => each!(a, b => out, |a, b| (a - b) * (a - b)),
        Binary::DivNoNan => each!(a, b => out, |a, b| if b == R::ZERO { R::ZERO } else { a / b }),
        Binary::Atan2 => map!(a, b => out, |a, b| a.atan2::<FUSED>(b)),
        Binary::Xdivy => each!(a, b => out, |a, b| if a == R::ZERO { a } else { a / b }),
        Binary::Xlogy => map!(a, b => out, |a, b| if a == R::ZERO { a } else { a * b.log::<FUSED>() }),
        Binary::Xlog1py => map!(a, b => out, |a, b| if a == R::ZERO { a } else { a * b.log1p::<FUSED>() }),
        Binary::ReluGrad => each!(a, b => out, |dy, x| if x > R::ZERO { dy } else { R::ZERO }),
        Binary::Relu6Grad => each!(a, b => out, |dy, x| if x > R::ZERO && x < R::SIX { dy } else { R::ZERO }),
        Binary::LeakyReluGrad(slope) => {
            let slope = R::narrow(slope);
            each!(a, b => out, |dy, x| if x > R::ZERO { dy } else { slope * dy })
        }
        Binary::EluGrad => each!(a, b => out, |dy, y| if y < R::ZERO { dy * (y + R::ONE) } else { dy }),
        Binary::SeluGrad => {
            each!(a, b => out, |dy, y| if y < R::ZERO { dy * (y + R::SELU_SCALE_ALPHA) } else { dy * R::SELU_SCALE })
        }
        Binary::SoftplusGrad => map!(a, b => out, |dy, x| dy * x.sigmoid::<FUSED>()),
        Binary::SoftsignGrad => each!(a, b => out, |dy, x| {
            let root = R::ONE + x.abs();
            dy / (root * root)
        }),
        Binary::TanhGrad => {
            products!(a, b => out, |y, dy| dy * (R::ONE - y * y), dy.careful_product(R::ONE - y * y));
        }
        Binary::SigmoidGrad => products!(a, b => out, |y, dy| dy * y * (R::ONE - y), {
            let (product, found) = dy.careful_product(y);
            let (product, also) = product.careful_product(R::ONE - y);
            (product, found | also)
        }),
        Binary::SqrtGrad => each!(a, b => out, |y, dy| dy * R::HALF / y),
        Binary::RsqrtGrad => each!(a, b => out, |y, dy| dy * -R::HALF * (y * y * y)),
        Binary::ReciprocalGrad => each!(a, b => out, |y, dy| -dy * (y * y)),
        Binary::GeluGrad => map!(a, b => out, |dy, x| dy * gelu_slope::<R, FUSED>(x)),
        Binary::GeluTanhGrad => {
            let [scale, cubic] = [R::narrow(NEARLY_LOGIT), R::narrow(3.0 * CUBIC)];
            map!(a, b => out, |dy, x| {
                let logit = nearly_logit(x);
                let e = (-logit.abs()).exp::<FUSED>();
                let sigmoid = (if logit < R::ZERO { e } else { R::ONE }) / (R::ONE + e);
                let bend = e / ((R::ONE + e) * (R::ONE + e));
                dy * (sigmoid + x * (bend * ((x * x * cubic + R::ONE) * scale)))
            })
        }
        Binary::SigmoidCrossEntropy => {
            map!(a, b => out, |x, z| maximum(x, R::ZERO) - x * z + (-x.abs()).exp::<FUSED>().log1p::<FUSED>())
        }
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn test<R: Real, const FUSED: bool>(op: Test, x: &[R], out: &mut [u8]) -> Result<(), Unsupported> {
    match op {
        Test::IsNan => each!(x => out, |x| x.is_nan().into()),
        Test::IsInf => each!(x => out, |x| x.is_infinite().into()),
        Test::IsFinite => each!(x => out, |x| x.is_finite().into()),
    }
    Ok(())
}
