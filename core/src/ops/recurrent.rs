//! LSTM and GRU over a whole sequence.

use super::fused::{Fused, fused_all};
use crate::dtype::dispatch;
use crate::op::{
    Backward, Input, Op, Scratch, View, ViewMut, allowed, elements, same_dtype, scope, unsupported, with_rank,
};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Gradients, Recurrence as Kernel, Sequence, Sizes};

pub use modulor_kernels::Cell;

/// A sequence taken through all steps of an LSTM or a GRU, with tanh and, of gates, the sigmoid.
///
/// ```
/// use modulor_core::Tensor;
/// use modulor_core::ops::recurrent::{Cell, Recurrence, Weights};
/// # fn main() -> modulor_core::Result<()> {
/// let recurrence = Recurrence { cell: Cell::Lstm, zero_masked: false, backwards: false, all_outputs: true };
/// let (x, kernel) = (Tensor::from([[[1.0], [2.0]]]), Tensor::from([[0.5; 4]]));
/// let (recurrent_kernel, zeros) = (Tensor::from([[0.25; 4]]), Tensor::from([[0.0]]));
/// let weights = Weights { kernel: &kernel, recurrent_kernel: &recurrent_kernel, bias: None };
/// let (outputs, states) = recurrence.call(&x, weights, &[&zeros, &zeros], None)?;
/// assert_eq!(*outputs.shape(), [1, 2, 1]);
/// assert_eq!(outputs.to_vec::<f64>()?[1], states[0].to_vec::<f64>()?[0]);
/// assert!((states[1].to_vec::<f64>()?[0] - 0.789).abs() < 1e-3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrence {
    /// What a row goes through at a step.
    pub cell: Cell,
    /// Whether the output of a masked step is zeros, and not that of the step before.
    pub zero_masked: bool,
    /// Whether the last input is taken first. The outputs are in the order of the steps then, not of the inputs.
    pub backwards: bool,
    /// Whether there is an output of every step, `[batch, time, units]`, or of the last alone, `[batch, units]`.
    pub all_outputs: bool,
}

/// What the inputs and the states of a [`Recurrence`] are multiplied by, and what is added.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `[features, gates·units]`
    pub kernel: &'a Tensor,
    /// `[units, gates·units]`
    pub recurrent_kernel: &'a Tensor,
    /// `[gates·units]`; of a GRU with `reset_after` `[2, gates·units]`, first that for the inputs.
    pub bias: Option<&'a Tensor>,
}

impl Recurrence {
    /// The outputs, and the states after the last step, of inputs `[batch, time, features]` and the states before the first
    /// step, each `[batch, units]`: h and, of an LSTM, c.
    ///
    /// All are of one float dtype, and `mask` too, `[batch, time]`: 0 where a row skips a step, which leaves the states as
    /// they are, with the output of the step before, zeros before all others; 1 elsewhere. There is at least one step. In a
    /// file it is its steps in tensor operations, one after the other, so that their number must be known; so is its gradient
    /// where a tape listens to that.
    pub fn call(
        self,
        x: &Tensor,
        weights: Weights,
        states: &[&Tensor],
        mask: Option<&Tensor>,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let inputs = [x, weights.kernel, weights.recurrent_kernel].into_iter().chain(states.iter().copied());
        let inputs: Vec<&Tensor> = inputs.chain(weights.bias).chain(mask).collect();
        let saves = scope::with(|scopes| !scopes.tapes.is_empty());
        let op = Recur { settings: self, bias: weights.bias.is_some(), mask: mask.is_some(), saves };
        let mut outputs = fused_all(op, &inputs)?;
        outputs.truncate(1 + self.cell.states());
        let states = outputs.split_off(1);
        outputs.pop().map(|output| (output, states)).ok_or_else(|| Error::internal("a recurrence gave no output"))
    }
}

/// The call, with what follows from its number of inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recur {
    pub(super) settings: Recurrence,
    pub(super) bias: bool,
    pub(super) mask: bool,
    /// Whether a last output is what the gradient needs of the steps, which it computes anew otherwise. In tensor operations
    /// there is none.
    pub(super) saves: bool,
}

