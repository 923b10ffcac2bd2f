//! What is computed twice from the same, once.

use crate::graph::{Edge, Graph, Kind};
use crate::op::Effect;
use crate::tensor::Payload;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The most bytes of a constant that is compared with others.
const SMALL: usize = 64;

/// What a node computes, if another that is equal in this computes the same.
#[derive(PartialEq, Eq, Hash)]
enum Computed {
    Constant(String, Vec<u8>),
    Op(String, Vec<Edge>),
}

/// Merges nodes that are the same op of the same inputs, and small constants that are equal.
pub(crate) fn share(mut graph: Graph) -> Graph {
    let mut seen: HashMap<Computed, usize> = HashMap::new();
    // Where the outputs of each node are now.
    let mut moved: Vec<usize> = (0..graph.nodes.len()).collect();
    for at in 0..graph.nodes.len() {
        for edge in &mut graph.nodes[at].inputs {
            edge.node = moved[edge.node];
        }
        let node = &graph.nodes[at];
        let computed = match &node.kind {
            Kind::Placeholder => continue,
            Kind::Captured(value) => {
                let Payload::Value(held) = value.payload() else { continue };
                let bytes = held.contiguous_bytes(node.specs[0].dtype).filter(|bytes| bytes.len() <= SMALL);
                let Some(bytes) = bytes else { continue };
                Computed::Constant(node.specs[0].to_string(), bytes.to_vec())
            }
            // The text of an op has all of its settings, unless it holds what has none: closures, streams, graphs.
            Kind::Op(op) if op.effect() == Effect::Pure && op.is_its_text() => {
                Computed::Op(format!("{op:?}"), node.inputs.clone())
            }
            Kind::Op(_) => continue,
        };
        match seen.entry(computed) {
            Entry::Occupied(first) => moved[at] = *first.get(),
            Entry::Vacant(place) => {
                place.insert(at);
            }
        }
    }
    for edge in &mut graph.outputs {
        edge.node = moved[edge.node];
    }
    graph.without_unused()
}
