//! LSTM and GRU over whole sequences, and their gradients, as Keras's layers have them.
//!
//! What x brings to all steps is one product. Then the rows of the batch know nothing of each other: a thread takes some of
//! them through all steps alone. What a step brings to the weights' gradients is left for products over all steps at once.

mod cells;
mod forward;
mod gradient;
mod weights;

use std::mem::take;

use half::{bf16, f16};

use crate::cast::cast;
use crate::instruction_set::{instruction_set, with_instruction_set};
use crate::number::Float;
use crate::parts::Parts;
use crate::pool;
use crate::strided::Strided;

/// What a row goes through at a step. The activations are tanh and, of gates, the sigmoid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Of the gates i, f, g, o in this order: c = f·c + i·g, h = o·tanh c.
    Lstm,
    /// Of the gates z, r and the candidate g in this order: h = z·h + (1 − z)·g.
    Gru {
        /// Whether r multiplies the product of h and the recurrent kernel, which then has a bias of its own, or h itself.
        reset_after: bool,
    },
}

impl Cell {
    /// The columns of the kernels for each unit.
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru { .. } => 3,
        }
    }

    /// The states that a step hands to the next: h and, of an LSTM, c.
    pub fn states(self) -> usize {
        match self {
            Self::Lstm => 2,
            Self::Gru { .. } => 1,
        }
    }

    /// The rows of the bias, each as long as a row of the kernels.
    pub fn biases(self) -> usize {
        match self {
            Self::Gru { reset_after: true } => 2,
            _ => 1,
        }
    }

    /// What is saved of each step beside the gates and the h before it, in units.
    fn extras(self) -> usize {
        match self {
            // The c before the step, or what r is multiplied by.
            Self::Lstm | Self::Gru { reset_after: true } => 1,
            Self::Gru { reset_after: false } => 0,
        }
    }
}

/// The sizes of a recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The cell.
    pub cell: Cell,
    /// The rows that go through the steps.
    pub batch: usize,
    /// The steps.
    pub time: usize,
    /// The elements of an input at a step.
    pub features: usize,
    /// The elements of a state.
    pub units: usize,
}

impl Sizes {
    fn width(&self) -> usize {
        self.cell.gates() * self.units
    }

    fn steps(&self) -> usize {
        self.batch * self.time
    }

    fn state(&self) -> usize {
        self.batch * self.units
    }

    /// The multiplications by the recurrent kernel.
    fn work(&self) -> usize {
        self.steps().saturating_mul(self.units).saturating_mul(self.width())
    }
}

/// A sequence and the weights that it is taken through.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a, T> {
    /// The cell.
    pub cell: Cell,
    /// The inputs, batch × time × features.
    pub x: Strided<'a, T>,
    /// Features × gates·units.
    pub kernel: Strided<'a, T>,
    /// Units × gates·units.
    pub recurrent_kernel: Strided<'a, T>,
    /// Gates·units; of a GRU with `reset_after` twice as many, first those for x.
    pub bias: Option<&'a [T]>,
    /// The states before the first step, each batch × units: h and, of an LSTM, c. Zeros where there is none.
    pub initial: [Option<&'a [T]>; 2],
    /// Batch × time: where it is 0 the states of the row stay what they are, and the output is that of the step before, zeros
    /// before all others.
    pub mask: Option<&'a [u8]>,
    /// Whether the output of a masked step is zeros instead.
    pub zero_masked: bool,
    /// Whether the last input is taken first. The outputs are in the order of the steps then, not of the inputs.
    pub backwards: bool,
    /// Whether there is an output of every step, batch × time × units, or of the last alone, batch × units.
    pub all_outputs: bool,
}

