//! A bundle: TensorFlow's files `<prefix>.index` and `<prefix>.data-00000-of-00001` and so on, which hold tensors under keys.
//!
//! [`Bundle`] reads one that may be broken, or made to do harm: opening it checks all that can be checked without the data,
//! and whatever is read is compared with its checksum. [`BundleWriter`] writes one so that at any time, also after a kill
//! or a power cut, the prefix names one whole bundle: the old one, or the new one once [`commit`](BundleWriter::commit)
//! returns.
//!
//! ```
//! use modulor_core::Tensor;
//! use modulor_core::checkpoint::bundle::{Bundle, BundleWriter};
//! # fn main() -> modulor_core::Result<()> {
//! # let dir = std::env::temp_dir().join(format!("modulor-bundle-doc-{}", std::process::id()));
//! let prefix = dir.join("ckpt-1");
//! let mut writer = BundleWriter::new(&prefix);
//! writer.add("w", &Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]))?;
//! writer.add("b", &Tensor::from([0.5_f32, 0.25]))?;
//! writer.commit()?;
//!
//! let bundle = Bundle::open(&prefix)?;
//! assert_eq!(bundle.keys().collect::<Vec<_>>(), ["b", "w"]);
//! assert_eq!(bundle.entry("w").map(ToString::to_string).as_deref(), Some("float32(2, 2)"));
//! assert_eq!(bundle.read("b")?.to_vec::<f32>()?, [0.5, 0.25]);
//! assert!(bundle.verify().faults.is_empty());
//! # std::fs::remove_dir_all(&dir).expect("it is there");
//! # Ok(())
//! # }
//! ```

mod commit;
mod index;
mod merge;
mod read;
mod stored;
mod writer;

pub(super) use commit::Temporary;
pub use commit::clean_orphans;
pub(super) use commit::remove_data;
pub use merge::{merge, merge_on};
pub use read::Report;
pub use stored::{EntryInfo, Extent, Slice, StoredType};
pub use writer::BundleWriter;

use crate::nearest::suggestion;
use crate::vfs::{OpenFile, Vfs, directory_of, disk};
use crate::{Error, Result};
use index::{Checksums, Index, Slices};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The key under which a checkpoint has its object graph.
pub const OBJECT_GRAPH_KEY: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";

/// So many data files stay open; more would use up what a process may open.
const KEPT_OPEN: usize = 128;

/// The bytes of an index of more than ten million tensors.
const LONGEST_INDEX: usize = 1 << 30;

/// An open bundle. A clone is another handle to it; any number of threads may read.
///
/// What was opened stays readable, and the same, when another bundle is written under the same prefix.
#[derive(Clone)]
pub struct Bundle(Arc<Inner>);

struct Inner {
    vfs: Arc<dyn Vfs>,
    prefix: PathBuf,
    index: Index,
    shards: Vec<Shard>,
    checksums: Checksums,
}

struct Shard {
    path: PathBuf,
    len: u64,
    file: Option<Arc<dyn OpenFile>>,
}

impl Bundle {
    /// Opens `<prefix>.index` and the data files it counts.
    ///
    /// An error of kind [`NotFound`](crate::ErrorKind::NotFound) when one is missing, and of kind
    /// [`DataLoss`](crate::ErrorKind::DataLoss) when something in the index cannot be right: it names the file, the key,
    /// what was found and what was expected.
    pub fn open(prefix: impl AsRef<Path>) -> Result<Bundle> {
        Bundle::open_on(&disk(), prefix)
    }

    /// [`open`](Bundle::open) on another file system.
    pub fn open_on(vfs: &Arc<dyn Vfs>, prefix: impl AsRef<Path>) -> Result<Bundle> {
        Bundle::open_as(vfs, prefix.as_ref(), Checksums::Compared, Slices::All)
    }

    /// [`open_on`](Bundle::open_on) without comparing checksums: for fuzzing what lies behind them.
    #[doc(hidden)]
    pub fn open_unverified(vfs: &Arc<dyn Vfs>, prefix: impl AsRef<Path>) -> Result<Bundle> {
        Bundle::open_as(vfs, prefix.as_ref(), Checksums::Ignored, Slices::All)
    }

