//! What a step does to the states between its products, forwards and backwards, in one pass over the units.

use crate::dispatch::{LANES, by_instruction_set};
use crate::matmul::Factor;
use crate::number::Number;
use crate::transcendental::Transcendental;

/// A step of some rows.
pub(super) struct Step<'a, R> {
    pub(super) units: usize,
    pub(super) time: usize,
    /// The input that is taken.
    pub(super) at: usize,
    /// Rows × time: rows that are 0 at this input are left as they are.
    pub(super) mask: Option<&'a [u8]>,
    /// Rows × time × gates·units: what x brings, and then the gates.
    pub(super) gates: &'a mut [R],
    /// Rows × gates·units: what h brings.
    pub(super) inner: &'a [R],
    /// What is added to the one and to the other.
    pub(super) bias: [&'a [R]; 2],
    /// Rows × units.
    pub(super) h: &'a mut [R],
    /// Rows × units: c or, of a GRU that resets before its product, r·h.
    pub(super) c: &'a mut [R],
    /// Rows × time × units: what r is multiplied by after the product.
    pub(super) factors: &'a mut [R],
    /// Whether the gradient will want to know the gates and factors.
    pub(super) saves: bool,
}

/// A step of some rows, backwards: gates, `before` and `extra` are what was saved.
pub(super) struct Back<'a, R> {
    pub(super) units: usize,
    pub(super) time: usize,
    pub(super) at: usize,
    pub(super) mask: Option<&'a [u8]>,
    pub(super) gates: &'a [R],
    /// Rows × time × units: h before the step.
    pub(super) before: &'a [R],
    /// Rows × time × units: c before the step, or what r was multiplied by.
    pub(super) extra: &'a [R],
    /// Rows × units: of h after the step without what `back` and `due` have, and then of h before it without `back`.
    pub(super) h: &'a mut [R],
    /// Rows × units: of c or, of a GRU that resets before its product, of r·h.
    pub(super) c: &'a mut [R],
    /// Rows × units: what the product of the step after this one brings back.
    pub(super) back: &'a [R],
    /// Rows × units: what the outputs bring, and then 0.
    pub(super) due: &'a mut [R],
    /// Rows × time × gates·units: of what x brings.
    pub(super) outer: &'a mut [R],
    /// The same of what h brings, where that differs; of a GRU that resets before its product r·h, rows × time × units.
    pub(super) inner: &'a mut [R],
}

/// The lanes from `at` on; zeros beyond `n` of them, unless all are there (`FULL`).
#[inline(always)]
fn load<R: Transcendental, const FULL: bool>(from: &[R], at: usize, n: usize) -> [R; LANES] {
    if FULL {
        return *from[at..].first_chunk().expect("a block lies in its row");
    }
    let mut lanes = [R::ZERO; LANES];
    lanes[..n].copy_from_slice(&from[at..at + n]);
    lanes
}

#[inline(always)]
fn store<R: Transcendental, const FULL: bool>(to: &mut [R], at: usize, n: usize, lanes: [R; LANES]) {
    if FULL {
        *to[at..].first_chunk_mut().expect("a block lies in its row") = lanes;
    } else {
        to[at..at + n].copy_from_slice(&lanes[..n]);
    }
}

/// An expression of each lane.
macro_rules! lanes {
    (|$lane:ident| $f:expr) => {{
        let mut lanes = [R::ZERO; LANES];
        for $lane in 0..LANES {
            lanes[$lane] = $f;
        }
        lanes
    }};
}

