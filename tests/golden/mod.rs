//! Reads the golden values that `generate.py` recorded from TensorFlow and Keras; README.md describes them.

mod npy;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a test reports when a fixture is not what it should be.
type Result<T> = std::result::Result<T, String>;

/// A tensor as it was recorded, in row-major order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// NumPy's name, or `bfloat16`, or `string`.
    pub dtype: String,
    /// Sizes of the axes; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, little-endian; empty for strings.
    pub bytes: Vec<u8>,
    /// The elements of a string array.
    pub strings: Vec<Vec<u8>>,
}

impl Array {
    /// The elements of a real dtype as float64: exact for all but integers beyond 2⁵³.
    pub fn to_f64(&self) -> Vec<f64> {
        fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            let (elements, _) = bytes.as_chunks::<N>();
            elements.iter().map(|&e| value(e)).collect()
        }
        let bytes = &self.bytes;
        match self.dtype.as_str() {
            "float16" => each(bytes, |b| half::f16::from_le_bytes(b).to_f64()),
            "bfloat16" => each(bytes, |b| half::bf16::from_le_bytes(b).to_f64()),
            "float32" => each(bytes, |b| f32::from_le_bytes(b).into()),
            "float64" => each(bytes, f64::from_le_bytes),
            "int8" => each(bytes, |b| i8::from_le_bytes(b).into()),
            "int16" => each(bytes, |b| i16::from_le_bytes(b).into()),
            "int32" => each(bytes, |b| i32::from_le_bytes(b).into()),
            "int64" => each(bytes, |b| i64::from_le_bytes(b) as f64),
            "uint8" | "bool" => each(bytes, |[b]: [u8; 1]| b.into()),
            "uint16" => each(bytes, |b| u16::from_le_bytes(b).into()),
            "uint32" => each(bytes, |b| u32::from_le_bytes(b).into()),
            "uint64" => each(bytes, |b| u64::from_le_bytes(b) as f64),
            other => panic!("{other} has no float64 form"),
        }
    }
}

/// Where a manifest says that a tensor lies: under a key of the archive, or (strings) in the manifest itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// NumPy's name, or `bfloat16` (stored as its bits in uint16), or `string`.
    pub dtype: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    shape: Vec<usize>,
    #[serde(default)]
    strings: Vec<Text>,
}

/// A string; one that is not UTF-8 stands as its bytes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Words(String),
    Bytes(Vec<u8>),
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Text::Words(words) => words.as_bytes(),
            Text::Bytes(bytes) => bytes,
        }
    }
}

/// One call of an op, as a manifest in `ops/` describes it.
#[derive(Clone, Debug, Deserialize)]
pub struct OpCase {
    /// TensorFlow's name of the op.
    pub op: String,
    /// What is particular about this call; unique within the op.
    pub case: String,
    /// Every attribute that the inputs' dtypes and number do not determine.
    pub attrs: serde_json::Map<String, serde_json::Value>,
    /// List arguments are spread out.
    pub inputs: Vec<Entry>,
    /// TensorFlow's results; empty where it refuses the call.
    #[serde(default)]
    pub outputs: Vec<Entry>,
    /// Per output, the result on the inputs widened to float64; empty for ops that only move data.
    #[serde(default)]
    pub reference: Vec<Option<Entry>>,
    /// Per output, the cotangent of `grads`; `None` is zero.
    #[serde(default)]
    pub dy: Vec<Option<Entry>>,
    /// Per input, the gradient of Σ output·dy in float64; `None` where TensorFlow gives none.
    #[serde(default)]
    pub grads: Vec<Option<Entry>>,
    /// Why there is no gradient, where TensorFlow has none.
    #[serde(default)]
    pub grad: Option<String>,
    /// The value before the call of the variable whose handle is the op's first input, which `inputs` leaves out.
    #[serde(default)]
    pub variable: Option<Entry>,
    /// Its value after the call.
    #[serde(default)]
    pub after: Option<Entry>,
    /// The `tf.errors` class that the call raises.
    #[serde(default)]
    pub error: Option<String>,
}

