//! A sequence through all its steps.

use super::cells::{Step, Steps};
use super::weights::{self, Weights};
use super::{Cell, Sequence, Sizes, for_groups, next, view};
use crate::parts::Parts;

/// The elements of scratch that [`run`] wants.
pub(super) fn scratch<R: Steps>(sizes: Sizes, saves: bool) -> usize {
    let Sizes { cell, features, units, .. } = sizes;
    let width = sizes.width();
    let gates = if saves { 0 } else { sizes.steps() * width };
    let product = R::matmul_scratch(sizes.steps(), features, width).max(R::matmul_scratch(sizes.time, features, width));
    // Zeros for biases, the weights, what h brings, and r·h.
    let own = cell.biases().max(2) * width + units * width + sizes.batch * width + sizes.state();
    gates + own + product.max(weights::room::<R>(sizes))
}

/// Writes x·kernel for all steps, batch × time × gates·units.
fn outer<R: Steps>(sequence: &Sequence<R>, sizes: Sizes, out: &mut [R], scratch: &mut [R]) {
    let Sizes { batch, time, features, .. } = sizes;
    let width = sizes.width();
    let &[x_batch, x_time, x_feature] = sequence.x.strides() else { panic!("a sequence has three axes") };
    let (x, kernel) = (sequence.x, sequence.kernel);
    if batch == 1 || x_batch == x_time * time as isize {
        let (shape, strides) = ([sizes.steps(), features], [x_time, x_feature]);
        return R::matmul(view(x.data(), &shape, &strides, x.offset()), kernel, out, scratch);
    }
    let (shape, &[down, across]) = ([batch, features, width], kernel.strides()) else { panic!("a kernel is a matrix") };
    R::matmul(x, view(kernel.data(), &shape, &[0, down, across], kernel.offset()), out, scratch);
}

/// What is the same for all groups of rows.
struct Shared<'a, R> {
    sequence: &'a Sequence<'a, R>,
    sizes: Sizes,
    /// What h is multiplied by, and what r·h is where that is another product.
    weights: Weights<'a, R>,
    second: Option<Weights<'a, R>>,
    bias: [&'a [R]; 2],
    saves: bool,
}

/// What some rows of the batch have: as a [`Step`] has it, or as it is saved.
struct Rows<'a, R> {
    mask: Option<&'a [u8]>,
    gates: &'a mut [R],
    before: &'a mut [R],
    extra: &'a mut [R],
    inner: &'a mut [R],
    h: &'a mut [R],
    c: &'a mut [R],
    outputs: &'a mut [R],
}

impl<R: Steps> Shared<'_, R> {
    fn step(&self, at: usize, rows: &mut Rows<R>, room: &mut [u8]) {
        let Sizes { cell, time, units, .. } = self.sizes;
        let width = self.sizes.width();
        let count = rows.h.len() / units;
        self.weights.multiply(rows.h, [count, units], rows.inner, width, room);
        let pass = |rows: &mut Rows<R>, of: fn(Step<R>)| {
            of(Step {
                units,
                time,
                at,
                mask: rows.mask,
                gates: rows.gates,
                inner: rows.inner,
                bias: self.bias,
                h: rows.h,
                c: rows.c,
                factors: rows.extra,
                saves: self.saves,
            });
        };
        match (cell, &self.second) {
            (Cell::Lstm, _) => pass(rows, R::lstm),
            (Cell::Gru { .. }, None) => pass(rows, R::gru_after),
            (Cell::Gru { .. }, Some(second)) => {
                pass(rows, R::gru_reset);
                second.multiply(rows.c, [count, units], &mut rows.inner[2 * units..], width, room);
                pass(rows, R::gru_before);
            }
        }
    }

    /// Takes some rows through all steps.
    fn run(&self, mut rows: Rows<R>, room: &mut [u8]) {
        let Sizes { cell, time, units, .. } = self.sizes;
        let count = rows.h.len() / units;
        for step in 0..time {
            let at = self.sequence.input_of(step, time);
            let is_masked = |rows: &Rows<R>, row: usize| rows.mask.is_some_and(|mask| mask[row * time + at] == 0);
            if self.saves {
                for row in 0..count {
                    let (own, place) = (row * units..(row + 1) * units, (row * time + at) * units);
                    rows.before[place..][..units].copy_from_slice(&rows.h[own.clone()]);
                    if cell == Cell::Lstm {
                        rows.extra[place..][..units].copy_from_slice(&rows.c[own]);
                    }
                }
            }
            if (0..count).any(|row| !is_masked(&rows, row)) {
                self.step(at, &mut rows, room);
            }
            if !self.sequence.all_outputs {
                continue;
            }
            for row in 0..count {
                let place = (row * time + step) * units;
                if !is_masked(&rows, row) {
                    rows.outputs[place..][..units].copy_from_slice(&rows.h[row * units..][..units]);
                } else if step == 0 || self.sequence.zero_masked {
                    rows.outputs[place..][..units].fill(R::ZERO);
                } else {
                    rows.outputs.copy_within(place - units..place, place);
                }
            }
        }
        if self.sequence.all_outputs {
            return;
        }
        let (last, zero_masked) = (time.checked_sub(1), self.sequence.zero_masked);
        for (row, out) in rows.outputs.chunks_exact_mut(units).enumerate() {
            let is_zero = match (rows.mask, last) {
                (_, None) => true,
                (None, _) => false,
                (Some(mask), Some(last)) if zero_masked => mask[row * time + self.sequence.input_of(last, time)] == 0,
                (Some(mask), _) => mask[row * time..][..time].iter().all(|&mask| mask == 0),
            };
            if is_zero {
                out.fill(R::ZERO);
            } else {
                out.copy_from_slice(&rows.h[row * units..][..units]);
            }
        }
    }
}

