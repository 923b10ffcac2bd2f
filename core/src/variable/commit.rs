//! Several variables at one moment: written together, read together.

use super::{State, Variable};
use crate::op::apply;
use crate::op::scope::{self, Snapshot};
use crate::ops::optimizer::{UpdateStep, UpdateVariable};
use crate::{Error, Result, Tensor};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Writes all values, or none: other threads that read by [`snapshot`] see the state before or the state after.
///
/// Every value is checked before one is written. Of a variable given twice the last value counts. In a trace the writes
/// become nodes of the graph, which makes them when it runs.
pub fn commit(writes: impl IntoIterator<Item = (Variable, Tensor)>) -> Result<()> {
    let writes: BTreeMap<u64, (Variable, Tensor)> =
        writes.into_iter().map(|(variable, value)| (variable.id(), (variable, value))).collect();
    if scope::tracing() {
        return writes.values().try_for_each(|(variable, value)| variable.assign(value));
    }
    at_once(&writes, |state, value| state.replace(value.clone()))
}

/// The step of an optimizer for one variable, for [`commit_updates`].
#[derive(Clone, Debug)]
pub struct VariableUpdate {
    /// The rule.
    pub step: UpdateStep,
    /// The variable that it changes.
    pub variable: Variable,
    /// What the optimizer remembers of it, in the order of the rule.
    pub slots: Vec<Variable>,
    /// The gradient, of the variable's dtype and shape.
    pub gradient: Tensor,
    /// The learning rate, a scalar of the variable's dtype.
    pub learning_rate: Tensor,
    /// The number of the step, likewise.
    pub number: Tensor,
}

impl VariableUpdate {
    /// The variables that it changes: value and slots.
    fn changed(&self) -> impl Iterator<Item = &Variable> {
        [&self.variable].into_iter().chain(&self.slots)
    }

    /// Becomes a node of the trace under way.
    fn trace(&self) -> Result<()> {
        let given = [&self.gradient, &self.learning_rate, &self.number];
        let slots = self.slots.iter().map(|slot| &slot.handle);
        let inputs: Vec<&Tensor> = [&self.variable.handle].into_iter().chain(given).chain(slots).collect();
        apply(UpdateVariable(self.step), &inputs).map(|_| ())
    }

    /// What it makes of the values as they are now.
    fn writes(&self) -> Result<Vec<(Variable, Tensor)>> {
        let slots = self.slots.iter().map(Variable::read).collect::<Result<Vec<_>>>()?;
        let slots: Vec<&Tensor> = slots.iter().collect();
        let (value, rate) = (self.variable.read()?, &self.learning_rate);
        let after = self.step.call(&value, &self.gradient, &slots, rate, &self.number)?;
        Ok(self.changed().cloned().zip(after).collect())
    }
}

/// As [`commit`], of values and of what updates make of the values that are there: in their place where nobody else holds
/// them, in one pass. No variable may be given twice.
pub fn commit_updates(writes: &[(Variable, Tensor)], updates: &[VariableUpdate]) -> Result<()> {
    let mut cells = BTreeMap::new();
    for variable in writes.iter().map(|(variable, _)| variable).chain(updates.iter().flat_map(VariableUpdate::changed))
    {
        if cells.insert(variable.id(), variable).is_some() {
            return Err(Error::invalid_argument(format!("variable `{}` is given twice", variable.name())));
        }
    }
    if scope::with(|scopes| scopes.trace.is_some() && scopes.tapes.is_empty()) {
        commit(writes.iter().cloned())?;
        return updates.iter().try_for_each(VariableUpdate::trace);
    }
    // A tape wants calls, a snapshot the values of its moment.
    if scope::with(|scopes| scopes.trace.is_some() || !scopes.tapes.is_empty() || scopes.snapshot.is_some()) {
        let made = updates.iter().map(VariableUpdate::writes).collect::<Result<Vec<_>>>()?;
        return commit(writes.iter().cloned().chain(made.into_iter().flatten()));
    }
    let others = |update: &VariableUpdate| {
        let others = [&update.gradient, &update.learning_rate, &update.number].map(Tensor::clone);
        others.iter().try_for_each(|other| other.evaluated().map(|_| ()))?;
        Ok(others)
    };
    let others = updates.iter().map(others).collect::<Result<Vec<_>>>()?;
    let values: BTreeMap<u64, &Tensor> = writes.iter().map(|(variable, value)| (variable.id(), value)).collect();
    cells.values().try_for_each(|variable| variable.cell.check_writable())?;
    for variable in updates.iter().flat_map(VariableUpdate::changed) {
        variable.value()?;
    }
    let mut states: HashMap<u64, _> = cells.iter().map(|(&id, variable)| (id, variable.cell.write_state())).collect();
    values.iter().try_for_each(|(id, value)| states[id].check(value))?;
    let mut parts: Vec<Vec<Tensor>> = Vec::with_capacity(updates.len());
    for update in updates {
        let values = update.changed().filter_map(|variable| states.get_mut(&variable.id())?.value.take());
        parts.push(values.collect());
    }
    let changed = change(updates, &others, &mut parts, |variable| states[&variable.id()].label());
    for (variable, part) in updates.iter().flat_map(VariableUpdate::changed).zip(parts.into_iter().flatten()) {
        if let Some(state) = states.get_mut(&variable.id()) {
            state.value = Some(part);
        }
    }
    changed?;
    for (id, state) in &mut states {
        match values.get(id) {
            Some(&value) => state.replace(value.clone())?,
            None => state.version += 1,
        }
    }
    Ok(())
}

