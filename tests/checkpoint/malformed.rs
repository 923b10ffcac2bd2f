//! One test for each way in which the files of a bundle can be wrong; the numbers are those of our catalogue of faults.

use super::broken::{Parts, Table, contents, entry, header, read_all, sample, shape, slice, sliced};
use super::fault_vfs::FaultVfs;
use super::scratch;
use modulor::ErrorKind::{DataLoss, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, Unimplemented};
use modulor::checkpoint::bundle::{Bundle, BundleWriter, StoredType};
use modulor::prelude::*;
use modulor_wire::message::{BundleEntryProto, BundleHeaderProto, VersionDef, encode};
use modulor_wire::slice::encode_key;
use modulor_wire::strings;
use std::fs;
use std::path::Path;

#[test]
fn a00_the_sample_is_whole() {
    let read = read_all(&sample().files().shared()).unwrap();
    let keys: Vec<&str> = read.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["b", "s", "w"]);
    assert_eq!(read[0].1, [[1, 0, 1]]);
    assert_eq!(read[1].1, [b"it", b"is"]);
    assert_eq!(read[2].1[0][..4], 1.0_f32.to_le_bytes());
}

#[test]
fn a01_an_index_shorter_than_a_footer() {
    for len in [0, 47] {
        let vfs = FaultVfs::default();
        vfs.put("/m.index", &sample().index()[..len]);
        let error = Bundle::open_on(&vfs.shared(), "/m").unwrap_err();
        let words = format!("/m.index: a table has at least the 48 bytes of its footer, this has {len}");
        assert_eq!(error.to_string(), words);
        assert_eq!(error.kind(), DataLoss);
    }
}

#[test]
fn a02_an_index_cut_off_at_every_length() {
    let vfs = sample().files();
    let index = sample().index();
    for len in 0..index.len() {
        vfs.put("/m.index", &index[..len]);
        let error = Bundle::open_on(&vfs.shared(), "/m").unwrap_err();
        assert_eq!(error.kind(), DataLoss, "{len}: {error}");
        assert!(error.message().starts_with("/m.index: "), "{error}");
    }
}

/// What is read of files in which one byte is other: an error, or what was written.
fn flip_every_bit(file: &str) {
    let vfs = sample().files();
    let whole = read_all(&vfs.shared()).unwrap();
    let bytes = vfs.bytes(file).unwrap();
    let mut harmless = 0;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            vfs.put(file, &flipped);
            match read_all(&vfs.shared()) {
                Ok(read) => {
                    harmless += 1;
                    assert_eq!(read, whole, "bit {bit} of byte {at} of {file}");
                }
                Err(e) => assert!(e.message().starts_with("/m."), "{e}"),
            }
        }
    }
    assert_eq!(harmless, 0, "every bit of {file} is looked at");
}

#[test]
fn a03_a_bit_of_the_index_is_other() {
    flip_every_bit("/m.index");
}

#[test]
fn a04_a_footer_that_points_outside_the_file() {
    let huge = Table { handle: Some((1 << 62, 1 << 62)), ..sample().table };
    let error = Parts { table: huge, ..sample() }.error();
    assert_eq!(error.kind(), DataLoss);
    assert!(error.message().starts_with("/m.index: "), "{error}");
    assert!(error.message().contains("4611686018427387904"), "{error}");
}

#[test]
fn a05_an_unknown_compression() {
    let error = Parts { table: Table { compression: 7, ..sample().table }, ..sample() }.error();
    assert!(error.message().starts_with("/m.index: ") && error.message().contains("compression 7"), "{error}");
    let error = Parts { table: Table { compression: 1, ..sample().table }, ..sample() }.error();
    assert!(error.message().starts_with("/m.index: "), "{error}");
    assert_eq!(error.kind(), DataLoss);
}

#[test]
fn a06_a_key_that_shares_more_than_there_is_and_too_many_restarts() {
    let error = Parts { table: Table { shared: 9, ..sample().table }, ..sample() }.error();
    assert!(error.message().starts_with("/m.index: ") && error.message().contains('9'), "{error}");
    let error = Parts { table: Table { restarts: u32::MAX, ..sample().table }, ..sample() }.error();
    assert!(error.message().starts_with("/m.index: ") && error.message().contains("4294967295"), "{error}");
}

