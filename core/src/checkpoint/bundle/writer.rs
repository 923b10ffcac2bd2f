//! Writing a bundle: which tensors, in what order, in how many files.

use super::commit::Temporary;
use super::index::{Index, MAX_SHARDS};
use super::read::CHUNK;
use super::stored::{EntryInfo, Extent, StoredType, stored_size};
use super::{Bundle, index_path};
use crate::tensor::{Storage, Value};
use crate::vfs::{NewFile, Vfs, disk};
use crate::{DType, Error, ErrorKind, Result, Tensor};
use modulor_wire::crc::{append, mask};
use modulor_wire::strings;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Collects the tensors of a bundle, and writes it.
///
/// Tensors lie in the files in the order in which they were added. Nothing is written before
/// [`commit`](BundleWriter::commit), and a tensor is kept as a handle, so that collecting costs nothing.
#[derive(Debug)]
pub struct BundleWriter {
    vfs: Arc<dyn Vfs>,
    prefix: PathBuf,
    entries: Vec<Pending>,
    keys: HashSet<String>,
    split: Split,
}

#[derive(Debug)]
struct Pending {
    key: String,
    info: EntryInfo,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Tensor(Tensor),
    Bytes(Vec<u8>),
    /// What another bundle has under a key.
    Copy(Bundle, String),
}

/// How tensors are divided among data files.
#[derive(Clone, Copy, Debug)]
enum Split {
    Count(usize),
    AtMost(u64),
}

impl BundleWriter {
    /// A bundle to be written as `<prefix>.index` and its data files; missing directories are made.
    pub fn new(prefix: impl AsRef<Path>) -> BundleWriter {
        BundleWriter::new_on(&disk(), prefix)
    }

    /// [`new`](BundleWriter::new) on another file system.
    pub fn new_on(vfs: &Arc<dyn Vfs>, prefix: impl AsRef<Path>) -> BundleWriter {
        let (vfs, prefix) = (vfs.clone(), prefix.as_ref().to_owned());
        BundleWriter { vfs, prefix, entries: Vec::new(), keys: HashSet::new(), split: Split::Count(1) }
    }

    /// Begins another data file whenever one would get longer than so many bytes. A tensor is never divided.
    #[must_use]
    pub fn max_shard_bytes(self, bytes: u64) -> BundleWriter {
        BundleWriter { split: Split::AtMost(bytes), ..self }
    }

    /// Divides the tensors among so many data files of about the same length; at first there is one.
    #[must_use]
    pub fn shards(self, count: usize) -> BundleWriter {
        BundleWriter { split: Split::Count(count.max(1)), ..self }
    }

    /// Adds a tensor. An error when the key is empty, begins with a zero byte or is there already, and when the tensor has
    /// no value or is a resource.
    pub fn add(&mut self, key: &str, tensor: &Tensor) -> Result<()> {
        let within = |e: Error| e.within(key);
        let value = tensor.evaluated().map_err(within)?;
        let dtype = tensor.dtype();
        let size = match &*value.storage {
            Storage::Resource(_) => {
                return Err(
                    Error::invalid_argument("a resource cannot be saved, only the value it handles").within(key)
                );
            }
            Storage::Variant(_) => {
                return Err(Error::invalid_argument("a list of tensors cannot be saved, only its elements").within(key));
            }
            Storage::Plain(_) => stored_size(dtype.into(), &value.layout.dims)?,
            Storage::Text(_) => {
                let texts = tensor.to_strings().map_err(within)?;
                texts.iter().map(|text| varint_len(text.len()) + text.len() as u64).sum::<u64>() + 4
            }
        };
        let extent = Extent { size, ..Extent::default() };
        let info = EntryInfo { dtype: dtype.into(), shape: value.layout.dims.clone(), extent, slices: Vec::new() };
        self.push(key, info, Source::Tensor(tensor.clone()))
    }

