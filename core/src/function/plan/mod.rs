//! A graph of known shapes, made ready to be run again and again: where every value lies is settled beforehand.
//!
//! Values lie in a few buffers that follow each other's lifetimes, views are strides over them, and what is given back or
//! assigned to a variable has a tensor of its own, which is written anew once nobody else holds it. So a run allocates
//! nothing, but for operations whose shapes follow from values.

mod commit;
mod compile;
mod control;
mod cost;
mod idle;
mod kept;
mod run;

use crate::op::{Op, Scratch};
use crate::ops::optimizer::UpdateStep;
use crate::tensor::{Layout, Plain};
use crate::{DType, Spec, Tensor, Variable};
use control::{Flow, Inner};
use idle::Idle;
use kept::Pack;
pub(crate) use kept::Packs;
use run::Many;
use smallvec::SmallVec;
use std::sync::Arc;

/// A compiled graph.
pub(crate) struct Plan {
    given_specs: Vec<Spec>,
    /// The variables that are read, in the order of their numbers, and what they hold.
    read: Vec<Variable>,
    read_specs: Vec<Spec>,
    /// Which of these are not looked at any more when the run ends.
    released: Vec<usize>,
    constants: Vec<Tensor>,
    steps: Vec<Step>,
    memory: Vec<Room>,
    /// What is known of the tensors that are made by operations whose shapes follow from values.
    made_specs: Vec<Spec>,
    results: Vec<Giver>,
    /// Ops that run graphs.
    flows: Vec<Flow>,
    /// Weights of products.
    kept: Vec<Arc<Pack>>,
    /// The variables that are changed, in the order of their numbers.
    changed: Vec<Variable>,
    assigned: Vec<Assigned>,
    updates: Vec<InPlace>,
    idle: Arc<Idle>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// An input.
    Given(usize),
    /// What a variable held when the run began.
    Read(usize),
    Constant(usize),
    /// A buffer.
    Memory(usize),
}

/// Where a value lies.
#[derive(Clone, Debug)]
enum Place {
    /// Under a layout over the elements of a source.
    Static { source: Source, dtype: DType, layout: Layout },
    /// In a tensor that is made while the plan runs.
    Made(usize),
}

/// An output of a step: a buffer, and what is written there.
#[derive(Debug)]
struct Target {
    memory: usize,
    dtype: DType,
    dims: Vec<usize>,
    bytes: usize,
}

/// One call.
#[derive(Debug)]
struct Step {
    op: Arc<dyn Op>,
    kind: Kind,
    inputs: Vec<Place>,
    outputs: Vec<Target>,
    /// How many results there are.
    gives: usize,
    path: Option<Arc<str>>,
}

/// How a step is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// By the kernel, into buffers.
    Run,
    /// By the kernel of products, into buffers, with a right factor that may be kept: which one.
    Packed(usize),
    /// By the kernel that writes over this input.
    Over(usize),
    /// The one input is copied.
    Copy,
    /// On tensors, whose number in the end is this and the following ones.
    Make(usize),
    /// By the plans of its graphs: which op that runs graphs it is.
    Flow(usize),
}

/// A buffer.
#[derive(Debug)]
struct Room {
    bytes: usize,
    /// A tensor of this, if it leaves the plan.
    leaves: Option<Spec>,
}

/// What a result, or the next value of a variable, is.
#[derive(Clone, Copy, Debug)]
enum Giver {
    Source(Source),
    Made(usize),
}

/// A variable that gets another value at the end.
#[derive(Debug)]
struct Assigned {
    /// Which of those that are changed.
    variable: usize,
    value: Giver,
    spec: Spec,
}

/// A step of an optimizer, made at the end, where value and slots are.
#[derive(Debug)]
struct InPlace {
    step: UpdateStep,
    /// Value and slots: which of the variables that are changed.
    variables: Vec<usize>,
    specs: Vec<Spec>,
    /// The gradient, the learning rate and the number of the step.
    others: [Place; 3],
}

/// What one run needs beside the plan; there are as many as there were runs at once.
#[derive(Default)]
struct Workspace {
    memory: Vec<Memory>,
    scratch: Scratch,
    many: Many,
    read: Vec<Option<Tensor>>,
    made: Vec<Option<Tensor>>,
    /// The values of the variables that are changed, while they are.
    held: Vec<Option<Tensor>>,
    /// What ops that run graphs need.
    inner: Vec<Inner>,
    /// Whether a tensor that leaves and is still held is kept, for a later run: one of the next iterations.
    rotates: bool,
    /// Which thread ran last in it.
    thread: usize,
    /// Such tensors, by their buffers.
    spare: Vec<SmallVec<[Tensor; SPARE]>>,
}

/// The most tensors that are kept beside the one in use.
const SPARE: usize = 2;

impl Workspace {
    /// Lets go of what a run has read and made.
    fn release(&mut self) {
        self.read.iter_mut().chain(&mut self.made).for_each(|held| *held = None);
    }
}

/// The buffer itself.
enum Memory {
    Plain(Plain),
    Tensor(Tensor),
    /// In use as an output just now, or to be made anew.
    Away,
}
