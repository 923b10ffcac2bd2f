//! Tensors from and to Rust's own values, and ndarray's.

use super::storage::room;
use super::{Layout, Plain, Storage, Tensor, Text, Value};
use crate::{Element, Error, Result};
use ndarray::{ArrayBase, ArrayD, ArrayView, ArrayViewD, Data, Dimension, IxDyn};

impl Tensor {
    /// All elements in row-major order; an error when `T` is not the dtype.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        let (stored, layout) = self.elements::<T>()?;
        let mut out = room(layout.len())?;
        each_offset(layout, &mut |offset| out.push(T::load(stored[offset])));
        Ok(out)
    }

    /// The one element of a tensor that has one.
    pub fn item<T: Element>(&self) -> Result<T> {
        let (stored, layout) = self.elements::<T>()?;
        if layout.len() != 1 {
            return Err(Error::invalid_argument(format!(
                "item takes a tensor of one element, and this one has shape {}",
                self.shape()
            )));
        }
        Ok(T::load(stored[layout.offset]))
    }

    /// All strings in row-major order.
    pub fn to_strings(&self) -> Result<Vec<Text>> {
        let Value { layout, storage } = self.evaluated()?;
        let Storage::Text(text) = &**storage else {
            return Err(Error::invalid_argument(format!("expected strings, found a tensor of {}", self.dtype())));
        };
        let mut out = room(layout.len())?;
        each_offset(layout, &mut |offset| out.push(text[offset].clone()));
        Ok(out)
    }

    /// All bytes in row-major order, native byte order; an error for strings and resources.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let Value { layout, storage } = self.evaluated()?;
        let Storage::Plain(plain) = &**storage else {
            return Err(Error::invalid_argument(format!("a tensor of {} is not plain bytes", self.dtype())));
        };
        let (bytes, size) = (plain.bytes(), self.dtype().size());
        let mut out = room(layout.len().saturating_mul(size))?;
        each_offset(layout, &mut |offset| out.extend_from_slice(&bytes[offset * size..][..size]));
        Ok(out)
    }

    /// A view as an ndarray, without a copy: whatever the strides are, negative and zero ones too.
    ///
    /// `bool` comes as `u8` of 0 and 1.
    pub fn view<T: Element>(&self) -> Result<ArrayViewD<'_, T::Stored>> {
        let (stored, layout) = self.elements::<T>()?;
        if layout.is_empty() {
            return ArrayView::from_shape(IxDyn(&layout.dims), &[]).map_err(refused);
        }
        // ndarray counts from the lowest address, and takes a negative stride as the two's complement of it.
        let backwards = layout.dims.iter().zip(&layout.strides).filter(|(_, stride)| **stride < 0);
        let lowest =
            backwards.fold(layout.offset, |at, (&dim, &stride)| at.wrapping_add_signed((dim as isize - 1) * stride));
        let strides: Vec<usize> = layout.strides.iter().map(|&stride| stride as usize).collect();
        let shape = ndarray::ShapeBuilder::strides(IxDyn(&layout.dims), IxDyn(&strides));
        ArrayView::from_shape(shape, &stored[lowest..]).map_err(refused)
    }

    /// A copy as an ndarray.
    pub fn to_array<T: Element>(&self) -> Result<ArrayD<T>> {
        let dims = self.dims()?;
        ArrayD::from_shape_vec(IxDyn(dims), self.to_vec()?).map_err(refused)
    }

    /// The stored elements and where they lie; an error when `T` is not the dtype.
    fn elements<T: Element>(&self) -> Result<(&[T::Stored], &Layout)> {
        let Value { layout, storage } = self.evaluated()?;
        match &**storage {
            Storage::Plain(plain) if self.dtype() == T::DTYPE => Ok((bytemuck::cast_slice(plain.bytes()), layout)),
            _ => Err(Error::invalid_argument(format!(
                "the elements of this tensor are {}, and {} was asked for",
                self.dtype(),
                T::DTYPE
            ))),
        }
    }
}

fn refused(error: ndarray::ShapeError) -> Error {
    Error::internal(format!("ndarray refused a layout: {error}"))
}

/// The offset of each element, in row-major order.
fn each_offset(layout: &Layout, f: &mut dyn FnMut(usize)) {
    fn go(dims: &[usize], strides: &[isize], offset: usize, f: &mut dyn FnMut(usize)) {
        let ([dim, dims @ ..], [stride, strides @ ..]) = (dims, strides) else { return f(offset) };
        for i in 0..*dim {
            go(dims, strides, offset.wrapping_add_signed(i as isize * stride), f);
        }
    }
    if !layout.is_empty() {
        go(&layout.dims, &layout.strides, layout.offset, f);
    }
}

/// Any ndarray by reference: its elements, copied in row-major order.
impl<T: Element, S: Data<Elem = T>, D: Dimension> TryFrom<&ArrayBase<S, D>> for Tensor {
    type Error = Error;
    fn try_from(array: &ArrayBase<S, D>) -> Result<Tensor> {
        Tensor::new(array.shape(), array.iter().cloned().collect::<Vec<T>>())
    }
}

/// An owned ndarray: its allocation and strides as they are, without a copy.
impl<T: Element, D: Dimension> TryFrom<ndarray::Array<T, D>> for Tensor {
    type Error = Error;
    fn try_from(array: ndarray::Array<T, D>) -> Result<Tensor> {
        crate::shape::count(array.shape())?;
        let dims = array.shape().to_vec();
        let strides = array.strides().to_vec();
        let (elements, offset) = array.into_raw_vec_and_offset();
        let layout = Layout { dims, strides, offset: offset.unwrap_or(0) };
        let plain = Plain::from_vec(T::store(elements));
        Ok(Tensor::value(T::DTYPE, layout, std::sync::Arc::new(Storage::Plain(plain))))
    }
}

