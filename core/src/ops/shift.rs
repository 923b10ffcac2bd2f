//! Elements moved along axes: around their ends, and backwards as far as each sequence goes.

use super::array::index_tensor;
use crate::dtype::by_width;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, at_least_rank,
    ints, on_strings, with_rank,
};
use crate::shape::{MAX_RANK, normalize_axis};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::sync::Arc;

/// Elements moved along axes, those that leave at one end coming in at the other.
#[derive(Debug, Default)]
struct Roll;

impl Op for Roll {
    fn name(&self) -> &'static str {
        "Roll"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, shift, axis] = arity(inputs)?;
        allowed(x.spec.dtype, DType::has_elements, "numbers, bools and strings")?;
        at_least_rank(&x.spec.shape, 1, "the input")?;
        for (input, what) in [(shift, "shift"), (axis, "axis")] {
            if input.spec.shape.rank().is_some_and(|rank| rank > 1) {
                return Err(Error::invalid_argument(format!(
                    "{what} must be a scalar or a vector, found shape {}",
                    input.spec.shape
                )));
            }
        }
        if !shift.spec.shape.is_compatible_with(&axis.spec.shape) {
            return Err(Error::invalid_argument(format!(
                "shift and axis must have one shape, found {} and {}",
                shift.spec.shape, axis.spec.shape
            )));
        }
        ints(shift, "shifts")?;
        if let (Some(axes), Some(rank)) = (ints(axis, "axes")?, x.spec.shape.rank()) {
            axes.iter().try_for_each(|&axis| normalize_axis(axis, rank).map(|_| ()))?;
        }
        Ok(vec![x.spec.clone()])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, shift, axis] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let dims = x.dims();
        let mut shifts = [0; MAX_RANK];
        for i in 0..axis.len() {
            let axis = normalize_axis(axis.int(i)?, dims.len())?;
            let length = dims[axis].max(1) as i64;
            shifts[axis] = (shifts[axis] + shift.int(i)?.rem_euclid(length)) % length;
        }
        let room = scratch.take(x.dense_room())?;
        by_width!(x.dtype(), T => roll(x.dense::<T>(room)?.0, dims, &shifts, outputs[0].elements()?));
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let back = b.input(1).neg()?;
        Ok(vec![Some(apply_one(Roll, &[b.dy(0), &back, b.input(2)])?), None, None])
    }
}

/// Copies the two runs of the first axis, and of what is in each of its places likewise.
fn roll<T: Copy>(x: &[T], dims: &[usize], shifts: &[i64], out: &mut [T]) {
    let (Some(&length), false) = (dims.first(), x.is_empty()) else {
        return out.copy_from_slice(x);
    };
    let (width, shift) = (x.len() / length, shifts[0] as usize);
    if shifts[1..dims.len()].iter().all(|&shift| shift == 0) {
        let (start, end) = x.split_at((length - shift) * width);
        out[..end.len()].copy_from_slice(end);
        return out[end.len()..].copy_from_slice(start);
    }
    for (i, part) in x.chunks(width).enumerate() {
        roll(part, &dims[1..], &shifts[1..], &mut out[(i + shift) % length * width..][..width]);
    }
}

/// The first elements of each sequence backwards, and the others as they are.
#[derive(Debug)]
struct ReverseSequence {
    seq_dim: i64,
    batch_dim: i64,
}

impl ReverseSequence {
    /// The two axes of a tensor of this rank.
    fn axes(&self, rank: usize) -> Result<[usize; 2]> {
        let axis = |axis: i64, what: &str| {
            let found = usize::try_from(axis).ok().filter(|&axis| axis < rank);
            found.ok_or_else(|| Error::invalid_argument(format!("{what} {axis} is no axis of a tensor of rank {rank}")))
        };
        let axes = [axis(self.seq_dim, "seq_dim")?, axis(self.batch_dim, "batch_dim")?];
        if axes[0] == axes[1] {
            return Err(Error::invalid_argument(format!("seq_dim and batch_dim must differ, both are {}", axes[0])));
        }
        Ok(axes)
    }
}

