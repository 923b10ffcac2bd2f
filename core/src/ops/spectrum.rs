//! Eigenvalues of symmetric matrices and singular values, and what they are used for.

use super::composite::composite;
use super::decomposition::{cost, known_matrix, matrices, turned, unknown_matrix};
use super::inverse::{floats, square};
use super::least_squares::{epsilon, greater_size};
use super::linalg::split_last_two;
use super::triangle::narrow;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, apply, arity, at_least_rank, rank_unknown,
    unsupported,
};
use crate::{Ellipsis, Error, NewAxis, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use modulor_kernels::jacobi::{eigen, singular};
use modulor_kernels::{Matrix, Number, Strided, cast, each_row};
use std::sync::Arc;

/// The rounds over all pairs of axes that a matrix needs, roughly.
const ROUNDS: usize = 8;

/// Writes rows of so many numbers as columns.
fn turned_into<T: Pod + Number>(rows: &[f64], width: usize, out: &mut [T]) -> Result<()> {
    let (shape, strides) = ([width, rows.len().checked_div(width).unwrap_or(0)], [1, width as isize]);
    let turned =
        Strided::new(rows, &shape, &strides, 0).ok_or_else(|| Error::internal("rows are a view of their own"))?;
    cast(turned, out);
    Ok(())
}

/// Writes the rows of each of several matrices, of so many elements, as columns of those.
fn turned_each<T: Pod + Number>((all, each): (&[f64], usize), width: usize, out: &mut [T]) -> Result<()> {
    let each = each.max(1);
    all.chunks_exact(each).zip(out.chunks_exact_mut(each)).try_for_each(|(own, out)| turned_into(own, width, out))
}

/// `x/(x² + 10⁻²⁰)`: the reciprocal, 0 of 0.
fn safe_reciprocal(x: &Tensor) -> Result<Tensor> {
    x.div(x.square()?.add(1e-20)?)
}

/// Matrices without their diagonals.
fn without_diagonal(x: &Tensor) -> Result<Tensor> {
    x.sub(x.band_part(0, 0)?)
}

/// For every pair of numbers in the last axis, the reciprocal of the second less the first, 0 where they are equal.
pub(super) fn reciprocals_of_differences(x: &Tensor) -> Result<Tensor> {
    without_diagonal(&safe_reciprocal(&(x.expand_dims(-2)? - x.expand_dims(-1)?))?)
}

/// Eigenvalues, from the least on, and eigenvectors, of symmetric matrices, of which the lower triangles count. Computed in
/// float64 whatever the dtype.
#[derive(Debug)]
struct SelfAdjointEigV2 {
    compute_v: bool,
}

impl Op for SelfAdjointEigV2 {
    fn name(&self) -> &'static str {
        "SelfAdjointEigV2"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("compute_v", self.compute_v)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = floats(x.spec.dtype)?;
        let matrix = square(&x.spec.shape)?;
        let values = matrix.dims().map_or(Shape::unknown(), |dims| dims[..dims.len() - 1].to_vec().into());
        let vectors = if self.compute_v { matrix } else { [0].into() };
        Ok(vec![Spec::new(dtype, values), Spec::new(dtype, vectors)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (2 * inputs[0].len() + outputs[0].len()) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [values_out, vectors_out] = outputs else { return Err(Error::internal("two outputs were inferred")) };
        let (x, len, count) = (inputs[0], inputs[0].len(), values_out.len());
        let (_, [rows, _]) = split_last_two(x.dims());
        let (a, room) = scratch.take::<f64>(2 * len + count)?.split_at_mut(len);
        let (values, vectors) = room.split_at_mut(count);
        if rows == 0 {
            return Ok(());
        }
        dispatch!(x.dtype(), float T => {
            cast(x.elements::<T>()?, a);
            let parts = [(&mut *a, rows * rows), (&mut *values, rows), (&mut *vectors, rows * rows)];
            let parts = parts.map(|(all, each)| Matrix::new(all, each));
            each_row(matrices(&x), ROUNDS * cost(rows, rows), parts, |_, [a, values, vectors]| {
                if !eigen(a, values, vectors) {
                    values.fill(f64::NAN);
                }
            });
            if let Some(i) = values.chunks_exact(rows).position(|values| values[0].is_nan()) {
                let message = format!("matrix {i} has elements that are not finite, so that it has no eigenvalues");
                return Err(Error::invalid_argument(message));
            }
            if self.compute_v {
                turned_each((vectors, rows * rows), rows, vectors_out.elements::<T>()?)?;
            }
            narrow(values, values_out.elements::<T>()?)
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let de = b.dy(0).expand_dims(-2)?;
        let whole = if self.compute_v {
            let (e, v, dv) = (b.output(0), b.output(1), b.dy(1));
            let turn = reciprocals_of_differences(e)?.mul(v.matmul_with(dv, true, false)?)?;
            ((v * de) + v.matmul(turn)?).matmul_with(v, false, true)?
        } else {
            let (_, v) = b.input(0).eigh()?;
            (&v * de).matmul_with(&v, false, true)?
        };
        // What arrives at the upper triangle is the lower one's.
        let folded = (&whole + turned(&whole)?).band_part(-1, 0)?;
        Ok(vec![Some(folded.sub(whole.band_part(0, 0)?)?)])
    }
}

/// Singular values, from the greatest on, and left and right singular vectors. Computed in float64 whatever the dtype.
#[derive(Debug)]
struct Svd {
    compute_uv: bool,
    full_matrices: bool,
}

/// The sizes of a decomposition: rows, columns, singular values, and left singular vectors that are computed, of the matrix
/// or, where it has more columns than rows, of the transposed one.
struct Sides {
    rows: usize,
    columns: usize,
    short: usize,
    long: usize,
    width: usize,
}

impl Svd {
    fn sides(&self, dims: &[usize]) -> Sides {
        let (_, [rows, columns]) = split_last_two(dims);
        let (short, long) = (rows.min(columns), rows.max(columns));
        Sides { rows, columns, short, long, width: if self.compute_uv && self.full_matrices { long } else { short } }
    }

    /// The elements of float64 for one matrix: its vectors of both sides.
    fn room(&self, dims: &[usize]) -> usize {
        let Sides { short, long, width, .. } = self.sides(dims);
        width * long + short * short
    }
}

impl Op for Svd {
    fn name(&self) -> &'static str {
        "Svd"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("compute_uv", self.compute_uv).with("full_matrices", self.full_matrices)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = floats(x.spec.dtype)?;
        at_least_rank(&x.spec.shape, 2, "a matrix")?;
        let none = || Spec::new(dtype, [0]);
        let Some(dims) = x.spec.shape.dims() else {
            let vectors = if self.compute_uv { Spec::new(dtype, Shape::unknown()) } else { none() };
            return Ok(vec![Spec::new(dtype, Shape::unknown()), vectors.clone(), vectors]);
        };
        let (batch, [rows, columns]) = split_last_two(&dims);
        let least = rows.zip(columns).map(|(rows, columns)| rows.min(columns));
        let with = |last: &[Option<usize>]| Spec::new(dtype, Shape::from([batch, last].concat()));
        let values = with(&[least]);
        if !self.compute_uv {
            return Ok(vec![values, none(), none()]);
        }
        let side = |dim: Option<usize>| with(&[dim, if self.full_matrices { dim } else { least }]);
        Ok(vec![values, side(rows), side(columns)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        (inputs[0].len() + outputs[0].len() + matrices(&inputs[0]) * self.room(inputs[0].dims())) * size_of::<f64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [s_out, u_out, v_out] = outputs else { return Err(Error::internal("three outputs were inferred")) };
        let (x, len, count) = (inputs[0], inputs[0].len(), s_out.len());
        let Sides { rows, columns, short, long, width } = self.sides(x.dims());
        let all = scratch.take::<f64>(len + count + matrices(&x) * self.room(x.dims()))?;
        let (all, room) = all.split_at_mut(len);
        let (values, room) = room.split_at_mut(count);
        let (lefts, rights) = room.split_at_mut(matrices(&x) * width * long);
        dispatch!(x.dtype(), float T => {
            cast(x.elements::<T>()?, all);
            let parts = [(all, rows * columns), (&mut *lefts, width * long), (&mut *rights, short * short), (&mut *values, short)];
            let parts = parts.map(|(all, each)| Matrix::new(all, each));
            let cost = 2 * ROUNDS * cost(long, short);
            each_row(matrices(&x), cost, parts, |_, [a, left, right, values]| {
                if rows >= columns {
                    for (column, to) in left.chunks_exact_mut(long.max(1)).take(short).enumerate() {
                        to.iter_mut().zip(a.iter().skip(column).step_by(columns)).for_each(|(to, x)| *to = *x);
                    }
                } else {
                    left[..a.len()].copy_from_slice(a);
                }
                if !singular(long, values, left, right) {
                    for numbers in [values, left, right] {
                        numbers.fill(f64::NAN);
                    }
                }
            });
            if self.compute_uv {
                let (left, right) = ((&*lefts, width * long), (&*rights, short * short));
                let (u, v) = if rows >= columns { (left, right) } else { (right, left) };
                turned_each(u, rows, u_out.elements::<T>()?)?;
                turned_each(v, columns, v_out.elements::<T>()?)?;
            }
            narrow(values, s_out.elements::<T>()?)
        }, else => Err(unsupported(x.dtype())))
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        self.compute_uv && known_matrix(&inputs[0]).is_none()
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, ds) = (b.input(0), b.dy(0).expand_dims(-2)?);
        if !self.compute_uv {
            let (_, u, v) = x.svd(false)?;
            return Ok(vec![Some((u * ds).matmul_with(v, false, true)?)]);
        }
        let (rows, columns) = known_matrix(x).ok_or_else(|| unknown_matrix(x))?;
        if self.full_matrices && rows.abs_diff(columns) > 1 {
            let message = "no gradient of full singular vectors where rows and columns differ by more than one";
            return Err(Error::unimplemented(message));
        }
        let s = b.output(0);
        // Of the transposed matrix where it has more rows, so that u is square.
        let [(u, du), (v, dv)] = match rows > columns {
            true => [2, 1].map(|i| (b.output(i), b.dy(i))),
            false => [1, 2].map(|i| (b.output(i), b.dy(i))),
        };
        let short = rows.min(columns);
        let first = |x: &Tensor| x.slice((Ellipsis, ..short));
        let (v1, dv1) = (first(v)?, first(dv)?);
        let differences = reciprocals_of_differences(&s.square()?)?;
        let half = |x: &Tensor, dx: &Tensor| {
            let one = differences.mul(x.matmul_with(dx, true, false)?)?;
            one.add(turned(&one)?)
        };
        let (across, down) = (s.expand_dims(-2)?, s.expand_dims(-1)?);
        let middle = half(u, du)? * across + down * half(&v1, &dv1)?;
        let mut whole = (u * ds + u.matmul(middle)?).matmul_with(&v1, false, true)?;
        if rows != columns {
            let mut rest = turned(&dv1)? - dv1.matmul_with(&v1, true, false)?.matmul_with(&v1, false, true)?;
            if self.full_matrices {
                let others = (Ellipsis, short..);
                let (v2, dv2) = (v.slice(others.clone())?, dv.slice(others)?);
                rest -= v1.matmul_with(&dv2, true, false)?.matmul_with(&v2, false, true)?;
            }
            whole += (u * safe_reciprocal(s)?.expand_dims(-2)?).matmul(rest)?;
        }
        whole.check()?;
        Ok(vec![Some(if rows > columns { turned(&whole)? } else { whole })])
    }
}

/// Which norm of vectors or matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NormOrder {
    /// The root of the sum of squares of a vector's or a matrix's elements.
    Frobenius,
    /// The sum of the singular values of a matrix.
    Nuclear,
    /// Of a vector `(Σ |x|ᵖ)^(1/p)`, the greatest magnitude of ∞, the least of −∞, the number of elements other than 0 of
    /// 0. Of a matrix the greatest sum of the magnitudes of a column of 1, of a row of ∞, the greatest singular value of
    /// 2; the least instead of the greatest of −1, −∞ and −2; nothing else.
    Order(f64),
}

impl Tensor {
    /// The eigenvalues of the symmetric matrices in the last two axes, from the least on, and their eigenvectors, of length
    /// 1, as columns. Only the lower triangles are read.
    ///
    /// TensorFlow's `SelfAdjointEigV2`, for float16, float32 and float64. What an eigenvector's sign is, is open. Where two
    /// eigenvalues are equal their eigenvectors are not differentiable, and TensorFlow's gradient, and ours, is that
    /// without their part. An error where an element is not finite.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (values, _) = Tensor::from([[3.0_f64, 0.0], [0.0, -1.0]]).eigh()?;
    /// assert_eq!(values.to_vec::<f64>()?, [-1.0, 3.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn eigh(&self) -> Result<(Tensor, Tensor)> {
        let both = apply(SelfAdjointEigV2 { compute_v: true }, &[self])?;
        let [values, vectors] = both.try_into().map_err(|_| Error::internal("two outputs were inferred"))?;
        Ok((values, vectors))
    }

    /// The eigenvalues of [`eigh`](Tensor::eigh) alone.
    pub fn eigenvalues(&self) -> Result<Tensor> {
        first(apply(SelfAdjointEigV2 { compute_v: false }, &[self])?)
    }

    /// The singular values s of the matrices in the last two axes, from the greatest on, and singular vectors u and v as
    /// columns, with `self = u·diag(s)·vᵀ`.
    ///
    /// TensorFlow's `Svd`, for float16, float32 and float64. Of a `[m, n]` matrix with k = min(m, n), u is `[m, k]` and v
    /// `[n, k]` or, with `full_matrices`, `[m, m]` and `[n, n]`, which has a gradient only where m and n differ by at most
    /// one. What the sign of a pair of vectors is, is open. All is NaN of a matrix with elements that are not finite.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (s, u, v) = Tensor::from([[0.0_f64, 2.0], [-3.0, 0.0], [0.0, 0.0]]).svd(false)?;
    /// assert_eq!(s.to_vec::<f64>()?, [3.0, 2.0]);
    /// assert_eq!((u.dims()?, v.dims()?), (&[3, 2][..], &[2, 2][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn svd(&self, full_matrices: bool) -> Result<(Tensor, Tensor, Tensor)> {
        let all = apply(Svd { compute_uv: true, full_matrices }, &[self])?;
        let [s, u, v] = all.try_into().map_err(|_| Error::internal("three outputs were inferred"))?;
        Ok((s, u, v))
    }

    /// The singular values of [`svd`](Tensor::svd) alone.
    pub fn singular_values(&self) -> Result<Tensor> {
        first(apply(Svd { compute_uv: false, full_matrices: false }, &[self])?)
    }

    /// The pseudoinverse of the matrices in the last two axes, in which singular values of at most `rcond` times the
    /// greatest count as 0; by default `10·max(rows, columns)` times the distance from 1 to the next number, as in
    /// TensorFlow's `tf.linalg.pinv`. The sizes must be known.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([[2.0_f64, 0.0], [0.0, 0.0], [0.0, 0.0]]).pseudoinverse(None)?;
    /// assert_eq!((y.dims()?, y.to_vec::<f64>()?), (&[2, 3][..], vec![0.5, 0.0, 0.0, 0.0, 0.0, 0.0]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn pseudoinverse(&self, rcond: Option<f64>) -> Result<Tensor> {
        let size = greater_size(self, "a pseudoinverse")?;
        composite("pinv", || {
            let (s, u, v) = self.svd(false)?;
            let rcond = rcond.unwrap_or(10.0 * size * epsilon(self.dtype()));
            let least = s.max_keepdims(-1)? * rcond;
            let counts = s.greater(&least)?;
            // A quotient by 0 would spoil the gradient even where it does not count.
            let inverse = counts.select(&counts.select(&s, &s.ones_like()?)?.reciprocal()?, &s.zeros_like()?)?;
            (v * inverse.slice((Ellipsis, NewAxis, ..))?).matmul_with(u, false, true)
        })
    }

    /// A norm of the vectors along one axis or of the matrices in two, rows first; without those axes or, with
    /// `keepdims`, with 1 in their place. `keras.ops.norm` and NumPy's.
    ///
    /// ```
    /// use modulor_core::{NormOrder, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[3.0_f64, 0.0], [0.0, -4.0]]);
    /// assert_eq!(x.norm_of(NormOrder::Nuclear, &[0, 1], false)?.item::<f64>()?, 7.0);
    /// assert_eq!(x.norm_of(NormOrder::Order(1.0), &[1], false)?.to_vec::<f64>()?, [3.0, 4.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Without one or two axes; for an order that matrices, or vectors, do not have; for numbers that are no floats.
    pub fn norm_of(&self, order: NormOrder, axes: &[i64], keepdims: bool) -> Result<Tensor> {
        self.check()?;
        let rank = self.rank().ok_or_else(|| Error::unimplemented("a norm of a tensor of an unknown rank"))? as i64;
        let within = |&axis: &i64| match axis {
            axis if (-rank..rank).contains(&axis) => Ok(if axis < 0 { axis + rank } else { axis }),
            axis => Err(Error::invalid_argument(format!("axis {axis} of a tensor of shape {}", self.shape()))),
        };
        let axes = axes.iter().map(within).collect::<Result<Vec<i64>>>()?;
        let kept = composite("norm", || match (&*axes, order) {
            ([_] | [_, _], NormOrder::Frobenius) => self.square()?.sum_keepdims(&*axes)?.sqrt(),
            (&[axis], NormOrder::Order(order)) => vector_norm(self, order, axis),
            (&[row, column], order) if row != column => matrix_norm(self, order, row, column),
            (found, order) => {
                Err(Error::invalid_argument(format!("there is no norm of {order:?} along axes {found:?}")))
            }
        })?;
        if keepdims { Ok(kept) } else { kept.squeeze(axes) }
    }
}

