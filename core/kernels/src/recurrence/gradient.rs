//! A sequence back through all its steps.

use super::cells::{Back, Steps};
use super::weights::{self, Weights};
use super::{Cell, Gradients, Sequence, Sizes, for_groups, next, view};
use crate::instruction_set::{instruction_set, with_instruction_set};
use crate::operation::Fold;
use crate::parts::Parts;
use crate::pool;
use crate::strided::{Strided, copy};

/// The columns that are added up together.
const COLUMNS: usize = 128;
/// What a step's rows are apart beyond their width, so that they do not meet in one place of a cache.
const APART: usize = 16;
/// The additions that are worth another thread.
const WORTH: usize = 1 << 15;

/// What the steps leave, beside what is due to the sums of all gates, in units: the same of what h brings, or r·h.
fn inner_width(cell: Cell) -> usize {
    match cell {
        Cell::Lstm => 0,
        Cell::Gru { reset_after: true } => 3,
        Cell::Gru { reset_after: false } => 1,
    }
}

/// The elements of scratch that [`run`] wants.
pub(super) fn scratch<R: Steps>(sizes: Sizes) -> usize {
    let Sizes { cell, features, units, .. } = sizes;
    let (steps, width) = (sizes.steps(), sizes.width());
    let products = [
        R::matmul_scratch(steps, width, features),
        R::matmul_scratch(features, steps, width),
        R::matmul_scratch(units, steps, width),
        R::matmul_scratch(units, steps, 2 * units) + 2 * units * units,
        R::matmul_scratch(units, steps, units) + 2 * units * units,
        weights::room::<R>(sizes),
    ];
    let left = steps * (features + width + inner_width(cell) * units);
    let own = 4 * sizes.state() + sizes.batch * (width + APART) + units * width;
    left + own + products.into_iter().max().unwrap_or_default()
}

/// What is the same for all groups of rows.
struct Shared<'a, R> {
    sequence: &'a Sequence<'a, R>,
    sizes: Sizes,
    /// What takes the sums' gradients back to h, and to r·h where that is another product.
    weights: Weights<'a, R>,
    second: Option<Weights<'a, R>>,
}

/// What some rows of the batch have: as a [`Back`] has it.
struct Rows<'a, R> {
    mask: Option<&'a [u8]>,
    gates: &'a [R],
    before: &'a [R],
    extra: &'a [R],
    outputs: Option<&'a [R]>,
    h: &'a mut [R],
    c: &'a mut [R],
    back: &'a mut [R],
    due: &'a mut [R],
    outer: &'a mut [R],
    inner: &'a mut [R],
    /// Rows × (gates·units + [`APART`]): what is multiplied at a step.
    sums: &'a mut [R],
}

impl<R: Steps> Rows<'_, R> {
    /// Adds what is due to the output of a step to what is due to its state: where it repeats the output of the step before,
    /// that is for later.
    fn add_outputs(&mut self, sizes: Sizes, zero_masked: bool, [step, at]: [usize; 2], all: bool) {
        let Sizes { time, units, .. } = sizes;
        let Some(outputs) = self.outputs else { return };
        if !all && step + 1 < time {
            return;
        }
        for (row, due) in self.due.chunks_exact_mut(units).enumerate() {
            if zero_masked && self.mask.is_some_and(|mask| mask[row * time + at] == 0) {
                continue;
            }
            let place = if all { row * time + step } else { row };
            for (due, &output) in due.iter_mut().zip(&outputs[place * units..][..units]) {
                *due = *due + output;
            }
        }
    }
}

