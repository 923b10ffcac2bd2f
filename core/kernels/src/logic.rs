//! Truth values, each a u8 that is 0 or 1.

use std::convert::Infallible;

use bytemuck::Pod;

use crate::fold::{Reduce, reduce};
use crate::operation::Logical;
use crate::strided::{Reader, Strided, TILE, tiles, tiles2};

/// Writes `op` of every pair of elements of `a` and `b`.
///
/// # Panics
/// When they and `out` differ in length.
pub fn logical(op: Logical, a: Strided<u8>, b: Strided<u8>, out: &mut [u8]) {
    let done: Result<(), Infallible> = tiles2(a, b, out, |_, a, b, out| {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = match op {
                Logical::And => a & b,
                Logical::Or => a | b,
            };
        }
        Ok(())
    });
    let Ok(()) = done;
}

/// Writes the opposite of every element.
///
/// # Panics
/// When `x` and `out` differ in length.
pub fn not(x: Strided<u8>, out: &mut [u8]) {
    let done: Result<(), Infallible> = tiles(x, out, |_, x, out| {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x ^ 1;
        }
        Ok(())
    });
    let Ok(()) = done;
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

impl Reduce<u8> for All {
    type Total = u8;
    fn start() -> u8 {
        1
    }
    fn push(total: u8, term: u8) -> u8 {
        total & term
    }
    fn join(a: u8, b: u8) -> u8 {
        a & b
    }
    fn finish(total: u8, _: usize) -> u8 {
        total
    }
}

impl Reduce<u8> for Any {
    type Total = u8;
    fn start() -> u8 {
        0
    }
    fn push(total: u8, term: u8) -> u8 {
        total | term
    }
    fn join(a: u8, b: u8) -> u8 {
        a | b
    }
    fn finish(total: u8, _: usize) -> u8 {
        total
    }
}

/// Writes the element of `a` where `cond` is true, else that of `b`.
///
/// # Panics
/// When they and `out` differ in length.
pub fn select<T: Pod>(cond: Strided<u8>, a: Strided<T>, b: Strided<T>, out: &mut [T]) {
    match size_of::<T>() {
        1 => select1(cond, a.bytes(), b.bytes(), bytemuck::cast_slice_mut(out)),
        2 => select2(cond, a.bytes(), b.bytes(), bytemuck::cast_slice_mut(out)),
        4 => select4(cond, a.bytes(), b.bytes(), bytemuck::cast_slice_mut(out)),
        8 => select8(cond, a.bytes(), b.bytes(), bytemuck::cast_slice_mut(out)),
        16 => select16(cond, a.bytes(), b.bytes(), bytemuck::cast_slice_mut(out)),
        _ => select_any(cond, a, b, out),
    }
}

#[inline(always)]
fn select_any<T: Pod>(cond: Strided<u8>, a: Strided<T>, b: Strided<T>, out: &mut [T]) {
    let lengths = [cond.len(), a.len(), b.len()];
    assert_eq!(lengths, [out.len(); 3], "a selection has as many elements as its inputs");
    let (cond, a, b) = (Reader::new(cond), Reader::new(a), Reader::new(b));
    let (mut conds, mut a_buffer, mut b_buffer) = ([0; TILE], [T::zeroed(); TILE], [T::zeroed(); TILE]);
    for (i, out) in out.chunks_mut(TILE).enumerate() {
        let (start, n) = (i * TILE, out.len());
        let cond = cond.chunk(start, &mut conds[..n]);
        let a = a.chunk(start, &mut a_buffer[..n]);
        let b = b.chunk(start, &mut b_buffer[..n]);
        for (((out, &cond), &a), &b) in out.iter_mut().zip(cond).zip(a).zip(b) {
            *out = if cond != 0 { a } else { b };
        }
    }
}

/// One function per width, compiled in this package.
macro_rules! selections {
    ($($name:ident: $bytes:literal),*) => {
        $(fn $name(cond: Strided<u8>, a: Strided<[u8; $bytes]>, b: Strided<[u8; $bytes]>, out: &mut [[u8; $bytes]]) {
            select_any(cond, a, b, out);
        })*
    };
}
selections!(select1: 1, select2: 2, select4: 4, select8: 8, select16: 16);
