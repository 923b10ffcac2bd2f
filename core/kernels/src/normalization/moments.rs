//! Means and variances, in one pass over memory.
//!
//! Terms come in blocks that stay in the first cache. The mean of a block is taken first and the squares of what its terms
//! deviate from it after, so that nothing is lost where the mean is far greater than the deviations; blocks are joined as
//! Chan, Golub and LeVeque do (1979). All of it is done in f64, and sums of f64 with their rounding errors beside them.

use std::ops::Range;

use super::{Element, LANES, Total, fma, load};
use crate::float::Real;
use crate::fold::{Reduce, join_lanes};
use crate::parts::{Matrix, by_rows};
use crate::strided::{Place, Reader, Strided, TILE};

/// Terms of a block, where they are one after the other.
const BLOCK: usize = 2 * TILE;
/// Rows of a block, and columns beside each other, where every column has its own sum.
const ROWS: usize = 32;
const COLUMNS: usize = 64;

/// The sum of some terms, and the sum of the squares of what they deviate from their mean.
#[derive(Clone, Copy)]
struct Sums<T> {
    total: T,
    squares: f64,
}

/// How sums of `before` and of `new` terms are joined.
#[derive(Clone, Copy)]
struct Joint {
    before: f64,
    new: f64,
    weight: f64,
}

impl Joint {
    #[inline(always)]
    fn new(before: usize, new: usize) -> Self {
        let (before, new) = (before as f64, new as f64);
        Self { before, new, weight: before * (new / (before + new)) }
    }

    /// The squares of both together, of the sum and the squares of each.
    #[inline(always)]
    fn squares(self, [a, a_squares]: [f64; 2], [b, b_squares]: [f64; 2]) -> f64 {
        let apart = b / self.new - a / self.before;
        a_squares + (b_squares + apart * apart * self.weight)
    }
}

/// Adds the sums of a block to those of the terms before it, if there are any.
#[inline(always)]
fn join<R: Reduce<f64>>(own: &mut Sums<R::Total>, block: Sums<R::Total>, joint: Option<Joint>) {
    let Some(joint) = joint else {
        *own = block;
        return;
    };
    let value = |total: R::Total| R::finish(total, 1);
    own.squares = joint.squares([value(own.total), own.squares], [value(block.total), block.squares]);
    own.total = R::join(own.total, block.total);
}

/// The sums of one block of terms.
#[inline(always)]
fn block_sums<T: Element, const FUSED: bool>(terms: &[T]) -> Sums<Total<T>> {
    let (blocks, rest) = terms.as_chunks::<LANES>();
    let mut lanes = [T::Sum::start(); LANES];
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = T::Sum::push(*lane, x.widen().into());
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = T::Sum::push(*lane, x.widen().into());
    }
    let total = join_lanes(&mut lanes, T::Sum::join);
    let mean = T::Sum::finish(total, 1) / terms.len() as f64;
    let mut lanes = [0.0; LANES];
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            let apart = x.widen().into() - mean;
            *lane = fma::<f64, FUSED>(apart, apart, *lane);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        let apart = x.widen().into() - mean;
        *lane = fma::<f64, FUSED>(apart, apart, *lane);
    }
    Sums { total, squares: join_lanes(&mut lanes, |a, b| a + b) }
}

/// The mean and the variance of a row.
#[inline(always)]
pub(super) fn of_row<T: Element, const FUSED: bool>(row: &[T]) -> [f64; 2] {
    let mut sums = Sums { total: T::Sum::start(), squares: 0.0 };
    for (i, block) in row.chunks(BLOCK).enumerate() {
        let joint = (i > 0).then(|| Joint::new(i * BLOCK, block.len()));
        join::<T::Sum>(&mut sums, block_sums::<T, FUSED>(block), joint);
    }
    let count = row.len() as f64;
    [T::Sum::finish(sums.total, 1) / count, sums.squares / count]
}

/// How the work is divided, by the shape alone: into groups of terms, whose sums are joined in order.
struct Plan {
    outputs: usize,
    count: usize,
    /// Whether the innermost axis stays, so that every column has its own sum.
    columns: bool,
    /// Outputs that are computed side by side.
    strip: usize,
    /// Terms of a group, and how many groups there are.
    group: usize,
    groups: usize,
}

