//! Safetensors: one file of tensors under names, as the tools around PyTorch and Hugging Face exchange them.
//!
//! It knows no object graph: a value is found by its name alone, which here is the path of its variable, as `dense_1/w`.
//!
//! ```
//! use modulor_core::Tensor;
//! use modulor_core::checkpoint::safetensors::{self, SafeTensors};
//! # fn main() -> modulor_core::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("model.safetensors");
//! safetensors::write(&path, [("w", &Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]])), ("n", &Tensor::scalar(7_i64))])?;
//!
//! let file = SafeTensors::open(&path)?;
//! assert_eq!(file.names().collect::<Vec<_>>(), ["n", "w"]);
//! assert_eq!(file.read("n")?.item::<i64>()?, 7);
//! # Ok(())
//! # }
//! ```

use super::Checkpoint;
use super::bundle::Temporary;
use super::restore::{Found, Plan, Source, Status, bare};
use crate::nearest::suggestion;
use crate::shape::count;
use crate::tensor::{Plain, bytes_of};
use crate::vfs::{OpenFile, Vfs, disk};
use crate::{DType, Error, Result, Shape, Tensor};
use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The dtypes of both sides.
const DTYPES: [(DType, Dtype); 14] = [
    (DType::F32, Dtype::F32),
    (DType::F64, Dtype::F64),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::I8, Dtype::I8),
    (DType::I16, Dtype::I16),
    (DType::I32, Dtype::I32),
    (DType::I64, Dtype::I64),
    (DType::U8, Dtype::U8),
    (DType::U16, Dtype::U16),
    (DType::U32, Dtype::U32),
    (DType::U64, Dtype::U64),
    (DType::Bool, Dtype::BOOL),
    (DType::Complex64, Dtype::C64),
];

/// The entry of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// The bytes before the header: its length.
const LENGTH: u64 = 8;

/// The longest header that anyone reads.
const MOST_HEADER: u64 = 100_000_000;

/// Bytes written at a time.
const CHUNK: usize = 512 << 10;

/// An open file. A clone is another handle to it.
#[derive(Clone, Debug)]
pub struct SafeTensors {
    path: PathBuf,
    file: Arc<dyn OpenFile>,
    /// In the order of the data.
    tensors: Arc<[(String, TensorInfo)]>,
    places: Arc<HashMap<String, usize>>,
    /// Where the data begin.
    start: u64,
}

impl SafeTensors {
    /// Opens a file, and checks all that its header says.
    ///
    /// An error of kind [`NotFound`](crate::ErrorKind::NotFound) when there is none, and of kind
    /// [`DataLoss`](crate::ErrorKind::DataLoss) when the header and the file cannot both be right.
    pub fn open(path: impl AsRef<Path>) -> Result<SafeTensors> {
        SafeTensors::open_on(&disk(), path)
    }

    /// [`open`](SafeTensors::open) on another file system.
    pub fn open_on(vfs: &Arc<dyn Vfs>, path: impl AsRef<Path>) -> Result<SafeTensors> {
        let path = path.as_ref().to_owned();
        little_endian()?;
        let file = vfs.open(&path)?;
        let (tensors, start) = header(&*file).map_err(|e| at(&path, &e))?;
        let places = tensors.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        Ok(SafeTensors { path, file, tensors: tensors.into(), places: Arc::new(places), start })
    }

    /// The names, in the order of the data.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }

    /// The tensor under a name.
    ///
    /// An error of kind [`NotFound`](crate::ErrorKind::NotFound) when there is none, and of kind
    /// [`Unimplemented`](crate::ErrorKind::Unimplemented) when no tensor has its dtype.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let Some(info) = self.info(name) else {
            let hint = match self.names().len() {
                few @ 0..=1000 => suggestion(name, self.names().take(few)),
                many => format!("there are {many}"),
            };
            return Err(Error::not_found(format!("{}: has no tensor {name:?}; {hint}", self.path.display())));
        };
        self.read_info(info).map_err(|e| at(&self.path, &of(name, &e)))
    }

    fn read_info(&self, info: &TensorInfo) -> Result<Tensor> {
        let dtype = known(info.dtype)
            .ok_or_else(|| Error::unimplemented(format!("no tensor here has elements of {}", info.dtype)))?;
        let mut plain = Plain::unfilled(bytes_of(dtype, count(&info.shape)?)?)?;
        self.file.read_at(plain.bytes_mut(), self.start.saturating_add(info.data_offsets.0 as u64))?;
        if dtype == DType::Bool
            && let Some(other) = plain.bytes().iter().find(|&&byte| byte > 1)
        {
            return Err(Error::data_loss(format!("a bool is stored as 0 or 1, and one is {other}")));
        }
        Ok(Tensor::plain(dtype, info.shape.clone(), plain))
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(*self.places.get(name)?).map(|(_, info)| info)
    }
}

