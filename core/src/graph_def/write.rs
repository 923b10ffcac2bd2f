//! A graph as the bytes of a GraphDef.

use super::names::{Names, is_legal};
use super::{PRODUCER, attrs, constant, defs};
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Attr, Attrs, Op};
use crate::tensor::Resource;
use crate::{DType, Error, Result, Spec, Tensor};
use modulor_wire::graph::{AttrEntry, GraphDef, NodeDef, Value};
use modulor_wire::message::{VersionDef, encode};
use std::sync::Arc;

/// The oldest reader of what is written here: what TensorFlow's own writer says.
const MIN_CONSUMER: i32 = 12;

/// What protocol buffers have room for.
const MOST_BYTES: usize = i32::MAX as usize;

impl Graph {
    pub(super) fn written(&self, inputs: &[&str], outputs: &[&str]) -> Result<Vec<u8>> {
        counted("input", inputs.len(), self.inputs.len())?;
        counted("output", outputs.len(), self.outputs.len())?;
        let mut names = Names::default();
        for name in inputs.iter().chain(outputs) {
            if !is_legal(name) {
                return Err(Error::invalid_argument(format!(
                    "`{name}` is no name of a node: letters, digits and `.` `_` `-` `/` `\\` `>`, the first one a letter, a \
                     digit or `.`"
                )));
            }
            if !names.take(name) {
                return Err(Error::invalid_argument(format!("two inputs or outputs are called `{name}`")));
            }
        }
        let graph = self.expanded()?;
        let mut writer = Writer { graph: &graph, names, nodes: Vec::new(), written: Vec::new(), resources: Vec::new() };
        let mut feeds = vec![None; graph.nodes.len()];
        for (&node, name) in graph.inputs.iter().zip(inputs) {
            feeds[node] = Some(*name);
        }
        let order = graph.order();
        for (at, (node, before)) in graph.nodes.iter().zip(&order.before).enumerate() {
            let name = writer.name(node, feeds[at]);
            let within = |error: Error| error.within(name.clone());
            let mut def = writer.node(node, name.clone()).map_err(within)?;
            def.input.extend(before.iter().map(|&before| format!("^{}", writer.written[before])));
            writer.nodes.push(def);
            writer.written.push(name);
        }
        writer.outputs(outputs, &order.last_writes);
        let versions = VersionDef { producer: PRODUCER, min_consumer: MIN_CONSUMER, ..Default::default() };
        let bytes = encode(&GraphDef { node: writer.nodes, versions: Some(versions), ..Default::default() });
        match bytes.len() <= MOST_BYTES {
            true => Ok(bytes),
            false => Err(Error::resource_exhausted(format!(
                "a GraphDef of {} bytes: there is room for {MOST_BYTES}; let large constants be variables or inputs",
                bytes.len()
            ))),
        }
    }
}

fn counted(what: &str, found: usize, expected: usize) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => {
            let message = format!("the graph has {expected} {what}s, and {found} names were given");
            Err(Error::invalid_argument(message))
        }
    }
}

struct Writer<'a> {
    graph: &'a Graph,
    names: Names,
    nodes: Vec<NodeDef>,
    /// The name of each node of the graph.
    written: Vec<String>,
    /// What handles lead to, and its name.
    resources: Vec<(Arc<dyn Resource>, String)>,
}

