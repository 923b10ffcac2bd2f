//! From a graph to a plan.

use super::control::{Flow, Goes};
use super::idle::Idle;
use super::{Assigned, Giver, InPlace, Kind, Packs, Place, Plan, Room, Source, Step, Target};
use crate::function::lower::Lowered;
use crate::graph::{Edge, Graph, GraphNode, Kind as NodeKind};
use crate::ops::optimizer::UpdateStep;
use crate::shape::count;
use crate::tensor::{Layout, Payload, Plain, Storage, bytes_of};
use crate::{DType, Error, Result, Shape, Spec, Tensor, Variable};
use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A buffer before it is settled which memory it is.
struct Buffer {
    bytes: usize,
    /// The last step that reads or writes it; none if it lives until the end.
    last: Option<usize>,
    leaves: Option<Spec>,
}

#[derive(Default)]
struct Compiler {
    /// The layouts of inputs and of what is read.
    given: Vec<Layout>,
    read: Vec<Layout>,
    constants: Vec<Tensor>,
    steps: Vec<Step>,
    buffers: Vec<Buffer>,
    flows: Vec<Flow>,
    made: Vec<Spec>,
    /// Where each output of each node lies.
    places: Vec<Vec<Place>>,
}

impl Plan {
    /// The plan of a graph; its inputs and variables have wholly known specs. What it keeps of weights is in `packs`, for others
    /// of the same graph.
    pub(crate) fn new(lowered: Lowered, packs: &Packs) -> Result<Plan> {
        let Lowered { graph, read, written, inputs, outputs } = lowered;
        let specs = |from: usize, to: usize| -> Vec<Spec> {
            graph.inputs[from..to].iter().map(|&node| graph.nodes[node].specs[0].clone()).collect()
        };
        let (input_specs, read_specs) = (specs(0, inputs), specs(inputs, graph.inputs.len()));
        let in_place = updates(&graph.nodes, &graph.inputs[inputs..], &graph.outputs[outputs..], &read, &written);
        let update_nodes: HashSet<usize> = in_place.iter().map(|update| update.node).collect();
        let by_update = |node: usize| update_nodes.contains(&node);

        let layouts = |specs: &[Spec]| -> Vec<Layout> {
            specs.iter().map(|spec| Layout::contiguous(spec.shape.known().unwrap_or_default().to_vec())).collect()
        };
        let mut compiler = Compiler { given: layouts(&input_specs), read: layouts(&read_specs), ..Compiler::default() };
        let input_of: HashMap<usize, usize> = graph.inputs.iter().enumerate().map(|(i, &node)| (node, i)).collect();
        for (at, node) in graph.nodes.iter().enumerate() {
            let places = match &node.kind {
                NodeKind::Placeholder => {
                    let (source, layout) = match input_of.get(&at) {
                        Some(&input) if input < inputs => (Source::Given(input), compiler.given[input].clone()),
                        Some(&input) => (Source::Read(input - inputs), compiler.read[input - inputs].clone()),
                        None => return Err(Error::internal("every placeholder is an input")),
                    };
                    vec![Place::Static { source, dtype: node.specs[0].dtype, layout }]
                }
                NodeKind::Captured(value) => vec![compiler.constant(value)],
                NodeKind::Op(_) if by_update(at) => Vec::new(),
                NodeKind::Op(_) => compiler.call(node, &graph)?,
            };
            compiler.places.push(places);
        }

        // Several variables are locked in the order of their numbers.
        let mut changed: Vec<_> = written.to_vec();
        changed.sort_by_key(Variable::id);
        let numbers: HashMap<u64, usize> =
            changed.iter().enumerate().map(|(at, variable)| (variable.id(), at)).collect();
        let number = |variable: &Variable| numbers[&variable.id()];
        let results = graph.outputs[..outputs].iter();
        let results = results.map(|edge| compiler.leaving(edge, true)).collect::<Result<Vec<_>>>()?;
        let mut assigned = Vec::new();
        for (variable, edge) in written.iter().zip(&graph.outputs[outputs..]) {
            if by_update(edge.node) {
                continue;
            }
            let (value, spec) = (compiler.leaving(edge, false)?, graph.nodes[edge.node].specs[edge.output].clone());
            assigned.push(Assigned { variable: number(variable), value, spec });
        }
        let mut needed = HashSet::new();
        let updates = in_place.into_iter().map(|update| {
            let node = &graph.nodes[update.node];
            let mut place = |at: usize| {
                let edge = &node.inputs[at];
                let place = compiler.places[edge.node][edge.output].clone();
                if let Place::Static { source: Source::Memory(buffer), .. } = place {
                    needed.insert(buffer);
                }
                place
            };
            InPlace {
                step: update.step,
                variables: update.variables.iter().map(|&variable| number(&written[variable])).collect(),
                specs: node.specs.clone(),
                others: [place(1), place(2), place(3)],
            }
        });
        let mut updates: Vec<InPlace> = updates.collect();
        compiler.lifetimes(|buffer| needed.contains(&buffer));
        let memory = compiler.settle();
        let reads = updates.iter().flat_map(|update| &update.others).filter_map(|place| match place {
            Place::Static { source: Source::Read(read), .. } => Some(*read),
            _ => None,
        });
        let gives = results.iter().chain(assigned.iter().map(|assigned| &assigned.value));
        let gives = gives.filter_map(|giver| match giver {
            Giver::Source(Source::Read(read)) => Some(*read),
            _ => None,
        });
        let stays: HashSet<usize> = reads.chain(gives).collect();
        let is_changed = |at: usize| numbers.contains_key(&read[at].id());
        let released = (0..read.len()).filter(|at| is_changed(*at) && !stays.contains(at)).collect();
        let settled = |place: &mut Place| {
            if let Place::Static { source: Source::Memory(buffer), .. } = place {
                *buffer = memory.of[*buffer];
            }
        };
        updates.iter_mut().flat_map(|update| &mut update.others).for_each(settled);
        let giver = |giver: Giver| match giver {
            Giver::Source(Source::Memory(buffer)) => Giver::Source(Source::Memory(memory.of[buffer])),
            other => other,
        };
        for step in &mut compiler.steps {
            step.inputs.iter_mut().for_each(settled);
            step.outputs.iter_mut().for_each(|target| target.memory = memory.of[target.memory]);
        }
        assigned.iter_mut().for_each(|assigned| assigned.value = giver(assigned.value));
        let mut plan = Plan {
            released,
            given_specs: input_specs,
            flows: compiler.flows,
            read,
            read_specs,
            constants: compiler.constants,
            steps: compiler.steps,
            results: results.into_iter().map(giver).collect(),
            memory: memory.rooms,
            made_specs: compiler.made,
            changed,
            assigned,
            updates,
            kept: Vec::new(),
            idle: Idle::new(),
        };
        plan.keep_weights(packs);
        Ok(plan)
    }
}

