//! Reading tensors out of a bundle, every byte of them compared with its checksum.

use super::index::Checksums;
use super::stored::{EntryInfo, Extent, Slice, StoredType, stored_size};
use super::{Bundle, OBJECT_GRAPH_KEY, Shard};
use crate::tensor::{Layout, Plain, Storage, Text, room};
use crate::vfs::OpenFile;
use crate::{DType, Error, Result, Tensor};
use modulor_wire::crc::{append, mask};
use modulor_wire::strings;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Bytes read at a time: few enough that they are still in the cache when their checksum is taken.
pub(super) const CHUNK: usize = 512 << 10;

/// Fewer bytes are read faster than threads are started.
const WORTH_THREADS: u64 = 4 << 20;

/// Copying out of the system's cache gains nothing from more.
const MOST_THREADS: usize = 8;

/// While one waits for the disk, another takes a checksum.
const THREADS_PER_CORE: usize = 2;

/// What [`Bundle::verify`] found.
#[derive(Debug)]
pub struct Report {
    /// The tensors that were looked at.
    pub entries: usize,
    /// The bytes of theirs.
    pub bytes: u64,
    /// What is wrong, in the order of the keys; each names file, key and offset.
    pub faults: Vec<Error>,
}

impl Bundle {
    /// The tensor under `key`.
    ///
    /// An error of kind [`NotFound`](crate::ErrorKind::NotFound) when there is none, of kind
    /// [`DataLoss`](crate::ErrorKind::DataLoss) when its bytes are not those that were written, and of kind
    /// [`Unimplemented`](crate::ErrorKind::Unimplemented) when no tensor has its [type](super::StoredType).
    pub fn read(&self, key: &str) -> Result<Tensor> {
        self.read_entry(key, self.known(key)?)
    }

    /// The tensors under these keys, in the same order; several threads read where there is much.
    pub fn read_many<K: AsRef<str> + Sync>(&self, keys: &[K]) -> Result<Vec<Tensor>> {
        let entries =
            keys.iter().map(|key| Ok((key.as_ref(), self.known(key.as_ref())?))).collect::<Result<Vec<_>>>()?;
        let bytes = entries.iter().map(|(_, entry)| entry.size()).fold(0, u64::saturating_add);
        let read = in_parallel(&entries, bytes, |&(key, entry)| self.read_entry(key, entry));
        read.into_iter().collect()
    }

    /// The bytes of a tensor of any type but strings, as they are stored: little-endian, in row-major order.
    ///
    /// As [`read`](Bundle::read), and it also gives those that no tensor has the type of.
    pub fn read_bytes(&self, key: &str) -> Result<Vec<u8>> {
        let entry = self.known(key)?;
        if entry.dtype.is_string() {
            let message = format!("{}: key {key:?}: strings are not plain bytes", self.prefix().display());
            return Err(Error::invalid_argument(message));
        }
        let plain = self.read_plain(key, entry)?;
        Ok(plain.bytes().to_vec())
    }

    /// The serialized object graph, if the bundle is a checkpoint that has one.
    pub fn object_graph_bytes(&self) -> Result<Option<Vec<u8>>> {
        if self.entry(OBJECT_GRAPH_KEY).is_none() {
            return Ok(None);
        }
        let stored = self.read(OBJECT_GRAPH_KEY)?;
        if stored.dtype() != DType::String || stored.rank() != Some(0) {
            let spec = stored.spec();
            let message = format!("expected one string that is an object graph, found {spec}");
            return Err(super::at_key(&self.index_path(), OBJECT_GRAPH_KEY, &Error::data_loss(message)));
        }
        Ok(stored.to_strings()?.first().map(|text| text.to_vec()))
    }

    /// Reads everything there is and compares it with its checksums.
    pub fn verify(&self) -> Report {
        let entries: Vec<_> = self.entries().collect();
        let bytes = entries.iter().map(|(_, entry)| entry.size()).fold(0, u64::saturating_add);
        let checked = in_parallel(&entries, bytes, |&(key, entry)| self.verify_entry(key, entry));
        let faults = checked.into_iter().filter_map(Result::err).collect();
        Report { entries: entries.len(), bytes, faults }
    }

    fn verify_entry(&self, key: &str, entry: &EntryInfo) -> Result<()> {
        if entry.dtype.is_string() {
            return self.read_entry(key, entry).map(|_| ());
        }
        let bools = entry.dtype.dtype() == Some(DType::Bool);
        for extent in entry.extents() {
            self.stream(key, extent, &mut |chunk| match bools {
                true => only_bools(chunk),
                false => Ok(()),
            })?;
        }
        Ok(())
    }

    /// Gives all bytes of an extent, in chunks; the checksum is compared at the end.
    pub(super) fn stream(&self, key: &str, extent: &Extent, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (shard, file) = self.file(extent)?;
        let mut buffer = vec![0; CHUNK.min(usize::try_from(extent.size).unwrap_or(CHUNK))];
        let (mut crc, mut done) = (0, 0);
        while done < extent.size {
            let left = usize::try_from(extent.size.saturating_sub(done)).unwrap_or(usize::MAX);
            let Some(chunk) = buffer.get_mut(..left.min(CHUNK)) else { break };
            file.read_at(chunk, extent.offset.saturating_add(done))?;
            crc = append(crc, chunk);
            done = done.saturating_add(chunk.len() as u64);
            take(chunk).map_err(|e| in_shard(shard, key, extent, &e))?;
        }
        self.compare(shard, key, extent, crc)
    }

