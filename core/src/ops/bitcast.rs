//! The bits of numbers as those of another dtype.

use super::composite::composite;
use super::constant;
use crate::dtype::by_width;
use crate::op::{Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::copy;
use std::sync::Arc;

/// The bits as they are, in elements of another width where the dtype has it: wider ones become several along a new last axis, and
/// those of the last axis one wider one.
#[derive(Debug)]
struct Bitcast {
    to: DType,
}

fn numbers(dtype: DType) -> Result<DType> {
    allowed(dtype, |dtype| dtype.size() > 0 && dtype != DType::Bool, "numbers")
}

impl Op for Bitcast {
    fn name(&self) -> &'static str {
        "Bitcast"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("type", self.to)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let (from, to) = (numbers(x.spec.dtype)?.size(), numbers(self.to)?.size());
        let Some(mut dims) = x.spec.shape.dims() else { return Ok(vec![Spec::new(self.to, Shape::unknown())]) };
        if from > to {
            dims.push(Some(from / to));
        } else if to > from {
            match dims.pop() {
                Some(last) if last.is_none_or(|last| last == to / from) => {}
                _ => {
                    let (found, several) = (&x.spec, to / from);
                    let message = format!("{several} elements of the last axis become one {}, found {found}", self.to);
                    return Err(Error::invalid_argument(message));
                }
            }
        }
        Ok(vec![Spec::new(self.to, dims)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let (x, out) = (inputs[0], &mut outputs[0]);
        by_width!(self.to, U => {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(out.elements::<U>()?);
            by_width!(x.dtype(), T => {
                let to = bytemuck::try_cast_slice_mut::<u8, T>(bytes)
                    .map_err(|_| Error::internal("the elements of a tensor are aligned, and as many as were inferred"))?;
                copy(x.elements::<T>()?, to);
            });
        });
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        constant(b)
    }
}

impl Tensor {
    /// The bits of numbers as those of another dtype. A wider element becomes several along a new last axis; the elements of the last
    /// axis, of as many as it takes, become one wider element. No gradient goes through. TensorFlow's `Bitcast`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let bits = Tensor::from([1.0_f32, -2.0]).bitcast(DType::U32)?;
    /// assert_eq!(bits.to_vec::<u32>()?, [0x3f80_0000, 0xc000_0000]);
    /// assert_eq!(bits.bitcast(DType::U8)?.dims()?, [2, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bitcast(&self, dtype: DType) -> Result<Tensor> {
        apply_one(Bitcast { to: dtype }, &[self])
    }

    /// The bits of numbers as those of another dtype, with as many axes: the last one is longer for narrower elements, and shorter for
    /// wider ones. Keras's `ops.view`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1_u16, 2], [3, 4]]);
    /// assert_eq!(x.view_as(DType::U8)?.dims()?, [2, 4]);
    /// assert_eq!(x.view_as(DType::U32)?.to_vec::<u32>()?, [0x2_0001, 0x4_0003]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn view_as(&self, dtype: DType) -> Result<Tensor> {
        self.check()?;
        let (from, to) = (numbers(self.dtype())?.size(), numbers(dtype)?.size());
        if from == to {
            return self.bitcast(dtype);
        }
        let rank = self.rank().filter(|&rank| rank > 0).ok_or_else(|| {
            let message =
                format!("the last axis becomes longer or shorter, of a known rank, found shape {}", self.shape());
            Error::invalid_argument(message)
        })?;
        composite("view_as", || {
            let several = (from / to).max(to / from) as i64;
            let dims = self.shape_tensor()?.cast(DType::I64)?;
            let (before, last) = (dims.slice(..rank as i64 - 1)?, dims.slice(rank as i64 - 1)?);
            if from > to {
                let last = last.mul(several as f64)?.reshape([1])?;
                return self.bitcast(dtype)?.reshape_by(&Tensor::concat(&[before, last], 0)?);
            }
            let last = last.floor_div(several as f64)?.reshape([1])?;
            self.reshape_by(&Tensor::concat(&[before, last, Tensor::from([several])], 0)?)?.bitcast(dtype)
        })
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[OpDef {
    name: "Bitcast",
    parse: |attrs| Ok(Arc::new(Bitcast { to: attrs.dtype("type", None)? })),
    accuracy: Accuracy::Exact,
}]];