    fn open_as(vfs: &Arc<dyn Vfs>, prefix: &Path, checksums: Checksums, slices: Slices) -> Result<Bundle> {
        if cfg!(target_endian = "big") {
            return Err(Error::unimplemented("bundles are read and written on little-endian machines only"));
        }
        let path = index_path(prefix)?;
        let mut bytes = read_index(vfs, &path)?;
        // A save to the same prefix may remove the data files between our reading the index and opening them.
        for _ in 0..10 {
            let index = Index::parse(&path, &bytes, checksums, slices)?;
            let opened = open_shards(vfs, prefix, &path, &index);
            let now = read_index(vfs, &path)?;
            if now == bytes {
                let shards = opened?;
                let lengths: Vec<u64> = shards.iter().map(|shard| shard.len).collect();
                index.check_extents(&path, &lengths).map_err(|e| with_readable(e, &index, &lengths))?;
                let inner = Inner { vfs: vfs.clone(), prefix: prefix.to_owned(), index, shards, checksums };
                return Ok(Bundle(Arc::new(inner)));
            }
            bytes = now;
        }
        Err(Error::failed_precondition(format!("{}: is replaced faster than it can be opened", path.display())))
    }

    /// What it was opened by.
    pub fn prefix(&self) -> &Path {
        &self.0.prefix
    }

    /// The keys, in the order of their bytes. The object graph is one of them.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.index.entries.iter().map(|(key, _)| key.as_str())
    }

    /// What is stored under each key, in the order of the keys.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &EntryInfo)> {
        self.0.index.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// What is stored under `key`.
    pub fn entry(&self, key: &str) -> Option<&EntryInfo> {
        self.0.index.get(key)
    }

    /// As [`entry`](Bundle::entry), or an error that names the nearest key.
    fn known(&self, key: &str) -> Result<&EntryInfo> {
        self.entry(key).ok_or_else(|| {
            let keys = self.keys();
            let hint = if keys.len() > 1000 { format!("there are {}", keys.len()) } else { suggestion(key, keys) };
            Error::not_found(format!("{}: has no key {key:?}; {hint}", self.index_path().display()))
        })
    }

    /// The data files: paths and lengths.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = (&Path, u64)> {
        self.0.shards.iter().map(|shard| (shard.path.as_path(), shard.len))
    }

    /// The index file.
    pub fn index_path(&self) -> PathBuf {
        with_suffix(&self.0.prefix, ".index")
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({}, {} keys)", self.0.prefix.display(), self.0.index.entries.len())
    }
}

/// Opens all data files that the index counts, and takes their lengths.
fn open_shards(vfs: &Arc<dyn Vfs>, prefix: &Path, path: &Path, index: &Index) -> Result<Vec<Shard>> {
    let mut shards = Vec::new();
    let mut failed = None;
    let used: BTreeSet<usize> = index.entries.iter().flat_map(|(_, e)| e.extents()).map(|e| e.shard).collect();
    let mut missing = BTreeSet::new();
    for number in 0..index.shards {
        let path = shard_path(prefix, number, index.shards);
        match vfs.open(&path) {
            Ok(file) => {
                let len = file.len();
                let file = (shards.len() < KEPT_OPEN && used.contains(&number)).then_some(file);
                shards.push(Shard { path, len, file });
            }
            // More that are missing would say nothing new, and a header may count very many.
            Err(_) if failed.is_some() && !used.contains(&number) => break,
            Err(e) => {
                missing.insert(number);
                failed.get_or_insert(e);
            }
        }
    }
    let Some(error) = failed else { return Ok(shards) };
    let name = prefix.file_name().unwrap_or_default();
    let counts: BTreeSet<usize> =
        vfs.list(directory_of(prefix)).unwrap_or_default().iter().filter_map(|file| shard_count(file, name)).collect();
    let others: Vec<String> = counts.iter().filter(|&&n| n != index.shards).map(usize::to_string).collect();
    let hint = match others.is_empty() {
        true => String::new(),
        false => format!("; there are data files of a bundle of {}", others.join(", ")),
    };
    let message =
        format!("{} (needed by {}, which counts {} shards{hint})", error.message(), path.display(), index.shards);
    let readable = |(_, entry): &&(String, EntryInfo)| entry.extents().all(|e| !missing.contains(&e.shard));
    let error = Error::new(error.kind(), message);
    Err(error.note(readable_keys(index.entries.iter().filter(readable), index)))
}

