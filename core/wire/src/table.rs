//! A sorted table of keys and values: LevelDB's format, in which a checkpoint's `.index` is written.
//!
//! ```text
//! [data block]*  [metaindex block]  [index block]  [footer: 48 bytes]
//! block      contents | compression: u8 | masked crc of both: u32
//! contents   entry* | offset of each restart: u32* | their number: u32
//! entry      bytes shared with the key before, bytes not shared, bytes of value: varint | key's end | value
//! handle     offset: varint | bytes of contents: varint
//! footer     handle of the metaindex | handle of the index | zeros up to byte 40 | magic: u64
//! ```
//!
//! An entry at a restart shares nothing. The index has an entry for each data block, whose key is not below the block's
//! last and below the next block's first, and whose value is the block's handle.

use std::borrow::Cow;

use crate::crc::{Checks, append, crc32c, mask};
use crate::cursor::{Cursor, put_length};
use crate::{Error, Result};

const MAGIC: u64 = 0xDB47_7524_8B80_FB57;
const FOOTER: usize = 48;
/// The compression byte and the checksum behind a block's contents.
const TRAILER: usize = 5;
/// A snappy copy of three bytes gives 64, which is the best that a compressed byte can do.
const SNAPPY_GAIN: usize = 22;
/// What an entry takes besides its key and its value.
const ENTRY: usize = 64;
/// A data block is closed when it has this many bytes.
const BLOCK: usize = 262_144;
/// Every how many entries of a data block a key is written whole.
const RESTART: usize = 16;

/// A key and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its bytes are what the table is sorted by.
    pub key: Vec<u8>,
    /// What is stored under the key.
    pub value: Vec<u8>,
}

/// All entries of a table, in the order of their keys.
///
/// Blocks may be compressed with snappy. That, and keys written short, as what differs from the one before, make a large
/// table of a small file, but not without bound: keys, with 64 bytes more for each entry, may have 16 MiB and 32 times the
/// bytes of the file together, and values 22 times, which is the most that snappy gives.
///
/// # Errors
/// When the file is not a table in every respect: a footer, blocks that follow one another and end before it, their
/// checksums, the form of each entry, keys that increase over the whole table and agree with the index.
///
/// ```
/// let mut table = modulor_wire::table::Writer::new();
/// table.add(b"kernel", b"first")?;
/// table.add(b"kernel/slot", b"second")?;
/// let entries = modulor_wire::table::read(&table.finish())?;
/// assert_eq!(entries[1].key, b"kernel/slot");
/// assert_eq!(entries[1].value, b"second");
/// # Ok::<(), modulor_wire::Error>(())
/// ```
pub fn read(file: &[u8]) -> Result<Vec<Entry>> {
    entries(file, Checks::Verify)
}

/// [`read`] without comparing checksums: for fuzzing what lies behind them.
#[doc(hidden)]
pub fn read_unverified(file: &[u8]) -> Result<Vec<Entry>> {
    entries(file, Checks::Skip)
}

fn entries(file: &[u8], checks: Checks) -> Result<Vec<Entry>> {
    let Some((blocks, footer)) = file.len().checked_sub(FOOTER).and_then(|at| file.split_at_checked(at)) else {
        return Err(Error::new(format!(
            "a table has at least the {FOOTER} bytes of its footer, this has {}",
            file.len()
        )));
    };
    let (metaindex, index) = read_footer(footer).map_err(|error| error.within(blocks.len()))?;
    let mut budget = file.len().saturating_mul(32).saturating_add(16 << 20);
    let mut table: Vec<Entry> = Vec::new();
    // Where the block before ended.
    let mut end = 0;
    // The index's key for it.
    let mut bound: Option<Vec<u8>> = None;
    for (key, handle, at) in read_index(blocks, index, checks, &mut budget)? {
        let block = Block::read(blocks, handle, checks)?;
        if handle.offset < end {
            return Err(Error::at(
                at,
                format!("the block {handle} begins before the one in front of it ends, at {end}"),
            ));
        }
        end = handle.end();
        let before = table.len();
        block.each(&mut budget, |key, value| {
            let last = table.last().map(|entry| entry.key.as_slice());
            increases(last, key)?;
            if let Some(bound) = bound.as_deref().filter(|&bound| key <= bound) {
                return Err(format!("key {} is in a block after the index's {}", shown(key), shown(bound)));
            }
            table.push(Entry { key: key.to_vec(), value: value.to_vec() });
            Ok(())
        })?;
        match table.last() {
            Some(last) if table.len() > before => {
                if last.key > key {
                    let (last, key) = (shown(&last.key), shown(&key));
                    return Err(Error::at(at, format!("the index has {key} for a block whose last key is {last}")));
                }
            }
            _ => return Err(Error::at(handle.offset, "a data block without entries")),
        }
        bound = Some(key);
    }
    if metaindex.offset < end || index.offset < metaindex.end() {
        let message =
            format!("the metaindex {metaindex} and the index {index} do not follow the data, which end at {end}");
        return Err(Error::at(blocks.len(), message));
    }
    // It names filters, of which we have no need.
    Block::read(blocks, metaindex, checks)?.each(&mut budget, |_, _| Ok(()))?;
    Ok(table)
}