impl Writer<'_> {
    /// The name of a node: its path and its op, or a variable's name, or what an input is called.
    fn name(&mut self, node: &GraphNode, input: Option<&str>) -> String {
        let op = node.kind.name();
        match (&node.kind, &node.path, input) {
            (_, _, Some(input)) => input.to_owned(),
            (Kind::Captured(value), ..) if value.as_resource().is_ok() => {
                let name = value.as_resource().map(|resource| resource.name()).unwrap_or_default();
                self.names.unique(if name.is_empty() { op } else { &name })
            }
            (_, Some(path), _) => self.names.unique(&format!("{path}/{op}")),
            (_, None, _) => self.names.unique(op),
        }
    }

    /// Everything of a node but what it waits for.
    fn node(&mut self, node: &GraphNode, name: String) -> Result<NodeDef> {
        let attr = match &node.kind {
            Kind::Placeholder => self.placeholder(&node.specs[0]),
            Kind::Captured(value) => match value.as_resource() {
                Ok(resource) => self.handle(resource, &name)?,
                Err(_) => constant(value)?,
            },
            Kind::Op(op) => self.attributes(&**op, &node.inputs)?,
        };
        let input = node.inputs.iter().map(|edge| self.reference(edge)).collect();
        Ok(NodeDef { name, op: node.kind.name().to_owned(), input, attr, ..Default::default() })
    }

    fn reference(&self, edge: &Edge) -> String {
        match edge.output {
            0 => self.written[edge.node].clone(),
            output => format!("{}:{output}", self.written[edge.node]),
        }
    }

    fn placeholder(&self, spec: &Spec) -> Vec<AttrEntry> {
        vec![
            attrs::entry("dtype", Value::Type(spec.dtype.number())),
            attrs::entry("shape", Value::Shape(attrs::to_shape(&spec.shape))),
        ]
    }

    /// Handles of one resource share a name, and no others do.
    fn handle(&mut self, resource: &Arc<dyn Resource>, name: &str) -> Result<Vec<AttrEntry>> {
        let spec = resource.spec()?;
        let same = self.resources.iter().find(|(other, _)| Arc::ptr_eq(other, resource));
        let shared = same.map_or_else(|| name.to_owned(), |(_, shared)| shared.clone());
        if same.is_none() {
            self.resources.push((resource.clone(), shared.clone()));
        }
        Ok(vec![
            attrs::entry("dtype", Value::Type(spec.dtype.number())),
            attrs::entry("shape", Value::Shape(attrs::to_shape(&spec.shape))),
            attrs::entry("shared_name", Value::S(shared.into_bytes())),
        ])
    }

    /// The attributes that an op says, and those that follow from its inputs.
    fn attributes(&self, op: &dyn Op, inputs: &[Edge]) -> Result<Vec<AttrEntry>> {
        let Some(signature) = defs::signature(op.name()) else {
            let message = format!("`{}` is none of the ops of TensorFlow that graphs here have", op.name());
            return Err(Error::unimplemented(message));
        };
        let own = op.attrs();
        let dtypes: Vec<DType> =
            inputs.iter().map(|edge| self.graph.nodes[edge.node].specs[edge.output].dtype).collect();
        let derived = signature.derive(&dtypes, &own).map_err(|error| error.in_op(op.name()))?;
        let all = signature.attrs().iter().filter_map(|def| {
            let value: Option<&Attr> = derived.get(def.name).or_else(|| own.get(def.name)).or(def.default.as_ref());
            let value = attrs::to_value(value?).map_err(|error| error.in_op(op.name()));
            Some(value.map(|value| attrs::entry(def.name, value)))
        });
        let all: Vec<AttrEntry> = all.collect::<Result<_>>()?;
        unknown(&own, |name| all.iter().any(|entry| entry.key == name)).map_err(|error| error.in_op(op.name()))?;
        Ok(all)
    }

    /// The nodes that are called as the outputs are. Each waits for all that is written, so that to ask for one is to run the
    /// graph; where there is none, there is a node to ask for.
    fn outputs(&mut self, outputs: &[&str], last_writes: &[usize]) {
        let mut after = None;
        if !last_writes.is_empty() {
            let name = self.names.unique(super::EFFECTS);
            let input = last_writes.iter().map(|&write| format!("^{}", self.written[write])).collect();
            self.nodes.push(NodeDef { name: name.clone(), op: "NoOp".to_owned(), input, ..Default::default() });
            after = Some(format!("^{name}"));
        }
        for (edge, name) in self.graph.outputs.iter().zip(outputs) {
            let dtype = self.graph.nodes[edge.node].specs[edge.output].dtype;
            self.nodes.push(NodeDef {
                name: (*name).to_owned(),
                op: "Identity".to_owned(),
                input: std::iter::once(self.reference(edge)).chain(after.clone()).collect(),
                attr: vec![attrs::entry("T", Value::Type(dtype.number()))],
                ..Default::default()
            });
        }
    }
}

fn constant(value: &Tensor) -> Result<Vec<AttrEntry>> {
    Ok(vec![
        attrs::entry("dtype", Value::Type(value.dtype().number())),
        attrs::entry("value", Value::Tensor(constant::to_bytes(value)?)),
    ])
}

/// An error where an op says an attribute that TensorFlow's does not have.
fn unknown(own: &Attrs, known: impl Fn(&str) -> bool) -> Result<()> {
    match own.iter().find(|(name, _)| !known(name)) {
        None => Ok(()),
        Some((name, _)) => Err(Error::internal(format!("TensorFlow's op has no attribute `{name}`"))),
    }
}
