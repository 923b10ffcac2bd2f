//! Products of tensors that TensorFlow has no op for, and what is made of such: correlations and distances.

use super::composite::composite;
use super::slice::{Ellipsis, NewAxis};
use super::sliding::Sliding;
use crate::op::allowed;
use crate::shape::normalize_axis;
use crate::{Error, Result, Tensor};

/// Which of the places of two vectors are correlated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Correlation {
    /// Those where the second vector lies within the first.
    #[default]
    Valid,
    /// As many as the longer vector has, around the middle.
    Same,
    /// All where they meet.
    Full,
}

fn known_rank(x: &Tensor) -> Result<usize> {
    x.check()?;
    x.rank().ok_or_else(|| Error::failed_precondition("an axis is counted in a tensor of unknown rank"))
}

impl Tensor {
    /// The sum of the products of both along these axes of the one and of the other, in turn: the other axes of the first are
    /// followed by those of the second. Keras's `ops.tensordot`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let (a, b) = (Tensor::ones([2, 3, 4], DType::F32)?, Tensor::ones([4, 5, 3], DType::F32)?);
    /// let y = a.tensordot(&b, [1, 2], [2, 0])?;
    /// assert_eq!((y.dims()?, y.to_vec::<f32>()?[0]), (&[2, 5][..], 12.0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For as many axes of the one as not of the other, for an axis that is named twice or is not there, and for axes that are not
    /// equally long.
    pub fn tensordot(
        &self,
        other: &Tensor,
        own_axes: impl AsRef<[i64]>,
        other_axes: impl AsRef<[i64]>,
    ) -> Result<Tensor> {
        let (own_axes, other_axes) = (own_axes.as_ref(), other_axes.as_ref());
        let ranks = [known_rank(self)?, known_rank(other)?];
        let counted = |axes: &[i64], rank: usize| {
            let axes = axes.iter().map(|&axis| normalize_axis(axis, rank)).collect::<Result<Vec<_>>>()?;
            match axes.iter().enumerate().find(|(i, axis)| axes[..*i].contains(axis)) {
                Some((_, axis)) => Err(Error::invalid_argument(format!("axis {axis} is summed over twice"))),
                None => Ok(axes),
            }
        };
        let (own, others) = (counted(own_axes, ranks[0])?, counted(other_axes, ranks[1])?);
        if own.len() != others.len() {
            let message = format!("as many axes of both are summed over, found {} and {}", own.len(), others.len());
            return Err(Error::invalid_argument(message));
        }
        if ranks[0] + ranks[1] > 26 {
            let message = format!("tensors of at most 26 axes in all, found {} and {}", ranks[0], ranks[1]);
            return Err(Error::unimplemented(message));
        }
        // A letter for each axis; those that are summed over have the same.
        let letter = |at: usize| char::from(b'a' + at as u8);
        let first: String = (0..ranks[0]).map(letter).collect();
        let of_other = |axis: usize| {
            let summed = others.iter().position(|&other| other == axis);
            letter(summed.map_or(ranks[0] + axis, |at| own[at]))
        };
        let second: String = (0..ranks[1]).map(of_other).collect();
        let left = |letters: &str, axes: &[usize]| {
            letters.chars().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, c)| c).collect::<String>()
        };
        let equation = format!("{first},{second}->{}{}", left(&first, &own), left(&second, &others));
        composite("tensordot", || Tensor::einsum(&equation, &[self, other]))
    }

    /// The sum of the products of both along the last axis of each; of a scalar and another the product. Keras's `ops.inner`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (a, b) = (Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]), Tensor::from([10.0_f32, 1.0]));
    /// assert_eq!(a.inner(&b)?.to_vec::<f32>()?, [12.0, 34.0]);
    /// assert_eq!(b.vdot(&b)?.item::<f32>()?, 101.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn inner(&self, other: &Tensor) -> Result<Tensor> {
        match (known_rank(self)?, known_rank(other)?) {
            (0, _) | (_, 0) => self.mul(other),
            _ => composite("inner", || self.tensordot(other, [-1], [-1])),
        }
    }

    /// The sum of the products of all elements of both, in turn, as many of one as of the other: a scalar. Keras's `ops.vdot`, which
    /// conjugates nothing.
    pub fn vdot(&self, other: &Tensor) -> Result<Tensor> {
        composite("vdot", || self.reshape([-1])?.tensordot(&other.reshape([-1])?, [0], [0]))
    }

    /// The products of each element of this, which are rows, with each of the other. Keras's `ops.outer`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([1, 2]).outer(&Tensor::from([3, 4, 5]))?;
    /// assert_eq!((y.dims()?, y.to_vec::<i32>()?), (&[2, 3][..], vec![3, 4, 5, 6, 8, 10]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn outer(&self, other: &Tensor) -> Result<Tensor> {
        composite("outer", || self.reshape([-1, 1])?.mul(other.reshape([-1])?))
    }

    /// Kronecker's product: the other, scaled by each element of this, side by side. The one of fewer axes gets more in front.
    /// Keras's `ops.kron`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([[1, 2]]).kron(&Tensor::from([[1, 1], [0, 1]]))?;
    /// assert_eq!((y.dims()?, y.to_vec::<i32>()?), (&[2, 4][..], vec![1, 1, 2, 2, 0, 1, 0, 2]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn kron(&self, other: &Tensor) -> Result<Tensor> {
        let ranks = [known_rank(self)?, known_rank(other)?];
        let rank = ranks[0].max(ranks[1]);
        composite("kron", || {
            // One axis of each beside the other, of which one has one place.
            let spread = |x: &Tensor, own: usize, first: usize| {
                let x = (own..rank).try_fold(x.clone(), |x, _| x.expand_dims(0))?;
                let apart = (0..rank).try_fold(x.clone(), |x, axis| x.expand_dims((2 * axis + 1 - first) as i64))?;
                Ok::<_, Error>((x.shape_tensor()?, apart))
            };
            let ((dims, a), (other_dims, b)) = (spread(self, ranks[0], 0)?, spread(other, ranks[1], 1)?);
            a.mul(b)?.reshape_by(&dims.mul(other_dims)?)
        })
    }

    /// How far rows, of floats along the last axis, vary together: the covariance of each two over their standard deviations, from −1
    /// to 1. Keras's `ops.corrcoef`, of two axes or more.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([[1.0_f64, 2.0, 3.0], [6.0, 4.0, 2.0]]).corr_coef()?.to_vec::<f64>()?;
    /// assert!(y.iter().zip([1.0, -1.0, -1.0, 1.0]).all(|(y, expected)| (y - expected).abs() < 1e-14));
    /// # Ok(())
    /// # }
    /// ```
    pub fn corr_coef(&self) -> Result<Tensor> {
        let rank = known_rank(self)?;
        allowed(self.dtype(), |dtype| dtype.is_float(), "floats")?;
        composite("corr_coef", || {
            let apart = self.sub(self.mean_keepdims(-1)?)?;
            let count = self.length(rank.saturating_sub(1))?.cast(self.dtype())?;
            let together = apart.matmul_with(&apart, false, true)?.div(count.sub(1.0)?)?;
            let deviation = together.diagonal(0)?.sqrt()?;
            let both = deviation.slice((Ellipsis, NewAxis))?.mul(deviation.slice((Ellipsis, NewAxis, ..))?)?;
            together.div(both)?.clip_by_value(-1.0, 1.0)
        })
    }

    /// The sums of products of a vector of floats and another that is moved along it, whose length must be known. Keras's
    /// `ops.correlate`.
    ///
    /// ```
    /// use modulor_core::{Correlation, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let (x, other) = (Tensor::from([1.0_f32, 2.0, 3.0]), Tensor::from([0.0_f32, 1.0, 0.5]));
    /// assert_eq!(x.correlate(&other, Correlation::Valid)?.to_vec::<f32>()?, [3.5]);
    /// assert_eq!(x.correlate(&other, Correlation::Same)?.to_vec::<f32>()?, [2.0, 3.5, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn correlate(&self, other: &Tensor, places: Correlation) -> Result<Tensor> {
        if (known_rank(self)?, known_rank(other)?) != (1, 1) {
            let message = format!("two vectors are correlated, found shapes {} and {}", self.shape(), other.shape());
            return Err(Error::invalid_argument(message));
        }
        let length = other.shape().dim(0).filter(|&length| length > 0).ok_or_else(|| {
            let message =
                format!("the length of the second vector must be known, and not 0, found shape {}", other.shape());
            Error::invalid_argument(message)
        })?;
        composite("correlate", || {
            let more = if places == Correlation::Valid { 0 } else { length - 1 };
            let sliding = Sliding::new().padding([[more, more]]);
            let found = self.reshape([1, -1, 1])?.convolution(other.reshape([-1, 1, 1])?, &sliding)?.reshape([-1])?;
            if places != Correlation::Same {
                return Ok(found);
            }
            let longest = self.length(0)?.maximum(other.length(0)?)?;
            let begin = found.length(0)?.sub(&longest)?.floor_div(2.0)?;
            let within = super::fill::range(&begin, &begin.add(&longest)?, &begin.ones_like()?)?;
            found.gather(&within, 0)
        })
    }

    /// The Euclidean distances of each vector of this, which lie along the last axis, from each of the other. Its gradient is NaN
    /// where one is 0, as Keras's `ops.cdist`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (a, b) = (Tensor::from([[0.0_f32, 0.0], [3.0, 0.0]]), Tensor::from([[0.0_f32, 4.0]]));
    /// assert_eq!(a.cdist(&b)?.to_vec::<f32>()?, [4.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cdist(&self, other: &Tensor) -> Result<Tensor> {
        composite("cdist", || {
            let apart = self.expand_dims(-2)?.sub(other.expand_dims(-3)?)?;
            apart.square()?.sum(-1)?.sqrt()
        })
    }
}
