//! The bundles of several processes become one.

use super::broken::{Parts, contents, entry, header, sample, shape, slice};
use super::fault_vfs::{Fault, FaultVfs};
use super::scratch;
use modulor::checkpoint::bundle::{Bundle, BundleWriter, merge, merge_on};
use modulor::prelude::*;
use modulor::vfs::Vfs;
use modulor::{ErrorKind, Result};
use modulor_wire::message::{BundleEntryProto, encode};
use modulor_wire::slice::encode_key;
use std::sync::Arc;

fn save(vfs: &Arc<dyn Vfs>, prefix: &str, shards: usize, tensors: &[(&str, f32)]) {
    let mut writer = BundleWriter::new_on(vfs, prefix).shards(shards);
    for &(key, value) in tensors {
        writer.add(key, &Tensor::from([value; 20])).unwrap();
    }
    writer.commit().unwrap();
}

fn value(bundle: &Bundle, key: &str) -> f32 {
    bundle.read(key).unwrap().to_vec::<f32>().unwrap()[0]
}

/// Two parts, of two files and of one, beside an older bundle.
fn parts() -> FaultVfs {
    let vfs = FaultVfs::default();
    save(&vfs.shared(), "/all", 1, &[("old", 0.0)]);
    save(&vfs.shared(), "/part-0", 2, &[("a", 1.0), ("c", 2.0)]);
    save(&vfs.shared(), "/part-1", 1, &[("b", 3.0)]);
    vfs
}

fn merged(vfs: &FaultVfs) -> Result<()> {
    merge_on(&vfs.shared(), &["/part-0", "/part-1"], "/all")
}

/// Whether `/all` is the merged bundle; if not, the parts and the older bundle are whole.
fn is_merged(vfs: &FaultVfs) -> bool {
    let open = |prefix: &str| Bundle::open_on(&vfs.shared(), prefix).unwrap();
    let all = open("/all");
    assert!(all.verify().faults.is_empty());
    if all.keys().collect::<Vec<_>>() == ["a", "b", "c"] {
        assert_eq!(["a", "c", "b"].map(|key| value(&all, key)), [1.0, 2.0, 3.0]);
        return true;
    }
    assert_eq!(value(&all, "old"), 0.0);
    assert_eq!(["a", "c"].map(|key| value(&open("/part-0"), key)), [1.0, 2.0]);
    assert_eq!(value(&open("/part-1"), "b"), 3.0);
    false
}

#[test]
fn the_files_of_the_parts_are_numbered_anew_and_the_parts_are_gone() {
    let vfs = parts();
    let data = vfs.bytes("/part-1.data-00000-of-00001").unwrap();
    merged(&vfs).unwrap();
    assert!(is_merged(&vfs));
    let names: Vec<String> = vfs.tree().iter().map(|path| path.display().to_string()).collect();
    assert_eq!(
        names,
        ["/all.data-00000-of-00003", "/all.data-00001-of-00003", "/all.data-00002-of-00003", "/all.index"]
    );
    assert_eq!(vfs.bytes("/all.data-00002-of-00003").unwrap(), data);
}

#[test]
fn a_kill_and_a_power_cut_at_every_call_leave_the_parts_or_the_whole() {
    let start = parts();
    let counted = start.restarted();
    counted.arm(None);
    merged(&counted).unwrap();
    let calls = counted.calls();
    for (n, call) in calls.iter().enumerate() {
        let vfs = start.restarted();
        vfs.arm(Some((n, Fault::Kill)));
        drop(merged(&vfs));
        is_merged(&vfs.restarted());
        for seed in 0..50 {
            is_merged(&vfs.power_cut(seed));
        }
        let vfs = start.restarted();
        vfs.arm(Some((n, Fault::Full { forever: true })));
        let result = merged(&vfs);
        vfs.arm(None);
        assert!(is_merged(&vfs) || result.is_err(), "{call}");
    }
    for seed in 0..200 {
        assert!(is_merged(&counted.power_cut(seed)), "it was acknowledged");
    }
}