impl Op for ReverseSequence {
    fn name(&self) -> &'static str {
        "ReverseSequence"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("seq_dim", self.seq_dim).with("batch_dim", self.batch_dim)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, lengths] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, DType::has_elements, "numbers, bools and strings")?;
        let number = with_rank(&lengths.spec.shape, 1, "seq_lengths")?;
        let lengths = ints(lengths, "seq_lengths")?;
        let Some(mut dims) = x.spec.shape.dims() else { return Ok(vec![x.spec.clone()]) };
        let [seq, batch] = self.axes(dims.len())?;
        let both = number.merge(&Shape::from(vec![dims[batch]])).ok_or_else(|| {
            Error::invalid_argument(format!(
                "seq_lengths has one length for each place of axis {batch}, found {number} for {}",
                x.spec.shape
            ))
        })?;
        dims[batch] = both.dim(0);
        for (i, length) in lengths.into_iter().flatten().enumerate() {
            if length < 0 || dims[seq].is_some_and(|most| length > most as i64) {
                let most = dims[seq].map_or("?".to_owned(), |most| most.to_string());
                return Err(Error::invalid_argument(format!("seq_lengths[{i}] = {length} is not in [0, {most}]")));
            }
        }
        Ok(vec![Spec::new(dtype, dims)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, lengths] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        let dims = x.dims();
        let [seq, batch] = self.axes(dims.len())?;
        let (first, second) = (seq.min(batch), seq.max(batch));
        let between: usize = dims[first + 1..second].iter().product();
        let width: usize = dims[second + 1..].iter().product();
        let steps = |axis: usize| if axis == second { width } else { dims[second] * between * width };
        let room = scratch.take(x.dense_room())?;
        by_width!(x.dtype(), T => {
            let (x, out) = (x.dense::<T>(room)?.0, outputs[0].elements::<T>()?);
            out.copy_from_slice(x);
            let block = dims[first] * dims[second] * between * width;
            for start in (0..x.len()).step_by(block.max(1)) {
                for i in 0..dims[batch] {
                    let length = lengths.int(i)? as usize;
                    for (j, k) in (0..length).flat_map(|j| (0..between).map(move |k| (j, k))) {
                        let at = |j: usize| start + i * steps(batch) + j * steps(seq) + k * dims[second] * width;
                        out[at(j)..][..width].copy_from_slice(&x[at(length - 1 - j)..][..width]);
                    }
                }
            }
        });
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let same = ReverseSequence { seq_dim: self.seq_dim, batch_dim: self.batch_dim };
        Ok(vec![Some(apply_one(same, &[b.dy(0), b.input(1)])?), None])
    }
}

impl Tensor {
    /// The elements moved `shifts[i]` places along `axes[i]`, those that leave at one end coming in at the other; shifts
    /// along one axis add up. TensorFlow's `Roll`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.roll([1], [1])?.to_vec::<i32>()?, [3, 1, 2, 6, 4, 5]);
    /// assert_eq!(x.roll([1, -1], [0, 1])?.to_vec::<i32>()?, [5, 6, 4, 2, 3, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn roll(&self, shifts: impl AsRef<[i64]>, axes: impl AsRef<[i64]>) -> Result<Tensor> {
        apply_one(Roll, &[self, &index_tensor(shifts.as_ref())?, &index_tensor(axes.as_ref())?])
    }

    /// The first `lengths[i]` elements along `seq_axis` backwards and the others as they are, for each place `i` along
    /// `batch_axis`. Axes count from 0; lengths are int32 or int64. TensorFlow's `ReverseSequence`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.reverse_sequence(&Tensor::from([2, 3]), 1, 0)?.to_vec::<i32>()?, [2, 1, 3, 6, 5, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reverse_sequence(&self, lengths: &Tensor, seq_axis: usize, batch_axis: usize) -> Result<Tensor> {
        let axis = |axis: usize| i64::try_from(axis).unwrap_or(i64::MAX);
        apply_one(ReverseSequence { seq_dim: axis(seq_axis), batch_dim: axis(batch_axis) }, &[self, lengths])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef::plain::<Roll>("Roll", Accuracy::Exact),
    OpDef {
        name: "ReverseSequence",
        parse: |attrs| {
            let (seq_dim, batch_dim) = (attrs.int("seq_dim", None)?, attrs.int("batch_dim", 0)?);
            Ok(Arc::new(ReverseSequence { seq_dim, batch_dim }))
        },
        accuracy: Accuracy::Exact,
    },
]];
