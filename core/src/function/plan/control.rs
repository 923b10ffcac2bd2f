//! Branches, loops, calls and parts side by side in a plan: their graphs are plans of their own, whose buffers are used again
//! from one iteration to the next.

use super::{Memory, Packs, Place, Plan, Source, Step, Workspace};
use crate::flow::{Control, chosen, spend};
use crate::function::lower::Lowered;
use crate::graph::pass::{Beside, optimized};
use crate::graph::{Graph, GraphNode, Kind as NodeKind};
use crate::op::{Op, View, ViewMut, is_profiled};
use crate::shape::same;
use crate::tensor::{Payload, Plain};
use crate::{DType, Error, Result, Spec, Tensor};
use modulor_kernels::{num_threads, run_parts};
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// An op that runs graphs.
pub(super) struct Flow {
    op: Arc<dyn Op>,
    is_loop: bool,
    /// Whether all plans are run, at the same time.
    is_beside: bool,
    /// The condition and the body of a loop, the branches, what is called, or the parts.
    plans: Vec<Plan>,
    /// Where each result goes.
    pub results: Vec<Goes>,
}

/// Where a result goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goes {
    /// It is an input, and nowhere else.
    Nowhere,
    /// Into this output of the step.
    Output(usize),
    /// It is this one of the tensors that are made.
    Made(usize),
}

/// What one run of such an op needs.
#[derive(Default)]
pub(super) struct Inner {
    /// Copies of inputs that lie in buffers.
    own: Vec<Option<Tensor>>,
    state: Vec<Tensor>,
    next: Vec<Tensor>,
    spaces: Vec<Workspace>,
    parts: Vec<Mutex<Part>>,
}

/// What a part needs that is run beside others.
#[derive(Default)]
struct Part {
    space: Workspace,
    outputs: Vec<Tensor>,
    error: Option<Error>,
}

/// The most threads that run parts.
const THREADS: usize = 64;

impl Flow {
    /// The op of a node, if its graphs can be plans: each value in them is of one shape every time, or a list.
    pub fn of(node: &GraphNode, inputs: &[&Spec]) -> Option<Flow> {
        let NodeKind::Op(op) = &node.kind else { return None };
        if let Some(beside) = (&**op as &dyn Any).downcast_ref::<Beside>() {
            // They have gone through the passes.
            let plans = beside.parts.iter().map(|part| plan(Graph::clone(part))).collect::<Option<Vec<Plan>>>()?;
            return Some(Flow { op: op.clone(), is_loop: false, is_beside: true, plans, results: Vec::new() });
        }
        let control = Control::of(&**op)?;
        let graphs: Vec<&Graph> = match control {
            Control::Repeat { condition, body } => vec![condition, body],
            Control::Choose(branches) => branches.iter().map(|branch| &**branch).collect(),
            Control::Call(body) => vec![body],
        };
        let is_fixed = |spec: &Spec| spec.dtype == DType::Variant || spec.dtype.size() > 0 && spec.shape.is_known();
        let is_fit = |graph: &Graph| {
            let specs = graph.nodes.iter().flat_map(|node| &node.specs);
            graph.inputs().chain(graph.outputs()).all(is_fixed)
                && !specs.into_iter().any(|spec| spec.dtype == DType::Resource)
                && !graph.effects().any(|effect| effect.is_ordered())
        };
        if !graphs.iter().all(|graph| is_fit(graph)) || !inputs.iter().copied().chain(&node.specs).all(is_fixed) {
            return None;
        }
        let plans = graphs.iter().map(|&graph| plan(optimized(graph.clone()))).collect::<Option<Vec<Plan>>>()?;
        let is_loop = matches!(control, Control::Repeat { .. });
        Some(Flow { op: op.clone(), is_loop, is_beside: false, plans, results: Vec::new() })
    }

