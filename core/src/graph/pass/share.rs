//! What is computed twice from the same, once.

use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Effect, Op};
use crate::tensor::{ByNumber, Payload};
use std::collections::hash_map::Entry;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The most bytes of a constant that is compared with others.
const SMALL: usize = 64;

/// Merges nodes that are the same op of the same inputs, and small constants that are equal.
pub(crate) fn share(mut graph: Graph) -> Graph {
    // The first node of each hash: of two that differ and have one hash, which is as good as never, the second stays.
    let mut seen: ByNumber<usize> = ByNumber::default();
    // Where the outputs of each node are now.
    let mut moved: Vec<usize> = (0..graph.nodes.len()).collect();
    for at in 0..graph.nodes.len() {
        for edge in &mut graph.nodes[at].inputs {
            edge.node = moved[edge.node];
        }
        let node = &graph.nodes[at];
        let Some(computed) = Computed::of(node) else { continue };
        match seen.entry(computed.hash()) {
            Entry::Vacant(place) => {
                place.insert(at);
            }
            Entry::Occupied(first) => {
                let first = *first.get();
                if Computed::of(&graph.nodes[first]).is_some_and(|other| other.is(&computed)) {
                    moved[at] = first;
                }
            }
        }
    }
    for edge in &mut graph.outputs {
        edge.node = moved[edge.node];
    }
    graph.without_unused()
}

/// What a node computes, if another that is the same in this computes the same.
enum Computed<'a> {
    Constant(&'a GraphNode, &'a [u8]),
    Op(&'a dyn Op, &'a [Edge]),
}

impl Computed<'_> {
    fn of(node: &GraphNode) -> Option<Computed<'_>> {
        match &node.kind {
            Kind::Placeholder => None,
            Kind::Captured(value) => {
                let Payload::Value(held) = value.payload() else { return None };
                let bytes = held.contiguous_bytes(node.specs[0].dtype).filter(|bytes| bytes.len() <= SMALL)?;
                Some(Computed::Constant(node, bytes))
            }
            // The text of an op has all of its settings, unless it holds what has none: closures, streams, graphs.
            Kind::Op(op) => {
                let is_same = op.effect() == Effect::Pure && op.is_its_text();
                is_same.then(|| Computed::Op(&**op, &node.inputs))
            }
        }
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Computed::Constant(node, bytes) => (&node.specs, bytes).hash(&mut hasher),
            Computed::Op(op, inputs) => {
                inputs.hash(&mut hasher);
                // Writing to a hasher cannot fail.
                let _ = write!(Text(&mut hasher), "{op:?}");
            }
        }
        hasher.finish()
    }

    fn is(&self, other: &Computed) -> bool {
        match (self, other) {
            (Computed::Constant(node, bytes), Computed::Constant(other, others)) => {
                node.specs == other.specs && bytes == others
            }
            (Computed::Op(op, inputs), Computed::Op(other, others)) => {
                inputs == others && format!("{op:?}") == format!("{other:?}")
            }
            _ => false,
        }
    }
}

/// Hashes what is written.
struct Text<'a>(&'a mut DefaultHasher);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