/// Adds which keys are wholly inside the data that are there, where not all are.
fn with_readable(error: Error, index: &Index, lengths: &[u64]) -> Error {
    let inside = |extent: &Extent| {
        let length = lengths.get(extent.shard).copied().unwrap_or(0);
        extent.size == 0 || extent.offset.checked_add(extent.size).is_some_and(|end| end <= length)
    };
    let readable = |(_, entry): &&(String, EntryInfo)| entry.extents().all(inside);
    match index.entries.iter().all(|entry| readable(&entry)) {
        true => error,
        false => error.note(readable_keys(index.entries.iter().filter(readable), index)),
    }
}

fn readable_keys<'a>(readable: impl Iterator<Item = &'a (String, EntryInfo)>, index: &Index) -> String {
    const FEW: usize = 10;
    let keys: Vec<&str> = readable.map(|(key, _)| key.as_str()).collect();
    let few: Vec<String> = keys.iter().take(FEW).map(|key| format!("{key:?}")).collect();
    let more = if keys.len() > FEW { ", .." } else { "" };
    let list = if few.is_empty() { String::new() } else { format!(": {}{more}", few.join(", ")) };
    format!("the bytes of {} of {} tensors are there{list}", keys.len(), index.entries.len())
}

/// A whole index.
fn read_index(vfs: &Arc<dyn Vfs>, path: &Path) -> Result<Vec<u8>> {
    let file = vfs.open(path)?;
    let len = usize::try_from(file.len()).unwrap_or(usize::MAX);
    if len > LONGEST_INDEX {
        let message =
            format!("{}: has {len} bytes, and an index of more than {LONGEST_INDEX} is not read", path.display());
        return Err(Error::resource_exhausted(message));
    }
    let mut bytes = crate::tensor::room::<u8>(len)?;
    bytes.resize(len, 0);
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// What a codec found wrong with the bytes of a file.
fn damaged(path: &Path, error: &modulor_wire::Error) -> Error {
    Error::data_loss(format!("{}: {error}", path.display()))
}

/// What is wrong with an entry, with the file and the key in front.
fn at_key(path: &Path, key: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: key {key:?}: {}", path.display(), error.message()))
}

/// The prefix with more at the end of its last part.
pub(super) fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(prefix);
    path.push(suffix);
    PathBuf::from(path)
}

/// The index of a bundle; an error when the prefix does not end with a name.
fn index_path(prefix: &Path) -> Result<PathBuf> {
    let bytes = prefix.as_os_str().as_encoded_bytes();
    let named = prefix.file_name().is_some_and(|name| bytes.ends_with(name.as_encoded_bytes()));
    if !named {
        return Err(Error::invalid_argument(format!(
            "a prefix ends with the name that the files begin with, as in dir/ckpt-1, and {:?} does not",
            prefix.display().to_string()
        )));
    }
    Ok(with_suffix(prefix, ".index"))
}

fn shard_path(prefix: &Path, shard: usize, shards: usize) -> PathBuf {
    with_suffix(prefix, &format!(".data-{shard:05}-of-{shards:05}"))
}

/// Of how many a file is one, if it is a data file of the bundle called `name`.
pub(super) fn shard_count(file: &OsStr, name: &OsStr) -> Option<usize> {
    let rest = file.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?.strip_prefix(b".data-")?;
    let (shard, count) = std::str::from_utf8(rest).ok()?.split_once("-of-")?;
    let digits = |text: &str| text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit());
    (digits(shard) && digits(count)).then(|| count.parse().ok()).flatten()
}
