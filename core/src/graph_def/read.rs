//! A graph out of the nodes of a file.

use super::bodies::{self, callees, is_apart};
use super::plan::{Body, Library, Plan, Source, Unknown, near, shown};
use super::{attrs, constant, defs};
use crate::graph::{Edge, Graph, GraphNode, Kind};
use crate::op::{Attr, Attrs, Effect, Input, Op, dispatch};
use crate::tape::Source as _;
use crate::{DType, Error, Result, Shape, Spec, Tensor, Variable};
use modulor_wire::graph::{ArgDef, AttrEntry, FunctionDef, GraphDef, NodeDef, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How deep functions may call each other.
const MOST_CALLS: usize = 64;

/// How many nodes may come out of a file beside those that stand in it: functions stand once, and are called as often as they
/// like.
const MOST_INLINED: usize = 1_000_000;

/// A call counts as so many nodes.
const COST_OF_CALL: usize = 16;

/// What is computed while reading is of no more elements than this; it is a shape, mostly.
const MOST_FOLDED: usize = 1 << 16;

/// A caller's variables.
pub(super) type Variables<'a> = &'a mut dyn FnMut(&str, &Spec) -> Option<Variable>;

/// A tensor that a node takes: known, or computed by the graph.
#[derive(Clone)]
pub(super) enum Held {
    Value(Tensor),
    Edge(Edge),
}

/// The attributes that a function was called with.
pub(super) type Given<'a> = BTreeMap<&'a str, &'a Value>;

/// A call under way.
pub(super) struct Frame<'f, 'a> {
    body: &'f Body<'a>,
    plan: &'f Plan,
    /// The name of the function.
    function: Option<&'a str>,
    arguments: Vec<Held>,
    pub given: Given<'a>,
    /// What stands before the names of its nodes.
    prefix: String,
    /// What the caller feeds.
    feeds: HashMap<usize, Held>,
}

/// A function that is called, ready to run.
struct Callable<'a> {
    body: Body<'a>,
    plan: Plan,
    function: &'a FunctionDef,
}

