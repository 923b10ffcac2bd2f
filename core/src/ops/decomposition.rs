//! Matrices as products of simpler ones.

use super::linalg::split_last_two;
use super::triangle::narrow;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, arity, at_least_rank,
    unsupported,
};
use crate::{DType, Ellipsis, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::qr::{qr, qr_work};
use modulor_kernels::{Matrix, cast, each_row};
use std::sync::Arc;

/// A matrix as orthonormal columns times an upper triangle. Computed in float64 whatever the dtype.
#[derive(Debug)]
struct Qr {
    full_matrices: bool,
}

impl Qr {
    /// The columns of Q, which are the rows of R, for a matrix of so many rows and columns.
    fn width(&self, rows: usize, cols: usize) -> usize {
        if self.full_matrices { rows } else { rows.min(cols) }
    }

    /// How many matrices there are that have factors with elements.
    fn count(&self, x: &View) -> usize {
        let (rows, cols) = matrix(x.dims());
        if self.width(rows, cols) > 0 { matrices(x) } else { 0 }
    }
}

impl Op for Qr {
    fn name(&self) -> &'static str {
        "Qr"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("full_matrices", self.full_matrices)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let takes = |d| matches!(d, DType::F16 | DType::F32 | DType::F64);
        let dtype = allowed(x.spec.dtype, takes, "matrices of float16, float32 or float64")?;
        at_least_rank(&x.spec.shape, 2, "a matrix")?;
        let Some(dims) = x.spec.shape.dims() else {
            return Ok(vec![Spec::new(dtype, Shape::unknown()), Spec::new(dtype, Shape::unknown())]);
        };
        let (batch, matrix) = dims.split_at(dims.len() - 2);
        let (rows, cols) = (matrix[0], matrix[1]);
        let width = match (rows, cols) {
            (Some(rows), Some(cols)) => Some(self.width(rows, cols)),
            (rows, None) if self.full_matrices => rows,
            _ => None,
        };
        let q: Shape = [batch, &[rows, width]].concat().into();
        let r: Shape = [batch, &[width, cols]].concat().into();
        Ok(vec![Spec::new(dtype, q), Spec::new(dtype, r)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let (rows, cols) = matrix(inputs[0].dims());
        let q_len: usize = outputs[0].dims().iter().product();
        (inputs[0].len() + q_len + self.count(&inputs[0]) * qr_work(rows, cols)) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [q_out, r_out] = outputs else {
            return Err(Error::internal("a QR decomposition has two outputs"));
        };
        let x = inputs[0];
        let (rows, cols) = matrix(x.dims());
        let width = self.width(rows, cols);
        let (count, each_work) = (self.count(&x), qr_work(rows, cols));
        let (a_len, q_len) = (x.len(), q_out.dims().iter().product());
        let (a, rest) = scratch.take::<f64>(a_len + q_len + count * each_work)?.split_at_mut(a_len);
        let (q, work) = rest.split_at_mut(q_len);
        dispatch!(x.dtype(), float T => {
            cast(x.elements::<T>()?, a);
            let parts = [(&mut *a, rows * cols), (&mut *q, rows * width), (work, each_work)];
            let parts = parts.map(|(all, each)| Matrix::new(all, each));
            each_row(count, 4 * cost(rows.max(cols), rows.min(cols)), parts, |_, [a, q, work]| {
                qr(rows, cols, width, a, q, work);
            });
            for i in 0..count {
                let a = &a[i * rows * cols..][..rows * cols];
                narrow(&a[..width * cols], &mut r_out.elements::<T>()?[i * width * cols..][..width * cols])?;
            }
            narrow(q, q_out.elements::<T>()?)
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        known_matrix(&inputs[0]).is_none()
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, q, r, dq, dr) = (b.input(0), b.output(0), b.output(1), b.dy(0), b.dy(1));
        let (rows, columns) = known_matrix(x).ok_or_else(|| unknown_matrix(x))?;
        if rows >= columns {
            if self.full_matrices && rows > columns {
                let message = "no gradient of all columns of Q where they are more than those of the matrix";
                return Err(Error::unimplemented(message));
            }
            return Ok(vec![Some(at_product(q, r, dq, dr)?)]);
        }
        // Q is that of the first columns, which R's first are of; the others follow from it.
        let (square, rest) = ((Ellipsis, ..rows), (Ellipsis, rows..));
        let (others, dr_rest) = (x.slice(rest.clone())?, dr.slice(rest)?);
        let dq = dq + others.matmul_with(&dr_rest, false, true)?;
        let first = at_product(q, &r.slice(square)?, &dq, &dr.slice(square)?)?;
        Ok(vec![Some(Tensor::concat(&[first, q.matmul(&dr_rest)?], -1)?)])
    }
}

/// How many matrices there are in the last two axes: none where there are more than can be counted, which have no elements.
pub(super) fn matrices(x: &View) -> usize {
    let (batch, _) = split_last_two(x.dims());
    batch.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim)).unwrap_or(0)
}

/// The most matrices of a batch that have work of their own at a time.
const ROOMS: usize = 8;

/// How many times the work for one matrix is wanted.
pub(super) fn rooms(x: &View) -> usize {
    matrices(x).clamp(1, ROOMS)
}

/// Picoseconds that a decomposition of a matrix takes, of so many rows and columns, roughly.
pub(super) fn cost(long: usize, short: usize) -> usize {
    long.saturating_mul(short).saturating_mul(short).saturating_mul(150)
}

/// The rows and columns of the matrices in a tensor of these dims, of which there are at least two.
fn matrix(dims: &[usize]) -> (usize, usize) {
    (dims[dims.len() - 2], dims[dims.len() - 1])
}

/// The rows and columns of the matrices in the last two axes, where they are known.
pub(super) fn known_matrix(x: &Tensor) -> Option<(usize, usize)> {
    let dim = |from_last: usize| x.shape().dim(x.rank()?.checked_sub(from_last)?);
    dim(2).zip(dim(1))
}

/// What is said where they are not, and must be.
pub(super) fn unknown_matrix(x: &Tensor) -> Error {
    let message = format!("the gradient needs the rows and columns of its matrices, found shape {}", x.shape());
    Error::unimplemented(message)
}

/// The gradient at `q·r`, of which R is square and of full rank: Walter, Lehmann and Lamour, "On evaluating higher-order
/// derivatives of the QR decomposition of tall matrices with full column rank in forward and reverse mode algorithmic
/// differentiation".
fn at_product(q: &Tensor, r: &Tensor, dq: &Tensor, dr: &Tensor) -> Result<Tensor> {
    // x·r⁻ᵀ, by the solution of the transposed equations.
    let over = |x: &Tensor| turned(&r.triangular_solve(&turned(x)?, false, false)?);
    let along = q.matmul_with(dq, true, false)?;
    let skew_q = &along - dq.matmul_with(q, true, false)?;
    let skew_r = r.matmul_with(dr, false, true)? - dr.matmul_with(r, false, true)?;
    let below = (skew_q + skew_r).band_part(-1, 0)?;
    q.matmul(dr + over(&below)?)?.add(over(&(dq - q.matmul(&along)?))?)
}

/// The matrices in the last two axes, transposed.
pub(super) fn turned(x: &Tensor) -> Result<Tensor> {
    let rank = x.rank().ok_or_else(|| Error::unimplemented("the gradient of matrices of an unknown rank"))?;
    let mut axes: Vec<i64> = (0..rank as i64).collect();
    axes.swap(rank - 1, rank - 2);
    x.permute(&axes)
}

impl Tensor {
    /// Q and R with `self = Q·R`, for each matrix in the last two axes: Q has orthonormal columns, R is upper
    /// triangular.
    ///
    /// TensorFlow's `Qr`, for float16, float32 and float64. Of a `[m, n]` matrix Q is `[m, k]` and R `[k, n]` with
    /// k = min(m, n), or k = m with `full_matrices`. There is no gradient of a `[m, n]` matrix with m > n and
    /// `full_matrices`, of whose further columns nothing is said.
    pub fn qr(&self, full_matrices: bool) -> Result<(Tensor, Tensor)> {
        let factors = apply(Qr { full_matrices }, &[self])?;
        let [q, r] = factors.try_into().map_err(|_| Error::internal("a QR decomposition has two outputs"))?;
        Ok((q, r))
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[OpDef {
    name: "Qr",
    parse: |attrs| Ok(Arc::new(Qr { full_matrices: attrs.bool("full_matrices", false)? })),
    accuracy: Accuracy::Sum,
}]];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_matrix_of_a_batch_is_factored() -> Result<()> {
        let elements: Vec<f32> = (0..24).map(|i| ((i * i) % 11) as f32 - 4.0).collect();
        let x = Tensor::new([2, 4, 3], elements)?;
        for (full_matrices, k) in [(false, 3), (true, 4)] {
            let (q, r) = x.qr(full_matrices)?;
            assert_eq!((q.dims()?, r.dims()?), (&[2, 4, k][..], &[2, k, 3][..]));
            let (x, q, r) = (x.to_vec::<f32>()?, q.to_vec::<f32>()?, r.to_vec::<f32>()?);
            for (at, x) in x.iter().enumerate() {
                let (matrix, i, j) = (at / 12, at / 3 % 4, at % 3);
                let product: f32 = (0..k).map(|l| q[matrix * 4 * k + i * k + l] * r[matrix * k * 3 + l * 3 + j]).sum();
                assert!((product - x).abs() < 1e-5, "{product} is not {x} at {at}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_matrix_without_columns_has_a_full_q() -> Result<()> {
        let (q, r) = Tensor::zeros([2, 0], DType::F64)?.qr(true)?;
        assert_eq!((q.to_vec::<f64>()?, r.dims()?), (vec![1.0, 0.0, 0.0, 1.0], &[2, 0][..]));
        Ok(())
    }

    #[test]
    fn a_full_q_of_a_tall_matrix_has_no_gradient_and_says_so() -> Result<()> {
        let x = Tensor::from([[1.0_f64], [2.0]]);
        let error = crate::value_and_grad(|x| x[0].qr(true)?.0.sum(..), &[x]).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "no gradient of all columns of Q where they are more than those of the matrix [Op:Qr]"
        );
        Ok(())
    }

    #[test]
    fn only_float_matrices_are_factored() -> Result<()> {
        for x in [Tensor::zeros([3], DType::F32)?, Tensor::zeros([3, 3], DType::I32)?] {
            assert_eq!(x.qr(false).expect_err("refused").op(), Some("Qr"));
        }
        Ok(())
    }
}
