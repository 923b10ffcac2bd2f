//! Parts of a graph that need nothing of each other, side by side.

use super::Uses;
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Effect, Input, Op};
use crate::{Result, Spec, Tensor};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The operations in a part from which on a second thread is worth waking: some 50 µs.
const WORTH: u64 = 400_000;
/// An op of more operations than these has threads of its own.
const OWN_THREADS: u64 = 1_000_000;
/// The most ops of a part, so that the time for a graph stays in proportion to its size.
const MOST: usize = 64;

/// Parts that are run at the same time: each takes its inputs, one part after the other, and gives its outputs likewise.
#[derive(Debug)]
pub(crate) struct Beside {
    pub parts: Vec<Arc<Graph>>,
}

/// Gathers what comes together in a node, and does nothing for anything else, where at least two of it are worth a thread and
/// use but one each.
pub(crate) fn beside(mut graph: Graph) -> Graph {
    // A part of at most so many ops that is worth a thread has one of some size: long chains of small ones are not searched.
    let is_large = |node: &&GraphNode| match &node.kind {
        Kind::Op(op) => is_fit(&graph, node, &**op) && flops(&graph, node) >= WORTH / MOST as u64,
        _ => false,
    };
    if graph.nodes.iter().filter(is_large).nth(1).is_none() {
        return graph;
    }
    let uses = Uses::of(&graph);
    let mut taken = vec![false; graph.nodes.len()];
    let mut moved: HashMap<Edge, Edge> = HashMap::new();
    for at in 0..graph.nodes.len() {
        if !may_join(&graph.nodes[at]) {
            continue;
        }
        let entries: BTreeSet<usize> = graph.nodes[at].inputs.iter().map(|edge| edge.node).collect();
        let parts = entries.iter().filter_map(|&entry| part(&graph, &uses, &taken, entry, at));
        let parts: Vec<BTreeSet<usize>> = parts.collect();
        if parts.len() < 2 {
            continue;
        }
        parts.iter().flatten().for_each(|&node| taken[node] = true);
        let Some(place) = parts.iter().filter_map(|part| part.last().copied()).max() else { continue };
        let (node, outputs) = gathered(&graph, &parts, at);
        for (output, edge) in outputs.into_iter().enumerate() {
            moved.insert(edge, Edge { node: place, output });
        }
        graph.nodes[place] = node;
        for edge in &mut graph.nodes[at].inputs {
            *edge = moved.get(edge).copied().unwrap_or(*edge);
        }
    }
    if moved.is_empty() { graph } else { graph.without_unused() }
}

fn may_join(node: &GraphNode) -> bool {
    matches!(node.kind, Kind::Op(_)) && node.inputs.len() > 1
}

/// What is computed for this input of a node and for nothing else, if that is worth a thread of its own and uses but one.
fn part(graph: &Graph, uses: &Uses, taken: &[bool], entry: usize, join: usize) -> Option<BTreeSet<usize>> {
    let mut part = BTreeSet::new();
    let mut pending = BTreeSet::from([entry]);
    let mut work = 0;
    while let Some(at) = pending.pop_last() {
        let node = &graph.nodes[at];
        let Kind::Op(op) = &node.kind else { continue };
        let outputs = (0..node.specs.len()).flat_map(|output| uses.of_edge(&Edge { node: at, output }));
        let is_here = |user: &Option<usize>| user.is_some_and(|user| user == join || part.contains(&user));
        if taken[at] || !outputs.clone().all(is_here) || !is_fit(graph, node, &**op) {
            continue;
        }
        let own = flops(graph, node);
        // Steps of one sample follow each other, on one thread.
        let is_one_sample = op.name().starts_with("recurrence") && spec(graph, &node.inputs[0]).shape.dim(0) == Some(1);
        if part.len() == MOST || own > OWN_THREADS && !is_one_sample {
            return None;
        }
        work += own;
        part.insert(at);
        pending.extend(node.inputs.iter().map(|edge| edge.node));
    }
    (work >= WORTH).then_some(part)
}

/// The operations of a node.
fn flops(graph: &Graph, node: &GraphNode) -> u64 {
    let Kind::Op(op) = &node.kind else { return 0 };
    let inputs: Vec<Spec> = node.inputs.iter().map(|edge| spec(graph, edge).clone()).collect();
    op.flops(&inputs, &node.specs)
}

fn spec<'a>(graph: &'a Graph, edge: &Edge) -> &'a Spec {
    &graph.nodes[edge.node].specs[edge.output]
}

/// Whether a step of a plan computes this, of known shapes and into buffers, and nothing else.
fn is_fit(graph: &Graph, node: &GraphNode, op: &dyn Op) -> bool {
    let is_plain = |spec: &Spec| spec.dtype.size() > 0 && spec.shape.is_known();
    op.effect() == Effect::Pure
        && !op.always_makes()
        && node.specs.iter().all(is_plain)
        && node.inputs.iter().all(|edge| is_plain(spec(graph, edge)))
}

/// The node of some parts, and what its outputs are in the graph.
fn gathered(graph: &Graph, parts: &[BTreeSet<usize>], join: usize) -> (GraphNode, Vec<Edge>) {
    let (mut inputs, mut outputs, mut graphs) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let mut own = Graph { nodes: Vec::new(), inputs: Vec::new(), outputs: Vec::new() };
        let mut places: HashMap<Edge, Edge> = HashMap::new();
        for &at in part {
            let node = &graph.nodes[at];
            let edges: Vec<Edge> = node
                .inputs
                .iter()
                .map(|edge| {
                    *places.entry(*edge).or_insert_with(|| {
                        let from = &graph.nodes[edge.node];
                        let here = Edge { node: own.nodes.len(), output: 0 };
                        if matches!(from.kind, Kind::Captured(_)) {
                            own.nodes.push(from.clone());
                        } else {
                            own.nodes.push(GraphNode::placeholder(spec(graph, edge).clone()));
                            own.inputs.push(here.node);
                            inputs.push(*edge);
                        }
                        here
                    })
                })
                .collect();
            let here = own.nodes.len();
            places.extend((0..node.specs.len()).map(|output| (Edge { node: at, output }, Edge { node: here, output })));
            own.nodes.push(GraphNode { inputs: edges, ..node.clone() });
        }
        let mut given: Vec<Edge> =
            graph.nodes[join].inputs.iter().copied().filter(|edge| part.contains(&edge.node)).collect();
        given.sort_unstable_by_key(|edge| (edge.node, edge.output));
        given.dedup();
        own.outputs = given.iter().map(|edge| places[edge]).collect();
        outputs.extend(given);
        graphs.push(Arc::new(own));
    }
    let specs = outputs.iter().map(|edge| spec(graph, edge).clone()).collect();
    let path = graph.nodes[join].path.clone();
    (GraphNode { kind: Kind::Op(Arc::new(Beside { parts: graphs })), inputs, specs, path }, outputs)
}

impl Op for Beside {
    fn name(&self) -> &'static str {
        "beside"
    }
    fn infer(&self, _: &[Input]) -> Result<Vec<Spec>> {
        Ok(self.parts.iter().flat_map(|part| part.outputs().cloned()).collect())
    }
    fn always_makes(&self) -> bool {
        true
    }
    fn is_its_text(&self) -> bool {
        false
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let (mut rest, mut outputs) = (inputs, Vec::new());
        for part in &self.parts {
            let (own, others) = rest.split_at(part.inputs.len());
            outputs.extend(part.run(own)?);
            rest = others;
        }
        Ok(outputs)
    }
}
