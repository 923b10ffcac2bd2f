//! Work that is cut into parts for the threads of the pool, where each part may be any.

use std::marker::PhantomData;
use std::ops::Range;
use std::slice::from_raw_parts_mut;

use crate::instruction_set::{instruction_set, with_instruction_set};
use crate::pool;

/// Picoseconds of work that are worth the help of other threads.
const WORTH: usize = 20_000_000;
/// The work of a part, at least.
const PART: usize = WORTH / 2;
/// Parts for each thread, so that one that comes late does less.
const PARTS: usize = 4;

/// How many parts so much work is to be cut into, given in picoseconds: 1 where other threads are not worth it.
fn wanted(work: usize) -> usize {
    if work < WORTH || pool::num_threads() == 1 { 1 } else { (work / PART).min(PARTS * pool::num_threads()) }
}

/// Calls `body` with the parts of so many units of work, each of so many picoseconds, perhaps on several threads at a
/// time, and the memory that the pool lends. A part begins at a multiple of `unit`.
pub(crate) fn divide(count: usize, cost: usize, unit: usize, body: &(dyn Fn(Range<usize>, &mut [u8]) + Sync)) {
    let wanted = wanted(count.saturating_mul(cost));
    let size = count.div_ceil(wanted).next_multiple_of(unit);
    if wanted == 1 || size >= count {
        return body(0..count, &mut []);
    }
    let set = instruction_set();
    pool::run(count.div_ceil(size), &|part, room| {
        with_instruction_set(set, || body(part * size..count.min((part + 1) * size), room));
    });
}

/// A slice of which several threads have parts.
pub(crate) struct Parts<'a, T> {
    first: *mut T,
    len: usize,
    whole: PhantomData<&'a mut [T]>,
}

// SAFETY: a part is a mutable slice that its thread alone has, by the contract of `part`.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub(crate) fn new(whole: &'a mut [T]) -> Self {
        Self { first: whole.as_mut_ptr(), len: whole.len(), whole: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// # Safety
    /// Nobody has an element of this part in another, for as long as it lives.
    ///
    /// # Panics
    /// When the part is not in the slice.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "a part lies in its slice");
        // SAFETY: it lies in the slice, and is nobody else's.
        unsafe { from_raw_parts_mut(self.first.add(range.start), range.len()) }
    }
}

/// Calls `body` with parts of `out`, perhaps on several threads at a time, and where each begins: a multiple of `unit`.
pub(crate) fn divide_slice<U: Send>(out: &mut [U], cost: usize, unit: usize, body: impl Fn(usize, &mut [U]) + Sync) {
    let (count, parts) = (out.len(), Parts::new(out));
    divide(count, cost, unit, &|range, _| {
        let start = range.start;
        // SAFETY: ranges do not overlap.
        #[allow(unsafe_code)]
        body(start, unsafe { parts.part(range) });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_in_one_part() {
        for (count, unit, cost) in [(0, 1, 1), (1, 64, WORTH), (1000, 64, WORTH), (1001, 7, PART), (63, 64, WORTH)] {
            let mut out = vec![0; count];
            divide_slice(&mut out, cost, unit, |start, out| {
                assert_eq!(start % unit, 0);
                out.iter_mut().enumerate().for_each(|(i, out)| *out += start + i + 1);
            });
            assert!(out.iter().enumerate().all(|(i, &out)| out == i + 1));
        }
    }
}
