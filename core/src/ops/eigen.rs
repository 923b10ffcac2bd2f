//! Eigenvalues and eigenvectors of matrices that need not be symmetric, which are complex.

use super::complex::{given_as, of_parts};
use super::decomposition::{cost, matrices};
use super::inverse::square;
use super::linalg::split_last_two;
use super::spectrum::reciprocals_of_differences;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, apply, arity, rank_unknown, unsupported,
};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use modulor_kernels::{Matrix, copy, each_row};
use num_complex::{Complex, Complex64};
use std::sync::Arc;

/// The steps that a matrix needs, roughly, in products of such matrices.
const STEPS: usize = 12;
/// How often a step is taken for one eigenvalue at most.
const MOST: usize = 60;

/// Eigenvalues, from that of the least magnitude on, and eigenvectors of length 1. Computed in complex128 whatever the dtype.
#[derive(Debug)]
struct Eig {
    compute_v: bool,
    to: DType,
}

/// The dtype of complex numbers that are as wide as these.
fn complex_of(dtype: DType) -> Result<DType> {
    if dtype.is_complex() { Ok(dtype) } else { of_parts(dtype) }
}

impl Op for Eig {
    fn name(&self) -> &'static str {
        "Eig"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("compute_v", self.compute_v).with("Tout", self.to)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = given_as(complex_of(x.spec.dtype)?, self.to)?;
        let matrix = square(&x.spec.shape)?;
        let values = matrix.dims().map_or(Shape::unknown(), |dims| dims[..dims.len() - 1].to_vec().into());
        let vectors = if self.compute_v { matrix } else { [0].into() };
        Ok(vec![Spec::new(dtype, values), Spec::new(dtype, vectors)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        // Each matrix as it is given, its Schur form and its turns; its eigenvalues and two rows.
        (3 * inputs[0].len() + 3 * outputs[0].len()) * size_of::<Complex64>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, [values_out, vectors_out]) = (inputs[0], outputs) else {
            return Err(Error::internal("two outputs were inferred"));
        };
        let (len, count) = (x.len(), values_out.len());
        let (_, [rows, _]) = split_last_two(x.dims());
        if rows == 0 || len == 0 {
            return Ok(());
        }
        let (given, room) = scratch.take::<Complex64>(3 * (len + count))?.split_at_mut(len);
        let (all, room) = room.split_at_mut(len);
        let (turns, work) = room.split_at_mut(len);
        fn read<T: Pod>(
            x: View,
            given: &mut [Complex64],
            to: &mut [Complex64],
            wide: fn(T) -> Complex64,
        ) -> Result<()> {
            let own = &mut bytemuck::cast_slice_mut::<_, T>(given)[..to.len()];
            copy(x.elements::<T>()?, own);
            to.iter_mut().zip(own).for_each(|(to, own)| *to = wide(*own));
            Ok(())
        }
        match x.dtype() {
            DType::F32 => read::<f32>(x, given, all, |x| Complex::new(x.into(), 0.0)),
            DType::F64 => read::<f64>(x, given, all, |x| Complex::new(x, 0.0)),
            DType::Complex64 => read::<Complex<f32>>(x, given, all, |x| Complex::new(x.re.into(), x.im.into())),
            DType::Complex128 => read::<Complex64>(x, given, all, |x| x),
            other => Err(unsupported(other)),
        }?;
        let parts = [(&mut *all, rows * rows), (&mut *turns, rows * rows), (&mut *work, 3 * rows)];
        let parts = parts.map(|(all, each)| Matrix::new(all, each));
        each_row(matrices(&x), STEPS * cost(rows, rows), parts, |_, [matrix, turns, work]| {
            if !decompose(rows, matrix, turns, work) {
                work.fill(Complex::new(f64::NAN, f64::NAN));
            }
        });
        let failed = work.chunks_exact(3 * rows).position(|work| work[0].is_nan());
        if let Some(i) = failed {
            let message = format!("matrix {i} has elements that are not finite, or too far apart, to have eigenvalues");
            return Err(Error::invalid_argument(message));
        }
        let values = work.chunks_exact(3 * rows).flat_map(|work| &work[..rows]);
        let vectors = turns.iter();
        match self.to {
            DType::Complex64 => {
                let narrow = |x: &Complex64| Complex::new(x.re as f32, x.im as f32);
                values_out.elements::<Complex<f32>>()?.iter_mut().zip(values).for_each(|(y, x)| *y = narrow(x));
                if self.compute_v {
                    vectors_out.elements::<Complex<f32>>()?.iter_mut().zip(vectors).for_each(|(y, x)| *y = narrow(x));
                }
            }
            _ => {
                values_out.elements::<Complex64>()?.iter_mut().zip(values).for_each(|(y, x)| *y = *x);
                if self.compute_v {
                    vectors_out.elements::<Complex64>()?.copy_from_slice(turns);
                }
            }
        }
        Ok(())
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, de) = (b.input(0), b.dy(0).as_diagonal(0)?);
        let adjoint = |v: &Tensor| v.conj()?.swap_axes(-1, -2);
        let (turned, middle) = if self.compute_v {
            let (e, v, dv) = (b.output(0), b.output(1), b.dy(1));
            let turned = adjoint(v)?;
            let moved = turned.matmul(dv)?;
            // What an eigenvector is scaled by is no change of it.
            let along = moved.diagonal(0)?.real()?;
            let along = Tensor::complex(&along, &along.zeros_like()?)?.as_diagonal(0)?;
            let across = moved.sub(turned.matmul(v)?.matmul(along)?)?;
            let middle = de.add(reciprocals_of_differences(e)?.conj()?.mul(across)?)?;
            (turned, middle)
        } else {
            (adjoint(&x.eig()?.1)?, de)
        };
        let whole = solved(&turned, &middle.matmul(&turned)?)?;
        Ok(vec![Some(if x.dtype().is_complex() { whole } else { whole.real()? })])
    }
}

