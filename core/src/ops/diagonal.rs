//! Diagonals: read from matrices, put into them, and made matrices of; and products across three dimensions.

use super::array::{copy_view, index_tensor};
use super::fill::fill;
use super::linalg::split_last_two;
use crate::dtype::{by_width, dispatch};
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, at_least_rank,
    ints, on_strings, one_int, same_dtype, unsupported, with_rank,
};
use crate::shape::count;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::sync::Arc;

/// A band of diagonals of a matrix: the lowest and the highest, counted from the main one upwards.
#[derive(Clone, Copy)]
struct Band {
    low: i64,
    high: i64,
}

impl Band {
    /// One number, or two that do not fall.
    fn of(k: &[i64]) -> Result<Band> {
        match *k {
            [k] => Ok(Band { low: k, high: k }),
            [low, high] if low <= high => Ok(Band { low, high }),
            _ => Err(Error::invalid_argument(format!("k is a diagonal, or the lowest and the highest, found {k:?}"))),
        }
    }
    /// The same for a kernel, whose inputs `infer` has accepted.
    fn read(k: &View) -> Result<Band> {
        let low = k.int(0)?;
        Ok(Band { low, high: if k.len() > 1 { k.int(1)? } else { low } })
    }
    /// Refuses diagonals that a matrix does not have.
    fn check(self, rows: usize, columns: usize) -> Result<()> {
        let there = |k: i64| k == 0 || (-(rows as i64) < k && k < columns as i64);
        match [self.low, self.high].into_iter().find(|&k| !there(k)) {
            None => Ok(()),
            Some(k) => Err(Error::invalid_argument(format!("a {rows} by {columns} matrix has no diagonal {k}"))),
        }
    }
    /// How many diagonals there are.
    fn number(self) -> usize {
        usize::try_from(self.high.saturating_sub(self.low)).unwrap_or(usize::MAX).saturating_add(1)
    }
    /// The length of a diagonal of a matrix, and of the longest.
    fn lengths(self, k: i64, rows: usize, columns: usize) -> [usize; 2] {
        let length =
            |below: i64, above: i64| (rows as i64 + below.min(0)).min(columns as i64 - above.max(0)).max(0) as usize;
        [length(k, k), length(self.high, self.low)]
    }
    /// The dims that the diagonals of a matrix make.
    fn dims(self, rows: usize, columns: usize) -> Vec<usize> {
        let longest = self.lengths(self.low, rows, columns)[1];
        if self.low == self.high { vec![longest] } else { vec![self.number(), longest] }
    }
}

/// At which end short diagonals begin: of those above the main one, and of those below it.
#[derive(Clone, Copy, Debug)]
struct Align {
    above_left: bool,
    below_left: bool,
}

impl Align {
    fn parse(attrs: &Attrs) -> Result<Align> {
        let name = attrs.string("align", "RIGHT_LEFT".to_owned())?;
        let (above_left, below_left) = match &*name {
            "RIGHT_LEFT" => (false, true),
            "LEFT_RIGHT" => (true, false),
            "LEFT_LEFT" => (true, true),
            "RIGHT_RIGHT" => (false, false),
            _ => {
                let message = "align is LEFT_RIGHT, RIGHT_LEFT, LEFT_LEFT or RIGHT_RIGHT, found";
                return Err(Error::invalid_argument(format!("{message} {name}")));
            }
        };
        Ok(Align { above_left, below_left })
    }
    fn attrs(self) -> Attrs {
        let side = |left: bool| if left { "LEFT" } else { "RIGHT" };
        Attrs::new().with("align", format!("{}_{}", side(self.above_left), side(self.below_left)))
    }
    /// Where diagonal `k` begins among places of which the longest takes all.
    fn start(self, k: i64, [length, longest]: [usize; 2]) -> usize {
        let left = k >= 0 && self.above_left || k <= 0 && self.below_left;
        if left { 0 } else { longest - length }
    }
}

/// Calls `f` with each place of the band in a matrix and in what its diagonals make.
fn each_place(band: Band, align: Align, [rows, columns]: [usize; 2], mut f: impl FnMut(usize, usize)) {
    for (i, k) in (band.low..=band.high).rev().enumerate() {
        let lengths = band.lengths(k, rows, columns);
        let start = i * lengths[1] + align.start(k, lengths);
        let (row, column) = ((-k).max(0) as usize, k.max(0) as usize);
        for j in 0..lengths[0] {
            f((row + j) * columns + column + j, start + j);
        }
    }
}

