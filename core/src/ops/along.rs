//! What is done along axes and TensorFlow has no op for: sorting, taking by places, differences, order statistics.

use super::composite::composite;
use super::order::largest;
use super::reduce::Axes;
use super::slice::{Ellipsis, Index, ToIndex};
use crate::op::Operand;
use crate::shape::{broadcast, normalize_axis};
use crate::{DType, Error, Result, Shape, Tensor};

/// The rank of a tensor, which must be known, and an axis of it.
fn axis_of(x: &Tensor, axis: i64) -> Result<(usize, usize)> {
    x.check()?;
    let rank = x.rank().ok_or_else(|| Error::failed_precondition("an axis is counted in a tensor of unknown rank"))?;
    Ok((rank, normalize_axis(axis, rank)?))
}

/// The places of a range along an axis.
fn part(x: &Tensor, axis: usize, range: impl ToIndex) -> Result<Tensor> {
    let mut indices = vec![(..).to_index(); axis];
    indices.push(range.to_index());
    x.slice(indices)
}

/// The elements along an axis in order, and the places where they were.
fn sorted(x: &Tensor, axis: i64, descending: bool) -> Result<(Tensor, Tensor)> {
    let (rank, axis) = axis_of(x, axis)?;
    let last = rank - 1;
    let turned = |x: &Tensor| if axis == last { Ok(x.clone()) } else { x.swap_axes(axis as i64, last as i64) };
    let (x, length) = (turned(x)?, x.length(axis)?);
    if descending {
        let (values, places) = largest(&x, &length)?;
        return Ok((turned(&values)?, turned(&places)?));
    }
    // Backwards before and after: so that of equals the first is first again, and NaN comes last.
    let (values, places) = largest(&x.reverse([-1])?, &length)?;
    let places = (length.cast(DType::I32)?.sub(1.0)?).sub(places.reverse([-1])?)?;
    Ok((turned(&values.reverse([-1])?)?, turned(&places)?))
}

/// The means of neighbours along an axis, which is the last then.
fn heights(y: &Tensor, axis: i64) -> Result<Tensor> {
    let y = y.move_axis(axis, -1)?;
    (y.slice((Ellipsis, 1..))? + y.slice((Ellipsis, ..-1))?).mul(0.5)
}

/// How long an axis is along which a quantile is asked for, which must be known.
pub(super) fn quantiles(x: &Tensor, q: f64, axis: i64) -> Result<usize> {
    let (_, axis) = axis_of(x, axis)?;
    if !(0.0..=1.0).contains(&q) || !x.dtype().is_float() {
        let found = format!("found {q} of {}", x.dtype());
        return Err(Error::invalid_argument(format!("a quantile is between 0 and 1, and of floats, {found}")));
    }
    x.shape()
        .dim(axis)
        .ok_or_else(|| Error::failed_precondition(format!("a quantile along an axis of unknown length: {}", x.shape())))
}

/// What lies this part of the way from one number to another; of equals, infinities too, there is nothing between.
pub(super) fn between(below: &Tensor, above: &Tensor, part: &Tensor) -> Result<Tensor> {
    let mixed = below * (1.0 - part) + above * part;
    below.equal(above)?.select(below, &mixed)
}

