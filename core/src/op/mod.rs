//! What an operation is, and the one door through which every one of them is called.

mod apply;
mod attrs;
mod buffer;
mod cost;
mod infer;
mod node;
mod operand;
mod policy;
mod profile;
pub mod scope;

pub use apply::{apply, apply_one, dispatch, dispatch_given};
pub(crate) use apply::{given, is_staged, on_strings, record, replace, see};
pub use attrs::{Attr, Attrs, Func};
pub(crate) use buffer::allocate;
pub use buffer::{Scratch, View, ViewMut};
pub(crate) use cost::{elements, of_product};
pub(crate) use infer::{
    allowed, arity, at_least_rank, int_values, ints, one_int, rank_unknown, same_dtype, unsupported, with_rank,
};
pub(crate) use node::{Node, Origin};
pub use operand::Operand;
pub use policy::{DTypePolicy, dtype_policy, set_dtype_policy, with_dtype_policy};
pub use profile::{Event, Profile, Row, profiled};
pub(crate) use profile::{is_profiled, timed};
pub use scope::{Recorder, Scopes};

use crate::tensor::Layout;
use crate::{Error, Result, Spec, Tensor};
use modulor_kernels::{Binary, Compare, Logical, Test, Unary};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// One TensorFlow operation, whole: name, attributes, inference, kernel, gradient.
///
/// Eager calls, the tape, tracing, the graph's text and the tests over all ops are derived from this and from the
/// op's row in its family's `OPS`. An op has exactly one of three kernels: [`run`](Op::run) writes buffers of the
/// inferred shapes, [`view`](Op::view) re-reads its input's elements, [`make`](Op::make) returns tensors whose shapes
/// depend on values, or that are not plain bytes.
pub trait Op: Any + fmt::Debug + Send + Sync {
    /// TensorFlow's name of the op, as in a NodeDef: "MatMul".
    fn name(&self) -> &'static str;

    /// The NodeDef attributes, by TensorFlow's names, that do not follow from the inputs' number and dtypes.
    fn attrs(&self) -> Attrs {
        Attrs::new()
    }

    /// What running the op does beside computing its outputs.
    fn effect(&self) -> Effect {
        Effect::Pure
    }

    /// Dtypes and shapes of the outputs, as far as they follow from what is known of the inputs. The only place that
    /// rejects: what passes here, with every dim known, the kernel computes.
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>>;

    /// Outputs that are known without running, like the shape of a symbol whose dims are all known.
    fn known(&self, _inputs: &[Input]) -> Option<Vec<Tensor>> {
        None
    }

    /// The output as other strides over the elements of input 0, where that can be.
    fn view(&self, _inputs: &[&Tensor], _output: &Spec) -> Result<Option<Layout>> {
        Ok(None)
    }

    /// Bytes of scratch that [`run`](Op::run) will take for these inputs.
    fn scratch(&self, _inputs: &[View], _outputs: &[ViewMut]) -> usize {
        0
    }

    /// Computes every element of every output. Buffers hold garbage before; nothing is allocated here.
    fn run(&self, _inputs: &[View], _outputs: &mut [ViewMut], _scratch: &mut Scratch) -> Result<()> {
        Err(Error::internal("this op has no kernel that writes into buffers"))
    }