impl<T> Sequence<'_, T> {
    /// The sizes.
    ///
    /// # Panics
    /// When those of the arguments do not fit each other.
    pub fn sizes(&self) -> Sizes {
        let (&[batch, time, features], &[units, _]) = (self.x.shape(), self.recurrent_kernel.shape()) else {
            panic!("a sequence is batch × time × features, and a recurrent kernel a matrix")
        };
        let sizes = Sizes { cell: self.cell, batch, time, features, units };
        let width = sizes.width();
        assert!(self.kernel.shape() == [features, width], "the kernel has a row for each feature");
        assert!(self.recurrent_kernel.shape() == [units, width], "the recurrent kernel has a row for each unit");
        assert!(self.bias.is_none_or(|bias| bias.len() == self.cell.biases() * width), "the bias fits the kernel");
        let fits = |state: &&[T]| state.len() == batch * units;
        assert!(self.initial.iter().flatten().all(fits), "an initial state is batch × units");
        assert!(self.mask.is_none_or(|mask| mask.len() == batch * time), "the mask is batch × time");
        sizes
    }

    /// The elements of the outputs.
    fn outputs(&self, sizes: Sizes) -> usize {
        if self.all_outputs { sizes.steps() * sizes.units } else { sizes.state() }
    }

    /// The input that is taken at a step.
    fn input_of(&self, step: usize, time: usize) -> usize {
        if self.backwards { time - 1 - step } else { step }
    }
}

/// Where the gradients of a sequence's parts go, of those that are wanted; all dense, in the shapes of what they are of.
#[derive(Debug, Default)]
pub struct Gradients<'a, T> {
    /// Of the inputs.
    pub x: Option<&'a mut [T]>,
    /// Of the kernel.
    pub kernel: Option<&'a mut [T]>,
    /// Of the recurrent kernel.
    pub recurrent_kernel: Option<&'a mut [T]>,
    /// Of the bias, whether there is one or not.
    pub bias: Option<&'a mut [T]>,
    /// Of the initial states, whether they are given or zeros.
    pub initial: [Option<&'a mut [T]>; 2],
}

/// LSTM and GRU: f32, f64, f16 and bf16.
///
/// Products are [`matmul`](crate::Number::matmul)'s and activations those of [`unary`](crate::Number::unary), so each step errs
/// by 4·eps·Σ|terms| before the activations, and by 4 ulp in each of them; how errors grow from step to step is the weights'
/// doing. f16 and bf16 are computed in f32 from the first step to the last, and results are rounded once. A row has the same
/// bits alone and in any batch; gradients of weights are sums over batch and time in an order that follows from sizes alone.
///
/// Every function panics when the lengths of its arguments do not fit each other. `scratch` may hold anything.
pub trait Recurrence: Float {
    /// What it is computed in: f32 for f16 and bf16, else the type itself.
    type Wide: Float;

    /// The elements of what [`recur`](Self::recur) saves for [`recur_gradient`](Self::recur_gradient).
    fn recur_saved(sizes: Sizes) -> usize {
        sizes.steps() * (sizes.width() + (1 + sizes.cell.extras()) * sizes.units)
    }

    /// The elements of scratch that [`recur`](Self::recur) wants; fewer when it `saves`.
    fn recur_scratch(sizes: Sizes, saves: bool) -> usize;

    /// Takes a sequence through all its steps: writes the outputs and the states after the last step, each batch × units,
    /// of a GRU the first alone. What the gradient needs goes to `saved`.
    ///
    /// ```
    /// use modulor_kernels::{Cell, Recurrence, Sequence, Sizes, Strided};
    ///
    /// let [x, kernel, recurrent] = [vec![1.0_f32, 2.0], vec![0.5; 4], vec![0.25; 4]];
    /// let sequence = Sequence {
    ///     cell: Cell::Lstm,
    ///     x: Strided::new(&x, &[1, 2, 1], &[2, 1, 1], 0).expect("in bounds"),
    ///     kernel: Strided::new(&kernel, &[1, 4], &[4, 1], 0).expect("in bounds"),
    ///     recurrent_kernel: Strided::new(&recurrent, &[1, 4], &[4, 1], 0).expect("in bounds"),
    ///     bias: None,
    ///     initial: [None; 2],
    ///     mask: None,
    ///     zero_masked: false,
    ///     backwards: false,
    ///     all_outputs: true,
    /// };
    /// let (mut outputs, mut h, mut c) = ([0.0; 2], [0.0], [0.0]);
    /// let mut scratch = vec![0.0; f32::recur_scratch(sequence.sizes(), false)];
    /// f32::recur(&sequence, &mut outputs, [&mut h, &mut c], None, &mut scratch);
    /// assert_eq!(outputs[1], h[0]);
    /// assert!((c[0] - 0.789).abs() < 1e-3, "{c:?}");
    /// ```
    fn recur(
        sequence: &Sequence<Self>,
        outputs: &mut [Self],
        states: [&mut [Self]; 2],
        saved: Option<&mut [Self::Wide]>,
        scratch: &mut [Self::Wide],
    );

