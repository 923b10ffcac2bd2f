//! What an optimizer remembers of every variable.

use crate::initializer::Zeros;
use modulor::module::{Track, Visitor, copying, name};
use modulor::variable::Declaration;
use modulor::{DType, Error, Result, Tensor, Variable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    by_owner: HashMap<(u64, &'static str), usize>,
}

struct Slot {
    name: String,
    variable: Variable,
    /// The number of the variable it belongs to; none in a copy, until a step finds the variable by its path.
    owner: Option<u64>,
}

impl Slots {
    /// Waits for the step of another thread.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of a variable under this name, made now if need be. `root` is the path of the optimizer.
    pub(super) fn of(&self, variable: &Variable, kind: &'static str, root: &str) -> Result<Variable> {
        self.table().of(variable, kind, root)
    }
}

impl Table {
    fn of(&mut self, variable: &Variable, kind: &'static str, root: &str) -> Result<Variable> {
        let key = (variable.id(), kind);
        if let Some(&index) = self.by_owner.get(&key) {
            return Ok(self.slots[index].variable.clone());
        }
        let value = variable.value()?;
        let (dims, dtype) = (value.dims()?, value.dtype());
        let base = format!("{}_{kind}", variable.path().unwrap_or_else(|| variable.name()).replace('/', "_"));
        // Two variables may have one path, in two models; two slots may not have one name.
        let mut number = 0;
        let index = loop {
            let name = name::numbered(&base, number);
            match self.by_name.get(&name) {
                None => break self.add(name, dims, dtype, Some(root)),
                Some(&index) if self.slots[index].waits_for(dims, dtype) => break index,
                Some(_) => number += 1,
            }
        };
        self.slots[index].owner = Some(variable.id());
        self.by_owner.insert(key, index);
        Ok(self.slots[index].variable.clone())
    }

    fn add(&mut self, name: String, dims: &[usize], dtype: DType, root: Option<&str>) -> usize {
        let variable = Variable::default();
        variable.declare(Declaration {
            shape: Some(dims.iter().copied().map(Some).collect()),
            dtype: Some(dtype),
            trainable: false,
            weight: false,
            ..Declaration::new(Arc::new(Zeros))
        });
        if let Some(root) = root {
            variable.stamp(&format!("{root}/{name}"));
        }
        self.by_name.insert(name.clone(), self.slots.len());
        self.slots.push(Slot { name, variable, owner: None });
        self.slots.len() - 1
    }
}

impl Slot {
    fn waits_for(&self, dims: &[usize], dtype: DType) -> bool {
        self.owner.is_none() && self.variable.dtype() == dtype && self.variable.shape().as_deref() == Some(dims)
    }
}

/// What a copy is told of a slot.
#[derive(Serialize, Deserialize)]
struct Description {
    name: String,
    dtype: String,
    shape: Vec<usize>,
}

impl Track for Slots {
    fn track(&self, _: &str, visitor: &mut dyn Visitor) {
        let slots: Vec<(String, Variable)> =
            self.table().slots.iter().map(|slot| (slot.name.clone(), slot.variable.clone())).collect();
        for (name, variable) in slots {
            visitor.variable(&name, &variable);
        }
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
            dtype: slot.variable.dtype().name().to_owned(),
            shape: slot.variable.shape().unwrap_or_default(),
        };
        let slots: Vec<Description> = self.table().slots.iter().map(describe).collect();
        let value = serde_json::to_value(slots).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Some(value))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let slots = Slots::default();
        let described = config.map_or(Ok(Vec::new()), Vec::<Description>::deserialize);
        for Description { name, dtype, shape } in described.map_err(|e| Error::invalid_argument(e.to_string()))? {
            slots.table().add(name, &shape, DType::from_name(&dtype)?, None);
        }
        Ok(slots)
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.table().slots.iter().map(|slot| &slot.name)).finish()
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
