//! Work that is cut into parts for the threads of the pool, where each part may be any: of what is counted, of slices, and
//! of the rows of matrices.

use std::marker::PhantomData;
use std::ops::Range;
use std::slice::from_raw_parts_mut;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::instruction_set::{instruction_set, with_instruction_set};
use crate::pool;

/// Picoseconds of work that are worth waking other threads, of which a part has at least half.
const WORTH: usize = 20_000_000;
/// The same where another thread is awake and looks for work.
const WORTH_AWAKE: usize = 6_000_000;
/// Parts for each thread, so that one that comes late does less.
const PARTS: usize = 4;
/// Picoseconds for an element, where [`by_rows`] is told how many are read and written.
const ELEMENT: usize = 150;

/// How many parts so much work is to be cut into, given in picoseconds: 1 where other threads are not worth it.
fn wanted(work: usize) -> usize {
    if work < WORTH_AWAKE || pool::num_threads() == 1 {
        return 1;
    }
    let worth = if pool::is_awake() { WORTH_AWAKE } else { WORTH };
    if work < worth { 1 } else { (work / (worth / 2)).min(PARTS * pool::num_threads()) }
}

/// Whether [`divide`] would look for help with so many units, each of so many picoseconds.
pub(crate) fn is_shared(count: usize, cost: usize) -> bool {
    wanted(count.saturating_mul(cost)) > 1
}

/// Calls `body` with the parts of so many units of work, each of so many picoseconds, perhaps on several threads at a
/// time, and the memory that the pool lends. A part begins at a multiple of `unit`.
pub(crate) fn divide(count: usize, cost: usize, unit: usize, body: &(dyn Fn(Range<usize>, &mut [u8]) + Sync)) {
    let wanted = wanted(count.saturating_mul(cost));
    if wanted == 1 || count <= unit {
        return body(0..count, &mut []);
    }
    let units = count.div_ceil(unit);
    let parts = wanted.min(units);
    let (each, more) = (units / parts, units % parts);
    let start = |part: usize| count.min((part * each + part.min(more)) * unit);
    let set = instruction_set();
    pool::run(parts, &|part, room| with_instruction_set(set, || body(start(part)..start(part + 1), room)));
}

/// The share of `count` that is part `part` of `parts`.
pub(crate) fn share(count: usize, part: usize, parts: usize) -> Range<usize> {
    let (each, more) = (count / parts, count % parts);
    let start = |part: usize| part * each + part.min(more);
    start(part)..start(part + 1)
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
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "a part lies in its slice");
        // SAFETY: it lies in the slice, and is nobody else's.
        unsafe { from_raw_parts_mut(self.first.add(range.start), range.len()) }
    }
}

/// What threads write side by side, each its own rows.
///
/// # Safety
/// Parts of ranges that do not overlap do not overlap.
#[allow(unsafe_code)]
pub unsafe trait Rows: Sync {
    /// Some of the rows, of one thread.
    type Part;

    /// How many rows there are; `None` for any number.
    fn rows(&self) -> Option<usize>;

    /// Some of the rows.
    ///
    /// # Safety
    /// Nobody else has any of them while the part is used.
    unsafe fn part(&self, rows: &Range<usize>) -> Self::Part;
}

/// A matrix with rows of `width` elements, of which the last may have fewer.
pub struct Matrix<'a, T> {
    elements: Parts<'a, T>,
    width: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// The rows of a slice.
    pub fn new(elements: &'a mut [T], width: usize) -> Self {
        Self { elements: Parts::new(elements), width }
    }
}

// SAFETY: a row is `width` elements, or those that are left, and no other row has one of them.
#[allow(unsafe_code)]
unsafe impl<'a, T: Send> Rows for Matrix<'a, T> {
    type Part = &'a mut [T];

    fn rows(&self) -> Option<usize> {
        (self.width > 0).then(|| self.elements.len().div_ceil(self.width))
    }

    unsafe fn part(&self, rows: &Range<usize>) -> &'a mut [T] {
        let [start, end] = [rows.start, rows.end].map(|row| (row * self.width).min(self.elements.len()));
        // SAFETY: they are the caller's alone.
        unsafe { self.elements.part(start..end) }
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

// SAFETY: as of each.
#[allow(unsafe_code)]
unsafe impl<R: Rows, const N: usize> Rows for [R; N] {
    type Part = [R::Part; N];

    fn rows(&self) -> Option<usize> {
        self.iter().filter_map(R::rows).min()
    }