/// The inputs of a call by what they are.
#[derive(Clone, Copy)]
struct Parts<T> {
    x: T,
    kernel: T,
    recurrent: T,
    h: T,
    c: Option<T>,
    bias: Option<T>,
    mask: Option<T>,
}

impl Recur {
    /// The inputs that it has.
    fn count(&self) -> usize {
        3 + self.settings.cell.states() + usize::from(self.bias) + usize::from(self.mask)
    }

    /// The first inputs by what they are, of which there are to be `others` more.
    fn parts<T: Copy>(&self, inputs: &[T], others: usize) -> Result<Parts<T>> {
        let expected = self.count() + others;
        let &[x, kernel, recurrent, h, ref rest @ ..] = inputs else {
            let message = format!("expected {expected} inputs, and {} were given", inputs.len());
            return Err(Error::invalid_argument(message));
        };
        if inputs.len() != expected {
            let message = format!("expected {expected} inputs, and {} were given", inputs.len());
            return Err(Error::invalid_argument(message));
        }
        let mut rest = rest.iter().copied();
        let mut next = |is_there: bool| if is_there { rest.next() } else { None };
        let c = next(self.settings.cell.states() == 2);
        let (bias, mask) = (next(self.bias), next(self.mask));
        Ok(Parts { x, kernel, recurrent, h, c, bias, mask })
    }

    /// The dtype and the dims of the inputs: batch, time and units.
    fn check(&self, parts: &Parts<Input>) -> Result<[Option<usize>; 3]> {
        let rank = |input: Input, rank, what| with_rank(&input.spec.shape, rank, what);
        let x = rank(parts.x, 3, "the inputs")?;
        let (kernel, recurrent) =
            (rank(parts.kernel, 2, "the kernel")?, rank(parts.recurrent, 2, "the recurrent kernel")?);
        let states = [Some(parts.h), parts.c]
            .into_iter()
            .flatten()
            .map(|state| rank(state, 2, "a state"))
            .collect::<Result<Vec<_>>>()?;
        let mask = parts.mask.map(|mask| rank(mask, 2, "the mask")).transpose()?;
        let dims = |axis: usize| states.iter().map(move |state| state.dim(axis));
        let batch = one("batch", [x.dim(0)].into_iter().chain(dims(0)).chain(mask.iter().map(|mask| mask.dim(0))))?;
        let time = one("time", [x.dim(1)].into_iter().chain(mask.iter().map(|mask| mask.dim(1))))?;
        one("features", [x.dim(2), kernel.dim(0)])?;
        let units = one("units", [recurrent.dim(0)].into_iter().chain(dims(1)))?;
        let cell = self.settings.cell;
        let width = units.map(|units| units * cell.gates());
        one("gates and units", [width, kernel.dim(1), recurrent.dim(1)])?;
        if let Some(bias) = parts.bias {
            let expected = match cell.biases() {
                1 => Shape::from([width]),
                rows => Shape::from([Some(rows), width]),
            };
            if !expected.is_compatible_with(&bias.spec.shape) {
                let message = format!("the bias must have shape {expected}, found {}", bias.spec.shape);
                return Err(Error::invalid_argument(message));
            }
        }
        match time {
            Some(0) => Err(Error::invalid_argument("a sequence has at least one step")),
            _ => Ok([batch, time, units]),
        }
    }

    /// The shapes of outputs and states.
    fn results(&self, [batch, time, units]: [Option<usize>; 3]) -> Vec<Shape> {
        let output = match self.settings.all_outputs {
            true => Shape::from([batch, time, units]),
            false => Shape::from([batch, units]),
        };
        let mut shapes = vec![Shape::from([batch, units]); 1 + self.settings.cell.states()];
        shapes[0] = output;
        shapes
    }

    /// What the gradient needs of the steps: as many numbers as follow from all dims.
    fn saved(&self, dtype: DType, features: Option<usize>, dims: [Option<usize>; 3]) -> Result<Spec> {
        let count = match (features, dims) {
            (Some(features), [Some(batch), Some(time), Some(units)]) => {
                let sizes = Sizes { cell: self.settings.cell, batch, time, features, units };
                Some(dispatch!(dtype, float T => T::recur_saved(sizes), else => return Err(unsupported(dtype))))
            }
            _ => None,
        };
        Ok(Spec::new(if dtype == DType::F64 { DType::F64 } else { DType::F32 }, [count]))
    }

