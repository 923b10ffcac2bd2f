//! Floats in decimal, as NumPy writes them: the fewest digits that mean the number, aligned over an array.

use half::{bf16, f16};

/// A float dtype, as far as its text is concerned.
pub(super) trait Real: Copy {
    /// Decimal digits that the dtype holds: larger numbers are written with an exponent.
    const DIGITS: u32;
    /// The same number; every float is one of float64.
    fn exact(self) -> f64;
    /// The number of this dtype next to a float64.
    fn nearest(x: f64) -> Self;

    /// The fewest digits that mean this number among those of its dtype, as `d.ddde-7`. The number must be finite.
    ///
    /// Rust's own shortest digits round a tie of the last one up, and NumPy's to even, as digits of a given number are
    /// by both.
    fn shortest(self) -> String {
        /// 17 digits tell all numbers of float64 apart.
        const MOST: usize = 16;
        let exact = self.exact();
        let text = |places: usize| format!("{exact:.places$e}");
        let means_it = |text: &String| text.parse().is_ok_and(|back| Self::nearest(back).exact() == exact);
        (0..MOST).map(text).find(means_it).unwrap_or_else(|| text(MOST))
    }
}

macro_rules! reals {
    ($($t:ident, $nearest:expr;)*) => { $(
        impl Real for $t {
            const DIGITS: u32 = $t::DIGITS;
            fn exact(self) -> f64 { f64::from(self) }
            fn nearest(x: f64) -> $t { $nearest(x) }
        }
    )* };
}

reals! {
    f64, |x| x;
    f32, |x| x as f32;
    f16, f16::from_f64;
}

/// A number in parts of text: a sign and digits before the point, digits after it, and an exponent where it has one.
struct Parts {
    whole: String,
    fraction: String,
    exponent: Option<i32>,
}

impl Parts {
    /// Without trailing zeros.
    fn trimmed(mut self) -> Parts {
        self.fraction.truncate(self.fraction.trim_end_matches('0').len());
        self
    }

    fn split(text: &str) -> Parts {
        let (mantissa, exponent) = text.split_once('e').map_or((text, None), |(m, e)| (m, e.parse().ok()));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Parts { whole: whole.to_owned(), fraction: fraction.to_owned(), exponent }
    }

    /// With an exponent and at most so many digits after the point.
    fn scientific(x: impl Real, places: usize) -> Parts {
        let shortest = Parts::split(&x.shortest());
        if shortest.fraction.len() <= places { shortest } else { Parts::padded(x, places).trimmed() }
    }

    /// With an exponent and exactly so many digits after the point: the number's own, where more are wanted than it
    /// takes to tell it from others.
    fn padded(x: impl Real, places: usize) -> Parts {
        Parts::split(&format!("{:.places$e}", x.exact()))
    }

    /// Without an exponent, and with at most so many digits after the point.
    fn positional(x: impl Real, places: usize) -> Parts {
        let Parts { whole, fraction, exponent } = Parts::split(&x.shortest());
        let exponent = exponent.unwrap_or(0);
        let needed = usize::try_from(fraction.len() as i64 - i64::from(exponent)).unwrap_or(0);
        if needed > places {
            return Parts::split(&format!("{:.places$}", x.exact())).trimmed();
        }
        let (sign, first) = whole.split_at(whole.len() - 1);
        let digits = format!("{first}{fraction}");
        // The point stands after this many digits; zeros fill what is missing on either side.
        let point = 1 + exponent;
        let (whole, fraction) = match usize::try_from(point) {
            Ok(point) if point >= 1 => {
                let digits = format!("{digits:0<point$}");
                (digits[..point].to_owned(), digits[point..].to_owned())
            }
            _ => ("0".to_owned(), format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize))),
        };
        Parts { whole: format!("{sign}{whole}"), fraction, exponent: None }.trimmed()
    }

    /// The exponent with its sign and at least so many digits: `e-05`.
    fn exponent(&self, digits: usize) -> String {
        let Some(exponent) = self.exponent else { return String::new() };
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("e{sign}{:0>digits$}", exponent.unsigned_abs())
    }
}

/// The one number of a tensor of rank 0: `1.0`, `1e-04`, `nan`.
pub(super) fn scalar<R: Real>(x: R) -> String {
    let text = bare(x);
    let whole = x.exact().is_finite() && !text.contains(['.', 'e']);
    if whole { text + ".0" } else { text }
}