/// The handles of the metaindex and of the index.
fn read_footer(footer: &[u8]) -> Result<(Handle, Handle)> {
    let mut cursor = Cursor::new(footer);
    let mut handles = Cursor::new(cursor.take(FOOTER.saturating_sub(8), "the footer's handles")?);
    let magic = cursor.u64("the footer's magic number")?;
    if magic != MAGIC {
        let message = format!("not a table, or its end is missing: magic number {magic:#018x}, expected {MAGIC:#018x}");
        return Err(Error::at(40, message));
    }
    let metaindex = Handle::read(&mut handles, "the metaindex")?;
    let index = Handle::read(&mut handles, "the index")?;
    match handles.rest().iter().position(|&byte| byte != 0) {
        Some(at) => Err(Error::at(handles.at().saturating_add(at), "the footer is not padded with zeros")),
        None => Ok((metaindex, index)),
    }
}

/// The key, the block, and where the index's own block is, for each data block.
fn read_index(
    blocks: &[u8],
    index: Handle,
    checks: Checks,
    budget: &mut usize,
) -> Result<Vec<(Vec<u8>, Handle, usize)>> {
    let block = Block::read(blocks, index, checks)?;
    let mut handles: Vec<(Vec<u8>, Handle, usize)> = Vec::new();
    block.each(budget, |key, value| {
        increases(handles.last().map(|(key, ..)| key.as_slice()), key)?;
        let mut cursor = Cursor::new(value);
        let handle = Handle::read(&mut cursor, "a data block").map_err(|error| error.message().to_owned())?;
        if !cursor.is_empty() {
            return Err(format!("{} bytes follow a block's handle", cursor.rest().len()));
        }
        handles.push((key.to_vec(), handle, index.offset));
        Ok(())
    })?;
    Ok(handles)
}

fn increases(last: Option<&[u8]>, key: &[u8]) -> Result<(), String> {
    match last {
        Some(last) if last == key => Err(format!("key {} is there twice", shown(key))),
        Some(last) if last > key => Err(format!("key {} follows {}: keys must increase", shown(key), shown(last))),
        _ => Ok(()),
    }
}

/// A key for a message: its beginning, if it is long.
fn shown(key: &[u8]) -> String {
    const LONG: usize = 100;
    match key.split_at_checked(LONG) {
        Some((start, rest)) if !rest.is_empty() => {
            format!("{:?}.. ({} bytes)", String::from_utf8_lossy(start), key.len())
        }
        _ => format!("{:?}", String::from_utf8_lossy(key)),
    }
}

/// Where a block is.
#[derive(Clone, Copy)]
struct Handle {
    offset: usize,
    /// Of the contents, without the trailer.
    size: usize,
}

impl Handle {
    fn read(cursor: &mut Cursor<'_>, of: &str) -> Result<Self> {
        let at = cursor.at();
        let offset = cursor.varint("a block's offset")?;
        let size = cursor.varint("a block's size")?;
        match (usize::try_from(offset), usize::try_from(size)) {
            (Ok(offset), Ok(size)) => Ok(Self { offset, size }),
            _ => Err(Error::at(at, format!("{of}: offset {offset} and size {size} are not of this machine"))),
        }
    }

    /// The first byte behind the block and its trailer.
    fn end(self) -> usize {
        self.offset.saturating_add(self.size).saturating_add(TRAILER)
    }
}

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {})", self.offset, self.offset.saturating_add(self.size))
    }
}

/// A block's contents, unpacked.
struct Block<'a> {
    contents: Cow<'a, [u8]>,
    offset: usize,
}

impl<'a> Block<'a> {
    fn read(blocks: &'a [u8], handle: Handle, checks: Checks) -> Result<Self> {
        let Handle { offset, size } = handle;
        let outside = || {
            let message = format!("block {handle} outside the {} bytes before the footer", blocks.len());
            Error::at(blocks.len(), message)
        };
        let end = offset.checked_add(size).and_then(|end| end.checked_add(TRAILER)).ok_or_else(outside)?;
        let block = blocks.get(offset..end).ok_or_else(outside)?;
        let mut cursor = Cursor::new(block);
        let contents = cursor.take(size, "a block")?;
        let compression = cursor.u8("a block's compression")?;
        let stored = cursor.u32("a block's checksum")?;
        let computed = mask(append(crc32c(contents), &[compression]));
        if checks == Checks::Verify && stored != computed {
            let message = format!("block {handle}: checksum {computed:#010x}, stored {stored:#010x}");
            return Err(Error::at(offset, message));
        }
        let contents = match compression {
            0 => Cow::Borrowed(contents),
            1 => Cow::Owned(unpack(contents).map_err(|error| error.within(offset))?),
            other => return Err(Error::at(offset, format!("unknown block compression {other}"))),
        };
        Ok(Self { contents, offset })
    }

