//! A tensor within a message: its elements as bytes, or as a list of numbers that is not longer than it must be.

use prost::Message;

use crate::message::{DataType, TensorShapeProto};
use crate::{Error, Result};

/// A tensor. Its elements are `tensor_content`, or the list of their kind; of a list that is short the last one stands for
/// all that are missing, of an empty one zeros do.
///
/// ```
/// use modulor_wire::message::DataType;
/// use modulor_wire::tensor::{Elements, TensorProto};
/// let ones = TensorProto { dtype: DataType::Int16.into(), int_val: vec![1], ..Default::default() };
/// assert_eq!(ones.elements(1 << 40)?, Elements::Plain { bytes: vec![1, 0], given: 1 });
/// # Ok::<(), modulor_wire::Error>(())
/// ```
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// A [`DataType`].
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    /// A scalar's is there, and empty.
    #[prost(message, optional, tag = "2")]
    pub tensor_shape: Option<TensorShapeProto>,
    /// Of the format: 0.
    #[prost(int32, tag = "3")]
    pub version_number: i32,
    /// All elements, little-endian.
    #[prost(bytes = "vec", tag = "4")]
    pub tensor_content: Vec<u8>,
    /// Of float.
    #[prost(float, repeated, tag = "5")]
    pub float_val: Vec<f32>,
    /// Of double.
    #[prost(double, repeated, tag = "6")]
    pub double_val: Vec<f64>,
    /// Of integers up to 32 bits, but for uint32.
    #[prost(int32, repeated, tag = "7")]
    pub int_val: Vec<i32>,
    /// Of string.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub string_val: Vec<Vec<u8>>,
    /// Of complex64, in pairs.
    #[prost(float, repeated, tag = "9")]
    pub scomplex_val: Vec<f32>,
    /// Of int64.
    #[prost(int64, repeated, tag = "10")]
    pub int64_val: Vec<i64>,
    /// Of bool.
    #[prost(bool, repeated, tag = "11")]
    pub bool_val: Vec<bool>,
    /// Of complex128, in pairs.
    #[prost(double, repeated, tag = "12")]
    pub dcomplex_val: Vec<f64>,
    /// Of half and bfloat16: their bits.
    #[prost(int32, repeated, tag = "13")]
    pub half_val: Vec<i32>,
    /// Of resource, each a `ResourceHandleProto`.
    #[prost(bytes = "vec", repeated, tag = "14")]
    pub resource_handle_val: Vec<Vec<u8>>,
    /// Of variant, each a `VariantTensorDataProto`.
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub variant_val: Vec<Vec<u8>>,
    /// Of uint32.
    #[prost(uint32, repeated, tag = "16")]
    pub uint32_val: Vec<u32>,
    /// Of uint64.
    #[prost(uint64, repeated, tag = "17")]
    pub uint64_val: Vec<u64>,
    /// Of the floats of 8 bits: their bits.
    #[prost(bytes = "vec", tag = "18")]
    pub float8_val: Vec<u8>,
}

/// The elements that a message has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Numbers.
    Plain {
        /// Little-endian.
        bytes: Vec<u8>,
        /// How many there are. Where that is less than there should be, the last stands for the others, or 0.
        given: usize,
    },
    /// Strings; where there are less than should be, the last stands for the others, or the empty one.
    Strings(Vec<Vec<u8>>),
}

/// Which list has the elements of a dtype, and how many bytes one takes.
#[derive(Clone, Copy)]
enum List {
    Float,
    Double,
    /// Signed numbers, or not, of so many bytes.
    Int {
        signed: bool,
        bytes: usize,
    },
    Int64,
    Uint32,
    Uint64,
    Bool,
    Half,
    Float8,
    Complex64,
    Complex128,
    String,
}

