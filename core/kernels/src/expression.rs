//! Elementwise programs, run over tiles that stay in the caches: each step by the kernel that also does it alone, but for
//! sums and products that follow each other, two of which are one pass.

mod invalid;

use std::any::type_name;
use std::array::from_fn;
use std::marker::PhantomData;
use std::mem::take;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytemuck::Pod;

pub use invalid::InvalidExpression;

use crate::logic::{self, select_each};
use crate::number::Number;
use crate::operation::{Binary, Compare, Fault, Logical, Test, Unary, Unsupported};
use crate::parts::{Parts, divide, divide_slice, is_shared};
use crate::strided::{Reader, Strided, TILE};

/// The most steps of an expression.
const STEPS: usize = 64;
/// The most inputs of each kind, the most values or masks that are held at a time, and the most outputs.
const INPUTS: usize = 16;
const HELD: usize = 16;
const OUTPUTS: usize = 8;
/// As many inputs as most expressions have, for which less is made ready at each tile.
const FEW: usize = 4;
/// Places for what is held and for outputs.
const CELLS: usize = HELD + OUTPUTS;
/// The bytes of a tile of values: a few of them stay in the first cache.
const TILE_BYTES: usize = 4096;
/// What distinguishes the number of an input from that of a cell.
const IS_INPUT: u8 = 0x80;
/// Where parts and tiles begin, in elements: whole cache lines.
const UNIT: usize = 64;
/// The bytes of an output from which on it, and what is read, come from memory and not from a cache: tiles are half as long then,
/// and while one is worked on the next is asked for, some of it before each step.
const FAR: usize = 8 << 20;

/// The number of a register: first come those of the inputs of values, then those of the inputs of masks, then one for each
/// step. A mask is made of u8 that are 0 or 1.
pub type Register = u8;

/// What a step computes of its registers, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// A value by a value.
    Unary(Unary, Register),
    /// A value by two values.
    Binary(Binary, Register, Register),
    /// A mask by two values.
    Compare(Compare, Register, Register),
    /// A mask by a value.
    Test(Test, Register),
    /// A mask by two masks.
    Logical(Logical, Register, Register),
    /// The opposite of a mask.
    Not(Register),
    /// Where the mask is 1 the first value, else the second.
    Select(Register, Register, Register),
}

impl Step {
    /// Whether a mask is made, not a value.
    fn makes_mask(self) -> bool {
        matches!(self, Self::Compare(..) | Self::Test(..) | Self::Logical(..) | Self::Not(..))
    }

    /// The same with other numbers for its registers, by a function of the number and whether a mask is meant.
    fn try_map<E>(self, mut f: impl FnMut(Register, bool) -> Result<u8, E>) -> Result<Self, E> {
        Ok(match self {
            Self::Unary(op, x) => Self::Unary(op, f(x, false)?),
            Self::Binary(op, a, b) => Self::Binary(op, f(a, false)?, f(b, false)?),
            Self::Compare(op, a, b) => Self::Compare(op, f(a, false)?, f(b, false)?),
            Self::Test(op, x) => Self::Test(op, f(x, false)?),
            Self::Logical(op, a, b) => Self::Logical(op, f(a, true)?, f(b, true)?),
            Self::Not(x) => Self::Not(f(x, true)?),
            Self::Select(mask, a, b) => Self::Select(f(mask, true)?, f(a, false)?, f(b, false)?),
        })
    }

    /// Whether this step and the one after it, which alone reads what this one makes, may be one pass.
    fn joins(self, next: Self, made: Register) -> bool {
        let is_sum = |op| matches!(op, Binary::Add | Binary::Sub | Binary::Mul);
        match (self, next) {
            (Self::Binary(op, ..), Self::Binary(then, a, b)) => {
                is_sum(op) && is_sum(then) && (a == made) != (b == made)
            }
            _ => false,
        }
    }

    /// Picoseconds for an element of so many bytes, roughly.
    fn cost(self, bytes: usize) -> usize {
        let is_light = match self {
            Self::Unary(op, _) => op.is_light(),
            Self::Binary(op, ..) => op.is_light(),
            _ => true,
        };
        if is_light { 25 * bytes } else { 200 * bytes }
    }
}

