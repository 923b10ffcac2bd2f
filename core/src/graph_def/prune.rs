//! A graph without the nodes that nobody needs.

use crate::graph::{Edge, Graph, Kind};
use crate::op::Effect;

impl Graph {
    /// The same graph without what neither an output nor a write needs. Inputs stay.
    pub(super) fn pruned(mut self) -> Graph {
        let mut needed = vec![false; self.nodes.len()];
        self.inputs.iter().for_each(|&input| needed[input] = true);
        self.outputs.iter().for_each(|edge| needed[edge.node] = true);
        // Each node follows its inputs.
        for (at, node) in self.nodes.iter().enumerate().rev() {
            needed[at] |= matches!(&node.kind, Kind::Op(op) if op.effect() == Effect::Writes);
            if needed[at] {
                node.inputs.iter().for_each(|edge| needed[edge.node] = true);
            }
        }
        let mut places = vec![0; self.nodes.len()];
        for (count, (place, _)) in places.iter_mut().zip(&needed).filter(|(_, needed)| **needed).enumerate() {
            *place = count;
        }
        let mut keep = needed.iter();
        self.nodes.retain(|_| keep.next().copied().unwrap_or_default());
        let moved = |edge: &mut Edge| edge.node = places[edge.node];
        self.nodes.iter_mut().flat_map(|node| &mut node.inputs).for_each(moved);
        self.outputs.iter_mut().for_each(moved);
        self.inputs.iter_mut().for_each(|input| *input = places[*input]);
        self
    }
}
