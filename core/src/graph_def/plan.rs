//! Which nodes of a body are needed, in which order, and where their inputs come from.

use super::{STRUCTURE, defs};
use crate::op::{Attr, Attrs, OpDef};
use crate::{Error, Result};
use modulor_wire::graph::{AttrEntry, FunctionDef, NodeDef, Value};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// What nodes may name.
pub(super) struct Library<'a> {
    pub ops: HashMap<&'static str, &'static OpDef>,
    pub functions: HashMap<&'a str, &'a FunctionDef>,
}

/// The nodes of a graph, or of a function.
pub(super) struct Body<'a> {
    pub nodes: &'a [NodeDef],
    function: Option<&'a FunctionDef>,
    places: HashMap<&'a str, Source>,
}

/// Where a tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An argument of the function.
    Argument(usize),
    /// An output of a node.
    Node { node: usize, output: usize },
}

/// The needed nodes.
pub(super) struct Plan {
    /// Each behind all that it needs; in the order of the file where that is such an order.
    pub steps: Vec<Step>,
    pub results: Vec<Source>,
}

/// A node that runs.
pub(super) struct Step {
    pub node: usize,
    pub inputs: Vec<Source>,
}

/// Branches and loops of TensorFlow 1: ops that decide by themselves whether what follows them runs.
const DECIDING: &[&str] = &[
    "Enter",
    "Exit",
    "LoopCond",
    "Merge",
    "NextIteration",
    "RefEnter",
    "RefExit",
    "RefMerge",
    "RefNextIteration",
    "RefSwitch",
    "Switch",
    "_SwitchN",
];

