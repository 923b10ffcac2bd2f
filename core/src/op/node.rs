//! A call on symbols: the graph while it grows.

use super::{Op, scope};
use crate::tensor::{GraphNode, Payload, next_id};
use crate::{Spec, Tensor};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One call that was traced. Its inputs are symbols of earlier nodes, or values; numbers rise as nodes are made, so
/// sorting by them gives an order in which every node follows its inputs.
pub(crate) struct Node {
    pub id: u64,
    pub origin: Origin,
    pub inputs: Vec<Tensor>,
    pub specs: Vec<Spec>,
    /// The path of names that surrounded the call.
    pub path: Option<Arc<str>>,
    /// Whether models are made of it: it is an input of one, or follows from such.
    functional: bool,
}

/// Where a node's outputs come from.
#[derive(Clone)]
pub(crate) enum Origin {
    /// Fed by the caller: TensorFlow's `Placeholder`.
    Placeholder,
    /// Computed.
    Op(Arc<dyn Op>),
    /// Fed to models; what is said about it is of those who made it.
    Input(Arc<dyn Any + Send + Sync>),
    /// Computed by a layer, whose call `layer::functional` knows.
    Call(Arc<dyn Any + Send + Sync>),
}

impl Node {
    pub fn new(origin: Origin, inputs: Vec<Tensor>, specs: Vec<Spec>) -> Arc<Node> {
        let path = scope::with(|scopes| scopes.path.clone());
        let functional = matches!(origin, Origin::Input(_)) || inputs.iter().any(Tensor::is_functional);
        Arc::new(Node { id: next_id(), origin, inputs, specs, path, functional })
    }

    /// The symbols of all outputs.
    pub fn outputs(self: &Arc<Node>) -> Vec<Tensor> {
        (0..self.specs.len()).map(|i| Tensor::symbol(self.clone(), i, self.specs[i].clone())).collect()
    }

    /// The node a symbol belongs to, and which of its outputs that is.
    pub fn behind(tensor: &Tensor) -> Option<(&Node, usize)> {
        let Payload::Symbol(symbol) = tensor.payload() else { return None };
        let any: &dyn Any = &*symbol.node;
        Some((any.downcast_ref().expect("this is the one type of node"), symbol.output))
    }

    /// As [`behind`](Node::behind), as another handle.
    pub fn of(tensor: &Tensor) -> Option<(Arc<Node>, usize)> {
        let Payload::Symbol(symbol) = tensor.payload() else { return None };
        let any: Arc<dyn Any + Send + Sync> = symbol.node.clone();
        let node = any.downcast().expect("this is the one type of node");
        Some((node, symbol.output))
    }
}

impl GraphNode for Node {
    fn op(&self) -> &str {
        match &self.origin {
            Origin::Placeholder => "Placeholder",
            Origin::Op(op) => op.name(),
            Origin::Input(_) => "Input",
            Origin::Call(_) => "Layer",
        }
    }

    fn is_functional(&self) -> bool {
        self.functional
    }
}

/// A chain of a million nodes must not be dropped by a million nested calls.
impl Drop for Node {
    fn drop(&mut self) {
        let mut pending = std::mem::take(&mut self.inputs);
        while let Some(tensor) = pending.pop() {
            pending.extend(tensor.into_last_inputs());
        }
    }
}

impl Tensor {
    /// A symbol that stands for any tensor of this dtype and, as far as it is known, shape, in the signature of a function.
    pub fn placeholder(spec: Spec) -> Tensor {
        Tensor::symbol(Node::new(Origin::Placeholder, Vec::new(), vec![spec.clone()]), 0, spec)
    }

    /// The inputs of the node behind this symbol, if this was the last handle to both.
    fn into_last_inputs(self) -> Vec<Tensor> {
        let Some((node, _)) = Node::of(&self) else { return Vec::new() };
        drop(self);
        Arc::into_inner(node).map(|mut node| std::mem::take(&mut node.inputs)).unwrap_or_default()
    }
}

/// A trace under way: the nodes that must run whether or not an output needs them, in order.
#[derive(Default)]
pub(crate) struct Trace {
    effects: Mutex<Vec<Arc<Node>>>,
    /// How many composites of a path there were.
    marks: Mutex<HashMap<String, usize>>,
}

impl Trace {
    pub fn push(&self, node: Arc<Node>) {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner).push(node);
    }

    /// The number of the next composite of this path, from 0.
    pub fn number(&self, path: String) -> usize {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let next = marks.entry(path).or_default();
        *next += 1;
        *next - 1
    }

    pub fn take(&self) -> Vec<Arc<Node>> {
        std::mem::take(&mut *self.effects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