impl List {
    fn of(dtype: DataType) -> Option<List> {
        let int = |signed, bytes| Some(List::Int { signed, bytes });
        match dtype {
            DataType::Float => Some(List::Float),
            DataType::Double => Some(List::Double),
            DataType::Int32 | DataType::Qint32 => int(true, 4),
            DataType::Int16 | DataType::Qint16 => int(true, 2),
            DataType::Int8 | DataType::Qint8 | DataType::Int4 | DataType::Int2 => int(true, 1),
            DataType::Uint16 | DataType::Quint16 => int(false, 2),
            DataType::Uint8 | DataType::Quint8 | DataType::Uint4 | DataType::Uint2 => int(false, 1),
            DataType::Int64 => Some(List::Int64),
            DataType::Uint32 => Some(List::Uint32),
            DataType::Uint64 => Some(List::Uint64),
            DataType::Bool => Some(List::Bool),
            DataType::Half | DataType::Bfloat16 => Some(List::Half),
            DataType::Float8E5m2
            | DataType::Float8E4m3fn
            | DataType::Float8E4m3fnuz
            | DataType::Float8E4m3b11fnuz
            | DataType::Float8E5m2fnuz
            | DataType::Float4E2m1fn => Some(List::Float8),
            DataType::Complex64 => Some(List::Complex64),
            DataType::Complex128 => Some(List::Complex128),
            DataType::String => Some(List::String),
            DataType::Invalid | DataType::Resource | DataType::Variant => None,
        }
    }

    /// Bytes of an element; 0 of a string.
    fn size(self) -> usize {
        match self {
            List::Float | List::Uint32 => 4,
            List::Double | List::Int64 | List::Uint64 | List::Complex64 => 8,
            List::Int { bytes, .. } => bytes,
            List::Bool | List::Float8 => 1,
            List::Half => 2,
            List::Complex128 => 16,
            List::String => 0,
        }
    }
}

impl TensorProto {
    /// The elements, of which there should be `count`.
    ///
    /// # Errors
    /// When there are more, or so many bytes that they are another number of elements; when a number is none of the dtype, and
    /// when the dtype has no elements that could be written down.
    pub fn elements(self, count: u64) -> Result<Elements> {
        let dtype = DataType::try_from(self.dtype).unwrap_or(DataType::Invalid);
        let Some(list) = List::of(dtype) else {
            return Err(Error::new(format!("a tensor of {dtype:?} ({}) has no elements to read", self.dtype)));
        };
        if !self.tensor_content.is_empty() && list.size() > 0 {
            return whole(self.tensor_content, list.size(), count);
        }
        let bytes = match list {
            List::String => return strings(self.string_val, count),
            List::Float => bytes(&self.float_val, |x| x.to_le_bytes()),
            List::Double => bytes(&self.double_val, |x| x.to_le_bytes()),
            List::Int { signed, bytes } => narrow(&self.int_val, signed, bytes, dtype)?,
            List::Int64 => bytes(&self.int64_val, |x| x.to_le_bytes()),
            List::Uint32 => bytes(&self.uint32_val, |x| x.to_le_bytes()),
            List::Uint64 => bytes(&self.uint64_val, |x| x.to_le_bytes()),
            List::Bool => bytes(&self.bool_val, |x| [u8::from(x)]),
            List::Half => narrow(&self.half_val, false, 2, dtype)?,
            List::Float8 => self.float8_val,
            List::Complex64 => pairs(&self.scomplex_val, |x| x.to_le_bytes(), dtype)?,
            List::Complex128 => pairs(&self.dcomplex_val, |x| x.to_le_bytes(), dtype)?,
        };
        let given = bytes.len().checked_div(list.size()).unwrap_or_default();
        if u64::try_from(given).is_ok_and(|given| given > count) {
            return Err(Error::new(format!("{given} elements are given, and the shape has {count}")));
        }
        Ok(Elements::Plain { bytes, given })
    }

