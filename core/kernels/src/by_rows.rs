//! Work on the rows of matrices, divided over the threads of the pool.

use std::marker::PhantomData;
use std::ops::Range;

use crate::instruction_set::{instruction_set, with_instruction_set};
use crate::pool;

/// The elements, read or written, that are worth another thread: some 20 µs of the cheapest kernels.
const WORTH: usize = 1 << 16;

/// What threads write side by side, each its own rows.
///
/// # Safety
/// Parts of ranges that do not overlap do not overlap, and a part lies in what was given where
/// [`rows`](Self::rows) says that there are its rows.
#[allow(unsafe_code)]
pub(crate) unsafe trait Rows: Sync {
    type Part;

    /// How many rows there are; `None` for any number.
    fn rows(&self) -> Option<usize>;

    /// Some of the rows.
    ///
    /// # Safety
    /// There are such rows, and nobody else has any of them while the part is used.
    unsafe fn part(&self, rows: &Range<usize>) -> Self::Part;
}

/// A matrix with rows of `width` elements, of which the last may have fewer.
pub(crate) struct Matrix<'a, T> {
    first: *mut T,
    len: usize,
    width: usize,
    borrow: PhantomData<&'a mut [T]>,
}

impl<'a, T> Matrix<'a, T> {
    pub(crate) fn new(elements: &'a mut [T], width: usize) -> Self {
        Self { first: elements.as_mut_ptr(), len: elements.len(), width, borrow: PhantomData }
    }
}

// SAFETY: threads get what can be sent to them, and never the same of it.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Matrix<'_, T> {}

// SAFETY: a row is `width` elements, or those that are left, and no other row has one of them.
#[allow(unsafe_code)]
unsafe impl<'a, T: Send> Rows for Matrix<'a, T> {
    type Part = &'a mut [T];

    fn rows(&self) -> Option<usize> {
        (self.width > 0).then(|| self.len.div_ceil(self.width))
    }

    unsafe fn part(&self, rows: &Range<usize>) -> &'a mut [T] {
        let [start, end] = [rows.start, rows.end].map(|row| (row * self.width).min(self.len));
        // SAFETY: the elements are there, and the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(start), end - start) }
    }
}

// SAFETY: as of what is there.
#[allow(unsafe_code)]
unsafe impl<R: Rows> Rows for Option<R> {
    type Part = Option<R::Part>;

    fn rows(&self) -> Option<usize> {
        self.as_ref().and_then(R::rows)
    }

    unsafe fn part(&self, rows: &Range<usize>) -> Self::Part {
        // SAFETY: the caller keeps the contract.
        self.as_ref().map(|own| unsafe { own.part(rows) })
    }
}

// SAFETY: as of both.
#[allow(unsafe_code)]
unsafe impl<A: Rows, B: Rows> Rows for (A, B) {
    type Part = (A::Part, B::Part);

    fn rows(&self) -> Option<usize> {
        match (self.0.rows(), self.1.rows()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    unsafe fn part(&self, rows: &Range<usize>) -> Self::Part {
        // SAFETY: the caller keeps the contract.
        unsafe { (self.0.part(rows), self.1.part(rows)) }
    }
}

/// Calls `body` with ranges that make up 0 to `count`, and the rows of `outputs` that belong to each; by several threads
/// where `work`, the elements read or written in all, is worth it.
///
/// # Panics
/// When `outputs` has fewer rows.
pub(crate) fn by_rows<R: Rows>(count: usize, work: usize, outputs: R, body: impl Fn(Range<usize>, R::Part) + Sync) {
    assert!(outputs.rows().is_none_or(|rows| rows >= count), "there is an output for each row");
    // SAFETY: the ranges lie between 0 and `count`, do not overlap, and come once each.
    #[allow(unsafe_code)]
    let part = |rows: Range<usize>| body(rows.clone(), unsafe { outputs.part(&rows) });
    if work < 2 * WORTH || count < 2 || pool::num_threads() == 1 {
        return part(0..count);
    }
    let pieces = (work / WORTH).min(4 * pool::num_threads()).min(count);
    let set = instruction_set();
    let (each, more) = (count / pieces, count % pieces);
    let start = |piece: usize| piece * each + piece.min(more);
    pool::run(pieces, &|piece, _| with_instruction_set(set, || part(start(piece)..start(piece + 1))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_somebodys_once() {
        for (count, width) in [(0, 3), (1, 3), (7, 1), (100, 0), (1001, 5)] {
            let (mut a, mut b) = (vec![0_u32; count * width], vec![0_u64; count]);
            let outputs = (Matrix::new(&mut a, width), Some(Matrix::new(&mut b, 1)));
            by_rows(count, 1 << 30, outputs, |rows, (a, b)| {
                let b = b.expect("it is there");
                assert!(a.len() == rows.len() * width && b.len() == rows.len());
                a.iter_mut().for_each(|a| *a += 1);
                b.iter_mut().zip(rows).for_each(|(b, row)| *b += row as u64 + 1);
            });
            assert!(a.iter().all(|&a| a == 1) && b.iter().zip(1..).all(|(&b, row)| b == row));
        }
        let mut short = [0_u8; 4];
        let refused = std::panic::catch_unwind(move || by_rows(3, 0, Matrix::new(&mut short, 2), |_, _| ()));
        assert!(refused.is_err());
    }
}
