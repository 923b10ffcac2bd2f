//! Graphs: what a function does with symbols, as a list of ops that can be run, read and changed.

mod dot;
mod effects;
mod gradient;
pub(crate) mod pass;
mod run;
mod text;
mod trace;

pub(crate) use effects::Order;
pub use gradient::gradient;
pub(crate) use run::Running;
pub use trace::trace;
pub(crate) use trace::trace_within;

use crate::op::{Effect, Op};
use crate::{DType, Spec, Tensor};
use std::sync::Arc;

/// A function over tensors, traced once: nodes in an order in which each follows its inputs.
///
/// It has the ops that were called, with the kernels of eager calls, and no pass and no plan changes a bit: it computes what
/// eager calls do, gradients too, also where it was traced for batches of any size.
///
/// It prints as text, a line for each node:
///
/// ```
/// use modulor_core::{DType, Spec, graph::trace};
/// # fn main() -> modulor_core::Result<()> {
/// let graph = trace(|x| Ok(vec![(&x[0] * 2.0).relu()?]), &[Spec::new(DType::F32, [None, Some(3)])])?;
/// assert_eq!(
///     graph.to_string(),
///     "%0 = Placeholder() : float32(None, 3)\n\
///      %1 = Const() : float32() = 2.0\n\
///      %2 = Mul(%0, %1) : float32(None, 3)\n\
///      %3 = Relu(%2) : float32(None, 3)\n\
///      return %3\n"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Graph {
    pub(crate) nodes: Vec<GraphNode>,
    /// Which nodes are fed, in order of the arguments.
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<Edge>,
}

/// Output `output` of node `node`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    pub node: usize,
    pub output: usize,
}

/// One node: what it is, what it takes, and what its outputs are.
#[derive(Clone)]
pub(crate) struct GraphNode {
    pub kind: Kind,
    pub inputs: Vec<Edge>,
    pub specs: Vec<Spec>,
    /// The path of names that surrounded the call.
    pub path: Option<Arc<str>>,
}

/// Where a node's outputs come from.
#[derive(Clone)]
pub(crate) enum Kind {
    /// Fed by the caller.
    Placeholder,
    /// A value the function closed over: a constant, or the handle of a variable.
    Captured(Tensor),
    Op(Arc<dyn Op>),
}

impl Graph {
    /// The specs of the inputs, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &Spec> {
        self.inputs.iter().map(|&node| &self.nodes[node].specs[0])
    }

    /// The specs of the outputs, in order.
    pub fn outputs(&self) -> impl Iterator<Item = &Spec> {
        self.outputs.iter().map(|edge| &self.nodes[edge.node].specs[edge.output])
    }

    /// Which outputs depend smoothly on inputs of which these do.
    pub(crate) fn depending(&self, inputs: &[bool]) -> Vec<bool> {
        let mut depends: Vec<bool> = vec![false; self.nodes.len()];
        self.inputs.iter().zip(inputs).for_each(|(&node, &input)| depends[node] = input);
        let is_smooth = |edge: &Edge| {
            let dtype = self.nodes[edge.node].specs[edge.output].dtype;
            dtype.is_differentiable() || dtype == DType::Resource
        };
        for (at, node) in self.nodes.iter().enumerate() {
            let does = |edge: &Edge| depends[edge.node] && is_smooth(edge);
            depends[at] = depends[at] || node.inputs.iter().any(does);
        }
        self.outputs.iter().map(|edge| depends[edge.node] && is_smooth(edge)).collect()
    }

    /// Whether an op that writes takes this node.
    pub(crate) fn writes(&self, node: usize) -> bool {
        let takes = |other: &&GraphNode| other.inputs.iter().any(|edge| edge.node == node);
        let writes = |other: &GraphNode| matches!(&other.kind, Kind::Op(op) if op.effect() == Effect::Writes);
        self.nodes.iter().filter(takes).any(writes)
    }

    /// The ops of all nodes that have one, in running order.
    pub fn ops(&self) -> impl Iterator<Item = &dyn Op> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Op(op) => Some(&**op),
            _ => None,
        })
    }

    /// What the ops do beside computing, in running order.
    pub(crate) fn effects(&self) -> impl Iterator<Item = Effect> {
        self.ops().map(|op| op.effect())
    }

    /// Without the nodes that no output and no effect needs; inputs stay.
    pub(crate) fn without_unused(mut self) -> Graph {
        let mut used = vec![false; self.nodes.len()];
        self.inputs.iter().for_each(|&node| used[node] = true);
        self.outputs.iter().for_each(|edge| used[edge.node] = true);
        for at in (0..self.nodes.len()).rev() {
            used[at] |= matches!(&self.nodes[at].kind, Kind::Op(op) if op.effect().is_ordered());
            if used[at] {
                self.nodes[at].inputs.iter().for_each(|edge| used[edge.node] = true);
            }
        }
        let mut moved = vec![usize::MAX; self.nodes.len()];
        let mut count = 0;
        for (at, used) in used.iter().enumerate() {
            if *used {
                moved[at] = count;
                count += 1;
            }
        }
        let mut at = 0;
        self.nodes.retain(|_| {
            at += 1;
            used[at - 1]
        });
        let edges = self.nodes.iter_mut().flat_map(|node| &mut node.inputs).chain(&mut self.outputs);
        edges.for_each(|edge| edge.node = moved[edge.node]);
        self.inputs.iter_mut().for_each(|node| *node = moved[*node]);
        self
    }

    /// The TensorFlow names of the ops of all nodes, in running order.
    pub fn op_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.kind.name())
    }
}