/// `a·b + c`.
#[inline(always)]
fn fma<R: Transcendental, const FUSED: bool>(a: R, b: R, c: R) -> R {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Runs `$block` for all blocks of lanes of the rows of a step that are not masked, and `$masked` for the others.
macro_rules! for_blocks {
    ($step:ident, $block:ident, |$row:ident| $masked:block) => {
        let units = $step.units;
        let whole = units / LANES * LANES;
        for $row in 0..$step.h.len() / units {
            if $step.mask.is_some_and(|mask| mask[$row * $step.time + $step.at] == 0) {
                $masked
                continue;
            }
            for first in (0..whole).step_by(LANES) {
                $block::<R, FUSED, true>(&mut $step, $row, first, LANES);
            }
            if whole < units {
                $block::<R, FUSED, false>(&mut $step, $row, whole, units - whole);
            }
        }
    };
}

#[inline(always)]
fn lstm_block<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Step<R>,
    row: usize,
    first: usize,
    n: usize,
) {
    let units = step.units;
    let gates = &mut step.gates[(row * step.time + step.at) * 4 * units..][..4 * units];
    let inner = &step.inner[row * 4 * units..][..4 * units];
    let (h, c) = (&mut step.h[row * units..][..units], &mut step.c[row * units..][..units]);
    let mut sums = [[R::ZERO; LANES]; 4];
    for (gate, sums) in sums.iter_mut().enumerate() {
        let at = gate * units + first;
        let (x, h) = (load::<R, FULL>(gates, at, n), load::<R, FULL>(inner, at, n));
        let bias = load::<R, FULL>(step.bias[0], at, n);
        *sums = lanes!(|j| x[j] + h[j] + bias[j]);
    }
    let before = load::<R, FULL>(c, first, n);
    let i = lanes!(|j| sums[0][j].sigmoid::<FUSED>());
    let f = lanes!(|j| sums[1][j].sigmoid::<FUSED>());
    let g = lanes!(|j| sums[2][j].tanh::<FUSED>());
    let o = lanes!(|j| sums[3][j].sigmoid::<FUSED>());
    let after = lanes!(|j| fma::<R, FUSED>(f[j], before[j], i[j] * g[j]));
    let out = lanes!(|j| o[j] * after[j].tanh::<FUSED>());
    store::<R, FULL>(c, first, n, after);
    store::<R, FULL>(h, first, n, out);
    if step.saves {
        for (gate, values) in [i, f, g, o].into_iter().enumerate() {
            store::<R, FULL>(gates, gate * units + first, n, values);
        }
    }
}

#[inline(always)]
fn lstm<R: Transcendental, const FUSED: bool>(mut step: Step<R>) {
    for_blocks!(step, lstm_block, |_row| {});
}

/// The sums of a gate of a GRU: of what x brings and of what h brings, each with its bias.
#[inline(always)]
fn gru_sums<R: Transcendental, const FULL: bool>(
    step: &Step<R>,
    row: usize,
    at: usize,
    n: usize,
) -> ([R; LANES], [R; LANES]) {
    let units = step.units;
    let x = load::<R, FULL>(&step.gates[(row * step.time + step.at) * 3 * units..][..3 * units], at, n);
    let h = load::<R, FULL>(&step.inner[row * 3 * units..][..3 * units], at, n);
    let (x_bias, h_bias) = (load::<R, FULL>(step.bias[0], at, n), load::<R, FULL>(step.bias[1], at, n));
    (lanes!(|j| x[j] + x_bias[j]), lanes!(|j| h[j] + h_bias[j]))
}

/// z·h + (1 − z)·g.
#[inline(always)]
fn mix<R: Transcendental, const FUSED: bool>(z: R, h: R, g: R) -> R {
    fma::<R, FUSED>(z, h, (R::ONE - z) * g)
}

#[inline(always)]
fn gru_after_block<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Step<R>,
    row: usize,
    first: usize,
    n: usize,
) {
    let units = step.units;
    let (x, h) = gru_sums::<R, FULL>(step, row, first, n);
    let z = lanes!(|j| (x[j] + h[j]).sigmoid::<FUSED>());
    let (x, h) = gru_sums::<R, FULL>(step, row, units + first, n);
    let r = lanes!(|j| (x[j] + h[j]).sigmoid::<FUSED>());
    let (x, factors) = gru_sums::<R, FULL>(step, row, 2 * units + first, n);
    let g = lanes!(|j| fma::<R, FUSED>(r[j], factors[j], x[j]).tanh::<FUSED>());
    let h = &mut step.h[row * units..][..units];
    let before = load::<R, FULL>(h, first, n);
    store::<R, FULL>(h, first, n, lanes!(|j| mix::<R, FUSED>(z[j], before[j], g[j])));
    if step.saves {
        let place = row * step.time + step.at;
        let gates = &mut step.gates[place * 3 * units..][..3 * units];
        for (gate, values) in [z, r, g].into_iter().enumerate() {
            store::<R, FULL>(gates, gate * units + first, n, values);
        }
        store::<R, FULL>(&mut step.factors[place * units..][..units], first, n, factors);
    }
}

