//! IDX, the format of MNIST: two zeros, a byte for the dtype, a byte for the rank, each dim in four bytes, and the elements;
//! of all of them the highest byte comes first.

use super::file::{Compression, Source};
use modulor::{DType, Result, Tensor};
use std::path::Path;

/// The tensor in an IDX file, as it is or compressed by gzip.
///
/// An error names the file and what is wrong with it; dims that are more than the file has are not allocated for.
///
/// ```
/// use modulor_layers::data::read_idx;
/// # fn main() -> modulor::Result<()> {
/// let path = std::env::temp_dir().join(format!("labels-{}-idx1-ubyte", std::process::id()));
/// std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]).unwrap();
/// assert_eq!(read_idx(&path)?.to_vec::<u8>()?, [5, 0, 4]);
/// # std::fs::remove_file(path).unwrap();
/// # Ok(())
/// # }
/// ```
pub fn read_idx(path: impl AsRef<Path>) -> Result<Tensor> {
    let mut file = Source::open(path.as_ref(), Compression::None)?;
    let mut head = file.take(4)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        file = Source::open(path.as_ref(), Compression::Gzip)?;
        head = file.take(4)?;
    }
    let &[0, 0, code, rank] = &*head else {
        return Err(file.broken(format!("begins with {head:02x?}, and IDX begins with two zeros, a dtype and a rank")));
    };
    let (dtype, size) = match code {
        0x08 => (DType::U8, 1),
        0x09 => (DType::I8, 1),
        0x0b => (DType::I16, 2),
        0x0c => (DType::I32, 4),
        0x0d => (DType::F32, 4),
        0x0e => (DType::F64, 8),
        _ => return Err(file.broken(format!("dtype {code:#04x}; 0x08, 0x09 and 0x0b to 0x0e are known"))),
    };
    let dims = file.take(4 * u64::from(rank))?;
    if dims.len() != 4 * usize::from(rank) {
        return Err(file.broken(format!("ends within its {rank} dims")));
    }
    let dims: Vec<usize> = dims.as_chunks().0.iter().map(|&dim| u32::from_be_bytes(dim) as usize).collect();
    let needed = dims.iter().try_fold(size as u64, |all, &dim| all.checked_mul(dim as u64));
    let Some(needed) = needed.filter(|&needed| needed <= file.most) else {
        return Err(file.broken(format!("dims {dims:?} of {dtype}, which are more bytes than the file can hold")));
    };
    let mut bytes = file.take(needed)?;
    let more = file.take(1)?.len();
    if bytes.len() as u64 != needed || more > 0 {
        let found = if more > 0 { "there are more".to_owned() } else { format!("found {}", bytes.len()) };
        return Err(file.broken(format!("dims {dims:?} of {dtype} are {needed} bytes, {found}")));
    }
    if cfg!(target_endian = "little") {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    Tensor::from_bytes(dtype, dims, &bytes).map_err(|error| file.broken(error))
}