impl Source for SafeTensors {
    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn names(&self) -> Vec<String> {
        self.tensors.iter().map(|(name, _)| name.clone()).collect()
    }

    fn find(&self, name: &str) -> Option<Found> {
        let info = self.info(name)?;
        Some((known(info.dtype).ok_or_else(|| info.dtype.to_string()), info.shape.clone()))
    }

    fn read(&self, names: &[&str]) -> Result<Vec<Tensor>> {
        names.iter().map(|name| SafeTensors::read(self, name)).collect()
    }
}

impl Checkpoint {
    /// Writes the values of this moment as a safetensors file, in place of one that is there: durably, and all or nothing.
    /// Names are the paths of the variables; the object graph has no place there.
    ///
    /// An error names a variable of strings or of complex128, for which that format has no dtype.
    pub fn write_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        let snapshot = self.snapshot()?;
        write_on(self.vfs(), path, snapshot.values().iter().map(|(key, value)| (bare(key), value)))
    }

    /// Gives every variable its value in a safetensors file: the one under its path. As
    /// [`restore`](Checkpoint::restore) otherwise, with the same errors: a value can wait for a variable that is not built,
    /// and when anything does not match, nothing was restored.
    pub fn read_safetensors(&self, path: impl AsRef<Path>) -> Result<Status> {
        let file = SafeTensors::open_on(self.vfs(), path)?;
        let places = self.places(false)?;
        Plan::by_name(&places, &file, &[]).carry_out(&places, &file, self.is_partial)
    }
}

/// Writes tensors under names, in place of a file that is there: when it returns, the file survives a power cut; when it
/// fails, what was there is there still.
///
/// An error names a tensor whose dtype the format does not have, and a name that is there twice.
pub fn write<'a>(path: impl AsRef<Path>, tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<()> {
    write_on(&disk(), path, tensors)
}

/// [`write()`] on another file system.
pub fn write_on<'a>(
    vfs: &Arc<dyn Vfs>,
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
) -> Result<()> {
    let path = path.as_ref();
    little_endian()?;
    let (head, tensors) = prepare(tensors).map_err(|e| at(path, &e))?;
    let mut temporary = Temporary::new(vfs, path)?;
    let mut file = temporary.create_shard()?;
    file.write(&head)?;
    for (name, tensor) in tensors {
        let value = tensor.evaluated().map_err(|e| e.within(name))?;
        value.each_chunk(tensor.dtype(), CHUNK, &mut |chunk| file.write(chunk))?;
    }
    file.sync()?;
    drop(file);
    temporary.commit_file()
}

/// All that stands before the data, and the tensors in the order in which they follow: the widest elements first, so that
/// all are aligned.
fn prepare<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
) -> Result<(Vec<u8>, Vec<(&'a str, &'a Tensor)>)> {
    let mut names = HashSet::new();
    let mut rows = Vec::new();
    for (name, tensor) in tensors {
        if name == METADATA || !names.insert(name) {
            let what = if name == METADATA { "is no name for a tensor" } else { "is there twice" };
            return Err(Error::invalid_argument(format!("the name {name:?} {what}")));
        }
        let dims = tensor.dims().map_err(|e| of(name, &e))?;
        let dtype = tensor.dtype();
        let stored = DTYPES.iter().find(|(known, _)| *known == dtype).map(|(_, stored)| *stored).ok_or_else(|| {
            of(name, &Error::invalid_argument(format!("{dtype} tensors have no place in safetensors")))
        })?;
        rows.push((stored, name, tensor, dims, bytes_of(dtype, count(dims)?)?));
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));

    let (mut infos, mut ordered, mut end) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()), 0_usize);
    for (dtype, name, tensor, dims, bytes) in rows {
        let begin = end;
        end = begin.checked_add(bytes).ok_or_else(|| Error::invalid_argument("more bytes than one file can have"))?;
        infos.push((name.to_owned(), TensorInfo { dtype, shape: dims.to_vec(), data_offsets: (begin, end) }));
        ordered.push((name, tensor));
    }
    let internal = |e: &dyn fmt::Display| Error::internal(format!("a safetensors header could not be written: {e}"));
    // Values are laid out as TensorFlow has them, a kernel `[inputs, outputs]`.
    let format = [("format".to_owned(), "tf".to_owned())];
    let metadata = Metadata::new(Some(format.into_iter().collect()), infos).map_err(|e| internal(&e))?;
    let mut json = serde_json::to_vec(&metadata).map_err(|e| internal(&e))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    if json.len() as u64 > MOST_HEADER {
        return Err(Error::invalid_argument(format!(
            "{} names take {} bytes of header, and no one reads more than {MOST_HEADER}",
            ordered.len(),
            json.len()
        )));
    }
    let mut head = (json.len() as u64).to_le_bytes().to_vec();
    head.append(&mut json);
    Ok((head, ordered))
}