    fn sizes(&self, parts: &Parts<View>) -> Sizes {
        let (x, recurrent) = (parts.x.dims(), parts.recurrent.dims());
        Sizes { cell: self.settings.cell, batch: x[0], time: x[1], features: x[2], units: recurrent[0] }
    }

    /// The words of scratch that [`with_sequence`](Recur::with_sequence) uses.
    fn room(&self, parts: &Parts<View>) -> usize {
        let dense = [Some(parts.h), parts.c, parts.bias].into_iter().flatten().map(|view| view.dense_room());
        dense.sum::<usize>() + parts.mask.map_or(0, |mask| words::<u8>(mask.len()))
    }

    /// Runs `f` with the sequence and the room that is left.
    fn with_sequence<T: Kernel>(
        &self,
        parts: &Parts<View>,
        room: &mut [u128],
        f: impl FnOnce(&Sequence<T>, &mut [u128]) -> Result<()>,
    ) -> Result<()> {
        let (h, room) = parts.h.dense::<T>(room)?;
        let (c, room) = dense_part::<T>(parts.c, room)?;
        let (bias, room) = dense_part::<T>(parts.bias, room)?;
        let (own, room) = room.split_at_mut(parts.mask.map_or(0, |mask| words::<u8>(mask.len())));
        let mask = match parts.mask {
            Some(mask) => {
                let own: &mut [u8] = &mut bytemuck::cast_slice_mut(own)[..mask.len()];
                modulor_kernels::cast::<T, u8>(mask.elements()?, own);
                Some(&*own)
            }
            None => None,
        };
        let Recurrence { cell, zero_masked, backwards, all_outputs } = self.settings;
        let sequence = Sequence {
            cell,
            x: parts.x.elements()?,
            kernel: parts.kernel.elements()?,
            recurrent_kernel: parts.recurrent.elements()?,
            bias,
            initial: [Some(h), c],
            mask,
            zero_masked,
            backwards,
            all_outputs,
        };
        f(&sequence, room)
    }
}

/// The one value of a dim, as far as it is known.
pub(super) fn one(what: &str, found: impl IntoIterator<Item = Option<usize>>) -> Result<Option<usize>> {
    let mut known = found.into_iter().flatten();
    let Some(first) = known.next() else { return Ok(None) };
    match known.find(|&dim| dim != first) {
        None => Ok(Some(first)),
        Some(other) => Err(Error::invalid_argument(format!("the inputs disagree on {what}: {first} and {other}"))),
    }
}

/// The words of scratch that so many elements take.
fn words<T>(count: usize) -> usize {
    (count * size_of::<T>()).div_ceil(size_of::<u128>())
}

fn dense_part<'r, T: Kernel>(
    view: Option<View<'r>>,
    room: &'r mut [u128],
) -> Result<(Option<&'r [T]>, &'r mut [u128])> {
    match view {
        Some(view) => view.dense(room).map(|(own, rest)| (Some(own), rest)),
        None => Ok((None, room)),
    }
}

/// The operations of all steps: both products, and some ten for each gate.
fn of_steps(inputs: &[Spec]) -> u64 {
    let [x, kernel, recurrent, ..] = inputs else { return 0 };
    let dim = |axis: usize| x.shape.dim(axis).unwrap_or(0) as u64;
    let gates = recurrent.shape.dim(1).unwrap_or(0) as u64;
    dim(0) * dim(1) * (2 * elements(kernel) + 2 * elements(recurrent) + 10 * gates)
}

