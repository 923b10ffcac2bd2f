//! Bias, activation and residual in the pass of the product that they follow.

use super::Uses;
use crate::Spec;
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Op, Scalar};
use crate::ops::convolution::Convolve;
use crate::ops::linalg::{BatchMatMulV2, MatMul, ProductWith};
use modulor_kernels::{Binary, Unary};
use std::any::Any;
use std::sync::Arc;

/// Lets products and convolutions take along what alone reads them: a vector that is added along the last axis, then a function
/// of each element, then, of a product, a tensor of the same shape that is added.
pub(crate) fn append(mut graph: Graph) -> Graph {
    let uses = Uses::of(&graph);
    for at in 0..graph.nodes.len() {
        let Some(first) = First::of(&graph.nodes[at]) else { continue };
        let mut follows = Follows { bias: false, activation: None, add: false, takes_add: first.takes_add() };
        let (spec, mut inputs) = (graph.nodes[at].specs[0].clone(), graph.nodes[at].inputs.clone());
        let mut last = at;
        // One after the other, as far as each is read by the next alone.
        while let &[Some(next)] = uses.of_edge(&Edge { node: last, output: 0 }) {
            if !follows.take(&graph, &spec, &mut inputs, [last, next]) {
                break;
            }
            last = next;
        }
        if last != at {
            let op = first.followed_by(&follows, spec);
            let path = graph.nodes[last].path.clone();
            let specs = graph.nodes[last].specs.clone();
            graph.nodes[last] = GraphNode { kind: Kind::Op(op), inputs, specs, path };
        }
    }
    graph.without_unused()
}

/// An op of floats of known shape that others may follow in its pass.
enum First {
    /// And which factors it transposes.
    Product(bool, bool),
    Convolution(Convolve),
}

impl First {
    fn of(node: &GraphNode) -> Option<First> {
        let Kind::Op(op) = &node.kind else { return None };
        let spec = node.specs.first().filter(|spec| spec.dtype.is_float() && spec.shape.is_known())?;
        spec.shape.elements().filter(|&elements| elements > 0)?;
        let op: &dyn Any = &**op as &dyn Any;
        if let Some(op) = op.downcast_ref::<MatMul>() {
            Some(First::Product(op.transpose_a, op.transpose_b))
        } else if let Some(op) = op.downcast_ref::<BatchMatMulV2>() {
            Some(First::Product(op.adj_x, op.adj_y))
        } else {
            op.downcast_ref().filter(|op: &&Convolve| op.takes_more()).cloned().map(First::Convolution)
        }
    }

    fn takes_add(&self) -> bool {
        matches!(self, First::Product(..))
    }

    fn followed_by(self, &Follows { bias, activation, add, .. }: &Follows, spec: Spec) -> Arc<dyn Op> {
        match self {
            First::Product(transpose_a, transpose_b) => {
                Arc::new(ProductWith { transpose_a, transpose_b, bias, activation, add, spec })
            }
            First::Convolution(op) => Arc::new(op.followed_by(bias, activation)),
        }
    }
}

/// What follows.
struct Follows {
    bias: bool,
    activation: Option<Unary>,
    add: bool,
    takes_add: bool,
}

impl Follows {
    /// Whether the node `next` can follow what gives `last`, of such a result; then it does.
    fn take(&mut self, graph: &Graph, spec: &Spec, inputs: &mut Vec<Edge>, [last, next]: [usize; 2]) -> bool {
        let node = &graph.nodes[next];
        let Kind::Op(follower) = &node.kind else { return false };
        if node.specs.len() != 1 || node.specs[0] != *spec {
            return false;
        }
        let is_plain = |edge: &Edge| graph.nodes[edge.node].specs[edge.output].dtype == spec.dtype;
        match follower.scalar() {
            Some(Scalar::Unary(function)) if self.activation.is_none() && !self.add => {
                self.activation = Some(function);
                true
            }
            Some(Scalar::Binary(Binary::Add)) if !self.add => {
                // What is added comes second: a sum is the same either way.
                let Some(other) = node.inputs.iter().find(|edge| edge.node != last) else { return false };
                let shape = &graph.nodes[other.node].specs[other.output].shape;
                let (Some(own), Some(added)) = (spec.shape.known(), shape.known()) else { return false };
                // It must be there before the product is.
                if !is_plain(other) {
                    return false;
                }
                if !self.bias && self.activation.is_none() && added.len() == 1 && own.last() == added.last() {
                    self.bias = true;
                    inputs.push(*other);
                    return true;
                }
                if self.takes_add && own == added {
                    self.add = true;
                    inputs.push(*other);
                    return true;
                }
                false
            }
            _ => false,
        }
    }
}
