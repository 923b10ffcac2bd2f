//! The index of a bundle: its entries, checked for all that can be checked without reading the data.

use super::stored::{EntryInfo, Extent, Slice, StoredType, stored_size};
use super::{at_key, damaged};
use crate::{Error, MAX_RANK, Result};
use modulor_wire::message::{
    self, BundleEntryProto, BundleHeaderProto, Dim, TensorShapeProto, TensorSliceProto, VersionDef, decode,
};
use modulor_wire::{slice, table};
use std::collections::HashMap;
use std::path::Path;

/// The version of the format that is read and written.
const VERSION: i32 = 1;

/// As many data files as the five digits in their names can count.
pub(super) const MAX_SHARDS: usize = 99_999;

/// The slices of one tensor are compared with each other, and no one saves a tensor in so many.
const MAX_SLICES: usize = 10_000;

/// What an index says.
pub(super) struct Index {
    /// The number of data files.
    pub shards: usize,
    /// In the order of their keys.
    pub entries: Vec<(String, EntryInfo)>,
}

/// Whether the checksums of an index and of tensors are compared; only a fuzzer has a reason not to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksums {
    Compared,
    Ignored,
}

/// Whether all slices of a tensor must be there: the part of a bundle that one process wrote may have some.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slices {
    All,
    Some,
}

impl Index {
    /// The index that these bytes of the file `path` are.
    pub fn parse(path: &Path, bytes: &[u8], checksums: Checksums, slices: Slices) -> Result<Index> {
        let table = match checksums {
            Checksums::Compared => table::read(bytes),
            Checksums::Ignored => table::read_unverified(bytes),
        };
        let mut table = table.map_err(|e| damaged(path, &e))?.into_iter();
        let header = table.next().filter(|entry| entry.key.is_empty()).ok_or_else(|| {
            Error::data_loss(format!("{}: has no header: the first key of a bundle's index is empty", path.display()))
        })?;
        let shards = read_header(path, &header.value)?;

        let mut entries = Vec::with_capacity(table.len());
        let mut parts: HashMap<String, Vec<(StoredType, Slice)>> = HashMap::new();
        for table::Entry { key, value } in table {
            if key.first() == Some(&0) {
                let (name, ranges) = slice::decode_key(&key).map_err(|e| damaged(path, &e))?;
                let part = read_part(&value, &ranges, shards).map_err(|e| at_key(path, &name, &e))?;
                parts.entry(name).or_default().push(part);
                continue;
            }
            let key = String::from_utf8(key).map_err(|e| {
                let shown = e.as_bytes().escape_ascii().to_string();
                Error::data_loss(format!("{}: key \"{shown}\" is not UTF-8", path.display()))
            })?;
            let entry = read_entry(&value, shards).map_err(|e| at_key(path, &key, &e))?;
            entries.push((key, entry));
        }

        let mut index = Index { shards, entries };
        for (name, parts) in parts {
            let Some(entry) = index.get_mut(&name) else {
                let message = format!("{} of its slices are there, and no entry for the whole tensor", parts.len());
                return Err(at_key(path, &name, &Error::data_loss(message)));
            };
            attach(entry, parts).map_err(|e| at_key(path, &name, &e))?;
        }
        for (key, entry) in &index.entries {
            entry.check_slices(slices).map_err(|e| at_key(path, key, &e))?;
        }
        Ok(index)
    }

    /// The bytes of the file.
    pub fn write(&self) -> Result<Vec<u8>> {
        let internal = |e: modulor_wire::Error| Error::internal(format!("an index could not be written: {e}"));
        let version = Some(VersionDef { producer: VERSION, ..Default::default() });
        let header = BundleHeaderProto { num_shards: number(self.shards)?, endianness: 0, version };
        let mut rows = vec![(Vec::new(), message::encode(&header))];
        for (key, entry) in &self.entries {
            let slices = entry.slices.iter().map(slice_proto).collect::<Result<_>>()?;
            let proto = entry_proto(entry.dtype, &entry.shape, &entry.extent, slices)?;
            rows.push((key.clone().into_bytes(), message::encode(&proto)));
            for part in &entry.slices {
                let ranges: Vec<(i64, i64)> = part
                    .start
                    .iter()
                    .zip(&part.shape)
                    .map(|(&s, &l)| Ok((wide(s)?, wide(l)?)))
                    .collect::<Result<_>>()?;
                let proto = entry_proto(entry.dtype, &part.shape, &part.extent, Vec::new())?;
                rows.push((slice::encode_key(key, &ranges), message::encode(&proto)));
            }
        }
        rows.sort_unstable();
        let mut table = table::Writer::new();
        for (key, value) in &rows {
            table.add(key, value).map_err(internal)?;
        }
        Ok(table.finish())
    }

