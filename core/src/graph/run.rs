//! A graph run node by node, by the kernels of eager calls.

use super::{Edge, Graph, Kind};
use crate::op::dispatch_given;
use crate::{Error, Result, Tensor};
use std::borrow::Cow;

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
                    let over = op.overwrites();
                    let take = |(at, edge): (usize, &Edge)| {
                        (over.contains(&at) && ends(edge)).then(|| values[edge.node][edge.output].take()).flatten()
                    };
                    let ended: Vec<Option<Tensor>> = node.inputs.iter().enumerate().map(take).collect();
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