/// An element, or an array of them, nested to any depth: what `Tensor::from` takes.
pub trait Nested {
    /// The type of the innermost elements.
    type Element: Element;
    /// Adds the dims below this one; called on the first item of each level.
    fn dims(&self, dims: &mut Vec<usize>);
    /// Moves the elements out in row-major order.
    fn flatten(self, out: &mut Vec<Self::Element>);
}

macro_rules! scalars {
    ($($t:ty)*) => { $(
        impl Nested for $t {
            type Element = $t;
            fn dims(&self, _: &mut Vec<usize>) {}
            fn flatten(self, out: &mut Vec<$t>) { out.push(self) }
        }
        impl From<$t> for Tensor {
            fn from(value: $t) -> Tensor { Tensor::scalar(value) }
        }
    )* };
}

scalars! {
    f32 f64 half::f16 half::bf16 i8 i16 i32 i64 u8 u16 u32 u64 bool num_complex::Complex32 num_complex::Complex64
}

impl<N: Nested, const M: usize> Nested for [N; M] {
    type Element = N::Element;
    fn dims(&self, dims: &mut Vec<usize>) {
        dims.push(M);
        if let Some(first) = self.first() {
            first.dims(dims);
        }
    }
    fn flatten(self, out: &mut Vec<N::Element>) {
        self.into_iter().for_each(|item| item.flatten(out));
    }
}

/// Arrays of numbers or bools, nested to any depth: `Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]])`.
///
/// Write `Tensor::zeros` for a tensor with a dim of 0 inside another: an empty array has no first row to ask.
impl<N: Nested, const M: usize> From<[N; M]> for Tensor {
    fn from(nested: [N; M]) -> Tensor {
        let (mut dims, mut elements) = (Vec::new(), Vec::new());
        nested.dims(&mut dims);
        nested.flatten(&mut elements);
        Tensor::new(dims, elements).expect("an array's elements are the product of its lengths")
    }
}

/// A vector as a tensor of rank 1; its memory is taken over.
impl<T: Element> From<Vec<T>> for Tensor {
    fn from(elements: Vec<T>) -> Tensor {
        Tensor::new([elements.len()], elements).expect("one dim of the vector's length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn arrays_nest() {
        let tensor = Tensor::from([[[1_i32, 2], [3, 4], [5, 6]]]);
        assert_eq!(*tensor.shape(), [1, 3, 2]);
        assert_eq!(tensor.to_vec::<i32>().unwrap(), [1, 2, 3, 4, 5, 6]);
        assert!(tensor.to_vec::<f32>().unwrap_err().message().contains("int32"));
        assert_eq!(Tensor::from([true, false]).to_vec::<bool>().unwrap(), [true, false]);
    }

    #[test]
    fn zeros_that_no_memory_could_hold_are_refused_and_empty_strings_share_one() {
        let many = [1 << 20, 1 << 20, 1 << 20];
        assert!(Tensor::zeros(many, crate::DType::F32).is_err());
        let strings = Tensor::zeros(many, crate::DType::String).unwrap();
        assert!(strings.to_strings().is_err());
        let few = Tensor::zeros([2, 0], crate::DType::String).unwrap();
        assert!(few.to_strings().unwrap().is_empty());
        let two = Tensor::zeros([2], crate::DType::String).unwrap();
        assert_eq!(two.to_string(), "tf.Tensor([b'' b''], shape=(2,), dtype=string)");
    }

    #[test]
    fn ndarray_goes_in_and_out_without_a_copy() {
        let matrix = array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let address = matrix.as_ptr();
        let tensor = Tensor::try_from(matrix.clone().reversed_axes()).unwrap();
        assert_eq!(*tensor.shape(), [3, 2]);
        assert_eq!(tensor.to_vec::<f32>().unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(tensor.view::<f32>().unwrap(), matrix.t().into_dyn());
        let tensor = Tensor::try_from(matrix).unwrap();
        assert_eq!(tensor.view::<f32>().unwrap().as_ptr(), address);
        let sliced = array![[1, 2, 3], [4, 5, 6]];
        let sliced = sliced.slice(ndarray::s![.., ..;-2]);
        assert_eq!(Tensor::try_from(&sliced).unwrap().to_vec::<i32>().unwrap(), [3, 1, 6, 4]);
    }

    #[test]
    fn views_have_whatever_strides_the_tensor_has() {
        let base = Tensor::from([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let Value { layout, storage } = base.evaluated().unwrap();
        let check = |layout: Layout| {
            let tensor = Tensor::value(crate::DType::F32, layout, storage.clone());
            let view = tensor.view::<f32>().unwrap();
            assert_eq!(view.shape(), tensor.dims().unwrap());
            assert_eq!(view.iter().copied().collect::<Vec<_>>(), tensor.to_vec::<f32>().unwrap());
        };
        check(layout.permuted(&[1, 0]));
        check(layout.stepped(1, 2, -1, 3));
        check(layout.stepped(0, 1, -1, 2).stepped(1, 2, -2, 2));
        check(layout.stepped(0, 1, 1, 1).broadcast(&[4, 5, 3]));
        check(layout.stepped(0, 0, 1, 0));
    }
}
