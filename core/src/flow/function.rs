//! A graph called as an op: `PartitionedCall`; and one that is computed again for its gradient.

use super::{Body, Within, bodies, check_arguments, effect, is_narrower, record, sources, written};
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Accuracy, Attr, Attrs, Backward, Effect, Func, Input, Op, OpDef, Values, dispatch, is_staged, scope};
use crate::{DType, Error, GradientTape, Result, Spec, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// Calls a graph.
#[derive(Debug)]
pub(super) struct Function {
    pub body: Arc<Graph>,
    effect: Effect,
    /// Whether it stays a node by itself, and its gradient computes it again, so that nothing in it is kept meanwhile.
    apart: bool,
}

/// TensorFlow's name of the attribute that says so.
const APART: &str = "_noinline";

impl Function {
    fn new(body: Arc<Graph>, apart: bool) -> Function {
        Function { effect: effect([&*body]), body, apart }
    }

    fn call(self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        dispatch(Arc::new(self), inputs)
    }

    /// As a call of which tapes hear that it depends on the sources: its gradient computes it again.
    fn recorded(&self, inputs: &[&Tensor], sources: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let Replay { forward, again } = Replay::of(&self.body, inputs, &sources)?;
        let count = self.body.outputs().count();
        let all = scope::without_tapes(|| Function::new(Arc::new(forward), true).call(inputs))?;
        let (name, given) = (self.name(), sources.clone());
        let inputs: Vec<Tensor> =
            inputs.iter().map(|&input| input.clone()).chain(all[count..].iter().cloned()).collect();
        let gradient = move |b: &Backward| {
            let needed: Vec<usize> = (0..given.len()).filter(|&at| b.needs(at)).collect();
            let smooth = |at: &usize| b.arrives(*at) && b.output(*at).dtype().is_differentiable();
            let outputs: Vec<usize> = (0..count).filter(smooth).collect();
            let mut connected = vec![false; needed.len()];
            let mut back = || {
                let tape = GradientTape::new().ignoring_variables();
                needed.iter().for_each(|&at| tape.watch(&given[at]));
                let again = tape.record(|| again.run(&inputs.iter().collect::<Vec<_>>()))?;
                let targets: Vec<_> = outputs.iter().map(|&at| (again[at].clone(), Some(b.dy(at).clone()))).collect();
                let wanted: Vec<Tensor> = needed.iter().map(|&at| given[at].clone()).collect();
                let gradients = tape.gradients_onto(&targets, &wanted, &vec![None; wanted.len()])?;
                connected = gradients.iter().map(Option::is_some).collect();
                Ok(gradients.into_iter().flatten().collect())
            };
            let dys = outputs.iter().map(|&at| b.dy(at));
            let staged = inputs.iter().chain(dys).any(Tensor::is_symbolic) || scope::tracing();
            let found: Vec<Tensor> = match staged {
                false => back()?,
                true => {
                    let body = Body::trace(|_| back(), &[])?;
                    let captures: Vec<&Tensor> = body.captures.iter().collect();
                    Function::new(Arc::new(body.graph), true).call(&captures)?
                }
            };
            let mut found = found.into_iter();
            let mut gradients = vec![None; given.len()];
            for (&at, connected) in needed.iter().zip(&connected) {
                gradients[at] = connected.then(|| found.next()).flatten();
            }
            Ok(gradients)
        };
        let outputs = all[..count].to_vec();
        record(name, sources, all, gradient)?;
        Ok(outputs)
    }
}

/// A graph in two: as it is run first, and as it is run again, when what has been drawn and written stays as it was.
struct Replay {
    /// Gives the outputs, and then what must not be computed again.
    forward: Graph,
    /// Takes the inputs, and then that.
    again: Graph,
}

impl Replay {
    fn of(graph: &Graph, inputs: &[&Tensor], sources: &[Tensor]) -> Result<Replay> {
        // The handles of variables that are written, by their nodes.
        let is_handle =
            |edge: &&Edge| graph.nodes[edge.node].specs.get(edge.output).is_some_and(|s| s.dtype == DType::Resource);
        let op = |node: &GraphNode| match &node.kind {
            Kind::Op(op) => Some(op.clone()),
            _ => None,
        };
        let writes = |node: &&GraphNode| op(node).is_some_and(|op| op.effect() == Effect::Writes);
        let written: Vec<usize> = graph
            .nodes
            .iter()
            .filter(writes)
            .flat_map(|node| node.inputs.iter().filter(is_handle))
            .map(|edge| edge.node)
            .collect();
        for (&node, input) in graph.inputs.iter().zip(inputs) {
            if written.contains(&node) && sources.iter().any(|source| source.id() == input.id()) {
                let name = input.as_resource().map(|resource| resource.name()).unwrap_or_default();
                let message = format!("variable `{name}` is written in what is to be computed again for its gradient");
                return Err(Error::unimplemented(message));
            }
        }
        let mut forward = graph.clone();
        let mut again = Graph { nodes: Vec::new(), inputs: Vec::new(), outputs: Vec::new() };
        let mut places: HashMap<Edge, Edge> = HashMap::new();
        let mut kept = Vec::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            let stays = op(node).is_some_and(|op| match op.effect() {
                Effect::Pure => false,
                Effect::Random | Effect::Writes => true,
                Effect::Reads => node.inputs.iter().any(|edge| written.contains(&edge.node)),
            });
            let edges = (0..node.specs.len()).map(|output| Edge { node: at, output });
            if !stays {
                let here = again.nodes.len();
                places.extend(edges.map(|edge| (edge, Edge { node: here, output: edge.output })));
                let inputs = node.inputs.iter().map(|edge| places[edge]).collect();
                again.nodes.push(GraphNode { inputs, ..node.clone() });
                continue;
            }
            let smooth = node.specs.iter().any(|spec| spec.dtype.is_differentiable());
            if let Some(op) = op(node).filter(|op| smooth && !bodies(&**op).is_empty()) {
                let name = op.name();
                let message = format!("a {name} that draws or writes is not computed again for its gradient");
                return Err(Error::unimplemented(message));
            }
            for edge in edges {
                places.insert(edge, Edge { node: again.nodes.len(), output: 0 });
                kept.push(again.nodes.len());
                again.nodes.push(GraphNode::placeholder(node.specs[edge.output].clone()));
                forward.outputs.push(edge);
            }
        }
        again.inputs = graph.inputs.iter().map(|&node| places[&Edge { node, output: 0 }].node).chain(kept).collect();
        again.outputs = graph.outputs.iter().map(|edge| places[edge]).collect();
        Ok(Replay { forward, again })
    }
}

