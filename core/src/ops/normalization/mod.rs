//! Moments, and normalisations by them: composites, each with a kernel.
//!
//! What a kernel normalised by is an output of its own, in float32 where elements are narrower, and an input of the
//! gradient's kernel. That one has no gradient: where a tape listens it is its body, which is differentiated.

mod batch;
mod moments;
mod rows;

pub(super) use batch::{gradients as batch_norm_grads, inferences as batch_norms, trainings as batch_norm_trainings};
pub(super) use moments::calls as moments;
pub(super) use rows::{layer_norm_grads, layer_norms, rms_norm_grads, rms_norms};

use super::fused::{Fused, FusedCall, fused, fused_all};
use super::reduce::{Axes, mask};
use crate::dtype::dispatch;
use crate::op::{Input, Op, View, ViewMut, allowed, same_dtype, unsupported};
use crate::shape::normalize_axis;
use crate::{DType, Error, Result, Shape, Tensor};
use batch::{BatchNorm, BatchNormTraining, Channels};
use bytemuck::Pod;
use modulor_kernels::Number;
use moments::Moments;
use rows::{LayerNorm, RmsNorm};
use std::slice::IterMut;
use std::sync::Arc;

/// What statistics of elements of a dtype are kept in.
pub(super) fn statistic(dtype: DType) -> DType {
    if dtype == DType::F64 { dtype } else { DType::F32 }
}

/// This in the dtype of its statistics.
fn widened(x: &Tensor) -> Result<Tensor> {
    x.cast(statistic(x.dtype()))
}

/// Inputs in the dtype of the statistics of one of `dtype`.
pub(super) fn widened_all(inputs: &[&Tensor], dtype: DType) -> Result<Vec<Tensor>> {
    inputs.iter().map(|input| input.cast(statistic(dtype))).collect()
}

/// The inputs, which must be so many; all but those of `statistics`, which may be of any float, have one float dtype.
pub(super) fn floats(inputs: &[Input], count: usize, statistics: &[usize]) -> Result<DType> {
    if inputs.len() != count {
        let message = format!("expected {count} inputs, and {} were given", inputs.len());
        return Err(Error::invalid_argument(message));
    }
    let plain: Vec<Input> = (0..count).filter(|at| !statistics.contains(at)).map(|at| inputs[at]).collect();
    let dtype = allowed(same_dtype(&plain)?, DType::is_float, "floats")?;
    statistics.iter().try_for_each(|&at| allowed(inputs[at].spec.dtype, DType::is_float, "floats").map(|_| ()))?;
    Ok(dtype)
}

/// Refuses an input that is known to be of another shape.
fn shaped(input: &Input, shape: &Shape, what: &str) -> Result<()> {
    let found = &input.spec.shape;
    match found.is_compatible_with(shape) {
        true => Ok(()),
        false => Err(Error::invalid_argument(format!("{what} must have shape {shape}, found {found}"))),
    }
}

/// Refuses, in a body, what the kernel would refuse.
pub(super) fn refuse(op: &impl Op, inputs: &[&Tensor]) -> Result<()> {
    let seen: Vec<Input> = inputs.iter().map(|input| Input { spec: input.spec(), value: None }).collect();
    op.infer(&seen).map(|_| ()).map_err(|error| error.in_op(op.name()))
}

/// The words of scratch for so many numbers of at most 8 bytes.
pub(super) fn words(len: usize) -> usize {
    len.div_ceil(size_of::<u128>() / size_of::<f64>())
}

/// So many elements of scratch, and the rest.
fn carve<T: Pod>(room: &mut [u128], len: usize) -> Result<(&mut [T], &mut [u128])> {
    let (own, rest) = room
        .split_at_mut_checked(words(len))
        .ok_or_else(|| Error::internal(format!("no scratch for {len} elements is left")))?;
    Ok((&mut bytemuck::cast_slice_mut(own)[..len], rest))
}

/// The elements of an input that need not be there, as [`View::dense`].
fn dense_if<'r, T: Pod>(view: Option<&View<'r>>, room: &'r mut [u128]) -> Result<(Option<&'r [T]>, &'r mut [u128])> {
    match view {
        Some(view) => view.dense(room).map(|(elements, rest)| (Some(elements), rest)),
        None => Ok((None, room)),
    }
}

