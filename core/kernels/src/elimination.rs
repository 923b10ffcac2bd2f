//! What the decompositions of matrices have in common: rows are eliminated one by one within a block of them, and what follows
//! for the rest of the matrix is a product.

use std::ops::Range;

use crate::dispatch::by_instruction_set;
use crate::expression::Elementwise;
use crate::instruction_set::instruction_set;
use crate::matmul::{Epilogue, Finish, Lanes, Rows, products, products_scratch};
use crate::number::{Number, finish};
use crate::operation::{Binary, Unary};
use crate::parts::{Parts, divide};
use crate::strided::Strided;

/// The rows and columns of a block.
pub(crate) const STEP: usize = 64;
/// The columns that substitution goes through at a time, so that a block of them stays in the second cache.
const COLUMNS: usize = 256;
/// Picoseconds for a step of substitution in one column.
const SUBTRACTION: usize = 100;

/// The elements of work for [`subtract_product`] of at most `m` × [`STEP`] and [`STEP`] × `n`.
pub(crate) fn product_work(m: usize, n: usize) -> usize {
    let room = |m: usize, n: usize| products_scratch::<f64>([m, STEP, n], Rows { first: 0, pitch: n }, true);
    m * STEP + room(m, n).max(room(1, m))
}

/// Subtracts the product of two matrices from that in `out` whose rows begin at `first` and are `pitch` apart.
///
/// # Panics
///
/// When the sizes do not fit each other, or `work` has not what [`product_work`] says.
pub(crate) fn subtract_product(
    a: Strided<f64>,
    b: Strided<f64>,
    out: &mut [f64],
    [first, pitch]: [usize; 2],
    work: &mut [f64],
) {
    let (&[m, k], &[inner, n]) = (a.shape(), b.shape()) else { panic!("the factors of a product are matrices") };
    assert!(k == inner && n <= pitch, "the sizes of a product fit each other");
    let (left, room) = work.split_at_mut(m * k);
    <f64 as Number>::unary(Unary::Neg, a, left).expect("floats have a negative");
    let left = Lanes { data: left, offset: 0, lane: k as isize, depth: 1 };
    let right = Lanes { data: b.data(), offset: b.offset() as isize, lane: b.strides()[1], depth: b.strides()[0] };
    let finish = finish!(f64, Epilogue { accumulate: true, ..Epilogue::default() });
    // One column is one row of the product of the transposed, with the same sums.
    let turned = n == 1 && pitch == 1;
    // SAFETY: there is one product, whose rows do not overlap, and factors are views that were checked.
    #[allow(unsafe_code)]
    unsafe {
        match turned {
            false => {
                let parts = |_| (left, right, Rows { first, pitch });
                products([m, k, n], 1, &parts, false, Some(&finish), out, room);
            }
            true => {
                let parts = |_| (right, left, Rows { first, pitch: m });
                products([1, k, m], 1, &parts, true, Some(&finish), out, room);
            }
        }
    }
}

/// A triangle of a matrix: element (i, j) is at `first + i·strides[0] + j·strides[1]`.
#[derive(Clone, Copy)]
pub(crate) struct Triangle<'a> {
    pub(crate) data: &'a [f64],
    pub(crate) first: usize,
    pub(crate) strides: [usize; 2],
    pub(crate) size: usize,
    pub(crate) lower: bool,
    /// Whether the diagonal is ones, whatever stands there.
    pub(crate) unit: bool,
}

