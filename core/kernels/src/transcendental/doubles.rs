//! Sine, cosine, the error function and powers of f64, whose last digits want more than f64 holds: numbers in two parts, of
//! which the second is what the first was rounded by.

use super::{Transcendental, double, fma, horner};

/// x less its nearest multiple of π/2, in two parts, and the bits whose lowest two count the quarter turns. Of magnitudes
/// up to 1e6.
#[inline(always)]
fn turn<const FUSED: bool>(x: f64) -> (f64, f64, u64) {
    const ROUNDER: f64 = 6_755_399_441_055_744.0;
    /// π/2 in three parts, the first two of 33 bits: their products with the quarter turns are exact.
    const FIRST: f64 = 1.570_796_326_734_125_6;
    const SECOND: f64 = 6.077_100_506_303_966e-11;
    const THIRD: f64 = 2.022_266_248_795_950_6e-21;
    let shifted = fma!(x, std::f64::consts::FRAC_2_PI, ROUNDER);
    let n = shifted - ROUNDER;
    let near = x - n * FIRST;
    let second = n * SECOND;
    let r = near - second;
    let part = r - near;
    let rest = (near - (r - part)) - (second + part);
    let rest = fma!(n, -THIRD, rest);
    let sum = r + rest;
    (sum, (r - sum) + rest, shifted.to_bits())
}

/// The sine after `quarters` more quarter turns.
#[inline(always)]
fn sine<const FUSED: bool>(magnitude: f64, quarters: u64) -> f64 {
    let (r, rest, turns) = turn::<FUSED>(magnitude);
    let turns = turns.wrapping_add(quarters);
    let z = r * r;
    let half = 0.5 * z;
    let near = 1.0 - half;
    let sin = horner::<FUSED, _, _>(
        z,
        [
            -0.166_666_666_666_666_32,
            0.008_333_333_333_322_415,
            -0.000_198_412_698_298_081_55,
            2.755_731_369_201_876_7e-6,
            -2.505_075_812_792_326e-8,
            1.589_679_622_225_086_8e-10,
        ],
    );
    let sin = r + fma!(r * z, sin, rest * near);
    let cos = horner::<FUSED, _, _>(
        z,
        [
            0.041_666_666_666_666_6,
            -0.001_388_888_888_887_412_5,
            2.480_158_728_948_284_5e-5,
            -2.755_731_435_250_558_6e-7,
            2.087_572_329_485_025_4e-9,
            -1.135_964_884_854_883_7e-11,
        ],
    );
    let cos = near + (((1.0 - near) - half) + fma!(z * z, cos, -(r * rest)));
    let value = if turns & 1 == 0 { sin } else { cos };
    f64::from_bits(value.to_bits() ^ (turns & 2) << 62)
}

#[inline(always)]
pub(super) fn sin<const FUSED: bool>(x: f64) -> f64 {
    let sin = sine::<FUSED>(x.abs(), 0);
    f64::from_bits(sin.to_bits() ^ x.to_bits() & 1 << 63)
}

#[inline(always)]
pub(super) fn cos<const FUSED: bool>(x: f64) -> f64 {
    sine::<FUSED>(x.abs(), 1)
}

/// Of a magnitude.
#[inline(always)]
fn erfc_above<const FUSED: bool>(x: f64) -> f64 {
    const SQRT_PI: f64 = 1.772_453_850_905_516;
    let x = if x > 27.3 { 27.3 } else { x };
    let tail = (x * std::f64::consts::SQRT_2).lowered_tail::<FUSED>([x, SQRT_PI * f64::LIFT]);
    let (m, power) = x.lifted_exp_of_product::<FUSED>(-x);
    fma!(tail, m, tail) * power
}

#[inline(always)]
pub(super) fn erfc<const FUSED: bool>(x: f64) -> f64 {
    if !FUSED {
        return libm::erfc(x);
    }
    let erfc = erfc_above::<FUSED>(x.abs());
    if x < 0.0 { 2.0 - erfc } else { erfc }
}

