//! What a run makes of variables: all of it at one moment.

use super::{Giver, InPlace};
use super::{Memory, Plan, Source, Workspace};
use crate::op::{View, ViewMut, timed};
use crate::variable::change_at_once;
use crate::{Error, Result, Tensor};
use smallvec::SmallVec;

impl Plan {
    /// Gives variables their next values, in their own elements where a step of an optimizer says what these are and nobody
    /// else holds them.
    pub(super) fn commit(&self, workspace: &mut Workspace, inputs: &[Tensor]) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        // What a run has read it holds no longer than it needs to.
        for &at in &self.released {
            workspace.read[at] = None;
        }
        let mut held = std::mem::take(&mut workspace.held);
        held.resize_with(self.changed.len(), || None);
        let outcome = change_at_once(&self.changed, &mut held, &mut |held| {
            for update in &self.updates {
                self.check(update, held)?;
            }
            for update in &self.updates {
                self.update(update, held, workspace, inputs)?;
            }
            for assigned in &self.assigned {
                let value = self.given(assigned.value, workspace, inputs)?;
                let before = held[assigned.variable].replace(value);
                // Its elements are those of the next run's value.
                if let (Giver::Source(Source::Memory(at)), Some(before)) = (assigned.value, before)
                    && *before.spec() == assigned.spec
                {
                    workspace.memory[at] = Memory::Tensor(before);
                }
            }
            Ok(())
        });
        held.iter_mut().for_each(|held| *held = None);
        workspace.held = held;
        outcome
    }

    /// Whether the variables are what the step was compiled for; elements that somebody else holds are replaced by others.
    fn check(&self, update: &InPlace, held: &mut [Option<Tensor>]) -> Result<()> {
        for (&at, spec) in update.variables.iter().zip(&update.specs) {
            let name = || self.changed[at].name();
            let value = held[at].as_mut();
            let value =
                value.ok_or_else(|| Error::failed_precondition(format!("variable `{}` has no value", name())))?;
            if value.spec() != spec {
                let message = format!("variable `{}` became {} while a function ran on {spec}", name(), value.spec());
                return Err(Error::failed_precondition(message));
            }
            if value.elements_mut().is_none() {
                *value = value.copied()?;
            }
        }
        Ok(())
    }

    fn update(
        &self,
        update: &InPlace,
        held: &mut [Option<Tensor>],
        workspace: &Workspace,
        inputs: &[Tensor],
    ) -> Result<()> {
        let mut others: SmallVec<[View; 3]> = SmallVec::new();
        for place in &update.others {
            others.push(self.view(place, workspace, inputs)?);
        }
        let mut values: SmallVec<[Option<Tensor>; 4]> = SmallVec::new();
        for &at in &update.variables {
            values.push(held[at].take());
        }
        let mut targets: SmallVec<[ViewMut; 4]> = SmallVec::new();
        for value in values.iter_mut().flatten() {
            let dtype = value.dtype();
            let elements = value.elements_mut();
            let (dims, bytes) = elements.ok_or_else(|| Error::internal("a value was seen to be nobody else's"))?;
            targets.push(ViewMut::new(dtype, dims, bytes)?);
        }
        let others = [&others[0], &others[1], &others[2]];
        let outcome = timed(&update.step, || None, || update.step.run_in_place(others, &mut targets));
        drop(targets);
        for (&at, value) in update.variables.iter().zip(values) {
            held[at] = value;
        }
        outcome
    }
}