/// Changes values and slots, or nothing: all that may fail comes before the first change.
fn change(
    updates: &[VariableUpdate],
    others: &[[Tensor; 3]],
    parts: &mut [Vec<Tensor>],
    label: impl Fn(&Variable) -> String,
) -> Result<()> {
    let spare = |((update, others), parts): ((&VariableUpdate, &[Tensor; 3]), &mut Vec<Tensor>)| {
        update.step.spare(parts, others).map_err(|error| error.within(label(&update.variable)))
    };
    let spares = updates.iter().zip(others).zip(&mut *parts).map(spare).collect::<Result<Vec<_>>>()?;
    for (((update, others), parts), spares) in updates.iter().zip(others).zip(parts).zip(spares) {
        update.step.change(parts, others, spares)?;
    }
    Ok(())
}

/// As [`commit`], with values that wait where a shape is not known yet. A value may say which key a file had it under.
pub(crate) fn restore(values: impl IntoIterator<Item = (Variable, Tensor, Option<String>)>) -> Result<()> {
    let mut keys = HashMap::new();
    let keyed = values.into_iter().map(|(variable, value, key)| {
        keys.insert(variable.id(), key);
        (variable.id(), (variable, value))
    });
    let values: BTreeMap<u64, (Variable, Tensor)> = keyed.collect();
    let mut keys = values.keys().map(|id| keys.remove(id).flatten()).collect::<Vec<_>>().into_iter();
    at_once(&values, |state, value| state.admit_restored(value.clone(), keys.next().flatten()))
}

/// Writes under all locks, taken in order of the cells' numbers, everywhere, so that two commits cannot wait for each
/// other.
fn at_once(
    writes: &BTreeMap<u64, (Variable, Tensor)>,
    mut write: impl FnMut(&mut State, &Tensor) -> Result<()>,
) -> Result<()> {
    writes.values().try_for_each(|(variable, _)| variable.cell.check_writable())?;
    let mut states: Vec<_> = writes.values().map(|(variable, value)| (variable.cell.write_state(), value)).collect();
    states.iter().try_for_each(|(state, value)| state.check(value))?;
    states.iter_mut().try_for_each(|(state, value)| write(state, value))?;
    drop(states);
    writes.iter().for_each(|(&id, (_, value))| note_in_snapshot(id, value));
    Ok(())
}

/// The values of all these variables at one moment: of a [`commit`], all of it or nothing.
pub fn snapshot(variables: &[Variable]) -> Result<Vec<Tensor>> {
    let cells: BTreeMap<u64, &Variable> = variables.iter().map(|variable| (variable.id(), variable)).collect();
    // First values are drawn one by one: nobody can have seen them before.
    cells.values().try_for_each(|variable| variable.value().map(|_| ()))?;
    let states: Vec<_> = cells.values().map(|variable| variable.cell.read_state()).collect();
    let values: HashMap<u64, Tensor> =
        cells.keys().zip(&states).filter_map(|(&id, state)| Some((id, state.value.clone()?))).collect();
    drop(states);
    // Within another snapshot, that one's moment.
    let at = |id: u64| in_snapshot(id).unwrap_or_else(|| values[&id].clone());
    Ok(variables.iter().map(|variable| at(variable.id())).collect())
}

