//! TFRecord files, and the examples in their records.

use super::file::{Compression, Source};
use super::node::Items;
use super::{Dataset, source};
use modulor::{DType, Error, Result, Shape, Tensor};
use modulor_wire::crc::{crc32c, mask};
use modulor_wire::example::{Example, Kind, Values};
use std::collections::BTreeMap;
use std::path::Path;

impl Dataset<Tensor> {
    /// The records of TFRecord files, scalars of dtype string. TensorFlow's `TFRecordDataset`.
    ///
    /// A record that is damaged or cut off is an error that names the file, the record and its offset.
    pub fn tf_records<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, compression: Compression) -> Dataset<Tensor> {
        source::of_files(paths, move |path| {
            let mut file = match Source::open(path, compression) {
                Ok(file) => file,
                Err(error) => return source::only(error),
            };
            let mut number = 0_u64;
            Box::new(std::iter::from_fn(move || {
                let begin = file.at;
                let record = next_record(&mut file, begin).transpose()?;
                number += 1;
                let record = record.and_then(|record| Tensor::strings([], [record]));
                Some(record.map_err(|error| error.note(format!("record {number}, at byte {begin}"))))
            })) as Items<Tensor>
        })
    }
}

/// The next record of a file, if it does not end before it.
pub(super) fn next_record(file: &mut Source, begin: u64) -> Result<Option<Vec<u8>>> {
    let header = file.take(12)?;
    if header.is_empty() {
        return Ok(None);
    }
    let Some((&length, stored)) = header.split_first_chunk::<8>().filter(|(_, stored)| stored.len() == 4) else {
        return Err(file.broken(format!("ends within the header of a record, after {} bytes of 12", header.len())));
    };
    check(file, &length, stored, "the length of a record")?;
    let length = u64::from_le_bytes(length);
    let left = file.most.saturating_sub(begin);
    if length > left {
        return Err(file.broken(format!("a record of {length} bytes, and the file has at most {left} more")));
    }
    let data = file.take(length)?;
    let stored = file.take(4)?;
    if data.len() as u64 != length || stored.len() != 4 {
        let message = format!("ends within a record of {length} bytes, after {}", data.len());
        return Err(file.broken(message));
    }
    check(file, &data, &stored, "the data of a record")?;
    Ok(Some(data))
}

/// That the checksum of some bytes is the one that is stored.
fn check(file: &Source, bytes: &[u8], stored: &[u8], what: &str) -> Result<()> {
    let computed = mask(crc32c(bytes)).to_le_bytes();
    if computed == stored {
        return Ok(());
    }
    Err(file.broken(format!("{what}: checksum {computed:02x?}, stored {stored:02x?}")))
}

/// Which features are read of the examples in records, and as what: TensorFlow's `parse_single_example`.
///
/// ```
/// use modulor::{DType, Tensor};
/// use modulor_layers::data::{Compression, Dataset, ExampleParser, Padding};
/// let parser = ExampleParser::new().fixed("label", DType::I64, []).var_len("words", DType::String);
/// let samples = Dataset::tf_records(["reviews.tfrecord"], Compression::None)
///     .map(move |record| parser.parse(&record))
///     .padded_batch(32, Padding::new());
/// assert!(samples.iter().next().unwrap().unwrap_err().message().contains("reviews.tfrecord"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ExampleParser {
    features: BTreeMap<String, Feature>,
}

#[derive(Clone, Debug)]
struct Feature {
    dtype: DType,
    /// Of a fixed one.
    dims: Option<Vec<usize>>,
    default: Option<Tensor>,
}

impl ExampleParser {
    /// Reads nothing yet.
    pub fn new() -> ExampleParser {
        ExampleParser::default()
    }

    /// A feature of these dims: of dtype float32, int64 or string.
    #[must_use]
    pub fn fixed(self, name: impl Into<String>, dtype: DType, dims: impl Into<Vec<usize>>) -> ExampleParser {
        self.with(name, Feature { dtype, dims: Some(dims.into()), default: None })
    }

    /// A feature with what it is in an example that lacks it.
    #[must_use]
    pub fn fixed_or(self, name: impl Into<String>, default: Tensor) -> ExampleParser {
        let dims = default.dims().unwrap_or_default().to_vec();
        self.with(name, Feature { dtype: default.dtype(), dims: Some(dims), default: Some(default) })
    }

    /// A feature of any length, of one dim; none where an example lacks it.
    #[must_use]
    pub fn var_len(self, name: impl Into<String>, dtype: DType) -> ExampleParser {
        self.with(name, Feature { dtype, dims: None, default: None })
    }

    fn with(mut self, name: impl Into<String>, feature: Feature) -> ExampleParser {
        self.features.insert(name.into(), feature);
        self
    }

    /// The features of a record, a scalar of dtype string, by name.
    ///
    /// An error where one is not there, or of another dtype or length, which names it.
    pub fn parse(&self, record: &Tensor) -> Result<BTreeMap<String, Tensor>> {
        let texts = record.to_strings()?;
        let [text] = &*texts else {
            return Err(Error::invalid_argument(format!("a record is a scalar, found {}", record.spec())));
        };
        let mut example = Example::parse(text).map_err(|error| Error::data_loss(format!("no example: {error}")))?;
        let read = |(name, feature): (&String, &Feature)| {
            let tensor = feature.read(example.take(name));
            let tensor =
                tensor.map_err(|error| Error::invalid_argument(format!("feature `{name}`: {}", error.message())));
            Ok((name.clone(), tensor?))
        };
        self.features.iter().map(read).collect()
    }
}

impl Feature {
    fn read(&self, values: Option<Values>) -> Result<Tensor> {
        let kind = match self.dtype {
            DType::F32 => Kind::Floats,
            DType::I64 => Kind::Ints,
            DType::String => Kind::Bytes,
            dtype => {
                return Err(Error::invalid_argument(format!("of {dtype}; float32, int64 and string are there")));
            }
        };
        let values = match (values, &self.default, &self.dims) {
            (Some(values), _, _) if !values.is_empty() || self.dims.is_none() => values,
            (_, Some(default), _) => return Ok(default.clone()),
            (Some(values), _, _) => values,
            (None, None, None) => return Tensor::zeros([0], self.dtype),
            (None, None, Some(_)) => return Err(Error::invalid_argument("is not there, and has no default")),
        };
        if values.kind().is_some_and(|found| found != kind) {
            let message = format!("expected {}, found {:?}", self.dtype, values.kind().unwrap_or(kind));
            return Err(Error::invalid_argument(message));
        }
        let count = values.len();
        let dims = self.dims.clone().unwrap_or_else(|| vec![count]);
        if dims.iter().product::<usize>() != count {
            let message =
                format!("expected {} values for {}, found {count}", dims.iter().product::<usize>(), Shape::from(dims));
            return Err(Error::invalid_argument(message));
        }
        match values {
            Values::Floats(values) => Tensor::new(dims, values),
            Values::Ints(values) => Tensor::new(dims, values),
            Values::Bytes(values) => Tensor::strings(dims, values),
            Values::Nothing => Tensor::zeros(dims, self.dtype),
        }
    }
}
