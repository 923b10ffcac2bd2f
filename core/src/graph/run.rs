//! A graph run node by node, by the kernels of eager calls.

use super::{Edge, Graph, Kind};
use crate::op::{Values, dispatch, dispatch_given, scope};
use crate::{Error, Result, Tensor};
use std::borrow::Cow;
use std::sync::Arc;

/// A graph that is run again and again: what follows from it alone is worked out once.
pub(crate) struct Running<'a> {
    graph: &'a Graph,
    /// For each node, the nodes whose results nobody needs after it.
    last: Vec<Vec<usize>>,
    /// What each node gave, of a run under way.
    values: Vec<Vec<Option<Tensor>>>,
}

/// The value that an edge carries, of a run under way.
fn held<'a>(values: &'a [Vec<Option<Tensor>>], edge: &Edge) -> Result<&'a Tensor> {
    let value = values[edge.node].get(edge.output).and_then(Option::as_ref);
    value.ok_or_else(|| Error::internal(format!("output {} of node %{} is gone", edge.output, edge.node)))
}

/// Runs `f` at this path.
fn within<R>(path: &Option<Arc<str>>, f: impl FnOnce() -> R) -> R {
    let is_there = scope::with(|scopes| match (&scopes.path, path) {
        (Some(here), Some(path)) => Arc::ptr_eq(here, path),
        (None, None) => true,
        _ => false,
    });
    match is_there {
        true => f(),
        false => scope::changed(|scopes| scopes.path = path.clone(), f),
    }
}

impl<'a> Running<'a> {
    pub fn new(graph: &'a Graph) -> Running<'a> {
        Running { graph, last: graph.last_uses(), values: vec![Vec::new(); graph.nodes.len()] }
    }

    /// As [`Graph::run`], of inputs that end with the run: the results may be written over those that nobody else holds.
    pub fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let outputs = self.ran(inputs);
        self.values.iter_mut().for_each(Vec::clear);
        outputs
    }

    fn ran(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let Running { graph, last, values } = self;
        if inputs.len() != graph.inputs.len() {
            let message = format!("the graph takes {} inputs, and {} were given", graph.inputs.len(), inputs.len());
            return Err(Error::invalid_argument(message));
        }
        for (i, (&node, value)) in graph.inputs.iter().zip(inputs).enumerate() {
            value.check()?;
            let spec = &graph.nodes[node].specs[0];
            if value.dtype() != spec.dtype || !value.shape().is_compatible_with(&spec.shape) {
                let message = format!("input {i} of the graph is {spec}, and {} was given", value.spec());
                return Err(Error::invalid_argument(message));
            }
            values[node].push(Some(value));
        }
        // Nodes that are made here keep their names.
        let traced = scope::tracing();
        for (at, node) in graph.nodes.iter().enumerate() {
            match &node.kind {
                Kind::Placeholder => {}
                Kind::Captured(value) => values[at].push(Some(value.clone())),
                Kind::Op(op) => {
                    // What nobody needs after this node is given away: its place may become the output's.
                    let once = |edge: &Edge| node.inputs.iter().filter(|other| *other == edge).count() == 1;
                    let ends = |edge: &Edge| last[at].contains(&edge.node) && once(edge);
                    let over = op.overwrites();
                    let take = |(at, edge): (usize, &Edge)| {
                        (over.contains(&at) && ends(edge)).then(|| values[edge.node][edge.output].take()).flatten()
                    };
                    let ended: Vec<Option<Tensor>> = node.inputs.iter().enumerate().map(take).collect();
                    let given = node.inputs.iter().zip(ended).map(|(edge, ended)| match ended {
                        Some(value) => Ok(Cow::Owned(value)),
                        None => held(values, edge).map(Cow::Borrowed),
                    });
                    let given = given.collect::<Result<_>>()?;
                    let outputs = match &node.path {
                        Some(_) if traced => within(&node.path, || dispatch_given(op.clone(), given)),
                        _ => dispatch_given(op.clone(), given),
                    };
                    let outputs = outputs.map_err(|error| match &node.path {
                        Some(path) => error.within(&**path),
                        None => error,
                    })?;
                    values[at].extend(outputs.into_iter().map(Some));
                }
            }
            for &done in &last[at] {
                values[done].clear();
            }
        }
        graph.outputs.iter().map(|edge| held(values, edge).cloned()).collect()
    }
}

impl Graph {
    /// Computes the outputs from one value (or symbol) per input, by the same kernels as eager calls. A result that no later
    /// node needs is freed or, where an op may, written over.
    ///
    /// An error when a value is not what the graph was traced for: it says which input, found and expected.
    pub fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        Running::new(self).run(inputs.iter().map(|&input| input.clone()).collect())
    }

    /// Calls every op anew in the trace under way, with these for the inputs; ops on variables on the values instead.
    pub(crate) fn inlined(&self, inputs: &[&Tensor], state: &mut dyn Values) -> Result<Vec<Tensor>> {
        let mut values: Vec<Vec<Tensor>> = vec![Vec::new(); self.nodes.len()];
        for (&node, &input) in self.inputs.iter().zip(inputs) {
            values[node] = vec![input.clone()];
        }
        for (at, node) in self.nodes.iter().enumerate() {
            match &node.kind {
                Kind::Placeholder => {}
                Kind::Captured(value) => values[at] = vec![value.clone()],
                Kind::Op(op) => {
                    let given: Vec<&Tensor> = node.inputs.iter().map(|edge| &values[edge.node][edge.output]).collect();
                    let call = || match op.on_values(&given, state) {
                        Some(outputs) => outputs,
                        None => dispatch(op.clone(), &given),
                    };
                    values[at] = within(&node.path, call).map_err(|error| match &node.path {
                        Some(path) => error.within(&**path),
                        None => error,
                    })?;
                }
            }
        }
        Ok(self.outputs.iter().map(|edge| values[edge.node][edge.output].clone()).collect())
    }

    /// For each node, the nodes whose results nobody needs after it.
    fn last_uses(&self) -> Vec<Vec<usize>> {
        let mut last: Vec<usize> = (0..self.nodes.len()).collect();
        for (at, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|edge| last[edge.node] = at);
        }
        let mut stays = vec![false; self.nodes.len()];
        self.outputs.iter().for_each(|edge| stays[edge.node] = true);
        let mut done = vec![Vec::new(); self.nodes.len()];
        for (node, &at) in last.iter().enumerate() {
            if !stays[node] {
                done[at].push(node);
            }
        }
        done
    }
}