impl GraphNode {
    /// One that the caller feeds.
    pub(crate) fn placeholder(spec: Spec) -> GraphNode {
        GraphNode { kind: Kind::Placeholder, inputs: Vec::new(), specs: vec![spec], path: None }
    }
}

impl Kind {
    pub(crate) fn name(&self) -> &str {
        match self {
            Kind::Placeholder => "Placeholder",
            Kind::Captured(value) if value.as_resource().is_ok() => "VarHandleOp",
            Kind::Captured(_) => "Const",
            Kind::Op(op) => op.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Variable;

    #[test]
    fn reads_and_writes_stay_in_order() {
        let v = Variable::new(1.0);
        let graph = trace(
            |x| {
                let before = v.read()?;
                v.assign_add(&x[0])?;
                Ok(vec![before, v.read()?])
            },
            &[Spec::new(DType::F32, [] as [usize; 0])],
        )
        .unwrap();
        assert_eq!(v.value().unwrap().item::<f32>().unwrap(), 1.0, "tracing assigns nothing");
        let out = graph.run(&[&Tensor::scalar(2.0_f32)]).unwrap();
        assert_eq!(out[0].item::<f32>().unwrap(), 1.0);
        assert_eq!(out[1].item::<f32>().unwrap(), 3.0);
        assert_eq!(v.value().unwrap().item::<f32>().unwrap(), 3.0);
    }

    #[test]
    fn a_symbol_has_no_value_and_says_where_it_comes_from() {
        let spec = Spec::new(DType::F32, [None, Some(2)]);
        let error = trace(|x| x[0].tanh()?.to_vec::<f32>().map(|_| vec![]), &[spec]).unwrap_err();
        assert!(error.to_string().ends_with("[Op:Tanh]"), "{error}");
    }

    #[test]
    fn inputs_are_checked_and_foreign_symbols_refused() {
        let spec = Spec::new(DType::F32, [None, Some(2)]);
        let mut leaked = None;
        let graph = trace(
            |x| {
                leaked = Some(x[0].clone());
                Ok(vec![x[0].relu()?])
            },
            std::slice::from_ref(&spec),
        )
        .unwrap();
        let error = graph.run(&[&Tensor::from([[1.0_f32]])]).unwrap_err();
        assert_eq!(error.message(), "input 0 of the graph is float32(None, 2), and float32(1, 1) was given");
        let foreign = leaked.unwrap();
        let error = trace(|x| Ok(vec![&x[0] + &foreign]), &[spec]).unwrap_err();
        assert!(error.message().contains("belongs to another trace"), "{error}");
    }

    #[test]
    fn what_was_read_in_another_trace_is_refused() {
        let v = Variable::new(1.0);
        let mut leaked = None;
        let read = |_: &[Tensor]| {
            leaked = Some(v.read()?);
            Ok(vec![])
        };
        trace(read, &[]).unwrap();
        let leaked = leaked.unwrap();
        let error = trace(|_| Ok(vec![&leaked * 2.0]), &[]).unwrap_err();
        assert!(error.message().contains("belongs to another trace"), "{error}");
    }

    #[test]
    fn a_chain_of_a_million_nodes_is_dropped() {
        let spec = Spec::new(DType::F32, [1]);
        let graph = trace(
            |x| {
                let mut y = x[0].clone();
                for _ in 0..1_000_000 {
                    y = y.identity()?;
                }
                drop(y);
                Ok(vec![x[0].clone()])
            },
            &[spec],
        );
        assert!(graph.is_ok());
    }
}
