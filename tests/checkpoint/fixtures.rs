//! What TensorFlow wrote is read, and written again byte for byte.

use modulor::checkpoint::bundle::{Bundle, BundleWriter};
use modulor::{DType, Tensor};
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

/// The elements as `expected.json` has them: numbers as f64, complex ones as pairs.
fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    let parts = match tensor.dtype() {
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => tensor.cast(DType::F64).unwrap(),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 | DType::U8 | DType::U16 | DType::U32 => {
            tensor.cast(DType::F64).unwrap()
        }
        DType::Bool => tensor.cast(DType::F64).unwrap(),
        _ => return None,
    };
    Some(parts.to_vec().unwrap())
}

/// A number of `expected.json`, where what JSON has no number for is a string.
fn number(value: &serde_json::Value) -> f64 {
    match value {
        serde_json::Value::Bool(value) => f64::from(u8::from(*value)),
        serde_json::Value::String(text) => text.to_lowercase().replace("infinity", "inf").parse().expect("a number"),
        value => value.as_f64().expect("a number"),
    }
}

#[test]
fn values_and_places_are_those_that_tensorflow_says() {
    let (mut values, mut strings) = (0, 0);
    for prefix in fixtures() {
        let expected = prefix.parent().and_then(Path::parent).expect("the fixture's folder").join("expected.json");
        let Ok(text) = fs::read_to_string(&expected) else { continue };
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        let Some(tensors) = expected["checkpoint"]["tensors"].as_array() else { continue };
        if !prefix.ends_with(expected["checkpoint"]["prefix"].as_str().unwrap()) {
            continue;
        }
        let bundle = Bundle::open(&prefix).unwrap();
        assert_eq!(bundle.shards().len() as u64, expected["checkpoint"]["num_shards"].as_u64().unwrap());
        // Of very many, it has a few.
        assert!(bundle.keys().len() >= tensors.len(), "{}", prefix.display());
        for row in tensors {
            let key = row["key"].as_str().unwrap();
            let entry = bundle.entry(key).unwrap_or_else(|| panic!("{}: {key}", prefix.display()));
            let dims: Vec<usize> =
                row["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
            assert_eq!((entry.dtype.name(), &entry.shape), (row["dtype"].as_str().unwrap(), &dims), "{key}");
            for (field, found) in [
                ("shard", entry.extent.shard as u64),
                ("offset", entry.extent.offset),
                ("nbytes", entry.extent.size),
                ("crc32c_masked", u64::from(entry.extent.crc32c)),
            ] {
                if let (Some(said), true) = (row[field].as_u64(), entry.slices.is_empty()) {
                    assert_eq!(found, said, "{}: {key}: {field}", prefix.display());
                }
            }
            let Some(dtype) = entry.dtype.dtype() else { continue };
            let tensor = bundle.read(key).unwrap();
            strings += usize::from(dtype == DType::String);
            let list = row["data"].as_array().or_else(|| row["first"].as_array());
            if let (Some(found), Some(list)) = (numbers(&tensor), list) {
                assert!(row["data"].is_null() || found.len() == list.len(), "{key}");
                for (found, said) in found.iter().zip(list.iter().map(number)) {
                    // The last place of an f64 is lost where JSON is read; the checksum has been compared with all of it.
                    let near = (found - said).abs() <= 2.0 * f64::EPSILON * said.abs();
                    assert!(found == &said || near || (found.is_nan() && said.is_nan()), "{key}: {found} {said}");
                    values += 1;
                }
            }
        }
    }
    assert!(values > 1000 && strings > 10, "{values} values, {strings} tensors of strings");
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
