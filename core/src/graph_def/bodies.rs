//! Branches and loops of a file: functions that are the graphs of an op.

use super::plan::{Library, shown};
use super::read::{Frame, Given, Held, Reader};
use super::{attrs, read};
use crate::flow::{Body, aligned_all, passing_on};
use crate::graph::{Edge, Graph, GraphNode};
use crate::op::{Attr, Attrs, Func};
use crate::{DType, Error, Result, Spec, Tensor};
use modulor_wire::graph::{AttrEntry, NameAttrList, NodeDef, Value};

/// A function that a node names.
pub(super) struct Callee<'a> {
    pub name: &'a str,
    /// The attributes that it is called with.
    pub attr: &'a [AttrEntry],
    /// What stands behind the node's name before the names of its nodes: nothing, or which one it is of several.
    pub part: String,
}

/// An argument of a function that becomes a graph of its own.
struct Argument {
    spec: Spec,
    /// What it is in every call.
    value: Option<Tensor>,
}

/// The attributes of an op that name functions.
fn attributes(op: &str) -> &'static [&'static str] {
    match op {
        "If" | "StatelessIf" => &["then_branch", "else_branch"],
        "Case" | "StatelessCase" => &["branches"],
        "While" | "StatelessWhile" => &["cond", "body"],
        "PartitionedCall" | "StatefulPartitionedCall" => &["f"],
        _ => &[],
    }
}

/// The functions that a node calls, in the order of its attributes.
pub(super) fn callees<'a>(node: &'a NodeDef, library: &Library<'a>) -> Result<Vec<Callee<'a>>> {
    if library.functions.contains_key(&*node.op) {
        return Ok(vec![Callee { name: &node.op, attr: &node.attr, part: String::new() }]);
    }
    let mut found = Vec::new();
    for &attribute in attributes(&node.op) {
        let one =
            |function: &'a NameAttrList, part: String| Callee { name: &function.name, attr: &function.attr, part };
        match read::value(node, attribute, &Given::new())? {
            Value::Func(function) if attribute == "f" => found.push(one(function, String::new())),
            Value::Func(function) if attribute != "branches" => found.push(one(function, format!("{attribute}/"))),
            Value::List(list) if attribute == "branches" && !list.func.is_empty() => {
                found.extend(list.func.iter().enumerate().map(|(i, function)| one(function, format!("branch_{i}/"))));
            }
            other => {
                let what = if attribute == "branches" { "functions" } else { "a function" };
                let message = format!("attribute `{attribute}` takes {what}, found {}", attrs::found(other));
                return Err(Error::invalid_argument(message));
            }
        }
    }
    Ok(found)
}

/// Whether a call is to stay one.
pub(super) fn is_apart(node: &NodeDef) -> bool {
    let says = |entry: &AttrEntry| {
        entry.key == "_noinline" && entry.value.as_ref().is_some_and(|value| value.value == Some(Value::B(true)))
    };
    node.attr.iter().any(says)
}

impl<'a> Reader<'a> {
    /// What a branch becomes, a loop, or a call that stays one: an op with graphs.
    pub(super) fn with_bodies(
        &mut self,
        frame: &Frame<'_, 'a>,
        node: &'a NodeDef,
        inputs: Vec<Held>,
    ) -> Result<Vec<Held>> {
        let mut all = self.attributes(node, &inputs, &frame.given)?;
        let functions = callees(node, &self.library)?;
        let is_loop = matches!(&*node.op, "While" | "StatelessWhile");
        // What chooses a branch is none of its arguments.
        let first = usize::from(!is_loop && !node.op.ends_with("PartitionedCall"));
        let arguments = inputs.get(first..).unwrap_or_default();
        let bodies = match is_loop {
            true => self.bodies_of_loop(frame, node, &functions, arguments)?,
            false => {
                let arguments: Vec<Argument> = arguments.iter().map(|held| self.argument(held)).collect();
                let bodies = functions.iter().map(|function| self.body(frame, node, function, &arguments));
                bodies.collect::<Result<_>>()?
            }
        };
        let (mut graphs, captures) = aligned_all(bodies, arguments.len());
        if let (true, Some(body)) = (is_loop, graphs.last_mut()) {
            passing_on(std::sync::Arc::make_mut(body), arguments.len());
        }
        let invariant: Vec<bool> = match (is_loop, graphs.last()) {
            (true, Some(body)) => {
                body.outputs.iter().zip(&body.inputs).map(|(edge, &node)| edge.node == node).collect()
            }
            _ => Vec::new(),
        };
        let mut graphs = graphs.into_iter().map(|graph| Attr::Func(Func::new(graph)));
        for &attribute in attributes(&node.op) {
            all = match attribute {
                "branches" => all.with(attribute, Attr::List(graphs.by_ref().collect())),
                _ => graphs.next().map_or(all.clone(), |graph| all.with(attribute, graph)),
            };
        }
        if is_apart(node) {
            all = all.with("_noinline", true);
        }
        let given: Vec<Held> = inputs.iter().cloned().chain(captures.into_iter().map(Held::Value)).collect();
        let mut outputs = self.op_of(frame, node, &given, &all)?;
        if is_loop {
            // What stays as it came in is known as well as it was.
            outputs.truncate(inputs.len());
            for ((output, input), _) in outputs.iter_mut().zip(inputs).zip(&invariant).filter(|(_, same)| **same) {
                *output = input;
            }
        } else {
            self.check_results(node, &outputs, &all)?;
        }
        Ok(outputs)
    }