/// How many locks one frame of the stack holds.
const FRAME: usize = 32;

/// As [`snapshot`], into `values`, of variables in the order of their numbers; allocates nothing. None where a value was not
/// drawn yet.
pub(crate) fn values_at_once(variables: &[Variable], values: &mut [Option<Tensor>]) {
    fn under_locks(variables: &[Variable], values: &mut [Option<Tensor>]) {
        let (here, further) = variables.split_at(variables.len().min(FRAME));
        let (values, others) = values.split_at_mut(here.len());
        let mut locks = SmallVec::<[_; FRAME]>::new();
        for (variable, value) in here.iter().zip(values) {
            let state = variable.cell.read_state();
            value.clone_from(&state.value);
            locks.push(state);
        }
        if !further.is_empty() {
            under_locks(further, others);
        }
    }
    under_locks(variables, values);
    if scope::with(|scopes| scopes.snapshot.is_some()) {
        for (variable, value) in variables.iter().zip(values) {
            if let Some(held) = in_snapshot(variable.id()) {
                *value = Some(held);
            }
        }
    }
}

/// Takes the values of variables, which are in the order of their numbers, under all locks, lets `change` change them, and puts
/// them back; allocates nothing. After an error of `change` they are as it left them, which is as they were.
pub(crate) fn change_at_once(
    variables: &[Variable],
    values: &mut [Option<Tensor>],
    change: &mut dyn FnMut(&mut [Option<Tensor>]) -> Result<()>,
) -> Result<()> {
    fn under_locks(
        variables: &[Variable],
        at: usize,
        values: &mut [Option<Tensor>],
        change: &mut dyn FnMut(&mut [Option<Tensor>]) -> Result<()>,
    ) -> Result<()> {
        let here = at..variables.len().min(at + FRAME);
        let mut locks = SmallVec::<[_; FRAME]>::new();
        for at in here.clone() {
            let mut state = variables[at].cell.write_state();
            values[at] = state.value.take();
            locks.push(state);
        }
        let changed = match here.end == variables.len() {
            true => change(values),
            false => under_locks(variables, here.end, values, change),
        };
        for (state, value) in locks.iter_mut().zip(&mut values[here]) {
            let Some(value) = value.take() else { continue };
            if changed.is_ok() {
                let dims = value.shape().known();
                if state.shape.as_deref() != dims {
                    state.shape = dims.map(<[usize]>::to_vec);
                }
                state.queued = None;
                state.version += 1;
            }
            state.value = Some(value);
        }
        changed
    }
    variables.iter().try_for_each(|variable| variable.cell.check_writable())?;
    under_locks(variables, 0, values, change)?;
    if scope::with(|scopes| scopes.snapshot.is_some()) {
        for variable in variables {
            let value = variable.cell.read_state().value.clone();
            value.iter().for_each(|value| note_in_snapshot(variable.id(), value));
        }
    }
    Ok(())
}

/// Runs `f` with all reads of these variables, on this thread, seeing the values of one moment, and its own writes.
pub fn with_snapshot<R>(variables: &[Variable], f: impl FnOnce() -> R) -> Result<R> {
    // A snapshot within another keeps the moment of the outer one.
    let new: Vec<Variable> = variables.iter().filter(|v| in_snapshot(v.id()).is_none()).cloned().collect();
    let values = new.iter().map(Variable::id).zip(snapshot(&new)?).collect();
    let within = |scopes: &mut scope::Scopes| {
        let outer = scopes.snapshot.take();
        scopes.snapshot = Some(Arc::new(Snapshot { values: Mutex::new(values), outer }));
    };
    Ok(scope::changed(within, f))
}

/// What `f` makes of the value that the surrounding snapshots have for a variable, where they have one.
fn with_held<R>(id: u64, f: impl FnOnce(&mut Tensor) -> R) -> Option<R> {
    let mut snapshot = scope::with(|scopes| scopes.snapshot.clone());
    while let Some(here) = snapshot {
        if let Some(held) = here.values.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id) {
            return Some(f(held));
        }
        snapshot = here.outer.clone();
    }
    None
}

/// The value that the surrounding snapshot has for a variable.
pub(crate) fn in_snapshot(id: u64) -> Option<Tensor> {
    with_held(id, |held| held.clone())
}

/// Lets the surrounding snapshot see a write of its own thread.
pub(crate) fn note_in_snapshot(id: u64, value: &Tensor) {
    with_held(id, |held| *held = value.with_mask(None));
}
