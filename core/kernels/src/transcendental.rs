//! exp, log and their kin, each as straight arithmetic that the compiler turns into vectors.
//!
//! `FUSED` says whether a product is added without being rounded first: with AVX2 and AVX-512 it is, so both give the same
//! bits; portable code has no such instruction, and other last bits. Both are within 4 ulp. The coefficients are minimax
//! fits of what they are named for. What is not here for a type is libm's.

use crate::float::Real;

mod doubles;

/// The functions of a real number that are no single instruction.
pub(crate) trait Transcendental: Real {
    /// Where [`sin`](Self::sin), [`cos`](Self::cos) and [`tan`](Self::tan) end to hold; beyond it libm's are.
    const TURNS: Self;
    /// The magnitude up to which [`exp_near`](Self::exp_near) holds.
    const NORMAL: Self;
    fn exp<const FUSED: bool>(self) -> Self;
    /// The same bits as of [`exp`](Self::exp), where they are those of a normal number.
    fn exp_near<const FUSED: bool>(self) -> Self;
    /// Where eˣ has come to be 0.
    const LEAST_EXP: Self;
    /// e^(self + rest), of a rest that is less than an ulp of `self`, which is where [`exp`](Self::exp) needs no upper bound.
    fn exp_below<const FUSED: bool>(self, rest: Self) -> Self;
    /// What stands for a factor that leaves eˣ a normal number of everything from [`LEAST_EXP`](Self::LEAST_EXP) below this
    /// number up to it, which is of a magnitude up to 1024.
    fn factor_below<const FUSED: bool>(self) -> Self;
    /// eˣ times what `factor` stands for.
    fn exp_times<const FUSED: bool>(self, factor: Self) -> Self;
    /// A power of 2 that keeps what is far below 1 normal.
    const LIFT: Self;
    /// m and p, where e^(self · other) times [`LIFT`](Self::LIFT) is (1 + m)p and p is a power of 2: as exact as if the
    /// product were not rounded. It is from a little below [`LEAST_EXP`](Self::LEAST_EXP) up to 0.
    fn lifted_exp_of_product<const FUSED: bool>(self, other: Self) -> (Self, Self);
    /// The distance from which on the tail of the normal distribution, times the distance, is 0.
    const TAIL_END: Self;
    /// √(π/2)
    const TAIL_SLOPE: Self;
    /// e^(a²/2) erfc(a/√2) over [`LIFT`](Self::LIFT), of an a from 0 to [`TAIL_END`](Self::TAIL_END). Its last digits are from
    /// the product of `sloped`, which is a · [`TAIL_SLOPE`](Self::TAIL_SLOPE) · [`LIFT`](Self::LIFT).
    fn lowered_tail<const FUSED: bool>(self, sloped: [Self; 2]) -> Self;
    fn expm1<const FUSED: bool>(self) -> Self;
    fn log<const FUSED: bool>(self) -> Self;
    fn log1p<const FUSED: bool>(self) -> Self;
    fn tanh<const FUSED: bool>(self) -> Self;
    fn sin<const FUSED: bool>(self) -> Self;
    fn cos<const FUSED: bool>(self) -> Self;
    fn tan<const FUSED: bool>(self) -> Self;
    fn sinh<const FUSED: bool>(self) -> Self;
    fn cosh<const FUSED: bool>(self) -> Self;
    fn asin<const FUSED: bool>(self) -> Self;
    fn acos<const FUSED: bool>(self) -> Self;
    fn atan<const FUSED: bool>(self) -> Self;
    fn asinh<const FUSED: bool>(self) -> Self;
    fn acosh<const FUSED: bool>(self) -> Self;
    fn atanh<const FUSED: bool>(self) -> Self;
    fn erf<const FUSED: bool>(self) -> Self;
    fn erfc<const FUSED: bool>(self) -> Self;
    fn pow<const FUSED: bool>(self, exponent: Self) -> Self;
    fn atan2<const FUSED: bool>(self, x: Self) -> Self;
    /// 1 / (1 + e⁻ˣ)
    fn sigmoid<const FUSED: bool>(self) -> Self;
}

/// `a·b + c`.
macro_rules! fma {
    ($a:expr, $b:expr, $c:expr) => {
        if FUSED { $a.mul_add($b, $c) } else { $a * $b + $c }
    };
}

pub(crate) use fma;