/// What complex matrices must be multiplied by to become others, by real matrices of twice the size.
fn solved(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (re, im) = (a.real()?, a.imag()?);
    let above = Tensor::concat(&[re.clone(), im.neg()?], -1)?;
    let whole = Tensor::concat(&[above, Tensor::concat(&[im, re], -1)?], -2)?;
    let found = whole.solve(&Tensor::concat(&[b.real()?, b.imag()?], -2)?, false)?.split(2, -2)?;
    let [re, im] = &*found else { return Err(Error::internal("two parts were asked for")) };
    Tensor::complex(re, im)
}

/// Puts the eigenvalues of a matrix of so many rows first in `work`, of three times as many numbers, from the least magnitude on, and
/// its eigenvectors as columns into `vectors`; whether it could. The matrix becomes its Schur form.
fn decompose(n: usize, matrix: &mut [Complex64], vectors: &mut [Complex64], work: &mut [Complex64]) -> bool {
    if matrix.iter().any(|x| !x.re.is_finite() || !x.im.is_finite()) {
        return false;
    }
    // To numbers about 1, so that no square is too large or too small.
    let greatest = matrix.iter().map(|x| x.re.abs().max(x.im.abs())).fold(0.0, f64::max);
    let scale = if greatest > 0.0 { greatest } else { 1.0 };
    matrix.iter_mut().for_each(|x| *x = Complex::new(x.re / scale, x.im / scale));
    let (values, work) = work.split_at_mut(n);
    let (first, second) = work.split_at_mut(n);
    let second = &mut second[..n];
    vectors.fill(Complex::ZERO);
    (0..n).for_each(|i| vectors[i * n + i] = Complex::ONE);
    to_hessenberg(n, matrix, vectors, first);
    if !to_schur(n, matrix, vectors, first, second) {
        return false;
    }
    (0..n).for_each(|i| values[i] = matrix[i * n + i]);
    let least = f64::EPSILON * matrix.iter().map(|x| x.norm()).fold(1.0, f64::max);
    // From the last one on, as each needs the columns before its own.
    for k in (0..n).rev() {
        let vector = &mut first[..=k];
        vector[k] = Complex::ONE;
        for i in (0..k).rev() {
            let sum: Complex64 = (i + 1..=k).map(|j| matrix[i * n + j] * vector[j]).sum();
            let apart = values[k] - values[i];
            vector[i] = sum / if apart.norm() < least { Complex::from(least) } else { apart };
        }
        for row in vectors.chunks_exact_mut(n) {
            row[k] = row.iter().zip(&*vector).map(|(turn, x)| turn * x).sum();
        }
        let length = vectors.chunks_exact(n).fold(0.0, |length: f64, row| length.hypot(row[k].norm()));
        vectors.chunks_exact_mut(n).for_each(|row| row[k] /= length);
    }
    values.iter_mut().for_each(|x| *x *= scale);
    for k in 0..n {
        let next = (k..n).min_by(|&i, &j| values[i].norm().total_cmp(&values[j].norm())).unwrap_or(k);
        values.swap(k, next);
        vectors.chunks_exact_mut(n).for_each(|row| row.swap(k, next));
    }
    values.iter().chain(&*vectors).all(|x| x.re.is_finite() && x.im.is_finite())
}

