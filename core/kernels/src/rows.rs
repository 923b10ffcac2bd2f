//! Rows picked from a matrix by number, put into one, and summed into those of one.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytemuck::Pod;

use crate::fold::Reduce;
use crate::parts::{Matrix, by_rows};

/// The bytes that are gathered while an element is read or written.
const BYTES: usize = 2;

/// An index that is no row: its place in the list of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchRow {
    /// Where the index stands.
    pub at: usize,
}

/// The place of `row` among `count` rows.
fn number(row: i64, count: usize, at: usize) -> Result<usize, NoSuchRow> {
    usize::try_from(row).ok().filter(|&row| row < count).ok_or(NoSuchRow { at })
}

/// Writes row `rows[i]` of `x` as row `i` of `out`. `x` has `count` rows of `width` bytes.
///
/// ```
/// let mut out = [0; 4];
/// modulor_kernels::gather_rows(&[1, 2, 3, 4, 5, 6], 3, 2, &[2, 0], &mut out).expect("0, 1 and 2 are rows");
/// assert_eq!(out, [5, 6, 1, 2]);
/// ```
///
/// # Errors
/// When an index is negative or not below `count`; `out` then holds the rows before it, and perhaps some after it.
///
/// # Panics
/// When `x` or `out` is not as long as its rows.
pub fn gather_rows(x: &[u8], count: usize, width: usize, rows: &[i64], out: &mut [u8]) -> Result<(), NoSuchRow> {
    assert!(x.len() == count * width && out.len() == rows.len() * width, "a row has as many bytes as its width");
    let first_bad = AtomicUsize::new(usize::MAX);
    by_rows(rows.len(), out.len() / BYTES, Matrix::new(out, width), |part, out| {
        if let Err(NoSuchRow { at }) = gather(x, count, width, &rows[part.clone()], out) {
            first_bad.fetch_min(part.start + at, Ordering::Relaxed);
        }
    });
    match first_bad.into_inner() {
        usize::MAX => Ok(()),
        at => Err(NoSuchRow { at }),
    }
}

/// [`gather_rows`] of lengths that fit.
fn gather(x: &[u8], count: usize, width: usize, rows: &[i64], out: &mut [u8]) -> Result<(), NoSuchRow> {
    fn whole<const N: usize>(x: &[u8], rows: &[i64], out: &mut [u8]) -> Result<(), NoSuchRow> {
        let (x, out) = (x.as_chunks::<N>().0, out.as_chunks_mut::<N>().0);
        for (at, (&row, out)) in rows.iter().zip(out).enumerate() {
            *out = x[number(row, x.len(), at)?];
        }
        Ok(())
    }
    match width {
        1 => whole::<1>(x, rows, out),
        2 => whole::<2>(x, rows, out),
        4 => whole::<4>(x, rows, out),
        8 => whole::<8>(x, rows, out),
        16 => whole::<16>(x, rows, out),
        _ => rows.iter().enumerate().try_for_each(|(at, &row)| {
            let row = number(row, count, at)?;
            out[at * width..][..width].copy_from_slice(&x[row * width..][..width]);
            Ok(())
        }),
    }
}

/// Writes row `i` of `x` as row `rows[i]` of `out`, later ones over earlier ones. `out` has `count` rows of `width` bytes.
///
/// # Errors
/// When an index is negative or not below `count`.
///
/// # Panics
/// When `x` or `out` is not as long as its rows.
pub fn scatter_rows(x: &[u8], rows: &[i64], count: usize, width: usize, out: &mut [u8]) -> Result<(), NoSuchRow> {
    assert!(x.len() == rows.len() * width && out.len() == count * width, "a row has as many bytes as its width");
    rows.iter().enumerate().try_for_each(|(at, &row)| {
        let row = number(row, count, at)?;
        out[row * width..][..width].copy_from_slice(&x[at * width..][..width]);
        Ok(())
    })
}

/// Columns that are summed side by side: a cache line of f32.
const COLUMNS: usize = 16;