/// A polynomial by its coefficients, that of the lowest power first.
#[inline(always)]
fn horner<const FUSED: bool, R: Real, const N: usize>(x: R, coefficients: [R; N]) -> R {
    let mut value = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        value = fma!(value, x, coefficients[i]);
    }
    value
}

/// 1 / (from · slope + N/D), of polynomials in x by their coefficients, where the fraction is the less the greater x is: errors
/// of its divisor mostly cancel. With `EXACT`, and where products can be, the product is as exact as if it were not rounded.
#[inline(always)]
fn tail<const FUSED: bool, const EXACT: bool, R: Real, const N: usize, const D: usize>(
    x: R,
    [from, slope]: [R; 2],
    above: [R; N],
    below: [R; D],
) -> R {
    let (above, below) = (horner::<FUSED, _, _>(x, above), horner::<FUSED, _, _>(x, below));
    let product = from * slope;
    let above = if EXACT && FUSED { from.mul_add(slope, -product).mul_add(below, above) } else { above };
    below / fma!(product, below, above)
}

/// What exp and log are made of, the same steps for both types.
///
/// Adding `ROUNDER` leaves a number's nearest integer in the lowest bits of the sum.
macro_rules! steps {
    ($module:ident: $t:ident, $bits:ident, $signed:ident, digits $digits:literal, bias $bias:literal,
        rounder $rounder:literal, lift 2 to $lift:literal, ln2 $ln2_high:literal + $ln2_low:literal, exp up to $highest:literal with room for 2 to $room:literal,
        expm1 is -1 at $expm1_lowest:literal and, as log1p, x below $least:literal, sigmoid 1 at $sigmoid_highest:literal,
        exp $exp:expr; tanh 1 at $tanh_highest:literal, by $above:expr, $below:expr;
        log1p |$f:ident, $k:ident, $rest:ident| $log1p:expr) => {
        mod $module {
            use super::*;

            const ROUNDER: $t = $rounder;
            pub(super) const LN2_HIGH: $t = $ln2_high;
            pub(super) const LN2_LOW: $t = $ln2_low;
            /// The bits of √½, and those of a fraction.
            const ROOT_HALF: $bits = std::$t::consts::FRAC_1_SQRT_2.to_bits();
            const FRACTION: $bits = (1 << $digits) - 1;
            /// What brings subnormal numbers to where logarithms take them apart.
            const NORMAL: $t = (1_u64 << $digits) as $t;

            /// The bits of n + `rounder`, and r, where x is n ln 2 + r.
            #[inline(always)]
            fn take_apart<const FUSED: bool>(x: $t, rounder: $t) -> ($bits, $t) {
                let shifted = fma!(x, std::$t::consts::LOG2_E, rounder);
                let n = shifted - rounder;
                let r = fma!(n, -LN2_HIGH, x);
                (shifted.to_bits(), fma!(n, -LN2_LOW, r))
            }

            /// e^r − 1 of a rest.
            #[inline(always)]
            fn expm1_of_rest<const FUSED: bool>(r: $t) -> $t {
                let p = horner::<FUSED, _, _>(r, $exp);
                fma!(p * r, r, r)
            }

            /// e^r times `scale`, a power of 2.
            #[inline(always)]
            fn exp_of_rest<const FUSED: bool>(r: $t, scale: $t) -> $t {
                let p = horner::<FUSED, _, _>(r, $exp.map(|coefficient| coefficient * scale));
                fma!(fma!(p, r, scale), r, scale)
            }

            /// 2ⁿ of the bits of n + `rounder`, in which the bias is already.
            #[inline(always)]
            fn power(bits: $bits) -> $t {
                $t::from_bits(bits << $digits)
            }

            /// e^r 2ⁿ. 2ⁿ is out of range where the result is subnormal or infinite, so it comes in two factors; `bits` has
            /// the bias of both.
            #[inline(always)]
            fn put_together<const FUSED: bool>(bits: $bits, r: $t) -> $t {
                let half = bits >> 1;
                exp_of_rest::<FUSED>(r, 1.0) * power(half) * power(bits.wrapping_sub(half))
            }

            #[inline(always)]
            pub(super) fn exp<const FUSED: bool>(x: $t) -> $t {
                let x = if x < $t::LEAST_EXP { $t::LEAST_EXP } else { x };
                let x = if x > $highest { $highest } else { x };
                let (bits, r) = take_apart::<FUSED>(x, ROUNDER + 2.0 * $bias);
                put_together::<FUSED>(bits, r)
            }

            #[inline(always)]
            pub(super) fn exp_of_sum<const FUSED: bool>(x: $t, rest: $t) -> $t {
                let x = if x < $t::LEAST_EXP { $t::LEAST_EXP } else { x };
                let (bits, r) = take_apart::<FUSED>(x, ROUNDER + 2.0 * $bias);
                put_together::<FUSED>(bits, r + rest)
            }

            /// See [`Transcendental::LIFT`].
            pub(super) const LIFT: $t = $t::from_bits(($bias as $bits + $lift) << $digits);

            /// See [`Transcendental::lifted_exp_of_product`].
            #[inline(always)]
            pub(super) fn lifted_exp_of_product<const FUSED: bool>(a: $t, b: $t) -> ($t, $t) {
                let product = a * b;
                let rest = if FUSED {
                    a.mul_add(b, -product)
                } else {
                    // Of halves, whose products are exact.
                    let halves = |x: $t| {
                        let high = $t::from_bits(x.to_bits() >> (($digits + 2) / 2) << (($digits + 2) / 2));
                        (high, x - high)
                    };
                    let ((a_high, a_low), (b_high, b_low)) = (halves(a), halves(b));
                    ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
                };
                let (bits, r) = take_apart::<FUSED>(product, ROUNDER + ($bias + $lift as $t));
                (expm1_of_rest::<FUSED>(r + rest), power(bits))
            }

            #[inline(always)]
            pub(super) fn sigmoid<const FUSED: bool>(x: $t) -> $t {
                /// Keeps what is added up in range.
                const ROOM: $t = $t::from_bits(($bias as $bits - $lift / 2) << $digits);
                let x = if x < $t::LEAST_EXP { $t::LEAST_EXP } else { x };
                let x = if x > $sigmoid_highest { $sigmoid_highest } else { x };
                // e^r / (2⁻ⁿ + e^r), where x is n ln 2 + r.
                let rounder = ROUNDER + ($bias - ($lift / 2) as $t);
                let shifted = fma!(x, -std::$t::consts::LOG2_E, rounder);
                let n = shifted - rounder;
                let r = fma!(n, LN2_HIGH, x);
                let r = fma!(n, LN2_LOW, r);
                let e = exp_of_rest::<FUSED>(r, ROOM);
                e / (power(shifted.to_bits()) + e)
            }

            /// eˣ 2ⁿ, of n + `rounder` with the bias, where that is a normal number.
            #[inline(always)]
            pub(super) fn exp_times<const FUSED: bool>(x: $t, rounder: $t) -> $t {
                let (bits, r) = take_apart::<FUSED>(x, rounder);
                exp_of_rest::<FUSED>(r, 1.0) * power(bits)
            }

            #[inline(always)]
            pub(super) fn exp_near<const FUSED: bool>(x: $t) -> $t {
                exp_times::<FUSED>(x, ROUNDER + $bias)
            }

            #[inline(always)]
            pub(super) fn below<const FUSED: bool>(greatest: $t) -> $t {
                let n = fma!(greatest, std::$t::consts::LOG2_E, ROUNDER) - ROUNDER;
                ROUNDER + ($bias + $room) - n
            }

            #[inline(always)]
            pub(super) fn expm1<const FUSED: bool>(x: $t) -> $t {
                let bounded = if x < $expm1_lowest { $expm1_lowest } else { x };
                let bounded = if bounded > $highest { $highest } else { bounded };
                let (bits, r) = take_apart::<FUSED>(bounded, ROUNDER + ($bias - 1.0));
                // Half of it, because 2ⁿ may be just out of range.
                let power = power(bits);
                let half = fma!(power, expm1_of_rest::<FUSED>(r), power - 0.5);
                if x.abs() < $least { x } else { half + half }
            }

            /// 2t / (1 + t²), where t is tanh ½x: a fraction of polynomials in x², whose error is less in what is made of
            /// it the greater x is. Its coefficients are such that what comes out is rounded to 1 and not above.
            #[inline(always)]
            pub(super) fn tanh<const FUSED: bool>(x: $t) -> $t {
                let x = if x < -$tanh_highest { -$tanh_highest } else { x };
                let x = if x > $tanh_highest { $tanh_highest } else { x };
                let z = x * x;
                let above = x * horner::<FUSED, _, _>(z, $above);
                let below = horner::<FUSED, _, _>(z, $below);
                (above + above) * below / fma!(above, above, below * below)
            }

            /// k and m, where x is 2ᵏ m and m is from √½ to √2.
            #[inline(always)]
            fn exponent_and_rest(x: $t) -> ($t, $t) {
                let above = x.to_bits().wrapping_sub(ROOT_HALF);
                let exponent = (above as $signed >> $digits) as $bits;
                let k = $t::from_bits(ROUNDER.to_bits().wrapping_add(exponent)) - ROUNDER;
                (k, $t::from_bits((above & FRACTION).wrapping_add(ROOT_HALF)))
            }

            /// The same of a number that may be subnormal.
            #[inline(always)]
            pub(super) fn take_any_apart(x: $t) -> ($t, $t) {
                let is_subnormal = x < $t::MIN_POSITIVE;
                let (k, m) = exponent_and_rest(if is_subnormal { x * NORMAL } else { x });
                (if is_subnormal { k - $digits as $t } else { k }, m)
            }

            /// ln (1 + f) + rest + k ln 2.
            #[inline(always)]
            fn near_one<const FUSED: bool>($f: $t, $k: $t, $rest: $t) -> $t {
                $log1p
            }

            /// The logarithm of x, if it is finite and above 0.
            #[inline(always)]
            pub(super) fn or_special(x: $t, log: $t) -> $t {
                let log = if x < $t::INFINITY { log } else { x };
                let zero = if x == 0.0 { $t::NEG_INFINITY } else { $t::NAN };
                if x > 0.0 { log } else { zero }
            }

            #[inline(always)]
            pub(super) fn log<const FUSED: bool>(x: $t) -> $t {
                let (k, m) = take_any_apart(x);
                or_special(x, near_one::<FUSED>(m - 1.0, k, 0.0))
            }

            #[inline(always)]
            pub(super) fn log1p<const FUSED: bool>(x: $t) -> $t {
                let sum = 1.0 + x;
                let (k, m) = exponent_and_rest(sum);
                // What the sum was rounded by.
                let error = if x < 1.0 { x - (sum - 1.0) } else { 1.0 - (sum - x) };
                let is_near = k == 0.0;
                let f = if is_near { x } else { m - 1.0 };
                let rest = if is_near { 0.0 } else { error / sum };
                let log = near_one::<FUSED>(f, k, rest);
                or_special(sum, if x.abs() < $least { x } else { log })
            }
        }
    };
}