/// Nodes of which nothing knows the op.
#[derive(Default)]
pub(super) struct Unknown<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Body<'a> {
    /// The nodes of the graph itself.
    pub fn main(nodes: &'a [NodeDef]) -> Result<Body<'a>> {
        Body::new(nodes, None)
    }

    pub fn function(function: &'a FunctionDef) -> Result<Body<'a>> {
        Body::new(&function.node_def, Some(function))
    }

    fn new(nodes: &'a [NodeDef], function: Option<&'a FunctionDef>) -> Result<Body<'a>> {
        let signature = function.and_then(|function| function.signature.as_ref());
        let arguments = signature.map_or(&[][..], |signature| &signature.input_arg);
        let arguments = arguments.iter().enumerate().map(|(i, arg)| (&*arg.name, Source::Argument(i)));
        let nodes_of = |(node, def): (usize, &'a NodeDef)| (&*def.name, Source::Node { node, output: 0 });
        let mut places = HashMap::with_capacity(nodes.len());
        for (name, place) in arguments.chain(nodes.iter().enumerate().map(nodes_of)) {
            if places.insert(name, place).is_some() {
                return Err(Error::invalid_argument(format!("two nodes are called `{name}`")));
            }
        }
        Ok(Body { nodes, function, places })
    }

    /// What has to run for these results, and for the nodes of `controls`.
    pub fn plan(
        &self,
        results: &[&str],
        controls: &[&str],
        library: &Library<'a>,
        unknown: &mut Unknown<'a>,
    ) -> Result<Plan> {
        let results = results.iter().map(|&text| self.source(text, library));
        let results = results.collect::<Result<Vec<_>>>()?;
        let controls = controls.iter().map(|&name| self.node(name)).collect::<Result<Vec<_>>>()?;
        let nodes_of = results.iter().filter_map(|source| source.node());
        let mut pending: Vec<usize> = nodes_of.chain(controls).collect();
        // What the needed ones take, and wait for.
        let mut needs: Vec<Option<(Vec<Source>, Vec<usize>)>> = Vec::new();
        needs.resize_with(self.nodes.len(), || None);
        while let Some(at) = pending.pop() {
            if needs[at].is_some() {
                continue;
            }
            let node = &self.nodes[at];
            let is_known = STRUCTURE.contains(&&*node.op)
                || library.ops.contains_key(&*node.op)
                || library.functions.contains_key(&*node.op);
            if !is_known {
                unknown.add(node);
            }
            let (sources, controls) = self.inputs(node, library, is_known)?;
            pending.extend(sources.iter().filter_map(|source| source.node()).chain(controls.iter().copied()));
            needs[at] = Some((sources, controls));
        }
        if unknown.0.is_empty() {
            Ok(Plan { steps: self.order(needs)?, results })
        } else {
            Ok(Plan { steps: Vec::new(), results })
        }
    }

    /// The needed nodes, each behind all that it needs.
    fn order(&self, mut needs: Vec<Option<(Vec<Source>, Vec<usize>)>>) -> Result<Vec<Step>> {
        let before = |at: usize| {
            let needs = needs[at].iter();
            needs
                .flat_map(|(sources, controls)| sources.iter().filter_map(|s| s.node()).chain(controls.iter().copied()))
        };
        let needed: Vec<usize> = (0..self.nodes.len()).filter(|&at| needs[at].is_some()).collect();
        // The nodes behind each one, in one list.
        let mut ends = vec![0_usize; self.nodes.len() + 1];
        let mut waits = vec![0_usize; self.nodes.len()];
        for &at in &needed {
            for other in before(at) {
                ends[other + 1] += 1;
                waits[at] += 1;
            }
        }
        (0..self.nodes.len()).for_each(|at| ends[at + 1] += ends[at]);
        let mut next: Vec<usize> = ends.clone();
        let mut behind = vec![0_usize; ends[self.nodes.len()]];
        for &at in &needed {
            for other in before(at) {
                behind[next[other]] = at;
                next[other] += 1;
            }
        }
        let mut ready: BinaryHeap<Reverse<usize>> =
            needed.iter().filter(|&&at| waits[at] == 0).map(|&at| Reverse(at)).collect();
        let mut order = Vec::with_capacity(needed.len());
        while let Some(Reverse(at)) = ready.pop() {
            order.push(at);
            for &after in &behind[ends[at]..ends[at + 1]] {
                waits[after] -= 1;
                if waits[after] == 0 {
                    ready.push(Reverse(after));
                }
            }
        }
        if order.len() < needed.len() {
            let cycle = self.cycle(&needed, &waits, before);
            return Err(Error::invalid_argument(format!("nodes wait for each other: {cycle}")));
        }
        let step =
            |at: usize| Step { node: at, inputs: needs[at].take().map(|(sources, _)| sources).unwrap_or_default() };
        Ok(order.into_iter().map(step).collect())
    }

    /// The names along a cycle, among nodes that never became ready: each of them waits for another one.
    fn cycle<I: Iterator<Item = usize>>(
        &self,
        needed: &[usize],
        waits: &[usize],
        before: impl Fn(usize) -> I,
    ) -> String {
        const MOST_NAMES: usize = 8;
        let Some(mut at) = needed.iter().copied().find(|&at| waits[at] > 0) else { return String::new() };
        let mut seen: HashMap<usize, usize> = HashMap::new();
        let mut path = Vec::new();
        while !seen.contains_key(&at) {
            seen.insert(at, path.len());
            path.push(at);
            let Some(other) = before(at).find(|&other| waits[other] > 0) else { break };
            at = other;
        }
        let cycle = path.get(seen.get(&at).copied().unwrap_or_default()..).unwrap_or_default();
        // Found against the arrows.
        let mut nodes: Vec<usize> = cycle.iter().rev().copied().collect();
        let first = nodes.iter().enumerate().min_by_key(|(_, at)| **at).map_or(0, |(i, _)| i);
        nodes.rotate_left(first);
        let mut names: Vec<&str> = nodes.into_iter().map(|at| &*self.nodes[at].name).collect();
        let first = names.first().copied().unwrap_or_default();
        if names.len() > MOST_NAMES {
            names.truncate(MOST_NAMES);
            names.push("..");
        }
        names.push(first);
        names.join(" → ")
    }

    /// Where the inputs of a node come from, and the nodes that it waits for.
    fn inputs(&self, node: &'a NodeDef, library: &Library<'a>, is_known: bool) -> Result<(Vec<Source>, Vec<usize>)> {
        let (mut sources, mut controls) = (Vec::with_capacity(node.input.len()), Vec::new());
        for (i, text) in node.input.iter().enumerate() {
            let wrong = |error: Error| {
                let message = format!("input {i} `{}`: {}", shown(text), error.message());
                Error::new(error.kind(), message).in_op(&node.op).within(&*node.name)
            };
            match text.strip_prefix('^') {
                Some(name) => controls.push(self.node(name).map_err(wrong)?),
                None if !controls.is_empty() => {
                    return Err(wrong(Error::invalid_argument(
                        "an input stands behind those that are only waited for",
                    )));
                }
                None => sources.push(match self.source(text, library) {
                    // What is unknown is said first.
                    Err(_) if !is_known => continue,
                    source => source.map_err(wrong)?,
                }),
            }
        }
        Ok((sources, controls))
    }

    /// The node of this name.
    fn node(&self, name: &str) -> Result<usize> {
        match self.places.get(name) {
            Some(Source::Node { node, .. }) => Ok(*node),
            Some(Source::Argument(_)) => {
                Err(Error::invalid_argument(format!("`{name}` is an argument, and never runs")))
            }
            None => Err(self.missing(name)),
        }
    }

    fn missing(&self, name: &str) -> Error {
        let near = near(name, self.places.keys().copied());
        Error::invalid_argument(format!("there is no node `{}`{near}", shown(name)))
    }

    /// What `name`, `name:2` or, in a function, `name:arg:2` stands for.
    pub fn source(&self, text: &str, library: &Library<'a>) -> Result<Source> {
        let mut parts = text.split(':');
        let (name, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let malformed = || Error::invalid_argument(format!("`{}` names no output", shown(text)));
        if parts.next().is_some() {
            return Err(malformed());
        }
        let place = *self.places.get(name).ok_or_else(|| self.missing(name))?;
        let number = |digits: &str| digits.parse::<usize>().map_err(|_| malformed());
        match (place, self.function, second, third) {
            (Source::Argument(_), _, None | Some("0"), None) => Ok(place),
            (Source::Node { node, .. }, None, None, None) => Ok(Source::Node { node, output: 0 }),
            (Source::Node { node, .. }, None, Some(output), None) => Ok(Source::Node { node, output: number(output)? }),
            (Source::Node { node, .. }, Some(_), Some(arg), Some(index)) => {
                let output = self.output(&self.nodes[node], arg, number(index)?, library)?;
                Ok(Source::Node { node, output })
            }
            _ => Err(malformed()),
        }
    }

    /// Which output of a node is `arg:index`.
    fn output(&self, node: &'a NodeDef, arg: &str, index: usize, library: &Library<'a>) -> Result<usize> {
        if let Some(function) = library.functions.get(&*node.op) {
            let outputs = function.signature.as_ref().map_or(&[][..], |signature| &signature.output_arg);
            let place = outputs.iter().position(|output| output.name == arg);
            return place.filter(|_| index == 0).ok_or_else(|| {
                let near = near(arg, outputs.iter().map(|output| &*output.name));
                Error::invalid_argument(format!("function `{}` has no result `{arg}:{index}`{near}", node.op))
            });
        }
        // An op that is not there is said with all the others.
        let Some(signature) = defs::signature(&node.op) else { return Ok(0) };
        // Enough to count with.
        let count = |AttrEntry { key, value }: &AttrEntry| {
            let attr = match value.as_ref()?.value.as_ref()? {
                Value::I(number) => Attr::Int(*number),
                Value::List(list) => Attr::List(vec![Attr::Int(0); list.r#type.len()]),
                _ => return None,
            };
            Some((key.clone(), attr))
        };
        let attrs = node.attr.iter().filter_map(count).fold(Attrs::new(), |attrs, (key, attr)| attrs.with(&key, attr));
        signature.output(arg, index, &attrs)
    }
}

impl Source {
    fn node(self) -> Option<usize> {
        match self {
            Source::Argument(_) => None,
            Source::Node { node, .. } => Some(node),
        }
    }
}

impl<'a> Unknown<'a> {
    pub fn add(&mut self, node: &'a NodeDef) {
        self.0.entry(&*node.op).or_default().push(&*node.name);
    }

    /// All at once: an error that names each op, the likeliest other one, and nodes of it.
    pub fn check(&self, library: &Library<'a>) -> Result<()> {
        const MOST: usize = 20;
        if self.0.is_empty() {
            return Ok(());
        }
        let one = |(op, nodes): (&&str, &Vec<&str>)| {
            let near = match DECIDING.contains(op) {
                true => String::new(),
                false => near(op, library.ops.keys().copied().chain(library.functions.keys().copied())),
            };
            let names: Vec<String> = nodes.iter().take(3).map(|name| format!("`{}`", shown(name))).collect();
            let more = if nodes.len() > 3 { format!(" and {} more", nodes.len() - 3) } else { String::new() };
            format!("`{}` of node {}{more}{near}", shown(op), names.join(", "))
        };
        let mut ops: Vec<String> = self.0.iter().take(MOST).map(one).collect();
        if self.0.len() > MOST {
            ops.push(format!("{} others", self.0.len() - MOST));
        }
        let mut message = format!("these ops are not there: {}", ops.join(", "));
        if self.0.keys().any(|op| DECIDING.contains(op)) {
            message.push_str(
                "; branches and loops of TensorFlow 1 are not read: `tf.compat.v1.enable_control_flow_v2()` before the graph is \
                 made has them be `If` and `While`",
            );
        }
        Err(Error::unimplemented(message))
    }
}

/// The beginning of a stranger's text.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

/// `; did you mean ..?` of the name that is nearest, of those that are worth the time.
pub(super) fn near<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return String::new();
    }
    let mut names: Vec<&str> = names.take(4096).filter(|name| name.len() <= LONGEST).collect();
    names.sort_unstable();
    match crate::nearest::nearest(name, names) {
        Some(other) => format!("; did you mean `{other}`?"),
        None => String::new(),
    }
}