/// The cases of a manifest with the arrays they name.
pub struct Fixture<Case> {
    /// In the order of the script that wrote them.
    pub cases: Vec<Case>,
    arrays: BTreeMap<String, Array>,
}

impl<Case: DeserializeOwned> Fixture<Case> {
    /// Reads `<name>.json` and `<name>.npz`.
    pub fn read(name: &str) -> Result<Self> {
        let arrays = read_npz(&folder()?.join(format!("{name}.npz")))?;
        Ok(Self { cases: read_manifest(name)?, arrays })
    }

    /// Reads the fixtures of a folder as one, in the order of their names.
    pub fn read_all(folder_name: &str) -> Result<Self> {
        let path = folder()?.join(folder_name);
        let files = fs::read_dir(&path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let files = files.map_err(|e| format!("{}: {e}", path.display()))?.into_iter().map(|file| file.path());
        let mut names: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
        names.sort();
        let mut all = Self { cases: Vec::new(), arrays: BTreeMap::new() };
        for name in names {
            let stem = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let Self { cases, arrays } = Self::read(&format!("{folder_name}/{stem}"))?;
            all.cases.extend(cases);
            all.arrays.extend(arrays);
        }
        Ok(all)
    }

    /// The array that an entry of the manifest stands for.
    pub fn array(&self, entry: &Entry) -> Result<Array> {
        if entry.dtype == "string" {
            return Ok(Array {
                dtype: entry.dtype.clone(),
                shape: entry.shape.clone(),
                strings: entry.strings.iter().map(|text| text.bytes().to_vec()).collect(),
                ..Array::default()
            });
        }
        let stored = self.arrays.get(&entry.key).ok_or_else(|| format!("no array is called {:?}", entry.key))?;
        let bits_of_bfloat16 = entry.dtype == "bfloat16" && stored.dtype == "uint16";
        if stored.dtype != entry.dtype && !bits_of_bfloat16 {
            return Err(format!("array {:?} is {}, the manifest says {}", entry.key, stored.dtype, entry.dtype));
        }
        Ok(Array { dtype: entry.dtype.clone(), ..stored.clone() })
    }
}

/// Reads `<name>.json`.
pub fn read_manifest<T: DeserializeOwned>(name: &str) -> Result<T> {
    let path = folder()?.join(format!("{name}.json"));
    let text = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Every array of a NumPy archive by its name.
pub fn read_npz(path: &Path) -> Result<BTreeMap<String, Array>> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let located = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| located(&e))?;
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).map_err(|e| located(&e))?;
            let name = file.name().map_err(|e| located(&e))?;
            let name = name.trim_end_matches(".npy").to_owned();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|e| located(&e))?;
            let array = npy::parse(&bytes).map_err(|e| format!("{}: {name}: {e}", path.display()))?;
            Ok((name, array))
        })
        .collect()
}

