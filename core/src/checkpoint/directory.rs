//! A directory of checkpoints: the `checkpoint` file that says which there are, and the files themselves.

use super::bundle::{self, Bundle};
use crate::vfs::{self, Vfs};
use crate::{Error, ErrorKind, Result};
use modulor_wire::state::CheckpointState;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::SystemTime;

/// The name of the state file.
const STATE_FILE: &str = "checkpoint";

/// What the state file is called until it is whole; only who holds the lock of the directory makes one.
const NEW_STATE_FILE: &str = ".checkpoint.tmp";

/// Longer state files are not read: this one lists some 200,000 checkpoints.
const MAX_STATE_BYTES: u64 = 16 << 20;

/// A checkpoint that a state file lists.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    /// The last part of its path.
    pub name: String,
    /// When it was written, in seconds since 1970.
    pub written: f64,
}

/// What a state file says; all names are of the directory itself. What it lists without times no manager wrote, nor may
/// remove: that is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub latest: Option<String>,
    /// Oldest first.
    pub listed: Vec<Listed>,
    /// When the last of those was written that are kept for good.
    pub last_preserved: f64,
}

/// What there is of a state file.
pub(super) enum StateFile {
    Missing,
    /// It is no state file, or it leads out of the directory.
    Unusable(Error),
    Read(State),
}

/// The checkpoint to go on from, and what stood before it.
///
/// [`CheckpointManager::latest_usable`](super::CheckpointManager::latest_usable) gives it.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// The prefix of the newest checkpoint of which every byte is as it was written; `None` when there is none.
    pub path: Option<PathBuf>,
    /// The newer ones, newest first, each with what is wrong with it; before them the state file, if it could not be used.
    pub skipped: Vec<(PathBuf, Error)>,
}

/// The prefix of the latest checkpoint in a directory, as its state file names it: `tf.train.latest_checkpoint`.
///
/// The state file is followed only to checkpoints that are there, in the directory itself. Without it, and when it cannot
/// be used, the latest is the one with the highest number. Whether it is whole is not looked at:
/// [`CheckpointManager::latest_usable`](super::CheckpointManager::latest_usable) does that, and says what it skipped.
///
/// ```
/// # use modulor_core::{Variable, checkpoint::{Checkpoint, CheckpointManager, latest_checkpoint}};
/// # fn main() -> modulor_core::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// let directory = folder.path().join("training");
/// assert_eq!(latest_checkpoint(&directory)?, None);
///
/// let step = Variable::new(7);
/// let manager = CheckpointManager::new(Checkpoint::default().with("step", &step), &directory);
/// manager.save()?;
/// manager.save()?;
/// assert_eq!(latest_checkpoint(&directory)?, Some(directory.join("ckpt-2")));
/// # Ok(())
/// # }
/// ```
pub fn latest_checkpoint(directory: impl AsRef<Path>) -> Result<Option<PathBuf>> {
    Directory { vfs: vfs::disk(), path: directory.as_ref().to_owned() }.latest(None)
}

#[derive(Clone)]
pub(super) struct Directory {
    pub vfs: Arc<dyn Vfs>,
    pub path: PathBuf,
}

impl Directory {
    /// The prefix of the checkpoint of this name.
    pub fn prefix(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn has_index(&self, name: &str) -> Result<bool> {
        self.vfs.exists(&self.prefix(&format!("{name}.index")))
    }

    fn names(&self) -> Result<Vec<String>> {
        match self.vfs.list(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            // Whatever is not UTF-8 has no name that a manager gives.
            names => Ok(names?.into_iter().filter_map(|name| name.into_string().ok()).collect()),
        }
    }

    /// The checkpoints called `NAME-N`, of one name or of all, by their index files; in the order of their numbers.
    pub fn scan(&self, of: Option<&str>) -> Result<Vec<String>> {
        let files = self.names()?;
        let names = files.iter().filter_map(|file| file.strip_suffix(".index"));
        let mut numbered: Vec<(u64, &str)> = names.filter_map(|name| Some((number_of(name, of)?, name))).collect();
        numbered.sort_unstable();
        Ok(numbered.into_iter().map(|(_, name)| name.to_owned()).collect())
    }

    /// Reads the state file; an error is one of reading, not of what it says.
    pub fn state_file(&self) -> Result<StateFile> {
        let path = self.path.join(STATE_FILE);
        let file = match self.vfs.open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(StateFile::Missing),
            file => file?,
        };
        if file.len() > MAX_STATE_BYTES {
            let message =
                format!("{}: has {} bytes, and a state file at most {MAX_STATE_BYTES}", path.display(), file.len());
            return Ok(StateFile::Unusable(Error::data_loss(message)));
        }
        let mut bytes = vec![0; usize::try_from(file.len()).unwrap_or_default()];
        file.read_at(&mut bytes, 0)?;
        let state = match String::from_utf8(bytes) {
            Ok(text) => CheckpointState::parse(&text).map_err(|e| e.message().to_owned()),
            Err(e) => Err(format!("is no text: {}", e.utf8_error())),
        };
        let state = state.and_then(|state| self.checked(state));
        Ok(match state {
            Ok(state) => StateFile::Read(state),
            Err(why) => StateFile::Unusable(Error::data_loss(format!("{}: {why}", path.display()))),
        })
    }

