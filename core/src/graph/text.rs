//! A graph as text.

use super::{Edge, Graph, Kind};
use crate::op::{Attr, Attrs};
use crate::tensor::Payload;
use crate::{Spec, Tensor};
use std::fmt;

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
            for (name, attr) in attrs.iter() {
                write_functions(f, name, attr)?;
            }
        }
        writeln!(f, "return {}", list(&self.outputs))
    }
}

/// The graphs of an attribute below its node, further in.
fn write_functions(f: &mut fmt::Formatter<'_>, name: &str, attr: &Attr) -> fmt::Result {
    match attr {
        Attr::Func(function) => {
            writeln!(f, "    {name}:")?;
            let Some(graph) = function.0.downcast_ref::<Graph>() else { return Ok(()) };
            graph.to_string().lines().try_for_each(|line| writeln!(f, "        {line}"))
        }
        Attr::List(items) => items.iter().try_for_each(|item| write_functions(f, name, item)),
        _ => Ok(()),
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
