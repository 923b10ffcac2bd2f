//! Pipelines and files beside what TensorFlow made of them: `tests/golden/data.json`.

use super::check_positions;
use modulor::data::{Compression, Dataset, End, ExampleParser, PadSequences, Padding, Timeseries, read_npy};
use modulor::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    kind: String,
    args: Value,
    elements: Value,
}

impl Case {
    fn number(&self, name: &str) -> u64 {
        self.args[name].as_u64().unwrap_or_else(|| panic!("{} has {name}", self.kind))
    }

    fn range(&self, name: &str) -> Dataset<Tensor> {
        Dataset::range(0..self.number(name) as i64)
    }

    /// With `drop_remainder` where the case says so.
    fn dropped<T: 'static>(&self, dataset: Dataset<T>) -> Dataset<T> {
        if self.args["drop"] == json!(true) { dataset.drop_remainder() } else { dataset }
    }

    /// Of a file that it holds, the bytes.
    fn file(&self) -> Vec<u8> {
        let hex = self.args["file"].as_str().unwrap();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../golden/data.json")).unwrap()
}

/// An int64 tensor as nested lists.
fn nested(tensor: &Tensor) -> Value {
    match tensor.rank() {
        Some(0) => json!(tensor.item::<i64>().unwrap()),
        _ => tensor.unstack(0).unwrap().iter().map(nested).collect(),
    }
}

#[test]
fn pipelines_give_what_those_of_tensorflow_give() {
    for case in cases() {
        let n = || case.range("n");
        let size = || case.number("size") as usize;
        let dataset = match &*case.kind {
            "batch" => case.dropped(n().batch(size())),
            "window" => {
                let (shift, stride, size) = (case.number("shift") as usize, case.number("stride") as usize, size());
                case.dropped(n().window(size, shift, stride)).flat_map(move |window| Ok(window.batch(size)))
            }
            "interleave" => n().interleave(case.number("cycle") as usize, case.number("block") as usize, |x| {
                let x = x.item::<i64>()?;
                Ok(Dataset::range(10 * x..10 * x + x * 7 % 5))
            }),
            "padded_batch" => {
                let lists = n().map(|x| {
                    Tensor::new([x.item::<i64>()? as usize, 2], vec![x.item::<i64>()?; 2 * x.item::<i64>()? as usize])
                });
                let dim = case.args["dim"].as_u64().map(|dim| dim as usize);
                let value = Tensor::scalar(case.args["value"].as_i64().unwrap());
                case.dropped(lists.padded_batch(size(), Padding::new().shapes([[dim, None]]).values([value])))
            }
            "shard" => n().shard(case.number("count"), case.number("index")),
            "repeat" => n().repeat(case.number("count")),
            "concatenate" => n().concatenate(&case.range("m")),
            "unbatch" => n().batch(size()).unbatch(),
            "zip" => n().zip(&case.range("m")).map(|(a, b)| Tensor::stack(&[a, b], 0)),
            "enumerate" => n().skip(case.number("skip")).enumerate().map(|(a, b)| Tensor::stack(&[a, b], 0)),
            "records" | "npy" | "timeseries" | "pad_sequences" => continue,
            other => panic!("a kind {other}"),
        };
        let found: Value = dataset.iter().map(|element| nested(&element.unwrap())).collect();
        assert_eq!(found, case.elements, "{} {}", case.kind, case.args);
        check_positions(&dataset, case.elements.as_array().unwrap().len());
    }
}

#[test]
fn examples_in_records_are_read_as_tensorflow_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let parser = ExampleParser::new()
        .fixed("floats", DType::F32, [2])
        .fixed_or("label", Tensor::scalar(-9_i64))
        .var_len("words", DType::String)
        .var_len("empty", DType::I64);
    for case in cases().into_iter().filter(|case| case.kind == "records") {
        let compression = match case.args["compression"].as_str().unwrap() {
            "gzip" => Compression::Gzip,
            "zlib" => Compression::Zlib,
            _ => Compression::None,
        };
        let path = folder.path().join("examples");
        std::fs::write(&path, case.file()).unwrap();
        let parser = parser.clone();
        let samples = Dataset::tf_records([&path, &path], compression).map(move |record| parser.parse(&record));
        let words = |text: &Tensor| -> Vec<String> {
            text.to_strings().unwrap().iter().map(|word| String::from_utf8(word.to_vec()).unwrap()).collect()
        };
        let found: Vec<Value> = samples
            .iter()
            .map(|sample| {
                let sample = sample.unwrap();
                json!([
                    sample["floats"].to_vec::<f32>().unwrap(),
                    sample["label"].item::<i64>().unwrap(),
                    words(&sample["words"]),
                    sample["empty"].to_vec::<i64>().unwrap()
                ])
            })
            .collect();
        let expected = case.elements.as_array().unwrap();
        assert_eq!(found, [&**expected, expected].concat(), "{}", case.args["compression"]);
        let batch = samples.padded_batch(4, Padding::new()).iter().next().unwrap().unwrap();
        assert_eq!(words(&batch["words"])[9..], ["w0", "w1", "w2"]);
    }
}