    /// Adds the bytes of a tensor of any type but strings, as they will stand in the file: little-endian, in row-major
    /// order. An error also when they are not as many as dtype and shape take.
    pub fn add_bytes(&mut self, key: &str, dtype: StoredType, shape: &[usize], bytes: Vec<u8>) -> Result<()> {
        let size = stored_size(dtype, shape)?;
        if dtype.is_string() || size != bytes.len() as u64 {
            return Err(Error::invalid_argument(format!(
                "{} bytes are not a tensor of {dtype} and shape {}",
                bytes.len(),
                crate::Shape::from(shape)
            ))
            .within(key));
        }
        let extent = Extent { size, ..Extent::default() };
        let info = EntryInfo { dtype, shape: shape.to_vec(), extent, slices: Vec::new() };
        self.push(key, info, Source::Bytes(bytes))
    }

    /// Adds what `from` has under `from_key`, byte for byte, whatever its type; slices stay slices. Its checksums are
    /// compared when it is written.
    pub fn add_copy(&mut self, key: &str, from: &Bundle, from_key: &str) -> Result<()> {
        let info = from.known(from_key)?.clone();
        self.push(key, info, Source::Copy(from.clone(), from_key.to_owned()))
    }

    fn push(&mut self, key: &str, info: EntryInfo, source: Source) -> Result<()> {
        if key.is_empty() || key.starts_with('\0') {
            return Err(Error::invalid_argument(format!("{key:?} cannot be a key: the empty one is the header's")));
        }
        if !self.keys.insert(key.to_owned()) {
            return Err(Error::already_exists(format!("key {key:?} is in the bundle already")));
        }
        self.entries.push(Pending { key: key.to_owned(), info, source });
        Ok(())
    }

    /// The bytes of all tensors added so far.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.info.size()).fold(0, u64::saturating_add)
    }

    /// Writes the bundle, in place of the one that the prefix names now.
    ///
    /// When it returns, the bundle survives a kill and a power cut. When it fails, what was there before is there still
    /// and nothing else; only when the very last step fails, making the new index durable, both are there and the new one
    /// is the one that is found. Two writers of one prefix, on one machine, take turns: the later one wins whole. For that
    /// it takes the [lock](Vfs::lock) of the prefix's directory, which the caller must not hold.
    pub fn commit(mut self) -> Result<()> {
        index_path(&self.prefix)?;
        let total = self.bytes();
        let prefix = self.prefix.clone();
        self.write().map_err(|e| match e.kind() {
            ErrorKind::ResourceExhausted => e.note(format!("the bundle {} takes {total} bytes", prefix.display())),
            _ => e,
        })
    }

    fn write(&mut self) -> Result<()> {
        let mut temporary = Temporary::new(&self.vfs, &self.prefix)?;
        let mut division = Division { split: self.split, total: self.bytes(), before: 0 };
        let mut shard = Shard::new(temporary.create_shard()?, 0);
        let mut number = 0;
        for Pending { key, info, source } in &mut self.entries {
            for part in 0..info.slices.len().max(1) {
                let slice = info.slices.get(part);
                let planned = slice.map_or(info.extent, |slice| slice.extent);
                let count = slice.map_or(&info.shape, |slice| &slice.shape).iter().product();
                let wanted = division.place(number, shard.len, planned.size)?;
                while number < wanted {
                    shard.finish()?;
                    number += 1;
                    shard = Shard::new(temporary.create_shard()?, number);
                }
                let written = shard.write(source, info.dtype, count, &planned).map_err(|e| e.within(key.as_str()))?;
                match info.slices.get_mut(part) {
                    Some(slice) => slice.extent = written,
                    None => info.extent = written,
                }
            }
        }
        shard.finish()?;
        if let Split::Count(count) = self.split {
            for number in number + 1..count {
                Shard::new(temporary.create_shard()?, number).finish()?;
            }
        }
        let mut entries: Vec<_> = self.entries.drain(..).map(|entry| (entry.key, entry.info)).collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        temporary.commit(Index { shards: 0, entries })
    }
}