pub(super) struct Reader<'a> {
    pub library: Library<'a>,
    callables: HashMap<&'a str, Arc<Callable<'a>>>,
    variables: Variables<'a>,
    /// Handles by their names.
    handles: HashMap<String, Tensor>,
    /// Constants by where their nodes are: a function that is called twice has them once.
    constants: HashMap<*const NodeDef, Tensor>,
    /// Where a value has become a node, by its number.
    pub captured: HashMap<u64, usize>,
    /// The last path that was made.
    path: Option<Arc<str>>,
    /// The functions under way, the outermost first.
    calls: Vec<&'a str>,
    budget: usize,
    left: usize,
    pub graph: Graph,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a GraphDef, library: Library<'a>, variables: Variables<'a>) -> Reader<'a> {
        Reader {
            library,
            callables: HashMap::new(),
            variables,
            handles: HashMap::new(),
            constants: HashMap::new(),
            captured: HashMap::new(),
            path: None,
            calls: Vec::new(),
            budget: constant::MOST_REPEATED,
            left: file.node.len().saturating_add(MOST_INLINED),
            graph: Graph { nodes: Vec::new(), inputs: Vec::new(), outputs: Vec::new() },
        }
    }

    /// The graph from these inputs to these outputs.
    pub fn read(mut self, file: &'a GraphDef, inputs: &[&str], outputs: &[&str]) -> Result<Graph> {
        let body = Body::main(&file.node)?;
        let named = |text: &str, error: Error| {
            Error::new(error.kind(), format!("`{}`, which was asked for: {}", shown(text), error.message()))
        };
        let mut feeds = HashMap::new();
        for &text in inputs {
            let node = match body.source(text, &self.library).map_err(|error| named(text, error))? {
                Source::Node { node, output: 0 } => node,
                _ => {
                    return Err(Error::invalid_argument(format!(
                        "`{text}` cannot be fed: a placeholder has one output"
                    )));
                }
            };
            let def = &body.nodes[node];
            if !matches!(&*def.op, "Placeholder" | "PlaceholderWithDefault") {
                let message = format!("`{text}` is an output of `{}`, and a placeholder can be fed", shown(&def.op));
                return Err(Error::invalid_argument(message));
            }
            let spec = self.placeholder(def).map_err(|error| error.in_op(&def.op).within(&*def.name))?;
            let edge = Edge { node: self.graph.nodes.len(), output: 0 };
            self.graph.inputs.push(edge.node);
            self.graph.nodes.push(GraphNode::placeholder(spec));
            if feeds.insert(node, Held::Edge(edge)).is_some() {
                return Err(Error::invalid_argument(format!("two inputs are `{text}`")));
            }
        }
        let controls: Vec<&str> = outputs.iter().filter_map(|text| text.strip_prefix('^')).collect();
        let results: Vec<&str> = outputs.iter().copied().filter(|text| !text.starts_with('^')).collect();
        for text in &results {
            body.source(text, &self.library).map_err(|error| named(text, error))?;
        }
        let mut unknown = Unknown::default();
        let plan = body.plan(&results, &controls, &self.library, &mut unknown)?;
        self.callees(&body, &plan, &mut unknown)?;
        unknown.check(&self.library)?;
        let frame = Frame {
            body: &body,
            plan: &plan,
            function: None,
            arguments: Vec::new(),
            given: Given::new(),
            prefix: String::new(),
            feeds,
        };
        for held in self.run(&frame)? {
            let edge = self.edge(&held);
            self.graph.outputs.push(edge);
        }
        Ok(self.graph.without_unused())
    }

    /// Plans every function that a plan calls, and those that they call.
    fn callees(&mut self, body: &Body<'a>, plan: &Plan, unknown: &mut Unknown<'a>) -> Result<()> {
        let called = |library: &Library<'a>, body: &Body<'a>, plan: &Plan| {
            let mut names = Vec::new();
            for step in &plan.steps {
                let node = &body.nodes[step.node];
                let called = callees(node, library).map_err(|error| error.in_op(&node.op).within(&*node.name))?;
                names.extend(called.into_iter().map(|callee| callee.name));
            }
            Ok::<_, Error>(names)
        };
        let mut pending = called(&self.library, body, plan)?;
        while let Some(name) = pending.pop() {
            let Some(&function) = self.library.functions.get(name) else { continue };
            if self.callables.contains_key(name) {
                continue;
            }
            let within = |error: Error| error.within(format!("function `{}`", shown(name)));
            let body = Body::function(function).map_err(within)?;
            let ret: HashMap<&str, &str> = function.ret.iter().map(|entry| (&*entry.key, &*entry.value)).collect();
            let outputs = function.signature.as_ref().map_or(&[][..], |signature| &signature.output_arg);
            let result = |name: &'a str| {
                ret.get(name)
                    .copied()
                    .ok_or_else(|| within(Error::invalid_argument(format!("nothing says what the result `{name}` is"))))
            };
            let results = outputs.iter().map(|output| result(&output.name)).collect::<Result<Vec<_>>>()?;
            let controls: Vec<&str> = function.control_ret.iter().map(|entry| &*entry.value).collect();
            let plan = body.plan(&results, &controls, &self.library, unknown).map_err(within)?;
            pending.extend(called(&self.library, &body, &plan).map_err(within)?);
            self.callables.insert(name, Arc::new(Callable { body, plan, function }));
        }
        Ok(())
    }

    /// Does what a body says; its results.
    fn run(&mut self, frame: &Frame<'_, 'a>) -> Result<Vec<Held>> {
        let mut values: Vec<Vec<Held>> = vec![Vec::new(); frame.body.nodes.len()];
        for step in &frame.plan.steps {
            let node = &frame.body.nodes[step.node];
            let outputs = match frame.feeds.get(&step.node) {
                Some(fed) => Ok(vec![fed.clone()]),
                None => self.step(frame, step.inputs.iter(), node, &values),
            };
            values[step.node] = outputs.map_err(|error| match error.path().is_empty() {
                true => {
                    let error = error.in_op(&shown(&node.op)).within(format!("{}{}", frame.prefix, shown(&node.name)));
                    bodies::within(error, frame.function)
                }
                false => error,
            })?;
        }
        let result =
            |source| held(frame, &values, source).map_err(|why| Error::invalid_argument(format!("a result: {why}")));
        frame.plan.results.iter().map(result).collect()
    }

    /// Does what one node says; its outputs.
    fn step<'s>(
        &mut self,
        frame: &Frame<'_, 'a>,
        sources: impl Iterator<Item = &'s Source>,
        node: &'a NodeDef,
        values: &[Vec<Held>],
    ) -> Result<Vec<Held>> {
        self.spend(1)?;
        let input = |(i, source)| {
            let text = node.input.get(i).map_or("", String::as_str);
            held(frame, values, source)
                .map_err(|why| Error::invalid_argument(format!("input {i} `{}`: {why}", shown(text))))
        };
        let inputs = sources.enumerate().map(input).collect::<Result<Vec<Held>>>()?;
        match &*node.op {
            "NoOp" => Ok(Vec::new()),
            "Const" => Ok(vec![Held::Value(self.constant(node, &frame.given)?)]),
            "VarHandleOp" => Ok(vec![Held::Value(self.handle(node, &frame.given)?)]),
            "Placeholder" => Err(Error::invalid_argument("is needed, and is none of the inputs that are fed")),
            "Identity" | "IdentityN" | "PlaceholderWithDefault" => {
                self.attributes(node, &inputs, &frame.given)?;
                Ok(inputs)
            }
            "PartitionedCall" | "StatefulPartitionedCall" if !is_apart(node) => {
                let all = self.attributes(node, &inputs, &frame.given)?;
                let outputs = self.calls(frame, node, inputs)?;
                self.check_results(node, &outputs, &all)?;
                Ok(outputs)
            }
            "If"
            | "StatelessIf"
            | "Case"
            | "StatelessCase"
            | "While"
            | "StatelessWhile"
            | "PartitionedCall"
            | "StatefulPartitionedCall" => self.with_bodies(frame, node, inputs),
            op if self.library.functions.contains_key(op) => self.calls(frame, node, inputs),
            _ => self.op(frame, node, inputs),
        }
    }

    /// Counts nodes that come out of the file.
    fn spend(&mut self, nodes: usize) -> Result<()> {
        self.left = self.left.checked_sub(nodes).ok_or_else(|| {
            Error::resource_exhausted(format!("functions call each other to more than {MOST_INLINED} nodes"))
        })?;
        Ok(())
    }

    /// What the one function says that a node calls.
    fn calls(&mut self, frame: &Frame<'_, 'a>, node: &'a NodeDef, inputs: Vec<Held>) -> Result<Vec<Held>> {
        let called = callees(node, &self.library)?;
        let called = called.first().ok_or_else(|| Error::internal("a call is of a function"))?;
        self.call(frame, node, called, inputs)
    }

    fn op(&mut self, frame: &Frame<'_, 'a>, node: &'a NodeDef, inputs: Vec<Held>) -> Result<Vec<Held>> {
        let all = self.attributes(node, &inputs, &frame.given)?;
        let Some(def) = self.library.ops.get(&*node.op) else {
            return Err(Error::unimplemented(format!("no op `{}`", node.op)));
        };
        let op = (def.parse)(&all)?;
        let seen: Vec<Input> = inputs.iter().map(|held| self.input(held)).collect();
        let specs = op.infer(&seen)?;
        specs
            .iter()
            .filter_map(|spec| spec.shape.known())
            .try_for_each(|dims| crate::shape::count(dims).map(|_| ()))?;
        if let Some(signature) = defs::signature(&node.op) {
            signature.check_outputs(&specs.iter().map(|spec| spec.dtype).collect::<Vec<_>>(), &all)?;
        }
        // A list is made where the file makes it.
        let is_small = |spec: &Spec| spec.dtype.has_elements() && count_of(spec) <= MOST_FOLDED;
        if op.effect() == Effect::Pure && seen.iter().all(|input| input.value.is_some()) && specs.iter().all(is_small) {
            let values: Vec<&Tensor> = seen.iter().filter_map(|input| input.value).collect();
            return Ok(dispatch(op, &values)?.into_iter().map(Held::Value).collect());
        }
        if let Some(known) = op.known(&seen) {
            return Ok(known.into_iter().map(Held::Value).collect());
        }
        Ok(self.push(frame, node, op, &inputs, specs))
    }

    /// What an op sees of a tensor; a large value is looked at by nothing.
    pub fn input<'s>(&'s self, held: &'s Held) -> Input<'s> {
        let value = match held {
            Held::Value(value) => Some(value).filter(|value| count_of(value.spec()) <= MOST_FOLDED),
            Held::Edge(_) => None,
        };
        Input { spec: self.spec(held), value }
    }

    /// One more node of the graph; its outputs.
    pub fn push(
        &mut self,
        frame: &Frame<'_, 'a>,
        node: &NodeDef,
        op: Arc<dyn Op>,
        inputs: &[Held],
        specs: Vec<Spec>,
    ) -> Vec<Held> {
        let inputs = inputs.iter().map(|held| self.edge(held)).collect();
        let (at, count) = (self.graph.nodes.len(), specs.len());
        let path = self.path(&frame.prefix, &node.name);
        self.graph.nodes.push(GraphNode { kind: Kind::Op(op), inputs, specs, path });
        (0..count).map(|output| Held::Edge(Edge { node: at, output })).collect()
    }

    /// What surrounds a node: its name without the last part.
    fn path(&mut self, prefix: &str, name: &str) -> Option<Arc<str>> {
        let (own, _) = name.rsplit_once('/').unwrap_or_default();
        let path = format!("{prefix}{own}");
        let path = path.trim_end_matches('/');
        if self.path.as_deref() != Some(path) {
            self.path = if path.is_empty() { None } else { Some(Arc::from(path)) };
        }
        self.path.clone()
    }

    pub fn spec<'s>(&'s self, held: &'s Held) -> &'s Spec {
        match held {
            Held::Value(value) => value.spec(),
            Held::Edge(edge) => &self.graph.nodes[edge.node].specs[edge.output],
        }
    }

    /// Where a tensor comes from in the graph, which a value becomes a node of.
    pub fn edge(&mut self, held: &Held) -> Edge {
        match held {
            Held::Edge(edge) => *edge,
            Held::Value(value) => {
                let next = self.graph.nodes.len();
                let node = *self.captured.entry(value.id()).or_insert(next);
                if node == next {
                    let (kind, specs) = (Kind::Captured(value.clone()), vec![value.spec().clone()]);
                    self.graph.nodes.push(GraphNode { kind, inputs: Vec::new(), specs, path: None });
                }
                Edge { node, output: 0 }
            }
        }
    }

    /// All attributes of a node, of the kinds and with the defaults that TensorFlow's registry says, and such as its inputs
    /// have to have.
    pub fn attributes(&self, node: &'a NodeDef, inputs: &[Held], given: &Given<'a>) -> Result<Attrs> {
        let Some(signature) = defs::signature(&node.op) else {
            return Err(Error::unimplemented(format!("no op `{}`", node.op)));
        };
        let mut all = Attrs::new();
        for AttrEntry { key, .. } in node.attr.iter().filter(|entry| !entry.key.starts_with('_')) {
            let Some(def) = signature.attrs().iter().find(|def| def.name == key) else {
                let near = near(key, signature.attrs().iter().map(|def| def.name));
                return Err(Error::invalid_argument(format!("there is no attribute `{}`{near}", shown(key))));
            };
            let value = value(node, key, given)?;
            // How to run a call, in bytes, is TensorFlow's alone.
            if matches!(def.kind, "func" | "list(func)" | "tensor") || def.name == "config_proto" {
                continue;
            }
            let wrong = |error: Error| Error::new(error.kind(), format!("attribute `{key}` {}", error.message()));
            all = all.with(key, attrs::from_value(def.kind, value).map_err(wrong)?);
        }
        for def in signature.attrs() {
            match (all.get(def.name), &def.default) {
                (None, Some(default)) => all = all.with(def.name, default.clone()),
                (None, None) if !node.attr.iter().any(|entry| entry.key == def.name) => {
                    return Err(Error::invalid_argument(format!(
                        "attribute `{}`, of kind {}, is missing",
                        def.name, def.kind
                    )));
                }
                _ => {}
            }
        }
        let dtypes: Vec<DType> = inputs.iter().map(|held| self.spec(held).dtype).collect();
        for (name, found) in signature.derive(&dtypes, &all)?.iter() {
            if let Some(said) = all.get(name).filter(|said| *said != found) {
                let message = format!("attribute `{name}` is {said:?}, and the inputs have {found:?}");
                return Err(Error::invalid_argument(message));
            }
        }
        Ok(all)
    }

    fn constant(&mut self, node: &'a NodeDef, given: &Given<'a>) -> Result<Tensor> {
        if let Some(known) = self.constants.get(&std::ptr::from_ref(node)) {
            return Ok(known.clone());
        }
        let all = self.attributes(node, &[], given)?;
        let tensor = match value(node, "value", given)? {
            Value::Tensor(bytes) => constant::from_bytes(bytes, &mut self.budget)?,
            other => {
                let message = format!("attribute `value` takes a tensor, found {}", attrs::found(other));
                return Err(Error::invalid_argument(message));
            }
        };
        let said = all.dtype("dtype", None)?;
        if said != tensor.dtype() {
            let message = format!("attribute `dtype` is {said}, and the tensor is {}", tensor.spec());
            return Err(Error::invalid_argument(message));
        }
        self.constants.insert(node, tensor.clone());
        Ok(tensor)
    }

    /// The spec of what is fed.
    fn placeholder(&self, node: &'a NodeDef) -> Result<Spec> {
        let text = |name: &str| value(node, name, &Given::new());
        let Attr::Type(dtype) = attrs::from_value("type", text("dtype")?)? else {
            return Err(Error::internal("a dtype is a dtype"));
        };
        let shape = match node.attr.iter().any(|entry| entry.key == "shape") {
            true => attrs::from_value("shape", text("shape")?)?,
            false => Attr::Shape(Shape::unknown()),
        };
        let Attr::Shape(shape) = shape else { return Err(Error::internal("a shape is a shape")) };
        Ok(Spec { dtype, shape })
    }

    /// The handle of the caller's variable.
    fn handle(&mut self, node: &'a NodeDef, given: &Given<'a>) -> Result<Tensor> {
        let all = self.attributes(node, &[], given)?;
        let declared = Spec::new(all.dtype("dtype", None)?, all.shape("shape", None)?);
        let shared = all.string("shared_name", String::new())?;
        let name = if shared.is_empty() { node.name.clone() } else { shared };
        if !self.handles.contains_key(&name) {
            let Some(variable) = (self.variables)(&name, &declared) else {
                return Err(Error::not_found(format!("variable `{}`, {declared}, was not given", shown(&name))));
            };
            self.handles.insert(name.clone(), variable.watched().clone());
        }
        let handle = self.handles[&name].clone();
        let held = handle.as_resource()?.spec()?;
        if held.dtype != declared.dtype || !held.shape.is_compatible_with(&declared.shape) {
            let message = format!("variable `{}` is {declared} here, and {held} was given", shown(&name));
            return Err(Error::invalid_argument(message));
        }
        Ok(handle)
    }

    /// A function's body in the place of its call.
    pub fn call(
        &mut self,
        frame: &Frame<'_, 'a>,
        node: &'a NodeDef,
        function: &bodies::Callee<'a>,
        arguments: Vec<Held>,
    ) -> Result<Vec<Held>> {
        let (name, attr) = (function.name, function.attr);
        let Some(callee) = self.callables.get(name).cloned() else {
            let near = near(name, self.library.functions.keys().copied());
            return Err(Error::not_found(format!("there is no function `{}`{near}", shown(name))));
        };
        if let Some(first) = self.calls.iter().position(|&other| other == name) {
            let calls: Vec<String> = self.calls[first..].iter().chain([&name]).map(|name| shown(name)).collect();
            return Err(Error::invalid_argument(format!("a function calls itself: {}", calls.join(" → "))));
        }
        if self.calls.len() >= MOST_CALLS {
            let message = format!("functions call each other more than {MOST_CALLS} deep");
            return Err(Error::resource_exhausted(message));
        }
        self.spend(COST_OF_CALL)?;
        let mut given = Given::new();
        for AttrEntry { key, .. } in attr {
            given.insert(key, entry(attr, key, &frame.given)?);
        }
        let signature = callee.function.signature.as_deref();
        let (takes, gives) = signature.map_or((&[][..], &[][..]), |of| (&of.input_arg[..], &of.output_arg[..]));
        if arguments.len() != takes.len() {
            let (found, wanted) = (arguments.len(), takes.len());
            let message = format!("function `{}` takes {wanted} arguments, and {found} were given", shown(name));
            return Err(Error::invalid_argument(message));
        }
        let check = |arg: &ArgDef, found: DType, what: &str| {
            if !arg.number_attr.is_empty() || !arg.type_list_attr.is_empty() {
                return Err(Error::unimplemented(format!("`{}`, {what} of `{name}`, is several tensors", arg.name)));
            }
            let wanted = match given.get(&*arg.type_attr) {
                Some(Value::Type(number)) => *number,
                _ => arg.r#type,
            };
            match wanted == found.number() {
                true => Ok(()),
                false => {
                    let wanted =
                        attrs::dtype(wanted).map_or_else(|error| error.message().to_owned(), |d| d.to_string());
                    let message = format!("`{}`, {what} of `{}`, is {wanted}, found {found}", arg.name, shown(name));
                    Err(Error::invalid_argument(message))
                }
            }
        };
        for (arg, argument) in takes.iter().zip(&arguments) {
            check(arg, self.spec(argument).dtype, "an argument")?;
        }
        let inner = Frame {
            body: &callee.body,
            plan: &callee.plan,
            function: Some(name),
            arguments,
            given: given.clone(),
            prefix: format!("{}{}/{}", frame.prefix, shown(&node.name), function.part),
            feeds: HashMap::new(),
        };
        self.calls.push(name);
        let results = self.run(&inner);
        self.calls.pop();
        let results = results?;
        for (arg, result) in gives.iter().zip(&results) {
            check(arg, self.spec(result).dtype, "a result")?;
        }
        Ok(results)
    }

    /// Whether a call gives what its node says.
    pub fn check_results(&self, node: &NodeDef, results: &[Held], all: &Attrs) -> Result<()> {
        let dtypes: Vec<DType> = results.iter().map(|held| self.spec(held).dtype).collect();
        let found = Attr::List(dtypes.into_iter().map(Attr::Type).collect());
        match all.get("Tout") {
            Some(said) if *said != found => Err(Error::invalid_argument(format!(
                "attribute `Tout` is {said:?}, and `{}` gives {found:?}",
                node.name
            ))),
            _ => Ok(()),
        }
    }
}

