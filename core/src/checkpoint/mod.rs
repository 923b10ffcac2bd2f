//! Checkpoints: the values of a program's variables in TensorFlow's own files, both ways.
//!
//! A [`Checkpoint`] is a set of objects, modules and variables, under names. [`save`](Checkpoint::save) writes the values of
//! all their variables, with the graph of the objects they are in, as `PREFIX.index` and `PREFIX.data-00000-of-00001`, which
//! `tf.train.Checkpoint` restores and `tf.train.load_checkpoint` reads. [`restore`](Checkpoint::restore) finds for every
//! variable its value by the same names, in files of ours or TensorFlow's; into a model that is not built yet, too: a value
//! then waits for its variable.
//!
//! ```standalone_crate
//! # extern crate modulor_core as modulor;
//! use modulor::checkpoint::{Checkpoint, list_variables};
//! use modulor::{Module, Variable};
//!
//! #[derive(Module)]
//! struct Counter {
//!     #[variable(init = 3.0)]
//!     count: Variable,
//! }
//!
//! # fn main() -> modulor::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let counter = Counter::new();
//! let path = Checkpoint::new(&counter).save(folder.join("ckpt"))?;
//! assert!(path.ends_with("ckpt-1"));
//! let names: Vec<String> = list_variables(&path)?.into_iter().map(|(name, _)| name).collect();
//! let graph = "_CHECKPOINTABLE_OBJECT_GRAPH";
//! assert_eq!(names, [graph, "count/.ATTRIBUTES/VARIABLE_VALUE", "save_counter/.ATTRIBUTES/VARIABLE_VALUE"]);
//!
//! let other = Counter::new();
//! other.count.assign(&0.0_f32.into())?;
//! Checkpoint::new(&other).restore(&path)?.assert_consumed()?;
//! assert_eq!(other.count.value()?.item::<f32>()?, 3.0);
//! # Ok(())
//! # }
//! ```
//!
//! What a save that returned has written survives the end of the process and of the machine's power; a save that did not
//! return leaves what was there before. A restore that fails has changed nothing.

pub mod bundle;
mod directory;
mod manager;
mod object_graph;
mod places;
mod restore;
pub mod safetensors;
mod save;

pub use directory::{Latest, latest_checkpoint};
pub use manager::CheckpointManager;
pub use object_graph::{Attribute, Object, ObjectGraph, SlotReference};
pub use restore::Status;
pub use save::Snapshot;

use crate::module::{self, Config, InputShapes, Module, Track, Visitor, walk};
use crate::op::scope;
use crate::variable::{Declaration, IntoInit};
use crate::vfs::{self, Vfs};
use crate::{Error, Result, Tensor, Variable};
use bundle::{Bundle, EntryInfo, OBJECT_GRAPH_KEY, with_suffix};
use directory::Directory;
use places::Places;
use restore::{Found, Plan, Source};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the variable that numbers the saves.
const SAVE_COUNTER: &str = "save_counter";

/// Objects that are saved and restored together: `tf.train.Checkpoint`.
///
/// It keeps handles to the objects; [`new`](Checkpoint::new) takes one module as the root, [`with`](Checkpoint::with) adds
/// what is to stand under a name.
///
/// ```standalone_crate
/// # extern crate modulor_core as modulor;
/// # use modulor::{checkpoint::Checkpoint, Variable};
/// # fn main() -> modulor::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let prefix = folder.path().join("all");
/// let (step, rate) = (Variable::new(0), Variable::new(0.5));
/// let checkpoint = Checkpoint::default().with("step", &step).with("rate", &rate);
/// checkpoint.write(&prefix)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Checkpoint {
    root: Option<Arc<dyn Module>>,
    named: BTreeMap<String, Arc<dyn Track>>,
    save_counter: Variable,
    vfs: Arc<dyn Vfs>,
    max_shard_bytes: Option<u64>,
    is_guarded: bool,
    is_partial: bool,
}

impl Default for Checkpoint {
    fn default() -> Checkpoint {
        let save_counter = Variable::default();
        let declaration = Declaration::new(0_i64.into_init());
        save_counter.declare(Declaration { name: Some(SAVE_COUNTER), trainable: false, weight: false, ..declaration });
        let (named, vfs) = (BTreeMap::new(), vfs::disk());
        Checkpoint { root: None, named, save_counter, vfs, max_shard_bytes: None, is_guarded: false, is_partial: false }
    }
}

impl Checkpoint {
    /// The objects of one module, each under its path in it.
    pub fn new<M: Module + Sized>(module: &M) -> Checkpoint {
        Checkpoint { root: Some(Arc::new(module.share())), ..Checkpoint::default() }
    }

    /// With a variable, a module or a container of them under a name.
    #[must_use]
    pub fn with<T: Track>(mut self, name: &str, part: &T) -> Checkpoint {
        self.named.insert(name.to_owned(), Arc::new(part.share()));
        self
    }

    /// With data files of at most so many bytes each; a tensor that is larger has a file for itself.
    #[must_use]
    pub fn max_shard_bytes(self, bytes: u64) -> Checkpoint {
        Checkpoint { max_shard_bytes: Some(bytes), ..self }
    }

