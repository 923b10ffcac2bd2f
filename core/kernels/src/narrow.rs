//! f16 and bf16: their conversions, and elementwise functions on slices, computed in f32 and rounded once.

use std::convert::identity;

use bytemuck::Pod;
use half::{bf16, f16};

use crate::dispatch::by_instruction_set;
use crate::expression::Elementwise;
use crate::number::Number;
use crate::operation::{Binary, Compare, Fault, Test, Unary, Unsupported};
use crate::strided::{Strided, TILE};
use crate::transcendental::Transcendental;
use crate::update::{Step, update_part_by};

/// f16 or bf16. The conversions are branchless integer arithmetic that the compiler vectorises.
pub(crate) trait Half: Copy {
    fn widen(self) -> f32;
    /// The nearest value, the even one of two.
    fn narrow(value: f32) -> Self;
}

impl Half for f16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        let bits = u32::from(self.to_bits());
        // Exponent and mantissa in their places of an f32, whose exponent counts from 112 more.
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
        let finite = magnitude.to_bits();
        let bounded = if magnitude >= 65536.0 { finite | 0xff << 23 } else { finite };
        f32::from_bits(bounded | (bits & 0x8000) << 16)
    }

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        let sign = (value.to_bits() >> 16) & 0x8000;
        let magnitude = value.to_bits() & 0x7fff_ffff;
        // Below 2⁻¹⁴ the steps are 2⁻²⁴, which is the last place of ½: adding ½ rounds, as f32 addition does.
        let small = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
        let is_odd = (magnitude >> 13) & 1;
        let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + is_odd) >> 13;
        let special = if magnitude > 0xff << 23 { 0x7e00 } else { 0x7c00 };
        let bits = if magnitude < 113 << 23 {
            small
        } else if magnitude >= 143 << 23 {
            special
        } else {
            normal
        };
        Self::from_bits((bits | sign) as u16)
    }
}

impl Half for bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        let bits = value.to_bits();
        let is_odd = (bits >> 16) & 1;
        let rounded = bits.wrapping_add(0x7fff + is_odd) >> 16;
        // Rounding would carry some NaNs over into infinity.
        let quiet = bits >> 16 | 0x40;
        Self::from_bits((if bits & 0x7fff_ffff > 0xff << 23 { quiet } else { rounded }) as u16)
    }
}

/// A float as it is stored, and as it is computed with.
pub(crate) trait Stored: Pod + Send + Sync {
    type Wide: Transcendental + Number;
    /// Whether the two are one.
    const IS_WIDE: bool;
    fn widen(self) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> Self;
    /// Writes a part of what an optimizer's step leaves, the part from `start` on, by the instruction set of this machine.
    fn update_part(
        step: &Step<Self>,
        before: &[Option<Strided<Self>>],
        gradient: Strided<Self>,
        start: usize,
        after: &mut [&mut [Self]],
    );
}

macro_rules! stored {
    ($($t:ty as $wide:ty, $is_wide:literal: $widen:expr, $narrow:expr;)*) => {
        $(impl Stored for $t {
            type Wide = $wide;
            const IS_WIDE: bool = $is_wide;
            #[inline(always)]
            fn widen(self) -> $wide {
                $widen(self)
            }
            #[inline(always)]
            fn narrow(wide: $wide) -> Self {
                $narrow(wide)
            }
            by_instruction_set!(fn update_part(
                step: &Step<$t>,
                before: &[Option<Strided<$t>>],
                gradient: Strided<$t>,
                start: usize,
                after: &mut [&mut [$t]]
            ) = update_part_by::<$t>);
        })*
    };
}
stored! {
    f32 as f32, true: identity, identity;
    f64 as f64, true: identity, identity;
    f16 as f32, false: Half::widen, Half::narrow;
    bf16 as f32, false: Half::widen, Half::narrow;
}

#[inline(always)]
fn widen_all<H: Half>(x: &[H], wide: &mut [f32]) {
    for (wide, &x) in wide.iter_mut().zip(x) {
        *wide = x.widen();
    }
}

