//! A graph as the bytes of a GraphDef.

use super::names::{Names, is_legal};
use super::{PRODUCER, attrs, constant, defs};
use crate::graph::{Edge, Graph, GraphNode, Kind, Order};
use crate::op::{Attr, Attrs, Effect, Func, Op};
use crate::tensor::{List, Resource, Variant};
use crate::{DType, Error, Result, Spec, Tensor};
use modulor_wire::graph::{AttrEntry, FunctionDef, FunctionDefLibrary, GraphDef, NodeDef, Value};
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
        let graph = self.expanded(&[])?;
        let mut file = File::default();
        let mut writer = Writer::new(&graph, names, false, &mut file);
        let order = writer.all_nodes(inputs, &[])?;
        writer.outputs(outputs, &order.last_writes);
        let node = writer.nodes;
        let versions = VersionDef { producer: PRODUCER, min_consumer: MIN_CONSUMER, ..Default::default() };
        let library = FunctionDefLibrary { function: file.functions, ..Default::default() };
        let library = Some(library).filter(|library| !library.function.is_empty());
        let bytes = encode(&GraphDef { node, library, versions: Some(versions), ..Default::default() });
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

/// What the graph and its functions have in common.
#[derive(Default)]
pub(super) struct File {
    /// What handles lead to, and its name.
    resources: Vec<(Arc<dyn Resource>, String)>,
    pub functions: Vec<FunctionDef>,
    /// The names of functions.
    pub names: Names,
}

/// The nodes of a graph, or of a function.
pub(super) struct Writer<'a> {
    pub graph: &'a Graph,
    pub names: Names,
    /// Whether inputs are arguments, and outputs of nodes have names.
    is_function: bool,
    pub file: &'a mut File,
    pub nodes: Vec<NodeDef>,
    /// The name of each node of the graph.
    pub written: Vec<String>,
    /// What each output of each node is called by those that take it.
    references: Vec<Vec<String>>,
    /// The handles that nodes are, where they are known.
    handles: Vec<Option<Tensor>>,
}