impl Op for Recur {
    fn name(&self) -> &'static str {
        "recurrence"
    }
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        of_steps(inputs)
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let parts = self.parts(inputs, 0)?;
        let dtype = allowed(same_dtype(inputs)?, DType::is_float, "floats")?;
        let dims = self.check(&parts)?;
        let mut specs: Vec<Spec> = self.results(dims).into_iter().map(|shape| Spec::new(dtype, shape)).collect();
        if self.saves {
            specs.push(self.saved(dtype, parts.x.spec.shape.dim(2), dims)?);
        }
        Ok(specs)
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let Ok(parts) = self.parts(inputs, 0) else { return 0 };
        let own = dispatch!(parts.x.dtype(), float T => {
            words::<<T as Kernel>::Wide>(T::recur_scratch(self.sizes(&parts), self.saves))
        }, else => 0);
        (self.room(&parts) + own) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let parts = self.parts(inputs, 0)?;
        let [output, h, rest @ ..] = outputs else {
            return Err(Error::internal("an output and a state were inferred"));
        };
        dispatch!(parts.x.dtype(), float T => {
            let wanted = T::recur_scratch(self.sizes(&parts), self.saves);
            let room = scratch.take::<u128>(self.room(&parts) + words::<<T as Kernel>::Wide>(wanted))?;
            self.with_sequence::<T>(&parts, room, |sequence, room| {
                let mut rest = rest.iter_mut();
                let c = if self.settings.cell.states() == 2 { rest.next() } else { None };
                let c = c.map_or(Ok(&mut [][..]), ViewMut::elements)?;
                let saved = rest.next().map(ViewMut::elements).transpose()?;
                T::recur(sequence, output.elements()?, [h.elements()?, c], saved, bytemuck::cast_slice_mut(room));
                Ok(())
            })
        }, else => Err(unsupported(parts.x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (results, saved) = (1 + self.settings.cell.states(), self.saves.then(|| b.output(b.dys().len() - 1)));
        let inputs: Vec<&Tensor> = b.inputs().iter().chain(&b.dys()[..results]).chain(saved).collect();
        let op = RecurGrad { of: *self, sequence: b.needs(0) };
        let found = fused_all(op, &inputs)?.into_iter().map(Some);
        let sequence = (!op.sequence).then_some(None);
        Ok(sequence.into_iter().chain(found).chain(self.mask.then_some(None)).collect())
    }
}

/// A step in tensor operations, with what its gradient needs.
struct Step {
    /// The input that is taken.
    at: i64,
    /// i, f, g, o or z, r, g.
    gates: Vec<Tensor>,
    before: Tensor,
    /// The c before the step, or what r is multiplied by, or r·h.
    extra: Tensor,
    /// `[batch, 1]`, false where it is masked.
    kept: Option<Tensor>,
}

/// `a` in rows where it is kept, `b` in the others.
fn kept(kept: Option<&Tensor>, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    kept.map_or_else(|| Ok(a.clone()), |kept| kept.select(a, b))
}

impl Recur {
    /// All steps, the outputs of each, and the states after them.
    fn steps(&self, parts: &Parts<&Tensor>) -> Result<(Vec<Step>, Vec<Tensor>, Vec<Tensor>)> {
        let time = parts.x.shape().dim(1).or_else(|| parts.mask?.shape().dim(1));
        let time = time.ok_or_else(|| Error::invalid_argument("the number of steps must be known, and is not"))? as i64;
        let Recurrence { cell, zero_masked, backwards, .. } = self.settings;
        let (outer_bias, inner_bias) = match (cell, parts.bias) {
            (_, None) => (None, None),
            (Cell::Gru { reset_after: true }, Some(bias)) => (Some(bias.slice(0)?), Some(bias.slice(1)?)),
            (_, Some(bias)) => (Some(bias.clone()), None),
        };
        let plus = |x: Tensor, bias: &Option<Tensor>| bias.as_ref().map_or_else(|| Ok(x.clone()), |bias| x.add(bias));
        let outer = plus(parts.x.matmul(parts.kernel)?, &outer_bias)?;
        let kept_steps = parts.mask.map(|mask| mask.greater_equal(1.0)).transpose()?;
        let (mut h, mut c) = (parts.h.clone(), parts.c.cloned());
        let mut output = h.zeros_like()?;
        let (mut steps, mut outputs) = (Vec::new(), Vec::new());
        for step in 0..time {
            let at = if backwards { time - 1 - step } else { step };
            let x = outer.slice((.., at))?;
            let before = h.clone();
            let (gates, extra, after, carry) = match (cell, &c) {
                (Cell::Lstm, Some(c)) => {
                    let sums = x.add(h.matmul(parts.recurrent)?)?.split(4, 1)?;
                    let [i, f, g, o] = [sums[0].sigmoid()?, sums[1].sigmoid()?, sums[2].tanh()?, sums[3].sigmoid()?];
                    let carry = (&f * c).add(&i * &g)?;
                    let after = o.mul(carry.tanh()?)?;
                    (vec![i, f, g, o], c.clone(), after, Some(carry))
                }
                (Cell::Gru { reset_after: true }, _) => {
                    let (x, inner) = (x.split(3, 1)?, plus(h.matmul(parts.recurrent)?, &inner_bias)?.split(3, 1)?);
                    let (z, r) = (x[0].add(&inner[0])?.sigmoid()?, x[1].add(&inner[1])?.sigmoid()?);
                    let g = x[2].add(&r * &inner[2])?.tanh()?;
                    let after = (&z * &h).add((1.0 - &z) * &g)?;
                    (vec![z, r, g], inner[2].clone(), after, None)
                }
                (Cell::Gru { reset_after: false }, _) => {
                    let (x, kernels) = (x.split(3, 1)?, parts.recurrent.split(3, 1)?);
                    let gate = |k: usize| x[k].add(h.matmul(&kernels[k])?)?.sigmoid();
                    let (z, r) = (gate(0)?, gate(1)?);
                    let reset = r.mul(&h)?;
                    let g = x[2].add(reset.matmul(&kernels[2])?)?.tanh()?;
                    let after = (&z * &h).add((1.0 - &z) * &g)?;
                    (vec![z, r, g], reset, after, None)
                }
                (Cell::Lstm, None) => return Err(Error::internal("an LSTM has two states")),
            };
            let own = kept_steps.as_ref().map(|kept| kept.slice((.., at..at + 1))).transpose()?;
            let otherwise = if zero_masked { output.zeros_like()? } else { output };
            output = kept(own.as_ref(), &after, &otherwise)?;
            h = kept(own.as_ref(), &after, &before)?;
            c = match (c, carry) {
                (Some(c), Some(carry)) => Some(kept(own.as_ref(), &carry, &c)?),
                _ => None,
            };
            outputs.push(output.clone());
            steps.push(Step { at, gates, before, extra, kept: own });
        }
        Ok((steps, outputs, [h].into_iter().chain(c).collect()))
    }
}

impl Fused for Recur {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (_, mut outputs, states) = self.steps(&self.parts(inputs, 0)?)?;
        let output = match self.settings.all_outputs {
            true => Tensor::stack(&outputs, 1)?,
            false => outputs.pop().ok_or_else(|| Error::invalid_argument("a sequence has at least one step"))?,
        };
        // Whose gradient, as a body, reads nothing of what is saved.
        let saved = self.saves.then(|| Tensor::zeros([], inputs[0].dtype())).transpose()?;
        Ok([output].into_iter().chain(states).chain(saved).collect())
    }
}