#[inline(always)]
fn gru_after<R: Transcendental, const FUSED: bool>(mut step: Step<R>) {
    for_blocks!(step, gru_after_block, |_row| {});
}

#[inline(always)]
fn gru_reset_block<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Step<R>,
    row: usize,
    first: usize,
    n: usize,
) {
    let units = step.units;
    let (x, h) = gru_sums::<R, FULL>(step, row, first, n);
    let z = lanes!(|j| (x[j] + h[j]).sigmoid::<FUSED>());
    let (x, h) = gru_sums::<R, FULL>(step, row, units + first, n);
    let r = lanes!(|j| (x[j] + h[j]).sigmoid::<FUSED>());
    let before = load::<R, FULL>(&step.h[row * units..][..units], first, n);
    store::<R, FULL>(&mut step.c[row * units..][..units], first, n, lanes!(|j| r[j] * before[j]));
    let gates = &mut step.gates[(row * step.time + step.at) * 3 * units..][..3 * units];
    store::<R, FULL>(gates, first, n, z);
    store::<R, FULL>(gates, units + first, n, r);
}

#[inline(always)]
fn gru_reset<R: Transcendental, const FUSED: bool>(mut step: Step<R>) {
    for_blocks!(step, gru_reset_block, |_row| {});
}

#[inline(always)]
fn gru_before_block<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Step<R>,
    row: usize,
    first: usize,
    n: usize,
) {
    let units = step.units;
    let (x, inner) = gru_sums::<R, FULL>(step, row, 2 * units + first, n);
    let g = lanes!(|j| (x[j] + inner[j]).tanh::<FUSED>());
    let gates = &mut step.gates[(row * step.time + step.at) * 3 * units..][..3 * units];
    let z = load::<R, FULL>(gates, first, n);
    let h = &mut step.h[row * units..][..units];
    let before = load::<R, FULL>(h, first, n);
    store::<R, FULL>(h, first, n, lanes!(|j| mix::<R, FUSED>(z[j], before[j], g[j])));
    store::<R, FULL>(gates, 2 * units + first, n, g);
}

#[inline(always)]
fn gru_before<R: Transcendental, const FUSED: bool>(mut step: Step<R>) {
    for_blocks!(step, gru_before_block, |_row| {});
}

/// What is due to h: of what is left of the step after, of its product, and of the outputs.
#[inline(always)]
fn due<R: Transcendental, const FULL: bool>(step: &mut Back<R>, row: usize, first: usize, n: usize) -> [R; LANES] {
    let at = row * step.units + first;
    let (h, back) = (load::<R, FULL>(step.h, at, n), load::<R, FULL>(step.back, at, n));
    let due = load::<R, FULL>(step.due, at, n);
    store::<R, FULL>(step.due, at, n, [R::ZERO; LANES]);
    lanes!(|j| (h[j] + back[j]) + due[j])
}

/// The slope of a sigmoid, by its value, times what is due to it.
#[inline(always)]
fn of_sigmoid<R: Transcendental>(value: R, due: R) -> R {
    due * (value * (R::ONE - value))
}

/// The slope of tanh, by its value, times what is due to it.
#[inline(always)]
fn of_tanh<R: Transcendental, const FUSED: bool>(value: R, due: R) -> R {
    due * fma::<R, FUSED>(-value, value, R::ONE)
}

/// A masked step: the states were those before it, and the inputs had no part in them. Of each step `outer` has so many
/// gates, and `inner` so many.
#[inline(always)]
fn pass<R: Transcendental>(step: &mut Back<R>, row: usize, gates: usize, others: usize) {
    let (units, place) = (step.units, row * step.time + step.at);
    let (width, inner) = (gates * units, others * units);
    for (h, &back) in step.h[row * units..][..units].iter_mut().zip(&step.back[row * units..][..units]) {
        *h = *h + back;
    }
    step.outer[place * width..][..width].fill(R::ZERO);
    step.inner[place * inner..][..inner].fill(R::ZERO);
}