impl<'a> Writer<'a> {
    pub fn new(graph: &'a Graph, names: Names, is_function: bool, file: &'a mut File) -> Writer<'a> {
        let (nodes, written, references, handles) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Writer { graph, names, is_function, file, nodes, written, references, handles }
    }

    /// Writes every node. The inputs have these names; `handles` are those of them that are known handles.
    pub fn all_nodes(&mut self, inputs: &[&str], handles: &[Option<Tensor>]) -> Result<Order> {
        let graph = self.graph;
        let mut feeds = vec![None; graph.nodes.len()];
        for (at, (&node, name)) in graph.inputs.iter().zip(inputs).enumerate() {
            feeds[node] = Some((*name, handles.get(at).cloned().flatten()));
        }
        let order = graph.order();
        for ((node, before), feed) in graph.nodes.iter().zip(&order.before).zip(feeds) {
            let (feed, handle) = feed.unzip();
            let name = self.name(node, feed);
            self.handles.push(match &node.kind {
                Kind::Captured(value) if value.as_resource().is_ok() => Some(value.clone()),
                _ => handle.flatten(),
            });
            let within = |error: Error| error.within(name.clone());
            let references = match &node.kind {
                Kind::Placeholder if self.is_function => vec![name.clone()],
                Kind::Captured(value) if value.dtype() == DType::Variant => {
                    vec![self.variant(value, &name).map_err(within)?]
                }
                _ => {
                    let (mut def, all) = self.node(node, name.clone()).map_err(within)?;
                    def.input.extend(before.iter().map(|&before| format!("^{}", self.written[before])));
                    let references = self.references(&def, node.specs.len(), &all);
                    self.nodes.push(def);
                    references
                }
            };
            self.references.push(references);
            self.written.push(name);
        }
        Ok(order)
    }

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

    /// Everything of a node but what it waits for; and all attributes of an op.
    fn node(&mut self, node: &GraphNode, name: String) -> Result<(NodeDef, Attrs)> {
        let mut op = node.kind.name();
        let (attr, all) = match &node.kind {
            Kind::Placeholder => (placeholder(&node.specs[0]), Attrs::new()),
            Kind::Captured(value) => match value.as_resource() {
                Ok(resource) => (self.handle(resource, &name)?, Attrs::new()),
                Err(_) => (constant(value)?, Attrs::new()),
            },
            Kind::Op(held) => {
                // TensorFlow takes what draws for something with state.
                if held.effect() == Effect::Random && held.attrs().iter().any(|(_, attr)| is_func(attr)) {
                    op = match op {
                        "PartitionedCall" => "StatefulPartitionedCall",
                        _ => op.strip_prefix("Stateless").unwrap_or(op),
                    };
                }
                self.attributes(&**held, &node.inputs, &name)?
            }
        };
        let input = node.inputs.iter().map(|edge| self.reference(edge)).collect();
        Ok((NodeDef { name, op: op.to_owned(), input, attr, ..Default::default() }, all))
    }

    pub fn reference(&self, edge: &Edge) -> String {
        self.references[edge.node][edge.output].clone()
    }

    /// What the outputs of a node are called by those that take them.
    fn references(&self, node: &NodeDef, count: usize, all: &Attrs) -> Vec<String> {
        match defs::signature(&node.op).filter(|_| self.is_function) {
            Some(signature) => {
                let names = signature.output_names(count, all).into_iter();
                names.map(|output| format!("{}:{output}", node.name)).collect()
            }
            None => {
                let later = (1..count).map(|output| format!("{}:{output}", node.name));
                std::iter::once(node.name.clone()).chain(later).collect()
            }
        }
    }

    /// Handles of one resource share a name, and no others do.
    fn handle(&mut self, resource: &Arc<dyn Resource>, name: &str) -> Result<Vec<AttrEntry>> {
        let spec = resource.spec()?;
        let resources = &mut self.file.resources;
        let same = resources.iter().find(|(other, _)| Arc::ptr_eq(other, resource));
        let shared = match same {
            Some((_, shared)) => shared.clone(),
            None => {
                let is_free = |name: &str| resources.iter().all(|(_, other)| other != name);
                let numbered = (1..).map(|i| format!("{name}_{i}")).find(|name| is_free(name));
                let shared = Some(name.to_owned()).filter(|name| is_free(name)).or(numbered).unwrap_or_default();
                resources.push((resource.clone(), shared.clone()));
                shared
            }
        };
        Ok(vec![
            attrs::entry("dtype", Value::Type(spec.dtype.number())),
            attrs::entry("shape", Value::Shape(attrs::to_shape(&spec.shape))),
            attrs::entry("shared_name", Value::S(shared.into_bytes())),
        ])
    }

    /// The attributes that an op says, and those that follow from its inputs; as a file has them, and as data.
    fn attributes(&mut self, op: &dyn Op, inputs: &[Edge], name: &str) -> Result<(Vec<AttrEntry>, Attrs)> {
        let Some(signature) = defs::signature(op.name()) else {
            let message = format!("`{}` is none of the ops of TensorFlow that graphs here have", op.name());
            return Err(Error::unimplemented(message));
        };
        let own = op.attrs();
        let dtypes: Vec<DType> =
            inputs.iter().map(|edge| self.graph.nodes[edge.node].specs[edge.output].dtype).collect();
        let derived = signature.derive(&dtypes, &own).map_err(|error| error.in_op(op.name()))?;
        let mut all = Attrs::new();
        for def in signature.attrs() {
            let value = derived.get(def.name).or_else(|| own.get(def.name)).or(def.default.as_ref());
            if let Some(value) = value {
                all = all.with(def.name, value.clone());
            }
        }
        // TensorFlow's ops have any attribute that begins so.
        for (name, value) in own.iter().filter(|(name, _)| name.starts_with('_')) {
            all = all.with(name, value.clone());
        }
        unknown(&own, |name| all.get(name).is_some()).map_err(|error| error.in_op(op.name()))?;
        // What chooses a branch is none of its arguments.
        let first = usize::from(dtypes.len() > graph_inputs(&own).unwrap_or(dtypes.len()));
        let handles: Vec<Option<Tensor>> =
            inputs.iter().skip(first).map(|edge| self.handles[edge.node].clone()).collect();
        let mut entries = Vec::new();
        for (attribute, value) in all.iter() {
            let mut function = |graph: &Func| self.function(&format!("{name}_{attribute}"), graph, &handles);
            let value = attrs::to_value(value, &mut function).map_err(|error| error.in_op(op.name()))?;
            entries.push(attrs::entry(attribute, value));
        }
        Ok((entries, all))
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

    /// A list or an optional that is known, as the ops that make it; what it is called.
    fn variant(&mut self, value: &Tensor, name: &str) -> Result<String> {
        match value.as_variant()? {
            Variant::Optional(None) => Ok(self.made(name, "OptionalNone", Vec::new(), Vec::new())),
            // TensorFlow has none that holds no tensors, of which nothing is taken out.
            Variant::Optional(Some(held)) if held.is_empty() => {
                Ok(self.made(name, "OptionalNone", Vec::new(), Vec::new()))
            }
            Variant::Optional(Some(held)) => {
                let inputs = held.iter().map(|held| self.constant(held, name)).collect::<Result<_>>()?;
                let types = Attr::List(held.iter().map(|held| Attr::Type(held.dtype())).collect());
                Ok(self.made(name, "OptionalFromValue", inputs, vec![("Toutput_types", types)]))
            }
            Variant::List(list) => self.list(list, name),
        }
    }

    fn list(&mut self, list: &List, name: &str) -> Result<String> {
        let elements = list.elements()?;
        let dims = list.shape.dims().map(|dims| -> Vec<i64> {
            dims.into_iter().map(|dim| dim.map_or(-1, |dim| i64::try_from(dim).unwrap_or(-1))).collect()
        });
        let shape = match dims {
            Some(dims) => Tensor::new([dims.len()], dims)?,
            None => Tensor::scalar(-1_i64),
        };
        let shape = self.constant(&shape, name)?;
        let int = |at: usize| i32::try_from(at).unwrap_or(i32::MAX);
        let element = ("element_dtype", Attr::Type(list.dtype));
        let attrs = || vec![element.clone(), ("shape_type", Attr::Type(DType::I64))];
        // The last one has the name; elements that are not set are there from the beginning.
        let is_whole = elements.iter().all(Option::is_some);
        let set = elements.iter().filter(|element| element.is_some()).count();
        let first = if set == 0 { name.to_owned() } else { self.names.unique(name) };
        let mut made = match is_whole {
            true => {
                let most = self.constant(&Tensor::scalar(list.most.map_or(-1, int)), name)?;
                self.made(&first, "EmptyTensorList", vec![shape, most], attrs())
            }
            false => {
                let count = self.constant(&Tensor::scalar(int(elements.len())), name)?;
                self.made(&first, "TensorListReserve", vec![shape, count], attrs())
            }
        };
        let mut left = set;
        for (at, found) in elements.iter().enumerate() {
            let Some(found) = found else { continue };
            left -= 1;
            let next = if left == 0 { name.to_owned() } else { self.names.unique(name) };
            let item = self.constant(found, name)?;
            made = match is_whole {
                true => self.made(&next, "TensorListPushBack", vec![made, item], vec![element.clone()]),
                false => {
                    let at = self.constant(&Tensor::scalar(int(at)), name)?;
                    self.made(&next, "TensorListSetItem", vec![made, at, item], vec![element.clone()])
                }
            };
        }
        Ok(made)
    }

    /// A value beside the node of this name; what it is called.
    fn constant(&mut self, value: &Tensor, name: &str) -> Result<String> {
        let name = self.names.unique(&format!("{name}/Const"));
        if value.dtype() == DType::Variant {
            return self.variant(value, &name);
        }
        let def = NodeDef { name, op: "Const".to_owned(), attr: constant(value)?, ..Default::default() };
        let reference = self.references(&def, 1, &Attrs::new()).remove(0);
        self.nodes.push(def);
        Ok(reference)
    }

    /// One more node; what its one output is called.
    fn made(&mut self, name: &str, op: &str, input: Vec<String>, attributes: Vec<(&str, Attr)>) -> String {
        let mut no_graph = |_: &Func| Err(Error::internal("a list is made without graphs"));
        let attr = attributes
            .iter()
            .filter_map(|(name, attr)| Some(attrs::entry(name, attrs::to_value(attr, &mut no_graph).ok()?)))
            .collect();
        let def = NodeDef { name: name.to_owned(), op: op.to_owned(), input, attr, ..Default::default() };
        let reference = self.references(&def, 1, &Attrs::new()).remove(0);
        self.nodes.push(def);
        reference
    }
}

/// How many inputs the graphs among an op's attributes take, where there are some.
fn graph_inputs(attrs: &Attrs) -> Option<usize> {
    let graph = |attr: &Attr| match attr {
        Attr::Func(function) => function.graph().ok(),
        Attr::List(items) => items.iter().find_map(|item| match item {
            Attr::Func(function) => function.graph().ok(),
            _ => None,
        }),
        _ => None,
    };
    attrs.iter().find_map(|(_, attr)| graph(attr)).map(|graph| graph.inputs.len())
}

fn is_func(attr: &Attr) -> bool {
    match attr {
        Attr::Func(_) => true,
        Attr::List(items) => items.iter().any(is_func),
        _ => false,
    }
}

fn placeholder(spec: &Spec) -> Vec<AttrEntry> {
    vec![
        attrs::entry("dtype", Value::Type(spec.dtype.number())),
        attrs::entry("shape", Value::Shape(attrs::to_shape(&spec.shape))),
    ]
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
