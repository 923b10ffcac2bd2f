//! A body taken apart for its gradient: what is computed first, what is put aside, and what is computed on the way back.

use super::{Body, gradient_spec, zeros};
use crate::graph::{Graph, trace_within};
use crate::op::Node;
use crate::tensor::next_id;
use crate::{GradientTape, Result, Spec, Tensor};

/// What is derived, and with respect to what.
pub(super) struct Derived<'a> {
    /// The specs of the arguments.
    pub specs: &'a [Spec],
    /// Which arguments have gradients.
    pub arguments: &'a [usize],
    /// Tensors and handles of the trace around the body that have gradients.
    pub outer: &'a [Tensor],
    /// Whether gradients of these are added to what there is already, which comes in.
    pub onto: bool,
    /// Which outputs have gradients.
    pub outputs: &'a [usize],
    /// Whether what is put aside has gradients too: the gradient will be derived itself.
    pub twice: bool,
}

/// A body and its gradient.
pub(super) struct Joint {
    /// Gives the outputs, and then what is put aside.
    pub forward: Body,
    /// What is put aside.
    pub saved: Vec<Spec>,
    pub backward: Backwards,
    /// The same where gradients arrive at what was put aside.
    pub twice: Option<Backwards>,
}

/// The way back. It takes the gradients at the outputs that have some, those at what was put aside if they arrive, and what
/// there is already of the outer sources, if they are added to; and gives the gradients at the arguments and the outer sources.
pub(super) struct Backwards {
    graph: Graph,
    /// What it needs beside its arguments.
    needed: Vec<Needed>,
    /// Which of its results depend on anything.
    pub connected: Vec<bool>,
}

/// Something that the way back needs.
enum Needed {
    /// What was put aside in this place.
    Saved(usize),
    /// What is the same then as now.
    Outer(Tensor),
}

impl Backwards {
    pub fn run(&self, arguments: &[Tensor], saved: &[Tensor]) -> Result<Vec<Tensor>> {
        let needed = self.needed.iter().map(|needed| match needed {
            Needed::Saved(place) => &saved[*place],
            Needed::Outer(tensor) => tensor,
        });
        self.graph.run(&arguments.iter().chain(needed).collect::<Vec<_>>())
    }
}

/// Traces `f` and its gradient.
pub(super) fn joint(f: &dyn Fn(&[Tensor]) -> Result<Vec<Tensor>>, derived: &Derived) -> Result<Joint> {
    let begin = next_id();
    let mut made = None;
    let body = |arguments: &[Tensor]| {
        let sources: Vec<Tensor> =
            derived.arguments.iter().map(|&at| arguments[at].clone()).chain(derived.outer.iter().cloned()).collect();
        let tape = GradientTape::persistent().ignoring_variables();
        sources.iter().for_each(|source| tape.watch(source));
        // Branches and loops in the body see by a second tape that their gradients will be derived, too.
        let mut outputs = match derived.twice {
            true => GradientTape::new().ignoring_variables().record(|| tape.record(|| f(arguments)))?,
            false => tape.record(|| f(arguments))?,
        };
        let targets: Vec<Tensor> = derived.outputs.iter().map(|&at| outputs[at].clone()).collect();
        let mut saved = Vec::new();
        let backward = backwards(&tape, derived, &targets, &sources, begin, &mut saved)?;
        let mut twice = None;
        // What is put aside may depend on more that must be.
        while twice.is_none() && derived.twice {
            let smooth = saved.iter().filter(|saved| saved.dtype().is_differentiable());
            let targets: Vec<Tensor> = targets.iter().chain(smooth).cloned().collect();
            let before = saved.len();
            let again = backwards(&tape, derived, &targets, &sources, begin, &mut saved)?;
            if saved.len() == before {
                twice = Some(again);
            }
        }
        let specs = saved.iter().map(|saved| saved.spec().clone()).collect();
        outputs.extend(saved);
        made = Some((backward, twice, specs));
        Ok(outputs)
    };
    let forward = Body::trace(body, derived.specs)?;
    let (backward, twice, saved) = made.ok_or_else(|| crate::Error::internal("the body was traced"))?;
    Ok(Joint { forward, saved, backward, twice })
}

/// The way back from `targets`. What it needs of what was computed since `begin` is added to `saved`.
fn backwards(
    tape: &GradientTape,
    derived: &Derived,
    targets: &[Tensor],
    sources: &[Tensor],
    begin: u64,
    saved: &mut Vec<Tensor>,
) -> Result<Backwards> {
    let arguments = derived.arguments.len();
    let mut specs: Vec<Spec> = targets.iter().map(|target| target.spec().clone()).collect();
    if derived.onto {
        specs.extend(derived.outer.iter().map(gradient_spec).collect::<Result<Vec<_>>>()?);
    }
    let mut connected = Vec::new();
    let body = |symbols: &[Tensor]| {
        let (weights, onto) = symbols.split_at(targets.len());
        let targets: Vec<_> = targets.iter().cloned().zip(weights.iter().cloned().map(Some)).collect();
        let already: Vec<Option<Tensor>> =
            (0..sources.len()).map(|at| at.checked_sub(arguments).and_then(|at| onto.get(at).cloned())).collect();
        let gradients = tape.gradients_onto(&targets, sources, &already)?;
        let is_new = |(gradient, already): (&Option<Tensor>, &Option<Tensor>)| {
            gradient.as_ref().is_some_and(|found| already.as_ref().is_none_or(|already| already.id() != found.id()))
        };
        connected = gradients.iter().zip(&already).map(is_new).collect();
        gradients
            .into_iter()
            .zip(sources)
            .map(|(gradient, source)| gradient.map_or_else(|| zeros(source), Ok))
            .collect()
    };
    let (graph, captures) = trace_within(body, &specs)?;
    let node = |tensor: &Tensor| Node::of(tensor).map(|(node, output)| (node.id, output));
    let mut needed = Vec::new();
    for capture in captures {
        let own = node(&capture);
        needed.push(match own {
            Some((id, _)) if id >= begin => {
                let place = saved.iter().position(|saved| node(saved) == own).unwrap_or_else(|| {
                    saved.push(capture);
                    saved.len() - 1
                });
                Needed::Saved(place)
            }
            _ => Needed::Outer(capture),
        });
    }
    Ok(Backwards { graph, needed, connected })
}