    /// Which results of a loop are inputs that its body gives out as they came in.
    pub fn invariant(node: &GraphNode) -> Vec<bool> {
        let NodeKind::Op(op) = &node.kind else { return Vec::new() };
        match Control::of(&**op) {
            Some(Control::Repeat { body, .. }) => {
                body.outputs.iter().zip(&body.inputs).map(|(edge, &input)| edge.node == input).collect()
            }
            _ => vec![false; node.specs.len()],
        }
    }

    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// Whether one of the plans is run, which a value chooses.
    pub fn chooses(&self) -> bool {
        Control::of(&*self.op).is_some_and(|op| op.is_choice())
    }
}

impl Plan {
    /// Makes a step of an op that runs graphs.
    pub(super) fn flow(&self, step: &Step, at: usize, workspace: &mut Workspace, inputs: &[Tensor]) -> Result<()> {
        workspace.inner.resize_with(self.flows.len(), Inner::default);
        let mut inner = std::mem::take(&mut workspace.inner[at]);
        let flow = &self.flows[at];
        let outcome = self
            .enter(step, &mut inner, workspace, inputs)
            .and_then(|()| flow.run(&mut inner))
            .and_then(|()| self.leave(step, flow, &inner, workspace));
        inner.state.clear();
        inner.next.clear();
        inner.spaces.iter_mut().for_each(Workspace::release);
        workspace.inner[at] = inner;
        outcome
    }

    /// The inputs as tensors.
    fn enter(&self, step: &Step, inner: &mut Inner, workspace: &Workspace, inputs: &[Tensor]) -> Result<()> {
        inner.own.resize_with(step.inputs.len(), || None);
        for (place, own) in step.inputs.iter().zip(&mut inner.own) {
            inner.state.push(self.handed(place, own, workspace, inputs)?);
        }
        Ok(())
    }

    /// A value as a tensor: the handle that there is, or a copy, for which there is room in `own`.
    fn handed(
        &self,
        place: &Place,
        own: &mut Option<Tensor>,
        workspace: &Workspace,
        inputs: &[Tensor],
    ) -> Result<Tensor> {
        let Place::Static { source, dtype, layout } = place else {
            return self.tensor(place, workspace, inputs)?.dense();
        };
        let is_buffer = matches!(source, Source::Memory(at) if matches!(workspace.memory[*at], Memory::Plain(_)));
        if !is_buffer {
            let held = self.held(*source, workspace, inputs)?;
            if let Payload::Value(value) = held.payload() {
                let is_whole = same(&value.layout.dims, &layout.dims)
                    && same(&value.layout.strides, &layout.strides)
                    && layout.offset == if matches!(source, Source::Constant(_)) { value.layout.offset } else { 0 };
                if held.dtype() == *dtype && (is_whole && held.is_contiguous() || dtype.size() == 0) {
                    return Ok(held.clone());
                }
            }
        }
        let view = self.view(place, workspace, inputs)?;
        if own.as_mut().is_none_or(|own| own.elements_mut().is_none()) {
            let plain = Plain::unfilled(layout.len() * dtype.size())?;
            *own = Some(Tensor::plain(*dtype, layout.dims.clone(), plain));
        }
        let Some(tensor) = own else { return Err(Error::internal("there is room for a copy")) };
        fill(view, tensor)?;
        Ok(tensor.clone())
    }

    /// Puts the results where they go.
    fn leave(&self, step: &Step, flow: &Flow, inner: &Inner, workspace: &mut Workspace) -> Result<()> {
        for (result, goes) in inner.state.iter().zip(&flow.results) {
            match *goes {
                Goes::Nowhere => {}
                Goes::Made(at) => workspace.made[at] = Some(result.clone()),
                Goes::Output(at) => {
                    let target = &step.outputs[at];
                    let memory = workspace.memory[target.memory].bytes_mut()?;
                    let mut target = ViewMut::within(target.dtype, &target.dims, &mut memory[..target.bytes]);
                    crate::ops::array::copy_view(View::of(result)?, &mut target)?;
                }
            }
        }
        Ok(())
    }