#[test]
fn a07_keys_out_of_order() {
    let mut parts = sample();
    parts.entries.swap(0, 2);
    let error = parts.error();
    assert!(error.message().contains("/m.index: key \"s\" follows \"w\": keys must increase"), "{error}");
}

#[test]
fn a08_a_key_twice() {
    let mut parts = sample();
    parts.entries[1] = parts.entries[0].clone();
    let error = parts.error();
    assert!(error.message().contains("/m.index: key \"b\" is there twice"), "{error}");
}

#[test]
fn a09_no_header() {
    let parts = Parts { header: None, ..sample() };
    parts.refused(DataLoss, "/m.index: has no header: the first key of a bundle's index is empty");
}

fn with_header(change: impl FnOnce(&mut BundleHeaderProto)) -> Parts {
    let mut changed = header(1);
    change(&mut changed);
    Parts { header: Some(encode(&changed)), ..sample() }
}

#[test]
fn a10_a_number_of_shards_that_cannot_be() {
    for shards in [0, -1, 100_000, i32::MAX] {
        let words = format!("/m.index: the header counts {shards} shards, expected 1 to 99999");
        with_header(|h| h.num_shards = shards).refused(DataLoss, &words);
    }
}

#[test]
fn a11_a_header_that_is_none_or_of_a_later_version() {
    let error = Parts { header: Some(vec![0xFF; 3]), ..sample() }.error();
    assert!(error.message().starts_with("/m.index: not a BundleHeaderProto: "), "{error}");
    let later = |h: &mut BundleHeaderProto| {
        h.version = Some(VersionDef { producer: 5, min_consumer: 3, ..Default::default() });
    };
    with_header(later).refused(Unimplemented, "/m.index: needs a reader of version 3, and this is version 1");
}

#[test]
fn a12_big_endian_data() {
    let words = "/m.index: the data are big-endian (endianness 1), and only little-endian ones are read";
    with_header(|h| h.endianness = 1).refused(Unimplemented, words);
}

#[test]
fn a13_an_entry_that_is_not_a_message() {
    let mut parts = sample();
    parts.entries[2].1 = vec![0x0A, 0xFF];
    let error = parts.error();
    assert!(error.message().starts_with("/m.index: key \"w\": not a BundleEntryProto: "), "{error}");
    assert_eq!(error.kind(), DataLoss);
    parts.entries[2].1 = Vec::new();
    parts.refused(DataLoss, "/m.index: key \"w\": dtype 0 is none that a checkpoint can hold");
}

#[test]
fn a14_a_dtype_that_no_tensor_has() {
    for dtype in [0, 999, -1, 20, 21, 101] {
        let words = format!("/m.index: key \"w\": dtype {dtype} is none that a checkpoint can hold");
        sample().with("w", |w| w.dtype = dtype).refused(DataLoss, &words);
    }
}

