//! How a bundle takes the place of another: everything is written and made durable under a temporary directory beside the
//! prefix, then the data files get their names, and then the index, whose rename is the moment of the change.
//!
//! The data files of the bundle that is there are not touched: the new ones are another number of files, if need be with
//! empty ones at the end, so that their names differ. A lock on the temporary directory says that its writer lives; a
//! lock on the directory of the prefix is held while names are given, so that two writers never mix.

use super::index::{Index, MAX_SHARDS};
use super::{index_path, shard_count, shard_path};
use crate::vfs::{Lock, NewFile, Vfs, directory_of};
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A bundle, or one file of another format, that has no name yet. Dropped before it is committed, it is gone.
pub(in crate::checkpoint) struct Temporary {
    vfs: Arc<dyn Vfs>,
    prefix: PathBuf,
    path: PathBuf,
    shards: usize,
    /// The files in it.
    files: Vec<PathBuf>,
    _alive: Box<dyn Lock>,
}

impl Temporary {
    /// A new one beside `prefix`, whose directory is made if it is missing. Those that dead writers of the prefix left are
    /// removed.
    pub fn new(vfs: &Arc<dyn Vfs>, prefix: &Path) -> Result<Temporary> {
        index_path(prefix)?;
        let home = directory_of(prefix);
        make_directories(&**vfs, home)?;
        let name = prefix.file_name().unwrap_or_default();
        // While this lock is held no one takes a directory for an orphan's that is not locked yet.
        let _home = vfs.lock(home)?;
        remove_orphans(&**vfs, home, Some(name))?;
        for attempt in 0_u64.. {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".tmp-{}-{attempt}", std::process::id()));
            let path = home.join(hidden);
            match vfs.create_dir(&path) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                other => other?,
            }
            let alive = vfs.try_lock(&path).and_then(|lock| {
                lock.ok_or_else(|| Error::internal(format!("{}: is new, and locked by someone", path.display())))
            });
            let _alive = alive.inspect_err(|_| drop(vfs.remove_dir(&path)))?;
            let (vfs, prefix) = (vfs.clone(), prefix.to_owned());
            return Ok(Temporary { vfs, prefix, path, shards: 0, files: Vec::new(), _alive });
        }
        Err(Error::internal("there are more directories than can be counted"))
    }

    /// Where the next data file is to be put, by whatever way.
    pub fn next_shard(&mut self) -> PathBuf {
        let path = self.path.join(format!("data-{:05}", self.shards));
        self.shards += 1;
        self.files.push(path.clone());
        path
    }

    /// The next data file.
    pub fn create_shard(&mut self) -> Result<Box<dyn NewFile>> {
        let path = self.next_shard();
        self.vfs.create(&path)
    }

    /// Gives the one file that was made, which must be durable, the name that is the prefix itself.
    pub fn commit_file(self) -> Result<()> {
        let home = directory_of(&self.prefix);
        let _home = self.vfs.lock(home)?;
        for file in &self.files {
            self.vfs.rename(file, &self.prefix)?;
        }
        self.vfs
            .sync_dir(home)
            .map_err(|e| e.note("the new file has taken the place of the old one, but may not survive a power cut"))
    }

    /// Gives the data files, which must be durable, and this index their names; the number of data files is put in it.
    pub(super) fn commit(mut self, mut index: Index) -> Result<()> {
        let vfs = self.vfs.clone();
        let prefix = self.prefix.clone();
        let home = directory_of(&prefix);
        let name = prefix.file_name().unwrap_or_default();
        let _home = vfs.lock(home)?;
        let there: BTreeSet<usize> = vfs.list(home)?.iter().filter_map(|file| shard_count(file, name)).collect();
        let count = (self.shards..=MAX_SHARDS).find(|count| !there.contains(count)).ok_or_else(|| {
            Error::resource_exhausted(format!("{}: there are no names left for data files", prefix.display()))
        })?;
        while self.shards < count {
            self.create_shard()?.sync()?;
        }
        index.shards = count;
        let new_index = self.path.join("index");
        self.files.push(new_index.clone());
        let mut file = vfs.create(&new_index)?;
        file.write(&index.write()?)?;
        file.sync()?;
        vfs.sync_dir(&self.path)?;

        let named: Vec<PathBuf> = (0..count).map(|shard| shard_path(&prefix, shard, count)).collect();
        let change = || {
            for (from, to) in self.files.iter().zip(&named) {
                vfs.rename(from, to)?;
            }
            vfs.sync_dir(home)?;
            vfs.rename(&new_index, &index_path(&prefix)?)
        };
        if let Err(e) = change() {
            // An error says nothing was done; where that cannot be seen, the data stay.
            if vfs.exists(&new_index).unwrap_or(false) {
                named.iter().for_each(|path| drop(vfs.remove_file(path)));
            }
            return Err(e);
        }
        self.files.clear();
        vfs.sync_dir(home).map_err(|e| {
            e.note("the new bundle has taken the place of the old one, but may not survive a power cut")
        })?;
        // The bundle is there; what cannot be removed now the next commit will remove.
        remove_data(&*vfs, &prefix, |other| other != count);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        for file in &self.files {
            // Most have their names by now, or the disk is not there any more.
            drop(self.vfs.remove_file(file));
        }
        drop(self.vfs.remove_dir(&self.path));
    }
}