    /// The elements of scratch that [`recur_gradient`](Self::recur_gradient) wants.
    fn recur_gradient_scratch(sizes: Sizes) -> usize;

    /// Writes the gradients that are asked for, given those of the outputs and of the last states, where there are any, and
    /// what [`recur`](Self::recur) of the same sequence saved.
    fn recur_gradient(
        sequence: &Sequence<Self>,
        saved: &[Self::Wide],
        outputs: Option<&[Self]>,
        states: [Option<&[Self]>; 2],
        gradients: Gradients<Self>,
        scratch: &mut [Self::Wide],
    );
}

/// The next `len` elements of what is left of a slice.
fn next<'a, T>(rest: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (part, after) = take(rest).split_at_mut(len);
    *rest = after;
    part
}

/// The most rows that a thread takes through the steps together, and the fewest that are worth another thread.
const MOST_ROWS: usize = 48;
const LEAST_ROWS: usize = 4;
/// The multiplications that are worth another thread.
const WORTH: usize = 1 << 19;

/// The rows that go through the steps together, and whether other threads are to help.
fn group(sizes: Sizes) -> (usize, bool) {
    let threads = if sizes.work() < 2 * WORTH { 1 } else { pool::num_threads() };
    let wanted = sizes.batch.div_ceil(MOST_ROWS).next_multiple_of(threads);
    let groups = wanted.min(sizes.batch.div_ceil(LEAST_ROWS)).max(1);
    (sizes.batch.div_ceil(groups), threads > 1)
}

/// Runs `body` for each group of rows, with its first row, how many they are, and room for products.
fn for_groups(sizes: Sizes, own: &mut [u8], body: &(dyn Fn(usize, usize, &mut [u8]) + Sync)) {
    let (rows, helped) = group(sizes);
    let (own, set) = (Parts::new(own), instruction_set());
    let run = |group: usize, lent: &mut [u8]| {
        let first = group * rows;
        let now = rows.min(sizes.batch - first);
        match lent {
            // SAFETY: with nothing lent this is the caller's thread, whose room it is, and which runs one group at a time.
            #[allow(unsafe_code)]
            [] => body(first, now, unsafe { own.part(0..own.len()) }),
            lent => with_instruction_set(set, || body(first, now, lent)),
        }
    };
    let groups = sizes.batch.div_ceil(rows);
    if helped { pool::run(groups, &run) } else { (0..groups).for_each(|group| run(group, &mut [])) }
}

macro_rules! wide {
    ($($t:ty),*) => {
        $(impl Recurrence for $t {
            type Wide = Self;

            fn recur_scratch(sizes: Sizes, saves: bool) -> usize {
                forward::scratch::<Self>(sizes, saves)
            }

            fn recur(
                sequence: &Sequence<Self>,
                outputs: &mut [Self],
                states: [&mut [Self]; 2],
                saved: Option<&mut [Self]>,
                scratch: &mut [Self],
            ) {
                forward::run(sequence, outputs, states, saved, scratch);
            }

            fn recur_gradient_scratch(sizes: Sizes) -> usize {
                gradient::scratch::<Self>(sizes)
            }

            fn recur_gradient(
                sequence: &Sequence<Self>,
                saved: &[Self],
                outputs: Option<&[Self]>,
                states: [Option<&[Self]>; 2],
                gradients: Gradients<Self>,
                scratch: &mut [Self],
            ) {
                gradient::run(sequence, saved, outputs, states, gradients, scratch);
            }
        })*
    };
}
wide!(f32, f64);

/// The strides of a row-major array.
fn dense<const N: usize>(shape: [usize; N]) -> [isize; N] {
    let mut strides = [1; N];
    for axis in (1..N).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

fn view<'a, T>(data: &'a [T], shape: &'a [usize], strides: &'a [isize], offset: usize) -> Strided<'a, T> {
    Strided::new(data, shape, strides, offset).expect("it was counted")
}

/// A slice in another type, in the next place of what is left of the scratch.
fn converted<'a, T: Float, W: Float>(slice: &[T], rest: &mut &'a mut [W]) -> &'a [W] {
    let wide = next(rest, slice.len());
    cast(view(slice, &[slice.len()], &[1], 0), wide);
    wide
}

/// The elements that a sequence takes in another type, states and outputs with it.
fn converted_len(sizes: Sizes) -> usize {
    let Sizes { cell, features, units, .. } = sizes;
    let weights = (features + units + cell.biases()) * sizes.width();
    sizes.steps() * (features + units) + weights + 2 * cell.states() * sizes.state()
}