#[test]
fn a14_a_dtype_that_only_tensorflow_computes_with_is_listed_verified_and_copied() {
    let parts = sample().with("b", |b| b.dtype = StoredType::from_number(24).unwrap().number());
    let vfs = parts.files();
    let bundle = Bundle::open_on(&vfs.shared(), "/m").unwrap();
    assert_eq!(bundle.entry("b").unwrap().to_string(), "float8_e5m2(3,)");
    let error = bundle.read("b").unwrap_err();
    assert_eq!(error.kind(), Unimplemented);
    assert_eq!(
        error.message(),
        "/m.index: key \"b\": no tensor here has elements of float8_e5m2; they can be copied as they are"
    );
    assert!(bundle.verify().faults.is_empty());
    let mut writer = BundleWriter::new_on(&vfs.shared(), "/copy");
    writer.add_copy("renamed", &bundle, "b").unwrap();
    writer.add_copy("w", &bundle, "w").unwrap();
    writer.commit().unwrap();
    let copy = Bundle::open_on(&vfs.shared(), "/copy").unwrap();
    assert_eq!(copy.entry("renamed").unwrap(), bundle.entry("b").unwrap());
    assert_eq!(vfs.bytes("/copy.data-00000-of-00001").unwrap()[..3], [1, 0, 1]);
    let mut writer = BundleWriter::new_on(&vfs.shared(), "/bytes");
    writer.add_bytes("b", bundle.entry("b").unwrap().dtype, &[3], vec![1, 0, 1]).unwrap();
    writer.commit().unwrap();
    let again = Bundle::open_on(&vfs.shared(), "/bytes").unwrap();
    assert_eq!(again.entry("b"), bundle.entry("b"));
    // And its bits are watched over like all others.
    let mut data = parts.shards[0].clone();
    data[1] = 3;
    vfs.put("/m.data-00000-of-00001", &data);
    assert_eq!(Bundle::open_on(&vfs.shared(), "/m").unwrap().verify().faults.len(), 1);
}

#[test]
fn a15_a_negative_dim() {
    for (dims, at, dim) in [(&[-1, 6][..], 0, -1), (&[-4, -1], 0, -4), (&[2, i64::MIN], 1, i64::MIN)] {
        let words = format!("/m.index: key \"w\": dim {at} is {dim}, which no dim can be");
        sample().with("w", |w| w.shape = Some(shape(dims))).refused(DataLoss, &words);
    }
    let parts = sample().with("w", |w| w.shape.as_mut().unwrap().unknown_rank = true);
    parts.refused(DataLoss, "/m.index: key \"w\": its rank is unknown, and stored tensors have one");
}

#[test]
fn a16_more_elements_than_can_be_counted() {
    for dims in [&[1 << 32, 1 << 32][..], &[1 << 62, 4], &[1 << 62, 4, 0]] {
        let words = format!("/m.index: key \"w\": shape {dims:?} has more elements than can be counted");
        sample().with("w", |w| w.shape = Some(shape(dims))).refused(DataLoss, &words);
    }
    let parts = sample().with("w", |w| w.shape = Some(shape(&[1 << 62])));
    let words = "/m.index: key \"w\": 4611686018427387904 elements of float32 are too many bytes";
    parts.refused(DataLoss, words);
}

#[test]
fn a17_a_rank_beyond_the_limit() {
    let parts = sample().with("w", |w| w.shape = Some(shape(&[1; 300])));
    parts.refused(DataLoss, "/m.index: key \"w\": rank 300, and at most 254 dims are possible");
}

#[test]
fn a18_a_size_that_is_not_that_of_the_shape() {
    for size in [20, 28] {
        let words = format!("/m.index: key \"w\": {size} bytes are stored, and float32(2, 3) takes 24");
        sample().with("w", |w| w.size = size).refused(DataLoss, &words);
    }
    let words = "/m.index: key \"s\": 5 bytes are stored, and string(2,) takes at least 6";
    sample().with("s", |s| s.size = 5).refused(DataLoss, words);
    let words = "/m.index: key \"w\": -24 bytes at offset 13, which cannot be";
    sample().with("w", |w| w.size = -24).refused(DataLoss, words);
}

#[test]
fn a19_more_bytes_than_the_file_has_are_never_asked_for() {
    let parts = sample().with("w", |w| (w.shape, w.size) = (Some(shape(&[1 << 38])), 1 << 40));
    parts.refused(
        DataLoss,
        "/m.index: key \"w\": bytes [13, +1099511627776) of shard 0, which has 37 bytes\n    \
         the bytes of 2 of 3 tensors are there: \"b\", \"s\"",
    );
}

#[test]
fn a20_an_offset_outside_the_file() {
    let words = "/m.index: key \"w\": 24 bytes at offset -1, which cannot be";
    sample().with("w", |w| w.offset = -1).refused(DataLoss, words);
    for offset in [14, 1 << 62, i64::MAX] {
        let error = sample().with("w", |w| w.offset = offset).error();
        let words = format!("/m.index: key \"w\": bytes [{offset}, +24) of shard 0, which has 37 bytes");
        assert_eq!(error.message(), words);
    }
}

