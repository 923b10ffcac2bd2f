//! Triangular factors of matrices, their inverses, solutions of equations with them, and their determinants.

use super::decomposition::{cost, matrices, rooms};
use super::linalg::split_last_two;
use super::triangle::narrow;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, apply_one, arity,
    at_least_rank, same_dtype, unsupported,
};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::lu::{determinant, log_determinant, lu, lu_work, solve};
use modulor_kernels::triangular::solve_work;
use modulor_kernels::{Matrix, Strided, cast, each_row_with};
use std::sync::Arc;

/// The dtypes that matrices are decomposed of.
pub(super) fn floats(dtype: DType) -> Result<DType> {
    let takes = |d| matches!(d, DType::F16 | DType::F32 | DType::F64);
    allowed(dtype, takes, "matrices of float16, float32 or float64")
}

/// The shape of square matrices in the last two axes.
pub(super) fn square(x: &Shape) -> Result<Shape> {
    at_least_rank(x, 2, "a matrix")?;
    let Some(mut dims) = x.dims() else { return Ok(Shape::unknown()) };
    let rank = dims.len();
    if matches!((dims[rank - 2], dims[rank - 1]), (Some(rows), Some(columns)) if rows != columns) {
        return Err(Error::invalid_argument(format!("matrices must be square, found {x}")));
    }
    let side = dims[rank - 2].or(dims[rank - 1]);
    dims[rank - 2..].fill(side);
    Ok(dims.into())
}

/// The shape without its last two axes.
fn batch(x: &Shape) -> Shape {
    x.dims().map_or(Shape::unknown(), |dims| dims[..dims.len() - 2].to_vec().into())
}

/// Unit matrices of the shape and dtype of others.
pub(super) fn identity_like(x: &Tensor) -> Result<Tensor> {
    x.zeros_like()?.add(1.0)?.band_part(0, 0)
}

/// The error of a matrix that has no inverse.
fn singular(i: usize) -> Error {
    Error::invalid_argument(format!("matrix {i} is not invertible"))
}

/// Matrices in float64 on their way to factors: their elements, a place for the pivot of each row, and work, of which one takes so
/// many elements.
struct Factors<'a> {
    a: &'a mut [f64],
    pivots: &'a mut [usize],
    work: &'a mut [f64],
    one: usize,
    rows: usize,
}

/// The matrices of a view, in `room`, with work for equations of so many columns.
fn factors<'a>(x: &View, columns: usize, room: &'a mut [f64]) -> Result<Factors<'a>> {
    let (_, [rows, _]) = split_last_two(x.dims());
    let (a, room) = room.split_at_mut(x.len());
    let (pivots, room) = room.split_at_mut(matrices(x) * rows);
    dispatch!(x.dtype(), float T => cast(x.elements::<T>()?, a), else => return Err(unsupported(x.dtype())));
    let one = lu_work(rows).max(solve_work(rows, columns));
    Ok(Factors { a, pivots: bytemuck::cast_slice_mut(pivots), work: &mut room[..rooms(x) * one], one, rows })
}

/// The elements of float64 for [`factors`].
fn factors_room(x: &View, columns: usize) -> usize {
    let (_, [rows, _]) = split_last_two(x.dims());
    x.len() + matrices(x) * rows + rooms(x) * lu_work(rows).max(solve_work(rows, columns))
}

impl Factors<'_> {
    /// Factors each matrix and calls `then` with its factors, its pivots, whether the exchanges of rows are an odd number, its
    /// so many elements of `out`, and work.
    fn each(
        &mut self,
        (out, width): (&mut [f64], usize),
        then: impl Fn(&[f64], &[usize], bool, &mut [f64], &mut [f64]) + Sync,
    ) {
        let rows = self.rows;
        let count = self.pivots.len().checked_div(rows).or_else(|| out.len().checked_div(width)).unwrap_or(0);
        let (a, pivots) = (Matrix::new(&mut *self.a, rows * rows), Matrix::new(&mut *self.pivots, rows));
        let (parts, work) = ((a, (pivots, Matrix::new(out, width))), (&mut *self.work, self.one));
        each_row_with(count, 2 * cost(rows, rows), parts, work, |_, (a, (pivots, out)), work| {
            let odd = lu(a, pivots, work);
            then(a, pivots, odd, out, work);
        });
    }

    /// As [`each`](Self::each), for matrices that are all to be invertible.
    fn each_invertible(
        &mut self,
        out: (&mut [f64], usize),
        then: impl Fn(&[f64], &[usize], &mut [f64], &mut [f64]) + Sync,
    ) -> Result<()> {
        let rows = self.rows;
        let is_singular = |a: &[f64]| a.iter().step_by(rows + 1).any(|&pivot| pivot == 0.0);
        self.each(out, |a, pivots, _, out, work| {
            if !is_singular(a) {
                then(a, pivots, out, work);
            }
        });
        match self.a.chunks_exact((rows * rows).max(1)).position(is_singular) {
            Some(i) => Err(singular(i)),
            None => Ok(()),
        }
    }
}

