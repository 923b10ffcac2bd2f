//! Elementwise functions of complex numbers, on slices.

use num_complex::Complex;

use crate::float::{Real, each};
use crate::operation::{Binary, Fault, Unary, Unsupported};

#[inline(always)]
pub(crate) fn unary<R: Real, const FUSED: bool>(
    op: Unary,
    x: &[Complex<R>],
    out: &mut [Complex<R>],
) -> Result<(), Unsupported> {
    match op {
        Unary::Neg => each!(x => out, |x| Complex::new(-x.re, -x.im)),
        Unary::Square => each!(x => out, |x| mul(x, x)),
        Unary::Reciprocal => each!(x => out, |x| div(Complex::new(R::ONE, R::ZERO), x)),
        _ => return Err(Unsupported),
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn binary<R: Real, const FUSED: bool>(
    op: Binary,
    a: &[Complex<R>],
    b: &[Complex<R>],
    out: &mut [Complex<R>],
) -> Result<(), Fault> {
    match op {
        Binary::Add => each!(a, b => out, |a, b| add(a, b)),
        Binary::Sub => each!(a, b => out, |a, b| sub(a, b)),
        Binary::Mul => each!(a, b => out, |a, b| mul(a, b)),
        Binary::Div => each!(a, b => out, |a, b| div(a, b)),
        Binary::DivNoNan => each!(a, b => out, |a, b| if is_zero(b) { b } else { div(a, b) }),
        Binary::SquaredDifference => each!(a, b => out, |a, b| {
            let d = sub(a, b);
            Complex::new(d.re * d.re + d.im * d.im, R::ZERO)
        }),
        _ => return Err(Fault::Unsupported),
    }
    Ok(())
}

#[inline(always)]
fn is_zero<R: Real>(x: Complex<R>) -> bool {
    x.re == R::ZERO && x.im == R::ZERO
}

#[inline(always)]
pub(crate) fn add<R: Real>(a: Complex<R>, b: Complex<R>) -> Complex<R> {
    Complex::new(a.re + b.re, a.im + b.im)
}

#[inline(always)]
fn sub<R: Real>(a: Complex<R>, b: Complex<R>) -> Complex<R> {
    Complex::new(a.re - b.re, a.im - b.im)
}

#[inline(always)]
pub(crate) fn mul<R: Real>(a: Complex<R>, b: Complex<R>) -> Complex<R> {
    Complex::new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)
}

/// Smith's quotient: the divisor is scaled by its greater part, so that its square cannot overflow.
#[inline(always)]
fn div<R: Real>(a: Complex<R>, b: Complex<R>) -> Complex<R> {
    if b.re.abs() >= b.im.abs() {
        let ratio = if is_zero(b) { R::ZERO } else { b.im / b.re };
        let scale = b.re + b.im * ratio;
        Complex::new((a.re + a.im * ratio) / scale, (a.im - a.re * ratio) / scale)
    } else {
        let ratio = b.re / b.im;
        let scale = b.re * ratio + b.im;
        Complex::new((a.re * ratio + a.im) / scale, (a.im * ratio - a.re) / scale)
    }
}