#[test]
fn a21_tensors_that_share_bytes() {
    sample().with("w", |w| w.offset = 12).refused(
        DataLoss,
        "/m.index: key \"w\": bytes from 12 of shard 0 on, which are also those of \"s\": [3, +10); \
         no two tensors share bytes",
    );
}

#[test]
fn a22_a_shard_that_is_not_counted() {
    for shard in [1, -1, i32::MAX] {
        let words = format!("/m.index: key \"w\": shard {shard} of 1");
        sample().with("w", |w| w.shard_id = shard).refused(DataLoss, &words);
    }
}

#[test]
fn a23_a_data_file_that_is_missing_empty_or_cut_off() {
    let parts = Parts { header: Some(encode(&header(2))), ..sample() };
    let parts = parts.with("b", |b| b.shard_id = 1);
    let vfs = parts.files();
    parts.refused(
        NotFound,
        "cannot open /m.data-00000-of-00002: no such file or directory (needed by /m.index, which counts 2 shards; \
         there are data files of a bundle of 1)\n    the bytes of 0 of 3 tensors are there",
    );
    vfs.put("/m.data-00000-of-00002", &parts.shards[0]);
    let error = Bundle::open_on(&vfs.shared(), "/m").unwrap_err();
    assert!(error.to_string().ends_with("the bytes of 2 of 3 tensors are there: \"s\", \"w\""), "{error}");
    let mut parts = sample();
    parts.shards[0].truncate(36);
    parts.refused(
        DataLoss,
        "/m.index: key \"w\": bytes [13, +24) of shard 0, which has 36 bytes\n    \
         the bytes of 2 of 3 tensors are there: \"b\", \"s\"",
    );
    parts.shards[0].clear();
    assert!(parts.error().to_string().contains("which has 0 bytes\n    the bytes of 0 of 3 tensors are there"));
    let error = Bundle::open_on(&FaultVfs::default().shared(), "/m").unwrap_err();
    assert_eq!(error.to_string(), "cannot open /m.index: no such file or directory");
}

#[test]
fn a24_a_bit_of_the_data_is_other() {
    flip_every_bit("/m.data-00000-of-00001");
    let mut parts = sample();
    parts.shards[0][20] ^= 1;
    let error = parts.error();
    assert_eq!(error.kind(), DataLoss);
    let words = "/m.data-00000-of-00001: key \"w\": bytes [13, +24): their checksum is 0x";
    assert!(error.message().starts_with(words), "{error}");
    let vfs = parts.files();
    let report = Bundle::open_on(&vfs.shared(), "/m").unwrap().verify();
    assert_eq!((report.entries, report.bytes), (3, 37));
    assert_eq!(report.faults.len(), 1);
    assert_eq!(report.faults[0].to_string(), error.to_string());
}

#[test]
fn a24_a_bool_that_is_neither_0_nor_1() {
    let mut parts = sample();
    parts.shards[0][1] = 2;
    let parts = parts.clone().with("b", |b| *b = entry(10, &[3], 0, &parts.shards[0][..3]));
    parts.refused(
        DataLoss,
        "/m.data-00000-of-00001: key \"b\": bytes [0, +3): a bool is stored as 0 or 1, and one is 2",
    );
    let bundle = Bundle::open_on(&parts.files().shared(), "/m").unwrap();
    assert_eq!(bundle.verify().faults.len(), 1);
}

#[test]
fn a25_no_checksum() {
    let error = sample().with("w", |w| w.crc32c = 0).error();
    assert_eq!(error.kind(), DataLoss);
    assert!(error.message().ends_with(", and none is stored"), "{error}");
    let error = sample().with("s", |s| s.crc32c = 0).error();
    assert!(error.message().starts_with("/m.data-00000-of-00001: key \"s\": bytes [3, +10): "), "{error}");
}

