//! Bias, activation and residual in the pass of the product that they follow.

use super::Uses;
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::Scalar;
use crate::ops::linalg::{BatchMatMulV2, MatMul, ProductWith};
use modulor_kernels::Binary;
use std::any::Any;
use std::sync::Arc;

/// Lets products take along what alone reads them: a vector that is added along the last axis, then a function of each element,
/// then a tensor of the same shape that is added.
pub(crate) fn append(mut graph: Graph) -> Graph {
    let uses = Uses::of(&graph);
    for at in 0..graph.nodes.len() {
        let Some((transpose_a, transpose_b)) = product(&graph.nodes[at]) else { continue };
        let spec = graph.nodes[at].specs[0].clone();
        let mut op = ProductWith { transpose_a, transpose_b, bias: false, activation: None, add: false, spec };
        let mut inputs = graph.nodes[at].inputs.clone();
        let mut last = at;
        // One after the other, as far as each is read by the next alone.
        while let &[Some(next)] = uses.of_edge(&Edge { node: last, output: 0 }) {
            if !take(&graph, &mut op, &mut inputs, last, next) {
                break;
            }
            last = next;
        }
        if last != at {
            let path = graph.nodes[last].path.clone();
            let specs = graph.nodes[last].specs.clone();
            graph.nodes[last] = GraphNode { kind: Kind::Op(Arc::new(op)), inputs, specs, path };
        }
    }
    graph.without_unused()
}

/// Whether a node is a product of floats of known shape, and which factors it transposes.
fn product(node: &GraphNode) -> Option<(bool, bool)> {
    let Kind::Op(op) = &node.kind else { return None };
    let spec = node.specs.first().filter(|spec| spec.dtype.is_float() && spec.shape.is_known())?;
    spec.shape.elements().filter(|&elements| elements > 0)?;
    let op: &dyn Any = &**op as &dyn Any;
    match (op.downcast_ref::<MatMul>(), op.downcast_ref::<BatchMatMulV2>()) {
        (Some(op), _) => Some((op.transpose_a, op.transpose_b)),
        (_, Some(op)) => Some((op.adj_x, op.adj_y)),
        _ => None,
    }
}

/// Makes the node `next` part of the product whose result is `last`, if it can be.
fn take(graph: &Graph, op: &mut ProductWith, inputs: &mut Vec<Edge>, last: usize, next: usize) -> bool {
    let node = &graph.nodes[next];
    let Kind::Op(follower) = &node.kind else { return false };
    if node.specs.len() != 1 || node.specs[0] != op.spec {
        return false;
    }
    let is_plain = |edge: &Edge| graph.nodes[edge.node].specs[edge.output].dtype == op.spec.dtype;
    match follower.scalar() {
        Some(Scalar::Unary(function)) if op.activation.is_none() && !op.add => {
            op.activation = Some(function);
            true
        }
        Some(Scalar::Binary(Binary::Add)) if !op.add => {
            // What is added comes second: a sum is the same either way.
            let Some(other) = node.inputs.iter().find(|edge| edge.node != last) else { return false };
            let shape = &graph.nodes[other.node].specs[other.output].shape;
            let (Some(own), Some(added)) = (op.spec.shape.known(), shape.known()) else { return false };
            // It must be there before the product is.
            if !is_plain(other) {
                return false;
            }
            if !op.bias && op.activation.is_none() && added.len() == 1 && own.last() == added.last() {
                op.bias = true;
                inputs.push(*other);
                return true;
            }
            if own == added {
                op.add = true;
                inputs.push(*other);
                return true;
            }
            false
        }
        _ => false,
    }
}