impl Op for Function {
    fn name(&self) -> &'static str {
        if self.effect.is_ordered() { "StatefulPartitionedCall" } else { "PartitionedCall" }
    }
    fn attrs(&self) -> Attrs {
        let types = self.body.outputs().map(|spec| Attr::Type(spec.dtype)).collect();
        let attrs = Attrs::new().with("f", Func::new(self.body.clone())).with("Tout", Attr::List(types));
        if self.apart { attrs.with(APART, true) } else { attrs }
    }
    fn effect(&self) -> Effect {
        self.effect
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        check_arguments("f", &self.body, inputs)?;
        Ok(self.body.outputs().cloned().collect())
    }
    fn always_makes(&self) -> bool {
        true
    }
    fn is_its_text(&self) -> bool {
        false
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        self.body.run(inputs)
    }
    fn on_values(&self, inputs: &[&Tensor], values: &mut dyn Values) -> Option<Result<Vec<Tensor>>> {
        if !inputs.iter().any(|input| input.dtype() == DType::Resource) {
            return None;
        }
        if !self.apart {
            return Some(self.body.inlined(inputs, values));
        }
        let mut on_values = || {
            let written = written(&[&self.body], inputs);
            let body = |_: &[Tensor]| {
                let mut within = Within::new(values);
                let mut outputs = self.body.inlined(inputs, &mut within)?;
                for handle in &written {
                    outputs.push(within.value(handle)?);
                }
                Ok(outputs)
            };
            let body = Body::trace(body, &[])?;
            let op = Function::new(Arc::new(body.graph), true);
            let mut outputs = op.call(&body.captures.iter().collect::<Vec<_>>())?;
            let after = outputs.split_off(self.body.outputs().count());
            written.iter().zip(after).try_for_each(|(handle, value)| values.assign(handle, value))?;
            Ok(outputs)
        };
        Some(on_values())
    }
    fn unfolded(&self, inputs: &[&Tensor], listened: bool) -> Option<Result<Vec<Tensor>>> {
        if listened && self.apart {
            let sources = sources(inputs);
            if !sources.is_empty() {
                return Some(self.recorded(inputs, sources));
            }
        }
        if listened || !is_staged(self.effect, inputs) {
            return Some(self.body.run(inputs).map_err(|error| error.in_op(self.name())));
        }
        let narrowed = || {
            let body = Body::trace(|_| self.body.run(inputs), &[])?;
            Function::new(Arc::new(body.graph), self.apart).call(&body.captures.iter().collect::<Vec<_>>())
        };
        is_narrower(&self.body, inputs).then(narrowed)
    }
}

/// Calls `f` as a function of its own, which is computed again for its gradient.
pub(crate) fn recompute(f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let specs: Vec<Spec> = inputs.iter().map(|input| input.spec().clone()).collect();
    let body = Body::trace(f, &specs)?;
    let all: Vec<&Tensor> = inputs.iter().chain(&body.captures).collect();
    Function::new(Arc::new(body.graph), true).call(&all)
}

fn parse(attrs: &Attrs) -> Result<Arc<dyn Op>> {
    Ok(Arc::new(Function::new(attrs.func("f", None)?.graph()?, attrs.bool(APART, false)?)))
}

/// The ops of this file.
pub(super) const OPS: &[OpDef] = &[
    OpDef { name: "PartitionedCall", parse, accuracy: Accuracy::Exact },
    OpDef { name: "StatefulPartitionedCall", parse, accuracy: Accuracy::Exact },
];