    /// A tensor of plain numbers, all of which are `element`, as little-endian bytes.
    ///
    /// # Errors
    /// When these are no element of the dtype.
    pub fn filled(dtype: DataType, shape: TensorShapeProto, element: &[u8]) -> Result<TensorProto> {
        let mut tensor = TensorProto { dtype: dtype.into(), tensor_shape: Some(shape), ..Default::default() };
        let wrong = || Error::new(format!("{} bytes are no element of {dtype:?}", element.len()));
        let list = List::of(dtype).filter(|list| list.size() > 0 && list.size() == element.len()).ok_or_else(wrong)?;
        match list {
            List::Float => tensor.float_val = vec![f32::from_le_bytes(array(element)?)],
            List::Double => tensor.double_val = vec![f64::from_le_bytes(array(element)?)],
            List::Int { signed, .. } => tensor.int_val = vec![wide(element, signed)],
            List::Int64 => tensor.int64_val = vec![i64::from_le_bytes(array(element)?)],
            List::Uint32 => tensor.uint32_val = vec![u32::from_le_bytes(array(element)?)],
            List::Uint64 => tensor.uint64_val = vec![u64::from_le_bytes(array(element)?)],
            List::Bool => tensor.bool_val = vec![element != [0]],
            List::Half => tensor.half_val = vec![wide(element, false)],
            List::Float8 => tensor.float8_val = element.to_vec(),
            List::Complex64 | List::Complex128 => {
                let (real, imaginary) = element.split_at_checked(list.size() >> 1).ok_or_else(wrong)?;
                for part in [real, imaginary] {
                    match list {
                        List::Complex64 => tensor.scomplex_val.push(f32::from_le_bytes(array(part)?)),
                        _ => tensor.dcomplex_val.push(f64::from_le_bytes(array(part)?)),
                    }
                }
            }
            List::String => return Err(wrong()),
        }
        Ok(tensor)
    }
}

/// Bytes that are all elements.
fn whole(bytes: Vec<u8>, size: usize, count: u64) -> Result<Elements> {
    let wanted = usize::try_from(count).ok().and_then(|given| Some((given, given.checked_mul(size)?)));
    match wanted {
        Some((given, wanted)) if wanted == bytes.len() => Ok(Elements::Plain { bytes, given }),
        _ => {
            let message = format!("{} bytes of content are not {count} elements of {size} bytes", bytes.len());
            Err(Error::new(message))
        }
    }
}

fn strings(strings: Vec<Vec<u8>>, count: u64) -> Result<Elements> {
    match u64::try_from(strings.len()).is_ok_and(|given| given > count) {
        true => Err(Error::new(format!("{} strings are given, and the shape has {count}", strings.len()))),
        false => Ok(Elements::Strings(strings)),
    }
}

fn bytes<T: Copy, const N: usize>(values: &[T], bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

fn pairs<T: Copy, const N: usize>(values: &[T], each: fn(T) -> [u8; N], dtype: DataType) -> Result<Vec<u8>> {
    match values.len() & 1 {
        0 => Ok(bytes(values, each)),
        _ => Err(Error::new(format!("{dtype:?} takes pairs of numbers, and {} are given", values.len()))),
    }
}

/// The lowest bytes of numbers that fit into as many.
fn narrow(values: &[i32], signed: bool, size: usize, dtype: DataType) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(values.len().saturating_mul(size));
    for (i, &value) in values.iter().enumerate() {
        let bytes = value.to_le_bytes();
        let low = bytes.get(..size).unwrap_or(&bytes);
        if wide(low, signed) != value {
            return Err(Error::new(format!("element {i} is {value}, which {dtype:?} does not have")));
        }
        out.extend_from_slice(low);
    }
    Ok(out)
}

/// The number of up to four bytes, the lowest first.
fn wide(low: &[u8], signed: bool) -> i32 {
    let negative = signed && low.last().is_some_and(|&high| high > 0x7F);
    let mut bytes = [if negative { 0xFF } else { 0 }; 4];
    bytes.iter_mut().zip(low).for_each(|(byte, &low)| *byte = low);
    i32::from_le_bytes(bytes)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Error::new(format!("{} bytes, expected {N}", bytes.len())))
}