/// A short program of elementwise steps over values of one type and masks.
///
/// [`evaluate`](crate::Number::evaluate) runs it tile by tile, so that what lies between its steps never leaves the caches.
/// Its bits are those of the steps run one after the other over memory, each by the function of its name; values of f16
/// and bf16 are rounded after each step.
///
/// ```
/// use modulor_kernels::{Binary, Expression, Number, Output, Source, Step, Strided, Unary};
///
/// // tanh(x·a + b)
/// let steps = [Step::Binary(Binary::Mul, 0, 1), Step::Binary(Binary::Add, 3, 2), Step::Unary(Unary::Tanh, 4)];
/// let expression = Expression::<f32>::new(3, 0, &steps, &[5]).expect("three inputs, and an output");
/// let (x, scale, shift) = ([-1.0, 0.0, 1.0], [2.0], [1.0]);
/// let [one, all] = [[1], [0]];
/// let x = Source::View(Strided::new(&x, &[3], &one, 0).expect("in bounds"));
/// let [scale, shift] = [&scale, &shift].map(|data| Source::View(Strided::new(data, &[3], &all, 0).expect("in bounds")));
/// let mut y = [0.0; 3];
/// let mut scratch = vec![0.0; expression.scratch()];
/// f32::evaluate(&expression, &[x, scale, shift], &[], &mut [Output::Values(&mut y)], &mut scratch).expect("floats have it");
/// assert_eq!(y[1], 1.0_f32.tanh());
/// ```
#[derive(Clone, Debug)]
pub struct Expression<T> {
    inputs: [usize; 2],
    /// The steps, by inputs and cells, and the cell of what each makes.
    steps: [(Step, u8); STEPS],
    len: usize,
    /// The bits of the steps that may be one pass with those after them.
    joined: u64,
    /// The cells of what is held, beside those of outputs, which follow them.
    held: [usize; 2],
    /// Whether each output is a mask.
    outputs: [bool; OUTPUTS],
    output_count: usize,
    of: PhantomData<T>,
}

/// Where an input is read.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a, T> {
    /// From a view, of the shape of the outputs.
    View(Strided<'a, T>),
    /// From what stands in the output of this number before it is overwritten.
    Over(usize),
}

/// Where an output goes, in row-major order.
#[derive(Debug)]
pub enum Output<'a, T> {
    /// Values.
    Values(&'a mut [T]),
    /// A mask, of 0 and 1.
    Mask(&'a mut [u8]),
}

impl<T> Output<'_, T> {
    fn len(&self) -> usize {
        match self {
            Self::Values(out) => out.len(),
            Self::Mask(out) => out.len(),
        }
    }

    fn is_mask(&self) -> bool {
        matches!(self, Self::Mask(_))
    }
}

/// Elements with kernels on slices of one length; a type has those that it takes.
pub(crate) trait Elementwise: Pod + Send + Sync {
    fn unary(_: Unary, _: &[Self], _: &mut [Self]) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
    /// A fault counts from the first element.
    fn binary(_: Binary, _: &[Self], _: &[Self], _: &mut [Self]) -> Result<(), Fault> {
        Err(Fault::Unsupported)
    }
    /// The first operation of `a` and `b`, and the second of that and `c`, in the other order unless it `leads`.
    fn pair(_: [Binary; 2], _leads: bool, _: [&[Self]; 3], _: &mut [Self]) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
    fn compare(_: Compare, _: &[Self], _: &[Self], _: &mut [u8]) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
    fn test(_: Test, _: &[Self], _: &mut [u8]) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
}

/// Moving elements is the same for all types of one width.
macro_rules! widths {
    ($($bytes:literal),*) => { $(impl Elementwise for [u8; $bytes] {})* };
}
widths!(1, 2, 4, 8, 16);

