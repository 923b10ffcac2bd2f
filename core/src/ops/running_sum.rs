//! Sums that go on: one that is saved, and beside it an exact one.

use super::fused::{Fused, FusedCall, between, fused_all};
use super::math::one_shape;
use crate::dtype::dispatch;
use crate::op::{Input, Op, Scratch, View, ViewMut, allowed, same_dtype, unsupported};
use crate::{DType, Error, Result, Spec, Tensor};
use modulor_kernels::{Binary, Number, Strided, cast};
use std::sync::Arc;

/// Adds to sums that are kept twice: as they are saved, in a dtype that may be narrow, and exactly, in a float that is wider.
///
/// The exact one is believed as long as it rounds to the saved one, else somebody has set the saved one, which it begins from
/// then. For each of `sums`, saved and exact, and what is added to it, all of one shape, and the exact ones and what is added
/// of one float dtype: both as they are after it. What it is has no gradient.
///
/// ```
/// use modulor_core::ops::running_sum::running_sums;
/// use modulor_core::{DType, Tensor};
/// # fn main() -> modulor_core::Result<()> {
/// let saved = Tensor::scalar(16777216.0).cast(DType::F32)?;
/// let exact = Tensor::scalar(16777216.5);
/// let [next] = &running_sums(&[[&saved, &exact]], &[Tensor::scalar(1.0)])?[..] else { unreachable!() };
/// assert_eq!(next[1].item::<f64>()?, 16777217.5);
/// assert_eq!(next[0].item::<f32>()?, 16777218.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Where there are not as many of both, or dtypes or shapes do not fit.
pub fn running_sums(sums: &[[&Tensor; 2]], more: &[Tensor]) -> Result<Vec<[Tensor; 2]>> {
    if sums.len() != more.len() {
        let message = format!("{} numbers cannot be added to {} sums", more.len(), sums.len());
        return Err(Error::invalid_argument(message));
    }
    if sums.is_empty() {
        return Ok(Vec::new());
    }
    let inputs: Vec<&Tensor> = sums.iter().zip(more).flat_map(|(&[saved, exact], more)| [saved, exact, more]).collect();
    let mut next = fused_all(RunningSum, &inputs)?.into_iter();
    Ok(std::iter::from_fn(|| Some([next.next()?, next.next()?])).collect())
}

/// Of a saved sum, an exact one, and what is added, for each of some sums: the next saved and the next exact one.
#[derive(Clone, Copy, Debug)]
struct RunningSum;

/// How many elements are added at a time, by kernels for all pairs of dtypes. Metrics have a number or two of float32 and float64,
/// which kernels for many would take longer over.
const TILE: usize = 64;

impl Op for RunningSum {
    fn name(&self) -> &'static str {
        "running_sum"
    }
    fn as_fused(&self) -> Option<&dyn Fused> {
        Some(self)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        if inputs.is_empty() || !inputs.len().is_multiple_of(3) {
            let message = format!("takes three inputs for each sum, and {} were given", inputs.len());
            return Err(Error::invalid_argument(message));
        }
        let exact: Vec<Input> = inputs.chunks(3).flat_map(|sum| &sum[1..]).copied().collect();
        let dtype = allowed(same_dtype(&exact)?, DType::is_float, "floats")?;
        let mut specs = Vec::new();
        for sum in inputs.chunks(3) {
            let saved = allowed(sum[0].spec.dtype, |dtype| dtype.is_float() || dtype.is_integer(), "numbers")?;
            let shape = one_shape(sum)?;
            specs.extend([Spec::new(saved, &shape), Spec::new(dtype, shape)]);
        }
        Ok(specs)
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let of_one = |sum: &[View]| sum.iter().map(View::dense_room).sum::<usize>();
        size_of::<u128>() * inputs.chunks(3).map(of_one).max().unwrap_or(0)
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        for (sum, next) in inputs.chunks(3).zip(outputs.chunks_mut(2)) {
            let ([saved, exact, more], [next_saved, next_exact]) = (sum, next) else {
                return Err(Error::internal("inference lets three inputs through for two outputs"));
            };
            let room = sum.iter().map(View::dense_room).sum();
            let room = scratch.take::<u128>(room)?;
            if let (DType::F32, DType::F64, 0) = (saved.dtype(), exact.dtype(), room.len()) {
                let ((saved, room), next_saved) = (saved.dense::<f32>(room)?, next_saved.elements::<f32>()?);
                let ((exact, room), next_exact) = (exact.dense::<f64>(room)?, next_exact.elements::<f64>()?);
                let (more, _) = more.dense::<f64>(room)?;
                let before = saved.iter().zip(exact).zip(more);
                for (((&saved, &exact), more), (next_saved, next_exact)) in
                    before.zip(next_saved.iter_mut().zip(next_exact))
                {
                    *next_exact = if exact as f32 == saved { exact } else { f64::from(saved) } + more;
                    *next_saved = *next_exact as f32;
                }
                continue;
            }
            dispatch!(exact.dtype(), float E => {
                let (exact, room) = exact.dense::<E>(room)?;
                let (more, room) = more.dense::<E>(room)?;
                let next_exact = next_exact.elements::<E>()?;
                dispatch!(saved.dtype(), number S => {
                    let (saved, _) = saved.dense::<S>(room)?;
                    add(saved, exact, more, next_saved.elements::<S>()?, next_exact)
                }, else => Err(unsupported(saved.dtype())))
            }, else => Err(unsupported(exact.dtype())))?;
        }
        Ok(())
    }
}

