//! Files that TensorFlow wrote come out of the writers as they went into the readers.

use std::fs;
use std::path::Path;

use modulor_wire::message::{
    BundleEntryProto, BundleHeaderProto, DataType, TensorShapeProto, TrackableObjectGraph, decode, encode,
};
use modulor_wire::state::CheckpointState;
use modulor_wire::table::{self, Entry, Writer};
use modulor_wire::{crc, slice, strings};

use crate::corpus::{self, files};

/// A file of the fixtures.
fn fixture(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/fixtures").join(path);
    fs::read(path).expect("the fixture is in the repository")
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new();
    for Entry { key, value } in entries {
        writer.add(key, value).expect("the keys increase");
    }
    writer.finish()
}

#[test]
fn every_index_is_read_and_written() {
    let files = files("index");
    assert_eq!(files.len(), 42);
    for (path, file) in files {
        let entries = table::read(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(write(&entries) == file, "{} is written otherwise", path.display());
    }
}

#[test]
fn every_message_is_read_and_written() {
    let mut slices = 0;
    for (path, file) in files("index") {
        for Entry { key, value } in table::read(&file).expect("it is a table") {
            let shown = format!("{}: {:?}", path.display(), String::from_utf8_lossy(&key));
            if key.is_empty() {
                let header: BundleHeaderProto = decode(&value).expect(&shown);
                assert_eq!(header.version.as_ref().expect("a version").producer, 1, "{shown}");
                assert_eq!(encode(&header), value, "{shown}");
                continue;
            }
            let entry: BundleEntryProto = decode(&value).expect(&shown);
            assert_eq!(encode(&entry), value, "{shown}");
            assert!(DataType::try_from(entry.dtype).is_ok_and(|dtype| dtype != DataType::Invalid), "{shown}");
            assert!(entry.shape.is_some(), "{shown}");
            if key.starts_with(&[0]) {
                let (name, extents) = slice::decode_key(&key).expect(&shown);
                assert_eq!(slice::encode_key(&name, &extents), key, "{shown}");
                slices += 1;
            }
        }
    }
    assert_eq!(slices, 8);
}

/// The bytes of an entry of a checkpoint with one data file.
fn stored(data: &[u8], entry: &BundleEntryProto) -> Vec<u8> {
    data[entry.offset as usize..][..entry.size as usize].to_vec()
}

#[test]
fn every_tensor_has_its_checksum_and_every_object_graph_is_read() {
    let (mut texts, mut graphs, mut numbers) = (0, 0, 0);
    for (path, file) in files("index") {
        let data = path.with_extension("data-00000-of-00001");
        let Ok(data) = fs::read(data) else { continue };
        for Entry { key, value } in table::read(&file).expect("it is a table") {
            let entry = match key.is_empty() {
                true => continue,
                false => decode::<BundleEntryProto>(&value).expect("an entry"),
            };
            let shown = format!("{}: {:?}", path.display(), String::from_utf8_lossy(&key));
            let bytes = stored(&data, &entry);
            if !entry.slices.is_empty() {
                assert_eq!((entry.size, entry.crc32c), (0, 0), "{shown}: its slices are entries of their own");
                continue;
            }
            if entry.dtype != DataType::String as i32 {
                assert_eq!(crc::mask(crc::crc32c(&bytes)), entry.crc32c, "{shown}");
                numbers += 1;
                continue;
            }
            let count = entry.shape.iter().flat_map(|shape| &shape.dim).map(|dim| dim.size as usize).product();
            let elements = strings::decode(&bytes, count, entry.crc32c).expect(&shown);
            assert_eq!(strings::encode(&elements), (bytes.clone(), entry.crc32c), "{shown}");
            texts += 1;
            if key == b"_CHECKPOINTABLE_OBJECT_GRAPH" {
                let graph: TrackableObjectGraph = decode(elements[0]).expect(&shown);
                assert_eq!(encode(&graph), elements[0], "{shown}");
                assert!(
                    graph
                        .nodes
                        .iter()
                        .flat_map(|node| &node.children)
                        .all(|child| { usize::try_from(child.node_id).is_ok_and(|node| node < graph.nodes.len()) })
                );
                graphs += 1;
            }
        }
    }
    assert!(
        texts > graphs && graphs > 30 && numbers > 200,
        "{texts} string tensors, {graphs} graphs, {numbers} others"
    );
}

#[test]
fn every_state_file_is_read_and_written() {
    let files = files("checkpoint");
    assert_eq!(files.len(), 2);
    for (path, file) in files {
        let text = String::from_utf8(file).expect("UTF-8");
        let state = CheckpointState::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(state.print(), text, "{}", path.display());
    }
    let text = String::from_utf8(fixture("ckpt_root/managed/checkpoint")).expect("UTF-8");
    let expected = CheckpointState {
        model_checkpoint_path: "ckpt-3".to_owned(),
        all_model_checkpoint_paths: vec!["ckpt-2".to_owned(), "ckpt-3".to_owned()],
        all_model_checkpoint_timestamps: vec![1795399355.2927241, 1795399355.3084602],
        last_preserved_timestamp: 1795399354.2563133,
    };
    assert_eq!(CheckpointState::parse(&text).expect("a state"), expected);
}

#[test]
fn zero_dimensions_and_scalars_keep_their_shapes() {
    let entries = table::read(&fixture("ckpt_dtypes/ckpt/model.index")).expect("a table");
    let shapes: Vec<TensorShapeProto> = entries[1..]
        .iter()
        .map(|entry| decode::<BundleEntryProto>(&entry.value).expect("an entry").shape.expect("a shape"))
        .collect();
    assert!(shapes.iter().any(|shape| shape.dim.is_empty()), "a scalar");
    assert!(shapes.iter().any(|shape| shape.dim.iter().any(|dim| dim.size == 0)), "a dimension of 0");
}

/// What is read of a damaged file is an error, or what was there before.
fn check_damage(file: &[u8], entries: &[Entry], what: impl std::fmt::Display) {
    if let Ok(read) = table::read(file) {
        assert!(read == entries, "{what} gives other entries");
    }
}

/// A small table, one with slices, one with many kinds of tensors, and one in several packed blocks.
fn samples() -> Vec<Vec<u8>> {
    let names = ["sm_no_vars/saved_model/variables/variables.index", "ckpt_sharded_tf/ckpt/model.index"];
    let mut files: Vec<Vec<u8>> = names.map(fixture).to_vec();
    let large = fixture("ckpt_dtypes/ckpt/model.index");
    files.push(corpus::table(&table::read(&large).expect("a table"), 20, true));
    files.push(large);
    files
}

#[test]
fn a2_a_file_cut_anywhere_is_refused() {
    for file in samples() {
        assert!(table::read(&file).is_ok());
        for length in 0..file.len() {
            let error = table::read(&file[..length]).expect_err("its end is missing");
            let expected = match length {
                0..48 => format!("a table has at least the 48 bytes of its footer, this has {length}"),
                _ => "not a table, or its end is missing: magic number ".to_owned(),
            };
            assert!(error.message().starts_with(&expected), "{length} bytes: {error}");
        }
    }
}

#[test]
fn a3_a_flipped_bit_is_an_error_and_never_other_entries() {
    for (at, file) in samples().into_iter().enumerate() {
        let entries = table::read(&file).expect("a table");
        let mut unseen = 0;
        for bit in 0..file.len() * 8 {
            let mut file = file.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            check_damage(&file, &entries, format!("bit {bit} of sample {at}"));
            unseen += usize::from(table::read(&file).is_ok());
        }
        assert_eq!(unseen, 0, "every bit of sample {at} is checked");
    }
}