/// The numbers that say a band, where they are known.
fn band(k: &Input) -> Result<Option<Band>> {
    if k.spec.shape.rank().is_some_and(|rank| rank > 1) {
        return Err(Error::invalid_argument(format!("k is a scalar or a vector, found shape {}", k.spec.shape)));
    }
    ints(k, "k")?.as_deref().map(Band::of).transpose()
}

/// The diagonals of matrices.
#[derive(Debug)]
struct MatrixDiagPartV3 {
    align: Align,
}

impl Op for MatrixDiagPartV3 {
    fn name(&self) -> &'static str {
        "MatrixDiagPartV3"
    }
    fn attrs(&self) -> Attrs {
        self.align.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, k, padding] = arity(inputs)?;
        let dtype = allowed(same_dtype(&[*x, *padding])?, DType::has_elements, "numbers, bools and strings")?;
        at_least_rank(&x.spec.shape, 2, "the matrix")?;
        with_rank(&padding.spec.shape, 0, "padding_value")?;
        let (band, Some(dims)) = (band(k)?, x.spec.shape.dims()) else {
            return Ok(vec![Spec::new(dtype, Shape::unknown())]);
        };
        let (batch, [rows, columns]) = split_last_two(&dims);
        let (Some(band), Some(rows), Some(columns)) = (band, rows, columns) else {
            return Ok(vec![Spec::new(dtype, Shape::unknown())]);
        };
        band.check(rows, columns)?;
        let shape: Shape = batch.iter().copied().chain(band.dims(rows, columns).into_iter().map(Some)).collect();
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, k, padding] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let (_, matrix) = split_last_two(x.dims());
        let (band, out) = (Band::read(k)?, &mut outputs[0]);
        let each = band.number() * band.lengths(band.low, matrix[0], matrix[1])[1];
        fill(padding, out)?;
        let room = scratch.take(x.dense_room())?;
        by_width!(x.dtype(), T => {
            let (x, out) = (x.dense::<T>(room)?.0, out.elements::<T>()?);
            for (x, out) in x.chunks((matrix[0] * matrix[1]).max(1)).zip(out.chunks_mut(each.max(1))) {
                each_place(band, self.align, matrix, |from, to| out[to] = x[from]);
            }
        });
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let set = MatrixSetDiagV3 { align: self.align };
        let dx = b.when(0, || apply_one(set, &[&b.input(0).zeros_like()?, b.dy(0), b.input(1)]))?;
        Ok(vec![dx, None, None])
    }
}

/// Matrices with other diagonals.
#[derive(Debug)]
struct MatrixSetDiagV3 {
    align: Align,
}

impl Op for MatrixSetDiagV3 {
    fn name(&self) -> &'static str {
        "MatrixSetDiagV3"
    }
    fn attrs(&self) -> Attrs {
        self.align.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, diagonal, k] = arity(inputs)?;
        allowed(same_dtype(&[*x, *diagonal])?, DType::has_elements, "numbers, bools and strings")?;
        at_least_rank(&x.spec.shape, 2, "the matrix")?;
        at_least_rank(&diagonal.spec.shape, 1, "the diagonal")?;
        let (Some(band), Some(dims)) = (band(k)?, x.spec.shape.dims()) else { return Ok(vec![x.spec.clone()]) };
        let (batch, [rows, columns]) = split_last_two(&dims);
        let (Some(rows), Some(columns)) = (rows, columns) else { return Ok(vec![x.spec.clone()]) };
        band.check(rows, columns)?;
        let expected: Shape = batch.iter().copied().chain(band.dims(rows, columns).into_iter().map(Some)).collect();
        if !diagonal.spec.shape.is_compatible_with(&expected) {
            let found = &diagonal.spec.shape;
            return Err(Error::invalid_argument(format!("the diagonals must be of shape {expected}, found {found}")));
        }
        Ok(vec![x.spec.clone()])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[1].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, diagonal, k] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let (_, matrix) = split_last_two(x.dims());
        let (band, out) = (Band::read(k)?, &mut outputs[0]);
        let each = band.number() * band.lengths(band.low, matrix[0], matrix[1])[1];
        copy_view(*x, out)?;
        let room = scratch.take(diagonal.dense_room())?;
        by_width!(x.dtype(), T => {
            let (diagonal, out) = (diagonal.dense::<T>(room)?.0, out.elements::<T>()?);
            for (out, own) in out.chunks_mut((matrix[0] * matrix[1]).max(1)).zip(diagonal.chunks(each.max(1))) {
                each_place(band, self.align, matrix, |to, from| out[to] = own[from]);
            }
        });
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (diagonal, k, dy) = (b.input(1), b.input(2), b.dy(0));
        let set = MatrixSetDiagV3 { align: self.align };
        let part = MatrixDiagPartV3 { align: self.align };
        let dx = b.when(0, || apply_one(set, &[dy, &diagonal.zeros_like()?, k]))?;
        let zero = Tensor::number(0.0, dy.dtype())?;
        Ok(vec![dx, b.when(1, || apply_one(part, &[dy, k, &zero]))?, None])
    }
}