impl Triangle<'_> {
    /// The lower triangle of a row-major square matrix of so many rows, or the upper one.
    pub(crate) fn of(data: &[f64], size: usize, lower: bool) -> Triangle<'_> {
        Triangle { data, first: 0, strides: [size, 1], size, lower, unit: false }
    }

    /// The transposed one.
    pub(crate) fn turned(self) -> Self {
        let [row, column] = self.strides;
        Triangle { strides: [column, row], lower: !self.lower, ..self }
    }

    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> f64 {
        self.data[self.first + i * self.strides[0] + j * self.strides[1]]
    }

    /// The part on the diagonal.
    fn block(self, rows: &Range<usize>) -> Self {
        let first = self.first + rows.start * (self.strides[0] + self.strides[1]);
        Triangle { first, size: rows.len(), ..self }
    }

    /// The row that is solved after `n` others.
    #[inline(always)]
    fn nth(&self, n: usize) -> usize {
        if self.lower { n } else { self.size - 1 - n }
    }

    /// Subtracts from each row of `x` what those before it contribute, and divides it by the diagonal; rows begin at `first`
    /// and are `pitch` apart, with so many columns.
    pub(crate) fn substitute(self, x: &mut [f64], [first, pitch]: [usize; 2], columns: usize) {
        let x = Parts::new(x);
        assert!(columns <= pitch, "columns are those of a row");
        let cost = self.size * self.size * SUBTRACTION / 2;
        divide(columns, cost, 16, &|columns, _| {
            let (mut next, end) = (columns.start, columns.end);
            while next < end {
                let part = next..end.min(next + COLUMNS);
                next = part.end;
                substitute_columns(&self, &x, [first, pitch], part);
            }
        });
    }

    /// Overwrites `x`, row-major of `columns` columns, by the solution of the equations.
    pub(crate) fn solve(self, x: &mut [f64], columns: usize, work: &mut [f64]) {
        let blocks = self.size.div_ceil(STEP);
        for n in 0..blocks {
            let block = if self.lower { n } else { blocks - 1 - n };
            let rows = block * STEP..self.size.min((block + 1) * STEP);
            self.block(&rows).substitute(x, [rows.start * columns, columns], columns);
            let rest = if self.lower { rows.end..self.size } else { 0..rows.start };
            if rest.is_empty() || columns == 0 {
                continue;
            }
            let (above, below) = x.split_at_mut(if self.lower { rows.end } else { rows.start } * columns);
            let (solved, out) = if self.lower {
                (&above[rows.start * columns..], below)
            } else {
                (&below[..rows.len() * columns], above)
            };
            let (shape, strides) = ([rest.len(), rows.len()], self.strides.map(|stride| stride as isize));
            let first = self.first + rest.start * self.strides[0] + rows.start * self.strides[1];
            let factors = Strided::new(self.data, &shape, &strides, first).expect("it is a part of the matrix");
            let (shape, strides) = ([rows.len(), columns], [columns as isize, 1]);
            let solved = Strided::new(solved, &shape, &strides, 0).expect("they are so many rows");
            subtract_product(factors, solved, out, [0, columns], work);
        }
    }
}

by_instruction_set!(fn substitute_columns(
    triangle: &Triangle<'_>, x: &Parts<'_, f64>, place: [usize; 2], columns: Range<usize>
) = substitute_columns_by::<>);

#[inline(always)]
fn substitute_columns_by<const FUSED: bool>(
    triangle: &Triangle,
    x: &Parts<f64>,
    [first, pitch]: [usize; 2],
    columns: Range<usize>,
) {
    // SAFETY: rows do not overlap, `i` and `j` are two, and the columns are this thread's.
    #[allow(unsafe_code)]
    let row = |i: usize| unsafe { x.part(first + i * pitch + columns.start..first + i * pitch + columns.end) };
    for n in 0..triangle.size {
        let i = triangle.nth(n);
        let of = row(i);
        for j in (0..n).map(|n| triangle.nth(n)) {
            subtract(of, row(j), triangle.at(i, j));
        }
        if !triangle.unit {
            let diagonal = triangle.at(i, i);
            of.iter_mut().for_each(|x| *x /= diagonal);
        }
    }
}

/// Subtracts so many times a row from another.
#[inline(always)]
pub(crate) fn subtract(of: &mut [f64], from: &[f64], times: f64) {
    for (x, y) in of.iter_mut().zip(from) {
        *x -= times * y;
    }
}
