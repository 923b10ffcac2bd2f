//! Products of f32 near zero, at the speed of others.
//!
//! A processor of Intel's stops for some 150 cycles at each vector whose product has a subnormal factor or result. Where a tile met
//! with one, the products of the next are computed so that it need not stop: those that may be subnormal are rounded as sums of
//! numbers 2¹⁰⁰ times as great, which gives the same bits, in some four times as long as others take.

use std::cell::Cell;

const SIGN: u32 = 1 << 31;
/// The bits of the least normal number.
const NORMAL: u32 = 1 << 23;
const INFINITE: u32 = 255 << 23;
/// Where the bits of two magnitudes have a sum below this, their product is below 2⁻¹²⁶: exponents that add up to -127, and fractions
/// to 3/4, have one of at most 2⁻¹²⁷ (1 + 3/8)². Of those that are below it nearly all are found so.
const LIMIT: u32 = 0x3FE0_0000;
/// How many powers of 2 the lesser factor is raised by.
const RAISED: u32 = 100;
/// The least subnormal number, raised, and the number whose last place it is.
const UNIT: f32 = f32::from_bits((RAISED + 127 - 149) << 23);
const BASE: u32 = (RAISED + 127 - 149 + 23) << 23;

/// How many slices of products are computed with care after the last that wanted it: those take as long as a processor stops for
/// one that had no care.
const LONG: u8 = 16;

thread_local! {
    /// How many slices of this thread's products are yet to be computed with care.
    static WARY: Cell<u8> = const { Cell::new(0) };
}

/// Whether products are to be computed with care.
#[inline(always)]
pub(crate) fn is_wary() -> bool {
    WARY.get() > 0
}

/// Takes note of a slice of products with care, and whether it wanted it.
#[inline(always)]
pub(crate) fn took_care(was_wanted: bool) {
    WARY.set(if was_wanted { LONG } else { WARY.get().saturating_sub(1) });
}

/// The flags that say that a factor or a result was subnormal.
#[cfg(target_arch = "x86_64")]
const MET: u32 = 1 << 1 | 1 << 4;

/// Whether this processor stops at subnormal numbers.
#[cfg(target_arch = "x86_64")]
fn stops() -> bool {
    use std::arch::x86_64::__cpuid;
    use std::sync::OnceLock;

    static STOPS: OnceLock<bool> = OnceLock::new();
    *STOPS.get_or_init(|| {
        // SAFETY: every processor of 64 bits has it. It has not always been safe.
        #[allow(unsafe_code, unused_unsafe)]
        let found = unsafe { __cpuid(0) };
        [found.ebx, found.edx, found.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
    })
}

/// The flags of what was computed on this thread, which are then put down.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn take_flags() -> u32 {
    let mut state = 0_u32;
    // SAFETY: it writes where it may.
    #[allow(unsafe_code)]
    unsafe {
        std::arch::asm!("stmxcsr dword ptr [{to}]", to = in(reg) &raw mut state, options(nostack));
    }
    let (flags, without) = (state & MET, state & !MET);
    if flags != 0 {
        // SAFETY: no control is changed, and flags are anyone's to change.
        #[allow(unsafe_code)]
        unsafe {
            std::arch::asm!("ldmxcsr dword ptr [{from}]", from = in(reg) &raw const without, options(nostack));
        }
    }
    flags
}

/// Looks for what products meet with, from when it is made.
pub(crate) struct Watch {
    #[cfg(target_arch = "x86_64")]
    is_on: bool,
}

impl Watch {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            is_on: stops() && {
                take_flags();
                true
            },
        }
    }

    /// Sees to it that the next products are computed with care where it has been wanted.
    #[inline(always)]
    pub(crate) fn end(self) {
        #[cfg(target_arch = "x86_64")]
        if self.is_on && take_flags() != 0 {
            WARY.set(LONG);
        }
    }
}