/// The norm of vectors, with 1 in the place of their axis.
fn vector_norm(x: &Tensor, order: f64, axis: i64) -> Result<Tensor> {
    let magnitude = || x.abs();
    if order == f64::INFINITY {
        magnitude()?.max_keepdims(axis)
    } else if order == f64::NEG_INFINITY {
        magnitude()?.min_keepdims(axis)
    } else if order == 0.0 {
        x.not_equal(0.0)?.cast(x.dtype())?.sum_keepdims(axis)
    } else if order == 2.0 {
        x.square()?.sum_keepdims(axis)?.sqrt()
    } else {
        magnitude()?.pow(order)?.sum_keepdims(axis)?.pow(1.0 / order)
    }
}

/// The norm of matrices, with 1 in the place of their axes.
fn matrix_norm(x: &Tensor, order: NormOrder, row: i64, column: i64) -> Result<Tensor> {
    let sums = |along: i64| x.abs()?.sum_keepdims(along);
    let values = |fold: fn(&Tensor) -> Result<Tensor>| {
        let others = (0..x.rank().unwrap_or(0) as i64).filter(|&axis| axis != row && axis != column);
        let matrices = x.permute(others.chain([row, column]).collect::<Vec<_>>())?;
        fold(&matrices.singular_values()?)?.expand_dims(row.min(column))?.expand_dims(row.max(column))
    };
    match order {
        NormOrder::Nuclear => values(|s| s.sum(-1)),
        NormOrder::Order(2.0) => values(|s| s.max(-1)),
        NormOrder::Order(-2.0) => values(|s| s.min(-1)),
        NormOrder::Order(1.0) => sums(row)?.max_keepdims(column),
        NormOrder::Order(-1.0) => sums(row)?.min_keepdims(column),
        NormOrder::Order(f64::INFINITY) => sums(column)?.max_keepdims(row),
        NormOrder::Order(f64::NEG_INFINITY) => sums(column)?.min_keepdims(row),
        _ => Err(Error::invalid_argument(format!("there is no norm of matrices of {order:?}"))),
    }
}