    unsafe fn part(&self, rows: &Range<usize>) -> Self::Part {
        // SAFETY: the caller keeps the contract.
        std::array::from_fn(|i| unsafe { self[i].part(rows) })
    }
}

/// Rooms of which each is lent to one at a time.
struct Rooms<'a, R> {
    all: Parts<'a, R>,
    /// A bit for each that is free.
    free: AtomicU64,
}

/// A room that is given back when this is dropped.
struct Lent<'a, 'r, R> {
    from: &'a Rooms<'r, R>,
    number: u32,
}

impl<'r, R> Rooms<'r, R> {
    /// The first that is free, as soon as one is.
    fn lend(&self) -> Lent<'_, 'r, R> {
        let mut free = self.free.load(Ordering::Acquire);
        loop {
            if free == 0 {
                std::thread::yield_now();
                free = self.free.load(Ordering::Acquire);
                continue;
            }
            match self.free.compare_exchange_weak(free, free & (free - 1), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Lent { from: self, number: free.trailing_zeros() },
                Err(now) => free = now,
            }
        }
    }
}

impl<R> Drop for Lent<'_, '_, R> {
    fn drop(&mut self) {
        self.from.free.fetch_or(1 << self.number, Ordering::Release);
    }
}

/// Calls `body` once for each of so many parts, perhaps on several threads at a time: with its number, its rows of each of
/// the outputs, and a room that nobody else has meanwhile. Of an output whose rows have so many bytes, part i has row i, and the
/// last row may be shorter. Kernels that `body` runs find help where threads are left.
///
/// ```
/// let (mut squares, mut rooms) = ([0; 5], [0, 0]);
/// modulor_kernels::run_parts(3, [(&mut squares[..], 2)], &mut rooms, |part, [squares], room| {
///     *room += 1;
///     squares.fill((part * part) as u8);
/// });
/// assert_eq!(squares, [0, 0, 1, 1, 4]);
/// assert_eq!(rooms[0] + rooms[1], 3);
/// ```
///
/// # Panics
/// When there is no room, there are more than 64, or an output has fewer rows; as `body` does.
pub fn run_parts<R: Send, const N: usize>(
    count: usize,
    outputs: [(&mut [u8], usize); N],
    rooms: &mut [R],
    body: impl Fn(usize, [&mut [u8]; N], &mut R) + Sync,
) {
    assert!((1..=64).contains(&rooms.len()), "there are 1 to 64 rooms, not {}", rooms.len());
    let outputs = outputs.map(|(output, width)| Matrix::new(output, width));
    assert!(outputs.rows().is_none_or(|rows| rows >= count), "there is a row for each part");
    let free = AtomicU64::new(u64::MAX >> (64 - rooms.len()));
    let (rooms, set) = (Rooms { all: Parts::new(rooms), free }, instruction_set());
    let run = |part: usize, _: &mut [u8]| {
        let lent = rooms.lend();
        let number = lent.number as usize;
        // SAFETY: parts are run once, and a room is lent to one at a time.
        #[allow(unsafe_code)]
        let (rows, room) = unsafe { (outputs.part(&(part..part + 1)), rooms.all.part(number..number + 1)) };
        with_instruction_set(set, || body(part, rows, &mut room[0]));
    };
    match rooms.all.len() {
        1 => (0..count).for_each(|part| run(part, &mut [])),
        _ => pool::run(count, &run),
    }
}

/// Calls `body` with ranges that make up 0 to `count`, and the rows of `outputs` that belong to each, perhaps on several
/// threads at a time, as `work`, the elements read or written in all, is worth it. Not at all where `count` is 0.
///
/// # Panics
/// When `outputs` has fewer rows.
pub(crate) fn by_rows<R: Rows>(count: usize, work: usize, outputs: R, body: impl Fn(Range<usize>, R::Part) + Sync) {
    if count > 0 {
        divide_rows(count, work.saturating_mul(ELEMENT) / count, outputs, body);
    }
}

/// As [`by_rows`], with the picoseconds of a row.
pub(crate) fn divide_rows<R: Rows>(count: usize, cost: usize, outputs: R, body: impl Fn(Range<usize>, R::Part) + Sync) {
    assert!(outputs.rows().is_none_or(|rows| rows >= count), "there is an output for each row");
    divide(count, cost, 1, &|rows, _| {
        // SAFETY: ranges do not overlap.
        #[allow(unsafe_code)]
        let part = unsafe { outputs.part(&rows) };
        body(rows, part);
    });
}