    /// An error at a byte of the contents. Those of a packed block have no offset in the file but the block's.
    fn error(&self, at: usize, message: impl std::fmt::Display) -> Error {
        match &self.contents {
            Cow::Borrowed(_) => Error::at(self.offset.saturating_add(at), message.to_string()),
            Cow::Owned(_) => Error::at(self.offset, format!("{message} (byte {at} of the unpacked block)")),
        }
    }

    /// Calls `entry` with the key and the value of each; `budget` is what keys and entries may still take.
    fn each(&self, budget: &mut usize, mut entry: impl FnMut(&[u8], &[u8]) -> Result<(), String>) -> Result<()> {
        let (data, restarts) = self.restarts()?;
        let mut restarts =
            restarts.iter().map(|bytes| usize::try_from(u32::from_le_bytes(*bytes)).unwrap_or(usize::MAX));
        match restarts.next() {
            Some(0) => (),
            first => {
                return Err(
                    self.error(data.len(), format!("the first restart is {}, not 0", first.unwrap_or_default()))
                );
            }
        }
        let mut restart = if data.is_empty() { restarts.next() } else { Some(0) };
        let mut cursor = Cursor::new(data);
        let mut key = Vec::new();
        while !cursor.is_empty() {
            let at = cursor.at();
            let lengths = |cursor: &mut Cursor<'_>| {
                Ok((
                    cursor.varint("bytes shared with the key before")?,
                    cursor.length("the length of a key's end")?,
                    cursor.length("the length of a value")?,
                ))
            };
            let (shared, own, size) = lengths(&mut cursor).map_err(|error: Error| self.error(at, error.message()))?;
            let most = if restart == Some(at) { 0 } else { key.len() };
            let Some(shared) = usize::try_from(shared).ok().filter(|&shared| shared <= most) else {
                let why = if restart == Some(at) { "at a restart" } else { "of the key before" };
                return Err(self.error(at, format!("an entry shares {shared} bytes, there are {most} {why}")));
            };
            if restart == Some(at) {
                restart = restarts.next();
            }
            let own = cursor.take(own, "a key's end").map_err(|error| self.error(at, error.message()))?;
            let value = cursor.take(size, "a value").map_err(|error| self.error(at, error.message()))?;
            key.truncate(shared);
            key.extend_from_slice(own);
            *budget = budget
                .checked_sub(key.len().saturating_add(ENTRY))
                .ok_or_else(|| self.error(at, "the keys take more than 16 MiB and 32 times the bytes of the file"))?;
            entry(&key, value).map_err(|message| self.error(at, message))?;
        }
        match restart {
            Some(restart) => {
                Err(self.error(data.len(), format!("the restart {restart} is not where a later entry begins")))
            }
            None => Ok(()),
        }
    }

    /// The entries' bytes, and the restarts.
    fn restarts(&self) -> Result<(&[u8], &[[u8; 4]])> {
        let contents = &*self.contents;
        let Some((rest, count)) = contents.split_last_chunk::<4>() else {
            return Err(self.error(0, format!("a block of {} bytes has no room for its restarts", contents.len())));
        };
        let count = u32::from_le_bytes(*count);
        let split = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(4))
            .and_then(|size| rest.len().checked_sub(size))
            .and_then(|at| rest.split_at_checked(at));
        match split {
            Some((data, restarts)) if count > 0 => Ok((data, restarts.as_chunks().0)),
            _ => Err(self.error(rest.len(), format!("a block of {} bytes with {count} restarts", contents.len()))),
        }
    }
}

/// The contents of a block that snappy packed.
fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let damaged = |error| Error::at(0, format!("a snappy block is damaged: {error}"));
    let size = snap::raw::decompress_len(packed).map_err(damaged)?;
    if size > packed.len().saturating_mul(SNAPPY_GAIN) {
        return Err(Error::at(0, format!("a snappy block of {} bytes says that it unpacks to {size}", packed.len())));
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(damaged)
}

/// Writes a table, byte for byte as TensorFlow does.
#[derive(Debug)]
pub struct Writer {
    file: Vec<u8>,
    data: Builder,
    index: Builder,
    /// The last key of a closed block, and the block's handle: its key in the index depends on the key to come.
    closed: Option<(Vec<u8>, Vec<u8>)>,
    started: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A table without entries.
    pub fn new() -> Self {
        Self { file: Vec::new(), data: Builder::new(RESTART), index: Builder::new(1), closed: None, started: false }
    }