/// The inverse, or the transposed one. Computed in float64 whatever the dtype.
#[derive(Debug)]
struct MatrixInverse {
    adjoint: bool,
}

impl Op for MatrixInverse {
    fn name(&self) -> &'static str {
        "MatrixInverse"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("adjoint", self.adjoint)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = floats(x.spec.dtype)?;
        Ok(vec![Spec::new(dtype, square(&x.spec.shape)?)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let (_, [_, columns]) = split_last_two(inputs[0].dims());
        (factors_room(&inputs[0], columns) + inputs[0].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, len) = (inputs[0], inputs[0].len());
        let (_, [rows, _]) = split_last_two(x.dims());
        let (solutions, room) = scratch.take::<f64>(factors_room(&x, rows) + len)?.split_at_mut(len);
        factors(&x, rows, room)?.each_invertible((solutions, rows * rows), |a, pivots, solution, work| {
            solution.fill(0.0);
            solution.iter_mut().step_by(rows + 1).for_each(|x| *x = 1.0);
            solve(a, pivots, solution, rows, self.adjoint, work);
        })?;
        dispatch!(x.dtype(), float T => narrow(solutions, outputs[0].elements::<T>()?),
            else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (y, dy) = (b.output(0), b.dy(0));
        let right = dy.matmul_with(y, self.adjoint, !self.adjoint)?;
        Ok(vec![Some(y.matmul_with(right, !self.adjoint, false)?.neg()?)])
    }
}

/// The solution of equations with a matrix, or with the transposed one. Computed in float64 whatever the dtype.
#[derive(Debug)]
struct MatrixSolve {
    adjoint: bool,
}

impl Op for MatrixSolve {
    fn name(&self) -> &'static str {
        "MatrixSolve"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("adjoint", self.adjoint)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [a, b] = arity(inputs)?;
        let dtype = floats(same_dtype(inputs)?)?;
        let matrix = square(&a.spec.shape)?;
        at_least_rank(&b.spec.shape, 2, "the right side")?;
        let (Some(a_dims), Some(b_dims)) = (matrix.dims(), b.spec.shape.dims()) else {
            let rank = matrix.rank().or(b.spec.shape.rank());
            return Ok(vec![Spec::new(dtype, rank.map_or(Shape::unknown(), Shape::of_rank))]);
        };
        // But for the last axis, the right side is like the matrices.
        let ((a_batch, [rows, _]), (_, [_, columns])) = (split_last_two(&a_dims), split_last_two(&b_dims));
        let expected: Shape = [a_batch, &[rows, columns]].concat().into();
        let shape = expected.merge(&b.spec.shape).ok_or_else(|| {
            let (a, b) = (&a.spec.shape, &b.spec.shape);
            Error::invalid_argument(format!("the right side must have the batch and the rows of {a}, found {b}"))
        })?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let (_, [_, columns]) = split_last_two(inputs[1].dims());
        (factors_room(&inputs[0], columns) + inputs[1].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [matrix, right] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        let (len, (_, [rows, columns])) = (right.len(), split_last_two(right.dims()));
        let (solutions, room) = scratch.take::<f64>(factors_room(matrix, columns) + len)?.split_at_mut(len);
        let dtype = right.dtype();
        dispatch!(dtype, float T => cast(right.elements::<T>()?, solutions), else => return Err(unsupported(dtype)));
        factors(matrix, columns, room)?.each_invertible((solutions, rows * columns), |a, pivots, solution, work| {
            solve(a, pivots, solution, columns, self.adjoint, work);
        })?;
        dispatch!(dtype, float T => narrow(solutions, outputs[0].elements::<T>()?), else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let x = b.output(0);
        let at_right = apply_one(MatrixSolve { adjoint: !self.adjoint }, &[b.input(0), b.dy(0)])?;
        let at_matrix = b.when(0, || {
            let (left, right) = if self.adjoint { (x, &at_right) } else { (&at_right, x) };
            left.matmul_with(right, false, true)?.neg()
        })?;
        Ok(vec![at_matrix, Some(at_right)])
    }
}

/// Determinants. Computed in float64 whatever the dtype.
#[derive(Debug, Default)]
struct MatrixDeterminant;

impl Op for MatrixDeterminant {
    fn name(&self) -> &'static str {
        "MatrixDeterminant"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = floats(x.spec.dtype)?;
        Ok(vec![Spec::new(dtype, batch(&square(&x.spec.shape)?))])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (factors_room(&inputs[0], 0) + outputs[0].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let x = inputs[0];
        let count = outputs[0].len();
        let (values, room) = scratch.take::<f64>(factors_room(&x, 0) + count)?.split_at_mut(count);
        let mut factors = factors(&x, 0, room)?;
        let rows = factors.rows;
        factors.each((values, 1), |a, _, odd, value, _| value[0] = determinant(a, rows, odd));
        dispatch!(x.dtype(), float T => narrow(values, outputs[0].elements::<T>()?), else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let inverse = apply_one(MatrixInverse { adjoint: true }, &[b.input(0)])?;
        Ok(vec![Some(inverse.mul((b.dy(0) * b.output(0)).expand_dims(-1)?.expand_dims(-1)?)?)])
    }
}

/// The signs of determinants and the logarithms of their magnitudes. Computed in float64 whatever the dtype.
#[derive(Debug, Default)]
struct LogMatrixDeterminant;

impl Op for LogMatrixDeterminant {
    fn name(&self) -> &'static str {
        "LogMatrixDeterminant"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let spec = Spec::new(floats(x.spec.dtype)?, batch(&square(&x.spec.shape)?));
        Ok(vec![spec.clone(), spec])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (factors_room(&inputs[0], 0) + 2 * outputs[0].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [sign_out, log_out] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        let (x, count) = (inputs[0], sign_out.len());
        let (both, room) = scratch.take::<f64>(factors_room(&x, 0) + 2 * count)?.split_at_mut(2 * count);
        let mut factors = factors(&x, 0, room)?;
        let rows = factors.rows;
        factors.each((&mut *both, 2), |a, _, odd, out, _| {
            (out[0], out[1]) = log_determinant(a, rows, odd);
        });
        let (shape, strides) = ([count], [2]);
        let half = |first| Strided::new(both, &shape, &strides, first);
        let (Some(signs), Some(logs)) = (half(0), half(1.min(2 * count))) else {
            return Err(Error::internal("every other number of so many"));
        };
        dispatch!(x.dtype(), float T => {
            cast(signs, sign_out.elements::<T>()?);
            cast(logs, log_out.elements::<T>()?);
            Ok(())
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let inverse = apply_one(MatrixInverse { adjoint: true }, &[b.input(0)])?;
        Ok(vec![Some(inverse.mul(b.dy(1).expand_dims(-1)?.expand_dims(-1)?)?)])
    }
}

/// The factors L and U in one matrix, the ones of L's diagonal left out, and the rows of the matrix in the order in which they are
/// the rows of L·U. Computed in float64 whatever the dtype.
#[derive(Debug)]
struct Lu {
    output_idx_type: DType,
}

impl Op for Lu {
    fn name(&self) -> &'static str {
        "Lu"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("output_idx_type", self.output_idx_type)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let (dtype, shape) = (floats(x.spec.dtype)?, square(&x.spec.shape)?);
        allowed(self.output_idx_type, |d| matches!(d, DType::I32 | DType::I64), "numbers of rows of int32 or int64")?;
        let rows = shape.dims().map_or(Shape::unknown(), |dims| dims[..dims.len() - 1].to_vec().into());
        Ok(vec![Spec::new(dtype, shape), Spec::new(self.output_idx_type, rows)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let (_, [rows, _]) = split_last_two(inputs[0].dims());
        (factors_room(&inputs[0], 0) + rows) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [factors, order] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        let x = inputs[0];
        let room = scratch.take::<f64>(self.scratch(inputs, &[]) / size_of::<f64>())?;
        let (own, room) = room.split_at_mut(split_last_two(x.dims()).1[0]);
        let places: &mut [usize] = bytemuck::cast_slice_mut(own);
        let mut all = self::factors(&x, 0, room)?;
        all.each((&mut [], 0), |_, _, _, _, _| ());
        let Factors { a, pivots, rows, .. } = all;
        for (i, (a, pivots)) in a.chunks_exact((rows * rows).max(1)).zip(pivots.chunks_exact(rows.max(1))).enumerate() {
            // As TensorFlow, which looks for the least: NaN is no pivot where it is the first.
            let magnitudes = a.iter().step_by(rows + 1).map(|pivot| pivot.abs());
            let least = magnitudes.reduce(|least, pivot| if pivot < least { pivot } else { least });
            if least.is_some_and(|least| least == 0.0 || least.is_nan()) {
                return Err(singular(i));
            }
            places.iter_mut().enumerate().for_each(|(place, row)| *row = place);
            pivots.iter().enumerate().for_each(|(row, &pivot)| places.swap(row, pivot));
            match self.output_idx_type {
                DType::I32 => into(places, &mut order.elements::<i32>()?[i * rows..], |row| row as i32),
                _ => into(places, &mut order.elements::<i64>()?[i * rows..], |row| row as i64),
            }
        }
        dispatch!(x.dtype(), float T => narrow(a, factors.elements::<T>()?), else => Err(unsupported(x.dtype())))
    }
}

/// Writes numbers of rows as integers.
fn into<T>(rows: &[usize], out: &mut [T], as_integer: impl Fn(usize) -> T) {
    out.iter_mut().zip(rows).for_each(|(out, &row)| *out = as_integer(row));
}

impl Tensor {
    /// L and U of each square matrix in the last two axes, in one matrix, with the ones on L's diagonal left out; and the rows of
    /// the matrix in their order in L·U, of int32 or int64.
    ///
    /// TensorFlow's `Lu`, `tf.linalg.lu`, for float16, float32 and float64. As there, there is no gradient, and a matrix that is
    /// singular is an error. Of the rows that may come next, the first with the largest magnitude does.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let (factors, rows) = Tensor::from([[1.0_f64, 3.0], [2.0, 4.0]]).lu(DType::I32)?;
    /// assert_eq!(factors.to_vec::<f64>()?, [2.0, 4.0, 0.5, 1.0]);
    /// assert_eq!(rows.to_vec::<i32>()?, [1, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lu(&self, rows_dtype: DType) -> Result<(Tensor, Tensor)> {
        let both = apply(Lu { output_idx_type: rows_dtype }, &[self])?;
        let [factors, rows] = both.try_into().map_err(|_| Error::internal("factors and rows were inferred"))?;
        Ok((factors, rows))
    }

    /// The inverse of each square matrix in the last two axes.
    ///
    /// TensorFlow's `MatrixInverse`, for float16, float32 and float64. An error where a matrix is singular.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[2.0_f64, 0.0], [0.0, 4.0]]).inverse()?.to_vec::<f64>()?, [0.5, 0.0, 0.0, 0.25]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn inverse(&self) -> Result<Tensor> {
        apply_one(MatrixInverse { adjoint: false }, &[self])
    }

    /// The x of `self·x = right` or, `adjoint`, `selfᵀ·x = right`, for each square matrix in the last two axes and the
    /// columns of `right`, which has the same outer axes.
    ///
    /// TensorFlow's `MatrixSolve`, for float16, float32 and float64. An error where a matrix is singular.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[0.0_f64, 2.0], [1.0, 0.0]]).solve(&Tensor::from([[4.0_f64], [3.0]]), false)?;
    /// assert_eq!(x.to_vec::<f64>()?, [3.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn solve(&self, right: &Tensor, adjoint: bool) -> Result<Tensor> {
        apply_one(MatrixSolve { adjoint }, &[self, right])
    }

    /// The determinant of each square matrix in the last two axes. TensorFlow's `MatrixDeterminant`, for float16, float32
    /// and float64. There is no gradient of a singular matrix.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[0.0_f32, 2.0], [1.0, 3.0]]).determinant()?.item::<f32>()?, -2.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn determinant(&self) -> Result<Tensor> {
        apply_one(MatrixDeterminant, &[self])
    }

    /// The sign of the determinant of each square matrix in the last two axes, and the logarithm of its magnitude: 0 and
    /// −∞ of a singular matrix. TensorFlow's `LogMatrixDeterminant`, NumPy's and Keras's `slogdet`.
    pub fn log_determinant(&self) -> Result<(Tensor, Tensor)> {
        let both = apply(LogMatrixDeterminant, &[self])?;
        let [sign, log] = both.try_into().map_err(|_| Error::internal("a sign and a logarithm were inferred"))?;
        Ok((sign, log))
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "MatrixInverse",
        parse: |attrs| Ok(Arc::new(MatrixInverse { adjoint: attrs.bool("adjoint", false)? })),
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "MatrixSolve",
        parse: |attrs| Ok(Arc::new(MatrixSolve { adjoint: attrs.bool("adjoint", false)? })),
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "Lu",
        parse: |attrs| Ok(Arc::new(Lu { output_idx_type: attrs.dtype("output_idx_type", Some(DType::I32))? })),
        accuracy: Accuracy::Sum,
    },
    OpDef::plain::<MatrixDeterminant>("MatrixDeterminant", Accuracy::Special),
    OpDef::plain::<LogMatrixDeterminant>("LogMatrixDeterminant", Accuracy::Special),
]];