steps!(single: f32, u32, i32, digits 23, bias 127.0, rounder 12_582_912.0, lift 2 to 64, ln2 0.693_359_4 + -2.121_944_4e-4,
exp up to 89.0 with room for 2 to 40.0, expm1 is -1 at -18.0 and, as log1p, x below 1e-8, sigmoid 1 at 20.0,
exp [0.499_999_94, 0.166_665_23, 0.041_668_35, 0.008_368_536, 0.001_381_561_9];
tanh 1 at 8.82, by [0.899_69, 0.026_793_7, 1.029_349_5e-4], [1.799_38, 0.203_535_7, 2.172_406_5e-3, 2.217_482_5e-6];
log1p |f, k, rest| {
    let square = f * f;
    let cubic = horner::<FUSED, _, _>(f, [0.333_333_13, -0.249_999_87, 0.200_019_93, -0.166_691_47, 0.142_226_53, -0.123_879_28,
        0.118_499_05, -0.117_627_51, 0.069_319_34]);
    let y = fma!(k, LN2_LOW, cubic * square * f + rest);
    let y = fma!(square, -0.5, y);
    fma!(k, LN2_HIGH, f + y)
});

steps!(double: f64, u64, i64, digits 52, bias 1023.0, rounder 6_755_399_441_055_744.0, lift 2 to 512,
ln2 0.693_147_180_369_123_8 + 1.908_214_929_270_587_7e-10,
exp up to 710.0 with room for 2 to 100.0, expm1 is -1 at -38.0 and, as log1p, x below 1e-17, sigmoid 1 at 40.0,
exp [0.500_000_000_000_000_9, 0.166_666_666_666_664_27, 0.041_666_666_666_545_234, 0.008_333_333_333_490_813,
    0.001_388_888_894_016_514_7, 0.000_198_412_695_063_196_48, 2.480_149_631_298_445e-5, 2.755_759_178_594_455e-6,
    2.762_920_581_644_626e-7, 2.499_713_646_775_282e-8];
tanh 1 at 19.058, by [0.900_175, 0.032_427_525_950_680_346, 0.000_273_011_858_499_407_6, 7.677_387_500_503_601e-7,
    7.265_542_003_199_09e-10, 1.636_944_704_671_788_2e-13], [1.800_35, 0.214_884_218_568_026_8, 0.003_450_125_264_335_409,
    1.649_637_653_997_012e-5, 2.733_634_552_434_936_2e-8, 1.368_034_078_251_472_6e-11, 9.395_455_033_771_473e-16];
log1p |f, k, rest| {
    // f less half its square, and what s³ and the higher powers add, where s is f/(2 + f).
    let s = f / (2.0 + f);
    let z = s * s;
    let odd = z * horner::<FUSED, _, _>(z, [0.666_666_666_666_669_8, 0.399_999_999_996_141_6, 0.285_714_287_032_271_5,
        0.222_222_022_167_463_06, 0.181_833_896_113_281_8, 0.153_182_257_871_861_74, 0.147_565_721_728_127_18]);
    let half = 0.5 * f * f;
    let low = fma!(k, LN2_LOW, rest);
    let small = half - fma!(s, half + odd, low);
    fma!(k, LN2_HIGH, f - small)
});