/// The sample with other bytes for the strings, and the entry's checksum and size right.
fn with_strings(elements: i64, bytes: &[u8]) -> Parts {
    let mut parts = sample();
    parts.shards[0].extend(bytes);
    parts.with("s", |s| *s = entry(7, &[elements], 37, bytes))
}

#[test]
fn a26_strings_that_do_not_fit_their_bytes() {
    let at = |len: usize| format!("/m.data-00000-of-00001: key \"s\": bytes [37, +{len}): ");
    let endless = [0xFF; 16];
    let long = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0, 0, 0, 0, 0];
    for bytes in [&endless[..], &long] {
        let error = with_strings(2, bytes).error();
        assert_eq!(error.kind(), DataLoss);
        assert!(error.message().starts_with(&at(bytes.len())), "{error}");
        assert!(error.message().contains("string 0"), "{error}");
    }
    let (mut bytes, _) = strings::encode(&["it", "is"]);
    bytes[2] ^= 1;
    let error = with_strings(2, &bytes).error();
    assert!(error.message().starts_with(&at(10)) && error.message().contains("lengths"), "{error}");
    let parts = with_strings(1 << 40, &[0; 16]);
    let words = "/m.index: key \"s\": 16 bytes are stored, and string(1099511627776,) takes at least 1099511627780";
    parts.refused(DataLoss, words);
}

#[test]
fn strings_are_copied_with_their_own_checksum() {
    let vfs = FaultVfs::default();
    let mut writer = BundleWriter::new_on(&vfs.shared(), "/m");
    writer.add("s", &Tensor::strings([2], ["one", ""]).unwrap()).unwrap();
    writer.commit().unwrap();
    let bundle = Bundle::open_on(&vfs.shared(), "/m").unwrap();
    let mut writer = BundleWriter::new_on(&vfs.shared(), "/copy");
    writer.add_copy("s", &bundle, "s").unwrap();
    writer.commit().unwrap();
    for suffix in [".index", ".data-00000-of-00001"] {
        assert_eq!(vfs.bytes(format!("/copy{suffix}")), vfs.bytes(format!("/m{suffix}")), "{suffix}");
    }
    let mut damaged = vfs.bytes("/m.data-00000-of-00001").unwrap();
    damaged[7] ^= 1;
    vfs.put("/m.data-00000-of-00001", &damaged);
    let mut writer = BundleWriter::new_on(&vfs.shared(), "/other");
    writer.add_copy("s", &Bundle::open_on(&vfs.shared(), "/m").unwrap(), "s").unwrap();
    assert_eq!(writer.commit().unwrap_err().kind(), DataLoss);
}

#[test]
fn a27_slices_are_put_together() {
    let vfs = sliced().files();
    assert_eq!(read_all(&vfs.shared()).unwrap(), read_all(&sample().files().shared()).unwrap());
    let bundle = Bundle::open_on(&vfs.shared(), "/m").unwrap();
    let entry = bundle.entry("w").unwrap();
    assert_eq!((entry.slices.len(), entry.size(), entry.elements()), (2, 24, 6));
    assert_eq!((&*entry.slices[1].start, &*entry.slices[1].shape), (&[0, 2][..], &[2, 1][..]));
    // A copy keeps them.
    let mut writer = BundleWriter::new_on(&vfs.shared(), "/copy");
    writer.add_copy("v", &bundle, "w").unwrap();
    writer.commit().unwrap();
    let copy = Bundle::open_on(&vfs.shared(), "/copy").unwrap();
    assert_eq!(copy.entry("v").unwrap().slices.len(), 2);
    assert_eq!(contents(&copy.read("v").unwrap()).unwrap(), contents(&bundle.read("w").unwrap()).unwrap());
}