    pub fn get(&self, key: &str) -> Option<&EntryInfo> {
        let place = self.entries.binary_search_by(|(name, _)| name.as_str().cmp(key)).ok()?;
        self.entries.get(place).map(|(_, entry)| entry)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut EntryInfo> {
        let place = self.entries.binary_search_by(|(name, _)| name.as_str().cmp(key)).ok()?;
        self.entries.get_mut(place).map(|(_, entry)| entry)
    }

    /// Whether all bytes are inside the data files, whose lengths are given, and none belongs to two tensors.
    pub fn check_extents(&self, path: &Path, lengths: &[u64]) -> Result<()> {
        let mut extents = Vec::with_capacity(self.entries.len());
        for (key, entry) in &self.entries {
            for extent in entry.extents().filter(|extent| extent.size > 0) {
                let length = lengths.get(extent.shard).copied().unwrap_or(0);
                if extent.offset.checked_add(extent.size).is_none_or(|end| end > length) {
                    let message = format!(
                        "bytes [{}, +{}) of shard {}, which has {length} bytes",
                        extent.offset, extent.size, extent.shard
                    );
                    return Err(at_key(path, key, &Error::data_loss(message)));
                }
                extents.push((extent.shard, extent.offset, extent.size, key));
            }
        }
        extents.sort_unstable();
        for pair in extents.windows(2) {
            let [(shard, offset, size, first), (other, next, _, second)] = pair else { continue };
            if shard == other && offset.saturating_add(*size) > *next {
                let message = format!(
                    "bytes from {next} of shard {shard} on, which are also those of {first:?}: [{offset}, +{size}); \
                     no two tensors share bytes"
                );
                return Err(at_key(path, second, &Error::data_loss(message)));
            }
        }
        Ok(())
    }
}

fn read_header(path: &Path, bytes: &[u8]) -> Result<usize> {
    let header: BundleHeaderProto = decode(bytes).map_err(|e| damaged(path, &e))?;
    let version = header.version.unwrap_or_default();
    if version.min_consumer > VERSION || version.bad_consumers.contains(&VERSION) {
        let needed = version.min_consumer.max(VERSION.saturating_add(1));
        let message = format!("{}: needs a reader of version {needed}, and this is version {VERSION}", path.display());
        return Err(Error::unimplemented(message));
    }
    if header.endianness != 0 {
        return Err(Error::unimplemented(format!(
            "{}: the data are big-endian (endianness {}), and only little-endian ones are read",
            path.display(),
            header.endianness
        )));
    }
    usize::try_from(header.num_shards).ok().filter(|n| (1..=MAX_SHARDS).contains(n)).ok_or_else(|| {
        Error::data_loss(format!(
            "{}: the header counts {} shards, expected 1 to {MAX_SHARDS}",
            path.display(),
            header.num_shards
        ))
    })
}

/// The entry of a whole tensor; where it was saved in slices, these have their places and no data yet.
fn read_entry(bytes: &[u8], shards: usize) -> Result<EntryInfo> {
    let proto: BundleEntryProto = decode(bytes).map_err(|e| Error::data_loss(e.to_string()))?;
    let (dtype, shape, size) = read_type(&proto)?;
    let extent = read_extent(&proto, shards)?;
    if proto.slices.is_empty() {
        check_size(dtype, &shape, size, &extent)?;
        return Ok(EntryInfo { dtype, shape, extent, slices: Vec::new() });
    }
    if extent.size != 0 {
        let message = format!("{} bytes of its own, and also {} slices", extent.size, proto.slices.len());
        return Err(Error::data_loss(message));
    }
    if proto.slices.len() > MAX_SLICES {
        return Err(Error::data_loss(format!("{} slices, and at most {MAX_SLICES} are read", proto.slices.len())));
    }
    let ranges = |slice: &TensorSliceProto| {
        let ranges: Vec<_> = slice.extent.iter().map(|e| (e.start, e.length.unwrap_or(-1))).collect();
        read_ranges(&ranges, &shape)
    };
    let slices = proto.slices.iter().map(ranges).collect::<Result<_>>()?;
    Ok(EntryInfo { dtype, shape, extent: Extent::default(), slices })
}

/// The data of a slice. Its ranges are checked when the tensor is known.
fn read_part(bytes: &[u8], ranges: &[(i64, i64)], shards: usize) -> Result<(StoredType, Slice)> {
    let proto: BundleEntryProto = decode(bytes).map_err(|e| Error::data_loss(format!("slice {ranges:?}: {e}")))?;
    let (dtype, shape, size) = read_type(&proto)?;
    let extent = read_extent(&proto, shards)?;
    check_size(dtype, &shape, size, &extent)?;
    if !proto.slices.is_empty() {
        return Err(Error::data_loss(format!("slice {ranges:?} has slices itself")));
    }
    let fits = ranges.len() == shape.len()
        && ranges.iter().zip(&shape).all(|(&(_, len), &dim)| len == -1 || usize::try_from(len) == Ok(dim));
    if !fits {
        return Err(Error::data_loss(format!("slice {ranges:?} holds a tensor of shape {shape:?}")));
    }
    let start = ranges.iter().map(|&(start, _)| usize::try_from(start)).collect::<Result<_, _>>();
    let start = start.map_err(|_| Error::data_loss(format!("slice {ranges:?} starts before the tensor")))?;
    Ok((dtype, Slice { start, shape, extent }))
}

/// Dtype, dims, and the bytes these make (at least, for strings).
fn read_type(proto: &BundleEntryProto) -> Result<(StoredType, Vec<usize>, u64)> {
    let dtype = StoredType::from_number(proto.dtype)
        .ok_or_else(|| Error::data_loss(format!("dtype {} is none that a checkpoint can hold", proto.dtype)))?;
    let none = TensorShapeProto::default();
    let shape = proto.shape.as_ref().unwrap_or(&none);
    if shape.unknown_rank {
        return Err(Error::data_loss("its rank is unknown, and stored tensors have one"));
    }
    if shape.dim.len() > MAX_RANK {
        return Err(Error::data_loss(format!("rank {}, and at most {MAX_RANK} dims are possible", shape.dim.len())));
    }
    let dims = shape.dim.iter().enumerate().map(|(axis, dim)| {
        usize::try_from(dim.size)
            .map_err(|_| Error::data_loss(format!("dim {axis} is {}, which no dim can be", dim.size)))
    });
    let dims: Vec<usize> = dims.collect::<Result<_>>()?;
    let size = stored_size(dtype, &dims).map_err(|e| Error::data_loss(e.message()))?;
    Ok((dtype, dims, size))
}

fn read_extent(proto: &BundleEntryProto, shards: usize) -> Result<Extent> {
    let shard = usize::try_from(proto.shard_id).ok().filter(|&shard| shard < shards);
    let shard = shard.ok_or_else(|| Error::data_loss(format!("shard {} of {shards}", proto.shard_id)))?;
    match (u64::try_from(proto.offset), u64::try_from(proto.size)) {
        (Ok(offset), Ok(size)) => Ok(Extent { shard, offset, size, crc32c: proto.crc32c }),
        _ => Err(Error::data_loss(format!("{} bytes at offset {}, which cannot be", proto.size, proto.offset))),
    }
}

fn check_size(dtype: StoredType, shape: &[usize], size: u64, extent: &Extent) -> Result<()> {
    let (fits, least) = match dtype.is_string() {
        true => (extent.size >= size, "at least "),
        false => (extent.size == size, ""),
    };
    if fits {
        return Ok(());
    }
    Err(Error::data_loss(format!(
        "{} bytes are stored, and {dtype}{} takes {least}{size}",
        extent.size,
        crate::Shape::from(shape)
    )))
}

/// Starts and lengths inside a tensor of these dims; a length of -1 is all of a dim.
fn read_ranges(ranges: &[(i64, i64)], dims: &[usize]) -> Result<Slice> {
    let refused = || Error::data_loss(format!("slice {ranges:?} is not inside shape {dims:?}"));
    if ranges.len() != dims.len() {
        return Err(refused());
    }
    let mut slice = Slice { start: Vec::new(), shape: Vec::new(), extent: Extent::default() };
    for (&(start, length), &dim) in ranges.iter().zip(dims) {
        let start = usize::try_from(start).map_err(|_| refused())?;
        let length = match length {
            -1 => dim,
            length => usize::try_from(length).map_err(|_| refused())?,
        };
        start.checked_add(length).filter(|&end| end <= dim).ok_or_else(refused)?;
        slice.start.push(start);
        slice.shape.push(length);
    }
    Ok(slice)
}

/// Gives the slices that an entry lists their data.
fn attach(entry: &mut EntryInfo, mut parts: Vec<(StoredType, Slice)>) -> Result<()> {
    let place = |slice: &Slice| (slice.start.clone(), slice.shape.clone());
    entry.slices.sort_by_cached_key(place);
    parts.sort_by_cached_key(|(_, slice)| place(slice));
    for (dtype, part) in parts {
        if dtype != entry.dtype {
            return Err(Error::data_loss(format!("a slice of {dtype} of a tensor of {}", entry.dtype)));
        }
        let found =
            entry.slices.binary_search_by(|slice| (&slice.start, &slice.shape).cmp(&(&part.start, &part.shape)));
        let Some(slice) = found.ok().and_then(|at| entry.slices.get_mut(at)) else {
            return Err(Error::data_loss(format!(
                "a slice from {:?} on of shape {:?} is there, and the entry does not list it",
                part.start, part.shape
            )));
        };
        // What an entry of data says is more than nothing: at the least, its checksum.
        slice.extent = part.extent;
    }
    Ok(())
}

impl EntryInfo {
    /// Whether every slice has data, and together they are the tensor, each element once.
    pub(super) fn check_slices(&self, slices: Slices) -> Result<()> {
        if self.slices.is_empty() {
            return Ok(());
        }
        let mut covered = 0_usize;
        for slice in &self.slices {
            let least = stored_size(self.dtype, &slice.shape)?;
            if slice.extent.size < least {
                return Err(Error::data_loss(format!(
                    "the slice from {:?} on of shape {:?} is listed and has no data",
                    slice.start, slice.shape
                )));
            }
            covered = covered.saturating_add(slice.shape.iter().product());
        }
        self.check_overlap()?;
        if slices == Slices::All && covered != self.elements() {
            return Err(Error::data_loss(format!(
                "its {} slices have {covered} of the {} elements",
                self.slices.len(),
                self.elements()
            )));
        }
        Ok(())
    }