    /// The inputs over which the one output may be written, element by element, where it is of their dtype and dims.
    fn overwrites(&self) -> &'static [usize] {
        &[]
    }

    /// As [`run`](Op::run), to the same bits, with input `over`, one of [`overwrites`](Op::overwrites), in the buffer of
    /// the output; `others` are the other inputs, in order. The buffer holds garbage after an error.
    fn run_over(&self, _over: usize, _others: &[View], _output: &mut ViewMut, _scratch: &mut Scratch) -> Result<()> {
        Err(Error::internal("this op has no kernel that writes over an input"))
    }

    /// Bytes of scratch that [`run_over`](Op::run_over) will take.
    fn scratch_over(&self) -> usize {
        0
    }

    /// Whether its text, by `Debug`, says all of it, so that two of one text are the same op: one that holds a closure, a graph
    /// or a stream has more to it.
    fn is_its_text(&self) -> bool {
        true
    }

    /// Whether it has no kernel but [`make`](Op::make), even where all shapes are known: it runs graphs.
    fn always_makes(&self) -> bool {
        false
    }

    /// Computes outputs whose shapes inference cannot know, or that are strings or state.
    fn make(&self, _inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        Err(Error::unimplemented("this case has no kernel"))
    }

    /// One gradient per input, in public tensor operations; `None` where the output does not depend on the input
    /// smoothly.
    fn grad(&self, _b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Err(Error::unimplemented("this op has no gradient"))
    }

    /// Whether [`grad`](Op::grad) needs more of the inputs' shapes than is known: the tape then defers it, as one node, until
    /// the graph is run or made one of known shapes.
    fn grad_waits(&self, _inputs: &[Tensor]) -> bool {
        false
    }

    /// Whether inputs broadcast against each other, so that the tape must sum a gradient back to its input's shape.
    fn broadcasts(&self) -> bool {
        false
    }

    /// The call in other operations, where those take its place: of a composite that has no gradient and is `listened` to by
    /// tapes, of a gradient that was deferred, and of a function, a branch or a loop that is known, is more special than it was
    /// traced for, or is listened to: tapes then hear what its gradient needs.
    fn unfolded(&self, inputs: &[&Tensor], listened: bool) -> Option<Result<Vec<Tensor>>> {
        let composite = self.as_fused().filter(|composite| listened && !composite.differentiates())?;
        Some(scope::within_composite(self.name(), || composite.body(inputs)))
    }

    /// The operations of arithmetic in a call on tensors of these specs, all known: a multiplication and an addition are two,
    /// a function of an element is one. One for each element of the largest tensor where an op does not say it more closely,
    /// and none where elements only move.
    fn flops(&self, inputs: &[Spec], outputs: &[Spec]) -> u64 {
        cost::by_elements(self.name(), inputs, outputs)
    }

    /// What it computes of each element, if it is elementwise: what graphs do with several such ops in one pass.
    fn scalar(&self) -> Option<Scalar> {
        None
    }

    /// The inputs of which each place along the first axis is all that the same place of the one output needs, beside all of
    /// the others: graphs may then run it on some of these samples at a time. None of an op that is not so.
    fn samples(&self) -> &'static [usize] {
        &[]
    }

    /// What an op on variables does, in operations on their values, which `values` has and takes; `None` for all others.
    fn on_values(&self, _inputs: &[&Tensor], _values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
        None
    }

    /// What a profile calls it.
    fn describe(&self) -> String {
        self.name().to_owned()
    }

    /// This as a composite, if it is one: no registry has it, and files have its body in its place.
    fn as_fused(&self) -> Option<&dyn Fused> {
        None
    }
}

/// What an elementwise op computes, as the kernels know it. Inputs broadcast; all values are of one dtype, masks are bools.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// A value by a value.
    Unary(Unary),
    /// A value by two values.
    Binary(Binary),
    /// A mask by two values.
    Compare(Compare),
    /// A mask by a value.
    Test(Test),
    /// A mask by two masks.
    Logical(Logical),
    /// The opposite of a mask.
    Not,
    /// Of a mask and two values the first where the mask is true, else the second.
    Select,
}

/// The values of variables, by their handles, while a graph on variables is made one on values.
pub trait Values {
    /// The value that the variable has at this place.
    fn value(&mut self, handle: &Tensor) -> Result<Tensor>;

    /// Gives the variable another value from here on.
    fn assign(&mut self, handle: &Tensor, value: Tensor) -> Result<()>;
}

/// A composite with a kernel: an op by its own name, which no registry has.
pub trait Fused: Op {
    /// What the kernel computes, in public tensor operations.
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>>;

    /// Whether it has a gradient of its own, in public tensor operations, or composites, as an op's is. One that has none
    /// is its body where a tape listens.
    fn differentiates(&self) -> bool {
        true
    }
}

