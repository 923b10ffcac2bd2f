//! Small bundles to break: every field of theirs can be made wrong, and all checksums are right again after that.

use super::fault_vfs::FaultVfs;
use modulor::checkpoint::bundle::Bundle;
use modulor::prelude::*;
use modulor::vfs::Vfs;
use modulor::{DType, ErrorKind};
use modulor_wire::crc::{crc32c, mask};
use modulor_wire::message::{
    BundleEntryProto, BundleHeaderProto, Dim, TensorShapeProto, TensorSliceProto, VersionDef, encode,
};
use modulor_wire::slice::encode_key;
use modulor_wire::strings;
use std::sync::Arc;

/// The parts of a bundle, as bytes and numbers that nothing checks.
#[derive(Clone)]
pub struct Parts {
    pub header: Option<Vec<u8>>,
    /// Keys and values, in the order of the file.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    pub shards: Vec<Vec<u8>>,
    pub table: Table,
}

/// What is said about the blocks of the index.
#[derive(Clone)]
pub struct Table {
    pub compression: u8,
    /// The bytes that the second key says it shares with the first.
    pub shared: u64,
    pub restarts: u32,
    /// The handle of the index block, if not the true one.
    pub handle: Option<(u64, u64)>,
}

pub fn header(num_shards: i32) -> BundleHeaderProto {
    let version = Some(VersionDef { producer: 1, ..Default::default() });
    BundleHeaderProto { num_shards, endianness: 0, version }
}

pub fn shape(dims: &[i64]) -> TensorShapeProto {
    let dim = dims.iter().map(|&size| Dim { size, ..Default::default() }).collect();
    TensorShapeProto { dim, unknown_rank: false }
}

pub fn entry(dtype: i32, dims: &[i64], offset: i64, bytes: &[u8]) -> BundleEntryProto {
    BundleEntryProto {
        dtype,
        shape: Some(shape(dims)),
        shard_id: 0,
        offset,
        size: bytes.len() as i64,
        crc32c: mask(crc32c(bytes)),
        slices: Vec::new(),
    }
}

pub fn slice(extents: &[(i64, Option<i64>)]) -> TensorSliceProto {
    let extent = |&(start, length): &(i64, Option<i64>)| modulor_wire::message::Extent { start, length };
    TensorSliceProto { extent: extents.iter().map(extent).collect() }
}

/// `b` is bool(3), `s` string(2), `w` float32(2, 3), in one file in this order.
pub fn sample() -> Parts {
    let w: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let b = [1, 0, 1];
    let (s, crc) = strings::encode(&["it", "is"]);
    let strings = BundleEntryProto { crc32c: crc, ..entry(7, &[2], 3, &s) };
    let entries = vec![
        (b"b".to_vec(), encode(&entry(10, &[3], 0, &b))),
        (b"s".to_vec(), encode(&strings)),
        (b"w".to_vec(), encode(&entry(1, &[2, 3], 3 + s.len() as i64, &w))),
    ];
    Parts {
        header: Some(encode(&header(1))),
        entries,
        shards: vec![[&b[..], &s, &w].concat()],
        table: Table { compression: 0, shared: 0, restarts: 1, handle: None },
    }
}

