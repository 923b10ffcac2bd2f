//! The mean and the variance over axes.

use super::super::fused::{Fused, FusedCall, between};
use super::super::reduce::{mask, terms};
use super::{floats, widened};
use crate::dtype::dispatch;
use crate::op::{Backward, Input, Op, Scratch, View, ViewMut, unsupported};
use crate::shape::MAX_RANK;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::Normalization;
use std::sync::Arc;

/// The mean and the variance over axes.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub(super) axes: Vec<i64>,
    pub(super) keep_dims: bool,
}

impl Op for Moments {
    fn name(&self) -> &'static str {
        "moments"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let dtype = floats(inputs, 1, &[])?;
        let shape = match inputs[0].spec.shape.dims() {
            None => Shape::unknown(),
            Some(dims) => {
                let mask = mask(&self.axes, dims.len())?;
                let kept = dims.into_iter().zip(mask).filter_map(|(dim, gone)| match (gone, self.keep_dims) {
                    (false, _) => Some(dim),
                    (true, true) => Some(Some(1)),
                    (true, false) => None,
                });
                kept.collect()
            }
        };
        Ok(vec![Spec::new(dtype, &shape), Spec::new(dtype, &shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let len =
            self.with_mask(inputs[0].dims(), |mask| <f64 as Normalization>::moments_scratch(inputs[0].dims(), mask));
        len * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let x = inputs[0];
        let [mean, variance] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        self.with_mask(x.dims(), |mask| {
            dispatch!(x.dtype(), float T => {
                let room = scratch.take(T::moments_scratch(x.dims(), mask))?;
                T::moments(x.elements()?, mask, mean.elements()?, variance.elements()?, room);
                Ok(())
            }, else => Err(unsupported(x.dtype())))
        })
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let x = widened(b.input(0))?;
        let count = terms(&x, b.output(0), DType::F64)?;
        let placed = |of: &Tensor| self.placed(&widened(of)?, &x);
        let mut dx = (placed(b.dy(0))? / count.cast(x.dtype())?).broadcast_like(&x)?;
        if b.arrives(1) {
            let slope = (2.0 / count).cast(x.dtype())?;
            dx = dx.add((&x - placed(b.output(0))?) * (placed(b.dy(1))? * slope))?;
        }
        Ok(vec![Some(dx.cast(b.input(0).dtype())?)])
    }
}

impl Moments {
    /// A moment with dims of 1 in place of the axes of x.
    fn placed(&self, moment: &Tensor, x: &Tensor) -> Result<Tensor> {
        if self.keep_dims {
            return Ok(moment.clone());
        }
        let Some(rank) = x.rank() else { return moment.reshape_as(&x.sum_keepdims(&*self.axes)?) };
        let gone = mask(&self.axes, rank)?;
        let mut gone = (0..rank).filter(|&axis| gone[axis]);
        gone.try_fold(moment.clone(), |moment, axis| moment.expand_dims(axis as i64))
    }

    /// The mask of the axes, which `infer` has accepted.
    fn with_mask<R>(&self, dims: &[usize], f: impl FnOnce(&[bool]) -> R) -> R {
        let mut mask = [false; MAX_RANK];
        for &axis in &self.axes {
            mask[if axis < 0 { axis + dims.len() as i64 } else { axis } as usize] = true;
        }
        f(&mask[..dims.len()])
    }
}

impl Fused for Moments {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let x = widened(inputs[0])?;
        let mean = x.mean_keepdims(&*self.axes)?;
        let variance = x.squared_difference(&mean)?.mean_keepdims(&*self.axes)?;
        let placed = |moment: Tensor| match self.keep_dims || self.axes.is_empty() {
            true => Ok(moment),
            false => moment.squeeze(&self.axes),
        };
        Ok(vec![placed(mean)?.cast(inputs[0].dtype())?, placed(variance)?.cast(inputs[0].dtype())?])
    }
}

/// What the tests call.
pub(in super::super) fn calls() -> Result<Vec<FusedCall>> {
    let x = between(-2.0, 3.75, 24)?.reshape([2, 3, 4])?;
    let forms: [(Vec<i64>, bool); 5] =
        [(vec![-1], true), (vec![0, 2], false), (vec![0, -2], true), (vec![1], false), (vec![0, 1, 2], false)];
    let calls =
        forms.map(|(axes, keep_dims)| (Arc::new(Moments { axes, keep_dims }) as Arc<dyn Fused>, vec![x.clone()]));
    Ok(calls.into())
}
