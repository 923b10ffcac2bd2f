//! Equations with triangular matrices.

use super::decomposition::{cost, rooms};
use super::linalg::split_last_two;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, at_least_rank,
    same_dtype, unsupported,
};
use crate::shape::{MAX_RANK, broadcast};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::triangular::{solve, solve_work};
use modulor_kernels::{Matrix, Number, Strided, cast, each_row_with};
use std::sync::Arc;

/// The solution of equations with a triangle. Computed in float64 whatever the dtype.
#[derive(Debug)]
struct MatrixTriangularSolve {
    lower: bool,
    adjoint: bool,
}

impl Op for MatrixTriangularSolve {
    fn name(&self) -> &'static str {
        "MatrixTriangularSolve"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("lower", self.lower).with("adjoint", self.adjoint)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [a, b] = arity(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, DType::is_float, "floats")?;
        at_least_rank(&a.spec.shape, 2, "the matrix")?;
        at_least_rank(&b.spec.shape, 2, "the right side")?;
        let (Some(a), Some(b)) = (a.spec.shape.dims(), b.spec.shape.dims()) else {
            return Ok(vec![Spec::new(dtype, Shape::unknown())]);
        };
        let ((a_batch, [rows, columns]), (b_batch, [b_rows, width])) = (split_last_two(&a), split_last_two(&b));
        let [known, other] = [rows.or(columns), b_rows];
        if matches!((rows, columns), (Some(rows), Some(columns)) if rows != columns) {
            return Err(Error::invalid_argument(format!("the matrix must be square, found {}", Shape::from(a))));
        }
        if matches!((known, other), (Some(rows), Some(other)) if rows != other) {
            let (a, b) = (Shape::from(a), Shape::from(b));
            return Err(Error::invalid_argument(format!(
                "the right side must have the matrix's rows, found {a} and {b}"
            )));
        }
        let batch = broadcast(&a_batch.to_vec().into(), &b_batch.to_vec().into())?;
        let mut dims = batch.dims().unwrap_or_default();
        dims.extend([known.or(other), width]);
        Ok(vec![Spec::new(dtype, dims)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let (_, [rows, columns]) = split_last_two(outputs[0].dims());
        (inputs[0].len() + outputs[0].len() + rooms(&inputs[1]) * solve_work(rows, columns)) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (matrix, right, out) = (inputs[0], inputs[1], &mut outputs[0]);
        if out.is_empty() {
            return Ok(());
        }
        let (batch, [rows, columns]) = split_last_two(out.dims());
        let (a_batch, _) = split_last_two(matrix.dims());
        let each = solve_work(rows, columns);
        let room = scratch.take::<f64>(matrix.len() + out.len() + rooms(&right) * each)?;
        let (a, room) = room.split_at_mut(matrix.len());
        let (x, work) = room.split_at_mut(out.len());
        let mut strides = [0; MAX_RANK];
        let strides = &mut strides[..out.dims().len()];
        right.broadcast_strides(out.dims(), strides);
        dispatch!(out.dtype(), float T => {
            cast(matrix.elements::<T>()?, a);
            cast(right.restrided::<T>(out.dims(), strides)?, x);
        }, else => return Err(unsupported(out.dtype())));
        let (a, count) = (&*a, batch.iter().product());
        let cost = cost(rows, rows).saturating_mul(columns) / rows.max(1);
        each_row_with(count, cost, Matrix::new(&mut *x, rows * columns), (work, each), |i, x, work| {
            let a = &a[repeated(a_batch, batch, i) * rows * rows..][..rows * rows];
            solve(a, x, columns, self.lower, self.adjoint, work);
        });
        dispatch!(out.dtype(), float T => narrow(x, out.elements::<T>()?), else => Err(unsupported(out.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let MatrixTriangularSolve { lower, adjoint } = *self;
        let x = b.output(0);
        let at_right = b.input(0).triangular_solve(b.dy(0), lower, !adjoint)?;
        let at_matrix = b.when(0, || {
            let (left, right) = if adjoint { (x, &at_right) } else { (&at_right, x) };
            let all = -left.matmul_with(right, false, true)?;
            if lower { all.band_part(-1, 0) } else { all.band_part(0, -1) }
        })?;
        Ok(vec![at_matrix, Some(at_right)])
    }
    fn broadcasts(&self) -> bool {
        true
    }
}

/// Of things of the dims `own`, repeated to `batch`, the number of that which is number `i` of those.
fn repeated(own: &[usize], batch: &[usize], mut i: usize) -> usize {
    let (mut number, mut step) = (0, 1);
    for (axis, &dim) in batch.iter().enumerate().rev() {
        if let Some(old) = (axis + own.len()).checked_sub(batch.len()) {
            number += if own[old] == dim { i % dim * step } else { 0 };
            step *= own[old];
        }
        i /= dim;
    }
    number
}

/// Numbers rounded to another dtype.
pub(super) fn narrow<S: Number, T: Number>(from: &[S], to: &mut [T]) -> Result<()> {
    let (shape, strides) = ([from.len()], [1]);
    let from = Strided::new(from, &shape, &strides, 0).ok_or_else(|| Error::internal("a slice is a view of itself"))?;
    cast(from, to);
    Ok(())
}

impl Tensor {
    /// The x of `self·x = right` or, `adjoint`, `selfᵀ·x = right`, for each square matrix in the last two axes, of which
    /// the lower or the upper triangle counts; outer axes broadcast. Infinities and NaNs where a diagonal has a zero.
    ///
    /// TensorFlow's `MatrixTriangularSolve`, for floats.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let a = Tensor::from([[2.0_f64, 0.0], [1.0, 4.0]]);
    /// let x = a.triangular_solve(&Tensor::from([[2.0_f64], [9.0]]), true, false)?;
    /// assert_eq!(x.to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn triangular_solve(&self, right: &Tensor, lower: bool, adjoint: bool) -> Result<Tensor> {
        apply_one(MatrixTriangularSolve { lower, adjoint }, &[self, right])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[OpDef {
    name: "MatrixTriangularSolve",
    parse: |attrs| {
        let (lower, adjoint) = (attrs.bool("lower", true)?, attrs.bool("adjoint", false)?);
        Ok(Arc::new(MatrixTriangularSolve { lower, adjoint }))
    },
    accuracy: Accuracy::Sum,
}]];