/// The value of an attribute; of one that stands for the caller's, that one.
pub(super) fn value<'a>(node: &'a NodeDef, name: &str, given: &Given<'a>) -> Result<&'a Value> {
    entry(&node.attr, name, given)
}

fn entry<'a>(attr: &'a [AttrEntry], name: &str, given: &Given<'a>) -> Result<&'a Value> {
    let mut entries = attr.iter().filter(|entry| entry.key == name);
    let (first, second) = (entries.next(), entries.next());
    if second.is_some() {
        return Err(Error::invalid_argument(format!("attribute `{}` is there twice", shown(name))));
    }
    match first.and_then(|entry| entry.value.as_ref()?.value.as_ref()) {
        Some(Value::Placeholder(outer)) => given.get(&**outer).copied().ok_or_else(|| {
            let message = format!(
                "attribute `{}` is what the caller says of `{}`, and it says nothing",
                shown(name),
                shown(outer)
            );
            Error::invalid_argument(message)
        }),
        Some(value) => Ok(value),
        None if first.is_some() => Err(Error::invalid_argument(format!("attribute `{}` has no value", shown(name)))),
        None => Err(Error::invalid_argument(format!("attribute `{}` is missing", shown(name)))),
    }
}

/// How many elements there are; as many as can be where that is not known.
fn count_of(spec: &Spec) -> usize {
    spec.shape.elements().unwrap_or(usize::MAX)
}

/// What a source holds, or why there is nothing.
fn held(frame: &Frame, values: &[Vec<Held>], source: &Source) -> Result<Held, String> {
    match *source {
        Source::Argument(argument) => {
            frame.arguments.get(argument).cloned().ok_or_else(|| format!("there is no argument {argument}"))
        }
        Source::Node { node, output } => values[node].get(output).cloned().ok_or_else(|| {
            let def = &frame.body.nodes[node];
            format!("`{}`, {}, has {} outputs", shown(&def.name), shown(&def.op), values[node].len())
        }),
    }
}