/// Which data file comes next.
struct Division {
    split: Split,
    total: u64,
    /// The bytes of all tensors so far.
    before: u64,
}

impl Division {
    /// The data file for the next tensor, when `now` is the one that is being written and has `len` bytes.
    fn place(&mut self, now: usize, len: u64, size: u64) -> Result<usize> {
        let wanted = match self.split {
            Split::AtMost(most) if len > 0 && size > 0 && len.saturating_add(size) > most => now.saturating_add(1),
            Split::AtMost(_) => now,
            Split::Count(count) => {
                // Where the middle of the tensor falls, when the whole is cut evenly.
                let middle = u128::from(self.before) + u128::from(size) / 2;
                let even = middle * count as u128 / u128::from(self.total.max(1));
                usize::try_from(even).unwrap_or(count).min(count - 1).max(now)
            }
        };
        self.before = self.before.saturating_add(size);
        if wanted >= MAX_SHARDS {
            return Err(Error::invalid_argument(format!("more than {MAX_SHARDS} data files cannot be counted")));
        }
        Ok(wanted)
    }
}

/// A data file being written.
struct Shard {
    file: Box<dyn NewFile>,
    number: usize,
    len: u64,
    /// Small tensors, until they are worth a write.
    gathered: Vec<u8>,
}

/// Bytes that are gathered rather than written alone.
const SMALL: usize = 64 << 10;

impl Shard {
    fn new(file: Box<dyn NewFile>, number: usize) -> Shard {
        Shard { file, number, len: 0, gathered: Vec::new() }
    }

    /// Appends one tensor or slice of `count` elements; `planned` says where a copy comes from.
    fn write(&mut self, source: &Source, dtype: StoredType, count: usize, planned: &Extent) -> Result<Extent> {
        let offset = self.len;
        let crc32c = match source {
            Source::Bytes(bytes) => self.put_bytes(bytes)?,
            Source::Copy(from, key) if dtype.is_string() => {
                self.put(&from.each_string(key, planned, count, &mut drop)?)?;
                planned.crc32c
            }
            Source::Copy(from, key) => {
                from.stream(key, planned, &mut |chunk| self.put(chunk))?;
                planned.crc32c
            }
            Source::Tensor(tensor) if dtype.dtype() == Some(DType::String) => {
                let (bytes, crc) = strings::encode(&tensor.to_strings()?);
                self.put(&bytes)?;
                crc
            }
            Source::Tensor(tensor) => self.put_tensor(tensor)?,
        };
        Ok(Extent { shard: self.number, offset, size: self.len.saturating_sub(offset), crc32c })
    }

    /// The masked checksum of what was put.
    fn put_bytes(&mut self, bytes: &[u8]) -> Result<u32> {
        let mut crc = 0;
        for chunk in bytes.chunks(CHUNK) {
            crc = append(crc, chunk);
            self.put(chunk)?;
        }
        Ok(mask(crc))
    }

    fn put_tensor(&mut self, tensor: &Tensor) -> Result<u32> {
        let value: &Value = tensor.evaluated()?;
        if let Some(bytes) = value.contiguous_bytes(tensor.dtype()) {
            return self.put_bytes(bytes);
        }
        let mut crc = 0;
        value.each_chunk(tensor.dtype(), CHUNK, &mut |chunk| {
            crc = append(crc, chunk);
            self.put(chunk)
        })?;
        Ok(mask(crc))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() < SMALL {
            self.gathered.extend_from_slice(bytes);
            if self.gathered.len() >= CHUNK {
                self.flush()?;
            }
        } else {
            self.flush()?;
            self.file.write(bytes)?;
        }
        self.len = self.len.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.gathered.is_empty() {
            self.file.write(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync()
    }
}

/// The bytes of a number as a varint.
fn varint_len(n: usize) -> u64 {
    u64::from((usize::BITS - (n | 1).leading_zeros()).div_ceil(7))
}
