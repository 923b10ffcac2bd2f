//! The smallest graph: what a function does with symbols, as a list of ops that can be run and read.

use crate::op::{Attrs, Node, Op, Origin, dispatch_given, scope};
use crate::tensor::{GraphNode as _, Payload, next_id};
use crate::{Error, Result, Spec, Tensor};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

/// A function over tensors, traced once: nodes in an order in which each follows its inputs.
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
    nodes: Vec<GraphNode>,
    /// Which nodes are fed, in order of the arguments.
    inputs: Vec<usize>,
    outputs: Vec<Edge>,
}

/// Output `output` of node `node`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    node: usize,
    output: usize,
}

#[derive(Clone)]
struct GraphNode {
    kind: Kind,
    inputs: Vec<Edge>,
    specs: Vec<Spec>,
    path: Option<Arc<str>>,
}

#[derive(Clone)]
enum Kind {
    Placeholder,
    /// A value the function closed over: a constant, or the handle of a variable.
    Captured(Tensor),
    Op(Arc<dyn Op>),
}

/// Runs `f` on symbols of these specs and keeps what it does.
///
/// Variables that `f` reads or assigns become nodes, in order. Operations on values alone run at once, and their
/// results become constants.
pub fn trace(f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>, specs: &[Spec]) -> Result<Graph> {
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
    places: HashMap<u64, usize>,
}

impl Builder {
    fn build(mut self, begin: u64, inputs: &[Arc<Node>], outputs: &[Tensor], effects: Vec<Arc<Node>>) -> Result<Graph> {
        // Nodes that outputs or effects need, by number: numbers rise as nodes are made, so this is a running order.
        let mut needed: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
        let mut pending: Vec<Arc<Node>> = inputs.iter().cloned().chain(effects).collect();
        for output in outputs {
            output.check()?;
            pending.extend(Node::of(output).map(|(node, _)| node));
        }
        while let Some(node) = pending.pop() {
            if needed.insert(node.id, node.clone()).is_none() {
                pending.extend(node.inputs.iter().filter_map(Node::of).map(|(node, _)| node));
            }
        }
        // Arguments come first and in their order, whether used or not; they were made first.
        for node in needed.into_values() {
            // A node from before the trace, or one that another is fed by.
            let other_input = || !inputs.iter().any(|own| own.id == node.id);
            if node.id < begin || matches!(node.origin, Origin::Placeholder) && other_input() {
                return Err(Error::invalid_argument(format!(
                    "an output depends on a symbol of {} {:?} that is not of this graph: it belongs to another trace",
                    node.op(),
                    node.specs
                )));
            }
            let edges = node.inputs.iter().map(|input| self.edge(input)).collect::<Result<Vec<_>>>()?;
            let kind = match &node.origin {
                Origin::Placeholder => Kind::Placeholder,
                Origin::Op(op) => Kind::Op(op.clone()),
            };
            self.places.insert(node.id, self.nodes.len());
            self.nodes.push(GraphNode { kind, inputs: edges, specs: node.specs.clone(), path: node.path.clone() });
        }
        let outputs = outputs.iter().map(|output| self.edge(output)).collect::<Result<_>>()?;
        let inputs = inputs.iter().map(|node| self.places[&node.id]).collect();
        Ok(Graph { nodes: self.nodes, inputs, outputs })
    }