impl Plan {
    fn new(shape: &[usize], reduced: &[bool]) -> Self {
        assert_eq!(shape.len(), reduced.len(), "moments say of each axis whether it is reduced");
        let axes = shape.iter().zip(reduced);
        let outputs: usize = axes.clone().filter(|&(_, &reduced)| !reduced).map(|(&dim, _)| dim).product();
        let count: usize = axes.clone().filter(|&(_, &reduced)| reduced).map(|(&dim, _)| dim).product();
        let columns = axes.rev().find(|&(&dim, _)| dim != 1).is_some_and(|(_, &reduced)| !reduced);
        let unit = if columns { ROWS } else { BLOCK };
        let group = count.div_ceil(16).next_multiple_of(unit).clamp(unit, 64 * unit);
        let strip = if columns { COLUMNS } else { 1 };
        Self { outputs, count, columns, strip, group, groups: count.div_ceil(group) }
    }

    fn tasks(&self) -> usize {
        self.outputs.div_ceil(self.strip) * self.groups
    }

    /// The elements of scratch: those of every task, and two for each output.
    fn scratch(&self) -> usize {
        2 * (self.tasks() * self.strip + self.outputs)
    }
}

/// The elements of scratch that [`of_view`] wants.
pub(super) fn scratch(shape: &[usize], reduced: &[bool]) -> usize {
    Plan::new(shape, reduced).scratch()
}

/// Writes the sums and the squares of each of the tasks.
#[inline(always)]
pub(super) fn moment_tasks<T: Element, const FUSED: bool>(
    x: Strided<T>,
    reduced: &[bool],
    tasks: Range<usize>,
    partial: &mut [f64],
) {
    let plan = Plan::new(x.shape(), reduced);
    let (kept, gone) = (Reader::over(x, reduced, false), Reader::over(x, reduced, true));
    let mut buffer = [T::zeroed(); BLOCK];
    for (task, partial) in tasks.zip(partial.chunks_exact_mut(2 * plan.strip)) {
        let (strip, group) = (task / plan.groups, task % plan.groups);
        let terms = group * plan.group..plan.count.min((group + 1) * plan.group);
        let (total, squares) = partial.split_at_mut(plan.strip);
        if plan.columns {
            let first = strip * COLUMNS;
            let width = COLUMNS.min(plan.outputs - first);
            column_sums::<T, FUSED>(x, reduced, first, terms, [&mut total[..width], &mut squares[..width]]);
        } else {
            let reader = gone.from(kept.locate(strip).at);
            let mut sums = Sums { total: T::Sum::start(), squares: 0.0 };
            for start in terms.clone().step_by(BLOCK) {
                let block = reader.chunk(start, &mut buffer[..BLOCK.min(terms.end - start)]);
                let joint = (start > terms.start).then(|| Joint::new(start - terms.start, block.len()));
                join::<T::Sum>(&mut sums, block_sums::<T, FUSED>(block), joint);
            }
            (total[0], squares[0]) = (T::Sum::finish(sums.total, 1), sums.squares);
        }
    }
}

/// Writes the sums and the squares of some columns over some terms.
#[inline(always)]
fn column_sums<T: Element, const FUSED: bool>(
    x: Strided<T>,
    reduced: &[bool],
    first: usize,
    terms: Range<usize>,
    [totals, squares]: [&mut [f64]; 2],
) {
    let width = totals.len();
    let (kept, rows) = (Reader::over(x, reduced, false), Reader::over(x, reduced, true));
    let Place { at: column, left } = kept.locate(first);
    let in_place = left >= width && (kept.step() == 1 || width == 1);
    let mut sums = [Sums { total: T::Sum::start(), squares: 0.0 }; COLUMNS];
    let mut buffer = [T::zeroed(); ROWS * COLUMNS];
    for start in terms.clone().step_by(ROWS) {
        let count = ROWS.min(terms.end - start);
        let Place { at: row, left } = rows.locate(start);
        let (block, pitch) = if in_place && left >= count && rows.step() > 0 {
            // Both places count from where the view begins.
            (&x.data()[(row + column) as usize - x.offset()..], rows.step() as usize)
        } else {
            for (i, row) in buffer.chunks_exact_mut(width).take(count).enumerate() {
                kept.from(rows.locate(start + i).at).gather(first, row);
            }
            (&buffer[..], width)
        };
        let joint = (start > terms.start).then(|| Joint::new(start - terms.start, count));
        for at in (0..width).step_by(LANES) {
            let lanes = LANES.min(width - at);
            let new = if lanes == LANES {
                lane_sums::<T, true, FUSED>(&block[at..], [pitch, count, lanes])
            } else {
                lane_sums::<T, false, FUSED>(&block[at..], [pitch, count, lanes])
            };
            for (own, &new) in sums[at..at + lanes].iter_mut().zip(&new) {
                join::<T::Sum>(own, new, joint);
            }
        }
    }
    for ((total, squares), own) in totals.iter_mut().zip(squares).zip(&sums) {
        (*total, *squares) = (T::Sum::finish(own.total, 1), own.squares);
    }
}