    fn check_overlap(&self) -> Result<()> {
        // Ordered along the axis that tells most slices apart, few remain to be compared.
        let distinct = |axis: usize| {
            let mut starts: Vec<_> = self.slices.iter().map(|slice| slice.start.get(axis)).collect();
            starts.sort_unstable();
            starts.dedup();
            starts.len()
        };
        let axis = (0..self.shape.len()).max_by_key(|&axis| distinct(axis)).unwrap_or(0);
        let range = |slice: &Slice, axis: usize| {
            let start = slice.start.get(axis).copied().unwrap_or(0);
            (start, start.saturating_add(slice.shape.get(axis).copied().unwrap_or(1)))
        };
        let mut ordered: Vec<&Slice> = self.slices.iter().filter(|slice| !slice.shape.contains(&0)).collect();
        ordered.sort_by_key(|slice| range(slice, axis));
        for (at, slice) in ordered.iter().enumerate() {
            for other in ordered.iter().skip(at + 1) {
                if range(other, axis).0 >= range(slice, axis).1 {
                    break;
                }
                let meet =
                    |axis| range(slice, axis).0 < range(other, axis).1 && range(other, axis).0 < range(slice, axis).1;
                if (0..self.shape.len()).all(meet) {
                    return Err(Error::data_loss(format!(
                        "its slices from {:?} and from {:?} on share elements",
                        slice.start, other.start
                    )));
                }
            }
        }
        Ok(())
    }
}

fn number(n: usize) -> Result<i32> {
    i32::try_from(n).map_err(|_| Error::invalid_argument(format!("{n} is more than a bundle can say")))
}

fn wide(n: impl TryInto<i64>) -> Result<i64> {
    n.try_into().map_err(|_| Error::invalid_argument("a number is more than a bundle can say"))
}

fn slice_proto(slice: &Slice) -> Result<TensorSliceProto> {
    let extents = slice.start.iter().zip(&slice.shape);
    let extents = extents.map(|(&start, &len)| Ok(message::Extent { start: wide(start)?, length: Some(wide(len)?) }));
    Ok(TensorSliceProto { extent: extents.collect::<Result<_>>()? })
}

fn entry_proto(
    dtype: StoredType,
    shape: &[usize],
    extent: &Extent,
    slices: Vec<TensorSliceProto>,
) -> Result<BundleEntryProto> {
    let dim = shape.iter().map(|&dim| Ok(Dim { size: wide(dim)?, ..Default::default() })).collect::<Result<_>>()?;
    Ok(BundleEntryProto {
        dtype: dtype.number(),
        shape: Some(TensorShapeProto { dim, ..Default::default() }),
        shard_id: number(extent.shard)?,
        offset: wide(extent.offset)?,
        size: wide(extent.size)?,
        crc32c: extent.crc32c,
        slices,
    })
}