/// This folder, from whichever package of the workspace the test belongs to.
fn folder() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .ancestors()
        .map(|root| root.join("tests/golden"))
        .find(|folder| folder.join("generate.py").is_file())
        .ok_or_else(|| format!("no tests/golden above {}", package.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn ops() -> Fixture<OpCase> {
        Fixture::read_all("ops").unwrap()
    }

    #[test]
    fn every_entry_of_the_op_manifest_is_an_array_of_its_dtype() {
        let ops = ops();
        assert!(ops.cases.len() > 4000);
        for case in &ops.cases {
            let optional = case.reference.iter().chain(&case.dy).chain(&case.grads);
            let optional = optional.chain([&case.variable, &case.after]).flatten();
            for entry in case.inputs.iter().chain(&case.outputs).chain(optional) {
                let array = ops.array(entry).unwrap_or_else(|e| panic!("{}: {}: {e}", case.op, case.case));
                let count: usize = array.shape.iter().product();
                match array.dtype.as_str() {
                    "string" => assert_eq!(array.strings.len(), count),
                    "complex64" => assert_eq!(array.bytes.len(), 8 * count),
                    "complex128" => assert_eq!(array.bytes.len(), 16 * count),
                    _ => assert_eq!(array.to_f64().len(), count, "{}: {}", case.op, case.case),
                }
            }
        }
    }

    #[test]
    fn a_case_has_either_outputs_or_an_error_and_a_gradient_per_input() {
        for case in ops().cases {
            let name = format!("{}: {}", case.op, case.case);
            let no_output = case.op == "Unpack" && case.attrs["num"] == 0;
            match &case.variable {
                Some(_) => assert!(case.error.is_some() == case.after.is_none(), "{name}"),
                None => assert!(case.error.is_some() == case.outputs.is_empty() || no_output, "{name}"),
            }
            assert!(case.reference.is_empty() || case.reference.len() == case.outputs.len(), "{name}");
            assert!(
                case.grads.is_empty() || case.grads.len() == case.inputs.len() + usize::from(case.variable.is_some()),
                "{name}"
            );
            assert!(case.dy.is_empty() || case.dy.len() == case.outputs.len(), "{name}");
        }
    }

    #[test]
    fn the_recorded_sum_is_the_sum_of_the_recorded_terms() {
        let ops = ops();
        let case = ops.cases.iter().find(|c| c.op == "AddV2" && c.case == "bfloat16 [2,3] [3]").unwrap();
        let [x, y, sum] =
            [&case.inputs[0], &case.inputs[1], case.reference[0].as_ref().unwrap()].map(|e| ops.array(e).unwrap());
        assert_eq!((x.dtype.as_str(), x.shape.as_slice()), ("bfloat16", [2, 3].as_slice()));
        let (x, y) = (x.to_f64(), y.to_f64());
        let expected: Vec<f64> = (0..6).map(|i| x[i] + y[i % 3]).collect();
        assert_eq!(sum.to_f64(), expected);
    }

    #[test]
    fn a_key_that_is_not_there_and_a_dtype_that_differs_are_errors() {
        let ops = ops();
        let entry = Entry { key: "nowhere".into(), ..ops.cases[0].inputs[0].clone() };
        assert!(ops.array(&entry).unwrap_err().contains("nowhere"));
        let entry = Entry { dtype: "uint64".into(), ..ops.cases[0].inputs[0].clone() };
        assert!(ops.array(&entry).unwrap_err().contains("uint64"));
    }

    #[test]
    fn every_entry_of_the_other_manifests_is_an_array() {
        let read = [("keras", 5000, Fixture::read_all("keras")), ("printing", 250, Fixture::read("printing"))];
        for (name, least, fixture) in read {
            let fixture: Fixture<Value> = fixture.unwrap();
            let mut found = 0;
            let mut rest: Vec<&Value> = fixture.cases.iter().collect();
            while let Some(value) = rest.pop() {
                match value {
                    Value::Object(fields) if fields.contains_key("key") || fields.contains_key("strings") => {
                        let entry = Entry::deserialize(value).unwrap();
                        fixture.array(&entry).unwrap();
                        found += 1;
                    }
                    Value::Object(fields) => rest.extend(fields.values()),
                    Value::Array(values) => rest.extend(values),
                    _ => {}
                }
            }
            assert!(found > least, "{name}: {found}");
        }
    }

    #[test]
    fn every_config_names_its_class() {
        let rows: Vec<Value> = read_manifest("configs").unwrap();
        for row in rows.iter().filter(|row| row["kind"] != "activation") {
            assert_eq!(row["config"]["class_name"], row["class_name"]);
            assert!(row["config"]["config"].is_object(), "{row}");
        }
    }
}