impl<T: Number> Expression<T> {
    /// The steps, in order, of an expression of so many inputs of values and of masks, that gives these registers.
    ///
    /// # Errors
    /// When a register is read before it is defined, or as what it is not; when `T` does not take an operation; when an
    /// output is no step's or there twice; when there are more than 64 steps, 16 inputs of a kind, or 8 outputs, or more
    /// than 16 values or masks wait for a later step.
    pub fn new(values: usize, masks: usize, steps: &[Step], outputs: &[Register]) -> Result<Self, InvalidExpression> {
        let most = |found: usize, most: usize, what: &'static str| {
            if found > most { Err(InvalidExpression::TooMany { what, most }) } else { Ok(()) }
        };
        most(steps.len(), STEPS, "steps")?;
        most(values, INPUTS, "inputs of values")?;
        most(masks, INPUTS, "inputs of masks")?;
        most(outputs.len(), OUTPUTS, "outputs")?;
        let inputs = values + masks;
        let is_mask = |register: usize| match register.checked_sub(inputs) {
            None => register >= values,
            Some(step) => steps[step].makes_mask(),
        };
        let mut is_output = [false; OUTPUTS];
        for (k, &register) in outputs.iter().enumerate() {
            let is_step = (inputs..inputs + steps.len()).contains(&usize::from(register));
            if !is_step || outputs[..k].contains(&register) {
                return Err(InvalidExpression::NoOutput { register });
            }
            is_output[k] = is_mask(register.into());
        }
        // When each step's register is read for the last time.
        let mut last = [0; STEPS];
        for (at, &step) in steps.iter().enumerate() {
            step.try_map(|register, as_mask| {
                let number = usize::from(register);
                if number >= inputs + at {
                    return Err(InvalidExpression::Undefined { step: at, register });
                }
                if is_mask(number) != as_mask {
                    return Err(InvalidExpression::WrongKind { step: at, register, is_mask: !as_mask });
                }
                if let Some(made) = number.checked_sub(inputs) {
                    last[made] = at;
                }
                Ok(register)
            })?;
            // What a type takes, it takes of no elements.
            let taken = match step {
                Step::Unary(op, _) => T::unary(op, Strided::NONE, &mut []).is_ok(),
                Step::Binary(op, ..) => T::binary(op, Strided::NONE, Strided::NONE, &mut []).is_ok(),
                Step::Compare(op, ..) => T::compare(op, Strided::NONE, Strided::NONE, &mut []).is_ok(),
                Step::Test(op, _) => T::test(op, Strided::NONE, &mut []).is_ok(),
                Step::Logical(..) | Step::Not(_) | Step::Select(..) => true,
            };
            if !taken {
                return Err(InvalidExpression::Unsupported { step: at, what: step, of: type_name::<T>() });
            }
        }
        // What two steps in one pass read is held until the second.
        let (mut joined, mut last_joined) = (0_u64, last);
        for (at, pair) in steps.windows(2).enumerate() {
            let made = (inputs + at) as Register;
            let is_before = at > 0 && joined >> (at - 1) & 1 == 1;
            if !is_before && last[at] == at + 1 && !outputs.contains(&made) && pair[0].joins(pair[1], made) {
                joined |= 1 << at;
                pair[0].try_map(|register, _| {
                    if let Some(made) = usize::from(register).checked_sub(inputs) {
                        last_joined[made] = last_joined[made].max(at + 1);
                    }
                    Ok(register)
                })?;
            }
        }
        let output = |at: usize| outputs.iter().position(|&register| usize::from(register) == inputs + at);
        let place_of_output = |k: usize| is_output[..k].iter().filter(|&&mask| mask == is_output[k]).count();
        let place = |at| output(at).map(place_of_output);
        let (cells, held) = match allot(steps, &last_joined, place) {
            Ok(cells) => cells,
            // That holds more at a time.
            Err(_) => {
                joined = 0;
                allot(steps, &last, place)?
            }
        };
        let cell = |register: usize, mask: bool| match register.checked_sub(inputs) {
            None => IS_INPUT | (register - if mask { values } else { 0 }) as u8,
            Some(step) => {
                (if cells[step] < HELD { cells[step] } else { cells[step] - HELD + held[usize::from(mask)] }) as u8
            }
        };
        let mut planned = [(Step::Not(0), 0); STEPS];
        for (at, &step) in steps.iter().enumerate() {
            let step = step.try_map(|register, mask| Ok(cell(register.into(), mask)))?;
            planned[at] = (step, cell(inputs + at, step.makes_mask()));
        }
        Ok(Self {
            inputs: [values, masks],
            steps: planned,
            len: steps.len(),
            joined,
            held,
            outputs: is_output,
            output_count: outputs.len(),
            of: PhantomData,
        })
    }
}