    /// Where a tensor comes from: the node of a symbol, or a constant made for a value.
    fn edge(&mut self, tensor: &Tensor) -> Result<Edge> {
        if let Some((node, output)) = Node::of(tensor) {
            return Ok(Edge { node: self.places[&node.id], output });
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

/// The value that an edge carries, of a run under way.
fn held<'a>(values: &'a [Vec<Option<Tensor>>], edge: &Edge) -> Result<&'a Tensor> {
    let value = values[edge.node].get(edge.output).and_then(Option::as_ref);
    value.ok_or_else(|| Error::internal(format!("output {} of node %{} is gone", edge.output, edge.node)))
}

impl Graph {
    /// Computes the outputs from one value (or symbol) per input, by the same kernels as eager calls. A result that no later
    /// node needs is freed or, where an op may, written over.
    ///
    /// An error when a value is not what the graph was traced for: it says which input, found and expected.
    pub fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        if inputs.len() != self.inputs.len() {
            let message = format!("the graph takes {} inputs, and {} were given", self.inputs.len(), inputs.len());
            return Err(Error::invalid_argument(message));
        }
        let mut values: Vec<Vec<Option<Tensor>>> = vec![Vec::new(); self.nodes.len()];
        for (i, (&node, &value)) in self.inputs.iter().zip(inputs).enumerate() {
            value.check()?;
            let spec = &self.nodes[node].specs[0];
            if value.dtype() != spec.dtype || !value.shape().is_compatible_with(&spec.shape) {
                let message = format!("input {i} of the graph is {spec}, and {} was given", value.spec());
                return Err(Error::invalid_argument(message));
            }
            values[node] = vec![Some(value.clone())];
        }
        let last = self.last_uses();
        for (at, node) in self.nodes.iter().enumerate() {
            match &node.kind {
                Kind::Placeholder => {}
                Kind::Captured(value) => values[at] = vec![Some(value.clone())],
                Kind::Op(op) => {
                    // What nobody needs after this node is given away: its place may become the output's.
                    let once = |edge: &Edge| node.inputs.iter().filter(|other| *other == edge).count() == 1;
                    let ends = |edge: &Edge| last[at].contains(&edge.node) && once(edge);
                    let take = |edge: &Edge| ends(edge).then(|| values[edge.node][edge.output].take()).flatten();
                    let ended: Vec<Option<Tensor>> = node.inputs.iter().map(take).collect();
                    let given = node.inputs.iter().zip(ended).map(|(edge, ended)| match ended {
                        Some(value) => Ok(Cow::Owned(value)),
                        None => held(&values, edge).map(Cow::Borrowed),
                    });
                    let outputs = dispatch_given(op.clone(), given.collect::<Result<_>>()?);
                    let outputs = outputs.map_err(|error| match &node.path {
                        Some(path) => error.within(&**path),
                        None => error,
                    })?;
                    values[at] = outputs.into_iter().map(Some).collect();
                }
            }
            for &done in &last[at] {
                values[done].clear();
            }
        }
        self.outputs.iter().map(|edge| held(&values, edge).cloned()).collect()
    }

    /// For each node, the nodes whose results nobody needs after it.
    fn last_uses(&self) -> Vec<Vec<usize>> {
        let mut last: Vec<usize> = (0..self.nodes.len()).collect();
        for (at, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|edge| last[edge.node] = at);
        }
        let mut done = vec![Vec::new(); self.nodes.len()];
        for (node, &at) in last.iter().enumerate() {
            if !self.outputs.iter().any(|edge| edge.node == node) {
                done[at].push(node);
            }
        }
        done
    }

    /// The specs of the inputs, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &Spec> {
        self.inputs.iter().map(|&node| &self.nodes[node].specs[0])
    }

    /// The specs of the outputs, in order.
    pub fn outputs(&self) -> impl Iterator<Item = &Spec> {
        self.outputs.iter().map(|edge| &self.nodes[edge.node].specs[edge.output])
    }

    /// The TensorFlow names of the ops of all nodes, in running order.
    pub fn op_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.kind.name())
    }
}

impl Kind {
    fn name(&self) -> &str {
        match self {
            Kind::Placeholder => "Placeholder",
            Kind::Captured(value) if value.as_resource().is_ok() => "VarHandleOp",
            Kind::Captured(_) => "Const",
            Kind::Op(op) => op.name(),
        }
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edge = |edge: &Edge| match self.nodes[edge.node].specs.len() {
            1 => format!("%{}", edge.node),
            _ => format!("%{}:{}", edge.node, edge.output),
        };
        let list = |edges: &[Edge]| edges.iter().map(edge).collect::<Vec<_>>().join(", ");
        for (at, node) in self.nodes.iter().enumerate() {
            let attrs = match &node.kind {
                Kind::Op(op) => op.attrs(),
                _ => Attrs::new(),
            };
            let specs: Vec<String> = node.specs.iter().map(Spec::to_string).collect();
            write!(f, "%{at} = {}{attrs:?}({}) : {}", node.kind.name(), list(&node.inputs), specs.join(", "))?;
            if let Kind::Captured(value) = &node.kind {
                write_captured(f, value)?;
            }
            if let Some(path) = &node.path {
                write!(f, "  # {path}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "return {}", list(&self.outputs))
    }
}

/// A small constant's elements, a variable's name; of anything large the spec says enough.
fn write_captured(f: &mut fmt::Formatter<'_>, value: &Tensor) -> fmt::Result {
    if let Ok(resource) = value.as_resource() {
        return write!(f, " = {}", resource.name());
    }
    let small = matches!(value.payload(), Payload::Value(value) if value.layout.len() <= 8);
    // A node has one line.
    if small { write!(f, " = {}", value.elements_text().replace('\n', "")) } else { Ok(()) }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph of {} nodes", self.nodes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Variable};

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