/// Makes all below the first diagonal under the main one 0 by reflections from both sides, which `turns` takes from the right.
fn to_hessenberg(n: usize, matrix: &mut [Complex64], turns: &mut [Complex64], room: &mut [Complex64]) {
    for k in 0..n.saturating_sub(2) {
        let mirror = &mut room[..n - k - 1];
        (0..mirror.len()).for_each(|i| mirror[i] = matrix[(k + 1 + i) * n + k]);
        let length = mirror.iter().fold(0.0, |length: f64, x| length.hypot(x.norm()));
        if length == 0.0 {
            continue;
        }
        let size = mirror[0].norm();
        mirror[0] += if size == 0.0 { Complex::from(length) } else { mirror[0] / size * length };
        let all = mirror.iter().fold(0.0, |length: f64, x| length.hypot(x.norm()));
        mirror.iter_mut().for_each(|x| *x /= all);
        for column in k..n {
            let along: Complex64 = (0..mirror.len()).map(|i| mirror[i].conj() * matrix[(k + 1 + i) * n + column]).sum();
            (0..mirror.len()).for_each(|i| matrix[(k + 1 + i) * n + column] -= mirror[i] * along * 2.0);
        }
        for row in matrix.chunks_exact_mut(n).chain(turns.chunks_exact_mut(n)) {
            let along: Complex64 = row[k + 1..].iter().zip(&*mirror).map(|(x, mirror)| x * mirror).sum();
            row[k + 1..].iter_mut().zip(&*mirror).for_each(|(x, mirror)| *x -= mirror.conj() * along * 2.0);
        }
        (k + 2..n).for_each(|i| matrix[i * n + k] = Complex::ZERO);
    }
}

/// Makes a Hessenberg matrix a triangle by steps of the QR algorithm with Wilkinson's shifts, whose turns `turns` takes from the right;
/// whether it became one.
fn to_schur(
    n: usize,
    matrix: &mut [Complex64],
    turns: &mut [Complex64],
    cosines: &mut [Complex64],
    sines: &mut [Complex64],
) -> bool {
    let (mut high, mut steps) = (n - 1, 0);
    while high > 0 {
        let mut low = high;
        while low > 0 {
            let beside = matrix[low * n + low].norm() + matrix[(low - 1) * n + low - 1].norm();
            if matrix[low * n + low - 1].norm() <= f64::EPSILON * beside {
                matrix[low * n + low - 1] = Complex::ZERO;
                break;
            }
            low -= 1;
        }
        if low == high {
            (high, steps) = (high - 1, 0);
            continue;
        }
        steps += 1;
        if steps > MOST {
            return false;
        }
        let shift = shift(n, matrix, high, steps);
        (low..=high).for_each(|i| matrix[i * n + i] -= shift);
        for k in low..high {
            let (a, b) = (matrix[k * n + k], matrix[(k + 1) * n + k]);
            let length = a.norm().hypot(b.norm());
            let (c, s) = if length == 0.0 { (Complex::ONE, Complex::ZERO) } else { (a / length, b / length) };
            (cosines[k], sines[k]) = (c, s);
            for column in k..n {
                let (x, y) = (matrix[k * n + column], matrix[(k + 1) * n + column]);
                matrix[k * n + column] = c.conj() * x + s.conj() * y;
                matrix[(k + 1) * n + column] = c * y - s * x;
            }
        }
        for k in low..high {
            let (c, s) = (cosines[k], sines[k]);
            let within = matrix.chunks_exact_mut(n).take(k + 2);
            for row in within.chain(turns.chunks_exact_mut(n)) {
                let (x, y) = (row[k], row[k + 1]);
                row[k] = x * c + y * s;
                row[k + 1] = y * c.conj() - x * s.conj();
            }
        }
        (low..=high).for_each(|i| matrix[i * n + i] += shift);
    }
    true
}

/// The eigenvalue of the last two rows and columns up to `high` that is nearer to the last element; now and then another number, so that
/// no step is taken in vain for ever.
fn shift(n: usize, matrix: &[Complex64], high: usize, steps: usize) -> Complex64 {
    let at = |row: usize, column: usize| matrix[row * n + column];
    if steps.is_multiple_of(10) {
        let before = if high > 1 { at(high - 1, high - 2).norm() } else { 0.0 };
        return Complex::from(at(high, high - 1).norm() + before);
    }
    let (a, b, c, d) = (at(high - 1, high - 1), at(high - 1, high), at(high, high - 1), at(high, high));
    let half = (a - d) * 0.5;
    let root = (half * half + b * c).sqrt();
    let mean = (a + d) * 0.5;
    let [one, other] = [mean + root, mean - root];
    if (one - d).norm() < (other - d).norm() { one } else { other }
}

