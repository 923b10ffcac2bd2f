//! Running a plan.

use super::{Giver, Kind, Memory, Place, Plan, Room, SPARE, Source, Step, Workspace, idle};
use crate::function::concrete::several;
use crate::op::{Scratch, View, ViewMut, dispatch, timed};
use crate::ops::linalg::ProductWith;
use crate::tensor::{Payload, Plain, Storage};
use crate::variable::values_at_once;
use crate::{Error, Result, Spec, Tensor, Variable};
use smallvec::SmallVec;
use std::any::Any;

/// What a step sees of its inputs, and what it fills; more of them than this lie in room that is kept.
type Views<'a> = SmallVec<[View<'a>; 12]>;
type Targets<'a> = SmallVec<[ViewMut<'a>; 8]>;

/// Room for steps of many inputs or outputs, empty between them.
#[derive(Default)]
pub(super) struct Many {
    views: Vec<View<'static>>,
    targets: Vec<ViewMut<'static>>,
    taken: Vec<Memory>,
}

/// The room of a vector, for elements of another lifetime.
fn emptied<A, B>(mut room: Vec<A>) -> Vec<B> {
    room.clear();
    room.into_iter().map(|_| unreachable!("it is empty")).collect()
}

/// Values that a run gives back.
pub(crate) type Values = SmallVec<[Tensor; 8]>;

impl Plan {
    /// Computes the outputs and changes the variables, or fails and changes none. The inputs are plain, and of the specs that
    /// the plan is for. None where a variable holds something else than what it is for.
    pub(crate) fn run(&self, inputs: &[Tensor]) -> Result<Option<Values>> {
        let mut dense = SmallVec::new();
        let inputs = dense_all(inputs, &mut dense)?;
        let mut workspace = self.idle.take();
        let outcome = self.run_in(&mut workspace, inputs);
        workspace.release();
        self.idle.give(workspace);
        outcome
    }

    /// As [`run`](Plan::run), of a plan with one result, into `out`, in its own elements if it is like the result and nobody
    /// else holds them. Whether the variables hold what the plan is for.
    pub(crate) fn run_into(&self, inputs: &[Tensor], out: &mut Tensor) -> Result<bool> {
        let [giver] = *self.results else { return Err(several(self.results.len())) };
        let mut workspace = self.idle.take();
        // Until the end, `out` is the plan's tensor, and what was the plan's is kept in its place.
        let leaves = match giver {
            Giver::Source(Source::Memory(at)) => {
                self.ready(&mut workspace)?;
                Some(at)
            }
            _ => None,
        };
        let mut exchange = |workspace: &mut Workspace| {
            if let Some(at) = leaves
                && let Memory::Tensor(tensor) = &mut workspace.memory[at]
            {
                std::mem::swap(tensor, out);
            }
        };
        exchange(&mut workspace);
        let mut dense = SmallVec::new();
        let outcome = dense_all(inputs, &mut dense).and_then(|inputs| self.run_in(&mut workspace, inputs));
        workspace.release();
        exchange(&mut workspace);
        self.idle.give(workspace);
        let Some(mut results) = outcome? else { return Ok(false) };
        if let (None, Some(result)) = (leaves, results.pop()) {
            *out = result;
        }
        Ok(true)
    }

    /// The specs of the inputs.
    pub(super) fn given_specs(&self) -> &[Spec] {
        &self.given_specs
    }

    /// The variables that are read.
    pub(crate) fn variables(&self) -> &[Variable] {
        &self.read
    }

    /// The handles that the plan holds: of the variables that are read, and of those that are changed.
    pub(crate) fn handles(&self) -> impl Iterator<Item = &Variable> {
        self.read.iter().chain(&self.changed)
    }