    /// Saving nothing that is not finite: a training that has run away does not take the place of one that had not.
    ///
    /// Without it, NaN and infinities are saved as they are.
    #[must_use]
    pub fn save_guard(self) -> Checkpoint {
        Checkpoint { is_guarded: true, ..self }
    }

    /// With files on another file system than the machine's.
    #[must_use]
    pub fn on(self, vfs: Arc<dyn Vfs>) -> Checkpoint {
        Checkpoint { vfs, ..self }
    }

    /// A handle to the same objects that restores what matches, and leaves be what does not.
    ///
    /// Names are compared before a value changes, so this is said before, and not of the [`Status`] as in TensorFlow. Dtypes
    /// and shapes must be right all the same.
    #[must_use]
    pub fn expect_partial(&self) -> Checkpoint {
        Checkpoint { is_partial: true, ..self.clone() }
    }

    /// How many saves there have been, in this program and those it was restored from: an int64 scalar.
    pub fn save_counter(&self) -> &Variable {
        &self.save_counter
    }

    /// The file system its files are on.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// Counts the save, and writes to `PREFIX-N` with that count; gives the path of it, which is the
    /// [latest](latest_checkpoint) of its directory now.
    ///
    /// When it returns, the checkpoint is durable. When it fails, nothing is counted, and what was at that path is as it was.
    pub fn save(&self, prefix: impl AsRef<Path>) -> Result<PathBuf> {
        let (number, snapshot) = self.next()?;
        let path = numbered(prefix.as_ref(), number);
        self.write_snapshot(&snapshot, &path)?;
        // The state file is a text; a name that is none is found without it.
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            let directory = Directory { vfs: self.vfs.clone(), path: vfs::directory_of(&path).to_owned() };
            let _lock = self.vfs.lock(&directory.path)?;
            directory.list(name)?;
        }
        self.save_counter.assign(&Tensor::scalar(number))?;
        Ok(path)
    }

    /// Writes to `prefix` itself, in place of a checkpoint that is there, without counting.
    pub fn write(&self, prefix: impl AsRef<Path>) -> Result<()> {
        self.write_snapshot(&self.snapshot()?, prefix.as_ref())
    }

    /// The values of this moment, without a count; of all variables at once, and without copying any.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.named_places(false)?, self.root.is_some(), None)
    }

    /// The number of the next save and the values of this moment with that number in them.
    pub(crate) fn next(&self) -> Result<(i64, Snapshot)> {
        let number = self.save_counter.value()?.item::<i64>()?.saturating_add(1);
        let counted = Some((&self.save_counter, Tensor::scalar(number)));
        Ok((number, Snapshot::of(&self.named_places(true)?, self.root.is_some(), counted)?))
    }

    /// Writes a snapshot to `prefix` with the settings of this checkpoint.
    pub fn write_snapshot(&self, snapshot: &Snapshot, prefix: &Path) -> Result<()> {
        if self.is_guarded {
            snapshot.check_finite()?;
        }
        snapshot.write(&self.vfs, prefix, self.max_shard_bytes)
    }

    /// Gives every variable its value in the checkpoint at `prefix`, which [`save`](Checkpoint::save) or TensorFlow wrote.
    ///
    /// Everything is read and compared first: names, dtypes and shapes. What a variable is not built for yet is compared when
    /// it is; until then the value waits.
    ///
    /// # Errors
    ///
    /// One error lists every variable that the file has nothing for, every value that there is nothing for here, and every
    /// dtype and shape that is different, with the nearest names. Then, and when the file is damaged, nothing was restored.
    pub fn restore(&self, prefix: impl AsRef<Path>) -> Result<Status> {
        self.restore_from(&Bundle::open_on(&self.vfs, prefix.as_ref())?, true)
    }

    /// As [`restore`](Checkpoint::restore), for what [`write`](Checkpoint::write) wrote: without a count.
    pub fn read(&self, prefix: impl AsRef<Path>) -> Result<Status> {
        self.restore_from(&Bundle::open_on(&self.vfs, prefix.as_ref())?, false)
    }

    fn restore_from(&self, bundle: &Bundle, counts: bool) -> Result<Status> {
        let places = self.places(counts)?;
        let optional = [SAVE_COUNTER];
        let plan = match bundle.object_graph()? {
            Some(mut graph) => {
                if !counts {
                    graph.leave_out(SAVE_COUNTER);
                }
                Plan::by_graph(&places, &graph, bundle, &optional)
            }
            None => Plan::by_name(&places, bundle, &optional),
        };
        plan.carry_out(&places, bundle, self.is_partial)
    }

    /// Writes what is rank `rank`'s of a checkpoint that `ranks` processes write together, each to files of its own beside
    /// `prefix`. All of them hold the same values; [`merge`](Checkpoint::merge) makes one checkpoint of the parts.
    pub fn write_part(&self, prefix: impl AsRef<Path>, rank: usize, ranks: usize) -> Result<()> {
        if rank >= ranks {
            let message = format!("rank {rank} of {ranks} does not exist: ranks count from 0");
            return Err(Error::invalid_argument(message));
        }
        let snapshot = self.snapshot()?;
        if self.is_guarded {
            snapshot.check_finite()?;
        }
        let mut writer = bundle::BundleWriter::new_on(&self.vfs, part_of(prefix.as_ref(), rank, ranks));
        for (key, value) in snapshot.part(rank, ranks) {
            writer.add(key, value)?;
        }
        if rank == 0 {
            writer.add(OBJECT_GRAPH_KEY, &Tensor::strings([], [snapshot.graph().encode()])?)?;
        }
        writer.commit()
    }

    /// Makes one checkpoint at `prefix` out of the parts that all ranks have written, and removes the parts.
    pub fn merge(&self, prefix: impl AsRef<Path>, ranks: usize) -> Result<()> {
        let prefix = prefix.as_ref();
        let parts: Vec<PathBuf> = (0..ranks).map(|rank| part_of(prefix, rank, ranks)).collect();
        bundle::merge_on(&self.vfs, &parts, prefix)
    }

    /// All objects, the save counter among them if saves are counted.
    fn places(&self, counts: bool) -> Result<Places> {
        if scope::tracing() {
            return Err(Error::failed_precondition("checkpoints are of values, and a graph is being traced here"));
        }
        Places::of(&walk(&Roots { checkpoint: self.clone(), counts }))
    }

    /// As [`places`](Checkpoint::places), where first values may have to be drawn: they follow from paths, so that modules
    /// which stand by themselves get their names now.
    fn named_places(&self, counts: bool) -> Result<Places> {
        if let Some(root) = &self.root {
            module::name::stamp_free_standing(root.as_module(), root.default_name());
        }
        for (name, part) in &self.named {
            part.track(name, &mut Stamp);
        }
        self.places(counts)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = self.root.as_ref().map(|root| root.class_name().to_owned());
        f.debug_struct("Checkpoint").field("root", &root).field("named", &self.named.keys()).finish_non_exhaustive()
    }
}