#[inline(always)]
fn lstm_back_block<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Back<R>,
    row: usize,
    first: usize,
    n: usize,
) {
    let (units, place) = (step.units, row * step.time + step.at);
    let gates = &step.gates[place * 4 * units..][..4 * units];
    let [i, f, g, o] = std::array::from_fn(|gate| load::<R, FULL>(gates, gate * units + first, n));
    let before = load::<R, FULL>(&step.extra[place * units..][..units], first, n);
    let of_h = due::<R, FULL>(step, row, first, n);
    let at = row * units + first;
    let of_c = load::<R, FULL>(step.c, at, n);
    let tanh = lanes!(|j| fma::<R, FUSED>(f[j], before[j], i[j] * g[j]).tanh::<FUSED>());
    let of_o = lanes!(|j| of_sigmoid(o[j], of_h[j] * tanh[j]));
    let of_c = lanes!(|j| of_c[j] + of_tanh::<R, FUSED>(tanh[j], of_h[j] * o[j]));
    let of_i = lanes!(|j| of_sigmoid(i[j], of_c[j] * g[j]));
    let of_f = lanes!(|j| of_sigmoid(f[j], of_c[j] * before[j]));
    let of_g = lanes!(|j| of_tanh::<R, FUSED>(g[j], of_c[j] * i[j]));
    store::<R, FULL>(step.c, at, n, lanes!(|j| of_c[j] * f[j]));
    store::<R, FULL>(step.h, at, n, [R::ZERO; LANES]);
    let outer = &mut step.outer[place * 4 * units..][..4 * units];
    for (gate, values) in [of_i, of_f, of_g, of_o].into_iter().enumerate() {
        store::<R, FULL>(outer, gate * units + first, n, values);
    }
}

#[inline(always)]
fn lstm_back<R: Transcendental, const FUSED: bool>(mut step: Back<R>) {
    for_blocks!(step, lstm_back_block, |row| { pass(&mut step, row, 4, 0) });
}

/// What is due to the sums of z and g, and what h before the step has of h after it.
#[inline(always)]
fn gru_of_mix<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Back<R>,
    row: usize,
    first: usize,
    n: usize,
) -> ([R; LANES], [R; LANES]) {
    let (units, place) = (step.units, row * step.time + step.at);
    let gates = &step.gates[place * 3 * units..][..3 * units];
    let (z, g) = (load::<R, FULL>(gates, first, n), load::<R, FULL>(gates, 2 * units + first, n));
    let before = load::<R, FULL>(&step.before[place * units..][..units], first, n);
    let of_h = due::<R, FULL>(step, row, first, n);
    let of_z = lanes!(|j| of_sigmoid(z[j], of_h[j] * (before[j] - g[j])));
    let of_g = lanes!(|j| of_tanh::<R, FUSED>(g[j], of_h[j] * (R::ONE - z[j])));
    store::<R, FULL>(step.h, row * units + first, n, lanes!(|j| of_h[j] * z[j]));
    let outer = &mut step.outer[place * 3 * units..][..3 * units];
    store::<R, FULL>(outer, first, n, of_z);
    store::<R, FULL>(outer, 2 * units + first, n, of_g);
    (of_z, of_g)
}

#[inline(always)]
fn gru_after_back_block<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Back<R>,
    row: usize,
    first: usize,
    n: usize,
) {
    let (units, place) = (step.units, row * step.time + step.at);
    let (of_z, of_g) = gru_of_mix::<R, FUSED, FULL>(step, row, first, n);
    let r = load::<R, FULL>(&step.gates[place * 3 * units..][..3 * units], units + first, n);
    let factors = load::<R, FULL>(&step.extra[place * units..][..units], first, n);
    let of_r = lanes!(|j| of_sigmoid(r[j], of_g[j] * factors[j]));
    store::<R, FULL>(&mut step.outer[place * 3 * units..][..3 * units], units + first, n, of_r);
    let inner = &mut step.inner[place * 3 * units..][..3 * units];
    for (gate, values) in [of_z, of_r, lanes!(|j| of_g[j] * r[j])].into_iter().enumerate() {
        store::<R, FULL>(inner, gate * units + first, n, values);
    }
}