    /// A state of which every path leads to a checkpoint of this directory.
    fn checked(&self, state: CheckpointState) -> Result<State, String> {
        let CheckpointState { model_checkpoint_path, all_model_checkpoint_paths: paths, .. } = state;
        let names = paths.iter().map(|path| self.own(path)).collect::<Result<Vec<_>, String>>()?;
        let times = state.all_model_checkpoint_timestamps;
        let times = if times.len() == names.len() { times } else { Vec::new() };
        let latest = match &*model_checkpoint_path {
            "" => None,
            path => Some(self.own(path)?),
        };
        let listed = names.into_iter().zip(times).map(|(name, written)| Listed { name, written }).collect();
        Ok(State { latest, listed, last_preserved: state.last_preserved_timestamp })
    }

    /// The name of the checkpoint at a path of a state file; an error when it is not in this directory.
    fn own(&self, path: &str) -> Result<String, String> {
        let mut inside = Path::new(path);
        let home = absolute(&self.path);
        if inside.is_absolute() {
            inside = home.as_ref().ok().and_then(|home| inside.strip_prefix(home).ok()).unwrap_or(inside);
        }
        let mut parts = inside.components().filter(|part| *part != Component::CurDir);
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(name)), None) => Ok(name.to_string_lossy().into_owned()),
            _ => Err(format!("names {path:?}, which is not in its directory, and is not followed")),
        }
    }

    /// Makes a checkpoint that is there the latest one of the state file; the lock of the directory is held.
    pub fn list(&self, name: &str) -> Result<State> {
        let now = now();
        let mut state = match self.state_file()? {
            StateFile::Read(state) => state,
            // As TensorFlow, a little earlier, so that the first checkpoint is later than this.
            StateFile::Missing | StateFile::Unusable(_) => State { last_preserved: now - 1.0, ..State::default() },
        };
        state.listed.retain(|listed| listed.name != name);
        // The clock may have been set back.
        state.last_preserved = state.last_preserved.min(now);
        state.listed.iter_mut().for_each(|listed| listed.written = listed.written.min(now));
        state.listed.push(Listed { name: name.to_owned(), written: now });
        state.latest = Some(name.to_owned());
        self.write_state(&state)?;
        Ok(state)
    }

    /// Makes this the state file, durably; the lock of the directory is held.
    pub fn write_state(&self, state: &State) -> Result<()> {
        let text = CheckpointState {
            model_checkpoint_path: state.latest.clone().unwrap_or_default(),
            all_model_checkpoint_paths: state.listed.iter().map(|listed| listed.name.clone()).collect(),
            all_model_checkpoint_timestamps: state.listed.iter().map(|listed| listed.written).collect(),
            last_preserved_timestamp: state.last_preserved,
        }
        .print();
        self.remove_new_state()?;
        let new = self.path.join(NEW_STATE_FILE);
        let replaced = self.vfs.create(&new).and_then(|mut file| {
            file.write(text.as_bytes())?;
            file.sync()?;
            drop(file);
            self.vfs.rename(&new, &self.path.join(STATE_FILE))
        });
        replaced.inspect_err(|_| drop(self.remove_new_state()))?;
        self.vfs.sync_dir(&self.path)
    }

    fn remove_new_state(&self) -> Result<()> {
        let new = self.path.join(NEW_STATE_FILE);
        if self.vfs.exists(&new)? { self.vfs.remove_file(&new) } else { Ok(()) }
    }

    /// The names of all checkpoints, the latest first, and why the state file could not be used, if so: those that it lists,
    /// newest first, and then those that it does not, the highest number first.
    fn newest_first(&self, of: Option<&str>) -> Result<(Vec<String>, Option<Error>)> {
        let (state, unusable) = match self.state_file() {
            Ok(StateFile::Read(state)) => (state, None),
            Ok(StateFile::Missing) => (State::default(), None),
            Ok(StateFile::Unusable(e)) | Err(e) => (State::default(), Some(e)),
        };
        let listed = state.listed.into_iter().rev().map(|listed| listed.name);
        let mut seen = BTreeSet::new();
        let names = state.latest.into_iter().chain(listed).chain(self.scan(of)?.into_iter().rev());
        Ok((names.filter(|name| seen.insert(name.clone())).collect(), unusable))
    }

    /// See [`latest_checkpoint`]; checkpoints without a state file are looked for under one name, or all.
    pub fn latest(&self, of: Option<&str>) -> Result<Option<PathBuf>> {
        for name in self.newest_first(of)?.0 {
            if self.has_index(&name)? {
                return Ok(Some(self.prefix(&name)));
            }
        }
        Ok(None)
    }

    /// The newest checkpoint that is whole.
    pub fn latest_usable(&self, of: &str) -> Result<Latest> {
        let (names, unusable) = self.newest_first(Some(of))?;
        let mut latest = Latest::default();
        latest.skipped.extend(unusable.map(|e| (self.path.join(STATE_FILE), e)));
        for name in names {
            let prefix = self.prefix(&name);
            match self.verified(&prefix) {
                Ok(()) => {
                    latest.path = Some(prefix);
                    break;
                }
                // That says nothing of the checkpoint.
                Err(e) if e.kind() == ErrorKind::ResourceExhausted => return Err(e),
                Err(e) => latest.skipped.push((prefix, e)),
            }
        }
        Ok(latest)
    }

    fn verified(&self, prefix: &Path) -> Result<()> {
        let mut faults = Bundle::open_on(&self.vfs, prefix)?.verify().faults.into_iter();
        let Some(first) = faults.next() else { return Ok(()) };
        Err(match faults.len() {
            0 => first,
            more => first.note(format!("and {more} more tensors")),
        })
    }

    /// Removes the files of a checkpoint, the index first: without it nobody takes the others for a checkpoint.
    pub fn remove(&self, name: &str) -> Result<()> {
        if self.has_index(name)? {
            self.vfs.remove_file(&self.prefix(&format!("{name}.index")))?;
        }
        let files = self.names()?;
        let mut data = files.iter().filter(|file| bundle::shard_count(file.as_ref(), name.as_ref()).is_some());
        data.try_for_each(|file| self.vfs.remove_file(&self.path.join(file)))
    }

    /// Removes what killed writers left of checkpoints of this name: temporary files, and data that no index counts.
    pub fn clean(&self, of: &str) -> Result<()> {
        if !self.vfs.exists(&self.path)? {
            return Ok(());
        }
        bundle::clean_orphans(&self.vfs, &self.path)?;
        // Who holds the lock gives data files and their index names; without it, what looks like a rest may be a beginning.
        let _lock = self.vfs.lock(&self.path)?;
        self.remove_new_state()?;
        let files = self.names()?;
        let mut counts: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for file in &files {
            let Some((name, _)) = file.rsplit_once(".data-") else { continue };
            if let (Some(_), Some(count)) =
                (number_of(name, Some(of)), bundle::shard_count(file.as_ref(), name.as_ref()))
            {
                counts.entry(name).or_default().insert(count);
            }
        }
        for (name, counts) in counts {
            let prefix = self.prefix(name);
            if !self.has_index(name)? {
                self.remove(name)?;
            } else if counts.len() > 1
                && let Ok(bundle) = Bundle::open_on(&self.vfs, &prefix)
            {
                bundle::remove_data(&*self.vfs, &prefix, |count| count != bundle.shards().len());
            }
        }
        Ok(())
    }
}

/// The number of a checkpoint called `NAME-N`, of this name if one is given.
pub(super) fn number_of(name: &str, of: Option<&str>) -> Option<u64> {
    let (head, digits) = name.rsplit_once('-')?;
    let number: u64 = digits.parse().ok().filter(|number: &u64| number.to_string() == digits)?;
    (!head.is_empty() && of.is_none_or(|of| of == head)).then_some(number)
}

/// The time of the system's clock, in seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