#[inline(always)]
fn narrow_all<H: Half>(wide: &[f32], out: &mut [H]) {
    for (out, &wide) in out.iter_mut().zip(wide) {
        *out = H::narrow(wide);
    }
}

#[inline(always)]
pub(crate) fn unary<H: Half, const FUSED: bool>(op: Unary, x: &[H], out: &mut [H]) -> Result<(), Unsupported> {
    let (mut wide, mut result) = ([0.0; TILE], [0.0; TILE]);
    for (x, out) in x.chunks(TILE).zip(out.chunks_mut(TILE)) {
        let (wide, result) = (&mut wide[..x.len()], &mut result[..x.len()]);
        widen_all(x, wide);
        <f32 as Elementwise>::unary(op, wide, result)?;
        narrow_all(result, out);
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn binary<H: Half, const FUSED: bool>(op: Binary, a: &[H], b: &[H], out: &mut [H]) -> Result<(), Fault> {
    let (mut wide_a, mut wide_b, mut result) = ([0.0; TILE], [0.0; TILE], [0.0; TILE]);
    for ((a, b), out) in a.chunks(TILE).zip(b.chunks(TILE)).zip(out.chunks_mut(TILE)) {
        let (wide_a, wide_b, result) = (&mut wide_a[..a.len()], &mut wide_b[..a.len()], &mut result[..a.len()]);
        widen_all(a, wide_a);
        widen_all(b, wide_b);
        <f32 as Elementwise>::binary(op, wide_a, wide_b, result)?;
        narrow_all(result, out);
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn compare<H: Half, const FUSED: bool>(
    op: Compare,
    a: &[H],
    b: &[H],
    out: &mut [u8],
) -> Result<(), Unsupported> {
    let (mut wide_a, mut wide_b) = ([0.0; TILE], [0.0; TILE]);
    for ((a, b), out) in a.chunks(TILE).zip(b.chunks(TILE)).zip(out.chunks_mut(TILE)) {
        let (wide_a, wide_b) = (&mut wide_a[..a.len()], &mut wide_b[..a.len()]);
        widen_all(a, wide_a);
        widen_all(b, wide_b);
        <f32 as Elementwise>::compare(op, wide_a, wide_b, out)?;
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn test<H: Half, const FUSED: bool>(op: Test, x: &[H], out: &mut [u8]) -> Result<(), Unsupported> {
    let mut wide = [0.0; TILE];
    for (x, out) in x.chunks(TILE).zip(out.chunks_mut(TILE)) {
        let wide = &mut wide[..x.len()];
        widen_all(x, wide);
        <f32 as Elementwise>::test(op, wide, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_widens_to_its_value() {
        for bits in 0..=u16::MAX {
            let (f, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert_eq!(Half::widen(f).is_nan(), f.is_nan());
            assert_eq!(Half::widen(b).is_nan(), b.is_nan());
            if !f.is_nan() {
                assert_eq!(Half::widen(f).to_bits(), f.to_f32_const().to_bits());
                assert_eq!(<f16 as Half>::narrow(Half::widen(f)).to_bits(), bits);
            }
            if !b.is_nan() {
                assert_eq!(Half::widen(b).to_bits(), b.to_f32_const().to_bits());
                assert_eq!(<bf16 as Half>::narrow(Half::widen(b)).to_bits(), bits);
            }
        }
    }

    #[test]
    fn every_float_near_a_tie_narrows_to_the_nearest_half() {
        // All signs and exponents, and mantissas on both sides of every place where rounding changes direction.
        for high in 0..=u16::MAX {
            for low in [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let x = f32::from_bits(u32::from(high) << 16 | low);
                let (f, b) = (<f16 as Half>::narrow(x), <bf16 as Half>::narrow(x));
                assert_eq!(f.is_nan(), x.is_nan(), "{x:e}");
                assert_eq!(b.is_nan(), x.is_nan(), "{x:e}");
                if !x.is_nan() {
                    assert_eq!(f.to_bits(), f16::from_f32_const(x).to_bits(), "{x:e}");
                    assert_eq!(b.to_bits(), bf16::from_f32_const(x).to_bits(), "{x:e}");
                }
            }
        }
    }
}