#[inline(always)]
fn gru_after_back<R: Transcendental, const FUSED: bool>(mut step: Back<R>) {
    for_blocks!(step, gru_after_back_block, |row| { pass(&mut step, row, 3, 3) });
}

#[inline(always)]
fn gru_before_back_block<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Back<R>,
    row: usize,
    first: usize,
    n: usize,
) {
    gru_of_mix::<R, FUSED, FULL>(step, row, first, n);
}

#[inline(always)]
fn gru_before_back<R: Transcendental, const FUSED: bool>(mut step: Back<R>) {
    for_blocks!(step, gru_before_back_block, |row| { pass(&mut step, row, 3, 1) });
}

#[inline(always)]
fn gru_reset_back_block<R: Transcendental, const FUSED: bool, const FULL: bool>(
    step: &mut Back<R>,
    row: usize,
    first: usize,
    n: usize,
) {
    let (units, place, at) = (step.units, row * step.time + step.at, row * step.units + first);
    let r = load::<R, FULL>(&step.gates[place * 3 * units..][..3 * units], units + first, n);
    let before = load::<R, FULL>(&step.before[place * units..][..units], first, n);
    let (of_h, of_reset) = (load::<R, FULL>(step.h, at, n), load::<R, FULL>(step.c, at, n));
    store::<R, FULL>(step.h, at, n, lanes!(|j| fma::<R, FUSED>(of_reset[j], r[j], of_h[j])));
    let of_r = lanes!(|j| of_sigmoid(r[j], of_reset[j] * before[j]));
    store::<R, FULL>(&mut step.outer[place * 3 * units..][..3 * units], units + first, n, of_r);
    let reset = lanes!(|j| r[j] * before[j]);
    store::<R, FULL>(&mut step.inner[place * units..][..units], first, n, reset);
}

#[inline(always)]
fn gru_reset_back<R: Transcendental, const FUSED: bool>(mut step: Back<R>) {
    for_blocks!(step, gru_reset_back_block, |_row| {});
}

/// The passes of a type that recurrences are computed in.
pub(super) trait Steps: Transcendental + Factor<Term = Self> + Number + Send {
    fn lstm(step: Step<Self>);
    /// A GRU that resets after its product.
    fn gru_after(step: Step<Self>);
    /// Of a GRU that resets before its second product: z, r and what is multiplied.
    fn gru_reset(step: Step<Self>);
    /// The rest of it.
    fn gru_before(step: Step<Self>);
    fn lstm_back(step: Back<Self>);
    fn gru_after_back(step: Back<Self>);
    /// What [`gru_before`](Self::gru_before) did, backwards.
    fn gru_before_back(step: Back<Self>);
    fn gru_reset_back(step: Back<Self>);
}

macro_rules! steps {
    ($($t:ty),*) => {
        $(impl Steps for $t {
            by_instruction_set!(fn lstm(step: Step<$t>) = lstm::<$t>);
            by_instruction_set!(fn gru_after(step: Step<$t>) = gru_after::<$t>);
            by_instruction_set!(fn gru_reset(step: Step<$t>) = gru_reset::<$t>);
            by_instruction_set!(fn gru_before(step: Step<$t>) = gru_before::<$t>);
            by_instruction_set!(fn lstm_back(step: Back<$t>) = lstm_back::<$t>);
            by_instruction_set!(fn gru_after_back(step: Back<$t>) = gru_after_back::<$t>);
            by_instruction_set!(fn gru_before_back(step: Back<$t>) = gru_before_back::<$t>);
            by_instruction_set!(fn gru_reset_back(step: Back<$t>) = gru_reset_back::<$t>);
        })*
    };
}
steps!(f32, f64);