#[test]
fn a_key_in_two_parts_is_an_error_that_names_both() {
    let vfs = FaultVfs::default();
    save(&vfs.shared(), "/p", 1, &[("a", 1.0), ("b", 1.0)]);
    save(&vfs.shared(), "/q", 1, &[("b", 1.0)]);
    let error = merge_on(&vfs.shared(), &["/p", "/q"], "/all").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.message(), "key \"b\" is in /p as float32(20,) and in /q as float32(20,)");
    assert_eq!(vfs.tree().len(), 4);
    let error = merge_on::<&str>(&vfs.shared(), &[], "/all").unwrap_err();
    assert_eq!(error.message(), "there is no bundle to merge");
}

/// One row of `w`, of which the other is elsewhere.
fn row(start: i64) -> FaultVfs {
    let bytes: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|x| (x + start as f32).to_le_bytes()).collect();
    let whole = BundleEntryProto {
        dtype: 1,
        shape: Some(shape(&[2, 3])),
        slices: vec![slice(&[(start, Some(1)), (0, None)])],
        ..Default::default()
    };
    let entries = vec![
        (encode_key("w", &[(start, 1), (0, 3)]), encode(&entry(1, &[1, 3], 0, &bytes))),
        (b"w".to_vec(), encode(&whole)),
    ];
    Parts { header: Some(encode(&header(1))), entries, shards: vec![bytes], ..sample() }.files()
}

#[test]
fn slices_of_one_tensor_come_together() {
    let vfs = FaultVfs::default();
    for (name, start) in [("p", 0), ("q", 1), ("r", 0)] {
        let part = row(start);
        for file in ["index", "data-00000-of-00001"] {
            vfs.put(format!("/{name}.{file}"), &part.bytes(format!("/m.{file}")).unwrap());
        }
    }
    let error = Bundle::open_on(&vfs.shared(), "/p").unwrap_err();
    assert_eq!(error.message(), "/p.index: key \"w\": its 1 slices have 3 of the 6 elements");
    let error = merge_on(&vfs.shared(), &["/p"], "/all").unwrap_err();
    assert!(error.message().ends_with("key \"w\": its 1 slices have 3 of the 6 elements"), "{error}");
    let error = merge_on(&vfs.shared(), &["/p", "/r"], "/all").unwrap_err();
    assert!(error.message().contains("share elements"), "{error}");
    merge_on(&vfs.shared(), &["/q", "/p"], "/all").unwrap();
    let all = Bundle::open_on(&vfs.shared(), "/all").unwrap();
    assert_eq!(all.read("w").unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 2.0, 3.0, 4.0]);
    assert_eq!(all.entry("w").unwrap().slices.len(), 2);
}

#[test]
fn a_part_may_be_the_target_and_links_work_for_real() {
    let dir = scratch("merge");
    let vfs = modulor::vfs::disk();
    let path = |name: &str| dir.join(name).display().to_string();
    save(&vfs, &path("p"), 1, &[("a", 1.0)]);
    save(&vfs, &path("q"), 2, &[("b", 2.0), ("c", 3.0)]);
    // A file under a symbolic link is copied.
    #[cfg(unix)]
    {
        std::fs::rename(path("p.data-00000-of-00001"), path("moved")).unwrap();
        std::os::unix::fs::symlink("moved", path("p.data-00000-of-00001")).unwrap();
    }
    let q = Bundle::open(path("q")).unwrap();
    merge(&[path("q"), path("p")], path("q")).unwrap();
    let all = Bundle::open(path("q")).unwrap();
    assert_eq!(["a", "b", "c"].map(|key| value(&all, key)), [1.0, 2.0, 3.0]);
    assert!(all.verify().faults.is_empty());
    assert_eq!(contents(&q.read("b").unwrap()).unwrap(), contents(&all.read("b").unwrap()).unwrap());
    let names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "{names:?}: the index, three data files, and what the link led to");
}
