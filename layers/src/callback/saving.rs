//! A training as a checkpoint: the model, the optimizer, the metrics, the states of the callbacks, and where it is.

use super::context::Resumed;
use super::{State, refused};
use crate::optimizer::Optimizer;
use modulor::checkpoint::{Checkpoint, bundle::Bundle};
use modulor::module::{Config, InputShapes, Module, Track, Visitor, walk};
use modulor::variable::{Declaration, IntoInit};
use modulor::vfs::Vfs;
use modulor::{Error, Result, Tensor, Variable};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// How often something is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFreq {
    /// After every epoch.
    #[default]
    Epoch,
    /// After so many batches, 1 or more.
    Batches(usize),
}

impl From<usize> for SaveFreq {
    fn from(batches: usize) -> Self {
        SaveFreq::Batches(batches)
    }
}

impl SaveFreq {
    pub(super) fn check(self, class: &str) -> Result<()> {
        match self {
            SaveFreq::Batches(0) => Err(refused(class, "save_freq", "1 batch or more", 0)),
            _ => Ok(()),
        }
    }
}

/// Counts batches until it is time to save.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Since {
    pub batches: usize,
    pub last: Option<usize>,
}

impl Since {
    /// Whether it is time, after this batch of the epoch.
    pub fn is_due(&mut self, batch: usize, freq: SaveFreq) -> bool {
        let SaveFreq::Batches(every) = freq else { return false };
        // Several batches may be one execution.
        self.batches += match self.last {
            Some(last) if batch > last => batch - last,
            _ => batch + 1,
        };
        self.last = Some(batch);
        let is_due = self.batches >= every;
        if is_due {
            self.batches = 0;
        }
        is_due
    }

    pub fn save(&self, state: &mut State) -> Result<()> {
        state.set_count("batches_since", self.batches)?;
        self.last.map_or(Ok(()), |last| state.set_count("last_batch", last))
    }

    pub fn restore(&mut self, state: &State) -> Result<()> {
        self.batches = state.count("batches_since")?;
        self.last = state.get("last_batch").map(|_| state.count("last_batch")).transpose()?;
        Ok(())
    }
}

/// All that is saved of a training.
pub(super) struct Saving<'a> {
    pub model: &'a Arc<dyn Module>,
    pub optimizer: &'a Arc<dyn Optimizer>,
    pub further: &'a [(String, Arc<dyn Module>)],
    pub next: Resumed,
    pub seed: u64,
    pub is_stopping: bool,
}

/// What a training that was saved goes on with.
pub(super) struct Restored {
    pub next: Resumed,
    pub seed: u64,
    pub is_stopping: bool,
    pub states: Vec<State>,
}

/// What is kept beside the variables of modules.
const PLACE: &str = "progress";
const EXACT: &str = "exact";
const CALLBACKS: &str = "callbacks";

