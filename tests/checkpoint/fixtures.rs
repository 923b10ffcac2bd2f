//! What TensorFlow wrote is read, and written again byte for byte.

use modulor::checkpoint::bundle::{Bundle, BundleWriter};
use std::fs;
use std::path::{Path, PathBuf};

/// The prefixes of all bundles below a folder.
fn prefixes(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            prefixes(&path, out);
        } else if path.extension().is_some_and(|e| e == "index") {
            out.push(path.with_extension(""));
        }
    }
}

fn fixtures() -> Vec<PathBuf> {
    let mut out = Vec::new();
    prefixes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/fixtures"), &mut out);
    out.sort();
    out
}

fn file(prefix: &Path, suffix: &str) -> Vec<u8> {
    let name = format!("{}{suffix}", prefix.display());
    fs::read(&name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn every_tensor_of_tensorflow_has_its_checksum() {
    let prefixes = fixtures();
    assert!(prefixes.len() > 20, "{} fixtures", prefixes.len());
    for prefix in prefixes {
        let bundle = Bundle::open(&prefix).unwrap();
        let report = bundle.verify();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        assert_eq!(report.entries, bundle.keys().len());
        let keys: Vec<&str> = bundle.entries().filter(|(_, e)| e.dtype.dtype().is_some()).map(|(key, _)| key).collect();
        for (key, tensor) in keys.iter().zip(bundle.read_many(&keys).unwrap()) {
            let entry = bundle.entry(key).unwrap();
            assert_eq!(Some(tensor.dtype()), entry.dtype.dtype(), "{key}");
            assert_eq!(tensor.dims().unwrap(), entry.shape, "{key}");
        }
    }
}

#[test]
fn what_tensorflow_wrote_in_one_file_is_written_again_byte_for_byte() {
    let dir = super::scratch("rewrite");
    let mut rewritten = 0;
    for prefix in fixtures() {
        let bundle = Bundle::open(&prefix).unwrap();
        if bundle.shards().len() != 1 || bundle.entries().any(|(_, entry)| !entry.slices.is_empty()) {
            continue;
        }
        let mut entries: Vec<_> = bundle.entries().collect();
        entries.sort_by_key(|(key, entry)| (entry.extent.offset, entry.extent.size, *key));
        let end =
            entries.iter().fold(0, |end, (_, e)| if e.extent.offset == end { end + e.extent.size } else { u64::MAX });
        assert_eq!(end, bundle.shards().next().unwrap().1, "{}: packed", prefix.display());
        let to = dir.join(format!("model-{rewritten}"));
        let mut writer = BundleWriter::new(&to);
        for (key, entry) in entries {
            match entry.dtype.dtype() {
                Some(_) => writer.add(key, &bundle.read(key).unwrap()).unwrap(),
                None => writer.add_copy(key, &bundle, key).unwrap(),
            }
        }
        writer.commit().unwrap();
        for suffix in [".index", ".data-00000-of-00001"] {
            assert!(file(&to, suffix) == file(&prefix, suffix), "{}{suffix}", prefix.display());
        }
        rewritten += 1;
    }
    assert!(rewritten > 20, "{rewritten} fixtures");
}