#[inline(always)]
pub(super) fn erf<const FUSED: bool>(x: f64) -> f64 {
    let magnitude = x.abs();
    let small = horner::<FUSED, _, _>(
        x * x,
        [
            0.128_379_167_095_512_6,
            -0.376_126_389_031_837_15,
            0.112_837_916_709_524_81,
            -0.026_866_170_644_402_495,
            0.005_223_977_615_122_545,
            -0.000_854_832_616_911_056,
            0.000_120_552_887_780_683_65,
            -1.492_417_665_935_532_8e-5,
            1.643_038_855_540_593e-6,
            -1.593_760_281_319_162e-7,
            1.146_376_731_167_156_3e-8,
        ],
    );
    let small = fma!(x, small, x);
    let large = (1.0 - erfc_above::<FUSED>(magnitude)).copysign(x);
    if magnitude < 0.75 { small } else { large }
}

/// The logarithm of a magnitude in two parts, to 66 binary digits. By fused multiplication and addition.
#[inline(always)]
fn log_in_parts(x: f64) -> (f64, f64) {
    const TWO_THIRDS: f64 = 0.666_666_666_666_666_6;
    const REST_OF_TWO_THIRDS: f64 = 3.700_743_415_417_188e-17;
    let (k, m) = double::take_any_apart(x);
    // s, f/(2 + f), and its square in two parts each.
    let f = m - 1.0;
    let below = 2.0 + f;
    let part = 1.0 / below;
    let s = f * part;
    let left = (-s).mul_add(f - (below - 2.0), (-s).mul_add(below, f));
    let s_low = left * part;
    let z = s * s;
    let z_low = (s + s).mul_add(s_low, s.mul_add(s, -z));
    // 2s + s (2z/3 + 2z²/5 + …)
    let tail = horner::<true, _, _>(
        z,
        [
            0.399_999_999_999_999_8,
            0.285_714_285_714_451_23,
            0.222_222_222_175_341_93,
            0.181_818_188_706_008_58,
            0.153_845_568_510_110_7,
            0.133_363_182_035_245_28,
            0.116_748_023_052_442_68,
            0.119_891_501_363_881_03,
        ],
    );
    let cubic = TWO_THIRDS * z;
    let cubic_low = TWO_THIRDS.mul_add(z, -cubic) + TWO_THIRDS.mul_add(z_low, REST_OF_TWO_THIRDS * z);
    let cubic_low = (z * z).mul_add(tail, cubic_low);
    let bend = s * cubic;
    let bend_low = s.mul_add(cubic, -bend) + s.mul_add(cubic_low, s_low * cubic);
    // From the greatest down.
    let whole = k * double::LN2_HIGH;
    let first = whole + (s + s);
    let first_low = (s + s) - (first - whole);
    let second = first + bend;
    let second_low = bend - (second - first);
    let low = k.mul_add(double::LN2_LOW, (s_low + s_low) + (first_low + second_low + bend_low));
    let log = second + low;
    (log, (second - log) + low)
}

#[inline(always)]
pub(super) fn pow<const FUSED: bool>(x: f64, exponent: f64) -> f64 {
    if !FUSED {
        return libm::pow(x, exponent);
    }
    let magnitude = x.abs();
    let (log, low) = log_in_parts(magnitude);
    let log = double::or_special(magnitude, log);
    let product = if magnitude == 1.0 { 0.0 } else { exponent * log };
    let rest = exponent.mul_add(low, exponent.mul_add(log, -product));
    let rest = if magnitude != 1.0 && product.abs() < 1000.0 { rest } else { 0.0 };
    let bounded = if product > 710.0 { 710.0 } else { product };
    signed_power(x, exponent, bounded.exp_below::<FUSED>(rest))
}

/// What is xʸ, from |x|ʸ.
#[inline(always)]
pub(super) fn signed_power(x: f64, y: f64, power: f64) -> f64 {
    let power = if y.is_nan() { y } else { power };
    let is_odd = (y * 0.5).floor() != y * 0.5 && y.floor() == y;
    let signed = if is_odd { power.copysign(x) } else { power };
    let is_root = x < 0.0 && x > f64::NEG_INFINITY && y.floor() != y;
    let signed = if is_root { f64::NAN } else { signed };
    if x == 1.0 || y == 0.0 { 1.0 } else { signed }
}
