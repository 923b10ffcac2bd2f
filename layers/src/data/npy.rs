//! NumPy's files: `.npy`, an array, and `.npz`, an archive of them.

use super::file::{Compression, Source, broken, refused};
use modulor::{DType, Error, Result, Tensor};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The tensor in a `.npy` file: of numbers and bools in either order of bytes, and of strings of a fixed length.
///
/// An error names the file and what is wrong with it; Python objects and records of several fields are refused.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    let bytes = Source::open(path, Compression::None)?.rest()?;
    parse(&bytes).map_err(|what| broken(path, what))
}

/// The tensors in a `.npz` file, by name.
///
/// An error names the file, the array, and what is wrong with it.
pub fn read_npz(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|error| refused(path, &error))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| broken(path, error))?;
    let mut tensors = BTreeMap::new();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(|error| broken(path, error))?;
        let name = entry.name().map_err(|error| broken(path, error))?;
        let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else { continue };
        let within = |what: String| broken(path, format!("array `{name}`: {what}"));
        let mut bytes = Vec::new();
        // The header says how long the array is, and nothing beyond it is unpacked.
        (&mut entry).take(LONGEST_HEADER as u64).read_to_end(&mut bytes).map_err(|error| within(error.to_string()))?;
        let (header, begin) = Header::parse(&bytes).map_err(within)?;
        let end = (begin as u64).saturating_add(header.bytes().map_err(within)?);
        let left = end.saturating_add(1).saturating_sub(bytes.len() as u64);
        (&mut entry).take(left).read_to_end(&mut bytes).map_err(|error| within(error.to_string()))?;
        tensors.insert(name.clone(), parse(&bytes).map_err(within)?);
    }
    Ok(tensors)
}

/// A header is never longer, so that what claims to be one need not be read.
const LONGEST_HEADER: usize = 1 << 16;

/// What an element is.
#[derive(Clone, Copy)]
enum Kind {
    Number(DType),
    /// Bytes, filled up with zeros.
    Bytes,
    /// Characters of four bytes each, filled up with zeros.
    Characters,
}

struct Header {
    kind: Kind,
    /// Bytes of an element.
    size: usize,
    big_endian: bool,
    columns_first: bool,
    dims: Vec<usize>,
}

impl Header {
    /// The header, and where the elements begin.
    fn parse(bytes: &[u8]) -> Result<(Header, usize), String> {
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("does not begin as an array of NumPy does")?;
        let (begin, length): (usize, usize) = match rest {
            [1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
            [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
            [version, ..] if *version > 3 => return Err(format!("version {version}; 1 to 3 are known")),
            _ => return Err("ends in its header".to_owned()),
        };
        let end = begin.checked_add(length).filter(|&end| end <= LONGEST_HEADER);
        let end = end.ok_or_else(|| format!("a header of {length} bytes"))?;
        let text = bytes.get(begin..end).ok_or("ends in its header")?;
        let text = std::str::from_utf8(text).map_err(|_| "the header is not UTF-8")?;
        let order = field(text, "descr")?;
        let descr = order.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let (descr, _) = descr.ok_or("records of several fields are not read")?;
        let (kind, size) = kind(descr)?;
        let columns_first = match field(text, "fortran_order")? {
            value if value.starts_with("True") => true,
            value if value.starts_with("False") => false,
            _ => return Err("fortran_order is neither True nor False".to_owned()),
        };
        let inner = field(text, "shape")?.strip_prefix('(').and_then(|value| value.split_once(')'));
        let (inner, _) = inner.ok_or("the shape is not a tuple")?;
        let sizes = inner.split(',').map(str::trim).filter(|size| !size.is_empty());
        let dims =
            sizes.map(|size| size.parse().map_err(|_| format!("a dim of {size:?}"))).collect::<Result<_, _>>()?;
        Ok((Header { kind, size, big_endian: descr.starts_with('>'), columns_first, dims }, end))
    }

    /// How many bytes the elements are.
    fn bytes(&self) -> Result<u64, String> {
        let all = self.dims.iter().try_fold(self.size as u64, |all, &dim| all.checked_mul(dim as u64));
        all.ok_or_else(|| format!("the shape {:?} overflows", self.dims))
    }
}

/// What follows `'name':` in the header.
fn field<'a>(header: &'a str, name: &str) -> Result<&'a str, String> {
    let (_, value) = header.split_once(&format!("'{name}':")).ok_or_else(|| format!("the header has no {name}"))?;
    Ok(value.trim_start())
}

