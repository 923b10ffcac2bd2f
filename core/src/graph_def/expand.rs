//! Composites in a graph, put in their bodies' terms.

use crate::graph::{Graph, Kind, trace};
use crate::op::{dispatch, scope};
use crate::{Error, Result, Tensor};
use std::borrow::Cow;

/// A body may have composites in its turn; none is nested deeper.
const MOST_ROUNDS: usize = 16;

impl Graph {
    /// The same graph, of TensorFlow's ops alone: in the place of each composite stand the nodes of its body, whose paths
    /// end in its name and number.
    ///
    /// The inputs that are handles of variables may be given: more is known of what is read through them then.
    pub(super) fn expanded(&self, handles: &[Option<Tensor>]) -> Result<Cow<'_, Graph>> {
        let mut graph = Cow::Borrowed(self);
        for _ in 0..MOST_ROUNDS {
            let is_fused = |kind: &Kind| matches!(kind, Kind::Op(op) if op.as_fused().is_some());
            if !graph.nodes.iter().any(|node| is_fused(&node.kind)) {
                return Ok(graph);
            }
            let specs: Vec<_> = graph.inputs().cloned().collect();
            let body = |symbols: &[Tensor]| {
                let handle = |at: usize| handles.get(at).cloned().flatten();
                let given: Vec<Tensor> = symbols
                    .iter()
                    .enumerate()
                    .map(|(at, symbol)| handle(at).unwrap_or_else(|| symbol.clone()))
                    .collect();
                graph.with_bodies(&given)
            };
            graph = Cow::Owned(scope::outside(|| trace(body, &specs))?.taking_in(handles));
        }
        Err(Error::internal(format!("composites are nested more than {MOST_ROUNDS} deep")))
    }

    /// Does what the graph says with symbols, and for a composite what its body says.
    fn with_bodies(&self, symbols: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut values: Vec<Vec<Tensor>> = vec![Vec::new(); self.nodes.len()];
        for (&node, symbol) in self.inputs.iter().zip(symbols) {
            values[node] = vec![symbol.clone()];
        }
        for (at, node) in self.nodes.iter().enumerate() {
            let op = match &node.kind {
                Kind::Placeholder => continue,
                Kind::Captured(value) => {
                    values[at] = vec![value.clone()];
                    continue;
                }
                Kind::Op(op) => op,
            };
            let inputs: Vec<&Tensor> = node.inputs.iter().map(|edge| &values[edge.node][edge.output]).collect();
            let call = || match op.as_fused() {
                Some(fused) => scope::within_composite(op.name(), || fused.body(&inputs)),
                None => dispatch(op.clone(), &inputs),
            };
            let outputs = scope::changed(|scopes| scopes.path = node.path.clone(), call)?;
            values[at] = outputs;
        }
        Ok(self.outputs.iter().map(|edge| values[edge.node][edge.output].clone()).collect())
    }
}
