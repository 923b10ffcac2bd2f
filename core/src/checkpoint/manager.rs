//! Checkpoints of a run that goes on: numbered, a few of them kept, written beside the training if wanted.

use super::directory::{Directory, Latest, Listed, State, StateFile, number_of};
use super::{Checkpoint, Snapshot, numbered};
use crate::{DType, Error, Result, Tensor, Variable};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Saves checkpoints `DIRECTORY/ckpt-N` one after another, keeps the newest, and finds the one to go on from:
/// `tf.train.CheckpointManager`.
///
/// The `checkpoint` file in the directory says which there are, and is TensorFlow's own: managers of both may take turns. It
/// is read anew each time, so that several managers, of one process or more, may share a directory; each removes only
/// checkpoints of its own name.
///
/// ```
/// # use modulor_core::{Variable, checkpoint::{Checkpoint, CheckpointManager}};
/// # fn main() -> modulor_core::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let directory = folder.path().join("training");
/// let step = Variable::new(0);
/// let manager = CheckpointManager::new(Checkpoint::default().with("step", &step), &directory).max_to_keep(2);
/// // What there is on a second run; here it is the first.
/// assert_eq!(manager.restore_or_initialize()?.path, None);
/// for _ in 0..3 {
///     step.assign_add(&1.into())?;
///     manager.save()?;
/// }
/// assert_eq!(manager.checkpoints()?, [directory.join("ckpt-2"), directory.join("ckpt-3")]);
/// # Ok(())
/// # }
/// ```
///
/// # What holds after a fault
///
/// When a save has returned, it survives a kill and a power cut. Until then, and when it fails, the checkpoints before it are
/// what they were: older ones are removed only after the new one and the state file that names it are durable.
pub struct CheckpointManager {
    folder: Folder,
    interval: Option<(i64, Variable)>,
    init_fn: Option<Box<dyn Fn() -> Result<()> + Send + Sync>>,
    asynchronous: bool,
    progress: Mutex<Progress>,
}

/// What the thread that writes needs.
#[derive(Clone)]
struct Folder {
    checkpoint: Checkpoint,
    directory: Directory,
    name: String,
    max_to_keep: Option<usize>,
    keep_every: Option<f64>,
}

/// What has happened so far; whoever holds it is the only one to begin a save.
#[derive(Default)]
struct Progress {
    /// Whether what dead writers left has been removed.
    opened: bool,
    /// The step of the last save.
    last_step: Option<i64>,
    /// The save that is being written.
    writing: Option<JoinHandle<Result<()>>>,
}

impl CheckpointManager {
    /// A manager of checkpoints in a directory, which the first save makes if it is missing. It keeps the newest five.
    pub fn new(checkpoint: Checkpoint, directory: impl Into<PathBuf>) -> CheckpointManager {
        let directory = Directory { vfs: checkpoint.vfs().clone(), path: directory.into() };
        let folder = Folder { checkpoint, directory, name: "ckpt".to_owned(), max_to_keep: Some(5), keep_every: None };
        let progress = Mutex::default();
        CheckpointManager { folder, interval: None, init_fn: None, asynchronous: false, progress }
    }

    /// Keeps so many checkpoints, or all of them; at least one.
    #[must_use]
    pub fn max_to_keep(mut self, most: impl Into<Option<usize>>) -> CheckpointManager {
        self.folder.max_to_keep = most.into();
        self
    }

    /// Of the checkpoints that [`max_to_keep`](CheckpointManager::max_to_keep) lets go, keeps for good one for every so many
    /// hours. It is not among [`checkpoints`](CheckpointManager::checkpoints) any more.
    #[must_use]
    pub fn keep_checkpoint_every_n_hours(mut self, hours: f64) -> CheckpointManager {
        self.folder.keep_every = Some(hours);
        self
    }

    /// Names the checkpoints `NAME-1`, `NAME-2` and so on, in place of `ckpt-1`.
    #[must_use]
    pub fn checkpoint_name(mut self, name: &str) -> CheckpointManager {
        name.clone_into(&mut self.folder.name);
        self
    }

    /// Saves only when `step_counter`, an integer, has grown by so many steps since the last save or restore.
    #[must_use]
    pub fn checkpoint_interval(mut self, steps: i64, step_counter: &Variable) -> CheckpointManager {
        self.interval = Some((steps, step_counter.clone()));
        self
    }

    /// What [`restore_or_initialize`](CheckpointManager::restore_or_initialize) does where there is nothing to restore.
    #[must_use]
    pub fn init_fn(mut self, init: impl Fn() -> Result<()> + Send + Sync + 'static) -> CheckpointManager {
        self.init_fn = Some(Box::new(init));
        self
    }