    /// The outputs for these inputs, of a plan without variables, in buffers that are kept for later.
    fn again(&self, workspace: &mut Workspace, inputs: &[Tensor], outputs: &mut Vec<Tensor>) -> Result<()> {
        workspace.rotates = true;
        self.compute_all(workspace, inputs)?;
        for &giver in &self.results {
            outputs.push(self.given(giver, workspace, inputs)?);
        }
        workspace.release();
        Ok(())
    }
}

impl Flow {
    /// Makes the state of `inner`, which is the inputs of all parts one after the other, what they give.
    fn side_by_side(&self, inner: &mut Inner) -> Result<()> {
        let Inner { state, parts, .. } = inner;
        parts.resize_with(self.plans.len(), Mutex::default);
        let (inputs, own) = (&**state, &**parts);
        let run = |at: usize| {
            let first = self.plans[..at].iter().map(|plan| plan.given_specs().len()).sum::<usize>();
            let plan = &self.plans[at];
            let mut part = own[at].lock().unwrap_or_else(PoisonError::into_inner);
            let Part { space, outputs, error } = &mut *part;
            outputs.clear();
            *error = plan.again(space, &inputs[first..][..plan.given_specs().len()], outputs).err();
        };
        match is_profiled() {
            // A profile is of one thread.
            true => (0..self.plans.len()).for_each(run),
            false => {
                let threads = num_threads().clamp(1, THREADS);
                run_parts(self.plans.len(), [], &mut [(); THREADS][..threads], |at, [], ()| run(at));
            }
        }
        state.clear();
        for part in parts {
            let Part { space, outputs, error } = part.get_mut().unwrap_or_else(PoisonError::into_inner);
            space.release();
            state.append(outputs);
            if let Some(error) = error.take() {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes the state of `inner` what the op gives for it.
    fn run(&self, inner: &mut Inner) -> Result<()> {
        if self.is_beside {
            return self.side_by_side(inner);
        }
        let Inner { state, next, spaces, .. } = inner;
        spaces.resize_with(self.plans.len(), Workspace::default);
        if let (true, [condition, body]) = (self.is_loop, &*self.plans) {
            loop {
                condition.again(&mut spaces[0], state, next)?;
                let going = next.pop().ok_or_else(|| Error::internal("a condition gives a bool"))?.item::<bool>()?;
                next.clear();
                if !going {
                    return Ok(());
                }
                spend()?;
                body.again(&mut spaces[1], state, next)?;
                std::mem::swap(state, next);
                next.clear();
                for (value, spec) in state.iter_mut().zip(body.given_specs()) {
                    if *value.shape() != spec.shape {
                        let message = format!("a loop variable of {spec} became {}", value.spec());
                        return Err(Error::internal(message));
                    }
                    if !value.is_contiguous() {
                        *value = value.dense()?;
                    }
                }
            }
        }
        // What chooses comes first.
        let (at, first) = match state.first().filter(|_| self.chooses()) {
            Some(choice) => (chosen(&*self.op, choice)?, 1),
            None => (0, 0),
        };
        self.plans[at].again(&mut spaces[at], &state[first..], next)?;
        std::mem::swap(state, next);
        Ok(())
    }
}

/// The plan of a graph on values alone.
fn plan(graph: Graph) -> Option<Plan> {
    let (inputs, outputs) = (graph.inputs.len(), graph.outputs.len());
    Plan::new(Lowered { graph, read: Vec::new(), written: Vec::new(), inputs, outputs }, &Packs::default()).ok()
}

/// Writes a value over a tensor that nobody else holds.
fn fill(view: View, tensor: &mut Tensor) -> Result<()> {
    let dtype = tensor.dtype();
    let (dims, bytes) = tensor.elements_mut().ok_or_else(|| Error::internal("somebody holds what is filled"))?;
    crate::ops::array::copy_view(view, &mut ViewMut::new(dtype, dims, bytes)?)
}