/// A step of an optimizer that may be made where the variables are.
struct Update {
    node: usize,
    step: UpdateStep,
    /// Value and slots, as places among what is written.
    variables: Vec<usize>,
}

/// The steps of optimizers whose value and slots are what variables begin with, and whose results only these variables get.
fn updates(
    nodes: &[GraphNode],
    read_from: &[usize],
    finals: &[Edge],
    read: &[Variable],
    written: &[Variable],
) -> Vec<Update> {
    let mut uses: HashMap<Edge, usize> = HashMap::new();
    for edge in nodes.iter().flat_map(|node| &node.inputs).chain(finals) {
        *uses.entry(*edge).or_default() += 1;
    }
    let begins: HashMap<usize, u64> = read_from.iter().zip(read).map(|(&node, v)| (node, v.id())).collect();
    let ends: HashMap<Edge, usize> = finals.iter().enumerate().map(|(at, edge)| (*edge, at)).collect();
    let mut found = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let NodeKind::Op(op) = &node.kind else { continue };
        let Some(&step) = (&**op as &dyn Any).downcast_ref::<UpdateStep>() else { continue };
        let parts = [0].into_iter().chain(4..node.inputs.len());
        let matched = parts.enumerate().map(|(output, input)| {
            let edge = Edge { node: at, output };
            let end = *ends.get(&edge).filter(|_| uses[&edge] == 1)?;
            let begin = *begins.get(&node.inputs[input].node)?;
            (written[end].id() == begin).then_some(end)
        });
        if let Some(variables) = matched.collect::<Option<Vec<usize>>>() {
            found.push(Update { node: at, step, variables });
        }
    }
    found
}

fn is_plain(dtype: DType) -> bool {
    dtype.size() > 0
}