impl Saving<'_> {
    pub fn save(&self, vfs: &Arc<dyn Vfs>, prefix: &Path, states: &[(String, State)]) -> Result<()> {
        let mut values = vec![
            (format!("{PLACE}/epoch"), Tensor::scalar(self.next.epoch as i64)),
            (format!("{PLACE}/batch"), Tensor::scalar(self.next.batch as i64)),
            (format!("{PLACE}/seed"), Tensor::scalar(self.seed)),
            (format!("{PLACE}/is_stopping"), Tensor::scalar(self.is_stopping)),
        ];
        for (at, variable) in self.unsaved().into_iter().enumerate() {
            if variable.is_valued() {
                values.push((format!("{EXACT}/{at}"), variable.value()?));
            }
        }
        for (name, state) in states {
            values.extend(state.iter().map(|(key, value)| (format!("{CALLBACKS}/{name}/{key}"), value.clone())));
        }
        let held = values.into_iter().map(|(name, value)| (name, holding(value))).collect();
        Checkpoint::new(&self.parts(held)).on(vfs.clone()).write(prefix)
    }

    /// Restores all variables; gives the rest, with the states of the callbacks of these names.
    pub fn restore(&self, vfs: &Arc<dyn Vfs>, prefix: &Path, callbacks: &[String]) -> Result<Restored> {
        const SUFFIX: &str = "/.ATTRIBUTES/VARIABLE_VALUE";
        let mut held = Vec::new();
        for (key, entry) in Bundle::open_on(vfs, prefix)?.entries() {
            let Some(name) = key.strip_suffix(SUFFIX) else { continue };
            if [PLACE, EXACT, CALLBACKS].iter().any(|part| name.split('/').next() == Some(part)) {
                let dtype =
                    entry.dtype.dtype().ok_or_else(|| Error::data_loss(format!("`{key}` is of no known dtype")))?;
                let dims = entry.shape.clone();
                held.push((name.to_owned(), holding(Tensor::zeros(dims, dtype)?)));
            }
        }
        let known = |(name, _): &&(String, Variable)| {
            name.strip_prefix("callbacks/")
                .is_some_and(|rest| !callbacks.iter().any(|callback| rest.starts_with(&format!("{callback}/"))))
        };
        if let Some((name, _)) = held.iter().find(known) {
            let message = format!("{}: was saved with other callbacks: `{name}` is of none of these", prefix.display());
            return Err(Error::failed_precondition(message)
                .note("take a training up with the callbacks it began with, in their order"));
        }
        Checkpoint::new(&self.parts(held.clone())).on(vfs.clone()).read(prefix)?.assert_consumed()?;
        let value = |name: &str| {
            let found = held.iter().find(|(other, _)| other == name);
            let missing = || Error::data_loss(format!("{}: has no `{name}`, and is no training", prefix.display()));
            found.ok_or_else(missing)?.1.value()
        };
        for (at, variable) in self.unsaved().into_iter().enumerate() {
            let name = format!("{EXACT}/{at}");
            if held.iter().any(|(other, _)| *other == name) {
                variable.restore(&value(&name)?)?;
            }
        }
        let count = |name: &str| {
            let count = value(&format!("{PLACE}/{name}"))?.item::<i64>()?;
            usize::try_from(count).map_err(|_| Error::data_loss(format!("`{name}` is {count}")))
        };
        let mut states = vec![State::default(); callbacks.len()];
        for (name, state) in callbacks.iter().zip(&mut states) {
            let within = format!("{CALLBACKS}/{name}/");
            for (key, variable) in &held {
                if let Some(key) = key.strip_prefix(&within) {
                    state.set(key, &variable.value()?);
                }
            }
        }
        let seed = value(&format!("{PLACE}/seed"))?.item::<u64>()?;
        let next = Resumed { epoch: count("epoch")?, batch: count("batch")? };
        let is_stopping = value(&format!("{PLACE}/is_stopping"))?.item::<bool>()?;
        Ok(Restored { next, seed, is_stopping, states })
    }

    /// Variables that checkpoints leave out, such as what metrics count in: a training that goes on within an epoch needs
    /// them.
    fn unsaved(&self) -> Vec<Variable> {
        let mut unsaved: Vec<Variable> = Vec::new();
        for (_, module) in self.further {
            walk(module.as_module()).each_variable(&mut |_, variable| {
                if !variable.persistent() && unsaved.iter().all(|other| other.id() != variable.id()) {
                    unsaved.push(variable.clone());
                }
            });
        }
        unsaved
    }

    fn parts(&self, held: Vec<(String, Variable)>) -> Parts {
        let mut modules = vec![
            ("model".to_owned(), self.model.clone()),
            ("optimizer".to_owned(), self.optimizer.clone() as Arc<dyn Module>),
        ];
        modules.extend(self.further.iter().cloned());
        Parts { root: None, modules, held }
    }
}

/// A variable that holds a value, to be saved or restored.
fn holding(value: Tensor) -> Variable {
    let variable = Variable::default();
    variable.declare(Declaration { trainable: false, weight: false, ..Declaration::new(value.into_init()) });
    variable
}

/// The objects of a checkpoint, as one that holds them.
#[derive(Clone, Default)]
pub(super) struct Parts {
    /// What stands in the place of the holder.
    pub root: Option<Arc<dyn Module>>,
    pub modules: Vec<(String, Arc<dyn Module>)>,
    pub held: Vec<(String, Variable)>,
}

impl Track for Parts {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(None)
    }

    fn from_field(_: Option<&Value>) -> Result<Self> {
        Err(Error::unimplemented("a training is no part of a config"))
    }
}

impl Module for Parts {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "Training"
    }

    fn default_name(&self) -> &str {
        "training"
    }

    fn package(&self) -> &str {
        "modulor"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        if let Some(root) = &self.root {
            root.fields(visitor);
        }
        self.modules.iter().for_each(|(name, module)| visitor.module(name, module.as_module()));
        self.held.iter().for_each(|(name, variable)| visitor.variable(name, variable));
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        Ok(Config::new())
    }
}
