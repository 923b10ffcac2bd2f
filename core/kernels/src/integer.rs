//! Elementwise functions of the integers, on slices. All arithmetic wraps, in every build.

use crate::operation::{Binary, Fault, Unary, Unsupported};

/// An integer of any width and sign.
pub(crate) trait Integer: Copy + Ord {
    const ZERO: Self;
    const ONE: Self;
    const SIX: Self;
    fn neg(self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// The truncated quotient; the divisor is not 0.
    fn quotient(self, divisor: Self) -> Self;
    /// The remainder that goes with it.
    fn remainder(self, divisor: Self) -> Self;
    /// The value halved towards 0, of one that is not negative.
    fn half(self) -> Self;
    fn is_odd(self) -> bool;
}

macro_rules! integer {
    ($($t:ident),*) => {
        $(impl Integer for $t {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const SIX: Self = 6;
            #[inline(always)]
            fn neg(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn quotient(self, divisor: Self) -> Self {
                self.wrapping_div(divisor)
            }
            #[inline(always)]
            fn remainder(self, divisor: Self) -> Self {
                self.wrapping_rem(divisor)
            }
            #[inline(always)]
            fn half(self) -> Self {
                self >> 1
            }
            #[inline(always)]
            fn is_odd(self) -> bool {
                self & 1 == 1
            }
        })*
    };
}
integer!(i8, i16, i32, i64, u8, u16, u32, u64);

#[inline(always)]
fn map<I: Copy>(x: &[I], out: &mut [I], f: impl Fn(I) -> I) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = f(x);
    }
}

#[inline(always)]
fn zip<I: Copy>(a: &[I], b: &[I], out: &mut [I], f: impl Fn(I, I) -> I) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f(a, b);
    }
}

#[inline(always)]
pub(crate) fn unary<I: Integer, const FUSED: bool>(op: Unary, x: &[I], out: &mut [I]) -> Result<(), Unsupported> {
    match op {
        Unary::Neg => map(x, out, I::neg),
        Unary::Abs => map(x, out, |x| if x < I::ZERO { x.neg() } else { x }),
        Unary::Sign => map(x, out, |x| {
            if x > I::ZERO {
                I::ONE
            } else if x < I::ZERO {
                I::ONE.neg()
            } else {
                I::ZERO
            }
        }),
        Unary::Square => map(x, out, |x| x.mul(x)),
        Unary::Relu => map(x, out, |x| x.max(I::ZERO)),
        Unary::Relu6 => map(x, out, |x| x.max(I::ZERO).min(I::SIX)),
        Unary::Rint => out.copy_from_slice(x),
        _ => return Err(Unsupported),
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn binary<I: Integer, const FUSED: bool>(op: Binary, a: &[I], b: &[I], out: &mut [I]) -> Result<(), Fault> {
    let divides =
        matches!(op, Binary::Div | Binary::FloorDiv | Binary::FloorMod | Binary::TruncateDiv | Binary::TruncateMod);
    if divides && let Some(element) = b.iter().position(|&b| b == I::ZERO) {
        return Err(Fault::ZeroDivisor { element });
    }
    match op {
        Binary::Add => zip(a, b, out, I::add),
        Binary::Sub => zip(a, b, out, I::sub),
        Binary::Mul => zip(a, b, out, I::mul),
        Binary::Div | Binary::TruncateDiv => zip(a, b, out, I::quotient),
        Binary::TruncateMod => zip(a, b, out, I::remainder),
        Binary::FloorDiv => zip(a, b, out, |a, b| {
            let (quotient, rest) = (a.quotient(b), a.remainder(b));
            if rest != I::ZERO && (rest < I::ZERO) != (b < I::ZERO) { quotient.sub(I::ONE) } else { quotient }
        }),
        Binary::FloorMod => zip(a, b, out, |a, b| {
            let rest = a.remainder(b);
            if rest != I::ZERO && (rest < I::ZERO) != (b < I::ZERO) { rest.add(b) } else { rest }
        }),
        Binary::Pow => {
            if let Some(element) = b.iter().position(|&b| b < I::ZERO) {
                return Err(Fault::NegativeExponent { element });
            }
            zip(a, b, out, power);
        }
        Binary::Maximum => zip(a, b, out, I::max),
        Binary::Minimum => zip(a, b, out, I::min),
        Binary::SquaredDifference => zip(a, b, out, |a, b| a.sub(b).mul(a.sub(b))),
        _ => return Err(Fault::Unsupported),
    }
    Ok(())
}

/// `base` to a power that is not negative, by squaring.
fn power<I: Integer>(mut base: I, mut exponent: I) -> I {
    let mut result = I::ONE;
    while exponent > I::ZERO {
        if exponent.is_odd() {
            result = result.mul(base);
        }
        base = base.mul(base);
        exponent = exponent.half();
    }
    result
}
