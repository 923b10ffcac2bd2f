//! From what a function does with symbols to a graph.

use super::{Edge, Graph, GraphNode, Kind};
use crate::op::{Node, Origin, scope};
use crate::tensor::{ByNumber, GraphNode as _, Numbers, next_id};
use crate::{Error, Result, Spec, Tensor};
use std::sync::Arc;

/// Runs `f` on symbols of these specs and keeps what it does.
///
/// Variables that `f` reads or assigns become nodes, in order. Operations on values alone run at once, and their
/// results become constants.
pub fn trace(f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>, specs: &[Spec]) -> Result<Graph> {
    let (graph, captures) = trace_within(f, specs)?;
    match captures.first() {
        None => Ok(graph),
        Some(symbol) => {
            let op = Node::of(symbol).map(|(node, _)| node.op().to_owned()).unwrap_or_default();
            Err(Error::invalid_argument(format!(
                "an output depends on a symbol of {op} {:?} that is not of this graph: it belongs to another trace",
                [symbol.spec()]
            )))
        }
    }
}

/// As [`trace`], of a function that may use symbols of the trace around it: each of those is one more input of the graph,
/// behind the arguments, and they are returned in the order of these inputs.
pub(crate) fn trace_within(
    f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    specs: &[Spec],
) -> Result<(Graph, Vec<Tensor>)> {
    let trace = Arc::default();
    let begin = next_id();
    let inputs: Vec<Arc<Node>> =
        specs.iter().map(|spec| Node::new(Origin::Placeholder, Vec::new(), vec![spec.clone()])).collect();
    let symbols: Vec<Tensor> = inputs.iter().flat_map(Node::outputs).collect();
    let within = Arc::clone(&trace);
    let outputs = scope::changed(|scopes| scopes.trace = Some(within), || f(&symbols))?;
    Builder::default().build(begin, &inputs, &outputs, trace.take())
}

/// Numbers nodes while a graph is put together.
#[derive(Default)]
struct Builder {
    nodes: Vec<GraphNode>,
    /// Where a traced node, by its own number, or a captured value, by the tensor's, has gone.
    places: ByNumber<usize>,
    /// Where a symbol of another trace has gone, by its node's number and which output it is.
    captured: ByNumber<usize, (u64, usize)>,
    /// Those symbols.
    captures: Vec<Tensor>,
    /// Nodes of this trace that were met, and those of them whose inputs were not looked at yet.
    met: Numbers,
    pending: Vec<Arc<Node>>,
}

impl Builder {
    fn build(
        mut self,
        begin: u64,
        inputs: &[Arc<Node>],
        outputs: &[Tensor],
        effects: Vec<Arc<Node>>,
    ) -> Result<(Graph, Vec<Tensor>)> {
        for input in inputs {
            self.places.insert(input.id, self.nodes.len());
            self.nodes.push(GraphNode::placeholder(input.specs[0].clone()));
        }
        outputs.iter().try_for_each(Tensor::check)?;
        self.met.extend(effects.iter().map(|node| node.id));
        self.pending = effects;
        outputs.iter().for_each(|output| self.reach(output, begin));
        // What outputs or effects need: numbers rise as nodes are made, so that in their order each follows its inputs.
        let mut needed = Vec::new();
        while let Some(node) = self.pending.pop() {
            node.inputs.iter().for_each(|input| self.reach(input, begin));
            needed.push(node);
        }
        needed.sort_unstable_by_key(|node| node.id);
        let inputs = (0..self.nodes.len()).collect();
        for node in needed {
            let edges = node.inputs.iter().map(|input| self.edge(input)).collect::<Result<Vec<_>>>()?;
            let kind = match &node.origin {
                Origin::Placeholder | Origin::Input(_) | Origin::Call(_) => Kind::Placeholder,
                Origin::Op(op) => Kind::Op(op.clone()),
            };
            self.places.insert(node.id, self.nodes.len());
            self.nodes.push(GraphNode { kind, inputs: edges, specs: node.specs.clone(), path: node.path.clone() });
        }
        let outputs = outputs.iter().map(|output| self.edge(output)).collect::<Result<_>>()?;
        Ok((Graph { nodes: self.nodes, inputs, outputs }, self.captures))
    }

    /// Puts the node of a symbol aside to be looked into, or among what is captured, when it is met for the first time.
    fn reach(&mut self, tensor: &Tensor, begin: u64) {
        let Some((node, output)) = Node::behind(tensor) else { return };
        if self.places.contains_key(&node.id) {
            return;
        }
        if node.id >= begin && matches!(node.origin, Origin::Op(_)) {
            if self.met.insert(node.id) {
                self.pending.extend(Node::of(tensor).map(|(node, _)| node));
            }
        } else if !self.captured.contains_key(&(node.id, output)) {
            self.captured.insert((node.id, output), self.nodes.len());
            self.nodes.push(GraphNode::placeholder(tensor.spec().clone()));
            self.captures.push(tensor.clone());
        }
    }

    /// Where a tensor comes from: the node of a symbol, or a constant made for a value.
    fn edge(&mut self, tensor: &Tensor) -> Result<Edge> {
        if let Some((node, output)) = Node::behind(tensor) {
            return Ok(match self.captured.get(&(node.id, output)) {
                Some(&place) => Edge { node: place, output: 0 },
                None => Edge { node: self.places[&node.id], output },
            });
        }
        tensor.check()?;
        let next = self.nodes.len();
        let node = *self.places.entry(tensor.id()).or_insert(next);
        if node == next {
            self.nodes.push(GraphNode {
                kind: Kind::Captured(tensor.clone()),
                inputs: Vec::new(),
                specs: vec![tensor.spec().clone()],
                path: None,
            });
        }
        Ok(Edge { node, output: 0 })
    }
}