/// What an op does beside computing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: equal inputs give equal outputs, and a call nobody uses may be left out.
    Pure,
    /// Draws from a stream of its own: no call equals another, so that none is merged with one or made ahead of time, in a
    /// trace. One nobody uses may be left out.
    Random,
    /// Reads state: its place among the writes matters.
    Reads,
    /// Writes state: its place matters, and it runs even if nobody uses its outputs.
    Writes,
}

impl Effect {
    /// Whether a call keeps its place among others, and is made whether or not somebody uses it.
    pub fn is_ordered(self) -> bool {
        matches!(self, Effect::Reads | Effect::Writes)
    }
}

/// What [`Op::infer`] sees of an input.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Dtype and shape, as far as known.
    pub spec: &'a Spec,
    /// The input itself, where it has a value: TensorFlow passes shapes and axes as inputs.
    pub value: Option<&'a Tensor>,
}

/// A call that took place: what the tape keeps.
#[derive(Debug)]
pub struct Call {
    /// The op.
    pub op: Arc<dyn Op>,
    /// What it was given.
    pub inputs: Vec<Tensor>,
    /// What it returned.
    pub outputs: Vec<Tensor>,
}

/// A recorded call met again on the way back: what [`Op::grad`] sees.
#[derive(Debug)]
pub struct Backward<'a> {
    pub(crate) call: &'a Call,
    pub(crate) dy: &'a [Tensor],
    pub(crate) arrives: &'a [bool],
    pub(crate) needs: &'a [bool],
}

impl Backward<'_> {
    /// Input `i` of the call.
    pub fn input(&self, i: usize) -> &Tensor {
        &self.call.inputs[i]
    }
    /// All inputs of the call.
    pub fn inputs(&self) -> &[Tensor] {
        &self.call.inputs
    }
    /// Output `i` of the call.
    pub fn output(&self, i: usize) -> &Tensor {
        &self.call.outputs[i]
    }
    /// The gradient that arrives at output `i`: zeros if nothing depends on it.
    pub fn dy(&self, i: usize) -> &Tensor {
        &self.dy[i]
    }
    /// The gradients that arrive at all outputs.
    pub fn dys(&self) -> &[Tensor] {
        self.dy
    }
    /// Whether anything depends on output `i`: if not, its gradient is zeros, and need not be computed with.
    pub fn arrives(&self, i: usize) -> bool {
        self.arrives[i]
    }
    /// Whether anybody asks for the gradient of input `i`; another one may be left `None`.
    pub fn needs(&self, i: usize) -> bool {
        self.needs[i]
    }
    /// `f()` if somebody asks for the gradient of input `i`.
    pub fn when(&self, i: usize, f: impl FnOnce() -> Result<Tensor>) -> Result<Option<Tensor>> {
        self.needs(i).then(f).transpose()
    }
}

/// How near an op comes to the mathematical result; one table for the whole library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accuracy {
    /// Data movement, integers, comparisons, + − × ÷ and sqrt: equal to TensorFlow, bit for bit.
    Exact,
    /// Elementwise functions: within 4 units in the last place of the float64 result, rounded.
    Ulp4,
    /// Reductions, matmul, convolution: error at most `4·eps·Σ|terms|` against float64.
    Sum,
    /// Functions that are ill-conditioned somewhere: within 64 units in the last place.
    Special,
}

/// An op's row in the list of its family: how to read it back, and how exact it is.
#[derive(Debug)]
pub struct OpDef {
    /// TensorFlow's name.
    pub name: &'static str,
    /// The op from its attributes.
    pub parse: fn(&Attrs) -> Result<Arc<dyn Op>>,
    /// Its class.
    pub accuracy: Accuracy,
}

impl OpDef {
    /// The row of an op without attributes.
    pub const fn plain<O: Op + Default>(name: &'static str, accuracy: Accuracy) -> OpDef {
        OpDef { name, parse: |_| Ok(Arc::new(O::default())), accuracy }
    }
}
