//! Elementwise functions of complex numbers, on slices.

use num_complex::Complex;

use crate::float::Real;
use crate::operation::{Binary, Fault, Unary, Unsupported};

pub(crate) fn unary<R: Real>(op: Unary, x: &[Complex<R>], out: &mut [Complex<R>]) -> Result<(), Unsupported> {
    let f = match op {
        Unary::Neg => |x: Complex<R>| Complex::new(-x.re, -x.im),
        Unary::Square => |x| mul(x, x),
        Unary::Reciprocal => |x| div(Complex::new(R::ONE, R::ZERO), x),
        _ => return Err(Unsupported),
    };
    for (out, &x) in out.iter_mut().zip(x) {
        *out = f(x);
    }
    Ok(())
}

pub(crate) fn binary<R: Real>(
    op: Binary,
    a: &[Complex<R>],
    b: &[Complex<R>],
    out: &mut [Complex<R>],
) -> Result<(), Fault> {
    let f = match op {
        Binary::Add => add,
        Binary::Sub => sub,
        Binary::Mul => mul,
        Binary::Div => div,
        Binary::DivNoNan => |a, b: Complex<R>| if is_zero(b) { b } else { div(a, b) },
        Binary::SquaredDifference => |a: Complex<R>, b: Complex<R>| {
            let d = sub(a, b);
            Complex::new(d.re * d.re + d.im * d.im, R::ZERO)
        },
        _ => return Err(Fault::Unsupported),
    };
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = f(a, b);
    }
    Ok(())
}

fn is_zero<R: Real>(x: Complex<R>) -> bool {
    x.re == R::ZERO && x.im == R::ZERO
}

pub(crate) fn add<R: Real>(a: Complex<R>, b: Complex<R>) -> Complex<R> {
    Complex::new(a.re + b.re, a.im + b.im)
}

fn sub<R: Real>(a: Complex<R>, b: Complex<R>) -> Complex<R> {
    Complex::new(a.re - b.re, a.im - b.im)
}

pub(crate) fn mul<R: Real>(a: Complex<R>, b: Complex<R>) -> Complex<R> {
    Complex::new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)
}

/// Smith's quotient: the divisor is scaled by its greater part, so that its square cannot overflow.
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