impl Tensor {
    /// The eigenvalues of the matrices in the last two axes, which need not be symmetric, from that of the least magnitude on, and their
    /// eigenvectors as columns of length 1: complex numbers. By what of length 1 a vector is multiplied, is open. TensorFlow's `Eig`,
    /// Keras's `ops.eig`; for symmetric matrices there is [`eigh`](Tensor::eigh).
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// // A quarter turn.
    /// let (values, vectors) = Tensor::from([[0.0_f64, -1.0], [1.0, 0.0]]).eig()?;
    /// assert!(values.real()?.all_close(0.0, 0.0, 1e-15, false)?.item::<bool>()?);
    /// assert!(values.imag()?.abs()?.all_close(1.0, 0.0, 1e-15, false)?.item::<bool>()?);
    /// assert_eq!(vectors.dims()?, [2, 2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For matrices that are not square, or have elements that are not finite.
    pub fn eig(&self) -> Result<(Tensor, Tensor)> {
        self.decomposed(true)
    }

    /// The eigenvalues alone that [`eig`](Tensor::eig) gives. TensorFlow's `tf.linalg.eigvals`.
    pub fn eigvals(&self) -> Result<Tensor> {
        Ok(self.decomposed(false)?.0)
    }

    fn decomposed(&self, compute_v: bool) -> Result<(Tensor, Tensor)> {
        self.check()?;
        let to = complex_of(self.dtype()).map_err(|error| error.in_op("Eig"))?;
        let mut outputs = apply(Eig { compute_v, to }, &[self])?.into_iter();
        match (outputs.next(), outputs.next()) {
            (Some(values), Some(vectors)) => Ok((values, vectors)),
            _ => Err(Error::internal("two outputs were inferred")),
        }
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[OpDef {
    name: "Eig",
    parse: |attrs| {
        let to = attrs.dtype("Tout", Some(DType::Complex64))?;
        Ok(Arc::new(Eig { compute_v: attrs.bool("compute_v", true)?, to }))
    },
    accuracy: Accuracy::Sum,
}]];

#[cfg(test)]
mod tests {
    use super::*;

    /// The greatest part of A·v − λ·v over all pairs.
    fn off(x: &Tensor) -> f64 {
        let (values, vectors) = x.eig().unwrap();
        let wide =
            if x.dtype().is_complex() { x.clone() } else { Tensor::complex(x, &x.zeros_like().unwrap()).unwrap() };
        let scaled = vectors.mul(values.expand_dims(-2).unwrap()).unwrap();
        let off = wide.matmul(&vectors).unwrap().sub(&scaled).unwrap();
        off.magnitude().unwrap().max(..).unwrap().item().unwrap()
    }

    #[test]
    fn matrices_scale_their_eigenvectors() {
        for n in [1, 2, 3, 5, 8, 20, 61] {
            let wave = |seed: f64| (0..n * n).map(|i| (seed + i as f64 * 1.37).sin()).collect::<Vec<f64>>();
            let x = Tensor::new([n, n], wave(1.0)).unwrap();
            assert!(off(&x) < 1e-13 * n as f64, "{n}: {}", off(&x));
            let z = Tensor::complex(&x, &Tensor::new([n, n], wave(0.3)).unwrap()).unwrap();
            assert!(off(&z) < 1e-13 * n as f64, "{n}, complex: {}", off(&z));
        }
        // Zeros, a block that has one eigenvector, a permutation, and elements far apart.
        for x in [
            [[0.0; 3]; 3],
            [[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 2.0]],
            [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            [[1.0, 1e8, 0.0], [1e-8, 1.0, 1e8], [0.0, 1e-8, 1.0]],
            [[1e300, -2e300, 0.0], [3e300, 1e300, 1e299], [0.0, 0.0, 5e300]],
            [[1e-300, -2e-300, 0.0], [3e-300, 1e-300, 1e-301], [0.0, 0.0, 5e-300]],
        ] {
            let greatest = x.as_flattened().iter().copied().fold(0.0, f64::max);
            assert!(off(&Tensor::from(x)) <= 1e-14 * greatest, "{x:?}");
        }
    }

    #[test]
    fn what_has_no_eigenvalues_says_so() {
        let error = Tensor::from([[1.0_f32, f32::NAN], [0.0, 1.0]]).eig().unwrap_err().to_string();
        assert!(error.contains("matrix 0 has elements that are not finite"), "{error}");
        assert!(Tensor::from([[1, 2], [3, 4]]).eig().unwrap_err().to_string().contains("takes float32 or float64"));
    }
}