fn add<S: Number + PartialEq, E: Number>(
    saved: &[S],
    exact: &[E],
    more: &[E],
    next_saved: &mut [S],
    next_exact: &mut [E],
) -> Result<()> {
    let (mut rounded, mut base) = ([S::zeroed(); TILE], [E::zeroed(); TILE]);
    let parts = saved.chunks(TILE).zip(exact.chunks(TILE)).zip(more.chunks(TILE));
    for ((((saved, exact), more), next_saved), next_exact) in
        parts.zip(next_saved.chunks_mut(TILE)).zip(next_exact.chunks_mut(TILE))
    {
        let dims = [saved.len()];
        let (rounded, base) = (&mut rounded[..saved.len()], &mut base[..saved.len()]);
        cast(line(exact, &dims)?, rounded);
        cast(line(saved, &dims)?, base);
        for ((base, &exact), (rounded, saved)) in base.iter_mut().zip(exact).zip(rounded.iter().zip(saved)) {
            if rounded == saved {
                *base = exact;
            }
        }
        let sum = E::binary(Binary::Add, line(base, &dims)?, line(more, &dims)?, next_exact);
        sum.map_err(|_| Error::internal("floats can be added"))?;
        cast(line(next_exact, &dims)?, next_saved);
    }
    Ok(())
}

/// Elements one after the other.
fn line<'a, T>(elements: &'a [T], dims: &'a [usize]) -> Result<Strided<'a, T>> {
    Strided::new(elements, dims, &[1], 0).ok_or_else(|| Error::internal("there are as many elements as the dims say"))
}

impl Fused for RunningSum {
    fn body(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let mut next = Vec::new();
        for sum in inputs.chunks(3) {
            let [saved, exact, more] = sum else { return Err(Error::internal("three inputs for each sum")) };
            let is_current = exact.cast(saved.dtype())?.equal(saved)?;
            let exact = is_current.select(exact, &saved.cast(exact.dtype())?)?.add(more)?;
            next.extend([exact.cast(saved.dtype())?, exact]);
        }
        Ok(next)
    }
    fn differentiates(&self) -> bool {
        false
    }
}

/// A sum of numbers whose saved one is believed in part, and two.
pub(super) fn running_sum_calls() -> Result<Vec<FusedCall>> {
    let exact = between(-4.0, 5.0, 135)?;
    let saved = exact.add(Tensor::new([135], (0..135).map(|i| f64::from(i % 3 == 0)).collect::<Vec<_>>())?)?;
    let one =
        vec![saved.reshape([5, 27])?, exact.reshape([5, 27])?, between(2.0, 3.0, 135)?.reshape([27, 5])?.transpose()?];
    let [two, half] = [2.0, 0.5].map(Tensor::scalar);
    let two = vec![two.clone(), two.clone(), half.clone(), half.clone(), two, half];
    Ok([one, two].map(|inputs| (Arc::new(RunningSum) as Arc<dyn Fused>, inputs)).into())
}