/// Matrices of which some diagonals are given.
#[derive(Debug)]
struct MatrixDiagV3 {
    align: Align,
}

impl MatrixDiagV3 {
    /// The rows and columns of a matrix with such a longest diagonal, where they are given or follow.
    fn sizes(band: Band, longest: usize, rows: i64, columns: i64) -> Result<[usize; 2]> {
        let longest = longest as i64;
        let least = [longest.saturating_sub(band.high.min(0)), longest.saturating_add(band.low.max(0))];
        let found = match (rows, columns) {
            (-1, -1) => [least[0].max(least[1]); 2],
            (-1, columns) => [least[0], columns],
            (rows, -1) => [rows, least[1]],
            given => [given.0, given.1],
        };
        let fits = found[0] >= least[0] && found[1] >= least[1] && (found[0] == least[0] || found[1] == least[1]);
        if !fits {
            return Err(Error::invalid_argument(format!(
                "diagonals {} to {} of length {longest} are of no {} by {} matrix",
                band.low, band.high, found[0], found[1]
            )));
        }
        let sizes = [found[0] as usize, found[1] as usize];
        band.check(sizes[0], sizes[1])?;
        Ok(sizes)
    }
}

impl Op for MatrixDiagV3 {
    fn name(&self) -> &'static str {
        "MatrixDiagV3"
    }
    fn attrs(&self) -> Attrs {
        self.align.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [diagonal, k, rows, columns, padding] = arity(inputs)?;
        let numbers = same_dtype(&[*diagonal, *padding])?;
        let dtype = allowed(numbers, DType::has_elements, "numbers, bools and strings")?;
        at_least_rank(&diagonal.spec.shape, 1, "the diagonal")?;
        with_rank(&padding.spec.shape, 0, "padding_value")?;
        let (band, rows, columns) = (band(k)?, one_int(rows, "num_rows")?, one_int(columns, "num_cols")?);
        let (Some(band), Some(mut dims)) = (band, diagonal.spec.shape.dims()) else {
            return Ok(vec![Spec::new(dtype, Shape::unknown())]);
        };
        let longest = dims.pop().flatten();
        if band.low < band.high {
            let found = dims.pop().flatten();
            if dims.is_empty() && diagonal.spec.shape.rank() == Some(1)
                || found.is_some_and(|found| found != band.number())
            {
                return Err(Error::invalid_argument(format!(
                    "the diagonals {} to {} are the rows of the last two axes, found shape {}",
                    band.low, band.high, diagonal.spec.shape
                )));
            }
        }
        let matrix = match (longest, rows, columns) {
            (Some(longest), Some(rows), Some(columns)) => Self::sizes(band, longest, rows, columns)?.map(Some),
            _ => [None; 2],
        };
        let shape: Shape = dims.into_iter().chain(matrix).collect();
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [diagonal, k, _, _, padding] = inputs else { return Err(Error::internal("five inputs were inferred")) };
        let (band, out) = (Band::read(k)?, &mut outputs[0]);
        let (_, matrix) = split_last_two(out.dims());
        let each = band.number() * diagonal.dims().last().copied().unwrap_or(0);
        fill(padding, out)?;
        let room = scratch.take(diagonal.dense_room())?;
        by_width!(out.dtype(), T => {
            let (diagonal, out) = (diagonal.dense::<T>(room)?.0, out.elements::<T>()?);
            for (out, own) in out.chunks_mut((matrix[0] * matrix[1]).max(1)).zip(diagonal.chunks(each.max(1))) {
                each_place(band, self.align, matrix, |to, from| out[to] = own[from]);
            }
        });
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let part = MatrixDiagPartV3 { align: self.align };
        let zero = Tensor::number(0.0, b.dy(0).dtype())?;
        Ok(vec![Some(apply_one(part, &[b.dy(0), b.input(1), &zero])?), None, None, None, None])
    }
}

/// Zeros in twice the axes, with a tensor where the first half of the indices is the second.
#[derive(Debug, Default)]
struct Diag;