    fn read_entry(&self, key: &str, entry: &EntryInfo) -> Result<Tensor> {
        let Some(dtype) = entry.dtype.dtype() else {
            return Err(Error::unimplemented(format!(
                "{}: key {key:?}: no tensor here has elements of {}; they can be copied as they are",
                self.index_path().display(),
                entry.dtype
            )));
        };
        if dtype == DType::String {
            return self.read_strings(key, entry);
        }
        let plain = self.read_plain(key, entry)?;
        Ok(Tensor::plain(dtype, entry.shape.clone(), plain))
    }

    /// The elements, whatever they are but strings.
    fn read_plain(&self, key: &str, entry: &EntryInfo) -> Result<Plain> {
        let (dtype, size) = (entry.dtype, entry.dtype.size());
        let bytes = usize::try_from(stored_size(dtype, &entry.shape)?).unwrap_or(usize::MAX);
        let mut plain = Plain::unfilled(bytes)?;
        if entry.slices.is_empty() {
            self.read_extent(key, dtype, &entry.extent, plain.bytes_mut())?;
        }
        for slice in &entry.slices {
            let whole = plain.bytes_mut();
            let mut runs = Runs::new(&entry.shape, slice);
            if let Some(run) = runs.only() {
                let target = whole.get_mut(run.to * size..(run.to + run.len) * size).ok_or_else(outside)?;
                self.read_extent(key, dtype, &slice.extent, target)?;
                continue;
            }
            let mut bytes = filled(&slice.extent)?;
            self.read_extent(key, dtype, &slice.extent, &mut bytes)?;
            runs.each(&mut |Run { from, to, len }| {
                let source = bytes.get(from * size..(from + len) * size).ok_or_else(outside)?;
                whole.get_mut(to * size..(to + len) * size).ok_or_else(outside)?.copy_from_slice(source);
                Ok(())
            })?;
        }
        Ok(plain)
    }

    fn read_strings(&self, key: &str, entry: &EntryInfo) -> Result<Tensor> {
        let mut elements: Vec<Text> = room(entry.elements())?;
        if entry.slices.is_empty() {
            self.each_string(key, &entry.extent, entry.elements(), &mut |text| elements.push(text))?;
        } else {
            elements.resize(entry.elements(), Text::from([]));
        }
        for slice in &entry.slices {
            let mut part: Vec<Text> = Vec::new();
            self.each_string(key, &slice.extent, slice.shape.iter().product(), &mut |text| part.push(text))?;
            Runs::new(&entry.shape, slice).each(&mut |Run { from, to, len }| {
                let source = part.get(from..from + len).ok_or_else(outside)?;
                elements.get_mut(to..to + len).ok_or_else(outside)?.clone_from_slice(source);
                Ok(())
            })?;
        }
        let layout = Layout::contiguous(entry.shape.clone());
        Ok(Tensor::value(DType::String, layout, Arc::new(Storage::Text(elements))))
    }

    /// Gives all strings of an extent, and returns the bytes that they are stored as.
    pub(super) fn each_string(
        &self,
        key: &str,
        extent: &Extent,
        count: usize,
        take: &mut dyn FnMut(Text),
    ) -> Result<Vec<u8>> {
        let (shard, file) = self.file(extent)?;
        let mut bytes = filled(extent)?;
        file.read_at(&mut bytes, extent.offset)?;
        let texts = match self.0.checksums {
            Checksums::Compared => strings::decode(&bytes, count, extent.crc32c),
            Checksums::Ignored => strings::decode_unverified(&bytes, count),
        };
        let texts = texts.map_err(|e| in_shard(shard, key, extent, &Error::data_loss(e.to_string())))?;
        texts.into_iter().for_each(|text| take(Text::from(text)));
        Ok(bytes)
    }

    /// Fills a buffer that is as long as the extent.
    fn read_extent(&self, key: &str, dtype: StoredType, extent: &Extent, buffer: &mut [u8]) -> Result<()> {
        let (shard, file) = self.file(extent)?;
        let (mut crc, mut at) = (0, extent.offset);
        for chunk in buffer.chunks_mut(CHUNK) {
            file.read_at(chunk, at)?;
            crc = append(crc, chunk);
            at = at.saturating_add(chunk.len() as u64);
            if dtype.dtype() == Some(DType::Bool) {
                only_bools(chunk).map_err(|e| in_shard(shard, key, extent, &e))?;
            }
        }
        self.compare(shard, key, extent, crc)
    }