/// The first of an op's outputs.
fn first(outputs: Vec<Tensor>) -> Result<Tensor> {
    outputs.into_iter().next().ok_or_else(|| Error::internal("an op has outputs"))
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "SelfAdjointEigV2",
        parse: |attrs| Ok(Arc::new(SelfAdjointEigV2 { compute_v: attrs.bool("compute_v", true)? })),
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "Svd",
        parse: |attrs| {
            let (compute_uv, full_matrices) = (attrs.bool("compute_uv", true)?, attrs.bool("full_matrices", false)?);
            Ok(Arc::new(Svd { compute_uv, full_matrices }))
        },
        accuracy: Accuracy::Sum,
    },
]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value_and_grad;

    /// The slope of `f` along a direction, from differences and from the gradient.
    #[track_caller]
    fn check_slope(x: &Tensor, along: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) {
        let slope = || {
            let (_, gradient) = value_and_grad(|x| f(&x[0]), std::slice::from_ref(x))?;
            let at = |step: f64| f(&(x + along * step))?.item::<f64>();
            let expected = (8.0 * (at(1e-4)? - at(-1e-4)?) - (at(2e-4)? - at(-2e-4)?)) / 12e-4;
            Ok::<_, Error>(((&gradient[0] * along).sum(..)?.item::<f64>()?, expected))
        };
        let (found, expected) = slope().expect("a slope");
        assert!((found - expected).abs() < 1e-8, "{found} is not {expected}");
    }

    fn numbers(dims: &[usize], by: f64) -> Tensor {
        let count = dims.iter().product::<usize>();
        Tensor::new(dims, (0..count).map(|i| (i as f64 * (i as f64 + 2.0) * by + 0.3).sin()).collect::<Vec<_>>())
            .expect("as many")
    }

    #[test]
    fn eigenvectors_have_slopes() {
        let (x, along, weights) = (numbers(&[2, 4, 4], 1.7), numbers(&[2, 4, 4], 2.9), numbers(&[2, 4, 4], 0.7));
        check_slope(&x, &along, |x| (x.eigh()?.1 * &weights).sum(..));
        check_slope(&x, &along, |x| (x.eigenvalues()? * numbers(&[2, 4], 0.9)).sum(..));
    }

    #[test]
    fn singular_vectors_have_slopes() {
        for dims in [[2, 3, 3], [2, 4, 2], [2, 2, 4], [1, 3, 4]] {
            let (x, along) = (numbers(&dims, 1.7), numbers(&dims, 2.9));
            let k = dims[1].min(dims[2]);
            let (of_u, of_v) = (numbers(&[dims[0], dims[1], k], 0.7), numbers(&[dims[0], dims[2], k], 1.1));
            check_slope(&x, &along, |x| {
                let (s, u, v) = x.svd(false)?;
                (u * &of_u).sum(..)?.add((v * &of_v).sum(..)?)?.add(s.square()?.sum(..)?)
            });
            check_slope(&x, &along, |x| x.singular_values()?.sum(..));
        }
        let x = numbers(&[3, 4], 1.7);
        let (_, u, v) = x.svd(true).expect("factors");
        assert_eq!((u.shape(), v.shape()), (&Shape::from([3, 3]), &Shape::from([4, 4])));
    }

    #[test]
    fn full_vectors_of_long_matrices_have_no_gradient_and_say_so() -> Result<()> {
        let x = numbers(&[4, 2], 1.7);
        let error = value_and_grad(|x| x[0].svd(true)?.1.sum(..), &[x]).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "no gradient of full singular vectors where rows and columns differ by more than one [Op:Svd]"
        );
        Ok(())
    }

    /// What `keras.ops.norm` gives for `[[1, -2, 3], [4, 5, -6]]`.
    #[test]
    fn norms_are_kerass() -> Result<()> {
        let x = Tensor::from([[1.0_f64, -2.0, 3.0], [4.0, 5.0, -6.0]]);
        let of = |order, axes: &[i64]| x.norm_of(order, axes, false)?.to_vec::<f64>();
        use NormOrder::{Frobenius, Nuclear, Order};
        for (order, expected) in [
            (Frobenius, 91.0_f64.sqrt()),
            (Order(1.0), 9.0),
            (Order(-1.0), 5.0),
            (Order(f64::INFINITY), 15.0),
            (Order(f64::NEG_INFINITY), 6.0),
        ] {
            assert_eq!(of(order, &[0, 1])?, [expected], "{order:?}");
        }
        let (greatest, least) = (of(Order(2.0), &[0, 1])?[0], of(Order(-2.0), &[-2, -1])?[0]);
        assert!((greatest.powi(2) + least.powi(2) - 91.0).abs() < 1e-12);
        assert!((of(Nuclear, &[1, 0])?[0] - greatest - least).abs() < 1e-12);
        assert_eq!(of(Order(0.0), &[1])?, [3.0, 3.0]);
        assert_eq!(of(Order(f64::INFINITY), &[0])?, [4.0, 5.0, 6.0]);
        assert_eq!(of(Order(f64::NEG_INFINITY), &[0])?, [1.0, 2.0, 3.0]);
        assert!((of(Order(3.0), &[1])?[0] - 36.0_f64.cbrt()).abs() < 1e-14);
        assert_eq!(*x.norm_of(Nuclear, &[0, 1], true)?.shape(), Shape::from([1, 1]));
        for axes in [&[][..], &[0, 0], &[2]] {
            assert!(x.norm_of(Nuclear, axes, false).is_err());
        }
        assert!(of(Order(3.0), &[0, 1]).is_err() && of(Nuclear, &[0]).is_err());
        Ok(())
    }

    #[test]
    fn a_pseudoinverse_inverts_what_can_be() -> Result<()> {
        let x = numbers(&[2, 4, 3], 1.7);
        let y = x.matmul(x.pseudoinverse(None)?)?.matmul(&x)?;
        for (found, expected) in y.to_vec::<f64>()?.into_iter().zip(x.to_vec::<f64>()?) {
            assert!((found - expected).abs() < 1e-13);
        }
        check_slope(&x, &numbers(&[2, 4, 3], 2.9), |x| (x.pseudoinverse(None)? * numbers(&[2, 3, 4], 0.7)).sum(..));
        Ok(())
    }
}