/// A tensor of this layout without elements: what an op sees that makes a view.
fn hollow(dtype: DType, layout: &Layout) -> Result<Tensor> {
    Ok(Tensor::value(dtype, layout.clone(), Arc::new(Storage::Plain(Plain::zeroed(0)?))))
}

impl Compiler {
    fn constant(&mut self, value: &Tensor) -> Place {
        self.constants.push(value.clone());
        let source = Source::Constant(self.constants.len() - 1);
        let layout = match value.payload() {
            Payload::Value(value) => value.layout.clone(),
            _ => Layout::contiguous(Vec::new()),
        };
        Place::Static { source, dtype: value.dtype(), layout }
    }

    fn buffer(&mut self, spec: &Spec) -> Result<usize> {
        let dims = spec.shape.known().unwrap_or_default();
        self.buffers.push(Buffer { bytes: bytes_of(spec.dtype, count(dims)?)?, last: None, leaves: None });
        Ok(self.buffers.len() - 1)
    }

    /// Where the outputs of a call lie: it is a view, a step into new buffers, or one that makes tensors.
    fn call(&mut self, node: &GraphNode, graph: &Graph) -> Result<Vec<Place>> {
        let NodeKind::Op(op) = &node.kind else { unreachable!("a call is of an op") };
        let inputs: Vec<Place> = node.inputs.iter().map(|edge| self.places[edge.node][edge.output].clone()).collect();
        let path = node.path.clone();
        let specs: Vec<&Spec> = node.inputs.iter().map(|edge| &graph.nodes[edge.node].specs[edge.output]).collect();
        if let Some(flow) = Flow::of(node, &specs) {
            return self.flow(node, flow, inputs);
        }
        let are_plain = inputs.iter().all(|place| match place {
            Place::Static { dtype, .. } => is_plain(*dtype),
            Place::Made(_) => true,
        });
        let is_static = are_plain
            && !op.always_makes()
            && node.specs.iter().all(|spec| spec.shape.is_known() && is_plain(spec.dtype));
        let view = if is_static { self.view(node, &inputs) } else { Err(()) };
        match view {
            Ok(Some(place)) => return Ok(vec![place]),
            Ok(None) => {}
            Err(()) => {
                let first = self.made.len();
                self.made.extend(node.specs.iter().cloned());
                let (kind, gives) = (Kind::Make(first), node.specs.len());
                self.steps.push(Step { op: op.clone(), kind, inputs, outputs: Vec::new(), gives, path });
                return Ok((first..self.made.len()).map(Place::Made).collect());
            }
        }
        let mut outputs = Vec::new();
        let mut places = Vec::new();
        for spec in &node.specs {
            let (target, place) = self.target(spec)?;
            outputs.push(target);
            places.push(place);
        }
        let (kind, gives) = (Kind::Run, node.specs.len());
        self.steps.push(Step { op: op.clone(), kind, inputs, outputs, gives, path });
        Ok(places)
    }

    /// Where the outputs of an op lie whose graphs are plans.
    fn flow(&mut self, node: &GraphNode, mut flow: Flow, inputs: Vec<Place>) -> Result<Vec<Place>> {
        let NodeKind::Op(op) = &node.kind else { unreachable!("a call is of an op") };
        let (mut outputs, mut places) = (Vec::new(), Vec::new());
        for (at, (spec, is_input)) in node.specs.iter().zip(Flow::invariant(node)).enumerate() {
            if is_input {
                flow.results.push(Goes::Nowhere);
                places.push(inputs[at].clone());
            } else if is_plain(spec.dtype) {
                let (target, place) = self.target(spec)?;
                flow.results.push(Goes::Output(outputs.len()));
                outputs.push(target);
                places.push(place);
            } else {
                flow.results.push(Goes::Made(self.made.len()));
                places.push(Place::Made(self.made.len()));
                self.made.push(spec.clone());
            }
        }
        let kind = Kind::Flow(self.flows.len());
        self.flows.push(flow);
        let (gives, path) = (node.specs.len(), node.path.clone());
        self.steps.push(Step { op: op.clone(), kind, inputs, outputs, gives, path });
        Ok(places)
    }

    /// A new buffer for a result, and the whole of it as a place.
    fn target(&mut self, spec: &Spec) -> Result<(Target, Place)> {
        let (memory, dims) = (self.buffer(spec)?, spec.shape.known().unwrap_or_default().to_vec());
        let (source, layout) = (Source::Memory(memory), Layout::contiguous(dims.clone()));
        let (dtype, bytes) = (spec.dtype, self.buffers[memory].bytes);
        Ok((Target { memory, dtype, dims, bytes }, Place::Static { source, dtype, layout }))
    }