/// The cell that each step makes its result in, of those of its kind, and how many there are of values and of masks. Outputs,
/// whose places `output` says, have the cells from [`HELD`] on.
fn allot(
    steps: &[Step],
    last: &[usize; STEPS],
    output: impl Fn(usize) -> Option<usize>,
) -> Result<([usize; STEPS], [usize; 2]), InvalidExpression> {
    let (mut cells, mut held, mut free_from) = ([0; STEPS], [0; 2], [[0; HELD]; 2]);
    for (at, &step) in steps.iter().enumerate() {
        let kind = usize::from(step.makes_mask());
        cells[at] = match output(at) {
            Some(place) => HELD + place,
            None => {
                let free = free_from[kind].iter().position(|&from| from <= at);
                let what = "values or masks that wait for a later step";
                let cell = free.ok_or(InvalidExpression::TooMany { what, most: HELD })?;
                // The step that reads it last makes its own result elsewhere.
                free_from[kind][cell] = last[at].max(at) + 1;
                held[kind] = held[kind].max(cell + 1);
                cell
            }
        };
    }
    Ok((cells, held))
}

impl<T> Expression<T> {
    /// The elements of scratch that [`evaluate`](crate::Number::evaluate) wants.
    pub fn scratch(&self) -> usize {
        let [values, masks] = [0, 1].map(|kind| self.held[kind] + self.inputs[kind]);
        let tile = tile::<T>();
        (tile * (values * size_of::<T>() + masks) + UNIT).div_ceil(size_of::<T>())
    }
}

/// The elements of a tile.
const fn tile<T>() -> usize {
    TILE_BYTES / size_of::<T>()
}

/// See [`Number::evaluate`](crate::Number::evaluate).
pub(crate) fn evaluate<T: Elementwise>(
    expression: &Expression<T>,
    values: &[Source<T>],
    masks: &[Source<u8>],
    outputs: &mut [Output<T>],
    scratch: &mut [T],
) -> Result<(), Fault> {
    assert!([values.len(), masks.len()] == expression.inputs, "an expression knows its inputs");
    let of_their_kind = outputs.iter().zip(&expression.outputs).all(|(output, &is_mask)| output.is_mask() == is_mask);
    assert!(outputs.len() == expression.output_count && of_their_kind, "an expression knows its outputs");
    assert!(scratch.len() >= expression.scratch(), "an expression has its scratch");
    if outputs.is_empty() {
        return Ok(());
    }
    let (steps, held) = (&expression.steps[..expression.len], expression.held);
    run((steps, expression.joined), held, values, masks, outputs, scratch, tile::<T>())
}

/// Does one step, of the inputs in their order.
pub(crate) fn alone<T: Elementwise>(
    step: Step,
    values: &[Source<T>],
    masks: &[Source<u8>],
    output: Output<T>,
) -> Result<(), Fault> {
    let Ok(step) = step.try_map(|register, _| Ok::<u8, ()>(IS_INPUT | register)) else {
        unreachable!("none is refused")
    };
    if let (Some(values), Some(masks)) = (Dense::new(values), Dense::new(masks)) {
        return at_once(step, values, masks, output);
    }
    // Tiles of two inputs of values and one of masks, or of two of masks, from a whole line on.
    let mut room = [[T::zeroed(); TILE]; 3];
    run((&[(step, 0)], 0), [0; 2], values, masks, &mut [output], room.as_flattened_mut(), TILE - UNIT)
}

/// At most two inputs that lie as an output does, of which one may be what stands there.
struct Dense<'a, T> {
    inputs: [&'a [T]; 2],
    len: Option<usize>,
    over: Option<usize>,
}