/// The gradients of a [`Recur`], of its inputs but the mask and perhaps the sequence; its inputs, what arrives at its outputs,
/// and what it saved.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecurGrad {
    pub(super) of: Recur,
    /// Whether there is one of the sequence, which nobody may need where it is data.
    pub(super) sequence: bool,
}

impl RecurGrad {
    /// What arrives at the outputs and the states.
    fn due<'a, T>(&self, inputs: &'a [T]) -> &'a [T] {
        &inputs[self.of.count()..self.given(inputs)]
    }

    /// The inputs but what was saved.
    fn given<T>(&self, inputs: &[T]) -> usize {
        inputs.len() - usize::from(self.of.saves)
    }

    /// The inputs that have a gradient.
    fn smooth(&self) -> std::ops::Range<usize> {
        usize::from(!self.sequence)..self.of.count() - usize::from(self.of.mask)
    }

    /// The elements of the wide types' scratch: what is saved, and the rest.
    fn wide<T: Kernel>(&self, sizes: Sizes) -> [usize; 2] {
        let gradient = T::recur_gradient_scratch(sizes);
        if self.of.saves { [0, gradient] } else { [T::recur_saved(sizes), gradient.max(T::recur_scratch(sizes, true))] }
    }

    /// The elements of the results, which are computed anew.
    fn results(&self, sizes: Sizes) -> [usize; 2] {
        let state = if self.of.saves { 0 } else { sizes.batch * sizes.units };
        [if self.of.settings.all_outputs { state * sizes.time } else { state }, state]
    }

    fn words<T: Kernel>(&self, inputs: &[View], parts: &Parts<View>) -> usize {
        let sizes = self.of.sizes(parts);
        let [saved, wide] = self.wide::<T>(sizes);
        let [output, state] = self.results(sizes);
        let due: usize = inputs[self.of.count()..].iter().map(View::dense_room).sum();
        due + self.of.room(parts)
            + words::<T>(output)
            + 2 * words::<T>(state)
            + words::<T::Wide>(saved)
            + words::<T::Wide>(wide)
    }
}