impl Tensor {
    /// The elements along an axis in rising order, NaN after all numbers or, `descending`, in falling order, NaN before
    /// them. Keras's `ops.sort`, `tf.sort`.
    ///
    /// The rank must be known.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[3, 1, 2], [6, 4, 5]]);
    /// assert_eq!(x.sort(-1, false)?.to_vec::<i32>()?, [1, 2, 3, 4, 5, 6]);
    /// assert_eq!(x.sort(0, true)?.to_vec::<i32>()?, [6, 4, 5, 3, 1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sort(&self, axis: i64, descending: bool) -> Result<Tensor> {
        composite("sort", || Ok(sorted(self, axis, descending)?.0))
    }

    /// The places of the elements along an axis that would [`sort`](Tensor::sort) them (int32); of equals the first comes
    /// first. Keras's `ops.argsort`, `tf.argsort`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([3.0_f32, 1.0, 3.0, 2.0]);
    /// assert_eq!(x.argsort(0, false)?.to_vec::<i32>()?, [1, 3, 0, 2]);
    /// assert_eq!(x.argsort(0, true)?.to_vec::<i32>()?, [0, 2, 3, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn argsort(&self, axis: i64, descending: bool) -> Result<Tensor> {
        composite("argsort", || Ok(sorted(self, axis, descending)?.1))
    }

    /// For each place of `indices`, the element at that place but, along `axis`, at the index that stands there: what
    /// [`argsort`](Tensor::argsort) and [`argmax`](Tensor::argmax) are made for. Indices are int32 or int64, negative
    /// ones count from the end; they have this tensor's rank, and other axes broadcast where both are known. Keras's
    /// `ops.take_along_axis`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[10, 30, 20], [60, 40, 50]]);
    /// assert_eq!(x.take_along_axis(&Tensor::from([[0, -1], [1, 1]]), 1)?.to_vec::<i32>()?, [10, 20, 40, 40]);
    /// assert_eq!(x.take_along_axis(&Tensor::from([[1]]), 0)?.to_vec::<i32>()?, [60, 40, 50]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_along_axis(&self, indices: &Tensor, axis: i64) -> Result<Tensor> {
        let (rank, axis) = axis_of(self, axis)?;
        if indices.rank() != Some(rank) {
            return Err(Error::invalid_argument(format!(
                "indices must have the rank of {}, found shape {}",
                self.shape(),
                indices.shape()
            )));
        }
        composite("take_along_axis", || {
            let length = self.length(axis)?.cast(indices.dtype())?;
            let counted = indices.less(0.0)?.select(&indices.add(&length)?, indices)?;
            let last = rank as i64 - 1;
            let (mut x, mut at) = (self.swap_axes(axis as i64, last)?, counted.swap_axes(axis as i64, last)?);
            let leads = [&x, &at].map(|x| Shape::from(x.shape().dims().unwrap_or_default()[..rank - 1].to_vec()));
            if leads[0] != leads[1] {
                let dims = broadcast(&leads[0], &leads[1])?.dims().unwrap_or_default();
                for x in [&mut x, &mut at] {
                    let shape: Shape = dims.iter().copied().chain([x.shape().dim(rank - 1)]).collect();
                    if shape.is_known() && x.shape() != &shape {
                        *x = x.broadcast_to(shape)?;
                    }
                }
            }
            x.gather_batched(&at, last, last)?.swap_axes(axis as i64, last)
        })
    }

    /// Two axes in each other's place. Keras's `ops.swapaxes`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::zeros([2, 3, 4], DType::F32)?.swap_axes(0, -1)?.dims()?, [4, 3, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn swap_axes(&self, one: i64, other: i64) -> Result<Tensor> {
        let ((rank, one), (_, other)) = (axis_of(self, one)?, axis_of(self, other)?);
        let mut order: Vec<i64> = (0..rank as i64).collect();
        order.swap(one, other);
        if one == other { Ok(self.clone()) } else { self.permute(order) }
    }

    /// An axis moved to another place, the others in their order. Keras's `ops.moveaxis`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::zeros([2, 3, 4], DType::F32)?.move_axis(0, -1)?.dims()?, [3, 4, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn move_axis(&self, from: i64, to: i64) -> Result<Tensor> {
        let ((rank, from), (_, to)) = (axis_of(self, from)?, axis_of(self, to)?);
        let mut order: Vec<i64> = (0..rank as i64).collect();
        let moved = order.remove(from);
        order.insert(to, moved);
        if from == to { Ok(self.clone()) } else { self.permute(order) }
    }

    /// Each element along an axis `times` in a row. Keras's `ops.repeat`, `tf.repeat`, of one number.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.repeat(2, 1)?.to_vec::<i32>()?, [1, 1, 2, 2, 3, 3, 4, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn repeat(&self, times: usize, axis: i64) -> Result<Tensor> {
        let (rank, axis) = axis_of(self, axis)?;
        composite("repeat", || {
            let times = i64::try_from(times).unwrap_or(i64::MAX);
            let mut multiples = vec![1; rank + 1];
            multiples[axis + 1] = times;
            let dims = (0..rank).map(|i| {
                let length = self.length(i)?.cast(DType::I64)?;
                if i == axis { length.mul(times as f64) } else { Ok(length) }
            });
            let dims = Tensor::stack(&dims.collect::<Result<Vec<_>>>()?, 0)?;
            self.expand_dims(axis as i64 + 1)?.tile(multiples)?.reshape_by(&dims)
        })
    }

    /// The differences of neighbours along an axis, `order` times: `x[i+1] − x[i]`. Keras's `ops.diff`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1, 4, 9, 16]);
    /// assert_eq!(x.diff(1, 0)?.to_vec::<i32>()?, [3, 5, 7]);
    /// assert_eq!(x.diff(2, 0)?.to_vec::<i32>()?, [2, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn diff(&self, order: usize, axis: i64) -> Result<Tensor> {
        let (_, axis) = axis_of(self, axis)?;
        composite("diff", || (0..order).try_fold(self.clone(), |x, _| part(&x, axis, 1..)?.sub(part(&x, axis, ..-1)?)))
    }

    /// The variance over axes, `mean((x − mean)²)`. `tf.math.reduce_variance`.
    pub fn variance(&self, axes: impl Axes) -> Result<Tensor> {
        Ok(self.moments(axes)?.1)
    }

    /// The standard deviation over axes, `√mean((x − mean)²)`. Its gradient is not finite where it is 0, as TensorFlow's.
    /// `tf.math.reduce_std`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[1.0_f32, 3.0], [2.0, 2.0]]).std(1)?.to_vec::<f32>()?, [1.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn std(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("std", || self.moments(axes)?.1.sqrt())
    }

    /// How many elements are not 0 over axes (int32). Keras's `ops.count_nonzero`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[0, 5], [3, 4]]).count_nonzero(1)?.to_vec::<i32>()?, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn count_nonzero(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("count_nonzero", || {
            let truths = if self.dtype() == DType::Bool { self.clone() } else { self.not_equal(0.0)? };
            truths.cast(DType::I32)?.sum(axes)
        })
    }

    /// The `q`-quantile of floats along an axis, whose length must be known: that of the sorted elements which stands at
    /// `q·(n − 1)`, between two of them in proportion. NaN where one is NaN or there is none. Keras's `ops.quantile` with
    /// the method "linear".
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([4.0_f32, 1.0, 2.0, 8.0]);
    /// assert_eq!(x.quantile(0.5, 0)?.item::<f32>()?, 3.0);
    /// assert_eq!(x.quantile(1.0, 0)?.item::<f32>()?, 8.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn quantile(&self, q: f64, axis: i64) -> Result<Tensor> {
        let (_, axis) = axis_of(self, axis)?;
        let length = quantiles(self, q, axis as i64)?;
        composite("quantile", || {
            if length == 0 {
                return self.mean(axis as i64);
            }
            let (sorted, _) = sorted(self, axis as i64, false)?;
            let at = q * (length - 1) as f64;
            let at_place = |place: f64| part(&sorted, axis, Index::At(place as i64));
            let (below, above) = (at_place(at.floor())?, at_place(at.ceil())?);
            let value = match at - at.floor() {
                0.0 => below,
                part => between(&below, &above, &Tensor::number(part, self.dtype())?)?,
            };
            let last = part(&sorted, axis, Index::At(-1))?;
            last.is_nan()?.select(&last, &value)
        })
    }

    /// The median of floats along an axis: their 0.5-[`quantile`](Tensor::quantile). Keras's `ops.median`.
    pub fn median(&self, axis: i64) -> Result<Tensor> {
        self.quantile(0.5, axis)
    }

    /// The `q`-th percentile of floats along an axis: their q/100-[`quantile`](Tensor::quantile). Keras's `ops.percentile`.
    pub fn percentile(&self, q: f64, axis: i64) -> Result<Tensor> {
        self.quantile(q / 100.0, axis)
    }

    /// How far the greatest is from the least over axes. Keras's `ops.ptp`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[1, 5], [7, 4]]).peak_to_peak(1)?.to_vec::<i32>()?, [4, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn peak_to_peak(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("peak_to_peak", || self.max(&*axes)?.sub(self.min(&*axes)?))
    }

    /// The mean of floats over axes in which each counts by its weight, `Σ w·x / Σ w`. Weights broadcast; along one axis a vector of
    /// as many as it has places will do. Keras's `ops.average`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (x, weights) = (Tensor::from([[1.0_f32, 2.0], [3.0, 6.0]]), Tensor::from([3.0_f32, 1.0]));
    /// assert_eq!(x.average(0, &weights)?.to_vec::<f32>()?, [1.5, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn average(&self, axes: impl Axes, weights: &Tensor) -> Result<Tensor> {
        self.check()?;
        weights.check()?;
        let axes = axes.axes(self.rank())?;
        composite("average", || {
            let weights = match (&*axes, self.rank(), weights.rank()) {
                (&[axis], Some(rank), Some(1)) if rank > 1 => {
                    let mut dims = vec![1; rank];
                    dims[normalize_axis(axis, rank)?] = -1;
                    &weights.reshape(dims)?
                }
                _ => weights,
            };
            let all = weights.mul(self.ones_like()?)?;
            self.mul(weights)?.sum(&*axes)?.div(all.sum(&*axes)?)
        })
    }

    /// The integral of what goes straight from one float to the next along an axis, `dx` apart, by the trapezoidal rule. Keras's
    /// `ops.trapezoid`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([1.0_f32, 2.0, 4.0]);
    /// assert_eq!(y.trapezoid(0.5, 0)?.item::<f32>()?, 2.25);
    /// assert_eq!(y.trapezoid_at(&Tensor::from([0.0_f32, 2.0, 3.0]), 0)?.item::<f32>()?, 6.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn trapezoid(&self, dx: f64, axis: i64) -> Result<Tensor> {
        composite("trapezoid", || heights(self, axis)?.mul(dx)?.sum(-1))
    }

    /// As [`trapezoid`](Tensor::trapezoid), of floats at the places `x`: a vector for all, or as many as there are floats.
    pub fn trapezoid_at(&self, x: &Tensor, axis: i64) -> Result<Tensor> {
        x.check()?;
        composite("trapezoid", || {
            let x = if x.rank() == Some(1) { x.clone() } else { x.move_axis(axis, -1)? };
            heights(self, axis)?.mul(x.diff(1, -1)?)?.sum(-1)
        })
    }

    /// Turned `times` by a right angle in the plane of two axes, from the first to the second. Keras's `ops.rot90`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.rot90(1, [0, 1])?.to_vec::<i32>()?, [2, 4, 1, 3]);
    /// assert_eq!(x.rot90(-1, [0, 1])?.to_vec::<i32>()?, [3, 1, 4, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rot90(&self, times: i64, axes: [i64; 2]) -> Result<Tensor> {
        let ((_, one), (_, other)) = (axis_of(self, axes[0])?, axis_of(self, axes[1])?);
        if one == other {
            return Err(Error::invalid_argument(format!("a plane has two axes, found {axes:?}")));
        }
        let [one, other] = [one as i64, other as i64];
        composite("rot90", || match times.rem_euclid(4) {
            0 => Ok(self.clone()),
            1 => self.reverse([other])?.swap_axes(one, other),
            2 => self.reverse([one, other]),
            _ => self.swap_axes(one, other)?.reverse([other]),
        })
    }

    /// The matrices of the last two axes with zeros above the `k`-th diagonal over the main one; a negative `k` counts
    /// below it. Keras's `ops.tril`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.lower_triangle(0)?.to_vec::<i32>()?, [1, 0, 3, 4]);
    /// assert_eq!(x.lower_triangle(-1)?.to_vec::<i32>()?, [0, 0, 3, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lower_triangle(&self, k: i64) -> Result<Tensor> {
        match k {
            0.. => self.band_part(-1, k),
            _ => composite("lower_triangle", || self.without(k.saturating_add(1).saturating_neg(), -1)),
        }
    }

    /// The matrices of the last two axes with zeros below the `k`-th diagonal over the main one; a negative `k` counts
    /// below it. Keras's `ops.triu`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.upper_triangle(0)?.to_vec::<i32>()?, [1, 2, 0, 4]);
    /// assert_eq!(x.upper_triangle(1)?.to_vec::<i32>()?, [0, 2, 0, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upper_triangle(&self, k: i64) -> Result<Tensor> {
        match k {
            ..=0 => self.band_part(k.saturating_neg(), -1),
            _ => composite("upper_triangle", || self.without(-1, k - 1)),
        }
    }

    /// Zeros in place of a band of matrices.
    fn without(&self, lower: i64, upper: i64) -> Result<Tensor> {
        let band = self.ones_like()?.band_part(lower, upper)?;
        let gone = if self.dtype() == DType::Bool { band } else { band.not_equal(0.0)? };
        gone.select(&self.zeros_like()?, self)
    }

    /// `ln(eᵃ + eᵇ)`, without overflow; shapes broadcast. Keras's `ops.logaddexp`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1000.0_f64, f64::NEG_INFINITY]);
    /// assert_eq!(x.log_add_exp(&x)?.to_vec::<f64>()?, [1000.0 + std::f64::consts::LN_2, f64::NEG_INFINITY]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn log_add_exp(&self, other: impl Operand) -> Result<Tensor> {
        self.check()?;
        let other = other.operand(self.dtype())?;
        composite("log_add_exp", || {
            let greatest = self.maximum(&other)?;
            let shift = greatest.is_finite()?.select(&greatest, &greatest.zeros_like()?)?.stop_gradient()?;
            let sum = (self - &shift).exp()? + (other - &shift).exp()?;
            sum.log()?.add(shift)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Spec, graph::trace, value_and_grad};

    const NAN: f32 = f32::NAN;

    fn floats(x: &Tensor) -> Vec<f32> {
        x.to_vec().unwrap()
    }

    #[test]
    fn sorting_is_stable_and_puts_nan_at_the_end_that_is_far_from_small() {
        let x = Tensor::from([[2.0_f32, NAN, -1.0, 2.0], [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY]]);
        assert_eq!(x.argsort(1, false).unwrap().to_vec::<i32>().unwrap(), [2, 0, 3, 1, 3, 0, 1, 2]);
        assert_eq!(x.argsort(1, true).unwrap().to_vec::<i32>().unwrap(), [1, 0, 3, 2, 2, 0, 1, 3]);
        let up = floats(&x.sort(-1, false).unwrap());
        assert!(
            up[..3] == [-1.0, 2.0, 2.0] && up[3].is_nan() && up[4..] == [f32::NEG_INFINITY, 0.0, -0.0, f32::INFINITY]
        );
        let least = Tensor::from([i32::MIN, i32::MAX, 0]).sort(0, false).unwrap();
        assert_eq!(least.to_vec::<i32>().unwrap(), [i32::MIN, 0, i32::MAX]);
        assert_eq!(Tensor::from([3_u8, 0, 255]).sort(0, false).unwrap().to_vec::<u8>().unwrap(), [0, 3, 255]);
        assert!(Tensor::scalar(1.0_f32).sort(0, false).is_err());
        let empty = Tensor::zeros([2, 0], DType::F32).unwrap();
        assert_eq!(empty.argsort(1, false).unwrap().dims().unwrap(), [2, 0]);
    }

    #[test]
    fn gradients_go_where_elements_came_from() {
        let x = Tensor::from([[3.0_f64, 1.0, 2.0], [4.0, 6.0, 5.0]]);
        let weights = Tensor::from([[1.0_f64, 10.0, 100.0], [1.0, 10.0, 100.0]]);
        for (axis, descending, expected) in [
            (1, false, [100.0, 1.0, 10.0, 1.0, 100.0, 10.0]),
            (1, true, [1.0, 100.0, 10.0, 100.0, 1.0, 10.0]),
            (0, true, [1.0, 10.0, 100.0, 1.0, 10.0, 100.0]),
        ] {
            let (_, dx) =
                value_and_grad(|x| x[0].sort(axis, descending)?.mul(&weights)?.sum(..), std::slice::from_ref(&x))
                    .unwrap();
            assert_eq!(dx[0].to_vec::<f64>().unwrap(), expected, "{axis} {descending}");
            let places = x.argsort(axis, descending).unwrap();
            let taken = x.take_along_axis(&places, axis).unwrap();
            assert_eq!(taken.to_vec::<f64>().unwrap(), x.sort(axis, descending).unwrap().to_vec::<f64>().unwrap());
        }
        let at = Tensor::from([[1_i64], [-3]]);
        let (_, dx) = value_and_grad(|x| x[0].take_along_axis(&at, 1)?.square()?.sum(..), &[x]).unwrap();
        assert_eq!(dx[0].to_vec::<f64>().unwrap(), [0.0, 2.0, 0.0, 8.0, 0.0, 0.0]);
    }

    #[test]
    fn what_is_taken_along_an_axis_broadcasts_over_the_others() {
        let x = Tensor::range(0, 24, 1).unwrap().reshape([2, 3, 4]).unwrap();
        let taken = x.take_along_axis(&Tensor::from([[[1], [0], [2]]]), 1).unwrap();
        assert_eq!(taken.dims().unwrap(), [2, 3, 4]);
        let expected = [4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 12, 13, 14, 15, 20, 21, 22, 23];
        assert_eq!(taken.to_vec::<i32>().unwrap(), expected);
        let error = x.take_along_axis(&Tensor::from([0]), 1).unwrap_err();
        assert_eq!(error.message(), "indices must have the rank of (2, 3, 4), found shape (1,)");
        assert!(x.take_along_axis(&Tensor::from([[[3]]]), 1).is_err());
    }

    #[test]
    fn quantiles_lie_between_elements() {
        let x = Tensor::from([[1.0_f32, 2.0, 4.0, 8.0], [NAN, 0.0, 1.0, 2.0]]);
        let at = |q: f64| floats(&x.quantile(q, 1).unwrap());
        assert_eq!((at(0.0)[0], at(0.25)[0], at(0.5)[0], at(1.0)[0]), (1.0, 1.75, 3.0, 8.0));
        assert!(at(0.0)[1].is_nan() && at(0.5)[1].is_nan());
        assert_eq!(floats(&x.median(0).unwrap())[1..], [1.0, 2.5, 5.0]);
        let same = Tensor::from([f32::INFINITY, f32::INFINITY]);
        assert_eq!(floats(&same.quantile(0.3, 0).unwrap()), [f32::INFINITY]);
        assert!(floats(&Tensor::zeros([0], DType::F32).unwrap().median(0).unwrap())[0].is_nan());
        assert!(x.quantile(1.5, 0).is_err() && Tensor::from([1]).median(0).is_err());
    }

    #[test]
    fn moved_axes_repeats_and_differences() {
        let x = Tensor::range(0, 6, 1).unwrap().reshape([1, 2, 3]).unwrap();
        assert_eq!(x.move_axis(-1, 0).unwrap().dims().unwrap(), [3, 1, 2]);
        assert_eq!(x.swap_axes(1, 1).unwrap().dims().unwrap(), [1, 2, 3]);
        assert_eq!(x.repeat(2, 1).unwrap().to_vec::<i32>().unwrap(), [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
        assert_eq!(x.repeat(0, -1).unwrap().dims().unwrap(), [1, 2, 0]);
        assert_eq!(x.diff(1, 1).unwrap().to_vec::<i32>().unwrap(), [3, 3, 3]);
        assert_eq!(x.diff(0, 1).unwrap().dims().unwrap(), [1, 2, 3]);
        assert_eq!(x.lower_triangle(-2).unwrap().to_vec::<i32>().unwrap(), [0; 6]);
        assert_eq!(x.upper_triangle(2).unwrap().to_vec::<i32>().unwrap(), [0, 0, 2, 0, 0, 0]);
        assert_eq!(x.upper_triangle(-1).unwrap().to_vec::<i32>().unwrap(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn sums_of_exponentials_have_slopes_that_sum_to_one_also_where_they_are_equal() {
        let (a, b) = (Tensor::from([2.0_f64, 800.0]), Tensor::from([2.0_f64, -800.0]));
        let (_, dx) = value_and_grad(|x| x[0].log_add_exp(&x[1])?.sum(..), &[a, b]).unwrap();
        assert_eq!([dx[0].to_vec::<f64>().unwrap(), dx[1].to_vec::<f64>().unwrap()], [[0.5, 1.0], [0.5, 0.0]]);
    }

    #[test]
    fn axes_are_of_unknown_length_in_graphs() {
        let graph = trace(
            |x| {
                let places = x[0].argsort(1, false)?;
                Ok(vec![x[0].sort(0, false)?, x[0].take_along_axis(&places, 1)?, x[0].repeat(2, 0)?, x[0].diff(1, 1)?])
            },
            &[Spec::new(DType::F32, vec![None, None])],
        )
        .unwrap();
        assert!(graph.to_string().contains("# sort:0"), "{graph}");
        let x = Tensor::from([[3.0_f32, 1.0], [2.0, 4.0]]);
        let outputs = graph.run(&[&x]).unwrap();
        let found: Vec<Vec<f32>> = outputs.iter().map(floats).collect();
        assert_eq!(found[0], [2.0, 1.0, 3.0, 4.0]);
        assert_eq!(found[1], [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(found[2], [3.0, 1.0, 3.0, 1.0, 2.0, 4.0, 2.0, 4.0]);
        assert_eq!(found[3], [-2.0, 2.0]);
    }
}