    /// Writes on a thread of its own: a save takes the values of the moment at which it is called, without copying any, and
    /// returns.
    ///
    /// One save is written at a time; the next waits for it. An error is returned by the next save that is due, and by
    /// [`wait`](CheckpointManager::wait) and [`close`](CheckpointManager::close), once; when a manager is dropped with one
    /// that nobody has seen, it is printed.
    ///
    /// ```
    /// # use modulor_core::{Variable, checkpoint::{Checkpoint, CheckpointManager, latest_checkpoint}};
    /// # fn main() -> modulor_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let weight = Variable::new(1.0);
    /// let checkpoint = Checkpoint::default().with("weight", &weight);
    /// let manager = CheckpointManager::new(checkpoint.clone(), folder.path()).asynchronous();
    /// let path = manager.save()?;
    /// weight.assign(&2.0_f32.into())?;
    /// manager.close()?;
    /// assert_eq!(latest_checkpoint(folder.path())?, path);
    /// checkpoint.restore(path.unwrap())?;
    /// assert_eq!(weight.value()?.item::<f32>()?, 1.0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn asynchronous(mut self) -> CheckpointManager {
        self.asynchronous = true;
        self
    }

    /// The directory of the checkpoints.
    pub fn directory(&self) -> &Path {
        &self.folder.directory.path
    }

    /// Saves to the number after [`save_counter`](Checkpoint::save_counter); gives the prefix, or `None` when the interval
    /// has not passed.
    ///
    /// The save is counted, listed, and the latest one, when it is durable; then those that are too many are removed. What
    /// cannot be removed, the next save tries again.
    ///
    /// # Errors
    ///
    /// When this one could not be written, and when the one before could not, which was written in the background: then this
    /// one was not begun. Nothing is counted in either case.
    pub fn save(&self) -> Result<Option<PathBuf>> {
        self.save_as(None)
    }

    /// As [`save`](CheckpointManager::save), with a number of the caller's: `checkpoint_number`. The save is counted all the
    /// same. A checkpoint that has the number is replaced.
    pub fn save_numbered(&self, number: u64) -> Result<Option<PathBuf>> {
        let number = i64::try_from(number).map_err(|_| {
            Error::invalid_argument(format!("the number {number} of a checkpoint is above {}", i64::MAX))
        })?;
        self.save_as(Some(number))
    }

    fn save_as(&self, number: Option<i64>) -> Result<Option<PathBuf>> {
        let mut progress = self.progress();
        let step = self.step()?;
        if let (Some((every, _)), Some(step), Some(last)) = (&self.interval, step, progress.last_step)
            && step.saturating_sub(last) < *every
        {
            return Ok(None);
        }
        progress.settle()?;
        self.open(&mut progress)?;
        let (count, snapshot) = self.folder.checkpoint.next()?;
        let path = numbered(&self.folder.directory.prefix(&self.folder.name), number.unwrap_or(count));
        if self.asynchronous {
            let (folder, path) = (self.folder.clone(), path.clone());
            let thread = thread::Builder::new().name("checkpoint".to_owned());
            let spawned = thread.spawn(move || folder.save(&snapshot, count, &path));
            let failed =
                |e| Error::resource_exhausted(format!("the thread that writes a checkpoint did not start: {e}"));
            progress.writing = Some(spawned.map_err(failed)?);
        } else {
            self.folder.save(&snapshot, count, &path)?;
        }
        progress.last_step = step;
        Ok(Some(path))
    }

    /// The prefixes of the checkpoints that are kept, oldest first; those that are kept for good are not among them.
    pub fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        let Folder { directory, name, .. } = &self.folder;
        let names = match directory.state_file()? {
            StateFile::Read(state) => state.listed.into_iter().map(|listed| listed.name).collect(),
            StateFile::Missing | StateFile::Unusable(_) => directory.scan(Some(name))?,
        };
        let mut there = Vec::new();
        for name in names {
            if directory.has_index(&name)? {
                there.push(directory.prefix(&name));
            }
        }
        Ok(there)
    }

    /// The prefix of the latest checkpoint: see [`latest_checkpoint`](super::latest_checkpoint()).
    pub fn latest_checkpoint(&self) -> Result<Option<PathBuf>> {
        self.folder.directory.latest(Some(&self.folder.name))
    }

    /// The latest checkpoint that is whole: every byte is compared with its checksum. Where one is damaged or missing, the
    /// one before it is looked at: first those that the state file lists, then others of this manager's name.
    pub fn latest_usable(&self) -> Result<Latest> {
        self.folder.directory.latest_usable(&self.folder.name)
    }

    /// Restores the latest checkpoint that is whole, and says which it was and what was skipped; where there is none, runs
    /// the function given to [`init_fn`](CheckpointManager::init_fn).
    ///
    /// # Errors
    ///
    /// When there are checkpoints and all are damaged, and when the one found does not fit: see
    /// [`Checkpoint::restore`](Checkpoint::restore). Then nothing was restored.
    pub fn restore_or_initialize(&self) -> Result<Latest> {
        let mut progress = self.progress();
        progress.settle()?;
        self.open(&mut progress)?;
        let latest = self.latest_usable()?;
        match &latest.path {
            Some(path) => {
                // What does not match is an error, unless the checkpoint was told to leave it be.
                let _status = self.folder.checkpoint.restore(path)?;
                progress.last_step = self.step()?;
            }
            None if latest.skipped.is_empty() => {
                drop(progress);
                if let Some(init) = &self.init_fn {
                    init()?;
                }
            }
            None => {
                let message = format!(
                    "{}: there are checkpoints, and none can be restored; an empty directory is one to begin in",
                    self.directory().display()
                );
                let error = Error::data_loss(message);
                return Err(latest.skipped.iter().fold(error, |error, (_, why)| error.note(why.to_string())));
            }
        }
        Ok(latest)
    }

    /// Returns when the last save is written, with its error.
    pub fn wait(&self) -> Result<()> {
        self.progress().settle()
    }

    /// Ends the manager: as [`wait`](CheckpointManager::wait).
    pub fn close(self) -> Result<()> {
        self.wait()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // What a panic of another thread left is no half state: each field is set by itself.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The step of now, if an interval is set.
    fn step(&self) -> Result<Option<i64>> {
        let step = |(_, counter): &(i64, Variable)| counter.value()?.cast(DType::I64)?.item::<i64>();
        self.interval.as_ref().map(step).transpose()
    }

    /// Before the first use: checks the settings, and removes what dead writers left.
    fn open(&self, progress: &mut Progress) -> Result<()> {
        if progress.opened {
            return Ok(());
        }
        let Folder { directory, name, max_to_keep, keep_every, .. } = &self.folder;
        if *max_to_keep == Some(0) {
            return Err(Error::invalid_argument("max_to_keep is 0: at least the newest checkpoint is kept"));
        }
        if let Some(hours) = keep_every.filter(|hours| hours.is_nan() || *hours <= 0.0) {
            return Err(Error::invalid_argument(format!(
                "keep_checkpoint_every_n_hours is {hours}, and must be above 0"
            )));
        }
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name.as_str()) {
            let message = format!("checkpoint_name is {name:?}, and must be the name of a file, without a directory");
            return Err(Error::invalid_argument(message));
        }
        // What cannot be removed is in nobody's way.
        drop(directory.clean(name));
        progress.opened = true;
        Ok(())
    }
}