/// Statistics, of whatever float, copied into `room`; and the room left.
pub(super) fn statistics<'r, S: Number>(view: &View, room: &'r mut [u128]) -> Result<(&'r [S], &'r mut [u128])> {
    let (own, rest) = carve::<S>(room, view.len())?;
    dispatch!(view.dtype(), float T => modulor_kernels::cast::<T, S>(view.elements()?, own),
        else => return Err(unsupported(view.dtype())));
    Ok((own, rest))
}

/// The elements of the next output, if there is one.
fn next<'v, 'b: 'v, T: Pod>(outputs: &mut IterMut<'v, ViewMut<'b>>, wanted: bool) -> Result<Option<&'v mut [T]>> {
    if wanted { outputs.next().map(ViewMut::elements).transpose() } else { Ok(None) }
}

/// γ·x̂ + β, of those parameters that there are.
fn moved(normal: Tensor, parameters: &[Tensor], scale: bool) -> Result<Tensor> {
    match (parameters, scale) {
        ([], _) => Ok(normal),
        ([gamma], true) => normal.mul(gamma),
        ([beta], false) => normal.add(beta),
        ([gamma, beta, ..], _) => (normal * gamma).add(beta),
    }
}

/// Axes counted from the end: the last so many.
fn last(axes: usize) -> Vec<i64> {
    (-(axes as i64)..0).collect()
}

/// A form for the tests, and those inputs that it has.
fn call(form: impl Fused, inputs: &[&Tensor], wanted: &[bool]) -> FusedCall {
    let given = inputs.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(input, _)| (*input).clone());
    (Arc::new(form), given.collect())
}

impl Tensor {
    /// `f` of this with some axes moved to the end, in order; and back.
    fn with_last(&self, axes: &[i64], f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let Some(rank) = self.rank() else {
            let mut sorted = axes.to_vec();
            sorted.sort_unstable();
            if sorted == last(axes.len()) {
                return f(self);
            }
            let message = format!("axes {axes:?} need a rank that is known; those counted from the end do not");
            return Err(Error::failed_precondition(message));
        };
        let mask = mask(axes, rank)?;
        let order: Vec<usize> =
            (0..rank).filter(|&axis| !mask[axis]).chain((0..rank).filter(|&axis| mask[axis])).collect();
        if order.is_sorted() {
            return f(self);
        }
        let mut back = vec![0; rank];
        for (new, &old) in order.iter().enumerate() {
            back[old] = new as i64;
        }
        f(&self.permute(order.iter().map(|&axis| axis as i64).collect::<Vec<_>>())?)?.permute(back)
    }

    /// The mean and the variance, `mean((x − mean)²)`, over axes, with dims of 1 in place of them. Those of float16 and
    /// bfloat16 are computed in float32.
    pub fn moments_keepdims(&self, axes: impl Axes) -> Result<(Tensor, Tensor)> {
        self.moments_of(axes.axes(self.rank())?, true)
    }