impl<'a, T> Dense<'a, T> {
    /// None where one of the inputs does not lie so.
    #[inline(always)]
    fn new(sources: &[Source<'a, T>]) -> Option<Self> {
        let mut own = Self { inputs: [&[]; 2], len: None, over: None };
        for (i, source) in sources.iter().enumerate() {
            match source {
                Source::View(view) => {
                    own.inputs[i] = view.as_slice()?;
                    assert!(own.len.is_none_or(|len| len == view.len()), "the inputs of a kernel have one length");
                    own.len = Some(view.len());
                }
                Source::Over(_) => own.over = Some(i),
            }
        }
        Some(own)
    }

    /// The elements of a range.
    fn part(&self, range: &Range<usize>) -> [&'a [T]; 2] {
        self.inputs.map(|input| input.get(range.clone()).unwrap_or_default())
    }
}

/// Does one step of inputs that lie as the output does.
#[inline(always)]
fn at_once<T: Elementwise>(own: Step, values: Dense<T>, masks: Dense<u8>, output: Output<T>) -> Result<(), Fault> {
    let fits = |len: Option<usize>| len.is_none_or(|len| len == output.len());
    assert!(fits(values.len) && fits(masks.len), "the outputs of a kernel have as many elements as its inputs");
    let cost = own.cost(size_of::<T>());
    if values.over.is_none() && !is_shared(output.len(), cost) {
        let count = output.len();
        let (value_out, mask_out) = match output {
            Output::Values(out) => (out, &mut [][..]),
            Output::Mask(out) => (&mut [][..], out),
        };
        let values = &mut Bank { inputs: &values.inputs, cells: &mut [value_out], count };
        return step(own, 0, values, &mut Bank { inputs: &masks.inputs, cells: &mut [mask_out], count });
    }
    let first_fault = FirstFault(Mutex::new(None));
    let tile = |start: usize, inputs: [&[T]; 2], value_out: &mut [T], mask_out: &mut [u8]| {
        let count = value_out.len().max(mask_out.len());
        let masks = masks.part(&(start..start + count));
        let values = &mut Bank { inputs: &inputs, cells: &mut [value_out], count };
        if let Err(fault) = step(own, 0, values, &mut Bank { inputs: &masks, cells: &mut [mask_out], count }) {
            first_fault.note(0, start, fault);
        }
    };
    match output {
        Output::Mask(out) => divide_slice(out, cost, UNIT, |start, out| {
            tile(start, values.part(&(start..start + out.len())), &mut [], out);
        }),
        Output::Values(out) => divide_slice(out, cost, UNIT, |start, out| {
            let Some(over) = values.over else {
                return tile(start, values.part(&(start..start + out.len())), out, &mut []);
            };
            let mut copy = [T::zeroed(); TILE];
            for (i, out) in out.chunks_mut(TILE).enumerate() {
                let start = start + i * TILE;
                let mut inputs = values.part(&(start..start + out.len()));
                copy[..out.len()].copy_from_slice(out);
                inputs[over] = &copy[..out.len()];
                tile(start, inputs, out, &mut []);
            }
        }),
    }
    first_fault.done()
}

/// How an input is read.
#[derive(Clone, Copy)]
enum Input<'a, T> {
    Dense(&'a [T]),
    /// All elements are this one.
    Same(T),
    Apart(&'a Strided<'a, T>),
    /// The cell of an output.
    Own(usize),
}

impl<'a, T: Pod> Input<'a, T> {
    fn new(source: &'a Source<T>, len: usize, cell: impl Fn(usize) -> Option<usize>) -> Self {
        match source {
            Source::View(view) => {
                assert!(view.len() == len, "the outputs of a kernel have as many elements as its inputs");
                if let Some(slice) = view.as_slice() {
                    return Self::Dense(slice);
                }
                let reader = Reader::new(*view);
                if !reader.is_constant() {
                    return Self::Apart(view);
                }
                let mut one = [T::zeroed()];
                reader.gather(0, &mut one);
                Self::Same(one[0])
            }
            Source::Over(output) => Self::Own(cell(*output).expect("an input lies in an output of its kind")),
        }
    }

    /// The elements from `start` on, where they are or copied into `buffer`, which has them already if the tile is not the
    /// `first` and all are the same one.
    fn load<'b>(self, start: usize, count: usize, first: bool, buffer: &'b mut [T], cells: &[&mut [T]]) -> &'b [T]
    where
        'a: 'b,
    {
        match self {
            Self::Dense(slice) => &slice[start..start + count],
            Self::Same(one) => {
                if first {
                    buffer.fill(one);
                }
                &buffer[..count]
            }
            Self::Apart(view) => Reader::new(*view).chunk(start, &mut buffer[..count]),
            Self::Own(cell) => {
                buffer[..count].copy_from_slice(&cells[cell][..count]);
                &buffer[..count]
            }
        }
    }
}

/// The places of a step's operands: inputs and cells.
struct Bank<'r, 'c, T> {
    inputs: &'r [&'r [T]],
    cells: &'r mut [&'c mut [T]],
    count: usize,
}

