//! The bytes of a value in row-major order, as files hold them, without a copy of the whole.

use super::{Layout, Plain, Storage, Tensor, Value, bytes_of};
use crate::dtype::by_width;
use crate::{DType, Error, Result};
use bytemuck::Pod;
use modulor_kernels::{Strided, copy};

impl Value {
    /// All bytes, where they lie one after the other; `None` for a strided view, and for what is not plain.
    pub(crate) fn contiguous_bytes(&self, dtype: DType) -> Option<&[u8]> {
        let Storage::Plain(plain) = &*self.storage else { return None };
        if self.layout.is_empty() {
            return Some(&[]);
        }
        let start = self.layout.offset.checked_mul(dtype.size())?;
        let bytes = plain.bytes().get(start..)?.get(..self.layout.len().checked_mul(dtype.size())?)?;
        self.layout.is_contiguous().then_some(bytes)
    }

    /// Gives all bytes in order, in chunks of at most `most` bytes, whatever the strides are.
    pub(crate) fn each_chunk(
        &self,
        dtype: DType,
        most: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Storage::Plain(plain) = &*self.storage else {
            return Err(Error::invalid_argument(format!("a tensor of {dtype} is not plain bytes")));
        };
        if self.layout.is_empty() {
            return Ok(());
        }
        by_width!(dtype, T => chunks::<T>(plain, &self.layout, &mut vec![T::default(); (most / size_of::<T>()).max(1)], take))
    }
}

impl Tensor {
    /// The elements in row-major order: these, or a copy.
    pub(crate) fn dense(&self) -> Result<Tensor> {
        if self.is_contiguous() { Ok(self.clone()) } else { self.copied() }
    }

    /// The same elements in a place of their own, in row-major order.
    pub(crate) fn copied(&self) -> Result<Tensor> {
        let value = self.evaluated()?;
        let Storage::Plain(plain) = &*value.storage else { return Ok(self.clone()) };
        let (layout, dtype) = (&value.layout, self.dtype());
        let mut copy = Plain::unfilled(bytes_of(dtype, layout.len())?)?;
        by_width!(dtype, T => {
            let elements: &[T] = bytemuck::cast_slice(plain.bytes());
            let view = Strided::new(elements, &layout.dims, &layout.strides, layout.offset);
            let view = view.ok_or_else(|| Error::internal("a layout leaves its storage"))?;
            modulor_kernels::copy(view, bytemuck::cast_slice_mut(copy.bytes_mut()));
        });
        Ok(Tensor::plain(dtype, layout.dims.clone(), copy))
    }

    /// All bytes of the storage.
    pub(crate) fn plain_bytes(&self) -> Result<&[u8]> {
        match &*self.evaluated()?.storage {
            Storage::Plain(plain) => Ok(plain.bytes()),
            _ => Err(Error::unimplemented(format!("tensors of {} are not plain bytes", self.dtype()))),
        }
    }
}

/// As [`Value::each_chunk`], by way of a buffer; the layout is not empty.
fn chunks<T: Pod>(
    plain: &Plain,
    layout: &Layout,
    buffer: &mut [T],
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let axis = layout.dims.iter().position(|&dim| dim > 1);
    let (len, most) = (layout.len(), buffer.len());
    match axis {
        Some(axis) if len > most => {
            // As many steps along the outermost axis as fit, or one, which is cut further.
            let dim = layout.dims[axis];
            let steps = (most / (len / dim)).max(1);
            for start in (0..dim).step_by(steps) {
                chunks(plain, &layout.stepped(axis, start, 1, steps.min(dim - start)), buffer, take)?;
            }
            Ok(())
        }
        _ => {
            let view = Strided::new(bytemuck::cast_slice(plain.bytes()), &layout.dims, &layout.strides, layout.offset);
            let view = view.ok_or_else(|| Error::internal("a layout leaves its storage"))?;
            let chunk = &mut buffer[..len];
            copy(view, chunk);
            take(bytemuck::cast_slice(chunk))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_the_bytes_whatever_the_strides_and_the_size() {
        let base = Tensor::new([4, 3, 5], (0..60_u16).collect::<Vec<_>>()).unwrap();
        let Value { layout, storage } = base.evaluated().unwrap();
        let views = [
            layout.clone(),
            layout.permuted(&[2, 0, 1]),
            layout.stepped(0, 3, -1, 4).stepped(2, 1, 2, 2),
            layout.stepped(1, 1, 1, 1).broadcast(&[4, 7, 5]),
            layout.stepped(0, 2, 1, 1),
            layout.stepped(0, 0, 1, 0),
        ];
        for layout in views {
            let tensor = Tensor::value(DType::U16, layout, storage.clone());
            let value = tensor.evaluated().unwrap();
            let expected = tensor.to_bytes().unwrap();
            for most in [1, 2, 7, 24, 1000] {
                let mut found = Vec::new();
                let mut take = |chunk: &[u8]| {
                    assert!(chunk.len() <= most.max(2));
                    found.extend_from_slice(chunk);
                    Ok(())
                };
                value.each_chunk(DType::U16, most, &mut take).unwrap();
                assert_eq!(found, expected, "{:?} in chunks of {most}", tensor.shape());
            }
            let whole = value.contiguous_bytes(DType::U16);
            assert_eq!(whole.is_some(), tensor.is_contiguous());
            assert!(whole.is_none_or(|bytes| bytes == expected));
        }
    }
}
