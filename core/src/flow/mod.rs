//! Ops that run graphs: functions, branches and loops, by TensorFlow's names.
//!
//! A body is a [`Graph`]. What it uses of the trace around it comes in through inputs of its own, behind the arguments, and so
//! do the handles of the variables that it reads or writes, so that a tape hears of them. On values such an op is its graphs,
//! run op by op, with which a tape, if one listens, has all it needs. In a trace it is a node; where a tape listens, one that
//! gives, beside its outputs, what its gradient needs of the values on the way, and the gradient is such an op in its turn.
//!
//! [`control`](crate::control) makes them out of closures.

mod body;
mod branch;
mod function;
mod joint;
mod repeat;

pub(crate) use body::{Body, aligned_all, passing_on};
pub(crate) use branch::branch;
pub(crate) use function::recompute;
pub(crate) use repeat::{repeat, spend};

use crate::graph::Graph;
use crate::op::{Attr, Attrs, Backward, Effect, Func, Input, Op, OpDef, Values, scope};
use crate::{DType, Error, Result, Spec, Tensor};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

impl Func {
    /// A graph as an attribute.
    pub fn new(graph: Arc<Graph>) -> Func {
        Func(graph)
    }

    /// The graph.
    pub fn graph(&self) -> Result<Arc<Graph>> {
        Arc::clone(&self.0).downcast().map_err(|_| Error::internal("a function that is no graph"))
    }
}

/// What an op does with the graphs that it runs.
pub(crate) enum Control<'a> {
    /// Runs the body on its results, as long as the condition holds of them.
    Repeat { condition: &'a Graph, body: &'a Graph },
    /// Runs one of them, which the first input chooses, on the others.
    Choose(&'a [Arc<Graph>]),
    /// Runs it.
    Call(&'a Graph),
}

impl Control<'_> {
    /// That of an op of this folder.
    pub fn of(op: &dyn Op) -> Option<Control<'_>> {
        let op: &dyn Any = op;
        if let Some(op) = op.downcast_ref::<repeat::While>() {
            return Some(Control::Repeat { condition: &op.condition, body: &op.body });
        }
        if let Some(op) = op.downcast_ref::<branch::Branch>() {
            return Some(Control::Choose(&op.branches));
        }
        op.downcast_ref::<function::Function>().map(|op| Control::Call(&op.body))
    }

    /// Whether the first input chooses.
    pub fn is_choice(&self) -> bool {
        matches!(self, Control::Choose(_))
    }
}

/// Which of the graphs of a branch a value chooses.
pub(crate) fn chosen(op: &dyn Op, choice: &Tensor) -> Result<usize> {
    let branch = (op as &dyn Any).downcast_ref::<branch::Branch>();
    branch.ok_or_else(|| Error::internal("an op that chooses is a branch"))?.chosen(choice)
}