impl<T> Bank<'_, '_, T> {
    fn get(&self, place: u8) -> &[T] {
        match place & IS_INPUT {
            0 => &self.cells[usize::from(place)][..self.count],
            _ => self.inputs[usize::from(place & !IS_INPUT)],
        }
    }

    /// Calls `f` with the tile of a cell, which is not there meanwhile.
    fn with<R>(&mut self, cell: u8, f: impl FnOnce(&Self, &mut [T]) -> R) -> R {
        let taken = take(&mut self.cells[usize::from(cell)]);
        let done = f(self, &mut taken[..self.count]);
        self.cells[usize::from(cell)] = taken;
        done
    }
}

/// Two steps over one tile, if the type has them as one.
fn both<T: Elementwise>((first, made): (Step, u8), (second, to): (Step, u8), values: &mut Bank<T>) -> bool {
    let (Step::Binary(op, a, b), Step::Binary(then, x, y)) = (first, second) else { return false };
    let (leads, c) = if x == made { (true, y) } else { (false, x) };
    let pair = |values: &Bank<T>, out: &mut [T]| {
        T::pair([op, then], leads, [values.get(a), values.get(b), values.get(c)], out)
    };
    values.with(to, pair).is_ok()
}

/// One step over one tile.
fn step<T: Elementwise>(step: Step, to: u8, values: &mut Bank<T>, masks: &mut Bank<u8>) -> Result<(), Fault> {
    match step {
        Step::Unary(op, x) => values.with(to, |values, out| Ok(T::unary(op, values.get(x), out)?)),
        Step::Binary(op, a, b) => values.with(to, |values, out| T::binary(op, values.get(a), values.get(b), out)),
        Step::Compare(op, a, b) => masks.with(to, |_, out| Ok(T::compare(op, values.get(a), values.get(b), out)?)),
        Step::Test(op, x) => masks.with(to, |_, out| Ok(T::test(op, values.get(x), out)?)),
        Step::Logical(op, a, b) => {
            masks.with(to, |masks, out| logic::connect(op, masks.get(a), masks.get(b), out));
            Ok(())
        }
        Step::Not(x) => {
            masks.with(to, |masks, out| logic::oppose(masks.get(x), out));
            Ok(())
        }
        Step::Select(mask, a, b) => {
            values.with(to, |values, out| select_each(masks.get(mask), values.get(a), values.get(b), out));
            Ok(())
        }
    }
}

