//! From closures to the graphs of an op.

use crate::graph::{Edge, Graph, GraphNode, Kind, trace_within};
use crate::op::{Node, scope};
use crate::{Result, Spec, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// A function as a graph, and what it needs beside its arguments: each is one more input, in this order.
pub(crate) struct Body {
    pub graph: Graph,
    pub captures: Vec<Tensor>,
}

impl Graph {
    /// The same graph with an input in the place of each of these handles that stands in it as what it is.
    pub(crate) fn taking_in(mut self, handles: &[Option<Tensor>]) -> Graph {
        let mut moved: HashMap<usize, usize> = HashMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Kind::Captured(value) = &node.kind else { continue };
            let is_it = |handle: &Option<Tensor>| handle.as_ref().is_some_and(|handle| handle.id() == value.id());
            if let Some(input) = handles.iter().position(is_it) {
                moved.insert(at, self.inputs[input]);
            }
        }
        let edges = self.nodes.iter_mut().flat_map(|node| &mut node.inputs).chain(&mut self.outputs);
        edges.for_each(|edge| edge.node = moved.get(&edge.node).copied().unwrap_or(edge.node));
        self.without_unused()
    }
}

impl Body {
    /// A graph that takes so many arguments: the handles in it are captures.
    pub fn new(mut graph: Graph) -> Body {
        let mut captures = Vec::new();
        for (at, node) in graph.nodes.iter_mut().enumerate() {
            let Kind::Captured(value) = &node.kind else { continue };
            if value.as_resource().is_ok() {
                captures.push(value.clone());
                graph.inputs.push(at);
                node.kind = Kind::Placeholder;
            }
        }
        Body { graph, captures }
    }

    /// Traces `f`, which may use symbols of the trace around it. These become captures, and so do the handles of variables
    /// and the values to which tapes listen; other values are constants of the graph. The tapes hear of nothing in it.
    pub fn trace(f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>, specs: &[Spec]) -> Result<Body> {
        let tapes = scope::with(|scopes| scopes.tapes.clone());
        let (mut graph, mut captures) = scope::without_tapes(|| trace_within(f, specs))?;
        for (at, node) in graph.nodes.iter_mut().enumerate() {
            let Kind::Captured(value) = &node.kind else { continue };
            if value.as_resource().is_ok() || tapes.iter().any(|tape| tape.depends(value)) {
                captures.push(value.clone());
                graph.inputs.push(at);
                node.kind = Kind::Placeholder;
            }
        }
        Ok(Body { graph, captures })
    }

    /// The outputs, for these arguments, where the captures are at hand.
    pub fn run(&self, arguments: &[&Tensor]) -> Result<Vec<Tensor>> {
        let inputs: Vec<&Tensor> = arguments.iter().copied().chain(&self.captures).collect();
        self.graph.run(&inputs)
    }
}

/// What tells a captured tensor from every other: of a symbol its node and which output it is.
fn identity(tensor: &Tensor) -> (u64, usize) {
    match Node::of(tensor) {
        Some((node, output)) => (node.id, output + 1),
        None => (tensor.id(), 0),
    }
}

/// Graphs that take the same inputs: the arguments, of which each has so many, and then what any of them captures.
pub(super) fn aligned<const N: usize>(bodies: [Body; N], arguments: usize) -> ([Arc<Graph>; N], Vec<Tensor>) {
    let (graphs, captures) = aligned_all(Vec::from(bodies), arguments);
    let graphs = graphs.try_into().unwrap_or_else(|_| unreachable!("as many graphs as bodies"));
    (graphs, captures)
}

/// As [`aligned`], of any number.
pub(crate) fn aligned_all(bodies: Vec<Body>, arguments: usize) -> (Vec<Arc<Graph>>, Vec<Tensor>) {
    let mut captures: Vec<Tensor> = Vec::new();
    let mut places: HashMap<(u64, usize), usize> = HashMap::new();
    for capture in bodies.iter().flat_map(|body| &body.captures) {
        places.entry(identity(capture)).or_insert_with(|| {
            captures.push(capture.clone());
            captures.len() - 1
        });
    }
    let align = |mut body: Body| {
        let own = body.graph.inputs.split_off(arguments);
        let mut inputs: Vec<Option<usize>> = vec![None; captures.len()];
        for (node, capture) in own.into_iter().zip(&body.captures) {
            inputs[places[&identity(capture)]] = Some(node);
        }
        for (input, capture) in inputs.into_iter().zip(&captures) {
            let node = input.unwrap_or_else(|| {
                body.graph.nodes.push(GraphNode::placeholder(capture.spec().clone()));
                body.graph.nodes.len() - 1
            });
            body.graph.inputs.push(node);
        }
        Arc::new(body.graph)
    };
    (bodies.into_iter().map(align).collect(), captures)
}

/// Gives out its inputs from `first` on too.
pub(crate) fn passing_on(graph: &mut Graph, first: usize) {
    let passed = graph.inputs[first..].iter().map(|&node| Edge { node, output: 0 });
    graph.outputs.extend(passed);
}