/// `PREFIX-N`.
pub(crate) fn numbered(prefix: &Path, number: i64) -> PathBuf {
    with_suffix(prefix, &format!("-{number}"))
}

fn part_of(prefix: &Path, rank: usize, ranks: usize) -> PathBuf {
    with_suffix(prefix, &format!(".part-{rank:05}-of-{ranks:05}"))
}

/// What every variable in a checkpoint is, by key, in the order of the keys: `tf.train.list_variables`.
pub fn list_variables(prefix: impl AsRef<Path>) -> Result<Vec<(String, EntryInfo)>> {
    let bundle = Bundle::open(prefix.as_ref())?;
    Ok(bundle.entries().map(|(key, entry)| (key.to_owned(), entry.clone())).collect())
}

impl Source for Bundle {
    fn label(&self) -> String {
        self.prefix().display().to_string()
    }

    fn names(&self) -> Vec<String> {
        self.entries().map(|(key, _)| key).filter(|key| *key != OBJECT_GRAPH_KEY).map(str::to_owned).collect()
    }

    fn find(&self, name: &str) -> Option<Found> {
        let entry = self.entry(name)?;
        Some((entry.dtype.dtype().ok_or_else(|| entry.dtype.name().to_owned()), entry.shape.clone()))
    }

    fn read(&self, names: &[&str]) -> Result<Vec<Tensor>> {
        self.read_many(names)
    }
}

/// The object that holds all objects of a checkpoint.
struct Roots {
    checkpoint: Checkpoint,
    counts: bool,
}

impl Track for Roots {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.module(name, self);
    }

    fn share(&self) -> Self {
        Roots { checkpoint: self.checkpoint.clone(), counts: self.counts }
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(None)
    }

    fn from_field(_: Option<&Value>) -> Result<Self> {
        Err(Error::unimplemented("a checkpoint is no part of a config"))
    }
}

impl Module for Roots {
    fn as_module(&self) -> &dyn Module {
        self
    }

    fn class_name(&self) -> &str {
        "Checkpoint"
    }

    fn default_name(&self) -> &str {
        "checkpoint"
    }

    fn package(&self) -> &str {
        "modulor"
    }

    fn fields(&self, visitor: &mut dyn Visitor) {
        let Checkpoint { root, named, save_counter, .. } = &self.checkpoint;
        if let Some(root) = root {
            root.fields(visitor);
        }
        for (name, part) in named {
            part.track(&module::escaped(name), visitor);
        }
        if self.counts {
            visitor.variable(SAVE_COUNTER, save_counter);
        }
    }

    fn build(&self, _: &InputShapes) -> Result<()> {
        Ok(())
    }

    fn config(&self) -> Result<Config> {
        Ok(Config::new())
    }
}

/// Gives the modules that it meets, which stand by themselves, their names.
struct Stamp;

impl Visitor for Stamp {
    fn variable(&mut self, name: &str, variable: &Variable) {
        if variable.path().is_none() {
            variable.stamp(name);
        }
    }

    fn module(&mut self, _: &str, module: &dyn Module) {
        module::name::stamp_free_standing(module, module.default_name());
    }
}