/// The next so many elements of room, and the rest.
fn next<T: bytemuck::Pod>(room: &mut [u128], count: usize) -> (&mut [T], &mut [u128]) {
    let (own, rest) = room.split_at_mut(words::<T>(count));
    (&mut bytemuck::cast_slice_mut(own)[..count], rest)
}

impl Op for RecurGrad {
    fn name(&self) -> &'static str {
        "recurrence_grad"
    }
    fn flops(&self, inputs: &[Spec], _: &[Spec]) -> u64 {
        // The gradients of what goes in and of the kernels are a product each.
        let sequence = match (self.sequence, inputs) {
            (false, [x, kernel, ..]) => 2 * elements(x) * kernel.shape.dim(1).unwrap_or(0) as u64,
            _ => 0,
        };
        (2 * of_steps(inputs)).saturating_sub(sequence)
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let results = 1 + self.of.settings.cell.states();
        if inputs.len() != self.of.count() + results + usize::from(self.of.saves) {
            return Err(Error::invalid_argument("a gradient takes inputs, and what arrives at the outputs"));
        }
        let parts = self.of.parts(&inputs[..self.of.count()], 0)?;
        let dtype = allowed(same_dtype(&inputs[..self.given(inputs)])?, DType::is_float, "floats")?;
        let dims = self.of.check(&parts)?;
        if self.of.saves {
            let expected = self.of.saved(dtype, parts.x.spec.shape.dim(2), dims)?;
            let found = inputs[inputs.len() - 1].spec;
            if found.dtype != expected.dtype || !found.shape.is_compatible_with(&expected.shape) {
                return Err(Error::invalid_argument(format!("what was saved is {expected}, found {found}")));
            }
        }
        let due = self.due(inputs);
        let fits = |(due, shape): (&Input, Shape)| due.spec.shape.is_compatible_with(&shape);
        if !due.iter().zip(self.of.results(dims)).all(fits) {
            return Err(Error::invalid_argument("what arrives at the outputs must have their shapes"));
        }
        Ok(inputs[self.smooth()].iter().map(|input| Spec::new(dtype, &input.spec.shape)).collect())
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let Ok(parts) = self.of.parts(&inputs[..self.of.count()], 0) else { return 0 };
        let words = dispatch!(parts.x.dtype(), float T => self.words::<T>(inputs, &parts), else => 0);
        words * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let parts = self.of.parts(&inputs[..self.of.count()], 0)?;
        let (x, outputs) = outputs.split_at_mut(usize::from(self.sequence));
        let [kernel, recurrent, h, rest @ ..] = outputs else {
            return Err(Error::internal("a gradient of each input was inferred"));
        };
        let [due, due_h, due_rest @ ..] = self.due(inputs) else {
            return Err(Error::internal("inference lets through what arrives at each output"));
        };
        let is_lstm = self.of.settings.cell == Cell::Lstm;
        dispatch!(parts.x.dtype(), float T => {
            let sizes = self.of.sizes(&parts);
            let ([saved, wide], [output, state]) = (self.wide::<T>(sizes), self.results(sizes));
            let room = scratch.take::<u128>(self.words::<T>(inputs, &parts))?;
            let (due, room) = due.dense::<T>(room)?;
            let (due_h, room) = due_h.dense::<T>(room)?;
            let (due_c, room) = dense_part::<T>(due_rest.first().copied(), room)?;
            let given = if self.of.saves { inputs.last() } else { None };
            let (given, room) = match given {
                Some(given) => given.dense::<<T as Kernel>::Wide>(room).map(|(own, room)| (Some(own), room))?,
                None => (None, room),
            };
            self.of.with_sequence::<T>(&parts, room, |sequence, room| {
                let (output, room) = next::<T>(room, output);
                let (after_h, room) = next::<T>(room, state);
                let (after_c, room) = next::<T>(room, if is_lstm { state } else { 0 });
                let (own, room) = next::<<T as Kernel>::Wide>(room, saved);
                let (wide, _) = next::<<T as Kernel>::Wide>(room, wide);
                let saved = match given {
                    Some(given) => given,
                    None => {
                        T::recur(sequence, output, [after_h, after_c], Some(&mut *own), wide);
                        &*own
                    }
                };
                let mut rest = rest.iter_mut();
                let c = if is_lstm { rest.next().map(ViewMut::elements).transpose()? } else { None };
                let gradients = Gradients {
                    x: x.first_mut().map(ViewMut::elements).transpose()?,
                    kernel: Some(kernel.elements()?),
                    recurrent_kernel: Some(recurrent.elements()?),
                    bias: rest.next().map(ViewMut::elements).transpose()?,
                    initial: [Some(h.elements()?), c],
                };
                T::recur_gradient(sequence, saved, Some(due), [Some(due_h), due_c], gradients, wide);
                Ok(())
            })
        }, else => Err(unsupported(parts.x.dtype())))
    }
}