impl<R: Steps> Shared<'_, R> {
    fn step(&self, at: usize, rows: &mut Rows<R>, room: &mut [u8]) {
        let Sizes { cell, time, units, .. } = self.sizes;
        let width = self.sizes.width();
        let count = rows.h.len() / units;
        let pass = |rows: &mut Rows<R>, of: fn(Back<R>)| {
            of(Back {
                units,
                time,
                at,
                mask: rows.mask,
                gates: rows.gates,
                before: rows.before,
                extra: rows.extra,
                h: rows.h,
                c: rows.c,
                back: rows.back,
                due: rows.due,
                outer: rows.outer,
                inner: rows.inner,
            });
        };
        let (pitch, start) = (time * width, at * width);
        let sums = match (cell, &self.second) {
            (Cell::Lstm, _) => {
                pass(rows, R::lstm_back);
                &*rows.outer
            }
            (Cell::Gru { .. }, None) => {
                pass(rows, R::gru_after_back);
                &*rows.inner
            }
            (Cell::Gru { .. }, Some(second)) => {
                pass(rows, R::gru_before_back);
                second.multiply(&rows.outer[start + 2 * units..], [count, pitch], rows.c, units, room);
                pass(rows, R::gru_reset_back);
                &*rows.outer
            }
        };
        for (row, copy) in rows.sums.chunks_exact_mut(width + APART).enumerate() {
            copy[..width].copy_from_slice(&sums[row * pitch + start..][..width]);
        }
        self.weights.multiply(rows.sums, [count, width + APART], rows.back, units, room);
    }

    /// Takes some rows back through all steps.
    fn run(&self, mut rows: Rows<R>, room: &mut [u8]) {
        let (time, sequence) = (self.sizes.time, self.sequence);
        rows.back.fill(R::ZERO);
        rows.due.fill(R::ZERO);
        for step in (0..time).rev() {
            let at = sequence.input_of(step, time);
            rows.add_outputs(self.sizes, sequence.zero_masked, [step, at], sequence.all_outputs);
            self.step(at, &mut rows, room);
        }
        for (h, &back) in rows.h.iter_mut().zip(&*rows.back) {
            *h = *h + back;
        }
    }
}

/// Writes the sums over the rows of a matrix.
fn sum_rows<R: Steps>(x: &[R], out: &mut [R]) {
    let width = out.len();
    let (rows, out) = (x.len() / width, Parts::new(out));
    let set = instruction_set();
    let sum = |block: usize, _: &mut [u8]| {
        let first = block * COLUMNS;
        let columns = COLUMNS.min(width - first);
        // SAFETY: each block of columns is summed once.
        #[allow(unsafe_code)]
        let out = unsafe { out.part(first..first + columns) };
        let (shape, strides) = ([rows, columns], [width as isize, 1]);
        let terms = if rows == 0 { view(x, &shape, &strides, 0) } else { view(x, &shape, &strides, first) };
        with_instruction_set(set, || R::fold(Fold::Sum, terms, &[true, false], out)).expect("floats have sums");
    };
    let blocks = width.div_ceil(COLUMNS);
    if x.len() >= 2 * WORTH { pool::run(blocks, &sum) } else { (0..blocks).for_each(|block| sum(block, &mut [])) }
}

/// A slice as `rows` rows, turned: the left factor of a product over all of them.
fn turned<R: Steps>(x: &[R], rows: usize, columns: usize, then: impl FnOnce(Strided<R>)) {
    then(view(x, &[columns, rows], &[1, columns as isize], 0));
}