/// As [`scalar`], and whole numbers without a point: a part of a complex number.
fn bare<R: Real>(x: R) -> String {
    let magnitude = x.exact().abs();
    if !magnitude.is_finite() {
        return outside(x.exact());
    }
    // Float64 alone is written out as far as it counts every integer.
    let largest = if R::DIGITS == f64::DIGITS { 1e16 } else { 10_f64.powi(R::DIGITS as i32) };
    let positional = magnitude == 0.0 || (1e-4..largest).contains(&magnitude);
    let parts = if positional { Parts::positional(x, usize::MAX) } else { Parts::scientific(x, usize::MAX) };
    let point = if parts.fraction.is_empty() { "" } else { "." };
    format!("{}{point}{}{}", parts.whole, parts.fraction, parts.exponent(2))
}

fn outside(x: f64) -> String {
    match x {
        x if x.is_nan() => "nan".to_owned(),
        x if x < 0.0 => "-inf".to_owned(),
        _ => "inf".to_owned(),
    }
}

/// A complex scalar: `(1.5-2j)`, or `2j` where there is no real part.
pub(super) fn complex_scalar<R: Real>(re: R, im: R) -> String {
    if re.exact() == 0.0 && re.exact().is_sign_positive() {
        return bare(im) + "j";
    }
    let im = bare(im);
    let plus = if im.starts_with('-') { "" } else { "+" };
    format!("({}{plus}{im}j)", bare(re))
}

/// Digits after the point at most, in an array.
const PLACES: usize = 8;

/// Numbers of one width, their points below each other.
pub(super) fn aligned<R: Real>(values: &[R]) -> Vec<String> {
    columns(values, false)
}

/// Complex numbers likewise.
pub(super) fn complex_aligned<R: Real>(re: &[R], im: &[R]) -> Vec<String> {
    let pairs = columns(re, false).into_iter().zip(columns(im, true));
    pairs
        .map(|(re, im)| {
            let (digits, space) = im.split_at(im.trim_end().len());
            format!("{re}{digits}j{space}")
        })
        .collect()
}

fn columns<R: Real>(values: &[R], plus: bool) -> Vec<String> {
    let finite = || values.iter().copied().filter(|x| x.exact().is_finite());
    let signed = |x: R, mut parts: Parts| {
        if plus && x.exact().is_sign_positive() {
            parts.whole.insert(0, '+');
        }
        parts
    };
    let scientific = wants_exponent::<R>(finite().map(Real::exact));
    let texts: Vec<Parts> = finite()
        .map(|x| signed(x, if scientific { Parts::scientific(x, PLACES) } else { Parts::positional(x, PLACES) }))
        .collect();
    let most = |length: fn(&Parts) -> usize| texts.iter().map(length).max().unwrap_or(0);
    let (left, right) = (most(|parts| parts.whole.len()), most(|parts| parts.fraction.len()));
    let exponent = most(|parts| parts.exponent(2).len().saturating_sub(2));
    // What stands after the point: the digits, and the exponent with its `e` and sign.
    let tail = if scientific { right + exponent + 2 } else { right };
    // Where there are any, `nan` and `inf` have room before the end of the tail, and so has a sign if any may have one.
    let others = || values.iter().map(|x| x.exact()).filter(|x| !x.is_finite());
    let sign = usize::from(plus || others().any(|x| x == f64::NEG_INFINITY));
    let left = if others().next().is_some() { left.max((3 + sign).saturating_sub(tail + 1)) } else { left };
    values
        .iter()
        .map(|&x| {
            let exact = x.exact();
            if !exact.is_finite() {
                let sign = if plus && exact != f64::NEG_INFINITY { "+" } else { "" };
                return format!("{:>width$}", format!("{sign}{}", outside(exact)), width = left + 1 + tail);
            }
            let parts = signed(x, if scientific { Parts::padded(x, right) } else { Parts::positional(x, PLACES) });
            let exponent = parts.exponent(exponent);
            format!("{:>left$}.{:<tail$}", parts.whole, format!("{}{exponent}", parts.fraction))
        })
        .collect()
}