/// x less its nearest multiple of π/2, and the bits whose lowest two count the quarter turns. Of magnitudes below
/// [`TURNS`](Transcendental::TURNS) as f32 has them the difference is as good as exact.
#[inline(always)]
fn turn<const FUSED: bool>(x: f64) -> (f64, u64) {
    const ROUNDER: f64 = 6_755_399_441_055_744.0;
    /// π/2 in two parts, the first of 33 bits.
    const HIGH: f64 = 1.570_796_326_734_125_6;
    const LOW: f64 = 6.077_100_506_506_192e-11;
    let shifted = fma!(x, std::f64::consts::FRAC_2_PI, ROUNDER);
    let n = shifted - ROUNDER;
    let r = fma!(n, -HIGH, x);
    (fma!(n, -LOW, r), shifted.to_bits())
}

/// The sine after `quarters` more quarter turns.
#[inline(always)]
fn sine<const FUSED: bool>(magnitude: f32, quarters: u32) -> f32 {
    let (r, turns) = turn::<FUSED>(magnitude.into());
    let (r, turns) = (r as f32, (turns as u32).wrapping_add(quarters));
    let z = r * r;
    let sin = horner::<FUSED, _, _>(z, [-0.166_666_55, 0.008_332_181, -0.000_195_175_28]);
    let sin = fma!(r * z, sin, r);
    let cos = horner::<FUSED, _, _>(z, [0.041_666_646, -0.001_388_737_7, 2.443_941e-5]);
    let cos = fma!(z * z, cos, fma!(z, -0.5, 1.0));
    let value = if turns & 1 == 0 { sin } else { cos };
    f32::from_bits(value.to_bits() ^ (turns & 2) << 30)
}

