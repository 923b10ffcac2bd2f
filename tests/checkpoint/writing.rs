//! What a writer takes, how it divides tensors among files, and who may write when.

use super::broken::contents;
use super::fault_vfs::FaultVfs;
use super::scratch;
use modulor::checkpoint::bundle::{Bundle, BundleWriter, StoredType, clean_orphans};
use modulor::prelude::*;
use modulor::vfs::{Vfs, disk};
use modulor::{DType, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::Arc;

fn ramp(len: usize) -> Tensor {
    Tensor::from((0..len).map(|i| i as f32).collect::<Vec<_>>())
}

fn written(tensors: &[(&str, Tensor)]) -> Result<Bundle> {
    let vfs = FaultVfs::default().shared();
    let mut writer = BundleWriter::new_on(&vfs, "/b");
    for (key, tensor) in tensors {
        writer.add(key, tensor)?;
    }
    let bytes = writer.bytes();
    writer.commit()?;
    let bundle = Bundle::open_on(&vfs, "/b")?;
    assert_eq!(bundle.verify().bytes, bytes);
    assert!(bundle.verify().faults.is_empty());
    Ok(bundle)
}

#[test]
fn tensors_of_every_dtype_and_of_no_elements_come_back() {
    let mut tensors = Vec::new();
    for &dtype in DType::ALL {
        if !dtype.has_elements() {
            continue;
        }
        for dims in [&[][..], &[0], &[2, 0, 3], &[3, 1], &[1; 20]] {
            let elements: usize = dims.iter().product();
            let tensor = match dtype {
                DType::String => Tensor::strings(dims, (0..elements).map(|i| vec![0xFF; 100 * i])).unwrap(),
                _ => {
                    let bytes: Vec<u8> = (0..elements * dtype.size()).map(|i| (i % 2) as u8).collect();
                    Tensor::from_bytes(dtype, dims, &bytes).unwrap()
                }
            };
            tensors.push((format!("{dtype}/{dims:?}"), tensor));
        }
    }
    let tensors: Vec<(&str, Tensor)> = tensors.iter().map(|(key, tensor)| (key.as_str(), tensor.clone())).collect();
    let bundle = written(&tensors).unwrap();
    for (key, tensor) in &tensors {
        let read = bundle.read(key).unwrap();
        assert_eq!(read.spec(), tensor.spec(), "{key}");
        assert_eq!(contents(&read).unwrap(), contents(tensor).unwrap(), "{key}");
        assert_eq!(bundle.entry(key).unwrap().dtype, StoredType::from(tensor.dtype()));
    }
    assert_eq!(bundle.object_graph_bytes().unwrap(), None);
}

#[test]
fn views_are_written_as_their_copies() {
    // More than one chunk of a transposed matrix, a reversed row, a broadcast scalar.
    let wide = ramp(600 * 700).reshape([600, 700]).unwrap();
    let views = [
        ("transposed", wide.transpose().unwrap()),
        ("broadcast", ramp(1).broadcast_to([300, 500]).unwrap()),
        ("strings", Tensor::strings([2, 2], ["a", "b", "c", "d"]).unwrap().transpose().unwrap()),
    ];
    let bundle = written(&views).unwrap();
    for (key, view) in &views {
        assert!(!view.is_contiguous(), "{key}");
        assert_eq!(contents(&bundle.read(key).unwrap()).unwrap(), contents(view).unwrap(), "{key}");
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is() {
    let vfs = FaultVfs::default();
    let mut writer = BundleWriter::new_on(&vfs.shared(), "/b");
    let w = Tensor::scalar(1.0_f32);
    writer.add("w", &w).unwrap();
    let refused = |result: Result<()>, kind: ErrorKind, words: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.to_string(), words);
    };
    refused(writer.add("w", &w), ErrorKind::AlreadyExists, "key \"w\" is in the bundle already");
    for key in ["", "\0w"] {
        let words = format!("{key:?} cannot be a key: the empty one is the header's");
        refused(writer.add(key, &w), ErrorKind::InvalidArgument, &words);
    }
    let failed = &w + &Tensor::from([true]);
    assert_eq!(writer.add("v", &failed).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let qint32 = StoredType::from_number(13).unwrap();
    refused(
        writer.add_bytes("q", qint32, &[2], vec![0; 7]),
        ErrorKind::InvalidArgument,
        "q: 7 bytes are not a tensor of qint32 and shape (2,)",
    );
    writer.commit().unwrap();
    assert_eq!(Bundle::open_on(&vfs.shared(), "/b").unwrap().keys().collect::<Vec<_>>(), ["w"]);
}

fn divided(writer: impl Fn(BundleWriter) -> BundleWriter, sizes: &[usize]) -> Vec<u64> {
    let vfs = FaultVfs::default().shared();
    let mut writer = writer(BundleWriter::new_on(&vfs, "/b"));
    for (n, &size) in sizes.iter().enumerate() {
        writer.add(&format!("{n}"), &Tensor::zeros([size], DType::U8).unwrap()).unwrap();
    }
    writer.commit().unwrap();
    let bundle = Bundle::open_on(&vfs, "/b").unwrap();
    assert!(bundle.verify().faults.is_empty());
    let ordered: Vec<usize> = (0..sizes.len()).map(|n| bundle.entry(&n.to_string()).unwrap().extent.shard).collect();
    assert!(ordered.is_sorted(), "in the order of the save: {ordered:?}");
    bundle.shards().map(|(_, len)| len).collect()
}

#[test]
fn tensors_are_divided_among_files() {
    assert_eq!(divided(|w| w, &[10, 20, 30]), [60]);
    assert_eq!(divided(|w| w.shards(2), &[10, 20, 30]), [30, 30]);
    assert_eq!(divided(|w| w.shards(3), &[40, 1, 1, 40, 1, 1]), [40, 2, 42]);
    assert_eq!(divided(|w| w.shards(4), &[7]), [0, 7, 0, 0]);
    assert_eq!(divided(|w| w.shards(2), &[]), [0, 0]);
    assert_eq!(divided(|w| w.max_shard_bytes(30), &[10, 20, 30, 40, 1, 0]), [30, 30, 40, 1]);
    assert_eq!(divided(|w| w.max_shard_bytes(0), &[1, 1, 0]), [1, 1]);
}

#[test]
fn a_missing_directory_is_made_and_a_file_in_its_place_is_an_error() {
    let dir = scratch("made");
    let mut writer = BundleWriter::new(dir.join("x/y/ckpt"));
    writer.add("w", &ramp(3)).unwrap();
    writer.commit().unwrap();
    assert_eq!(
        Bundle::open(dir.join("x/y/ckpt")).unwrap().read("w").unwrap().to_vec::<f32>().unwrap(),
        [0.0, 1.0, 2.0]
    );
    let writer = BundleWriter::new(dir.join("x/y/ckpt.index/below"));
    let error = writer.commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.message().contains("x/y/ckpt.index"), "{error}");
}

#[test]
fn an_open_bundle_stays_the_same_when_its_prefix_is_written_again() {
    let prefix = scratch("open-stays").join("ckpt");
    let save = |n: f32| {
        let mut writer = BundleWriter::new(&prefix);
        writer.add("w", &Tensor::from([n, n])).unwrap();
        writer.commit().unwrap();
    };
    save(1.0);
    let first = Bundle::open(&prefix).unwrap();
    save(2.0);
    save(3.0);
    assert_eq!(first.read("w").unwrap().to_vec::<f32>().unwrap(), [1.0, 1.0]);
    assert_eq!(Bundle::open(&prefix).unwrap().read("w").unwrap().to_vec::<f32>().unwrap(), [3.0, 3.0]);
}

#[test]
fn writers_and_readers_of_one_prefix_see_whole_bundles() {
    let dir = scratch("race");
    let prefix = dir.join("ckpt");
    let save = |n: usize| {
        let mut writer = BundleWriter::new(&prefix).shards(1 + n % 3);
        for key in ["a", "b", "c"] {
            writer.add(key, &Tensor::from([n as f32; 50])).unwrap();
        }
        writer.commit()
    };
    save(0).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let save = &save;
            scope.spawn(move || (0..15).for_each(|round| save(thread * 100 + round).unwrap()));
        }
        scope.spawn(|| {
            for _ in 0..100 {
                let bundle = Bundle::open(&prefix).unwrap();
                let read = bundle.read_many(&["a", "b", "c"]).unwrap();
                let values: Vec<f32> = read.iter().flat_map(|t| t.to_vec::<f32>().unwrap()).collect();
                assert!(values.iter().all(|&v| v == values[0]), "of one save");
            }
        });
    });
    let count = Bundle::open(&prefix).unwrap().shards().len();
    let names = disk().list(&dir).unwrap();
    assert_eq!(names.len(), count + 1, "{names:?}");
}