#[test]
fn a27_slices_that_are_not_the_tensor() {
    let with = |change: &dyn Fn(&mut BundleEntryProto)| sliced().with("w", change);
    with(&|w| w.slices.truncate(1)).refused(
        DataLoss,
        "/m.index: key \"w\": a slice from [0, 2] on of shape [2, 1] is there, and the entry does not list it",
    );
    let mut parts = with(&|w| w.slices.truncate(1));
    parts.entries.retain(|(key, _)| *key != encode_key("w", &[(0, -1), (2, 1)]));
    parts.refused(DataLoss, "/m.index: key \"w\": its 1 slices have 4 of the 6 elements");
    let mut parts = sliced();
    parts.entries.retain(|(key, _)| *key != encode_key("w", &[(0, -1), (2, 1)]));
    parts.refused(DataLoss, "/m.index: key \"w\": the slice from [0, 2] on of shape [2, 1] is listed and has no data");
    let mut parts = sliced();
    parts.entries.retain(|(key, _)| key != b"w");
    parts.refused(DataLoss, "/m.index: key \"w\": 2 of its slices are there, and no entry for the whole tensor");
    for range in [(2, Some(2)), (i64::MAX, Some(i64::MAX)), (-1, Some(1)), (3, None), (0, Some(-2))] {
        let error = with(&|w| w.slices[1].extent[1] = slice(&[range]).extent[0].clone()).error();
        assert_eq!(error.kind(), DataLoss);
        assert!(error.message().starts_with("/m.index: key \"w\": slice [(0, -1), ("), "{error}");
        assert!(error.message().ends_with(" is not inside shape [2, 3]"), "{error}");
    }
    with(&|w| w.slices[0].extent.truncate(1))
        .refused(DataLoss, "/m.index: key \"w\": slice [(0, -1)] is not inside shape [2, 3]");
    with(&|w| w.size = 24).refused(DataLoss, "/m.index: key \"w\": 24 bytes of its own, and also 2 slices");
}

#[test]
fn a27_slices_that_share_elements() {
    let mut parts = sliced().with("w", |w| w.slices[1].extent[1].start = 1);
    let old = encode_key("w", &[(0, -1), (2, 1)]);
    let place = parts.entries.iter().position(|(key, _)| *key == old).unwrap();
    parts.entries[place].0 = encode_key("w", &[(0, -1), (1, 1)]);
    parts.entries[..2].sort();
    parts.refused(DataLoss, "/m.index: key \"w\": its slices from [0, 0] and from [0, 1] on share elements");
}

/// The sample's files for real, in a folder of their own, and their prefix.
fn on_disk(name: &str) -> std::path::PathBuf {
    let prefix = scratch(name).join("m");
    let vfs = sample().files();
    for file in ["index", "data-00000-of-00001"] {
        fs::write(prefix.with_extension(file), vfs.bytes(format!("/m.{file}")).unwrap()).unwrap();
    }
    Bundle::open(&prefix).unwrap();
    prefix
}

#[cfg(unix)]
#[test]
fn a33_what_is_not_a_regular_file_is_refused_at_once() {
    use std::os::unix::fs::symlink;
    let prefix = on_disk("a33");
    let data = prefix.with_extension("data-00000-of-00001");
    let dir = prefix.parent().unwrap();
    let refused = |words: &str| {
        let error = Bundle::open(&prefix).unwrap_err();
        assert_eq!(error.kind(), FailedPrecondition, "{error}");
        assert!(error.message().contains(words), "{error}");
        assert!(error.message().starts_with(&data.display().to_string()), "{error}");
    };
    fs::rename(&data, dir.join("kept")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&data).status().unwrap();
    assert!(made.success());
    refused("is a FIFO, and a regular file is needed");
    fs::remove_file(&data).unwrap();
    fs::create_dir(&data).unwrap();
    refused("is a directory, and a regular file is needed");
    fs::remove_dir(&data).unwrap();
    symlink("/dev/zero", &data).unwrap();
    refused("is a symbolic link to /dev/zero, which is outside its directory");
    fs::remove_file(&data).unwrap();
    let outside = scratch("a33-outside").join("data");
    fs::copy(dir.join("kept"), &outside).unwrap();
    symlink(&outside, &data).unwrap();
    refused("which is outside its directory; links that leave it are not followed");
    fs::remove_file(&data).unwrap();
    symlink("kept", &data).unwrap();
    assert_eq!(Bundle::open(&prefix).unwrap().read("w").unwrap().dims().unwrap(), [2, 3]);
    // The folder itself may be reached by a link.
    let link = dir.with_file_name("a33-link");
    drop(fs::remove_file(&link));
    symlink(dir, &link).unwrap();
    assert!(Bundle::open(link.join("m")).is_ok());
    fs::remove_file(&data).unwrap();
    symlink("m.data-00000-of-00001", &data).unwrap();
    assert!(Bundle::open(&prefix).is_err());
}