/// See [`Recurrence::recur_gradient`](super::Recurrence::recur_gradient).
pub(super) fn run<R: Steps>(
    sequence: &Sequence<R>,
    saved: &[R],
    outputs: Option<&[R]>,
    states: [Option<&[R]>; 2],
    gradients: Gradients<R>,
    scratch: &mut [R],
) {
    let sizes = sequence.sizes();
    let Sizes { cell, batch, time, features, units } = sizes;
    let (width, steps) = (sizes.width(), sizes.steps());
    let resets_before = cell == Cell::Gru { reset_after: false };
    let all = steps * (width + (1 + cell.extras()) * units);
    assert!(saved.len() == all, "what was saved is of a sequence of these sizes");
    assert!(outputs.is_none_or(|x| x.len() == sequence.outputs(sizes)), "the outputs are those that were wanted");
    assert!(states.iter().flatten().all(|x| x.len() == sizes.state()), "a state is batch × units");
    let (gates, rest_of_saved) = saved.split_at(steps * width);
    let (before, extra) = rest_of_saved.split_at(steps * units);

    let mut rest = scratch;
    let outer = next(&mut rest, steps * width);
    let inner = next(&mut rest, steps * inner_width(cell) * units);
    let [h, c, back, due] = std::array::from_fn(|_| next(&mut rest, sizes.state()));
    let copies = next(&mut rest, batch * (width + APART));
    let laid = next(&mut rest, units * width);
    for (state, due) in [(&mut *h, states[0]), (&mut *c, states[1])] {
        match due {
            Some(due) => state.copy_from_slice(due),
            None => state.fill(R::ZERO),
        }
    }
    if sizes.state() > 0 {
        let first = if resets_before { 2 * units } else { width };
        let (laid, laid_second) = laid.split_at_mut(units * first);
        let recurrent = sequence.recurrent_kernel;
        let shared = Shared {
            sequence,
            sizes,
            weights: Weights::new(recurrent, true, 0, [first, units], sizes, laid),
            second: resets_before.then(|| Weights::new(recurrent, true, first, [units, units], sizes, laid_second)),
        };
        let inner_pitch = time * inner_width(cell) * units;
        let extra_pitch = time * cell.extras() * units;
        let output_pitch = outputs.map_or(0, <[R]>::len) / batch;
        let [h, c, back, due] = [&mut *h, &mut *c, back, due].map(Parts::new);
        let [all_outer, all_inner, copies] = [&mut *outer, &mut *inner, copies].map(Parts::new);
        for_groups(sizes, bytemuck::cast_slice_mut(&mut *rest), &|first, count, room| {
            let of = |pitch: usize| first * pitch..(first + count) * pitch;
            // SAFETY: each row of the batch is in one group, which is run once, and these are of its rows.
            #[allow(unsafe_code)]
            let rows = unsafe {
                Rows {
                    mask: sequence.mask.map(|mask| &mask[of(time)]),
                    gates: &gates[of(time * width)],
                    before: &before[of(time * units)],
                    extra: &extra[of(extra_pitch)],
                    outputs: outputs.map(|outputs| &outputs[of(output_pitch)]),
                    h: h.part(first * units..(first + count) * units),
                    c: c.part(first * units..(first + count) * units),
                    back: back.part(first * units..(first + count) * units),
                    due: due.part(first * units..(first + count) * units),
                    outer: all_outer.part(first * time * width..(first + count) * time * width),
                    inner: all_inner.part(first * inner_pitch..(first + count) * inner_pitch),
                    sums: copies.part(first * (width + APART)..(first + count) * (width + APART)),
                }
            };
            shared.run(rows, room);
        });
    }
    for (state, out) in [&*h, &*c].into_iter().zip(gradients.initial) {
        if let Some(out) = out {
            out.copy_from_slice(state);
        }
    }

    let (outer, inner) = (&*outer, &*inner);
    let (shape, strides) = ([steps, width], [width as isize, 1]);
    let sums = view(outer, &shape, &strides, 0);
    if let Some(out) = gradients.x {
        let &[down, across] = sequence.kernel.strides() else { panic!("a kernel is a matrix") };
        let (shape, strides) = ([width, features], [across, down]);
        R::matmul(sums, view(sequence.kernel.data(), &shape, &strides, sequence.kernel.offset()), out, rest);
    }
    if let Some(out) = gradients.kernel {
        let (x, rest) = match sequence.x.as_slice() {
            Some(x) => (x, &mut *rest),
            None => {
                let (x, rest) = rest.split_at_mut(steps * features);
                copy(sequence.x, x);
                (&*x, rest)
            }
        };
        turned(x, steps, features, |x| R::matmul(x, sums, out, rest));
    }
    if let Some(out) = gradients.recurrent_kernel.filter(|_| units > 0) {
        match cell {
            Cell::Lstm => turned(before, steps, units, |h| R::matmul(h, sums, out, rest)),
            Cell::Gru { reset_after: true } => {
                turned(before, steps, units, |h| R::matmul(h, view(inner, &shape, &strides, 0), out, rest));
            }
            Cell::Gru { reset_after: false } => {
                let (product, rest) = rest.split_at_mut(2 * units * units);
                for (left, first, columns) in [(before, 0, 2 * units), (inner, 2 * units, units)] {
                    let shape = [steps, columns];
                    let sums = view(outer, &shape, &strides, if steps == 0 { 0 } else { first });
                    let product = &mut product[..units * columns];
                    turned(left, steps, units, |h| R::matmul(h, sums, product, rest));
                    for (out, product) in out.chunks_exact_mut(width).zip(product.chunks_exact(columns)) {
                        out[first..][..columns].copy_from_slice(product);
                    }
                }
            }
        }
    }
    if let Some(out) = gradients.bias {
        assert!(out.len() == cell.biases() * width, "the gradient of the bias is as long as it");
        if width > 0 {
            let (outer_out, inner_out) = out.split_at_mut(width);
            sum_rows(outer, outer_out);
            if !inner_out.is_empty() {
                sum_rows(inner, inner_out);
            }
        }
    }
}