    /// Whether the variables hold now what the plan is for.
    pub(crate) fn is_for_present_values(&self) -> Result<bool> {
        for (variable, spec) in self.read.iter().zip(&self.read_specs) {
            if variable.value()?.spec() != spec {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn run_in(&self, workspace: &mut Workspace, inputs: &[Tensor]) -> Result<Option<Values>> {
        workspace.read.resize_with(self.read.len(), || None);
        values_at_once(&self.read, &mut workspace.read);
        for (value, spec) in workspace.read.iter_mut().zip(&self.read_specs) {
            match value {
                Some(value) if value.spec() != spec => return Ok(None),
                Some(value) if !value.is_contiguous() => *value = value.dense()?,
                Some(_) => {}
                None => return Ok(None),
            }
        }
        self.compute_all(workspace, inputs)?;
        self.commit(workspace, inputs)?;
        let results = self.results.iter().map(|&giver| self.given(giver, workspace, inputs));
        results.collect::<Result<Values>>().map(Some)
    }

    /// Takes every step.
    pub(super) fn compute_all(&self, workspace: &mut Workspace, inputs: &[Tensor]) -> Result<()> {
        workspace.made.resize_with(self.made_specs.len(), || None);
        self.ready(workspace)?;
        for step in &self.steps {
            let outcome = timed(&*step.op, || step.path.clone(), || self.step(step, workspace, inputs));
            outcome.map_err(|error| {
                let error = if error.op().is_some() { error } else { error.in_op(step.op.name()) };
                match &step.path {
                    Some(path) => error.within(&**path),
                    None => error,
                }
            })?;
        }
        Ok(())
    }

    /// Sees to it that all buffers are there, and that nobody else holds those that leave.
    fn ready(&self, workspace: &mut Workspace) -> Result<()> {
        let have = workspace.memory.len();
        workspace.memory.extend(self.memory[have..].iter().map(|_| Memory::Away));
        let Workspace { memory, spare, rotates, .. } = workspace;
        if *rotates {
            spare.resize_with(self.memory.len(), SmallVec::new);
        }
        for (at, (memory, Room { bytes, leaves })) in memory.iter_mut().zip(&self.memory).enumerate() {
            let is_ready = match (&mut *memory, leaves) {
                (Memory::Plain(_), None) => true,
                (Memory::Tensor(tensor), Some(spec)) => tensor.spec() == spec && tensor.elements_mut().is_some(),
                _ => false,
            };
            if let (false, true, Memory::Tensor(tensor)) = (is_ready, *rotates, &mut *memory) {
                let spare = &mut spare[at];
                if let Some(free) = spare.iter_mut().find_map(|other| other.elements_mut().is_some().then_some(other)) {
                    std::mem::swap(tensor, free);
                    continue;
                }
                if spare.len() == SPARE {
                    spare.remove(0);
                }
                spare.push(tensor.clone());
            }
            match leaves {
                _ if is_ready => {}
                None => {
                    *memory = Memory::Plain(match idle::buffer(*bytes) {
                        Some(plain) => plain,
                        None => Plain::unfilled(*bytes)?,
                    });
                }
                Some(spec) => {
                    let dims = spec.shape.known().unwrap_or_default().to_vec();
                    *memory = Memory::Tensor(Tensor::plain(spec.dtype, dims, Plain::unfilled(*bytes)?));
                }
            }
        }
        Ok(())
    }

    fn step(&self, step: &Step, workspace: &mut Workspace, inputs: &[Tensor]) -> Result<()> {
        if let Kind::Flow(at) = step.kind {
            return self.flow(step, at, workspace, inputs);
        }
        if let Kind::Make(first) = step.kind {
            let given = step.inputs.iter().map(|place| self.tensor(place, workspace, inputs));
            let given = given.collect::<Result<Vec<Tensor>>>()?;
            let made = dispatch(step.op.clone(), &given.iter().collect::<Vec<_>>())?;
            for (place, made) in workspace.made[first..].iter_mut().zip(made) {
                *place = Some(made);
            }
            return Ok(());
        }
        let mut taken: SmallVec<[Memory; 8]> = SmallVec::new();
        if step.outputs.len() > taken.inline_size() {
            taken = SmallVec::from_vec(std::mem::take(&mut workspace.many.taken));
        }
        for target in &step.outputs {
            taken.push(std::mem::replace(&mut workspace.memory[target.memory], Memory::Away));
        }
        let outcome = self.compute(step, workspace, inputs, &mut taken);
        for (target, taken) in step.outputs.iter().zip(taken.drain(..)) {
            workspace.memory[target.memory] = taken;
        }
        if taken.spilled() {
            workspace.many.taken = taken.into_vec();
        }
        outcome
    }

    fn compute(&self, step: &Step, workspace: &mut Workspace, inputs: &[Tensor], taken: &mut [Memory]) -> Result<()> {
        let mut scratch = std::mem::take(&mut workspace.scratch);
        let mut many = Many::default();
        let has_many =
            step.inputs.len() > Views::new().inline_size() || step.outputs.len() > Targets::new().inline_size();
        if has_many {
            many = std::mem::take(&mut workspace.many);
        }
        let outcome = self.compute_in(step, workspace, inputs, taken, &mut scratch, &mut many);
        workspace.scratch = scratch;
        if has_many {
            workspace.many = many;
        }
        outcome
    }

    fn compute_in(
        &self,
        step: &Step,
        workspace: &Workspace,
        inputs: &[Tensor],
        taken: &mut [Memory],
        scratch: &mut Scratch,
        many: &mut Many,
    ) -> Result<()> {
        let mut views = Views::new();
        if step.inputs.len() > views.inline_size() {
            views = SmallVec::from_vec(emptied(std::mem::take(&mut many.views)));
        }
        for (at, place) in step.inputs.iter().enumerate() {
            if step.kind != Kind::Over(at) {
                // Made where it stays: in a `Result` it would be copied piece by piece.
                match place {
                    Place::Static { source, dtype, layout } => {
                        let (bytes, shift) = self.elements(*source, workspace, inputs)?;
                        views.push(View::within(*dtype, layout, shift, bytes));
                    }
                    Place::Made(at) => views.push(View::of(self.made(*at, workspace)?)?),
                }
            }
        }
        let mut targets = Targets::new();
        if step.outputs.len() > targets.inline_size() {
            targets = SmallVec::from_vec(emptied(std::mem::take(&mut many.targets)));
        }
        for (target, taken) in step.outputs.iter().zip(taken) {
            targets.push(ViewMut::within(target.dtype, &target.dims, &mut taken.bytes_mut()?[..target.bytes]));
        }
        let bytes = match step.kind {
            Kind::Copy => 0,
            Kind::Over(_) => step.op.scratch_over(),
            _ => step.op.scratch(&views, &targets),
        };
        if bytes > scratch.len()
            && let Some(other) = idle::scratch(bytes)
        {
            *scratch = other;
        }
        scratch.reserve(bytes)?;
        let outcome = match step.kind {
            Kind::Over(at) => step.op.run_over(at, &views, &mut targets[0], scratch),
            Kind::Copy => crate::ops::array::copy_view(views[0], &mut targets[0]),
            Kind::Packed(at) => self.multiply(step, at, &views, &mut targets, scratch, (workspace, inputs)),
            Kind::Run | Kind::Make(_) | Kind::Flow(_) => step.op.run(&views, &mut targets, scratch),
        };
        if views.spilled() {
            many.views = emptied(views.into_vec());
        }
        if targets.spilled() {
            many.targets = emptied(targets.into_vec());
        }
        outcome
    }

    /// Makes a product, by its right factor as it is kept if it is.
    fn multiply(
        &self,
        step: &Step,
        at: usize,
        views: &[View],
        targets: &mut [ViewMut],
        scratch: &mut Scratch,
        (workspace, inputs): (&Workspace, &[Tensor]),
    ) -> Result<()> {
        let (Some(op), Some(Place::Static { source, .. })) =
            ((&*step.op as &dyn Any).downcast_ref::<ProductWith>(), step.inputs.get(1))
        else {
            return Err(Error::internal("a product has a factor that lies somewhere"));
        };
        let weight = self.held(*source, workspace, inputs)?.id();
        let packed = self.kept[at].find(weight, || op.packed(views, targets[0].dims()));
        op.multiply(views, packed.as_deref(), &mut targets[0], scratch)
    }

    /// The tensor behind a source that is one.
    pub(super) fn held<'a>(
        &'a self,
        source: Source,
        workspace: &'a Workspace,
        inputs: &'a [Tensor],
    ) -> Result<&'a Tensor> {
        let gone = || Error::internal("a value of a plan is gone");
        match source {
            Source::Given(at) => Ok(&inputs[at]),
            Source::Read(at) => workspace.read[at].as_ref().ok_or_else(gone),
            Source::Constant(at) => Ok(&self.constants[at]),
            Source::Memory(at) => match &workspace.memory[at] {
                Memory::Tensor(tensor) => Ok(tensor),
                _ => Err(gone()),
            },
        }
    }

    pub(super) fn view<'a>(
        &'a self,
        place: &'a Place,
        workspace: &'a Workspace,
        inputs: &'a [Tensor],
    ) -> Result<View<'a>> {
        match place {
            Place::Made(at) => View::of(self.made(*at, workspace)?),
            Place::Static { source, dtype, layout } => {
                let (bytes, shift) = self.elements(*source, workspace, inputs)?;
                Ok(View::within(*dtype, layout, shift, bytes))
            }
        }
    }

    fn made<'a>(&self, at: usize, workspace: &'a Workspace) -> Result<&'a Tensor> {
        workspace.made[at].as_ref().ok_or_else(|| Error::internal("a value of a plan was not made"))
    }

    /// The bytes of a source, and by how many elements a layout over them is moved.
    fn elements<'a>(
        &'a self,
        source: Source,
        workspace: &'a Workspace,
        inputs: &'a [Tensor],
    ) -> Result<(&'a [u8], usize)> {
        if let Source::Memory(at) = source {
            return Ok((workspace.memory[at].bytes()?, 0));
        }
        let held = self.held(source, workspace, inputs)?;
        let Payload::Value(value) = held.payload() else { return Err(Error::internal("a plan runs on values")) };
        match &*value.storage {
            // The layout of a constant is its own; of all others it begins where their elements do.
            Storage::Plain(plain) if matches!(source, Source::Constant(_)) => Ok((plain.bytes(), 0)),
            Storage::Plain(plain) => Ok((plain.bytes(), value.layout.offset)),
            _ => Err(Error::unimplemented(format!("tensors of {} are not plain bytes", held.dtype()))),
        }
    }

    /// A value as a tensor, by a copy where it lies in a buffer.
    pub(super) fn tensor(&self, place: &Place, workspace: &Workspace, inputs: &[Tensor]) -> Result<Tensor> {
        match place {
            Place::Made(at) => self.made(*at, workspace).cloned(),
            Place::Static {
                source: source @ (Source::Given(_) | Source::Read(_) | Source::Constant(_)),
                layout,
                dtype,
            } => {
                let held = self.held(*source, workspace, inputs)?;
                let Payload::Value(value) = held.payload() else {
                    return Err(Error::internal("a plan runs on values"));
                };
                let mut layout = layout.clone();
                if !matches!(source, Source::Constant(_)) {
                    layout.offset += value.layout.offset;
                }
                Ok(Tensor::value(*dtype, layout, value.storage.clone()))
            }
            Place::Static { dtype, layout, .. } => {
                let view = self.view(place, workspace, inputs)?;
                let mut plain = Plain::unfilled(layout.len() * dtype.size())?;
                crate::ops::array::copy_view(view, &mut ViewMut::new(*dtype, &layout.dims, plain.bytes_mut())?)?;
                Ok(Tensor::plain(*dtype, layout.dims.clone(), plain))
            }
        }
    }

    /// A handle of what a result or an assigned value is.
    pub(super) fn given(&self, giver: Giver, workspace: &Workspace, inputs: &[Tensor]) -> Result<Tensor> {
        match giver {
            Giver::Made(at) => self.made(at, workspace).cloned(),
            Giver::Source(source) => self.held(source, workspace, inputs).cloned(),
        }
    }
}

/// The inputs with elements in row-major order.
fn dense_all<'a>(inputs: &'a [Tensor], dense: &'a mut SmallVec<[Tensor; 4]>) -> Result<&'a [Tensor]> {
    if inputs.iter().all(Tensor::is_contiguous) {
        return Ok(inputs);
    }
    for input in inputs {
        dense.push(input.dense()?);
    }
    Ok(dense)
}

impl Memory {
    fn bytes(&self) -> Result<&[u8]> {
        match self {
            Memory::Plain(plain) => Ok(plain.bytes()),
            Memory::Tensor(tensor) => tensor.plain_bytes(),
            Memory::Away => Err(Error::internal("a step reads the buffer that it fills")),
        }
    }

    pub(super) fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        match self {
            Memory::Plain(plain) => Ok(plain.bytes_mut()),
            Memory::Tensor(tensor) => {
                let elements = tensor.elements_mut();
                elements.map(|(_, bytes)| bytes).ok_or_else(|| Error::internal("somebody holds what a step fills"))
            }
            Memory::Away => Err(Error::internal("two outputs of a step are one buffer")),
        }
    }
}