/// Whether an array is written with exponents: numbers too large for its digits, below 1e-4, or too far apart. The
/// comparisons are made in the dtype.
fn wants_exponent<R: Real>(finite: impl Iterator<Item = f64>) -> bool {
    let magnitudes = finite.map(f64::abs).filter(|&x| x != 0.0);
    let range = magnitudes.fold(None, |range: Option<(f64, f64)>, x| {
        Some(range.map_or((x, x), |(least, most)| (least.min(x), most.max(x))))
    });
    let Some((least, most)) = range else { return false };
    let within = |x: f64| R::nearest(x).exact();
    let largest = 10_f64.powi(R::DIGITS.min(PLACES as u32) as i32);
    most >= largest || least < within(1e-4) || within(most / least) > 1000.0
}

/// A bfloat16, which is not NumPy's own and is written as C does: six digits, whole numbers without a point.
pub(super) fn general(x: bf16) -> String {
    const DIGITS: usize = 6;
    let exact = x.to_f64();
    if !exact.is_finite() {
        return outside(exact);
    }
    let rounded = Parts::split(&format!("{exact:.places$e}", places = DIGITS - 1)).trimmed();
    let exponent = rounded.exponent.unwrap_or(0);
    let parts = if (-4..DIGITS as i32).contains(&exponent) {
        let places = (DIGITS as i32 - 1 - exponent).unsigned_abs() as usize;
        Parts::split(&format!("{exact:.places$}")).trimmed()
    } else {
        rounded
    };
    let point = if parts.fraction.is_empty() { "" } else { "." };
    format!("{}{point}{}{}", parts.whole, parts.fraction, parts.exponent(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_digits_mean_the_number() {
        assert_eq!(f16::from_f32(0.1).shortest(), "1e-1");
        assert_eq!(f16::MAX.shortest(), "6.55e4");
        for bits in 0..=u16::MAX {
            let x = f16::from_bits(bits);
            if x.is_finite() {
                assert_eq!(f16::from_f64(x.shortest().parse().unwrap()), x);
            }
        }
    }

    #[test]
    fn digits_beyond_the_last_are_rounded_to_even() {
        assert_eq!(aligned(&[0.001953125_f64]), ["0.00195312"]);
        assert_eq!(aligned(&[0.005859375_f64]), ["0.00585938"]);
        assert_eq!([356_270.63_f32, -2_902_901.3].map(scalar), ["356270.62", "-2.9029012e+06"]);
    }

    #[test]
    fn numbers_far_apart_have_exponents_and_their_own_digits() {
        assert_eq!(aligned(&[1.1e-10, 1.234_568e9, 3.3e-10_f32]), ["1.100000e-10", "1.234568e+09", "3.300000e-10"]);
        assert_eq!(aligned(&[5e-324, 1.0]), ["5.e-324", "1.e+000"]);
        assert_eq!(aligned(&[0.0, f64::NAN, -1e-9]), [" 0.e+00", "    nan", "-1.e-09"]);
    }

    #[test]
    fn complex_numbers_are_two_columns() {
        let texts = complex_aligned(&[f32::NAN, 2.5, 1e10], &[1.0, f32::NEG_INFINITY, 0.0]);
        assert_eq!(texts, ["    nan +1.j", "2.5e+00-infj", "1.0e+10 +0.j"]);
        assert_eq!(complex_scalar(-0.0_f32, 2.0), "(-0+2j)");
        assert_eq!(complex_scalar(0.0_f32, f32::NEG_INFINITY), "-infj");
        assert_eq!(complex_scalar(f32::NAN, f32::INFINITY), "(nan+infj)");
    }

    #[test]
    fn a_scalar_has_an_exponent_where_its_dtype_ends() {
        let texts = [1e3, 1.001e3, 999.0, 6e4].map(|x| scalar(f16::from_f64(x)));
        assert_eq!(texts, ["1e+03", "1.001e+03", "999.0", "6e+04"]);
        let texts = [999_999.0, 1e6, 1_234_567.0_f32].map(scalar);
        assert_eq!(texts, ["999999.0", "1e+06", "1.234567e+06"]);
        assert_eq!([9.9e15, 1e16].map(scalar::<f64>), ["9900000000000000.0", "1e+16"]);
    }

    #[test]
    fn a_bfloat16_has_six_digits() {
        let texts = [999_424.0, 1e-4, 1e-5, 3e38, -0.0].map(|x| general(bf16::from_f64(x)));
        assert_eq!(texts, ["999424", "0.000100136", "1.00136e-05", "3.00406e+38", "-0"]);
    }
}