    /// Where the output lies if it is a view of input 0; an error if that only shows when it runs.
    fn view(&self, node: &GraphNode, inputs: &[Place]) -> Result<Option<Place>, ()> {
        let (NodeKind::Op(op), [spec]) = (&node.kind, &*node.specs) else { return Ok(None) };
        if matches!(inputs.first(), Some(Place::Made(_))) {
            return Err(());
        }
        // Whoever looks at a value that is not known yet, is told so.
        let seen = inputs.iter().enumerate().map(|(at, place)| match place {
            Place::Static { source: Source::Constant(constant), .. } => Ok(self.constants[*constant].clone()),
            Place::Static { dtype, layout, .. } if at == 0 => hollow(*dtype, layout).map_err(|_| ()),
            Place::Static { dtype, layout, .. } => Ok(Tensor::placeholder(Spec::new(*dtype, &*layout.dims))),
            Place::Made(_) => Ok(Tensor::placeholder(Spec::new(DType::F32, Shape::unknown()))),
        });
        let seen = seen.collect::<Result<Vec<Tensor>, ()>>()?;
        let layout = op.view(&seen.iter().collect::<Vec<_>>(), spec).map_err(|_| ())?;
        match (layout, inputs.first()) {
            (Some(layout), Some(Place::Static { source, dtype: _, .. })) => {
                Ok(Some(Place::Static { source: *source, dtype: spec.dtype, layout }))
            }
            (Some(_), _) => Err(()),
            (None, _) => Ok(None),
        }
    }

    /// What a result is: a source as it is, or a tensor of its own that is filled. A buffer leaves once, so what does so again is
    /// copied; of what is given back, a handle may be given as often as one likes.
    fn leaving(&mut self, edge: &Edge, is_result: bool) -> Result<Giver> {
        let place = self.places[edge.node][edge.output].clone();
        let (source, dtype, layout) = match &place {
            Place::Made(at) => return Ok(Giver::Made(*at)),
            Place::Static { source, dtype, layout } => (*source, *dtype, layout),
        };
        let is_dense = layout.offset == 0 && layout.is_contiguous();
        let spec = Spec::new(dtype, &*layout.dims);
        match source {
            Source::Constant(at) => {
                let whole = matches!(self.constants[at].payload(), Payload::Value(value) if value.layout == *layout);
                if whole {
                    return Ok(Giver::Source(source));
                }
            }
            // Of an input or a variable only the dims are known: a view is of those in row-major order.
            Source::Given(at) if *layout == self.given[at] => return Ok(Giver::Source(source)),
            Source::Read(at) if *layout == self.read[at] => return Ok(Giver::Source(source)),
            Source::Given(_) | Source::Read(_) => {}
            Source::Memory(buffer) => {
                let whole = is_dense && self.buffers[buffer].bytes == bytes_of(dtype, layout.len())?;
                let free = self.buffers[buffer].leaves.is_none();
                if whole && free {
                    self.buffers[buffer].leaves = Some(spec);
                    return Ok(Giver::Source(source));
                }
                // The same tensor as another result.
                if whole && is_result && self.buffers[buffer].leaves.as_ref() == Some(&spec) {
                    return Ok(Giver::Source(source));
                }
            }
        }
        let memory = self.buffer(&spec)?;
        self.buffers[memory].leaves = Some(spec);
        let target = Target { memory, dtype, dims: layout.dims.clone(), bytes: self.buffers[memory].bytes };
        let op = Arc::new(crate::ops::array::Identity);
        self.steps.push(Step {
            op,
            kind: Kind::Copy,
            inputs: vec![place],
            outputs: vec![target],
            gives: 1,
            path: None,
        });
        Ok(Giver::Source(Source::Memory(memory)))
    }

    /// Finds out when each buffer is needed for the last time.
    fn lifetimes(&mut self, stays: impl Fn(usize) -> bool) {
        for (at, step) in self.steps.iter().enumerate() {
            let read = step.inputs.iter().filter_map(|place| match place {
                Place::Static { source: Source::Memory(buffer), .. } => Some(*buffer),
                _ => None,
            });
            for buffer in read.chain(step.outputs.iter().map(|target| target.memory)) {
                self.buffers[buffer].last = Some(at);
            }
        }
        for (at, buffer) in self.buffers.iter_mut().enumerate() {
            if buffer.leaves.is_some() || stays(at) {
                buffer.last = None;
            }
        }
    }

