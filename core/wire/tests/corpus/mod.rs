//! Files that TensorFlow wrote, and tables that it would not write.

use std::fs;
use std::path::{Path, PathBuf};

use modulor_wire::crc::{crc32c, mask};
use modulor_wire::table::Entry;

/// All files of the interoperability fixtures with this name, or with this extension, in order of their paths.
pub fn files(named: &str) -> Vec<(PathBuf, Vec<u8>)> {
    fn collect(folder: &Path, named: &str, out: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(folder).expect("the fixtures are in the repository") {
            let path = entry.expect("readable").path();
            let is = |part: Option<&std::ffi::OsStr>| part.is_some_and(|part| part == named);
            if path.is_dir() {
                collect(&path, named, out);
            } else if is(path.file_name()) || is(path.extension()) {
                let bytes = fs::read(&path).expect("readable");
                out.push((path, bytes));
            }
        }
    }
    let mut out = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/fixtures"), named, &mut out);
    out.sort();
    assert!(!out.is_empty(), "no fixture is called {named}");
    out
}

/// The graphs of a SavedModel, as they stand in its file: field 2 of its field 2.
pub fn graph_defs(saved_model: &[u8]) -> Vec<&[u8]> {
    let of = |message| fields(message).into_iter().filter(|(field, _)| *field == 2).map(|(_, bytes)| bytes);
    of(saved_model).flat_map(of).collect()
}

/// The numbers of the fields of a message that are bytes, and the bytes.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn number(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut out = Vec::new();
    while !message.is_empty() {
        let tag = number(&mut message);
        let length = match tag & 7 {
            0 => {
                number(&mut message);
                continue;
            }
            1 => 8,
            2 => number(&mut message) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        out.push((tag >> 3, &message[..length]));
        message = &message[length..];
    }
    out
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7F {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// An entry of a block as it is written: the bytes that it shares, the end of its key, its value.
pub type Raw<'a> = (u64, &'a [u8], &'a [u8]);

/// The contents of a block with these entries and restarts.
pub fn contents(entries: &[Raw<'_>], restarts: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    for (shared, own, value) in entries {
        out.extend(varint(*shared));
        out.extend(varint(own.len() as u64));
        out.extend(varint(value.len() as u64));
        out.extend(*own);
        out.extend(*value);
    }
    out.extend(restarts.iter().flat_map(|restart| restart.to_le_bytes()));
    out.extend((restarts.len() as u32).to_le_bytes());
    out
}

/// A table that is put together by hand.
#[derive(Default)]
pub struct Forge {
    pub file: Vec<u8>,
    /// Keys and values of the index.
    pub index: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Forge {
    /// Appends a block with a valid checksum and gives its handle.
    pub fn block(&mut self, contents: &[u8], compression: u8) -> Vec<u8> {
        let handle = [varint(self.file.len() as u64), varint(contents.len() as u64)].concat();
        let start = self.file.len();
        self.file.extend(contents);
        self.file.push(compression);
        let crc = mask(crc32c(&self.file[start..]));
        self.file.extend(crc.to_le_bytes());
        handle
    }

    /// Appends a data block that the index has under `key`.
    pub fn data(mut self, key: &[u8], contents: &[u8], compression: u8) -> Self {
        let handle = self.block(contents, compression);
        self.index(key, &handle)
    }

    /// Gives the index an entry.
    pub fn index(mut self, key: &[u8], handle: &[u8]) -> Self {
        self.index.push((key.to_vec(), handle.to_vec()));
        self
    }

    /// Appends the metaindex, the index and the footer.
    pub fn finish(mut self) -> Vec<u8> {
        let metaindex = self.block(&contents(&[], &[0]), 0);
        let entries: Vec<Raw<'_>> = self.index.iter().map(|(key, handle)| (0, &key[..], &handle[..])).collect();
        let mut at = 0;
        let mut restarts = Vec::new();
        for (_, key, handle) in &entries {
            restarts.push(at);
            at += 3 + (key.len() + handle.len()) as u32;
        }
        if restarts.is_empty() {
            restarts.push(0);
        }
        let index = contents(&entries, &restarts);
        let index = self.block(&index, 0);
        self.footer(&[metaindex, index].concat())
    }

    /// Appends a footer with these handles.
    pub fn footer(mut self, handles: &[u8]) -> Vec<u8> {
        let mut footer = handles.to_vec();
        footer.resize(40, 0);
        footer.extend(0xDB47_7524_8B80_FB57u64.to_le_bytes());
        self.file.extend(footer);
        self.file
    }
}

/// A table with these entries in blocks of `size`, each packed with snappy if it is to be `packed`.
pub fn table(entries: &[Entry], size: usize, packed: bool) -> Vec<u8> {
    let mut forge = Forge::default();
    for chunk in entries.chunks(size) {
        let raw: Vec<Raw<'_>> = chunk.iter().map(|entry| (0, &entry.key[..], &entry.value[..])).collect();
        let block = contents(&raw, &[0]);
        let last = &chunk.last().expect("a chunk has entries").key;
        forge = match packed {
            true => {
                let block = snap::raw::Encoder::new().compress_vec(&block).expect("small");
                forge.data(last, &block, 1)
            }
            false => forge.data(last, &block, 0),
        };
    }
    forge.finish()
}
