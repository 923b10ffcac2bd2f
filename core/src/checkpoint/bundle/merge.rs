//! Several bundles become one, as those that the processes of one training wrote.

use super::commit::{Temporary, remove_data};
use super::index::{Checksums, Index, Slices};
use super::read::CHUNK;
use super::stored::EntryInfo;
use super::{Bundle, at_key, read_index};
use crate::vfs::{Vfs, disk};
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::Arc;

/// Makes one bundle of several, as TensorFlow's `MergeBundles`: its data files are theirs, numbered anew, and its keys are
/// theirs together. Slices of one tensor may be in several of them, and must be complete together.
///
/// The bundle takes the place of the one that `to` names as [`commit`](super::BundleWriter::commit) does; after that the
/// parts are removed. When it fails, the parts and what was there before are as they were. An error of kind
/// [`AlreadyExists`](ErrorKind::AlreadyExists) names a key that two of them have.
pub fn merge<P: AsRef<Path>>(parts: &[P], to: impl AsRef<Path>) -> Result<()> {
    merge_on(&disk(), parts, to)
}

/// [`merge`] on another file system.
pub fn merge_on<P: AsRef<Path>>(vfs: &Arc<dyn Vfs>, parts: &[P], to: impl AsRef<Path>) -> Result<()> {
    let to = to.as_ref();
    if parts.is_empty() {
        return Err(Error::invalid_argument("there is no bundle to merge"));
    }
    let open = |part: &P| Bundle::open_as(vfs, part.as_ref(), Checksums::Compared, Slices::Some);
    let parts = parts.iter().map(open).collect::<Result<Vec<_>>>()?;
    let index = unite(&parts)?;
    let mut temporary = Temporary::new(vfs, to)?;
    for part in &parts {
        for (path, _) in part.shards() {
            let target = temporary.next_shard();
            match vfs.link(path, &target) {
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Internal) => return Err(e),
                // Not every file system has links.
                Err(_) => copy(&**vfs, path, &target)?,
                Ok(()) => {}
            }
        }
    }
    let before = parts.iter().map(|part| read_index(vfs, &part.index_path())).collect::<Result<Vec<_>>>()?;
    temporary.commit(index)?;
    for (part, before) in parts.iter().zip(&before) {
        // One of them may have been the target.
        if read_index(vfs, &part.index_path()).is_ok_and(|now| now == *before) {
            let shards = part.shards().len();
            drop(vfs.remove_file(&part.index_path()));
            remove_data(&**vfs, part.prefix(), |count| count == shards);
        }
    }
    Ok(())
}

/// The entries of all, with the places of their data files among all.
fn unite(parts: &[Bundle]) -> Result<Index> {
    let mut entries: BTreeMap<String, (EntryInfo, &Bundle)> = BTreeMap::new();
    let mut shards = 0;
    for part in parts {
        for (key, entry) in part.entries() {
            let mut entry = entry.clone();
            entry.extent.shard += if entry.slices.is_empty() { shards } else { 0 };
            entry.slices.iter_mut().for_each(|slice| slice.extent.shard += shards);
            match entries.entry(key.to_owned()) {
                Entry::Vacant(place) => drop(place.insert((entry, part))),
                Entry::Occupied(mut place) => {
                    let (known, other) = place.get_mut();
                    let both = !known.slices.is_empty() && !entry.slices.is_empty();
                    if !both || (known.dtype, &known.shape) != (entry.dtype, &entry.shape) {
                        let (a, b) = (other.prefix().display(), part.prefix().display());
                        let message = format!("key {key:?} is in {a} as {known} and in {b} as {entry}");
                        return Err(Error::already_exists(message));
                    }
                    known.slices.append(&mut entry.slices);
                }
            }
        }
        shards += part.shards().len();
    }
    for (key, (entry, part)) in &entries {
        entry.check_slices(Slices::All).map_err(|e| at_key(part.prefix(), key, &e))?;
    }
    let entries = entries.into_iter().map(|(key, (entry, _))| (key, entry)).collect();
    Ok(Index { shards, entries })
}

/// The bytes of a file, durable, under another name.
fn copy(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<()> {
    let from = vfs.open(from)?;
    let mut to = vfs.create(to)?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < from.len() {
        let left = usize::try_from(from.len().saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
        let Some(chunk) = buffer.get_mut(..left) else { break };
        from.read_at(chunk, at)?;
        to.write(chunk)?;
        at = at.saturating_add(chunk.len() as u64);
    }
    to.sync()
}