/// The sums of up to [`LANES`] columns beside each other, over `count` rows.
#[inline(always)]
fn lane_sums<T: Element, const FULL: bool, const FUSED: bool>(
    block: &[T],
    [pitch, count, lanes]: [usize; 3],
) -> [Sums<Total<T>>; LANES] {
    let mut totals = [T::Sum::start(); LANES];
    for row in 0..count {
        let x = load::<T, FULL>(&block[row * pitch..][..lanes]);
        for (total, x) in totals.iter_mut().zip(x) {
            *total = T::Sum::push(*total, x.into());
        }
    }
    let mut means = [0.0; LANES];
    for (mean, &total) in means.iter_mut().zip(&totals) {
        *mean = T::Sum::finish(total, 1) / count as f64;
    }
    let mut squares = [0.0; LANES];
    for row in 0..count {
        let x = load::<T, FULL>(&block[row * pitch..][..lanes]);
        for ((squares, x), &mean) in squares.iter_mut().zip(x).zip(&means) {
            let apart = x.into() - mean;
            *squares = fma::<f64, FUSED>(apart, apart, *squares);
        }
    }
    let mut sums = [Sums { total: T::Sum::start(), squares: 0.0 }; LANES];
    for ((sums, &total), &squares) in sums.iter_mut().zip(&totals).zip(&squares) {
        *sums = Sums { total, squares };
    }
    sums
}

/// The mean and the variance of each index of the axes that stay; they begin the scratch.
pub(super) fn of_view<'s, T: Element>(x: Strided<T>, reduced: &[bool], scratch: &'s mut [f64]) -> [&'s [f64]; 2] {
    let plan = Plan::new(x.shape(), reduced);
    assert!(scratch.len() >= plan.scratch(), "moments have the scratch they want");
    let (means, rest) = scratch.split_at_mut(plan.outputs);
    let (variances, rest) = rest.split_at_mut(plan.outputs);
    if plan.count == 0 {
        means.fill(f64::NAN);
        variances.fill(f64::NAN);
    } else {
        let partial = &mut rest[..plan.tasks() * 2 * plan.strip];
        by_rows(plan.tasks(), x.len(), Matrix::new(partial, 2 * plan.strip), |tasks, partial| {
            T::moment_tasks(x, reduced, tasks, partial);
        });
        for (i, (mean, variance)) in means.iter_mut().zip(&mut *variances).enumerate() {
            let (strip, lane) = (i / plan.strip, i % plan.strip);
            let mut sums = Sums { total: T::Sum::start(), squares: 0.0 };
            for group in 0..plan.groups {
                let own = &partial[(strip * plan.groups + group) * 2 * plan.strip..][..2 * plan.strip];
                let block = Sums { total: T::Sum::push(T::Sum::start(), own[lane]), squares: own[plan.strip + lane] };
                let new = plan.group.min(plan.count - group * plan.group);
                join::<T::Sum>(&mut sums, block, (group > 0).then(|| Joint::new(group * plan.group, new)));
            }
            let count = plan.count as f64;
            (*mean, *variance) = (T::Sum::finish(sums.total, 1) / count, sums.squares / count);
        }
    }
    [means, variances]
}

/// Writes the mean and the variance of each index of the axes that stay.
pub(super) fn write<T: Element>(x: Strided<T>, reduced: &[bool], out: [&mut [T]; 2], scratch: &mut [f64]) {
    let moments = of_view(x, reduced, scratch);
    for (out, of) in out.into_iter().zip(moments) {
        assert!(out.len() == of.len(), "moments have one result for each index of the axes that stay");
        for (out, &of) in out.iter_mut().zip(of) {
            *out = T::narrow(T::Wide::narrow(of));
        }
    }
}