/// The angle of the point (x, y) in the first quadrant, to 40 binary digits. Not of two zeros or two infinities.
#[inline(always)]
fn angle<const FUSED: bool>(y: f64, x: f64) -> f64 {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, SQRT_2};
    // Turned back by a right angle or half of one to below an eighth of π.
    let (is_steep, is_slanted) = (y > (1.0 + SQRT_2) * x, y > (SQRT_2 - 1.0) * x);
    let above = if is_steep {
        -x
    } else if is_slanted {
        y - x
    } else {
        y
    };
    let below = if is_steep {
        y
    } else if is_slanted {
        y + x
    } else {
        x
    };
    let turned = if is_steep {
        FRAC_PI_2
    } else if is_slanted {
        FRAC_PI_4
    } else {
        0.0
    };
    let t = above / below;
    let z = t * t;
    let cubic = horner::<FUSED, _, _>(
        z,
        [
            -0.333_333_332_964_362_8,
            0.199_999_944_065_317_3,
            -0.142_854_266_389_540_44,
            0.111_040_560_645_635_49,
            -0.089_972_966_188_433_84,
            0.069_931_812_736_942_11,
            -0.037_957_346_490_644_96,
        ],
    );
    turned + fma!(t * z, cubic, t)
}

/// A number times a polynomial of its square, for where the closed form loses digits.
#[inline(always)]
fn or_series<const FUSED: bool>(x: f64, closed: f64, [third, fifth]: [f64; 2]) -> f64 {
    let z = x * x;
    if x < 1.0 / 256.0 { fma!(x * z, fma!(z, fifth, third), x) } else { closed }
}

impl Transcendental for f32 {
    const TURNS: Self = 1e6;
    const NORMAL: Self = 87.0;
    const LEAST_EXP: Self = -104.0;
    const LIFT: Self = single::LIFT;
    const TAIL_END: Self = 14.5;
    /// A little less, which makes up for a fraction that is short.
    const TAIL_SLOPE: Self = 1.253_305;