/// Writes, as row `r` of `out`, the sum of the rows `i` of `x` with `rows[i] == r`.
#[inline(always)]
pub(crate) fn sum<T: Pod + Send + Sync, R: Reduce<T>>(
    x: &[T],
    rows: &[i64],
    width: usize,
    out: &mut [T],
    ends: &mut [usize],
    order: &mut [usize],
) -> Result<(), NoSuchRow> {
    assert!(
        x.len() == rows.len() * width && out.len() == ends.len() * width,
        "a row has as many elements as its width"
    );
    let kept = || rows.iter().enumerate().filter(|(_, row)| **row >= 0);
    // The rows of x by the row they go to: counted, given a start, put there.
    ends.fill(0);
    for (at, &row) in kept() {
        ends[number(row, ends.len(), at)?] += 1;
    }
    let mut start = 0;
    for end in &mut *ends {
        start += std::mem::replace(end, start);
    }
    for (at, &row) in kept() {
        let end = &mut ends[row as usize];
        order[*end] = at;
        *end += 1;
    }
    let (ends, order) = (&*ends, &*order);
    by_rows(ends.len(), x.len(), Matrix::new(out, width), |part, out| {
        let mut first = if part.start == 0 { 0 } else { ends[part.start - 1] };
        for (row, &end) in ends[part].iter().enumerate() {
            let terms = &order[first..end];
            first = end;
            for (i, out) in out[row * width..][..width].chunks_mut(COLUMNS).enumerate() {
                let mut totals = [R::start(); COLUMNS];
                for &term in terms {
                    let x = &x[term * width + i * COLUMNS..][..out.len()];
                    totals.iter_mut().zip(x).for_each(|(total, &x)| *total = R::push(*total, x));
                }
                out.iter_mut().zip(totals).for_each(|(out, total)| *out = R::finish(total, 1));
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Number;

    #[test]
    fn rows_of_any_width_come_and_go() {
        for width in [0, 1, 2, 3, 4, 8, 16, 20] {
            let x: Vec<u8> = (0..5 * width as u8).collect();
            let (mut picked, mut back) = (vec![0; 3 * width], vec![0; 5 * width]);
            gather_rows(&x, 5, width, &[4, 0, 2], &mut picked).unwrap();
            scatter_rows(&picked, &[4, 0, 2], 5, width, &mut back).unwrap();
            for row in 0..5 {
                let expected = if row % 2 == 0 { x[row * width..][..width].to_vec() } else { vec![0; width] };
                assert_eq!(back[row * width..][..width], expected);
            }
            let refused = Err(NoSuchRow { at: 1 });
            assert_eq!(gather_rows(&x, 5, width, &[0, 5, 0], &mut picked), refused);
            assert_eq!(gather_rows(&x, 5, width, &[0, -1, 0], &mut picked), refused);
            assert_eq!(scatter_rows(&picked, &[0, i64::MIN, 0], 5, width, &mut back), refused);
        }
    }

    #[test]
    fn rows_are_summed_and_negative_ones_left_out() {
        let (mut out, mut ends, mut order) = ([9_u8; 6], [7; 3], [7; 5]);
        let x = [1, 2, 3, 4, 5, 6, 7, 8, 250, 0];
        u8::sum_rows(&x, &[2, -7, 0, 2, 2], 2, &mut out, &mut ends, &mut order).unwrap();
        assert_eq!(out, [5, 6, 0, 0, 2, 10], "integers wrap, and what nothing goes to is 0");
        let wide: Vec<f32> = (0..3000).map(|i| (i % 1000) as f32).collect();
        let mut out = vec![0.5; 1000];
        f32::sum_rows(&wide, &[0, 0, 0], 1000, &mut out, &mut [0], &mut order).unwrap();
        assert!(out.iter().enumerate().all(|(i, &sum)| sum == 3.0 * i as f32));
        let refused = f32::sum_rows(&[1.0], &[1], 1, &mut [0.0], &mut [0], &mut order);
        assert_eq!(refused, Err(NoSuchRow { at: 0 }));
    }

    #[test]
    fn long_sums_of_halves_do_not_stand_still() {
        let ones = vec![half::bf16::ONE; 1000];
        let mut out = [half::bf16::ZERO];
        half::bf16::sum_rows(&ones, &[0; 1000], 1, &mut out, &mut [0], &mut [0; 1000]).unwrap();
        assert_eq!(out[0].to_f32(), 1000.0);
    }
}