/// Calls `body` with the number of each row and its part of the outputs, perhaps those of several threads at a time, as the
/// picoseconds of one are worth it. Kernels that `body` runs find help where threads are left.
///
/// ```
/// use modulor_kernels::{Matrix, each_row};
///
/// let mut squares = [0; 6];
/// each_row(3, 1000, Matrix::new(&mut squares, 2), |row, out| out.fill(row * row));
/// assert_eq!(squares, [0, 0, 1, 1, 4, 4]);
/// ```
///
/// # Panics
/// When an output has fewer rows.
pub fn each_row<R: Rows>(count: usize, cost: usize, outputs: R, body: impl Fn(usize, R::Part) + Sync) {
    assert!(outputs.rows().is_none_or(|rows| rows >= count), "there is an output for each row");
    divide(count, cost, 1, &|rows, _| {
        for row in rows {
            // SAFETY: each row is taken once.
            #[allow(unsafe_code)]
            body(row, unsafe { outputs.part(&(row..row + 1)) });
        }
    });
}

/// As [`each_row`], and with so many elements of `work`, of which each row on its way has its own: no more rows are under way at
/// a time than `work` is enough for.
///
/// # Panics
/// When an output has fewer rows, or `work` is not enough for one.
pub fn each_row_with<R: Rows, W: Send>(
    count: usize,
    cost: usize,
    outputs: R,
    (work, each): (&mut [W], usize),
    body: impl Fn(usize, R::Part, &mut [W]) + Sync,
) {
    if each == 0 || count == 0 {
        return each_row(count, cost, outputs, |row, part| body(row, part, &mut []));
    }
    assert!(outputs.rows().is_none_or(|rows| rows >= count), "there is an output for each row");
    assert!(work.len() >= each, "there is work for one row");
    let some = count.div_ceil(work.len() / each);
    divide_rows(count.div_ceil(some), cost.saturating_mul(some), Matrix::new(work, each), |parts, work| {
        for (part, work) in parts.zip(work.chunks_exact_mut(each)) {
            for row in part * some..count.min((part + 1) * some) {
                // SAFETY: each row is taken once.
                #[allow(unsafe_code)]
                body(row, unsafe { outputs.part(&(row..row + 1)) }, work);
            }
        }
    });
}

/// Calls `body` with parts of `out`, each element of which is so many picoseconds of work, perhaps on several threads at a
/// time, and where each begins: a multiple of `unit`.
pub fn divide_slice<U: Send>(out: &mut [U], cost: usize, unit: usize, body: impl Fn(usize, &mut [U]) + Sync) {
    let (count, outputs) = (out.len().div_ceil(unit), Matrix::new(out, unit));
    divide_rows(count, cost.saturating_mul(unit), outputs, |rows, out| body(rows.start * unit, out));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_in_one_part() {
        for (count, unit, cost) in [(0, 1, 1), (1, 64, WORTH), (1000, 64, WORTH), (1001, 7, WORTH / 2), (63, 64, WORTH)]
        {
            let mut out = vec![0; count];
            divide_slice(&mut out, cost, unit, |start, out| {
                assert_eq!(start % unit, 0);
                out.iter_mut().enumerate().for_each(|(i, out)| *out += start + i + 1);
            });
            assert!(out.iter().enumerate().all(|(i, &out)| out == i + 1));
        }
    }

    #[test]
    fn rooms_are_lent_to_one_at_a_time_and_come_back() {
        for rooms in [1, 2, 64] {
            let (mut rooms, mut rows) = (vec![0_usize; rooms], vec![0_u8; 100 * 3 - 1]);
            for round in 1..20 {
                let outputs = [(&mut rows[..], 3), (&mut [][..], 0)];
                let panics = |part: usize| round % 5 == 0 && part % 7 == 3;
                let run = || {
                    run_parts(100, outputs, &mut rooms, |part, [rows, nothing], room| {
                        assert!(rows.len() == if part == 99 { 2 } else { 3 } && nothing.is_empty());
                        rows.fill(round);
                        *room += 1;
                        assert!(!panics(part), "part {part}");
                    });
                };
                let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
                assert_eq!(panicked, (0..100).any(panics));
                assert!(panicked || rows.iter().all(|&row| row == round));
            }
            assert!(rooms.len() == 1 || rooms.iter().sum::<usize>() == 1900);
        }
    }

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
        by_rows(0, 0, Matrix::<u8>::new(&mut [], 0), |_, _| panic!("there is nothing to write"));
    }
}