/// What [`Diag`] puts there.
#[derive(Debug, Default)]
struct DiagPart;

/// The dtypes for which TensorFlow has both.
fn diagonal_dtype(dtype: DType) -> Result<DType> {
    let known = |d: DType| d.is_float() || d.is_complex() || matches!(d, DType::I32 | DType::I64);
    allowed(dtype, known, "floats, complex numbers, int32 and int64")
}

impl Op for Diag {
    fn name(&self) -> &'static str {
        "Diag"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = diagonal_dtype(x.spec.dtype)?;
        at_least_rank(&x.spec.shape, 1, "the diagonal")?;
        let shape = x.spec.shape.dims().map_or(Shape::unknown(), |dims| dims.repeat(2).into());
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, out) = (&inputs[0], &mut outputs[0]);
        let room = scratch.take(x.dense_room())?;
        out.bytes().fill(0);
        by_width!(x.dtype(), T => {
            let x = x.dense::<T>(room)?.0;
            out.elements::<T>()?.iter_mut().step_by(x.len() + 1).zip(x).for_each(|(out, x)| *out = *x);
        });
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(apply_one(DiagPart, &[b.dy(0)])?)])
    }
}

impl Op for DiagPart {
    fn name(&self) -> &'static str {
        "DiagPart"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = diagonal_dtype(x.spec.dtype)?;
        let Some(dims) = x.spec.shape.dims() else { return Ok(vec![Spec::new(dtype, Shape::unknown())]) };
        let (first, second) = dims.split_at(dims.len() / 2);
        let both = Shape::from(first.to_vec()).merge(&second.to_vec().into());
        let shape = both.ok_or_else(|| {
            Error::invalid_argument(format!("the first half of the dims must be the second, found {}", x.spec.shape))
        })?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, out) = (&inputs[0], &mut outputs[0]);
        let room = scratch.take(x.dense_room())?;
        by_width!(x.dtype(), T => {
            let (x, out) = (x.dense::<T>(room)?.0, out.elements::<T>()?);
            let step = out.len() + 1;
            out.iter_mut().zip(x.iter().step_by(step)).for_each(|(out, x)| *out = *x);
        });
        Ok(())
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let dy = b.dy(0);
        Ok(vec![Some(if dy.rank() == Some(0) { dy.clone() } else { apply_one(Diag, &[dy])? })])
    }
}

/// The products across of vectors of three elements.
#[derive(Debug, Default)]
struct Cross;

impl Op for Cross {
    fn name(&self) -> &'static str {
        "Cross"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        arity::<2>(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, |d| d.is_float() || d.is_integer(), "numbers")?;
        let shape = super::math::one_shape(inputs)?;
        at_least_rank(&shape, 1, "a vector")?;
        if let Some(last) = shape.rank().and_then(|rank| shape.dim(rank - 1)).filter(|&last| last != 3) {
            let message = format!("products across are of vectors of 3 elements, found {last} in {shape}");
            return Err(Error::failed_precondition(message));
        }
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        (inputs[0].dense_room() + inputs[1].dense_room()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (dtype, out) = (outputs[0].dtype(), &mut outputs[0]);
        let room = scratch.take(inputs[0].dense_room() + inputs[1].dense_room())?;
        dispatch!(dtype, number T => {
            let (a, room) = inputs[0].dense::<T>(room)?;
            let (b, _) = inputs[1].dense::<T>(room)?;
            for ((out, a), b) in out.elements::<T>()?.chunks_mut(3).zip(a.chunks(3)).zip(b.chunks(3)) {
                for (i, out) in out.iter_mut().enumerate() {
                    let (j, k) = ((i + 1) % 3, (i + 2) % 3);
                    *out = Crossed::crossed([a[j], b[k]], [a[k], b[j]]);
                }
            }
            Ok(())
        }, else => Err(unsupported(dtype)))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let dy = b.dy(0);
        Ok(vec![b.when(0, || b.input(1).cross(dy))?, b.when(1, || dy.cross(b.input(0)))?])
    }
}

/// A difference of two products.
trait Crossed: Sized {
    fn crossed(plus: [Self; 2], minus: [Self; 2]) -> Self;
}

macro_rules! crossed {
    ($($t:ty)*, $plus:ident $minus:ident => $result:expr) => { $(
        impl Crossed for $t {
            fn crossed($plus: [$t; 2], $minus: [$t; 2]) -> $t {
                $result
            }
        }
    )* };
}
crossed!(f32 f64 half::f16 half::bf16, a b => a[0] * a[1] - b[0] * b[1]);
crossed!(i8 i16 i32 i64 u8 u16 u32 u64, a b => a[0].wrapping_mul(a[1]).wrapping_sub(b[0].wrapping_mul(b[1])));