#[test]
fn files_of_numpy_are_read() {
    let path = tempfile::NamedTempFile::new().unwrap();
    for case in cases().into_iter().filter(|case| case.kind == "npy") {
        std::fs::write(&path, case.file()).unwrap();
        let array = read_npy(&path).unwrap();
        assert_eq!(json!(array.dims().unwrap()), case.args["shape"]);
        let found = match array.dtype() {
            DType::String => {
                let texts = array.to_strings().unwrap();
                texts.iter().map(|text| json!(std::str::from_utf8(text).unwrap())).collect::<Vec<_>>()
            }
            DType::Complex128 => {
                let bytes = array.to_bytes().unwrap();
                let (parts, _) = bytes.as_chunks();
                vec![json!([f64::from_le_bytes(parts[0]), f64::from_le_bytes(parts[1])])]
            }
            _ => array.cast(DType::F64).unwrap().to_vec::<f64>().unwrap().into_iter().map(|x| json!(x)).collect(),
        };
        assert_eq!(json!(found), case.elements, "{}", case.args["array"]);
    }
}

#[test]
fn sequences_of_a_series_are_kerass() {
    let series = Tensor::new([11], (0..11).collect::<Vec<i64>>()).unwrap();
    for case in cases().into_iter().filter(|case| case.kind == "timeseries") {
        let number = |name: &str| case.number(name) as usize;
        let place = |name: &str| case.args[name].as_u64().map(|place| place as usize);
        let parts = Timeseries::new(number("length")).sequence_stride(number("stride")).sampling_rate(number("rate"));
        let parts = parts.start_index(place("start").unwrap_or(0)).end_index(place("end"));
        let targets = case.args["targets"].as_array().map(|targets| {
            Tensor::new([targets.len()], targets.iter().map(|x| x.as_i64().unwrap()).collect::<Vec<_>>()).unwrap()
        });
        let (count, about) = (case.elements.as_array().unwrap().len(), &case.args);
        let found: Value = match targets {
            None => {
                let dataset = parts.dataset(&series).unwrap();
                check_positions(&dataset, count);
                dataset.iter().map(|x| nested(&x.unwrap())).collect()
            }
            Some(targets) => {
                let dataset = parts.with_targets(&series, &targets).unwrap();
                assert_eq!(dataset.cardinality().known(), Some(count as u64), "{about}");
                let pair = |(x, y): (Tensor, Tensor)| json!([nested(&x), nested(&y)]);
                dataset.iter().map(|element| pair(element.unwrap())).collect()
            }
        };
        assert_eq!(found, case.elements, "{about}");
    }
    for (parts, words) in [
        (Timeseries::new(0), "`sequence_length` must be at least 1, found 0"),
        (Timeseries::new(2).sequence_stride(0), "`sequence_stride` must be at least 1"),
        (Timeseries::new(2).sampling_rate(0), "`sampling_rate` must be at least 1"),
        (Timeseries::new(2).start_index(11), "`start_index` 11 and `end_index` 11 hold no part of 11 steps"),
        (Timeseries::new(2).end_index(12), "`end_index` 12"),
    ] {
        let error = parts.dataset(&series).unwrap_err();
        assert!(error.message().contains(words), "{error}");
    }
    let far = Timeseries::new(usize::MAX).sampling_rate(usize::MAX).sequence_stride(usize::MAX);
    assert_eq!(far.dataset(&series).unwrap().iter().count(), 0);
    let one = Timeseries::new(1).sampling_rate(usize::MAX).sequence_stride(usize::MAX);
    assert_eq!(one.dataset(&series).unwrap().iter().map(Result::unwrap).count(), 1);
    assert!(Timeseries::new(1).dataset(&Tensor::scalar(1)).unwrap_err().message().contains("is a scalar"));
}

#[test]
fn sequences_of_one_length_are_kerass() {
    for case in cases().into_iter().filter(|case| case.kind == "pad_sequences") {
        let end = |name: &str| if case.args[name] == "pre" { End::Front } else { End::Back };
        let padding = PadSequences::new().maxlen(case.args["maxlen"].as_u64().map(|length| length as usize));
        let padding = padding.padding(end("padding")).truncating(end("truncating"));
        let sequences: Vec<Vec<i64>> = serde_json::from_value(case.args["sequences"].clone()).unwrap();
        assert_eq!(nested(&padding.rows(&sequences, -1).unwrap()), case.elements, "{}", case.args);
    }
    assert_eq!(PadSequences::new().rows(&[[0_u8; 0]; 0], 0).unwrap().dims().unwrap(), [0, 0]);
    let far = PadSequences::new().maxlen(usize::MAX).rows(&[[1_i64]], 0).unwrap_err();
    assert!(far.message().contains("more than memory holds"), "{far}");
}