    fn compare(&self, shard: &Shard, key: &str, extent: &Extent, crc: u32) -> Result<()> {
        let found = mask(crc);
        if found == extent.crc32c || self.0.checksums == Checksums::Ignored {
            return Ok(());
        }
        let stored = match extent.crc32c {
            // A checksum may be zero, and then it is not written either.
            0 => "none is stored".to_owned(),
            stored => format!("stored is {stored:#010x}"),
        };
        let message = format!("their checksum is {found:#010x}, and {stored}");
        Err(in_shard(shard, key, extent, &Error::data_loss(message)))
    }

    fn file(&self, extent: &Extent) -> Result<(&Shard, Arc<dyn OpenFile>)> {
        let shard = self.0.shards.get(extent.shard).ok_or_else(outside)?;
        if let Some(file) = &shard.file {
            return Ok((shard, file.clone()));
        }
        let file = self.0.vfs.open(&shard.path)?;
        if file.len() != shard.len {
            let (then, now) = (shard.len, file.len());
            let message = format!("{}: had {then} bytes when it was opened, and has {now} now", shard.path.display());
            return Err(Error::data_loss(message));
        }
        Ok((shard, file))
    }
}

/// What is wrong with the bytes of an extent: file, key and offset in front.
fn in_shard(shard: &Shard, key: &str, extent: &Extent, error: &Error) -> Error {
    let Extent { offset, size, .. } = extent;
    let message = format!("{}: key {key:?}: bytes [{offset}, +{size}): {}", shard.path.display(), error.message());
    Error::new(error.kind(), message)
}

fn outside() -> Error {
    Error::internal("an entry was checked and does not fit")
}

fn only_bools(bytes: &[u8]) -> Result<()> {
    match bytes.iter().position(|&byte| byte > 1) {
        Some(at) => {
            let found = bytes.get(at).copied().unwrap_or_default();
            Err(Error::data_loss(format!("a bool is stored as 0 or 1, and one is {found}")))
        }
        None => Ok(()),
    }
}

/// Zeros in place of the bytes of an extent, whose size has been compared with the file's.
fn filled(extent: &Extent) -> Result<Vec<u8>> {
    let size = usize::try_from(extent.size).unwrap_or(usize::MAX);
    let mut bytes = room(size)?;
    bytes.resize(size, 0);
    Ok(bytes)
}

/// Elements of a slice that lie one after the other in the whole tensor, too.
struct Run {
    from: usize,
    to: usize,
    len: usize,
}

/// All runs of a slice, in order.
struct Runs {
    /// The dims outside a run, and the elements of the whole tensor that one step along each passes.
    outer: Vec<(usize, usize)>,
    first: usize,
    len: usize,
}

impl Runs {
    fn new(whole: &[usize], slice: &Slice) -> Runs {
        let mut runs = Runs { outer: Vec::new(), first: 0, len: 1 };
        let (mut step, mut dense) = (1, true);
        for ((&dim, &start), &len) in whole.iter().zip(&slice.start).zip(&slice.shape).rev() {
            runs.first += start * step;
            match dense {
                true => runs.len *= len,
                false => runs.outer.push((len, step)),
            }
            // Outside a dim that is not taken whole, steps leave something out.
            dense = dense && len == dim;
            step *= dim;
        }
        runs.outer.reverse();
        runs
    }

    /// The run, if there is one alone.
    fn only(&mut self) -> Option<Run> {
        let alone = self.outer.iter().all(|&(len, _)| len == 1);
        alone.then_some(Run { from: 0, to: self.first, len: self.len })
    }

    fn each(&self, take: &mut dyn FnMut(Run) -> Result<()>) -> Result<()> {
        fn go(outer: &[(usize, usize)], run: &mut Run, take: &mut dyn FnMut(Run) -> Result<()>) -> Result<()> {
            let Some((&(len, step), inner)) = outer.split_first() else {
                take(Run { ..*run })?;
                run.from += run.len;
                return Ok(());
            };
            let start = run.to;
            for i in 0..len {
                run.to = start + i * step;
                go(inner, run, take)?;
            }
            run.to = start;
            Ok(())
        }
        if self.len == 0 {
            return Ok(());
        }
        go(&self.outer, &mut Run { from: 0, to: self.first, len: self.len }, take)
    }
}

/// What `f` makes of each entry, in their order; on several threads when these are about many bytes. They are read in the
/// order of the files, so that the system can read ahead.
fn in_parallel<'b, R: Send>(
    entries: &[(&'b str, &'b EntryInfo)],
    bytes: u64,
    f: impl Fn(&(&'b str, &'b EntryInfo)) -> R + Sync,
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from).saturating_mul(THREADS_PER_CORE);
    let threads = threads.min(MOST_THREADS).min(entries.len());
    if bytes < WORTH_THREADS || threads < 2 {
        return entries.iter().map(f).collect();
    }
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&at| entries.get(at).and_then(|(_, entry)| entry.extents().next()).map(|e| (e.shard, e.offset)));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return done };
            done.extend(entries.get(at).map(|entry| (at, f(entry))));
        }
    };
    let mut results = thread::scope(|scope| {
        // A thread that the system refuses is not needed: this one finishes alone.
        let others: Vec<_> =
            (1..threads).map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
        let mut results = work();
        for other in others {
            match other.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