/// How diagonals lie where the caller does not say.
const ALIGN: Align = Align { above_left: false, below_left: true };

impl Tensor {
    /// The `k`-th diagonals of the matrices in the last two axes, counted from the main one upwards. TensorFlow's
    /// `MatrixDiagPartV3` of one diagonal, `tf.linalg.diag_part`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.diagonal(0)?.to_vec::<i32>()?, [1, 5]);
    /// assert_eq!(x.diagonal(1)?.to_vec::<i32>()?, [2, 6]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn diagonal(&self, k: i64) -> Result<Tensor> {
        self.check()?;
        apply_one(MatrixDiagPartV3 { align: ALIGN }, &[self, &index_tensor(&[k])?, &zero(self.dtype())?])
    }

    /// Square matrices with the last axis as their `k`-th diagonal and zeros elsewhere. TensorFlow's `MatrixDiagV3` of
    /// one diagonal, `tf.linalg.diag`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([1, 2]).as_diagonal(0)?.to_vec::<i32>()?, [1, 0, 0, 2]);
    /// assert_eq!(Tensor::from([7]).as_diagonal(-1)?.to_vec::<i32>()?, [0, 0, 7, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_diagonal(&self, k: i64) -> Result<Tensor> {
        self.check()?;
        let any = index_tensor(&[-1])?.reshape([])?;
        apply_one(MatrixDiagV3 { align: ALIGN }, &[self, &index_tensor(&[k])?, &any, &any, &zero(self.dtype())?])
    }

    /// The matrices of the last two axes with another `k`-th diagonal. TensorFlow's `MatrixSetDiagV3` of one diagonal,
    /// `tf.linalg.set_diag`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.with_diagonal(&Tensor::from([8, 9]), 0)?.to_vec::<i32>()?, [8, 2, 3, 9]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_diagonal(&self, diagonal: &Tensor, k: i64) -> Result<Tensor> {
        apply_one(MatrixSetDiagV3 { align: ALIGN }, &[self, diagonal, &index_tensor(&[k])?])
    }

    /// The sums of the main diagonals of the matrices in the last two axes. Keras's `ops.trace` of the last two axes,
    /// `tf.linalg.trace`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).trace()?.item::<i32>()?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn trace(&self) -> Result<Tensor> {
        super::composite::composite("trace", || self.diagonal(0)?.sum(-1))
    }

    /// The products across, `a×b`, of vectors of 3 elements along the last axis. TensorFlow's `Cross`; both of one
    /// shape.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([1, 2, 3]).cross(&Tensor::from([4, 5, 6]))?.to_vec::<i32>()?, [-3, 6, -3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cross(&self, other: &Tensor) -> Result<Tensor> {
        apply_one(Cross, &[self, other])
    }

    /// Zeros of twice the axes, and this where the first half of the indices is the second: of a vector a matrix with it
    /// as its diagonal. TensorFlow's `Diag`, `tf.linalg.tensor_diag`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([1, 2]).tensor_diag()?.to_vec::<i32>()?, [1, 0, 0, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tensor_diag(&self) -> Result<Tensor> {
        apply_one(Diag, &[self])
    }

    /// The elements where the first half of the indices is the second. TensorFlow's `DiagPart`,
    /// `tf.linalg.tensor_diag_part`.
    pub fn tensor_diag_part(&self) -> Result<Tensor> {
        apply_one(DiagPart, &[self])
    }
}

/// What stands where nothing is given.
fn zero(dtype: DType) -> Result<Tensor> {
    match dtype {
        DType::Bool => Ok(Tensor::scalar(false)),
        DType::String => Tensor::strings([], [""]),
        dtype => Tensor::number(0.0, dtype),
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "MatrixDiagPartV3",
        parse: |attrs| Ok(Arc::new(MatrixDiagPartV3 { align: Align::parse(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "MatrixSetDiagV3",
        parse: |attrs| Ok(Arc::new(MatrixSetDiagV3 { align: Align::parse(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "MatrixDiagV3",
        parse: |attrs| Ok(Arc::new(MatrixDiagV3 { align: Align::parse(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef::plain::<Diag>("Diag", Accuracy::Exact),
    OpDef::plain::<DiagPart>("DiagPart", Accuracy::Exact),
    OpDef::plain::<Cross>("Cross", Accuracy::Sum),
]];
