//! Tensors as a file has them.

use super::attrs;
use crate::shape::count;
use crate::tensor::{Payload, Value};
use crate::{DType, Error, Result, Shape, Tensor};
use modulor_wire::message::{DataType, decode, encode};
use modulor_wire::tensor::{Elements, TensorProto};

/// The bytes that one file may have written out of repeated elements. A tensor of one element repeated costs nothing.
pub(super) const MOST_REPEATED: usize = 128 << 20;

/// The bytes that a tensor of one repeated element may stand for: what reads it by value takes no more.
const MOST_FILLED: usize = 1 << 30;

/// The tensor that a file's bytes are. `budget` is what is left of [`MOST_REPEATED`].
pub(super) fn from_bytes(bytes: &[u8], budget: &mut usize) -> Result<Tensor> {
    let wrong = |error: modulor_wire::Error| Error::invalid_argument(error.to_string());
    let mut proto: TensorProto = decode(bytes).map_err(wrong)?;
    let of_tensor = |error: Error| Error::new(error.kind(), format!("the tensor {}", error.message()));
    let dtype = attrs::dtype(proto.dtype).map_err(of_tensor)?;
    let shape = attrs::from_shape(&proto.tensor_shape.take().unwrap_or_default()).map_err(of_tensor)?;
    let Some(dims) = shape.known() else {
        return Err(Error::invalid_argument(format!("a tensor has a known shape, found {shape}")));
    };
    let elements = count(dims)?;
    match proto.elements(elements as u64).map_err(wrong)? {
        Elements::Plain { bytes, given } if given == elements => Tensor::from_bytes(dtype, dims, &bytes),
        Elements::Plain { bytes, given } => {
            let total = elements.checked_mul(dtype.size()).ok_or_else(|| too_large(&shape, dtype))?;
            if given <= 1 {
                let element = if given == 1 { bytes } else { vec![0; dtype.size()] };
                return filled(Tensor::from_bytes(dtype, [], &element)?, dims, total);
            }
            spend(budget, total, &shape, dtype)?;
            let mut all = Vec::with_capacity(total);
            all.extend_from_slice(&bytes);
            let last = &bytes[bytes.len() - dtype.size()..];
            (given..elements).for_each(|_| all.extend_from_slice(last));
            Tensor::from_bytes(dtype, dims, &all)
        }
        Elements::Strings(strings) if strings.len() == elements => Tensor::strings(dims, strings),
        Elements::Strings(strings) => {
            let total =
                elements.checked_mul(size_of::<crate::tensor::Text>()).ok_or_else(|| too_large(&shape, dtype))?;
            let last = strings.last().cloned().unwrap_or_default();
            if strings.len() <= 1 {
                return filled(Tensor::strings([], [last])?, dims, total);
            }
            // Each is an allocation.
            spend(budget, total.saturating_add(elements.saturating_mul(last.len().max(16))), &shape, dtype)?;
            let missing = elements - strings.len();
            Tensor::strings(dims, strings.into_iter().chain(std::iter::repeat_n(last, missing)))
        }
    }
}

fn too_large(shape: &Shape, dtype: DType) -> Error {
    let message =
        format!("a tensor of {dtype} and shape {shape} out of a few elements: more than is taken from a file");
    Error::resource_exhausted(message)
}

fn spend(budget: &mut usize, bytes: usize, shape: &Shape, dtype: DType) -> Result<()> {
    *budget = budget.checked_sub(bytes).ok_or_else(|| too_large(shape, dtype))?;
    Ok(())
}

/// One element under many indices, in the room of one.
fn filled(element: Tensor, dims: &[usize], total: usize) -> Result<Tensor> {
    if total > MOST_FILLED {
        return Err(too_large(&Shape::from(dims), element.dtype()));
    }
    let Value { layout, storage } = element.evaluated()?;
    Ok(Tensor::value(element.dtype(), layout.broadcast(dims), storage.clone()))
}

/// The bytes of a tensor's message: those of its elements, or of one where all are that one under many indices.
pub(super) fn to_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let Payload::Value(value) = tensor.payload() else {
        return Err(Error::failed_precondition("a symbol has no value to write"));
    };
    let shape = attrs::to_shape(tensor.shape());
    let dtype = DataType::try_from(tensor.dtype().number())
        .map_err(|_| Error::internal(format!("{} has no number in files", tensor.dtype())))?;
    let alone = Tensor::value(
        tensor.dtype(),
        crate::tensor::Layout { dims: Vec::new(), strides: Vec::new(), offset: value.layout.offset },
        value.storage.clone(),
    );
    let is_one = value.layout.len() > 1
        && value.layout.dims.iter().zip(&value.layout.strides).all(|(&dim, &stride)| dim == 1 || stride == 0);
    let mut proto = TensorProto { dtype: dtype.into(), tensor_shape: Some(shape.clone()), ..Default::default() };
    match tensor.dtype() {
        DType::Resource => return Err(Error::invalid_argument("a handle has no value to write")),
        DType::String => {
            let strings = if is_one { alone.to_strings()? } else { tensor.to_strings()? };
            proto.string_val = strings.iter().map(|text| text.to_vec()).collect();
        }
        _ if is_one => {
            let filled = TensorProto::filled(dtype, shape, &alone.to_bytes()?);
            proto = filled.map_err(|error| Error::internal(error.to_string()))?;
        }
        _ => proto.tensor_content = tensor.to_bytes()?,
    }
    Ok(encode(&proto))
}
