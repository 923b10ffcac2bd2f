//! What an optimizer remembers of every variable.

use crate::initializer::Zeros;
use modulor::module::{Grow, SlotOf, Track, Visitor, copying, name};
use modulor::variable::{Declaration, Initializer};
use modulor::{DType, Error, Result, Tensor, Variable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The variables that an optimizer adds for those it updates, in the order of their making.
///
/// They stand in the optimizer itself, each named by the variable it belongs to and what it is: `dense_kernel_momentum`.
/// A handle to the optimizer shares them.
#[derive(Clone, Default)]
pub struct Slots(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Held for the length of a step: two threads take their steps one after the other.
    turn: Mutex<()>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    by_name: HashMap<String, usize>,
    by_owner: HashMap<u64, Vec<usize>>,
}

struct Slot {
    name: String,
    kind: Cow<'static, str>,
    variable: Variable,
    /// The number of the variable it belongs to; none in a copy, until a step finds the variable by its path.
    owner: Option<u64>,
    /// Whether a step has asked for it; one that was restored waits for that, and gets its proper name then.
    is_used: bool,
}

impl Slots {
    /// Waits for the step of another thread.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what is remembered of a variable under this name, unless it is there: of the dims that follow from the
    /// variable's, and of this initial value. `root` is the path of the optimizer.
    pub(super) fn make(
        &self,
        variable: &Variable,
        kind: &'static str,
        root: &str,
        dims: impl Fn(&[usize]) -> Vec<usize>,
        initial: impl FnOnce() -> Result<Arc<dyn Initializer>>,
    ) -> Result<()> {
        self.0.table().make(variable, kind, root, dims, initial)
    }

    /// What is remembered of a variable under this name.
    pub(super) fn of(&self, variable: &Variable, kind: &str) -> Result<Variable> {
        let table = self.0.table();
        let index = table.find(variable.id(), kind);
        let index = index.ok_or_else(|| Error::internal(format!("there is no `{kind}` of {variable}")))?;
        Ok(table.slots[index].variable.clone())
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn make(
        &mut self,
        variable: &Variable,
        kind: &'static str,
        root: &str,
        dims: impl Fn(&[usize]) -> Vec<usize>,
        initial: impl FnOnce() -> Result<Arc<dyn Initializer>>,
    ) -> Result<()> {
        let found = self.find(variable.id(), kind);
        if found.is_some_and(|index| self.slots[index].is_used) {
            return Ok(());
        }
        let value = variable.value()?;
        let (dims, dtype) = (&dims(value.dims()?)[..], value.dtype());
        if let Some(index) = found {
            return self.use_restored(index, variable, dims);
        }
        let base = base(variable, kind);
        // Two variables may have one path, in two models; two slots may not have one name.
        let mut number = 0;
        let index = loop {
            let name = name::numbered(&base, number);
            match self.by_name.get(&name) {
                None => {
                    let index = self.add(name, kind.into(), dims, dtype, initial()?);
                    let slot = &self.slots[index];
                    slot.variable.stamp(&format!("{root}/{}", slot.name));
                    break index;
                }
                Some(&index) if self.slots[index].waits_for(dims, dtype) => break index,
                Some(_) => number += 1,
            }
        };
        self.own(index, variable.id());
        self.slots[index].is_used = true;
        Ok(())
    }

    fn find(&self, owner: u64, kind: &str) -> Option<usize> {
        let own = self.by_owner.get(&owner)?;
        own.iter().copied().find(|&index| self.slots[index].kind == kind)
    }

    fn own(&mut self, index: usize, owner: u64) {
        self.slots[index].owner = Some(owner);
        self.by_owner.entry(owner).or_default().push(index);
    }

    /// The first use of a slot that was restored, perhaps before its owner had a path to name it by.
    fn use_restored(&mut self, index: usize, owner: &Variable, dims: &[usize]) -> Result<()> {
        let Slot { kind, variable, .. } = &self.slots[index];
        if variable.shape().as_deref() != Some(dims) || variable.dtype() != owner.dtype() {
            let message =
                format!("the {kind} of {owner} was restored as {variable}: it must have its dtype and {dims:?}");
            return Err(Error::failed_precondition(message));
        }
        let base = base(owner, kind);
        let free = |name: &String| self.by_name.get(name).is_none_or(|&taken| taken == index);
        let name = (0..).map(|number| name::numbered(&base, number)).find(free).unwrap_or_default();
        self.by_name.remove(&self.slots[index].name);
        self.by_name.insert(name.clone(), index);
        self.slots[index].name = name;
        self.slots[index].is_used = true;
        Ok(())
    }

    fn add(
        &mut self,
        name: String,
        kind: Cow<'static, str>,
        dims: &[usize],
        dtype: DType,
        initial: Arc<dyn Initializer>,
    ) -> usize {
        let variable = Variable::default();
        variable.declare(Declaration {
            shape: Some(dims.iter().copied().map(Some).collect()),
            dtype: Some(dtype),
            trainable: false,
            weight: false,
            ..Declaration::new(initial)
        });
        self.by_name.insert(name.clone(), self.slots.len());
        self.slots.push(Slot { name, kind, variable, owner: None, is_used: false });
        self.slots.len() - 1
    }
}

/// What a slot begins with whose value is about to come.
fn zeros() -> Arc<dyn Initializer> {
    Arc::new(Zeros)
}

/// The name of a slot: its owner's path and what it is to it.
fn base(owner: &Variable, kind: &str) -> String {
    format!("{}_{kind}", owner.path().unwrap_or_else(|| owner.name()).replace('/', "_"))
}

impl Slot {
    fn waits_for(&self, dims: &[usize], dtype: DType) -> bool {
        self.owner.is_none() && self.variable.dtype() == dtype && self.variable.shape().as_deref() == Some(dims)
    }
}

/// What the optimizers of TensorFlow 1 and 2 called what Keras 3 calls otherwise.
const OLDER_NAMES: &[(&str, &str)] = &[("m", "momentum"), ("v", "velocity"), ("vhat", "velocity_hat")];

impl Grow for Shared {
    fn kind(&self, name: &str) -> String {
        let newer = OLDER_NAMES.iter().find(|(older, _)| *older == name);
        newer.map_or(name, |(_, newer)| newer).to_owned()
    }

    fn add(&self, owner: &Variable, kind: &str, value: &Tensor) -> Result<()> {
        let mut table = self.table();
        if let Some(index) = table.find(owner.id(), kind) {
            return table.slots[index].variable.restore(value);
        }
        let base = base(owner, kind);
        let free = |name: &String| !table.by_name.contains_key(name);
        let name = (0..).map(|number| name::numbered(&base, number)).find(free).unwrap_or_default();
        let index = table.add(name, kind.to_owned().into(), value.dims()?, value.dtype(), zeros());
        table.own(index, owner.id());
        table.slots[index].variable.restore(value)
    }

    fn is_used(&self, owner: u64, kind: &str) -> bool {
        let table = self.table();
        table.find(owner, kind).is_some_and(|index| table.slots[index].is_used)
    }
}

/// What a copy is told of a slot.
#[derive(Serialize, Deserialize)]
struct Description {
    name: String,
    kind: String,
    dtype: String,
    shape: Vec<usize>,
}

impl Track for Slots {
    fn track(&self, _: &str, visitor: &mut dyn Visitor) {
        let shown = |slot: &Slot| {
            let of = slot.owner.map(|owner| SlotOf { owner, kind: slot.kind.to_string() });
            (slot.name.clone(), slot.variable.clone(), of)
        };
        // The visitor may come back to ask for more: the table is free again.
        let slots: Vec<_> = self.0.table().slots.iter().map(shown).collect();
        for (name, variable, of) in slots {
            match of {
                Some(of) => visitor.slot(&name, &variable, of),
                None => visitor.variable(&name, &variable),
            }
        }
        visitor.grows(self.0.clone());
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        if !copying() {
            return Ok(None);
        }
        let describe = |slot: &Slot| Description {
            name: slot.name.clone(),
            kind: slot.kind.to_string(),
            dtype: slot.variable.dtype().name().to_owned(),
            shape: slot.variable.shape().unwrap_or_default(),
        };
        let slots: Vec<Description> = self.0.table().slots.iter().map(describe).collect();
        let value = serde_json::to_value(slots).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Some(value))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let slots = Slots::default();
        let described = config.map_or(Ok(Vec::new()), Vec::<Description>::deserialize);
        for Description { name, kind, dtype, shape } in described.map_err(|e| Error::invalid_argument(e.to_string()))? {
            slots.0.table().add(name, kind.into(), &shape, DType::from_name(&dtype)?, zeros());
        }
        Ok(slots)
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.table().slots.iter().map(|slot| &slot.name)).finish()
    }
}

/// What is remembered of one variable, by name, while a step is computed.
#[derive(Clone, Debug, Default)]
pub struct SlotValues(Vec<(&'static str, Tensor)>);

impl SlotValues {
    /// The value under a name that [`slots`](super::Rule::slots) gives.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        let value = found.map(|(_, value)| value.clone());
        value.ok_or_else(|| Error::internal(format!("`{name}` is not among the slots of this optimizer")))
    }

    /// The value to remember under a name.
    pub fn set(&mut self, name: &'static str, value: &Tensor) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, held)) => *held = value.clone(),
            None => self.0.push((name, value.clone())),
        }
    }

    /// All values by name.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Tensor)> {
        self.0.iter_mut().map(|(name, value)| (*name, value))
    }
}