    /// Gives every buffer its memory, one after the other the same where their lifetimes allow, and lets outputs take the place
    /// of inputs that end.
    fn settle(&mut self) -> Settled {
        let mut rooms: Vec<Room> = Vec::new();
        let mut of = vec![usize::MAX; self.buffers.len()];
        let mut free = Free::default();
        for at in 0..self.steps.len() {
            let over = self.overwritten(at);
            let step = &mut self.steps[at];
            let mut kept = None;
            for (k, target) in step.outputs.iter().enumerate() {
                let buffer = &self.buffers[target.memory];
                of[target.memory] = match (over, &buffer.leaves) {
                    (Some((_, taken)), None) if k == 0 => {
                        kept = Some(taken);
                        of[taken]
                    }
                    (_, Some(spec)) => {
                        rooms.push(Room { bytes: buffer.bytes, leaves: Some(spec.clone()) });
                        rooms.len() - 1
                    }
                    _ => free.take(&mut rooms, buffer.bytes),
                };
            }
            if let (Some((input, _)), Some(_)) = (over, kept) {
                step.kind = Kind::Over(input);
            }
            let read = step.inputs.iter().filter_map(|place| match place {
                Place::Static { source: Source::Memory(buffer), .. } => Some(*buffer),
                _ => None,
            });
            let mut ended: Vec<usize> = read
                .chain(step.outputs.iter().map(|target| target.memory))
                .filter(|&buffer| self.buffers[buffer].last == Some(at) && Some(buffer) != kept)
                .collect();
            ended.sort_unstable();
            ended.dedup();
            ended.into_iter().for_each(|buffer| free.give(&rooms, of[buffer]));
        }
        Settled { rooms, of }
    }

    /// The input, and its buffer, whose place the one output of this step may take.
    fn overwritten(&self, at: usize) -> Option<(usize, usize)> {
        let step = &self.steps[at];
        let ([target], Kind::Run) = (&*step.outputs, step.kind) else { return None };
        let buffer_of = |place: &Place| match place {
            Place::Static { source: Source::Memory(buffer), .. } => Some(*buffer),
            _ => None,
        };
        step.op.overwrites().iter().find_map(|&input| {
            let place = step.inputs.get(input)?;
            let Place::Static { source: Source::Memory(buffer), dtype, layout } = place else { return None };
            let once = step.inputs.iter().filter(|place| buffer_of(place) == Some(*buffer)).count() == 1;
            let whole = layout.offset == 0 && layout.is_contiguous() && layout.dims == target.dims;
            let same = *dtype == target.dtype && self.buffers[*buffer].bytes == self.buffers[target.memory].bytes;
            let ends = self.buffers[*buffer].last == Some(at) && self.buffers[*buffer].leaves.is_none();
            let all_static = step.inputs.iter().all(|place| matches!(place, Place::Static { .. }));
            (once && whole && same && ends && all_static).then_some((input, *buffer))
        })
    }
}

/// Which memory each buffer is.
struct Settled {
    rooms: Vec<Room>,
    of: Vec<usize>,
}

/// Memory that nothing needs any more, by its size.
#[derive(Default)]
struct Free(BTreeMap<usize, Vec<usize>>);

impl Free {
    fn give(&mut self, rooms: &[Room], room: usize) {
        self.0.entry(rooms[room].bytes).or_default().push(room);
    }

    /// The smallest that is large enough, else the largest made larger, else new memory; of whole elements of any dtype.
    fn take(&mut self, rooms: &mut Vec<Room>, bytes: usize) -> usize {
        let bytes = bytes.next_multiple_of(size_of::<u128>());
        let fits = self.0.range(bytes..).next().or_else(|| self.0.last_key_value()).map(|(&size, _)| size);
        let found = fits.and_then(|size| {
            let of_size = self.0.get_mut(&size)?;
            let room = of_size.pop();
            if of_size.is_empty() {
                self.0.remove(&size);
            }
            room
        });
        match found {
            Some(room) => {
                rooms[room].bytes = rooms[room].bytes.max(bytes);
                room
            }
            None => {
                rooms.push(Room { bytes, leaves: None });
                rooms.len() - 1
            }
        }
    }
}