/// The inputs and outputs of one kind, the first few places of each, and how many cells lie before those of the outputs.
struct Side<'a, T> {
    inputs: [Input<'a, T>; INPUTS],
    input_count: usize,
    outputs: [Option<Parts<'a, T>>; OUTPUTS],
    output_count: usize,
    held: usize,
}

/// The tiles of one kind that a thread has: cells, and the copies of inputs.
struct Tiles<'m, T> {
    cells: [&'m mut [T]; CELLS],
    copies: [&'m mut [T]; INPUTS],
}

impl<T> Default for Tiles<'_, T> {
    fn default() -> Self {
        Self { cells: from_fn(|_| Default::default()), copies: from_fn(|_| Default::default()) }
    }
}

impl<'a, T: Pod> Side<'a, T> {
    /// Takes the inputs; `cell` says which of its kind an output is.
    fn new(held: usize, sources: &'a [Source<T>], len: usize, cell: impl Fn(usize) -> Option<usize>) -> Self {
        let mut inputs = [Input::Dense(&[]); INPUTS];
        for (slot, source) in inputs.iter_mut().zip(sources) {
            *slot = Input::new(source, len, |output| Some(held + cell(output)?));
        }
        Self { inputs, input_count: sources.len(), outputs: [const { None }; OUTPUTS], output_count: 0, held }
    }

    /// Takes an output, the next of its kind.
    fn push(&mut self, output: &'a mut [T]) {
        self.outputs[self.output_count] = Some(Parts::new(output));
        self.output_count += 1;
    }

    fn inputs(&self) -> &[Input<'a, T>] {
        &self.inputs[..self.input_count]
    }

    /// Asks for the lines of some elements, of outputs and of inputs that lie as they do.
    ///
    /// # Safety
    /// Nobody else has these elements of the outputs.
    #[allow(unsafe_code)]
    unsafe fn ask_for(&self, range: Range<usize>) {
        for input in self.inputs() {
            if let Input::Dense(slice) = input {
                prefetch(&slice[range.clone()]);
            }
        }
        for output in self.outputs() {
            // SAFETY: nobody else has them.
            prefetch(unsafe { output.part(range.clone()) });
        }
    }

    fn outputs(&self) -> impl Iterator<Item = &Parts<'a, T>> {
        self.outputs[..self.output_count].iter().flatten()
    }

    /// How many tiles want room: cells that are no output's, and copies.
    fn room(&self) -> usize {
        self.held + self.inputs().iter().filter(|input| !matches!(input, Input::Dense(_))).count()
    }

    /// Cuts cells and copies from room for as many tiles.
    fn cut<'m>(&self, room: &'m mut [T], tile: usize, tiles: &mut Tiles<'m, T>) {
        let mut free = room.chunks_exact_mut(tile.max(1));
        for cell in &mut tiles.cells[..self.held] {
            *cell = free.next().expect("room was counted");
        }
        for (copy, input) in tiles.copies.iter_mut().zip(self.inputs()) {
            if !matches!(input, Input::Dense(_)) {
                *copy = free.next().expect("room was counted");
            }
        }
    }

    /// Puts the outputs' tiles, of `count` elements from `start` on, into their cells, and those of the inputs into `inputs`.
    ///
    /// # Safety
    /// Nobody else has these elements of the outputs.
    #[allow(unsafe_code)]
    unsafe fn load<'m, 'b>(
        &'m self,
        (cells, copies): (&mut [&'m mut [T]; CELLS], &'b mut [&mut [T]; INPUTS]),
        inputs: &mut [&'b [T]],
        start: usize,
        count: usize,
        is_first: bool,
    ) where
        'a: 'b,
    {
        for (cell, output) in cells[self.held..].iter_mut().zip(self.outputs()) {
            // SAFETY: nobody else has them.
            *cell = unsafe { output.part(start..start + count) };
        }
        for ((slot, input), copy) in inputs.iter_mut().zip(self.inputs()).zip(copies) {
            *slot = input.load(start, count, is_first, copy, cells);
        }
    }

    /// How many elements the first of an output's elements from `start` on lies past the beginning of a line, less than a line
    /// of them: tiles that begin with lines are written faster.
    fn past_line(&self, start: usize) -> usize {
        self.outputs().next().map_or(0, |output| {
            // SAFETY: nobody else has none.
            #[allow(unsafe_code)]
            let first = unsafe { output.part(start..start) }.as_ptr();
            first.addr() % UNIT / size_of::<T>()
        })
    }
}

/// Asks for the lines of a slice.
#[inline(always)]
pub(crate) fn prefetch<T>(slice: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for byte in (0..size_of_val(slice)).step_by(UNIT) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch may be of any place. It has not always been safe.
        #[allow(unsafe_code, unused_unsafe)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().cast::<i8>().wrapping_add(byte));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slice;
}

/// The fault that the steps one after the other would have met with.
struct FirstFault(Mutex<Option<(usize, usize, Fault)>>);

impl FirstFault {
    fn note(&self, step: usize, start: usize, fault: Fault) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none_or(|(other, element, _)| (step, start) < (other, element)) {
            *first = Some((step, start, fault.after(start)));
        }
    }

    fn done(self) -> Result<(), Fault> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, _, fault)| Err(fault))
    }
}

/// Runs planned steps over all elements, `tile` at a time, or all of a part where nothing wants room.
fn run<T: Elementwise>(
    (steps, joined): (&[(Step, u8)], u64),
    held: [usize; 2],
    values: &[Source<T>],
    masks: &[Source<u8>],
    outputs: &mut [Output<T>],
    scratch: &mut [T],
    tile: usize,
) -> Result<(), Fault> {
    let len = outputs[0].len();
    assert!(outputs.iter().all(|output| output.len() == len), "the outputs of a kernel have one length");
    let place = |output: usize, mask: bool| {
        outputs.get(output).filter(|output| output.is_mask() == mask)?;
        Some(outputs[..output].iter().filter(|output| output.is_mask() == mask).count())
    };
    let is_far = len * size_of::<T>() >= FAR;
    let mut all = Run {
        steps,
        joined,
        values: Side::new(held[0], values, len, |output| place(output, false)),
        masks: Side::new(held[1], masks, len, |output| place(output, true)),
        room: Parts::new(bytemuck::cast_slice_mut::<T, u8>(scratch)),
        tile: if is_far { tile / 2 / UNIT * UNIT } else { tile },
        is_far,
        first_fault: FirstFault(Mutex::new(None)),
    };
    for output in outputs {
        match output {
            Output::Values(out) => all.values.push(out),
            Output::Mask(out) => all.masks.push(out),
        }
    }
    let cost = steps.iter().map(|(step, _)| step.cost(size_of::<T>())).sum();
    let few = all.values.input_count.max(all.masks.input_count) <= FEW;
    match few {
        true => divide(len, cost, UNIT, &|range, lent| all.part::<FEW>(range, lent)),
        false => divide(len, cost, UNIT, &|range, lent| all.part::<INPUTS>(range, lent)),
    }
    all.first_fault.done()
}