#[test]
fn a34_a_file_that_is_cut_off_while_it_is_open() {
    let prefix = on_disk("a34");
    let bundle = Bundle::open(&prefix).unwrap();
    let data = prefix.with_extension("data-00000-of-00001");
    fs::OpenOptions::new().write(true).open(&data).unwrap().set_len(20).unwrap();
    assert_eq!(bundle.read("b").unwrap().to_vec::<bool>().unwrap(), [true, false, true]);
    let error = bundle.read("w").unwrap_err();
    assert_eq!(error.kind(), DataLoss);
    let words = format!(
        "cannot read 24 bytes at offset 13 of {}: the file had 37 bytes when it was opened, and is shorter now",
        data.display()
    );
    assert_eq!(error.message(), words);
}

#[test]
fn a35_paths_that_cannot_be() {
    let prefix = on_disk("a35");
    let long = "n".repeat(5000);
    for (name, kind) in
        [("no\0name", InvalidArgument), (long.as_str(), InvalidArgument), ("m.index/m", FailedPrecondition)]
    {
        let path = prefix.with_file_name(name);
        let error = Bundle::open(&path).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().starts_with(&format!("cannot open {}", path.display())), "{error}");
        let mut writer = BundleWriter::new(&path);
        writer.add("w", &Tensor::scalar(1.0_f32)).unwrap();
        let error = writer.commit().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    for prefix in ["", "/", "dir/", "dir/..", "."] {
        let error = Bundle::open(prefix).unwrap_err();
        assert_eq!(error.kind(), InvalidArgument);
        assert!(error.message().starts_with("a prefix ends with the name that the files begin with"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a35_a_name_that_is_not_utf_8_is_a_name() {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"m-\xFF");
    let prefix = scratch("a35-bytes").join(Path::new(name));
    let mut writer = BundleWriter::new(&prefix);
    writer.add("w", &Tensor::scalar(1.0_f32)).unwrap();
    writer.commit().unwrap();
    assert_eq!(Bundle::open(&prefix).unwrap().read("w").unwrap().item::<f32>().unwrap(), 1.0);
}

#[test]
fn a36_a_huge_sparse_data_file_is_not_read() {
    let prefix = on_disk("a36");
    let data = prefix.with_extension("data-00000-of-00001");
    fs::OpenOptions::new().write(true).open(&data).unwrap().set_len(100 << 30).unwrap();
    let bundle = Bundle::open(&prefix).unwrap();
    assert_eq!(bundle.shards().next().unwrap().1, 100 << 30);
    assert_eq!(bundle.read("b").unwrap().to_vec::<bool>().unwrap(), [true, false, true]);
    assert!(bundle.verify().faults.is_empty());
    fs::remove_file(&data).unwrap();
    let index = prefix.with_extension("index");
    fs::OpenOptions::new().write(true).open(&index).unwrap().set_len(100 << 30).unwrap();
    let error = Bundle::open(&prefix).unwrap_err();
    assert_eq!(error.kind(), ResourceExhausted);
    let words = "has 107374182400 bytes, and an index of more than 1073741824 is not read";
    assert_eq!(error.message(), format!("{}: {words}", index.display()));
    fs::remove_file(&index).unwrap();
}

#[test]
fn a_key_that_is_not_there_is_named_with_the_nearest() {
    let bundle = Bundle::open_on(&sample().files().shared(), "/m").unwrap();
    let error = bundle.read("wx").unwrap_err();
    assert_eq!(error.kind(), NotFound);
    assert_eq!(error.message(), "/m.index: has no key \"wx\"; there are `b`, `s`, `w`");
}