/// See [`Recurrence::recur`](super::Recurrence::recur).
pub(super) fn run<R: Steps>(
    sequence: &Sequence<R>,
    outputs: &mut [R],
    [h, c]: [&mut [R]; 2],
    saved: Option<&mut [R]>,
    scratch: &mut [R],
) {
    let sizes = sequence.sizes();
    let Sizes { cell, batch, time, units, .. } = sizes;
    let width = sizes.width();
    assert!(outputs.len() == sequence.outputs(sizes), "the outputs are those that are wanted");
    let fits = h.len() == sizes.state() && c.len() == (cell.states() - 1) * sizes.state();
    assert!(fits, "the last states are batch × units, of a GRU only h");
    let saves = saved.is_some();
    let mut saved = saved.unwrap_or_default();
    let all = sizes.steps() * (width + (1 + cell.extras()) * units);
    assert!(!saves || saved.len() == all, "what is saved has its place");
    for (state, initial) in [(&mut *h, sequence.initial[0]), (&mut *c, sequence.initial[1])] {
        match initial {
            Some(initial) if !state.is_empty() => state.copy_from_slice(initial),
            _ => state.fill(R::ZERO),
        }
    }
    if sizes.state() == 0 {
        return;
    }
    let mut rest = scratch;
    let gates = next(if saves { &mut saved } else { &mut rest }, sizes.steps() * width);
    let (before, extra) = saved.split_at_mut(if saves { sizes.steps() * units } else { 0 });
    let zeros = next(&mut rest, 2 * width);
    let laid = next(&mut rest, units * width);
    let inner = next(&mut rest, batch * width);
    let reset = next(&mut rest, sizes.state());
    outer(sequence, sizes, gates, rest);
    zeros.fill(R::ZERO);
    let (outer_bias, inner_bias) = sequence.bias.map_or((&zeros[..width], None), |bias| {
        let (outer, inner) = bias.split_at(width);
        (outer, (cell.biases() == 2).then_some(inner))
    });
    let resets_before = cell == Cell::Gru { reset_after: false };
    let first = if resets_before { 2 * units } else { width };
    let (laid, laid_second) = laid.split_at_mut(units * first);
    let recurrent = sequence.recurrent_kernel;
    let second = resets_before.then(|| Weights::new(recurrent, false, first, [units, units], sizes, laid_second));
    let shared = Shared {
        sequence,
        sizes,
        weights: Weights::new(recurrent, false, 0, [units, first], sizes, laid),
        second,
        bias: [outer_bias, inner_bias.unwrap_or(&zeros[width..])],
        saves,
    };
    let c = if cell == Cell::Lstm { c } else { reset };
    let out_pitch = outputs.len() / batch;
    let [gates, before, extra, inner] = [gates, before, extra, inner].map(Parts::new);
    let [h, c, outputs] = [h, c, outputs].map(Parts::new);
    let own = bytemuck::cast_slice_mut::<R, u8>(rest);
    for_groups(sizes, own, &|first, count, room| {
        let kept = |pitch: usize, is: bool| if is { (first * pitch, count * pitch) } else { (0, 0) };
        let rows = {
            let (before_at, before_len) = kept(time * units, saves);
            let (extra_at, extra_len) = kept(time * units, saves && cell.extras() == 1);
            // SAFETY: each row of the batch is in one group, which is run once, and these are of its rows.
            #[allow(unsafe_code)]
            unsafe {
                Rows {
                    mask: sequence.mask.map(|mask| &mask[first * time..][..count * time]),
                    gates: gates.part(first * time * width..(first + count) * time * width),
                    before: before.part(before_at..before_at + before_len),
                    extra: extra.part(extra_at..extra_at + extra_len),
                    inner: inner.part(first * width..(first + count) * width),
                    h: h.part(first * units..(first + count) * units),
                    c: c.part(first * units..(first + count) * units),
                    outputs: outputs.part(first * out_pitch..(first + count) * out_pitch),
                }
            }
        };
        shared.run(rows, room);
    });
}