/// Runs `$body` with the sequence in f32, `$name`, and what is left of the scratch.
macro_rules! in_f32 {
    ($sequence:expr, $sizes:ident, $rest:ident, $name:ident => $body:expr) => {{
        let Sizes { batch, time, features, units, .. } = $sizes;
        let shapes = ([batch, time, features], [features, $sizes.width()], [units, $sizes.width()]);
        let strides = (dense(shapes.0), dense(shapes.1), dense(shapes.2));
        let mut dense_copy = |x: Strided<Self>| {
            let wide = next(&mut $rest, x.len());
            cast(x, wide);
            &*wide
        };
        let x = dense_copy($sequence.x);
        let (kernel, recurrent) = (dense_copy($sequence.kernel), dense_copy($sequence.recurrent_kernel));
        let bias = $sequence.bias.map(|bias| converted(bias, &mut $rest));
        let initial = $sequence.initial.map(|state| state.map(|state| converted(state, &mut $rest)));
        let $name = Sequence {
            cell: $sequence.cell,
            x: view(x, &shapes.0, &strides.0, 0),
            kernel: view(kernel, &shapes.1, &strides.1, 0),
            recurrent_kernel: view(recurrent, &shapes.2, &strides.2, 0),
            bias,
            initial,
            mask: $sequence.mask,
            zero_masked: $sequence.zero_masked,
            backwards: $sequence.backwards,
            all_outputs: $sequence.all_outputs,
        };
        $body
    }};
}

macro_rules! narrow {
    ($($t:ty),*) => {
        $(impl Recurrence for $t {
            type Wide = f32;

            fn recur_scratch(sizes: Sizes, saves: bool) -> usize {
                converted_len(sizes) + forward::scratch::<f32>(sizes, saves)
            }

            fn recur(
                sequence: &Sequence<Self>,
                outputs: &mut [Self],
                states: [&mut [Self]; 2],
                saved: Option<&mut [f32]>,
                scratch: &mut [f32],
            ) {
                let (sizes, mut rest) = (sequence.sizes(), scratch);
                in_f32!(sequence, sizes, rest, wide => {
                    let wide_outputs = next(&mut rest, outputs.len());
                    let [h, c] = states;
                    let (wide_h, wide_c) = (next(&mut rest, h.len()), next(&mut rest, c.len()));
                    forward::run(&wide, wide_outputs, [wide_h, wide_c], saved, rest);
                    for (wide, own) in [(wide_outputs, outputs), (wide_h, h), (wide_c, c)] {
                        cast(view(wide, &[wide.len()], &[1], 0), own);
                    }
                });
            }

            fn recur_gradient_scratch(sizes: Sizes) -> usize {
                2 * converted_len(sizes) + gradient::scratch::<f32>(sizes)
            }

            fn recur_gradient(
                sequence: &Sequence<Self>,
                saved: &[f32],
                outputs: Option<&[Self]>,
                states: [Option<&[Self]>; 2],
                gradients: Gradients<Self>,
                scratch: &mut [f32],
            ) {
                let (sizes, mut rest) = (sequence.sizes(), scratch);
                in_f32!(sequence, sizes, rest, wide => {
                    let outputs = outputs.map(|outputs| converted(outputs, &mut rest));
                    let states = states.map(|state| state.map(|state| converted(state, &mut rest)));
                    let Gradients { x, kernel, recurrent_kernel, bias, initial: [h, c] } = gradients;
                    let own = [x, kernel, recurrent_kernel, bias, h, c];
                    let mut wide_own = own.each_ref().map(|own| own.as_ref().map(|own| next(&mut rest, own.len())));
                    let [x, kernel, recurrent_kernel, bias, h, c] = wide_own.each_mut().map(|own| own.as_deref_mut());
                    let gradients = Gradients { x, kernel, recurrent_kernel, bias, initial: [h, c] };
                    gradient::run(&wide, saved, outputs, states, gradients, rest);
                    for (wide, own) in wide_own.into_iter().zip(own) {
                        if let (Some(wide), Some(own)) = (wide, own) {
                            cast(view(wide, &[wide.len()], &[1], 0), own);
                        }
                    }
                });
            }
        })*
    };
}
narrow!(f16, bf16);