/// Of what a step brings: to the inputs' product, to that of h (where it is another), to h and c before it, and to the
/// recurrent kernel.
struct Back {
    outer: Tensor,
    inner: Option<Tensor>,
    h: Tensor,
    c: Option<Tensor>,
    recurrent: Tensor,
}

impl RecurGrad {
    /// A step backwards, of what is due to h and c after it: zeros in rows where it is masked.
    fn back(&self, step: &Step, recurrent: &Tensor, h: &Tensor, c: Option<&Tensor>) -> Result<Back> {
        let of_sigmoid = |value: &Tensor, due: Tensor| due * (value * (1.0 - value));
        let of_tanh = |value: &Tensor, due: Tensor| due * (1.0 - value * value);
        let (before, extra) = (&step.before, &step.extra);
        if let (Cell::Lstm, [i, f, g, o], Some(c)) = (self.of.settings.cell, &*step.gates, c) {
            let tanh = (f * extra + i * g).tanh()?;
            let c = c + of_tanh(&tanh, h * o);
            let sums = [of_sigmoid(i, &c * g), of_sigmoid(f, &c * extra), of_tanh(g, &c * i), of_sigmoid(o, h * &tanh)];
            let outer = Tensor::concat(&sums, 1)?;
            return Ok(Back {
                h: outer.matmul_with(recurrent, false, true)?,
                c: Some(c.mul(f)?),
                recurrent: before.matmul_with(&outer, true, false)?,
                inner: None,
                outer,
            });
        }
        let [z, r, g] = &*step.gates else { return Err(Error::internal("a GRU has three gates")) };
        let of_z = of_sigmoid(z, h * (before - g));
        let of_g = of_tanh(g, h * (1.0 - z));
        if self.of.settings.cell == (Cell::Gru { reset_after: true }) {
            let of_r = of_sigmoid(r, &of_g * extra);
            let inner = Tensor::concat(&[of_z.clone(), of_r.clone(), &of_g * r], 1)?;
            return Ok(Back {
                outer: Tensor::concat(&[of_z, of_r, of_g], 1)?,
                h: (h * z).add(inner.matmul_with(recurrent, false, true)?)?,
                c: None,
                recurrent: before.matmul_with(&inner, true, false)?,
                inner: Some(inner),
            });
        }
        let kernels = recurrent.split(3, 1)?;
        let of_reset = of_g.matmul_with(&kernels[2], false, true)?;
        let of_r = of_sigmoid(r, &of_reset * before);
        let back = |sum: &Tensor, k: usize| sum.matmul_with(&kernels[k], false, true);
        let forth = |left: &Tensor, sum: &Tensor| left.matmul_with(sum, true, false);
        Ok(Back {
            h: (h * z + of_reset * r).add(back(&of_z, 0)? + back(&of_r, 1)?)?,
            c: None,
            recurrent: Tensor::concat(&[forth(before, &of_z)?, forth(before, &of_r)?, forth(extra, &of_g)?], 1)?,
            inner: None,
            outer: Tensor::concat(&[of_z, of_r, of_g], 1)?,
        })
    }
}