/// Steps over their inputs and outputs, which threads do in parts.
struct Run<'a, T> {
    steps: &'a [(Step, u8)],
    joined: u64,
    values: Side<'a, T>,
    masks: Side<'a, u8>,
    /// The caller's.
    room: Parts<'a, u8>,
    tile: usize,
    /// See [`FAR`].
    is_far: bool,
    first_fault: FirstFault,
}

impl<T: Elementwise> Run<'_, T> {
    /// Does all steps for the elements of a range, where there are at most `N` inputs of each kind, in the room that was lent or
    /// else in the caller's.
    fn part<const N: usize>(&self, range: Range<usize>, lent: &mut [u8]) {
        let Self { steps, joined, values, masks, room: own, tile, is_far, first_fault } = self;
        let bytes = match lent {
            // SAFETY: with nothing lent this is the caller's thread, whose room it is.
            #[allow(unsafe_code)]
            [] => unsafe { own.part(0..own.len()) },
            lent => lent,
        };
        let room = [values.room(), masks.room()];
        let tile = if room == [0; 2] { range.len() } else { (*tile).min(range.len()).max(1) };
        let line = bytes.as_ptr().align_offset(UNIT).min(bytes.len());
        let (value_room, mask_room) = bytes[line..].split_at_mut(room[0] * tile * size_of::<T>());
        let value_room = if room[0] == 0 { &mut [] } else { bytemuck::cast_slice_mut(value_room) };
        let (mut value_tiles, mut mask_tiles) = (Tiles::default(), Tiles::default());
        values.cut(value_room, tile, &mut value_tiles);
        masks.cut(mask_room, tile, &mut mask_tiles);
        let share = tile.div_ceil(steps.len()).next_multiple_of(UNIT);
        let mut start = range.start;
        loop {
            let is_first = start == range.start;
            let count = if is_first && range.len() > tile { tile - values.past_line(start) } else { tile };
            let count = count.min(range.end - start);
            let (mut inputs, mut mask_inputs) = ([&[][..]; N], [&[][..]; N]);
            // SAFETY: neither ranges nor tiles overlap.
            #[allow(unsafe_code)]
            unsafe {
                let tiles = (&mut value_tiles.cells, &mut value_tiles.copies);
                values.load(tiles, &mut inputs, start, count, is_first);
                let tiles = (&mut mask_tiles.cells, &mut mask_tiles.copies);
                masks.load(tiles, &mut mask_inputs, start, count, is_first);
            }
            let bank = &mut Bank { inputs: &inputs, cells: &mut value_tiles.cells, count };
            let mask_bank = &mut Bank { inputs: &mask_inputs, cells: &mut mask_tiles.cells, count };
            let (mut asked, until) = (start + count, if *is_far { range.end.min(start + 2 * count) } else { 0 });
            let mut number = 0;
            while let Some(&(now, to)) = steps.get(number) {
                if asked < until {
                    let now = asked..until.min(asked + share);
                    asked = now.end;
                    // SAFETY: ranges do not overlap, and this lies behind the tile.
                    #[allow(unsafe_code)]
                    unsafe {
                        values.ask_for(now);
                    }
                }
                if joined >> number & 1 == 1 && both((now, to), steps[number + 1], bank) {
                    number += 2;
                    continue;
                }
                if let Err(fault) = step(now, to, bank, mask_bank) {
                    first_fault.note(number, start, fault);
                    break;
                }
                number += 1;
            }
            start += count;
            if start == range.end {
                break;
            }
        }
    }
}