/// The graphs that an op runs, with the names of their attributes; none for most ops.
pub fn bodies(op: &dyn Op) -> Vec<(String, Arc<Graph>)> {
    fn collect(name: &str, attr: &Attr, out: &mut Vec<(String, Arc<Graph>)>) {
        match attr {
            Attr::Func(function) => out.extend(function.graph().ok().map(|graph| (name.to_owned(), graph))),
            Attr::List(items) => items.iter().for_each(|item| collect(name, item, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    op.attrs().iter().for_each(|(name, attr)| collect(name, attr, &mut out));
    out
}

/// The dtypes and shapes of the outputs, as attributes.
fn with_outputs(attrs: Attrs, specs: &[Spec]) -> Attrs {
    let types = specs.iter().map(|spec| Attr::Type(spec.dtype)).collect();
    let shapes = specs.iter().map(|spec| Attr::Shape(spec.shape.clone())).collect();
    attrs.with("Tout", Attr::List(types)).with("output_shapes", Attr::List(shapes))
}

/// The strongest effect of any of the ops of these graphs.
fn effect<'a>(graphs: impl IntoIterator<Item = &'a Graph>) -> Effect {
    let strength = |effect: &Effect| match effect {
        Effect::Pure => 0,
        Effect::Random => 1,
        Effect::Reads => 2,
        Effect::Writes => 3,
    };
    graphs.into_iter().flat_map(Graph::effects).max_by_key(strength).unwrap_or(Effect::Pure)
}

/// Whether inputs are what a graph takes; `what` names it in the error.
fn check_arguments(what: &str, graph: &Graph, inputs: &[Input]) -> Result<()> {
    let expected = graph.inputs().count();
    if expected != inputs.len() {
        let message = format!("`{what}` takes {expected} inputs, and {} were given", inputs.len());
        return Err(Error::invalid_argument(message));
    }
    let misfit = graph.inputs().zip(inputs).enumerate().find(|(_, (spec, input))| !fits(input.spec, spec));
    match misfit {
        None => Ok(()),
        Some((at, (spec, input))) => {
            Err(Error::invalid_argument(format!("input {at} of `{what}` is {spec}, and {} was given", input.spec)))
        }
    }
}

/// Whether what is known of a tensor may be true of one of a spec.
fn fits(found: &Spec, expected: &Spec) -> bool {
    found.dtype == expected.dtype && found.shape.is_compatible_with(&expected.shape)
}

/// Whether more is known of an input than a graph was traced for.
fn is_narrower(graph: &Graph, inputs: &[&Tensor]) -> bool {
    graph.inputs().zip(inputs).any(|(spec, input)| {
        let both = spec.shape.merge(input.shape());
        both.is_some_and(|both| both != spec.shape)
    })
}

/// Zeros like a source of gradients, which may be the handle of a variable.
fn zeros(source: &Tensor) -> Result<Tensor> {
    let spec = gradient_spec(source)?;
    match spec.shape.known().filter(|_| spec.dtype.has_elements()) {
        Some(dims) => Tensor::zeros([], spec.dtype)?.broadcast_to(dims),
        None => source.zeros_like(),
    }
}

/// What the gradient with respect to a source is: like it, or like the value of the variable.
fn gradient_spec(source: &Tensor) -> Result<Spec> {
    match source.as_resource() {
        Ok(resource) => resource.spec(),
        Err(_) => Ok(source.spec().clone()),
    }
}

/// The inputs with respect to which a tape may be asked for gradients.
fn sources(inputs: &[&Tensor]) -> Vec<Tensor> {
    let tapes = scope::with(|scopes| scopes.tapes.clone());
    let mut sources: Vec<Tensor> = Vec::new();
    for &input in inputs {
        let may = input.dtype().is_differentiable() || input.as_resource().is_ok();
        let is_new = sources.iter().all(|source| source.id() != input.id());
        if may && is_new && tapes.iter().any(|tape| tape.depends(input)) {
            sources.push(input.clone());
        }
    }
    sources
}

/// The values of variables in a body: what it has assigned, and else what they are outside.
struct Within<'a> {
    now: HashMap<u64, Tensor>,
    outside: &'a mut dyn Values,
}

impl<'a> Within<'a> {
    fn new(outside: &'a mut dyn Values) -> Within<'a> {
        Within { now: HashMap::new(), outside }
    }
}

impl Values for Within<'_> {
    fn value(&mut self, handle: &Tensor) -> Result<Tensor> {
        match self.now.get(&handle.id()) {
            Some(value) => Ok(value.clone()),
            None => self.outside.value(handle),
        }
    }
    fn assign(&mut self, handle: &Tensor, value: Tensor) -> Result<()> {
        self.now.insert(handle.id(), value);
        Ok(())
    }
}

/// The inputs that are handles of variables which one of the bodies may write.
fn written(graphs: &[&Graph], inputs: &[&Tensor]) -> Vec<Tensor> {
    let is_written =
        |at: usize| graphs.iter().any(|graph| graph.inputs.get(at).is_some_and(|&node| graph.writes(node)));
    let mut written: Vec<Tensor> = Vec::new();
    for (at, &input) in inputs.iter().enumerate() {
        let is_new = written.iter().all(|handle| handle.id() != input.id());
        if input.dtype() == DType::Resource && is_new && is_written(at) {
            written.push(input.clone());
        }
    }
    written
}

type Gradient = dyn Fn(&Backward) -> Result<Vec<Option<Tensor>>> + Send + Sync;

/// What a tape hears of a call whose gradient is not that of the node that was made.
struct Recorded {
    name: &'static str,
    gradient: Box<Gradient>,
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Op for Recorded {
    fn name(&self) -> &'static str {
        self.name
    }
    fn is_its_text(&self) -> bool {
        false
    }
    fn infer(&self, _: &[Input]) -> Result<Vec<Spec>> {
        Err(Error::internal("a record of a call is not called"))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        (self.gradient)(b)
    }
}

/// Tells the tapes of a call of `outputs` that depends on `sources`.
fn record(
    name: &'static str,
    sources: Vec<Tensor>,
    outputs: Vec<Tensor>,
    gradient: impl Fn(&Backward) -> Result<Vec<Option<Tensor>>> + Send + Sync + 'static,
) -> Result<()> {
    crate::op::record(Arc::new(Recorded { name, gradient: Box::new(gradient) }), sources, outputs)
}

/// The ops of this folder.
pub(crate) const OPS: &[&[OpDef]] = &[branch::OPS, repeat::OPS, function::OPS];