    /// As [`moments_keepdims`](Tensor::moments_keepdims), without the axes. TensorFlow's `tf.nn.moments`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (mean, variance) = Tensor::from([[1.0, 3.0], [5.0, 5.0]]).moments(1)?;
    /// assert_eq!(mean.to_vec::<f64>()?, [2.0, 5.0]);
    /// assert_eq!(variance.to_vec::<f64>()?, [1.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn moments(&self, axes: impl Axes) -> Result<(Tensor, Tensor)> {
        self.moments_of(axes.axes(self.rank())?, false)
    }

    fn moments_of(&self, axes: Vec<i64>, keep_dims: bool) -> Result<(Tensor, Tensor)> {
        pair(fused_all(Moments { axes, keep_dims }, &[self])?)
    }

    /// `γ·(x − mean)/√(variance + epsilon) + β`, mean and variance being those of the elements along the axes:
    /// Ba et al., "Layer normalization".
    ///
    /// γ and β have the dims of the axes, in their order in this; where there is none it counts as 1, or 0. float16 and
    /// bfloat16 are computed in float32. Axes that are not the last are moved there and back.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (x, beta) = (Tensor::from([[1.0, 3.0], [5.0, 9.0]]), Tensor::from([1.0, 2.0]));
    /// assert_eq!(x.layer_norm(-1, None, Some(&beta), 0.0)?.to_vec::<f64>()?, [0.0, 3.0, 0.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer_norm(
        &self,
        axes: impl Axes,
        gamma: Option<&Tensor>,
        beta: Option<&Tensor>,
        epsilon: f64,
    ) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        let op = LayerNorm { axes: axes.len(), epsilon, scale: gamma.is_some(), center: beta.is_some() };
        self.with_last(&axes, |x| {
            let inputs: Vec<&Tensor> = [Some(x), gamma, beta].into_iter().flatten().collect();
            Ok(fused_all(op, &inputs)?.swap_remove(0))
        })
    }

    /// `γ·x/√(mean(x²) + epsilon)`, the mean being that along the axes: Zhang and Sennrich, "Root mean square layer
    /// normalization". γ and axes are as in [`layer_norm`](Tensor::layer_norm).
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[0.0, 4.0, 0.0, 0.0], [2.0, -2.0, 2.0, 2.0]]);
    /// assert_eq!(x.rms_norm(-1, None, 0.0)?.to_vec::<f64>()?, [0.0, 2.0, 0.0, 0.0, 1.0, -1.0, 1.0, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rms_norm(&self, axes: impl Axes, gamma: Option<&Tensor>, epsilon: f64) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        let op = RmsNorm { axes: axes.len(), epsilon, scale: gamma.is_some() };
        self.with_last(&axes, |x| {
            let inputs: Vec<&Tensor> = [Some(x), gamma].into_iter().flatten().collect();
            Ok(fused_all(op, &inputs)?.swap_remove(0))
        })
    }

    /// `γ·(x − mean)/√(variance + epsilon) + β`, each channel, a place along `axis`, by a mean and a variance that are
    /// given: what [`batch_norm_training`](Tensor::batch_norm_training) is when all is learnt.
    ///
    /// Mean, variance, γ and β have one element for each channel; where there is no γ it counts as 1, no β as 0. float16
    /// and bfloat16 are computed in float32, in which mean and variance may be. The rank must be known.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let [x, mean, variance] = [vec![1.0, 2.0], vec![0.0, 1.0], vec![4.0, 1.0]].map(|v| Tensor::from(v));
    /// let y = x.reshape([1, 2])?.batch_norm(-1, &mean, &variance, None, None, 0.0)?;
    /// assert_eq!(y.to_vec::<f64>()?, [0.5, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_norm(
        &self,
        axis: i64,
        mean: &Tensor,
        variance: &Tensor,
        gamma: Option<&Tensor>,
        beta: Option<&Tensor>,
        epsilon: f64,
    ) -> Result<Tensor> {
        let channels = self.channels(axis)?;
        let op = BatchNorm { channels, epsilon, scale: gamma.is_some(), center: beta.is_some() };
        let inputs: Vec<&Tensor> =
            [Some(self), Some(mean), Some(variance), gamma, beta].into_iter().flatten().collect();
        fused(op, &inputs)
    }

    /// As [`batch_norm`](Tensor::batch_norm) by the moments of each channel, which are returned as well: Ioffe and
    /// Szegedy, "Batch normalization". Those of float16 and bfloat16 are float32; those of no elements are NaN.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1.0, 5.0], [3.0, 9.0]]);
    /// let (y, mean, variance) = x.batch_norm_training(-1, None, None, 0.0)?;
    /// assert_eq!(y.to_vec::<f64>()?, [-1.0, -1.0, 1.0, 1.0]);
    /// assert_eq!((mean.to_vec::<f64>()?, variance.to_vec::<f64>()?), (vec![2.0, 7.0], vec![1.0, 4.0]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_norm_training(
        &self,
        axis: i64,
        gamma: Option<&Tensor>,
        beta: Option<&Tensor>,
        epsilon: f64,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let channels = self.channels(axis)?;
        let op = BatchNormTraining { channels, epsilon, scale: gamma.is_some(), center: beta.is_some() };
        let inputs: Vec<&Tensor> = [Some(self), gamma, beta].into_iter().flatten().collect();
        let [y, mean, variance] = three(fused_all(op, &inputs)?)?;
        Ok((y, mean, variance))
    }

    fn channels(&self, axis: i64) -> Result<Channels> {
        self.check()?;
        let unknown = || Error::failed_precondition("normalising a batch needs its rank, which is unknown");
        let rank = self.rank().ok_or_else(unknown)?;
        Ok(Channels { rank, axis: normalize_axis(axis, rank)? })
    }
}