/// A product with care, and whether it is subnormal or has a subnormal factor: not 0 then.
#[inline(always)]
pub(crate) fn product(a: f32, b: f32) -> (f32, u32) {
    let (a, b) = (a.to_bits(), b.to_bits());
    let (x, y) = (a & !SIGN, b & !SIGN);
    let (least, most) = (x.min(y), x.max(y));
    // The sign is that of x + y < LIMIT or least < NORMAL and most < INFINITE, and all bits are made it: where the compiler sees a
    // choice, it multiplies first.
    let sum = (x + y).min(i32::MAX as u32).wrapping_sub(LIMIT);
    let is_small = (sum | least.wrapping_sub(NORMAL) & most.wrapping_sub(INFINITE)) as i32 >> 31;
    // The others as they are; these as 0, at which no processor stops.
    let kept = !is_small as u32;
    let usual = f32::from_bits(a & kept) * f32::from_bits(b & kept);
    let raised = match least < NORMAL {
        true => least as i32 as f32 * UNIT,
        false => f32::from_bits(least.wrapping_add(RAISED << 23)),
    };
    // Two subnormal factors have a product of 0.
    let most = f32::from_bits(if most < NORMAL { 0 } else { most });
    let sum = raised.mul_add(most, f32::from_bits(BASE)).to_bits().wrapping_sub(BASE);
    // What is normal after all is lowered again.
    let product = (raised * most).to_bits();
    let small = if product < BASE { sum } else { product.wrapping_sub(RAISED << 23) };
    let small = small | (a ^ b) & SIGN;
    (f32::from_bits(usual.to_bits() & kept | small & !kept), least & !kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction_set::{InstructionSet, with_instruction_set};
    use crate::number::Number;
    use crate::operation::{Binary, Unary};
    use crate::strided::Strided;

    #[test]
    fn products_with_care_are_the_usual_ones() {
        let mut numbers = vec![0.0, f32::INFINITY, f32::NAN, f32::MAX, 1.0, 1.5, f32::MIN_POSITIVE];
        let mut bits = 1_u32;
        for exponent in 0..255 {
            for _ in 0..3 {
                bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                numbers.push(f32::from_bits(exponent << 23 | bits >> 9));
            }
            numbers.push(f32::from_bits(exponent << 23));
            numbers.push(f32::from_bits(exponent << 23 | (NORMAL - 1)));
        }
        for &a in &numbers {
            for &b in &numbers {
                for (a, b) in [(a, b), (-a, b), (a, -b), (-a, -b)] {
                    let (found, usual) = (product(a, b).0, a * b);
                    assert!(
                        found.to_bits() == usual.to_bits() || found.is_nan() && usual.is_nan(),
                        "{a:e} · {b:e}: {found:e}, not {usual:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn slices_have_the_usual_products_with_care_and_without() {
        let number =
            |i: usize| f32::from_bits((i as u32).wrapping_mul(2_654_435_761) & !(SIGN >> 1 & (i as u32) << 25));
        let (a, b): (Vec<f32>, Vec<f32>) = (0..1000).map(|i| (number(i), number(7 * i + 3) * 1e-25)).unzip();
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_here()) {
            // Whether a processor stops or not, it takes care when it is told to.
            for care in [false, true] {
                if care {
                    took_care(true);
                }
                let mut out = vec![0.0; a.len()];
                let view = |x| Strided::new(x, &[1000], &[1], 0).expect("contiguous");
                with_instruction_set(set, || f32::binary(Binary::Mul, view(&a), view(&b), &mut out))
                    .expect("floats have it");
                for ((&a, &b), &found) in a.iter().zip(&b).zip(&out) {
                    let usual = a * b;
                    assert!(
                        found.to_bits() == usual.to_bits() || found.is_nan() && usual.is_nan(),
                        "{set:?}: {a:e} · {b:e}"
                    );
                }
                assert!(!care || is_wary(), "{set:?}: care was wanted");
                with_instruction_set(set, || f32::unary(Unary::Square, view(&b), &mut out)).expect("floats have it");
                for (&b, &found) in b.iter().zip(&out) {
                    assert!(found.to_bits() == (b * b).to_bits() || b.is_nan(), "{set:?}: {b:e} squared");
                }
            }
        }
    }
}
