//! Truth values, each a u8 that is 0 or 1.

use bytemuck::Pod;

use crate::dispatch::by_instruction_set;
use crate::expression::{Elementwise, Output, Source, Step, alone};
use crate::fold::{reduce, reduction, totals_by};
use crate::operation::Logical;
use crate::strided::Strided;

by_instruction_set!(
    /// Writes `op` of every pair of truth values.
    pub(crate) fn connect(op: Logical, a: &[u8], b: &[u8], out: &mut [u8]) = connect_by::<>
);

#[inline(always)]
fn connect_by<const FUSED: bool>(op: Logical, a: &[u8], b: &[u8], out: &mut [u8]) {
    match op {
        Logical::And => out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = a & b),
        Logical::Or => out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = a | b),
    }
}

by_instruction_set!(
    /// Writes the opposite of every truth value.
    pub(crate) fn oppose(x: &[u8], out: &mut [u8]) = oppose_by::<>
);

#[inline(always)]
fn oppose_by<const FUSED: bool>(x: &[u8], out: &mut [u8]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out = x ^ 1);
}

/// Does a step that faults for no values.
fn always<T: Elementwise>(step: Step, values: &[Source<T>], masks: &[Source<u8>], out: Output<T>) {
    alone(step, values, masks, out).expect("truth values are connected, and values chosen, whatever they are");
}

/// Writes `op` of every pair of elements of `a` and `b`.
///
/// # Panics
/// When they and `out` differ in length.
pub fn logical(op: Logical, a: Strided<u8>, b: Strided<u8>, out: &mut [u8]) {
    always::<[u8; 1]>(Step::Logical(op, 0, 1), &[], &[Source::View(a), Source::View(b)], Output::Mask(out));
}

/// Writes the opposite of every element.
///
/// # Panics
/// When `x` and `out` differ in length.
pub fn not(x: Strided<u8>, out: &mut [u8]) {
    always::<[u8; 1]>(Step::Not(0), &[], &[Source::View(x)], Output::Mask(out));
}

/// Reduces the axes k of `x` with `reduced[k]`: whether all, or whether any, of the elements are true.
///
/// # Panics
/// When `out` has not one element for each index of the other axes.
pub fn fold_logical(op: Logical, x: Strided<u8>, reduced: &[bool], out: &mut [u8]) {
    match op {
        Logical::And => reduce::<u8, All>(x, reduced, out),
        Logical::Or => reduce::<u8, Any>(x, reduced, out),
    }
}

struct All;
struct Any;

reduction!(All of u8 as u8 { 1, |total, term| total & term, |a, b| a & b, |total, _| total });
reduction!(Any of u8 as u8 { 0, |total, term| total | term, |a, b| a | b, |total, _| total });

/// Writes the element of `a` where `cond` is true, else that of `b`.
///
/// # Panics
/// When they and `out` differ in length.
pub fn select<T: Pod>(cond: Strided<u8>, a: Strided<T>, b: Strided<T>, out: &mut [T]) {
    fn by_bytes<T: Pod, const N: usize>(cond: Strided<u8>, a: Strided<T>, b: Strided<T>, out: &mut [T])
    where
        [u8; N]: Elementwise,
    {
        let values = [a, b].map(|view| Source::View(view.bytes::<N>()));
        let out = Output::Values(bytemuck::cast_slice_mut(out));
        always::<[u8; N]>(Step::Select(0, 0, 1), &values, &[Source::View(cond)], out);
    }
    match size_of::<T>() {
        1 => by_bytes::<T, 1>(cond, a, b, out),
        2 => by_bytes::<T, 2>(cond, a, b, out),
        4 => by_bytes::<T, 4>(cond, a, b, out),
        8 => by_bytes::<T, 8>(cond, a, b, out),
        16 => by_bytes::<T, 16>(cond, a, b, out),
        bytes => panic!("no type of number has {bytes} bytes"),
    }
}

/// As [`select`], on slices of one length, of types of 1, 2, 4, 8 or 16 bytes.
pub(crate) fn select_each<T: Pod>(cond: &[u8], a: &[T], b: &[T], out: &mut [T]) {
    macro_rules! by_width {
        ($($bytes:literal: $select:ident),*) => {
            match size_of::<T>() {
                $($bytes => $select(cond, bytemuck::cast_slice(a), bytemuck::cast_slice(b), bytemuck::cast_slice_mut(out)),)*
                bytes => panic!("no type of number has {bytes} bytes"),
            }
        };
    }
    by_width!(1: select1, 2: select2, 4: select4, 8: select8, 16: select16);
}

/// One function per width. Elements are chosen by their bits, which the compiler does in vectors.
macro_rules! selections {
    ($($name:ident: $bytes:literal as $int:ident),*) => {
        $(by_instruction_set!(
            fn $name(cond: &[u8], a: &[[u8; $bytes]], b: &[[u8; $bytes]], out: &mut [[u8; $bytes]]) = $int::<>
        );

        #[inline(always)]
        fn $int<const FUSED: bool>(cond: &[u8], a: &[[u8; $bytes]], b: &[[u8; $bytes]], out: &mut [[u8; $bytes]]) {
            for (((out, &cond), &a), &b) in out.iter_mut().zip(cond).zip(a).zip(b) {
                let (a, b) = ($int::from_ne_bytes(a), $int::from_ne_bytes(b));
                let bits = $int::from(cond != 0).wrapping_neg();
                *out = (a & bits | b & !bits).to_ne_bytes();
            }
        })*
    };
}
selections!(select1: 1 as u8, select2: 2 as u16, select4: 4 as u32, select8: 8 as u64, select16: 16 as u128);