    #[inline(always)]
    fn lifted_exp_of_product<const FUSED: bool>(self, other: Self) -> (Self, Self) {
        single::lifted_exp_of_product::<FUSED>(self, other)
    }

    #[inline(always)]
    fn sigmoid<const FUSED: bool>(self) -> Self {
        single::sigmoid::<FUSED>(self)
    }

    #[inline(always)]
    fn lowered_tail<const FUSED: bool>(self, sloped: [Self; 2]) -> Self {
        // Both times ⅞, just above which floats are closer together than above 1.
        tail::<FUSED, false, _, _, _>(
            self,
            sloped,
            [
                0.875 * Self::LIFT,
                0.378_251_7 * Self::LIFT,
                0.093_717_344 * Self::LIFT,
                0.009_389_671 * Self::LIFT,
                4.823_868e-6 * Self::LIFT,
            ],
            [0.875, 0.776_744_07, 0.327_925_38, 0.073_572_04, 0.007_573_124],
        )
    }

    #[inline(always)]
    fn exp_near<const FUSED: bool>(self) -> Self {
        single::exp_near::<FUSED>(self)
    }

    #[inline(always)]
    fn exp<const FUSED: bool>(self) -> Self {
        single::exp::<FUSED>(self)
    }

    #[inline(always)]
    fn exp_below<const FUSED: bool>(self, rest: Self) -> Self {
        single::exp_of_sum::<FUSED>(self, rest)
    }

    #[inline(always)]
    fn factor_below<const FUSED: bool>(self) -> Self {
        single::below::<FUSED>(self)
    }

    #[inline(always)]
    fn exp_times<const FUSED: bool>(self, factor: Self) -> Self {
        single::exp_times::<FUSED>(self, factor)
    }

    #[inline(always)]
    fn expm1<const FUSED: bool>(self) -> Self {
        single::expm1::<FUSED>(self)
    }

    #[inline(always)]
    fn log<const FUSED: bool>(self) -> Self {
        single::log::<FUSED>(self)
    }

    #[inline(always)]
    fn log1p<const FUSED: bool>(self) -> Self {
        single::log1p::<FUSED>(self)
    }

    #[inline(always)]
    fn tanh<const FUSED: bool>(self) -> Self {
        single::tanh::<FUSED>(self)
    }

    #[inline(always)]
    fn sin<const FUSED: bool>(self) -> Self {
        let sin = sine::<FUSED>(self.abs(), 0);
        Self::from_bits(sin.to_bits() ^ self.to_bits() & 1 << 31)
    }

    #[inline(always)]
    fn cos<const FUSED: bool>(self) -> Self {
        sine::<FUSED>(self.abs(), 1)
    }

    #[inline(always)]
    fn tan<const FUSED: bool>(self) -> Self {
        let (r, turns) = turn::<FUSED>(self.abs().into());
        let z = r * r;
        let sin = horner::<FUSED, _, _>(
            z,
            [
                -0.166_666_666_666_666_32,
                0.008_333_333_333_322_554,
                -0.000_198_412_698_298_991_35,
                2.755_731_371_892_402e-6,
                -2.505_076_183_482_808_6e-8,
            ],
        );
        let sin = fma!(r * z, sin, r);
        let cos = horner::<FUSED, _, _>(
            z,
            [
                0.041_666_666_666_666_616,
                -0.001_388_888_888_887_613_3,
                2.480_158_729_057_607_7e-5,
                -2.755_731_463_434_169e-7,
                2.087_575_806_026_695e-9,
            ],
        );
        let cos = fma!(z * z, cos, fma!(z, -0.5, 1.0));
        let tan = (if turns & 1 == 0 { sin } else { -cos }) / (if turns & 1 == 0 { cos } else { sin });
        let tan = tan as f32;
        Self::from_bits(tan.to_bits() ^ self.to_bits() & 1 << 31)
    }

    #[inline(always)]
    fn sinh<const FUSED: bool>(self) -> Self {
        let x = f64::from(self.abs());
        let e = double::exp::<FUSED>(x);
        let sinh = or_series::<FUSED>(x, 0.5 * (e - 1.0 / e), [1.0 / 6.0, 1.0 / 120.0]);
        (sinh as f32).copysign(self)
    }

