//! Running sums in the logarithm.

use super::array::index_tensor;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, one_int,
    unsupported, with_rank,
};
use crate::shape::normalize_axis;
use crate::{DType, Error, Result, Spec, Tensor};
use bytemuck::Pod;
use std::sync::Arc;

/// The logarithm of the running sum of exponentials.
#[derive(Clone, Debug)]
struct CumulativeLogsumexp {
    exclusive: bool,
    reverse: bool,
}

impl Op for CumulativeLogsumexp {
    fn name(&self) -> &'static str {
        "CumulativeLogsumexp"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("exclusive", self.exclusive).with("reverse", self.reverse)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, axis] = arity(inputs)?;
        allowed(x.spec.dtype, DType::is_float, "floats")?;
        with_rank(&axis.spec.shape, 0, "the axis")?;
        if let (Some(axis), Some(rank)) = (one_int(axis, "the axis")?, x.spec.shape.rank()) {
            normalize_axis(axis, rank)?;
        }
        Ok(vec![x.spec.clone()])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, axis] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        let axis = normalize_axis(axis.int(0)?, x.dims().len())?;
        let room = scratch.take(x.dense_room())?;
        let (length, inner) = (x.dims()[axis], x.dims()[axis + 1..].iter().product::<usize>());
        dispatch!(x.dtype(), float T => {
            let (x, out) = (x.dense::<T>(room)?.0, outputs[0].elements::<T>()?);
            self.totals(x, length, inner, out);
            Ok(())
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, axis, y, dy) = (b.input(0), b.input(1), b.output(0), b.dy(0));
        let back = CumulativeLogsumexp { exclusive: self.exclusive, reverse: !self.reverse };
        // eˣ·Σ dy·e⁻ʸ over what comes after, of positive and negative dy each in the logarithm.
        let part = |dy: &Tensor| -> Result<Tensor> {
            let some = dy.greater(0.0)?;
            let log = some.select(dy, &dy.ones_like()?)?.log()? - y;
            let none = dy.zeros_like()? + f64::NEG_INFINITY;
            apply_one(back.clone(), &[&some.select(&log, &none)?, axis])?.add(x)?.exp()
        };
        Ok(vec![Some(part(dy)? - part(&-dy)?), None])
    }
}

impl CumulativeLogsumexp {
    /// Along rows of `length` elements that lie `inner` apart. A running total is a float64: its greatest term, and the
    /// sum of all over that. As in TensorFlow, NaN counts as the total before it, and two infinities make NaN.
    fn totals<T: Pod + Rounded>(&self, x: &[T], length: usize, inner: usize, out: &mut [T]) {
        let block = (length * inner).max(1);
        for (x, out) in x.chunks(block).zip(out.chunks_mut(block)) {
            for column in 0..inner {
                let (mut greatest, mut sum) = (f64::NEG_INFINITY, 0.0_f64);
                for i in 0..length {
                    let at = if self.reverse { length - 1 - i } else { i } * inner + column;
                    if self.exclusive {
                        out[at] = T::rounded(greatest + libm::log(sum));
                    }
                    let x = x[at].wide();
                    if greatest == f64::INFINITY && (x.is_nan() || x == greatest) {
                        sum = f64::NAN;
                    } else if x.is_nan() {
                        sum *= 2.0;
                    } else if x > greatest {
                        sum = if greatest == f64::NEG_INFINITY { 1.0 } else { sum * libm::exp(greatest - x) + 1.0 };
                        greatest = x;
                    } else if x == greatest {
                        // Of −∞, too, between which there is no difference.
                        sum += f64::from(x > f64::NEG_INFINITY);
                    } else {
                        sum += libm::exp(x - greatest);
                    }
                    if !self.exclusive {
                        out[at] = T::rounded(greatest + libm::log(sum));
                    }
                }
            }
        }
    }
}

/// A float that is computed with in float64.
trait Rounded: Copy {
    fn wide(self) -> f64;
    fn rounded(value: f64) -> Self;
}

macro_rules! rounded {
    ($($t:ty: $rounded:expr;)*) => { $(
        impl Rounded for $t {
            fn wide(self) -> f64 {
                self.into()
            }
            fn rounded(value: f64) -> $t {
                let rounded: fn(f64) -> $t = $rounded;
                rounded(value)
            }
        }
    )* };
}
rounded! {
    f32: |x| x as f32;
    f64: |x| x;
    half::f16: half::f16::from_f64;
    half::bf16: half::bf16::from_f64;
}

impl Tensor {
    /// The logarithm of the sum along an axis of the exponentials up to each element, without overflow.
    ///
    /// NaN counts as the total before it, as if that were there twice, and from a second infinity on all is NaN.
    /// TensorFlow's `CumulativeLogsumexp`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1000.0_f64, 1000.0]).cumulative_log_sum_exp(0)?;
    /// assert_eq!(x.to_vec::<f64>()?, [1000.0, 1000.0 + std::f64::consts::LN_2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cumulative_log_sum_exp(&self, axis: i64) -> Result<Tensor> {
        self.cumulative_log_sum_exp_with(axis, false, false)
    }

    /// As [`cumulative_log_sum_exp`](Tensor::cumulative_log_sum_exp), without the element itself if `exclusive`, where of
    /// none it is −∞, and from the end if `reverse`.
    pub fn cumulative_log_sum_exp_with(&self, axis: i64, exclusive: bool, reverse: bool) -> Result<Tensor> {
        let axis = index_tensor(&[axis])?.reshape([])?;
        apply_one(CumulativeLogsumexp { exclusive, reverse }, &[self, &axis])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[OpDef {
    name: "CumulativeLogsumexp",
    parse: |attrs| {
        let (exclusive, reverse) = (attrs.bool("exclusive", false)?, attrs.bool("reverse", false)?);
        Ok(Arc::new(CumulativeLogsumexp { exclusive, reverse }))
    },
    accuracy: Accuracy::Sum,
}]];