#[test]
fn only_what_dead_writers_left_is_cleaned() {
    let dir = scratch("orphans");
    let vfs = disk();
    let make = |name: &str, files: &[&str]| -> PathBuf {
        let path = dir.join(name);
        std::fs::create_dir(&path).unwrap();
        files.iter().for_each(|file| std::fs::write(path.join(file), b"x").unwrap());
        path
    };
    let dead = make(".ckpt.tmp-123-0", &["data-00000", "data-00001", "index"]);
    let other = make(".other-2.tmp-7-3", &[]);
    let alive = make(".ckpt.tmp-123-1", &["data-00000"]);
    let ours = make(".ckpt.tmp-124-0", &["notes.txt", "index"]);
    make("ckpt.tmp-123-0", &["index"]);
    make(".ckpt.tmp-123", &["index"]);
    make(".ckpt.tmp-x-1", &["index"]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.join("ckpt.tmp-123-0"), dir.join(".ckpt.tmp-5-5")).unwrap();
    let lock = vfs.try_lock(&alive).unwrap().expect("no one has it");
    assert!(vfs.try_lock(&alive).unwrap().is_none());
    assert_eq!(clean_orphans(&vfs, &dir).unwrap(), [dead, other]);
    assert!(alive.join("data-00000").exists());
    assert!(ours.join("notes.txt").exists(), "what is not ours stays");
    for name in ["ckpt.tmp-123-0", ".ckpt.tmp-123", ".ckpt.tmp-x-1"] {
        assert!(dir.join(name).join("index").exists(), "{name}");
    }
    drop(lock);
    assert_eq!(clean_orphans(&vfs, &dir).unwrap(), [alive]);
}