    #[inline(always)]
    fn cosh<const FUSED: bool>(self) -> Self {
        let e = double::exp::<FUSED>(self.abs().into());
        (0.5 * (e + 1.0 / e)) as f32
    }

    #[inline(always)]
    fn asin<const FUSED: bool>(self) -> Self {
        let x = f64::from(self.abs());
        (angle::<FUSED>(x, ((1.0 - x) * (1.0 + x)).sqrt()) as f32).copysign(self)
    }

    #[inline(always)]
    fn acos<const FUSED: bool>(self) -> Self {
        let x = f64::from(self.abs());
        let acos = angle::<FUSED>(((1.0 - x) * (1.0 + x)).sqrt(), x);
        (if self < 0.0 { std::f64::consts::PI - acos } else { acos }) as f32
    }

    #[inline(always)]
    fn atan<const FUSED: bool>(self) -> Self {
        (angle::<FUSED>(self.abs().into(), 1.0) as f32).copysign(self)
    }

    #[inline(always)]
    fn asinh<const FUSED: bool>(self) -> Self {
        let x = f64::from(self.abs());
        let log = double::log::<FUSED>(x + fma!(x, x, 1.0).sqrt());
        (or_series::<FUSED>(x, log, [-1.0 / 6.0, 3.0 / 40.0]) as f32).copysign(self)
    }

    #[inline(always)]
    fn acosh<const FUSED: bool>(self) -> Self {
        let x = f64::from(self);
        let acosh = double::log::<FUSED>(x + (x * x - 1.0).sqrt());
        (if x < 1.0 { f64::NAN } else { acosh }) as f32
    }

    #[inline(always)]
    fn atanh<const FUSED: bool>(self) -> Self {
        let x = f64::from(self.abs());
        let log = double::log::<FUSED>((1.0 + x) / (1.0 - x));
        (or_series::<FUSED>(x, 0.5 * log, [1.0 / 3.0, 1.0 / 5.0]) as f32).copysign(self)
    }

    #[inline(always)]
    fn erf<const FUSED: bool>(self) -> Self {
        let magnitude = self.abs();
        let small = horner::<FUSED, _, _>(
            self * self,
            [0.128_379_17, -0.376_126_26, 0.112_835_854, -0.026_853_81, 0.005_188_328, -0.000_801_019_4, 7.853_861e-5],
        );
        let small = fma!(self, small, self);
        // −ln erfc, which is as smooth as a parabola.
        let bounded = if magnitude > 3.93 { 3.93 } else { magnitude };
        let log = horner::<FUSED, _, _>(
            bounded,
            [0.002_619_178, 1.117_621_3, 0.654_240_1, 0.088_799_7, -0.014_831_837, 0.001_157_219_7],
        );
        let large = (1.0 - single::exp_near::<FUSED>(-log)).copysign(self);
        if magnitude < 1.0 { small } else { large }
    }

    #[inline(always)]
    fn erfc<const FUSED: bool>(self) -> Self {
        let x = self.abs();
        let x = if x > 10.2 { 10.2 } else { x };
        let slope = Self::TAIL_SLOPE * std::f32::consts::SQRT_2 * Self::LIFT;
        let tail = (x * std::f32::consts::SQRT_2).lowered_tail::<FUSED>([x, slope]);
        let (m, power) = x.lifted_exp_of_product::<FUSED>(-x);
        let erfc = fma!(tail, m, tail) * power;
        if self < 0.0 { 2.0 - erfc } else { erfc }
    }

    #[inline(always)]
    fn pow<const FUSED: bool>(self, exponent: Self) -> Self {
        let (x, y) = (f64::from(self), f64::from(exponent));
        let magnitude = x.abs();
        let log = double::log::<FUSED>(magnitude);
        let power = double::exp::<FUSED>(if magnitude == 1.0 { 0.0 } else { y * log });
        doubles::signed_power(x, y, power) as f32
    }

    #[inline(always)]
    fn atan2<const FUSED: bool>(self, x: Self) -> Self {
        let (above, right) = (f64::from(self.abs()), f64::from(x.abs()));
        // Two zeros are as one on the axis, two infinities as two ones.
        let are_infinite = above == f64::INFINITY && right == f64::INFINITY;
        let (above, right) = (if are_infinite { 1.0 } else { above }, if are_infinite { 1.0 } else { right });
        let angle = angle::<FUSED>(above, if above == 0.0 && right == 0.0 { 1.0 } else { right });
        ((if x.is_sign_negative() { std::f64::consts::PI - angle } else { angle }) as f32).copysign(self)
    }
}