/// Removes the data files of a bundle of so many files; what cannot be removed stays.
pub(in crate::checkpoint) fn remove_data(vfs: &dyn Vfs, prefix: &Path, count: impl Fn(usize) -> bool) {
    let (home, name) = (directory_of(prefix), prefix.file_name().unwrap_or_default());
    for file in vfs.list(home).unwrap_or_default() {
        if shard_count(&file, name).is_some_and(&count) {
            drop(vfs.remove_file(&home.join(file)));
        }
    }
}

/// Makes a directory and those above it that are missing, all durable.
fn make_directories(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    let mut missing = Vec::new();
    let mut at = path;
    while !vfs.exists(at)? {
        missing.push(at);
        at = directory_of(at);
    }
    for path in missing.into_iter().rev() {
        match vfs.create_dir(path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            other => other?,
        }
        vfs.sync_dir(directory_of(path))?;
    }
    Ok(())
}

/// Removes the temporary directories in `dir` that bundle writers left which were killed, and returns their paths. Those of
/// writers that live, in any process, are not touched.
pub fn clean_orphans(vfs: &Arc<dyn Vfs>, dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let _home = vfs.lock(dir.as_ref())?;
    remove_orphans(&**vfs, dir.as_ref(), None)
}

/// As [`clean_orphans`], of one prefix or all; the lock of `dir` is held.
fn remove_orphans(vfs: &dyn Vfs, dir: &Path, of: Option<&OsStr>) -> Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for file in vfs.list(dir)? {
        if !is_temporary(&file, of) {
            continue;
        }
        let path = dir.join(file);
        // A lock that is held, or cannot be had, is no sign of a dead writer.
        let Ok(Some(_lock)) = vfs.try_lock(&path) else { continue };
        for file in vfs.list(&path).unwrap_or_default() {
            if file == "index" || file.as_encoded_bytes().starts_with(b"data-") {
                drop(vfs.remove_file(&path.join(file)));
            }
        }
        if vfs.remove_dir(&path).is_ok() {
            removed.push(path);
        }
    }
    Ok(removed)
}

/// Whether a file is called as a temporary directory, of a prefix called `of`.
fn is_temporary(file: &OsStr, of: Option<&OsStr>) -> bool {
    let bytes = file.as_encoded_bytes();
    let Some(hidden) = bytes.strip_prefix(b".") else { return false };
    const MARK: &[u8] = b".tmp-";
    let Some(at) = hidden.windows(MARK.len()).rposition(|window| window == MARK) else { return false };
    let Some((name, rest)) = hidden.split_at_checked(at) else { return false };
    let numbers = rest.get(MARK.len()..).unwrap_or_default();
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = numbers.split(|&byte| byte == b'-');
    let numbered = parts.next().is_some_and(digits) && parts.next().is_some_and(digits) && parts.next().is_none();
    numbered && of.is_none_or(|of| of.as_encoded_bytes() == name)
}