impl Progress {
    /// Waits for the save that is being written; an error is given once.
    fn settle(&mut self) -> Result<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let written = writing.join().unwrap_or_else(|panic| {
            let text =
                panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(|text| &**text));
            Err(Error::internal(format!(
                "the thread that wrote a checkpoint panicked: {}",
                text.unwrap_or("without a text")
            )))
        });
        // The interval since a save that failed is no reason not to save.
        written.inspect_err(|_| self.last_step = None)
    }
}

impl Folder {
    /// Writes a checkpoint, lists it, counts it, and removes those that are too many.
    fn save(&self, snapshot: &Snapshot, count: i64, path: &Path) -> Result<()> {
        self.checkpoint.write_snapshot(snapshot, path)?;
        let _lock = self.directory.vfs.lock(&self.directory.path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !self.directory.has_index(&name)? {
            let message = format!("{}: was removed by another manager of the directory", path.display());
            return Err(
                Error::failed_precondition(message).note("managers that share a directory need names of their own")
            );
        }
        let state = self.directory.list(&name)?;
        self.checkpoint.save_counter().assign(&Tensor::scalar(count))?;
        // The checkpoint is there, and the latest: what goes wrong from here on is of those that are not wanted any more.
        drop(self.sweep(state));
        Ok(())
    }

    /// Removes the oldest checkpoints while there are too many, and lists the others; the lock of the directory is held, and
    /// `state` is durable.
    fn sweep(&self, state: State) -> Result<()> {
        let State { latest, listed, mut last_preserved } = state;
        let is_own = |listed: &Listed| number_of(&listed.name, Some(&self.name)).is_some();
        let own = listed.iter().filter(|listed| is_own(listed)).count();
        let Some(mut over) = self.max_to_keep.and_then(|most| own.checked_sub(most)).filter(|over| *over > 0) else {
            return Ok(());
        };
        let mut kept = Vec::new();
        for listed in listed {
            if over == 0 || !is_own(&listed) {
                kept.push(listed);
                continue;
            }
            over -= 1;
            if self.keep_every.is_some_and(|hours| listed.written - hours * 3600.0 >= last_preserved) {
                last_preserved = listed.written;
            } else if self.directory.remove(&listed.name).is_err() {
                kept.push(listed);
            }
        }
        // What is not listed any more must not come back.
        self.directory.vfs.sync_dir(&self.directory.path)?;
        self.directory.write_state(&State { latest, listed: kept, last_preserved })
    }
}

impl Drop for CheckpointManager {
    fn drop(&mut self) {
        if let Err(e) = self.progress().settle() {
            eprintln!("{}: the last checkpoint was not saved: {e}", self.directory().display());
        }
    }
}

impl fmt::Debug for CheckpointManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Folder { directory, name, max_to_keep, .. } = &self.folder;
        f.debug_struct("CheckpointManager")
            .field("directory", &directory.path)
            .field("checkpoint_name", name)
            .field("max_to_keep", max_to_keep)
            .finish_non_exhaustive()
    }
}