fn three(outputs: Vec<Tensor>) -> Result<[Tensor; 3]> {
    outputs.try_into().map_err(|_| Error::internal("three outputs were inferred"))
}

fn pair(outputs: Vec<Tensor>) -> Result<(Tensor, Tensor)> {
    let [a, b] = outputs.try_into().map_err(|_| Error::internal("two outputs were inferred"))?;
    Ok((a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::trace;
    use crate::{ErrorKind, Spec, value_and_grad};

    fn x() -> Tensor {
        Tensor::new([2, 3, 4], (0..24).map(|i| f64::from(i * i % 7)).collect::<Vec<_>>()).unwrap()
    }

    fn numbers(x: &Tensor) -> Vec<f64> {
        x.to_vec().unwrap()
    }

    #[test]
    fn axes_that_are_not_the_last_are_moved_there_and_back() {
        let (x, gamma) = (x(), Tensor::from([[1.0, 2.0, 0.5, -1.0], [0.0, 1.0, 3.0, 4.0]]));
        let moved = x.permute([1, 0, 2]).unwrap();
        let back = |y: Result<Tensor>| y.unwrap().permute([1, 0, 2]).unwrap();
        let expected = back(moved.layer_norm([1, 2], Some(&gamma), None, 0.25));
        for axes in [[0, 2], [-1, 0], [2, -3]] {
            assert_eq!(numbers(&x.layer_norm(axes, Some(&gamma), None, 0.25).unwrap()), numbers(&expected));
        }
        let expected = back(moved.rms_norm([1, 2], None, 0.25));
        assert_eq!(numbers(&x.rms_norm([0, 2], None, 0.25).unwrap()), numbers(&expected));
        let last = x.permute([0, 2, 1]).unwrap();
        let (y, mean, variance) = x.batch_norm_training(1, None, None, 0.25).unwrap();
        let (expected, by_mean, by_variance) = last.batch_norm_training(-1, None, None, 0.25).unwrap();
        assert_eq!(numbers(&y), numbers(&expected.permute([0, 2, 1]).unwrap()));
        assert_eq!([numbers(&mean), numbers(&variance)], [numbers(&by_mean), numbers(&by_variance)]);
        let inferred = x.batch_norm(-2, &mean, &variance, None, None, 0.25).unwrap();
        assert_eq!(numbers(&inferred), numbers(&y));
    }

    #[test]
    fn half_as_wide_numbers_are_computed_in_float32() {
        // The squares of these are beyond float16.
        let wide = Tensor::from([[600.0_f32, -600.0, 1200.0, -1200.0], [0.0, 300.0, 0.0, -300.0]]);
        let half = wide.cast(DType::F16).unwrap();
        let (y, mean, variance) = half.batch_norm_training(-1, None, None, 0.0).unwrap();
        assert_eq!((y.dtype(), mean.dtype(), variance.dtype()), (DType::F16, DType::F32, DType::F32));
        let expected = wide.batch_norm_training(-1, None, None, 0.0).unwrap();
        assert_eq!(variance.to_vec::<f32>().unwrap(), expected.2.to_vec::<f32>().unwrap());
        let rounded = |x: &Tensor| x.cast(DType::F16).unwrap().to_vec::<half::f16>().unwrap();
        assert_eq!(rounded(&y), rounded(&expected.0));
        let traced = trace(
            |x| Ok(vec![x[0].layer_norm(-1, None, None, 0.0)?, x[0].rms_norm(-1, None, 0.0)?]),
            &[Spec::new(DType::F16, [None, Some(4)])],
        );
        let traced = traced.unwrap().run(&[&half]).unwrap();
        assert_eq!(rounded(&traced[0]), rounded(&wide.layer_norm(-1, None, None, 0.0).unwrap()));
        assert_eq!(rounded(&traced[1]), rounded(&wide.rms_norm(-1, None, 0.0).unwrap()));
    }

    #[test]
    fn parameters_of_another_shape_are_refused_eagerly_and_in_a_trace() {
        let three = Tensor::from([1.0, 2.0, 3.0]);
        let calls: [fn(&Tensor, &Tensor) -> Result<Tensor>; 5] = [
            |x, p| x.layer_norm(-1, Some(p), None, 0.1),
            |x, p| x.layer_norm(-1, None, Some(p), 0.1),
            |x, p| x.rms_norm(-1, Some(p), 0.1),
            |x, p| Ok(x.batch_norm_training(-1, Some(p), None, 0.1)?.0),
            |x, p| x.batch_norm(-1, p, p, None, None, 0.1),
        ];
        for call in calls {
            let eager = call(&x(), &three).unwrap_err();
            let spec = Spec::new(DType::F64, [None, Some(3), Some(4)]);
            let traced = trace(|x| Ok(vec![call(&x[0], &three)?]), &[spec]).unwrap_err();
            for error in [eager, traced] {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                assert!(error.message().contains("must have shape (4,), found (3,)"), "{error}");
            }
        }
        assert!(x().layer_norm(3, None, None, 0.1).is_err());
        assert!(x().layer_norm([1, 1], None, None, 0.1).is_err());
        assert!(x().batch_norm_training(-4, None, None, 0.1).is_err());
        let mixed = x().cast(DType::F32).unwrap().rms_norm(-1, Some(&Tensor::from([1.0; 4])), 0.1).unwrap_err();
        assert!(mixed.message().contains("one dtype"), "{mixed}");
    }

    #[test]
    fn the_last_axes_need_no_rank_and_others_do() {
        let unknown = [Spec::new(DType::F64, Shape::unknown())];
        let graph = trace(|x| Ok(vec![x[0].layer_norm([-1, -2], None, None, 0.25)?]), &unknown).unwrap();
        let expected = x().layer_norm([1, 2], None, None, 0.25).unwrap();
        let traced = numbers(&graph.run(&[&x()]).unwrap()[0]);
        assert!(traced.iter().zip(numbers(&expected)).all(|(a, b)| (a - b).abs() < 1e-14), "{traced:?}");
        for error in [
            trace(|x| Ok(vec![x[0].layer_norm(1, None, None, 0.1)?]), &unknown).unwrap_err(),
            trace(|x| Ok(vec![x[0].batch_norm_training(-1, None, None, 0.1)?.0]), &unknown).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
        }
    }

    #[test]
    fn nothing_has_moments_that_are_nan_and_no_gradient() {
        let nothing = Tensor::zeros([0, 3], DType::F64).unwrap();
        let (y, mean, _) = nothing.batch_norm_training(-1, None, None, 0.1).unwrap();
        assert_eq!((y.shape().known(), mean.shape().known()), (Some(&[0, 3][..]), Some(&[3][..])));
        assert!(numbers(&mean).iter().all(|mean| mean.is_nan()));
        let gamma = Tensor::from([1.0, 2.0, 3.0]);
        let inputs = [nothing, gamma];
        for call in [
            |x: &[Tensor]| x[0].layer_norm(-1, Some(&x[1]), None, 0.1)?.sum(..),
            |x: &[Tensor]| x[0].rms_norm(-1, Some(&x[1]), 0.1)?.sum(..),
            |x: &[Tensor]| x[0].batch_norm_training(-1, Some(&x[1]), None, 0.1)?.0.sum(..),
        ] {
            let (_, gradients) = value_and_grad(call, &inputs).unwrap();
            assert_eq!(numbers(&gradients[1]), [0.0; 3]);
        }
    }
}