impl Fused for RecurGrad {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let parts = self.of.parts(&inputs[..self.of.count()], 0)?;
        let [of_outputs, due_h, rest @ ..] = self.due(inputs) else {
            return Err(Error::invalid_argument("what arrives at the outputs is missing"));
        };
        let Recurrence { zero_masked, all_outputs, .. } = self.of.settings;
        let (steps, ..) = self.of.steps(&parts)?;
        let (mut h, mut c) = ((*due_h).clone(), rest.first().map(|&c| c.clone()));
        let zeros = h.zeros_like()?;
        // What is due to the output of the steps so far that were masked.
        let mut due = if all_outputs { zeros.clone() } else { (*of_outputs).clone() };
        let mut x = vec![zeros.clone(); steps.len()];
        let mut sums: Option<[Tensor; 4]> = None;
        for (number, step) in steps.iter().enumerate().rev() {
            if all_outputs {
                due = due.add(of_outputs.slice((.., number as i64))?)?;
            }
            let own = step.kept.as_ref();
            let of_h = kept(own, &(&h + &due), &zeros)?;
            let of_c = c.as_ref().map(|c| kept(own, c, &zeros)).transpose()?;
            due = match own {
                Some(own) if !zero_masked => own.select(&zeros, &due)?,
                _ => zeros.clone(),
            };
            let back = self.back(step, parts.recurrent, &of_h, of_c.as_ref())?;
            h = kept(own, &back.h, &h)?;
            c = match (c, back.c) {
                (Some(c), Some(before)) => Some(kept(own, &before, &c)?),
                _ => None,
            };
            if self.sequence {
                x[step.at as usize] = back.outer.matmul_with(parts.kernel, false, true)?;
            }
            let kernel = parts.x.slice((.., step.at))?.matmul_with(&back.outer, true, false)?;
            let inner = back.inner.as_ref().unwrap_or(&back.outer);
            let now = [kernel, back.recurrent, back.outer.sum(0)?, inner.sum(0)?];
            sums = Some(match sums {
                None => now,
                Some([kernel, recurrent, outer, inner]) => {
                    [kernel.add(&now[0])?, recurrent.add(&now[1])?, outer.add(&now[2])?, inner.add(&now[3])?]
                }
            });
        }
        let Some([kernel, recurrent, outer, inner]) = sums else {
            return Err(Error::invalid_argument("a sequence has at least one step"));
        };
        let bias = match (self.of.bias, self.of.settings.cell.biases()) {
            (false, _) => None,
            (true, 1) => Some(outer),
            (true, _) => Some(Tensor::stack(&[outer, inner], 0)?),
        };
        let x = self.sequence.then(|| Tensor::stack(&x, 1)).transpose()?;
        Ok(x.into_iter().chain([kernel, recurrent, h]).chain(c).chain(bias).collect())
    }
    fn differentiates(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::fused::recurrences;
    use super::*;
    use crate::{GradientTape, UnconnectedGradients, op::apply};

    /// The gradients of the sums of all results, of inputs in a dtype.
    fn gradients(of: Recur, inputs: &[Tensor]) -> Vec<Vec<f64>> {
        let tape = GradientTape::new();
        inputs.iter().for_each(|input| tape.watch(input));
        let results = tape.record(|| apply(of, &inputs.iter().collect::<Vec<_>>())).unwrap();
        let results = results.into_iter().take(1 + of.settings.cell.states());
        let targets: Vec<_> = results.map(|result| (result, None)).collect();
        let found = tape.gradients_with(&targets, inputs, UnconnectedGradients::Zero).unwrap();
        found.into_iter().flatten().map(|found| found.cast(DType::F64).unwrap().to_vec().unwrap()).collect()
    }

    #[test]
    fn what_is_saved_is_what_would_be_computed_anew() {
        for (of, inputs) in recurrences().unwrap() {
            for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
                let inputs: Vec<Tensor> = inputs.iter().map(|input| input.cast(dtype).unwrap()).collect();
                let (saving, anew) = (gradients(Recur { saves: true, ..of }, &inputs), gradients(of, &inputs));
                assert_eq!(saving, anew, "{of:?} in {dtype}");
            }
        }
    }
}