    /// The op with graphs for attributes, as a node.
    fn op_of(&mut self, frame: &Frame<'_, 'a>, node: &'a NodeDef, inputs: &[Held], all: &Attrs) -> Result<Vec<Held>> {
        let Some(def) = self.library.ops.get(&*node.op) else {
            return Err(Error::unimplemented(format!("no op `{}`", node.op)));
        };
        let op = (def.parse)(all)?;
        let specs = op.infer(&inputs.iter().map(|held| self.input(held)).collect::<Vec<_>>())?;
        Ok(self.push(frame, node, op, inputs, specs))
    }

    /// The graphs of the condition and of the body. A dim that the body changes is unknown in them; what it gives out as it came
    /// in, and is known outside, is known in them.
    fn bodies_of_loop(
        &mut self,
        frame: &Frame<'_, 'a>,
        node: &'a NodeDef,
        functions: &[Callee<'a>],
        inputs: &[Held],
    ) -> Result<Vec<Body>> {
        let [condition, body] = functions else {
            return Err(Error::internal("a loop has a condition and a body"));
        };
        let known: Vec<Argument> = inputs.iter().map(|held| self.argument(held)).collect();
        let only_handles = |argument: &Argument| Argument {
            spec: argument.spec.clone(),
            value: argument.value.clone().filter(|value| value.dtype() == DType::Resource),
        };
        let mut arguments: Vec<Argument> = known.iter().map(only_handles).collect();
        let found = loop {
            let found = self.body(frame, node, body, &arguments)?;
            let mut is_same = true;
            let given = found.graph.outputs.iter().zip(&found.graph.inputs);
            for ((argument, known), (edge, &input)) in arguments.iter_mut().zip(&known).zip(given) {
                if edge.node == input {
                    // It is the same in every iteration.
                    if argument.value.is_none() && known.value.is_some() {
                        argument.value = known.value.clone();
                        is_same = false;
                    }
                    continue;
                }
                let spec = &found.graph.nodes[edge.node].specs[edge.output];
                match argument.spec.shape.common(&spec.shape).filter(|_| argument.spec.dtype == spec.dtype) {
                    Some(common) if common != argument.spec.shape => {
                        argument.spec.shape = common;
                        is_same = false;
                    }
                    // What does not fit is said by the op.
                    _ => {}
                }
            }
            if is_same {
                break found;
            }
        };
        Ok(vec![self.body(frame, node, condition, &arguments)?, found])
    }

    fn argument(&self, held: &Held) -> Argument {
        let value = match held {
            // A list may change from one iteration to the next, and is no constant of a file.
            Held::Value(value) if value.dtype() != DType::Variant => Some(value.clone()),
            _ => None,
        };
        Argument { spec: self.spec(held).clone(), value }
    }

    /// A function as a graph that takes these arguments.
    fn body(
        &mut self,
        frame: &Frame<'_, 'a>,
        node: &'a NodeDef,
        function: &Callee<'a>,
        arguments: &[Argument],
    ) -> Result<Body> {
        let nodes = arguments.iter().map(|argument| GraphNode::placeholder(argument.spec.clone())).collect();
        let own = Graph { nodes, inputs: (0..arguments.len()).collect(), outputs: Vec::new() };
        let outside = self.enter(own);
        let given = arguments.iter().enumerate().map(|(node, argument)| match &argument.value {
            Some(value) => Held::Value(value.clone()),
            None => Held::Edge(Edge { node, output: 0 }),
        });
        let results = self.call(frame, node, function, given.collect())?;
        for (at, held) in results.iter().enumerate() {
            let value = arguments.get(at).and_then(|argument| argument.value.as_ref());
            let edge = match (held, value) {
                (Held::Value(held), Some(value)) if held.id() == value.id() => Edge { node: at, output: 0 },
                _ => self.edge(held),
            };
            self.graph.outputs.push(edge);
        }
        let graph = self.leave(outside);
        let handles: Vec<Option<Tensor>> = arguments.iter().map(|argument| argument.value.clone()).collect();
        let handles: Vec<Option<Tensor>> =
            handles.into_iter().map(|value| value.filter(|value| value.dtype() == DType::Resource)).collect();
        Ok(Body::new(graph.taking_in(&handles)))
    }

    /// Puts nodes into another graph; what is behind.
    fn enter(&mut self, graph: Graph) -> Outside {
        Outside { graph: std::mem::replace(&mut self.graph, graph), captured: std::mem::take(&mut self.captured) }
    }

    /// Goes on with the graph that was left; the other one.
    fn leave(&mut self, outside: Outside) -> Graph {
        self.captured = outside.captured;
        std::mem::replace(&mut self.graph, outside.graph)
    }
}

/// A graph that is being read, while a function that it names is.
struct Outside {
    graph: Graph,
    captured: std::collections::HashMap<u64, usize>,
}

/// What an error says of where it arose, beside the node.
pub(super) fn within(error: Error, function: Option<&str>) -> Error {
    match function {
        Some(name) => error.note(format!("in function `{}`", shown(name))),
        None => error,
    }
}
