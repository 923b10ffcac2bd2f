//! What a bundle says of a tensor: its type, also one that no [`Tensor`](crate::Tensor) has, its shape, and where its bytes are.

use crate::shape::count;
use crate::{DType, Error, Result, Shape};
use std::fmt;

/// The type of a stored tensor's elements: a [`DType`], or a type that can be listed, verified and copied, and not computed
/// with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredType(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Known(DType),
    /// A place in `OTHERS`.
    Other(usize),
}

/// TensorFlow's number, name and bytes of an element, of the types that are not a [`DType`]. Those of less than a byte
/// take one.
const OTHERS: [(i32, &str, usize); 15] = [
    (11, "qint8", 1),
    (12, "quint8", 1),
    (13, "qint32", 4),
    (15, "qint16", 2),
    (16, "quint16", 2),
    (24, "float8_e5m2", 1),
    (25, "float8_e4m3fn", 1),
    (26, "float8_e4m3fnuz", 1),
    (27, "float8_e4m3b11fnuz", 1),
    (28, "float8_e5m2fnuz", 1),
    (29, "int4", 1),
    (30, "uint4", 1),
    (31, "int2", 1),
    (32, "uint2", 1),
    (33, "float4_e2m1fn", 1),
];

impl StoredType {
    /// The type with this number of TensorFlow's enum `DataType`; none for what no checkpoint can hold.
    pub fn from_number(number: i32) -> Option<StoredType> {
        if let Some(dtype) = DType::from_number(number) {
            return dtype.has_elements().then_some(StoredType(Kind::Known(dtype)));
        }
        let place = OTHERS.iter().position(|other| other.0 == number)?;
        Some(StoredType(Kind::Other(place)))
    }

    /// The dtype of a tensor of these elements, if there is one.
    pub fn dtype(self) -> Option<DType> {
        match self.0 {
            Kind::Known(dtype) => Some(dtype),
            Kind::Other(_) => None,
        }
    }

    /// TensorFlow's number of it.
    pub fn number(self) -> i32 {
        match self.0 {
            Kind::Known(dtype) => dtype.number(),
            Kind::Other(place) => OTHERS[place].0,
        }
    }

    /// TensorFlow's name of it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Known(dtype) => dtype.name(),
            Kind::Other(place) => OTHERS[place].1,
        }
    }

    /// Bytes of one stored element; 0 for strings, which differ.
    pub fn size(self) -> usize {
        match self.0 {
            Kind::Known(dtype) => dtype.size(),
            Kind::Other(place) => OTHERS[place].2,
        }
    }

    /// Whether the elements are strings.
    pub fn is_string(self) -> bool {
        self.dtype() == Some(DType::String)
    }
}

impl From<DType> for StoredType {
    fn from(dtype: DType) -> StoredType {
        StoredType(Kind::Known(dtype))
    }
}

impl fmt::Display for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the bytes of a tensor, or of a slice of one, are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The data file.
    pub shard: usize,
    /// The first byte in it.
    pub offset: u64,
    /// How many bytes.
    pub size: u64,
    /// Their checksum as it is stored: a masked CRC-32C.
    pub crc32c: u32,
}

/// A box of a tensor that was saved in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The index of its first element, one number for each dim.
    pub start: Vec<usize>,
    /// How far it reaches along each dim.
    pub shape: Vec<usize>,
    /// Its bytes.
    pub extent: Extent,
}

/// What a bundle says of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryInfo {
    /// The type of the elements.
    pub dtype: StoredType,
    /// The dims of the whole tensor.
    pub shape: Vec<usize>,
    /// The bytes; of a tensor that was saved in parts, none.
    pub extent: Extent,
    /// The parts of a tensor that was saved so; else empty.
    pub slices: Vec<Slice>,
}

impl EntryInfo {
    /// The bytes it takes in the data files.
    pub fn size(&self) -> u64 {
        self.extents().map(|extent| extent.size).fold(0, u64::saturating_add)
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        // Checked when the entry was read.
        self.shape.iter().product()
    }

    /// Where the bytes are: one place, or one for each slice.
    pub(super) fn extents(&self) -> impl Iterator<Item = &Extent> {
        let whole = self.slices.is_empty().then_some(&self.extent);
        whole.into_iter().chain(self.slices.iter().map(|slice| &slice.extent))
    }
}

/// As `float32(2, 3)`.
impl fmt::Display for EntryInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, Shape::from(&self.shape))
    }
}

/// The bytes that a plain tensor takes; for strings, the fewest that they can.
pub(super) fn stored_size(dtype: StoredType, shape: &[usize]) -> Result<u64> {
    let elements = count(shape)?;
    let size = match dtype.is_string() {
        // A byte for each length, and their checksum.
        true => elements.checked_add(4),
        false => elements.checked_mul(dtype.size()),
    };
    let size = size.filter(|&n| isize::try_from(n).is_ok());
    size.map(|n| n as u64).ok_or_else(|| Error::data_loss(format!("{elements} elements of {dtype} are too many bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_means_one_type() {
        let types: Vec<_> = (0..=200).filter_map(StoredType::from_number).collect();
        assert_eq!(types.len(), DType::ALL.len() - 2 + OTHERS.len());
        for dtype in types {
            assert_eq!(StoredType::from_number(dtype.number()), Some(dtype));
            assert_eq!(dtype.size() == 0, dtype.is_string(), "{dtype}");
        }
        // What no checkpoint holds: nothing, resources, variants, and references.
        for number in [-1, 0, 20, 21, 101, 999] {
            assert_eq!(StoredType::from_number(number), None, "{number}");
        }
    }
}
