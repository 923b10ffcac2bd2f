//! What singular values and Cholesky's factors say of matrices: the nearest solutions, ranks, inverses.

use super::composite::composite;
use super::slice::{Ellipsis, NewAxis};
use crate::{DType, Error, Result, Tensor};
use half::{bf16, f16};

/// The distance from 1 to the next float.
pub(super) fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => f16::EPSILON.to_f64(),
        DType::BF16 => bf16::EPSILON.to_f64(),
        _ => f32::EPSILON.into(),
    }
}

/// The greater of the sizes of the matrices in the last two axes, which must be known.
pub(super) fn greater_size(x: &Tensor, what: &str) -> Result<f64> {
    x.check()?;
    let dims = x.shape().dims().unwrap_or_default();
    match dims[..] {
        [.., Some(rows), Some(columns)] => Ok(rows.max(columns) as f64),
        _ => Err(Error::unimplemented(format!("{what} needs the sizes of matrices, found shape {}", x.shape()))),
    }
}

impl Tensor {
    /// What the matrices in the last two axes, of known sizes, must be multiplied by to come nearest to `right`, a matrix each or a
    /// vector: of all that do the shortest. Singular values of less than `rcond` times the greatest count as 0; by default
    /// `max(rows, columns)` times the distance from 1 to the next number. Keras's `ops.lstsq`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// // The line through these points, as near as one is.
    /// let a = Tensor::from([[0.0_f64, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]);
    /// let x = a.lstsq(&Tensor::from([-1.0_f64, 0.2, 0.9, 2.1]), None)?.to_vec::<f64>()?;
    /// assert!((x[0] - 1.0).abs() < 1e-14 && (x[1] + 0.95).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lstsq(&self, right: &Tensor, rcond: impl Into<Option<f64>>) -> Result<Tensor> {
        let size = greater_size(self, "the nearest solution")?;
        right.check()?;
        let of_vector = right.rank() == Some(1);
        let rcond = rcond.into().unwrap_or(size * epsilon(self.dtype()));
        composite("lstsq", || {
            let right = if of_vector { &right.expand_dims(1)? } else { right };
            let (s, u, v) = self.svd(false)?;
            let counts = s.greater_equal(s.slice((Ellipsis, ..1))?.mul(rcond)?)?;
            let inverse = counts.select(&counts.select(&s, &s.ones_like()?)?.reciprocal()?, &s.zeros_like()?)?;
            let within = u.matmul_with(right, true, false)?.mul(inverse.slice((Ellipsis, NewAxis))?)?;
            let found = v.matmul(within)?;
            if of_vector { found.squeeze([-1]) } else { Ok(found) }
        })
    }

    /// How many of the singular values of the matrices in the last two axes are above `tol` (int32); by default the greatest of them
    /// by `max(rows, columns)`, which must be known, times the distance from 1 to the next number. Keras's `ops.matrix_rank`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[1.0_f32, 2.0], [2.0, 4.0]]).matrix_rank(None)?.item::<i32>()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn matrix_rank(&self, tol: impl Into<Option<f64>>) -> Result<Tensor> {
        let tol = tol.into();
        let size = if tol.is_some() { 0.0 } else { greater_size(self, "a rank")? };
        composite("matrix_rank", || {
            let s = self.singular_values()?;
            let counts = match tol {
                Some(tol) => s.greater(tol)?,
                None => s.greater(s.max_keepdims(-1)?.mul(size * epsilon(self.dtype()))?)?,
            };
            counts.cast(DType::I32)?.sum(-1)
        })
    }

    /// The inverses of the matrices whose Cholesky factors these are: lower ones or, if `upper`, upper ones. Keras's
    /// `ops.cholesky_inverse`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([[2.0_f64, 0.0], [0.0, 4.0]]).cholesky_inverse(false)?;
    /// assert_eq!(y.to_vec::<f64>()?, [0.25, 0.0, 0.0, 0.0625]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cholesky_inverse(&self, upper: bool) -> Result<Tensor> {
        composite("cholesky_inverse", || {
            let ones = self.diagonal(0)?.ones_like()?;
            let inverse = self.triangular_solve(&self.zeros_like()?.with_diagonal(&ones, 0)?, !upper, false)?;
            inverse.matmul_with(&inverse, !upper, upper)
        })
    }
}