/// What a file has, in the order of the data, and where these begin.
fn header(file: &dyn OpenFile) -> Result<(Vec<(String, TensorInfo)>, u64)> {
    let len = file.len();
    if len < LENGTH {
        return Err(Error::data_loss(format!("has {len} bytes, and a safetensors file has {LENGTH} at least")));
    }
    let mut length = [0; LENGTH as usize];
    file.read_at(&mut length, 0)?;
    let length = u64::from_le_bytes(length);
    let start = length.saturating_add(LENGTH);
    if start > len || length > MOST_HEADER {
        let most = MOST_HEADER.min(len.saturating_sub(LENGTH));
        return Err(Error::data_loss(format!("its header is to have {length} bytes, and can have {most} at most")));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, LENGTH)?;
    let Header(mut tensors) = serde_json::from_slice(&bytes)
        .map_err(|e| Error::data_loss(format!("the header in bytes [{LENGTH}, +{length}) is none: {e}")))?;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let data = len.saturating_sub(start);
    let mut end = 0;
    for (name, info) in &tensors {
        check(info, end, data).map_err(|e| of(name, &e))?;
        end = info.data_offsets.1;
    }
    if end as u64 != data {
        return Err(Error::data_loss(format!("has {data} bytes of data, and the header speaks of {end}")));
    }
    Ok((tensors, start))
}

/// Whether a tensor's bytes begin where the last one's ended, are inside the file, and as many as dtype and shape take.
fn check(info: &TensorInfo, last: usize, data: u64) -> Result<()> {
    let TensorInfo { dtype, shape, data_offsets: (begin, end) } = info;
    let elements = count(shape).map_err(|e| Error::data_loss(e.message()))?;
    let bits = elements.checked_mul(dtype.bitsize());
    let Some(size) = end.checked_sub(*begin).filter(|_| *begin == last && *end as u64 <= data) else {
        let message = format!("bytes [{begin}, {end}) of the data, which are {data}; expected them to begin at {last}");
        return Err(Error::data_loss(message));
    };
    if bits != size.checked_mul(8) {
        let shape = Shape::from(shape);
        return Err(Error::data_loss(format!("{size} bytes are stored, and {dtype}{shape} does not take as many")));
    }
    Ok(())
}

/// The entries of a header, no two of one name.
struct Header(Vec<(String, TensorInfo)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut names, mut tensors) = (HashSet::new(), Vec::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(de::Error::custom(format_args!("{name:?} is there twice")));
                    }
                    match &*name {
                        METADATA => drop(map.next_value::<HashMap<String, String>>()?),
                        _ => tensors.push((name, map.next_value()?)),
                    }
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn known(stored: Dtype) -> Option<DType> {
    DTYPES.iter().find(|(_, other)| *other == stored).map(|(dtype, _)| *dtype)
}

/// What is wrong with a file.
fn at(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {}", path.display(), error.message()))
}

/// What is wrong with a tensor.
fn of(name: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("tensor {name:?}: {}", error.message()))
}

fn little_endian() -> Result<()> {
    if cfg!(target_endian = "big") {
        return Err(Error::unimplemented("files of tensors are read and written on little-endian machines only"));
    }
    Ok(())
}