/// The functions of f64 that are libm's.
macro_rules! libm {
    ($($name:ident($($arg:ident)?)),*) => {
        $(#[inline(always)]
        fn $name<const FUSED: bool>(self $(, $arg: Self)?) -> Self {
            libm::$name(self $(, $arg)?)
        })*
    };
}

impl Transcendental for f64 {
    const TURNS: Self = 1e6;
    const NORMAL: Self = 708.0;
    const LEAST_EXP: Self = -746.0;
    const LIFT: Self = double::LIFT;
    const TAIL_END: Self = 39.0;
    const TAIL_SLOPE: Self = 1.253_314_137_315_500_1;

    #[inline(always)]
    fn lifted_exp_of_product<const FUSED: bool>(self, other: Self) -> (Self, Self) {
        double::lifted_exp_of_product::<FUSED>(self, other)
    }

    #[inline(always)]
    fn sigmoid<const FUSED: bool>(self) -> Self {
        double::sigmoid::<FUSED>(self)
    }

    #[inline(always)]
    fn lowered_tail<const FUSED: bool>(self, sloped: [Self; 2]) -> Self {
        tail::<FUSED, true, _, _, _>(
            self,
            sloped,
            [
                1.0 * Self::LIFT,
                1.241_246_305_634_397_4 * Self::LIFT,
                0.787_467_370_070_361_2 * Self::LIFT,
                0.324_274_228_660_364_37 * Self::LIFT,
                0.094_144_115_423_772_39 * Self::LIFT,
                0.019_836_307_858_628_32 * Self::LIFT,
                0.003_025_239_208_029_523 * Self::LIFT,
                0.000_322_429_492_588_642_6 * Self::LIFT,
                2.191_169_479_598_532e-5 * Self::LIFT,
                7.320_627_512_381_655e-7 * Self::LIFT,
            ],
            [
                1.0,
                1.696_675_882_147_031_8,
                1.423_563_976_188_226,
                0.764_781_847_734_913_1,
                0.288_869_172_449_551_3,
                0.079_838_789_312_930_91,
                0.016_338_103_430_131_232,
                0.002_448_757_628_670_144_3,
                0.000_258_429_717_862_620_44,
                1.748_300_297_136_917_2e-5,
                5.841_015_667_901_028e-7,
            ],
        )
    }

    #[inline(always)]
    fn exp_near<const FUSED: bool>(self) -> Self {
        double::exp_near::<FUSED>(self)
    }

    #[inline(always)]
    fn exp<const FUSED: bool>(self) -> Self {
        double::exp::<FUSED>(self)
    }

    #[inline(always)]
    fn exp_below<const FUSED: bool>(self, rest: Self) -> Self {
        double::exp_of_sum::<FUSED>(self, rest)
    }

    #[inline(always)]
    fn factor_below<const FUSED: bool>(self) -> Self {
        double::below::<FUSED>(self)
    }

    #[inline(always)]
    fn exp_times<const FUSED: bool>(self, factor: Self) -> Self {
        double::exp_times::<FUSED>(self, factor)
    }

    #[inline(always)]
    fn expm1<const FUSED: bool>(self) -> Self {
        double::expm1::<FUSED>(self)
    }

    #[inline(always)]
    fn log<const FUSED: bool>(self) -> Self {
        double::log::<FUSED>(self)
    }

    #[inline(always)]
    fn log1p<const FUSED: bool>(self) -> Self {
        double::log1p::<FUSED>(self)
    }

    #[inline(always)]
    fn tanh<const FUSED: bool>(self) -> Self {
        double::tanh::<FUSED>(self)
    }

    #[inline(always)]
    fn sin<const FUSED: bool>(self) -> Self {
        doubles::sin::<FUSED>(self)
    }

    #[inline(always)]
    fn cos<const FUSED: bool>(self) -> Self {
        doubles::cos::<FUSED>(self)
    }

    #[inline(always)]
    fn erf<const FUSED: bool>(self) -> Self {
        doubles::erf::<FUSED>(self)
    }

    #[inline(always)]
    fn erfc<const FUSED: bool>(self) -> Self {
        doubles::erfc::<FUSED>(self)
    }

    #[inline(always)]
    fn pow<const FUSED: bool>(self, exponent: Self) -> Self {
        doubles::pow::<FUSED>(self, exponent)
    }

    libm!(tan(), sinh(), cosh(), asin(), acos(), atan(), asinh(), acosh(), atanh(), atan2(x));
}
