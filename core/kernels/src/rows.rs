//! Rows picked from a matrix by number, put into one, and added to those of one.

use bytemuck::Pod;

use crate::strided::TILE;

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
/// When an index is negative or not below `count`; `out` then holds the rows before it.
///
/// # Panics
/// When `x` or `out` is not as long as its rows.
pub fn gather_rows(x: &[u8], count: usize, width: usize, rows: &[i64], out: &mut [u8]) -> Result<(), NoSuchRow> {
    fn whole<const N: usize>(x: &[u8], rows: &[i64], out: &mut [u8]) -> Result<(), NoSuchRow> {
        let (x, out) = (x.as_chunks::<N>().0, out.as_chunks_mut::<N>().0);
        for (at, (&row, out)) in rows.iter().zip(out).enumerate() {
            *out = x[number(row, x.len(), at)?];
        }
        Ok(())
    }
    assert!(x.len() == count * width && out.len() == rows.len() * width, "a row has as many bytes as its width");
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

/// Adds row `i` of `x` to row `rows[i]` of `out` by `add`, in order, leaving out those whose index is negative.
#[inline(always)]
pub(crate) fn add<T: Pod>(
    x: &[T],
    rows: &[i64],
    count: usize,
    width: usize,
    out: &mut [T],
    mut add: impl FnMut(&[T], &[T], &mut [T]),
) -> Result<(), NoSuchRow> {
    assert!(x.len() == rows.len() * width && out.len() == count * width, "a row has as many elements as its width");
    let mut before = [T::zeroed(); TILE];
    for (at, &row) in rows.iter().enumerate().filter(|(_, row)| **row >= 0) {
        let row = number(row, count, at)?;
        let (x, out) = (&x[at * width..][..width], &mut out[row * width..][..width]);
        for (x, out) in x.chunks(TILE).zip(out.chunks_mut(TILE)) {
            let before = &mut before[..out.len()];
            before.copy_from_slice(out);
            add(before, x, out);
        }
    }
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
    fn rows_are_added_and_negative_ones_left_out() {
        let mut out = [10_u8, 20, 250, 40];
        u8::add_rows(&[1, 2, 3, 4, 5, 6, 7, 8], &[1, -7, 0, 1], 2, 2, &mut out).unwrap();
        assert_eq!(out, [15, 26, 2, 50], "integers wrap");
        let wide = vec![1.0_f32; 3 * 1000];
        let mut out = vec![0.5; 1000];
        f32::add_rows(&wide, &[0, 0, 0], 1, 1000, &mut out).unwrap();
        assert!(out.iter().all(|&sum| sum == 3.5));
        assert_eq!(f32::add_rows(&[1.0], &[1], 1, 1, &mut [0.0]), Err(NoSuchRow { at: 0 }));
    }
}