#[test]
fn a_writer_that_waits_for_its_turn_is_no_orphan() {
    let vfs = FaultVfs::default();
    let shared: Arc<dyn Vfs> = vfs.shared();
    let mut writer = BundleWriter::new_on(&shared, "/b");
    writer.add("w", &ramp(10)).unwrap();
    let home = shared.lock("/".as_ref()).unwrap();
    std::thread::scope(|scope| {
        let done = scope.spawn(|| writer.commit());
        assert!(vfs.calls().is_empty(), "nothing is made without the lock of the directory");
        drop(home);
        done.join().unwrap().unwrap();
    });
    assert!(Bundle::open_on(&shared, "/b").is_ok());
}

#[test]
fn many_tensors_are_read_by_several_threads_in_order() {
    let tensors: Vec<(String, Tensor)> = (0..40)
        .map(|n| (format!("{n:02}"), Tensor::from(vec![n as f32; if n % 7 == 0 { 300_000 } else { 10 + n }])))
        .collect();
    let refs: Vec<(&str, Tensor)> = tensors.iter().map(|(key, tensor)| (key.as_str(), tensor.clone())).collect();
    let bundle = written(&refs).unwrap();
    let keys: Vec<&str> = bundle.keys().collect();
    for (tensor, (key, expected)) in bundle.read_many(&keys).unwrap().iter().zip(&tensors) {
        assert_eq!(tensor.to_bytes().unwrap(), expected.to_bytes().unwrap(), "{key}");
    }
    let error = bundle.read_many(&["00", "nowhere"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
#[ignore = "a million tensors: seconds in a release build"]
fn a36_a_million_tensors() -> Result<()> {
    let vfs = FaultVfs::default();
    let mut writer = BundleWriter::new_on(&vfs.shared(), "/many");
    let count = 1_000_000;
    for number in 0..count {
        writer.add(&format!("v/{number}"), &Tensor::scalar(number))?;
    }
    writer.commit()?;
    let bundle = Bundle::open_on(&vfs.shared(), "/many")?;
    assert_eq!(bundle.keys().len(), count as usize);
    for number in [0, 1, 999, 500_000, count - 1] {
        assert_eq!(bundle.read(&format!("v/{number}"))?.item::<i32>()?, number);
    }
    assert!(bundle.verify().faults.is_empty());
    Ok(())
}