    /// Adds an entry behind all others.
    ///
    /// # Errors
    /// When `key` is not above the one before, or when it or `value` has 4 GiB or more.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.started {
            let last = self.closed.as_ref().map_or(self.data.last.as_slice(), |(last, _)| last);
            increases(Some(last), key).map_err(Error::new)?;
        }
        for (what, bytes) in [("key", key), ("value", value)] {
            if u32::try_from(bytes.len()).is_err() {
                return Err(Error::new(format!("key {}: a {what} of {} bytes", shown(key), bytes.len())));
            }
        }
        self.started = true;
        if let Some((last, handle)) = self.closed.take() {
            self.index.add(&separator(&last, key), &handle);
        }
        self.data.add(key, value);
        if self.data.size() >= BLOCK {
            self.close();
        }
        Ok(())
    }

    /// Writes the data block.
    fn close(&mut self) {
        let data = std::mem::replace(&mut self.data, Builder::new(RESTART));
        let last = data.last.clone();
        self.closed = Some((last, self.block(data)));
    }

    /// Writes a block and gives its handle.
    fn block(&mut self, block: Builder) -> Vec<u8> {
        let contents = block.finish();
        let mut handle = Vec::new();
        put_length(&mut handle, self.file.len());
        put_length(&mut handle, contents.len());
        let crc = mask(append(crc32c(&contents), &[0]));
        self.file.extend_from_slice(&contents);
        self.file.push(0);
        self.file.extend_from_slice(&crc.to_le_bytes());
        handle
    }

    /// The bytes of the table.
    pub fn finish(mut self) -> Vec<u8> {
        if self.started && self.closed.is_none() {
            self.close();
        }
        let mut footer = self.block(Builder::new(RESTART));
        if let Some((last, handle)) = self.closed.take() {
            self.index.add(&successor(&last), &handle);
        }
        let index = std::mem::replace(&mut self.index, Builder::new(1));
        footer.extend(self.block(index));
        footer.resize(FOOTER.saturating_sub(8), 0);
        footer.extend_from_slice(&MAGIC.to_le_bytes());
        self.file.extend(footer);
        self.file
    }
}

/// A block that is being written.
#[derive(Debug)]
struct Builder {
    data: Vec<u8>,
    restarts: Vec<u32>,
    /// Every how many entries there is a restart.
    interval: usize,
    /// Entries since the last one.
    count: usize,
    last: Vec<u8>,
}

impl Builder {
    fn new(interval: usize) -> Self {
        Self { data: Vec::new(), restarts: vec![0], interval, count: 0, last: Vec::new() }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        let shared = if self.count < self.interval {
            common(&self.last, key)
        } else {
            // A block is closed long before an entry of it begins at 4 GiB; an index that long has no reader.
            self.restarts.push(u32::try_from(self.data.len()).unwrap_or(u32::MAX));
            self.count = 0;
            0
        };
        let (_, own) = key.split_at_checked(shared).unwrap_or((key, &[]));
        put_length(&mut self.data, shared);
        put_length(&mut self.data, own.len());
        put_length(&mut self.data, value.len());
        self.data.extend_from_slice(own);
        self.data.extend_from_slice(value);
        self.last.clear();
        self.last.extend_from_slice(key);
        self.count = self.count.saturating_add(1);
    }

    fn size(&self) -> usize {
        self.restarts.len().saturating_add(1).saturating_mul(4).saturating_add(self.data.len())
    }

    fn finish(self) -> Vec<u8> {
        let mut contents = self.data;
        contents.extend(self.restarts.iter().flat_map(|restart| restart.to_le_bytes()));
        contents.extend(u32::try_from(self.restarts.len()).unwrap_or(u32::MAX).to_le_bytes());
        contents
    }
}

/// The number of bytes that two keys begin with.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The index's key for a block that ends with `last`, when the next begins with `next`: what they have in common and a
/// byte that lies between them, or `last` if there is no such byte.
fn separator(last: &[u8], next: &[u8]) -> Vec<u8> {
    let shared = common(last, next);
    match (last.get(shared), next.get(shared)) {
        (Some(&low), Some(&high)) if low < u8::MAX && low.saturating_add(1) < high => {
            last.iter().copied().take(shared).chain([low.saturating_add(1)]).collect()
        }
        _ => last.to_vec(),
    }
}

/// The index's key for the last block: the first byte that can be one more, made so, and what stands before it.
fn successor(last: &[u8]) -> Vec<u8> {
    match last.iter().position(|&byte| byte < u8::MAX) {
        Some(at) => last.iter().take(at.saturating_add(1)).map(|&byte| byte.saturating_add(1)).collect(),
        None => last.to_vec(),
    }
}