/// What an element is and how many bytes it has, of NumPy's code for it.
fn kind(descr: &str) -> Result<(Kind, usize), String> {
    let refused = || format!("elements of `{descr}`, which have no dtype here");
    let code = descr.strip_prefix(['<', '>', '|', '=']).ok_or_else(refused)?;
    let (letter, size) = code.split_at_checked(1).ok_or_else(refused)?;
    let size: usize = size.parse().map_err(|_| refused())?;
    let number = match (letter, size) {
        ("b", 1) => DType::Bool,
        ("i", 1) => DType::I8,
        ("i", 2) => DType::I16,
        ("i", 4) => DType::I32,
        ("i", 8) => DType::I64,
        ("u", 1) => DType::U8,
        ("u", 2) => DType::U16,
        ("u", 4) => DType::U32,
        ("u", 8) => DType::U64,
        ("f", 2) => DType::F16,
        ("f", 4) => DType::F32,
        ("f", 8) => DType::F64,
        ("c", 8) => DType::Complex64,
        ("c", 16) => DType::Complex128,
        ("S", _) => return Ok((Kind::Bytes, size)),
        ("U", _) => return size.checked_mul(4).map(|size| (Kind::Characters, size)).ok_or_else(refused),
        _ => return Err(refused()),
    };
    Ok((Kind::Number(number), size))
}

fn parse(bytes: &[u8]) -> Result<Tensor, String> {
    let (header, begin) = Header::parse(bytes)?;
    let (expected, elements) = (header.bytes()?, &bytes[begin..]);
    let Header { kind, size, big_endian, columns_first, mut dims } = header;
    if elements.len() as u64 != expected {
        return Err(format!("the shape {dims:?} is {expected} bytes, found {}", elements.len()));
    }
    if size == 0 && dims.iter().product::<usize>() > 0 {
        return Err(format!("the shape {dims:?} of elements without bytes"));
    }
    if columns_first {
        dims.reverse();
    }
    let tensor = match kind {
        Kind::Number(dtype) => {
            let mut elements = elements.to_vec();
            if big_endian != cfg!(target_endian = "big") {
                // A complex number is two numbers.
                let size = if dtype.is_complex() { size / 2 } else { size };
                elements.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
            Tensor::from_bytes(dtype, dims, &elements)
        }
        Kind::Bytes | Kind::Characters => {
            let texts = elements.chunks_exact(size.max(1)).map(|text| match kind {
                Kind::Characters => characters(text, big_endian),
                _ => Ok(trimmed(text).to_vec()),
            });
            Tensor::strings(dims, texts.collect::<Result<Vec<_>, String>>()?)
        }
    };
    let said = |error: Error| error.to_string();
    let tensor = tensor.map_err(said)?;
    if columns_first { tensor.transpose().map_err(said) } else { Ok(tensor) }
}

/// The bytes without the zeros at their end.
fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &text[..end]
}

/// Characters of four bytes as UTF-8.
fn characters(text: &[u8], big_endian: bool) -> Result<Vec<u8>, String> {
    let (numbers, _) = text.as_chunks();
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    let characters = numbers.iter().map(|&number| {
        let number = read(number);
        char::from_u32(number).ok_or_else(|| format!("a string with {number:#x}, which is no character"))
    });
    let text: String = characters.collect::<Result<_, _>>()?;
    Ok(text.trim_end_matches('\0').as_bytes().to_vec())
}
