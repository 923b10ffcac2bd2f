//! Positive definite matrices as a triangle times its transpose.

use super::decomposition::{cost, matrices, rooms, turned};
use super::inverse::{floats, identity_like, square};
use super::linalg::split_last_two;
use super::triangle::narrow;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Backward, Input, Op, OpDef, Scratch, View, ViewMut, apply_one, arity, rank_unknown, same_dtype,
    unsupported,
};
use crate::{Error, Result, Spec, Tensor};
use modulor_kernels::cholesky::{cholesky, cholesky_work};
use modulor_kernels::triangular::{solve, solve_work};
use modulor_kernels::{Matrix, cast, each_row_with};

/// The lower triangle whose product with its transpose is the matrix, of which the lower triangle counts. Computed in
/// float64 whatever the dtype.
#[derive(Debug, Default)]
struct Cholesky;

impl Op for Cholesky {
    fn name(&self) -> &'static str {
        "Cholesky"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = floats(x.spec.dtype)?;
        Ok(vec![Spec::new(dtype, square(&x.spec.shape)?)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let (_, [rows, _]) = split_last_two(inputs[0].dims());
        (inputs[0].len() + rooms(&inputs[0]) * cholesky_work(rows)) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let x = inputs[0];
        let (_, [rows, _]) = split_last_two(x.dims());
        let each = cholesky_work(rows);
        let (a, work) = scratch.take::<f64>(x.len() + rooms(&x) * each)?.split_at_mut(x.len());
        dispatch!(x.dtype(), float T => cast(x.elements::<T>()?, a), else => return Err(unsupported(x.dtype())));
        if a.is_empty() {
            return Ok(());
        }
        each_row_with(matrices(&x), cost(rows, rows), Matrix::new(a, rows * rows), (work, each), |_, a, work| {
            if !cholesky(rows, a, work) {
                for (i, row) in a.chunks_exact_mut(rows).enumerate() {
                    row[..=i].fill(f64::NAN);
                    row[i + 1..].fill(0.0);
                }
            }
        });
        dispatch!(x.dtype(), float T => narrow(a, outputs[0].elements::<T>()?), else => Err(unsupported(x.dtype())))
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        // Murray, "Differentiation of the Cholesky decomposition".
        let (l, dl) = (b.output(0), b.dy(0));
        let inverse = l.triangular_solve(&identity_like(l)?, true, false)?;
        let middle = l.matmul_with(dl, true, false)?;
        let middle = middle.band_part(-1, 0)? - middle.band_part(0, 0)? * 0.5;
        let whole = inverse.matmul_with(middle, true, false)?.matmul(&inverse)?;
        Ok(vec![Some(whole.add(turned(&whole)?)?.mul(0.5)?)])
    }
}

/// The gradient of [`Cholesky`] at its matrix, of the triangle and what arrives at it: a symmetric one. Computed in float64
/// whatever the dtype.
#[derive(Debug, Default)]
struct CholeskyGrad;

impl Op for CholeskyGrad {
    fn name(&self) -> &'static str {
        "CholeskyGrad"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [l, dl] = arity(inputs)?;
        let dtype = floats(same_dtype(inputs)?)?;
        let shape = square(&l.spec.shape)?;
        let shape = shape.merge(&square(&dl.spec.shape)?).ok_or_else(|| {
            let (l, dl) = (&l.spec.shape, &dl.spec.shape);
            Error::invalid_argument(format!("the gradient must have the triangle's shape {l}, found {dl}"))
        })?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let dims = inputs[0].dims();
        let rows = dims[dims.len() - 1];
        (2 * inputs[0].len() + rows * rows + solve_work(rows, rows)) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [l, dl] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        let (dtype, rows, len) = (l.dtype(), l.dims()[l.dims().len() - 1], l.len());
        let all = scratch.take::<f64>(2 * len + rows * rows + solve_work(rows, rows))?;
        let (triangles, all) = all.split_at_mut(len);
        let (gradients, all) = all.split_at_mut(len);
        let (middle, work) = all.split_at_mut(rows * rows);
        dispatch!(dtype, float T => {
            cast(l.elements::<T>()?, triangles);
            cast(dl.elements::<T>()?, gradients);
        }, else => return Err(unsupported(dtype)));
        let one = (rows * rows).max(1);
        for (l, dl) in triangles.chunks_exact(one).zip(gradients.chunks_exact_mut(one)) {
            for i in 0..rows {
                for j in 0..rows {
                    // The lower triangle of lᵀ·dl, and half of its diagonal.
                    let product: f64 = (i..rows).map(|k| l[k * rows + i] * dl[k * rows + j]).sum();
                    middle[i * rows + j] = if j > i { 0.0 } else { product * if i == j { 0.5 } else { 1.0 } };
                }
            }
            solve(l, middle, rows, true, true, work);
            for i in 0..rows {
                for j in 0..rows {
                    dl[i * rows + j] = middle[j * rows + i];
                }
            }
            solve(l, dl, rows, true, true, work);
            for i in 0..rows {
                for j in 0..=i {
                    let half = 0.5 * (dl[i * rows + j] + dl[j * rows + i]);
                    (dl[i * rows + j], dl[j * rows + i]) = (half, half);
                }
            }
        }
        dispatch!(dtype, float T => narrow(gradients, outputs[0].elements::<T>()?), else => Err(unsupported(dtype)))
    }
}

impl Tensor {
    /// The lower triangle L with positive diagonal and `L·Lᵀ = self`, for each matrix in the last two axes, which is
    /// symmetric: only its lower triangle is read.
    ///
    /// TensorFlow's `Cholesky`, for float16, float32 and float64. Of a matrix that is not positive definite the triangle is
    /// NaN. The gradient is that of a symmetric matrix, half of it on each side of the diagonal.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let l = Tensor::from([[4.0_f64, 2.0], [2.0, 10.0]]).cholesky()?;
    /// assert_eq!(l.to_vec::<f64>()?, [2.0, 0.0, 1.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cholesky(&self) -> Result<Tensor> {
        apply_one(Cholesky, &[self])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef::plain::<Cholesky>("Cholesky", Accuracy::Sum),
    OpDef::plain::<CholeskyGrad>("CholeskyGrad", Accuracy::Sum),
]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value_and_grad;

    /// The slope of a sum over the triangle along a symmetric direction.
    #[test]
    fn the_gradient_is_the_slope_among_symmetric_matrices() -> Result<()> {
        let a = Tensor::from([[4.0_f64, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 2.0]]);
        let along = Tensor::from([[0.5_f64, 1.0, -0.25], [1.0, -1.0, 0.75], [-0.25, 0.75, 0.5]]);
        let weights = Tensor::from([[1.0_f64, 9.0, 9.0], [2.0, -1.0, 9.0], [0.5, 1.5, 3.0]]);
        let f = |a: &Tensor| (a.cholesky()? * &weights).sum(..);
        let (_, gradient) = value_and_grad(|a| f(&a[0]), std::slice::from_ref(&a))?;
        let found = (&gradient[0] * &along).sum(..)?.item::<f64>()?;
        let at = |step: f64| f(&(&a + &along * step))?.item::<f64>();
        let expected = (at(1e-4)? - at(-1e-4)?) / 2e-4;
        assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
        Ok(())
    }
}