/// The sample with `w` as two slices, columns 0..2 and 2..3.
pub fn sliced() -> Parts {
    let mut parts = sample();
    let column = |xs: &[f32]| xs.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let (left, right) = (column(&[1.0, 2.0, 4.0, 5.0]), column(&[3.0, 6.0]));
    let whole = BundleEntryProto {
        dtype: 1,
        shape: Some(shape(&[2, 3])),
        slices: vec![slice(&[(0, None), (0, Some(2))]), slice(&[(0, None), (2, Some(1))])],
        ..Default::default()
    };
    parts.entries[2].1 = encode(&whole);
    let keys = [encode_key("w", &[(0, 2), (0, 2)]), encode_key("w", &[(0, -1), (2, 1)])];
    let [first, second] = keys;
    parts.entries.insert(0, (first, encode(&entry(1, &[2, 2], 37, &left))));
    parts.entries.insert(1, (second, encode(&entry(1, &[2, 1], 53, &right))));
    parts.entries[..2].sort();
    parts.shards[0].extend([left, right].concat());
    parts
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n > 127 {
        out.push(n as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
}

fn block(contents: &[u8], compression: u8) -> Vec<u8> {
    let mut out = contents.to_vec();
    out.push(compression);
    let crc = mask(crc32c(&out));
    out.extend(crc.to_le_bytes());
    out
}

impl Parts {
    /// With another value under a key of the sample.
    pub fn with(mut self, key: &str, change: impl FnOnce(&mut BundleEntryProto)) -> Parts {
        let (_, value) = self.entries.iter_mut().find(|(k, _)| k == key.as_bytes()).expect("a key of the sample");
        let mut proto = modulor_wire::message::decode(value).expect("an entry");
        change(&mut proto);
        *value = encode(&proto);
        self
    }

    /// The bytes of the index.
    pub fn index(&self) -> Vec<u8> {
        let header = self.header.iter().map(|header| (Vec::new(), header.clone()));
        let mut data = Vec::new();
        for (at, (key, value)) in header.chain(self.entries.iter().cloned()).enumerate() {
            let shared = if at == 1 { self.table.shared } else { 0 };
            varint(shared, &mut data);
            varint(key.len() as u64, &mut data);
            varint(value.len() as u64, &mut data);
            data.extend(key);
            data.extend(value);
        }
        data.extend(0_u32.to_le_bytes());
        data.extend(self.table.restarts.to_le_bytes());
        let mut out = block(&data, self.table.compression);
        let (meta, empty) = (out.len(), [0, 0, 0, 0, 1, 0, 0, 0]);
        out.extend(block(&empty, 0));
        let mut handle = vec![0];
        varint(data.len() as u64, &mut handle);
        let mut index = vec![0, 1, handle.len() as u8, 0xFF];
        index.extend(&handle);
        index.extend(empty);
        let (at, size) = self.table.handle.unwrap_or((out.len() as u64, index.len() as u64));
        out.extend(block(&index, 0));
        let mut footer = Vec::new();
        for n in [meta as u64, empty.len() as u64, at, size] {
            varint(n, &mut footer);
        }
        footer.resize(40, 0);
        footer.extend(0xDB47_7524_8B80_FB57_u64.to_le_bytes());
        out.extend(footer);
        out
    }

    /// The files, under the prefix `/m`.
    pub fn files(&self) -> FaultVfs {
        let vfs = FaultVfs::default();
        vfs.put("/m.index", &self.index());
        for (shard, bytes) in self.shards.iter().enumerate() {
            vfs.put(format!("/m.data-{shard:05}-of-{:05}", self.shards.len()), bytes);
        }
        vfs
    }

    /// What reading all of it fails with.
    pub fn error(&self) -> modulor::Error {
        read_all(&self.files().shared()).expect_err("it is broken")
    }

    /// It is refused with this kind and exactly these words.
    pub fn refused(&self, kind: ErrorKind, words: &str) {
        let error = self.error();
        assert_eq!(error.to_string(), words);
        assert_eq!(error.kind(), kind);
    }
}

/// Every tensor that is there, as bytes or strings.
pub fn read_all(vfs: &Arc<dyn Vfs>) -> Result<Vec<(String, Vec<Vec<u8>>)>> {
    let bundle = Bundle::open_on(vfs, "/m")?;
    bundle.keys().map(|key| Ok((key.to_owned(), contents(&bundle.read(key)?)?))).collect()
}

pub fn contents(tensor: &Tensor) -> Result<Vec<Vec<u8>>> {
    match tensor.dtype() {
        DType::String => Ok(tensor.to_strings()?.iter().map(|text| text.to_vec()).collect()),
        _ => Ok(vec![tensor.to_bytes()?]),
    }
}
