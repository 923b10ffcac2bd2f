//! Elements and rows read and written by index.

use super::array::{copy_view, dims_tensor, index_tensor, shape_input};
use super::fill::range;
use crate::dtype::{by_width, dispatch};
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply_one, arity, at_least_rank,
    int_values, on_strings, one_int, rank_unknown, same_dtype, unsupported, with_rank,
};
use crate::shape::{count, normalize_axis};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use modulor_kernels::{Number, gather_rows, scatter_rows};
use std::sync::Arc;

/// Refuses indices that are no int32 or int64.
pub(super) fn check_indices(indices: &Input) -> Result<()> {
    allowed(indices.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "indices of int32 or int64").map(|_| ())
}

/// As [`check_indices`], of the ops for which TensorFlow has kernels of int16, too.
fn check_short_indices(indices: &Input) -> Result<()> {
    let takes = |d| matches!(d, DType::I16 | DType::I32 | DType::I64);
    allowed(indices.spec.dtype, takes, "indices of int16, int32 or int64").map(|_| ())
}

/// Element `at`, counted in row-major order, of a tensor of these dims, as `2,0`.
fn place(dims: &[usize], mut at: usize) -> String {
    let mut index = vec![0; dims.len()];
    for (i, &dim) in index.iter_mut().zip(dims).rev() {
        *i = at % dim;
        at /= dim;
    }
    index.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn numbers(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The elements at some indices of an axis.
#[derive(Debug, Default)]
pub(super) struct GatherV2 {
    pub(super) batch_dims: i64,
}

impl GatherV2 {
    /// How many leading axes of both inputs are gone through together.
    fn batch(&self, indices: usize, axis: usize) -> Result<usize> {
        let rank = indices as i64;
        let batch = if self.batch_dims < 0 { self.batch_dims.saturating_add(rank) } else { self.batch_dims };
        if !(0..=rank.min(axis as i64)).contains(&batch) {
            return Err(Error::invalid_argument(format!(
                "batch_dims {} must be at most the axis, {axis}, and the rank of the indices, {rank}",
                self.batch_dims
            )));
        }
        Ok(batch as usize)
    }
}

impl Op for GatherV2 {
    fn name(&self) -> &'static str {
        "GatherV2"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("batch_dims", self.batch_dims)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, indices, axis] = arity(inputs)?;
        check_short_indices(indices)?;
        let dtype = allowed(x.spec.dtype, DType::has_elements, "numbers, bools and strings")?;
        at_least_rank(&x.spec.shape, 1, "params")?;
        let axis = one_int(axis, "the axis")?;
        let (Some(dims), Some(at)) = (x.spec.shape.dims(), indices.spec.shape.dims()) else {
            return Ok(vec![Spec::new(dtype, Shape::unknown())]);
        };
        let Some(axis) = axis else { return Ok(vec![Spec::new(dtype, Shape::unknown())]) };
        let axis = normalize_axis(axis, dims.len())?;
        let batch = self.batch(at.len(), axis)?;
        let (lead, rest) = dims.split_at(batch);
        let both = Shape::from(lead.to_vec()).merge(&at[..batch].to_vec().into()).ok_or_else(|| {
            Error::invalid_argument(format!(
                "the first {batch} dims of params and indices must be equal: {} vs. {}",
                x.spec.shape, indices.spec.shape
            ))
        })?;
        let mut shape = both.dims().unwrap_or_default();
        shape.extend(&rest[..axis - batch]);
        shape.extend(&at[batch..]);
        shape.extend(&dims[axis + 1..]);
        let shape = Shape::from(shape);
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        (inputs[0].dense_room() + inputs[1].ints_room()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, at, axis] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let (dims, size) = (x.dims(), x.dtype().size());
        let axis = normalize_axis(axis.int(0)?, dims.len())?;
        let batch = self.batch(at.dims().len(), axis)?;
        let room = scratch.take(x.dense_room() + at.ints_room())?;
        let (indices, room) = at.ints(room)?;
        let data: &[u8] = by_width!(x.dtype(), T => bytemuck::cast_slice(x.dense::<T>(room)?.0));
        let (length, width) = (dims[axis], dims[axis + 1..].iter().product::<usize>() * size);
        let between: usize = dims[batch..axis].iter().product();
        let each: usize = at.dims()[batch..].iter().product();
        let out = outputs[0].bytes();
        let batches: usize = dims[..batch].iter().product();
        for i in 0..batches * between {
            let first = i / between * each;
            let (from, to) = (&data[i * length * width..][..length * width], &mut out[i * each * width..]);
            gather_rows(from, length, width, &indices[first..][..each], &mut to[..each * width]).map_err(|wrong| {
                let at_place = first + wrong.at;
                let (place, found) = (place(at.dims(), at_place), indices[at_place]);
                Error::invalid_argument(format!("indices[{place}] = {found} is not in [0, {length})"))
            })?;
        }
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(&inputs[..2])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, indices, axis) = (b.input(0), b.input(1), b.input(2));
        let (Some(rank), Some(at), false) = (x.rank(), indices.rank(), axis.is_symbolic()) else {
            return Err(Error::unimplemented("the gradient of gathering needs the axis and the ranks"));
        };
        let axis = normalize_axis(int_values(axis)?[0], rank)?;
        let batch = self.batch(at, axis)?;
        Ok(vec![Some(scattered(b.dy(0), x, indices, axis, batch)?), None, None])
    }
}

/// The gradient of gathering: zeros like `x`, to which `dy` is added where its elements came from. The ranks of `x` and
/// `indices` are known.
pub(super) fn scattered(dy: &Tensor, x: &Tensor, indices: &Tensor, axis: usize, batch: usize) -> Result<Tensor> {
    let (rank, at) = (x.rank().unwrap_or(0), indices.rank().unwrap_or(0));
    // x is [batch.., between.., length, inner..], and dy has the rest of the indices in place of the length.
    let order = |parts: [std::ops::Range<usize>; 4]| parts.into_iter().flatten().map(|axis| axis as i64).collect();
    let (end, last) = (axis + at - batch, rank + at - batch - 1);
    let together: Vec<i64> = order([0..batch, axis..end, batch..axis, end..last]);
    let mut rows = indices.clone();
    let mut number = x.length(axis)?;
    if batch > 0 {
        // All batches as one matrix: row i of batch j is row i + j·length. int64, for there may be many.
        (rows, number) = (rows.cast(DType::I64)?, number.cast(DType::I64)?);
        for axis in (0..batch).rev() {
            let length = x.length(axis)?.cast(DType::I64)?;
            let mut column = vec![1; at - axis];
            column[0] = -1;
            let first = range(&Tensor::scalar(0_i64), &length, &Tensor::scalar(1_i64))?.mul(&number)?;
            rows = rows.add(first.reshape(column)?)?;
            number = number.mul(length)?;
        }
    }
    let dy = if axis == batch { dy.clone() } else { dy.permute(&together)? };
    let mut sums = apply_one(UnsortedSegmentSum, &[&dy, &rows, &number])?;
    if batch > 0 {
        let order: Vec<i64> = order([0..batch, axis..axis + 1, batch..axis, axis + 1..rank]);
        let dims = order.iter().map(|&axis| x.length(axis as usize)).collect::<Result<Vec<_>>>()?;
        sums = sums.reshape_by(&Tensor::stack(&dims, 0)?)?;
    }
    if axis == batch {
        return Ok(sums);
    }
    let length = axis - batch;
    sums.permute(order([0..batch, batch + 1..batch + 1 + length, batch..batch + 1, axis + 1..rank]) as Vec<i64>)
}

/// The shape that indices whose last axis holds coordinates give, each standing for a part of a tensor of `dims`.
pub(super) fn indexed(dims: &Shape, indices: &Input) -> Result<Shape> {
    at_least_rank(&indices.spec.shape, 1, "the indices")?;
    let (Some(dims), Some(mut shape)) = (dims.dims(), indices.spec.shape.dims()) else { return Ok(Shape::unknown()) };
    let Some(coordinates) = shape.pop().flatten() else { return Ok(Shape::unknown()) };
    let rest = dims.get(coordinates..).ok_or_else(|| {
        Error::invalid_argument(format!("{coordinates} coordinates cannot index a tensor of rank {}", dims.len()))
    })?;
    shape.extend(rest);
    Ok(shape.into())
}

/// What coordinates are that stand for nothing: an error, unless they are to be passed over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BadIndices(&'static str);

impl BadIndices {
    const IGNORE: &str = "IGNORE";

    pub(super) fn of(attrs: &Attrs) -> Result<BadIndices> {
        let found = attrs.string("bad_indices_policy", String::new())?;
        let known = ["", "DEFAULT", "ERROR", BadIndices::IGNORE];
        known.into_iter().find(|name| *name == found).map(BadIndices).ok_or_else(|| {
            let message = format!("`bad_indices_policy` is empty, DEFAULT, ERROR or IGNORE, found {found:?}");
            Error::not_found(message)
        })
    }

    pub(super) fn attrs(self) -> Attrs {
        Attrs::new().with("bad_indices_policy", self.0)
    }

    fn are_ignored(self) -> bool {
        self.0 == BadIndices::IGNORE
    }
}

/// Words of scratch for [`rows`].
pub(super) fn rows_room(indices: &View) -> usize {
    indices.ints_room() + rows_of(indices).div_ceil(2)
}

/// How many coordinates there are.
fn rows_of(indices: &View) -> usize {
    indices.dims().split_last().map_or(0, |(_, lead)| lead.iter().product())
}

/// The number of the row that each coordinate means, the first axes of `dims` taken as one; −1 for one that is ignored.
pub(super) fn rows<'r>(
    indices: &View,
    dims: &[usize],
    bad: BadIndices,
    room: &'r mut [u128],
) -> Result<(&'r [i64], &'r mut [u128])> {
    let (coordinates, room) = indices.ints(room)?;
    let (number, each) = (rows_of(indices), indices.dims().last().copied().unwrap_or(0));
    let (own, room) = room
        .split_at_mut_checked(number.div_ceil(2))
        .ok_or_else(|| Error::internal("there is no room for the numbers of rows"))?;
    let own = &mut bytemuck::cast_slice_mut(own)[..number];
    for (i, row) in own.iter_mut().enumerate() {
        let coordinates = &coordinates[i * each..][..each];
        *row = 0;
        for (&coordinate, &dim) in coordinates.iter().zip(dims) {
            if !(0..dim as i64).contains(&coordinate) {
                if bad.are_ignored() {
                    *row = -1;
                    break;
                }
                let lead = &indices.dims()[..indices.dims().len() - 1];
                return Err(Error::invalid_argument(format!(
                    "indices[{}] = [{}] does not index into shape [{}]",
                    place(lead, i),
                    numbers(coordinates),
                    numbers(dims)
                )));
            }
            *row = *row * dim as i64 + coordinate;
        }
    }
    Ok((own, room))
}

/// The number of rows and elements in each, where the last axis of `indices` says which axes count rows.
pub(super) fn matrix(dims: &[usize], indices: &View) -> [usize; 2] {
    let (rows, row) = dims.split_at(indices.dims().last().copied().unwrap_or(0));
    [rows.iter().product(), row.iter().product()]
}

/// Refuses updates that are not of the shape the indices give.
pub(super) fn check_updates(updates: &Shape, expected: &Shape) -> Result<()> {
    if updates.is_compatible_with(expected) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!("the indices take updates of shape {expected}, found {updates}")))
}

pub(super) fn no_such_row(_: modulor_kernels::NoSuchRow) -> Error {
    Error::internal("a row that was found is not there")
}

/// The parts of a tensor at some coordinates.
#[derive(Debug, Default)]
struct GatherNd {
    bad: BadIndices,
}

impl Op for GatherNd {
    fn name(&self) -> &'static str {
        "GatherNd"
    }
    fn attrs(&self) -> Attrs {
        self.bad.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, indices] = arity(inputs)?;
        check_short_indices(indices)?;
        let dtype = allowed(x.spec.dtype, DType::has_elements, "numbers, bools and strings")?;
        let shape = indexed(&x.spec.shape, indices)?;
        shape.known().map(count).transpose()?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        (inputs[0].dense_room() + rows_room(&inputs[1])) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, indices] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        let room = scratch.take(x.dense_room() + rows_room(indices))?;
        let (rows, room) = rows(indices, x.dims(), self.bad, room)?;
        let data: &[u8] = by_width!(x.dtype(), T => bytemuck::cast_slice(x.dense::<T>(room)?.0));
        let [count, width] = matrix(x.dims(), indices);
        let (width, out) = (width * x.dtype().size(), outputs[0].bytes());
        if !self.bad.are_ignored() {
            return gather_rows(data, count, width, rows, out).map_err(no_such_row);
        }
        out.fill(0);
        let there = rows.iter().zip(out.chunks_mut(width.max(1))).filter(|(row, _)| **row >= 0);
        there.for_each(|(&row, out)| out.copy_from_slice(&data[row as usize * width..][..width]));
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        // Dims are no int16.
        let short = b.input(1).dtype() == DType::I16;
        let indices = if short { b.input(1).cast(DType::I64)? } else { b.input(1).clone() };
        let shape = b.input(0).shape_tensor()?.cast(indices.dtype())?;
        Ok(vec![Some(apply_one(ScatterNd { bad: self.bad }, &[&indices, b.dy(0), &shape])?), None])
    }
}

/// Zeros, to which parts are added at some coordinates.
#[derive(Debug, Default)]
struct ScatterNd {
    bad: BadIndices,
}

impl Op for ScatterNd {
    fn name(&self) -> &'static str {
        "ScatterNd"
    }
    fn attrs(&self) -> Attrs {
        self.bad.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [indices, updates, shape] = arity(inputs)?;
        let numbers = |d: DType| d.is_float() || d.is_integer() || d.is_complex();
        let dtype = allowed(updates.spec.dtype, numbers, "numbers")?;
        let shape = shape_input(shape, "the shape")?;
        check_indices(indices)?;
        check_updates(&updates.spec.shape, &indexed(&shape, indices)?)?;
        Ok(vec![Spec::new(dtype, shape)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let [count, _] = matrix(outputs[0].dims(), &inputs[0]);
        (rows_room(&inputs[0]) + sums_room(&inputs[1], rows_of(&inputs[0]), count)) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [indices, updates, _] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let out = &mut outputs[0];
        let [count, width] = matrix(out.dims(), indices);
        let room = scratch.take(rows_room(indices) + sums_room(updates, rows_of(indices), count))?;
        let (rows, room) = rows(indices, out.dims(), self.bad, room)?;
        sum_rows(updates, rows, [count, width], out, room)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, Some(gather_nd(b.dy(0), b.input(0), self.bad)?), None])
    }
}

/// Words of scratch for [`sum_rows`] beside the rows themselves.
pub(super) fn sums_room(x: &View, rows: usize, count: usize) -> usize {
    x.dense_room() + (rows + count).div_ceil(2)
}

/// Fills the rows of `out`, of which there are `count`, with sums of the rows of `x`.
pub(super) fn sum_rows(
    x: &View,
    rows: &[i64],
    [count, width]: [usize; 2],
    out: &mut ViewMut,
    room: &mut [u128],
) -> Result<()> {
    let (own, room) = room
        .split_at_mut_checked((rows.len() + count).div_ceil(2))
        .ok_or_else(|| Error::internal("there is no room to sort rows"))?;
    let (ends, order) = bytemuck::cast_slice_mut(own).split_at_mut(count);
    let dtype = x.dtype();
    dispatch!(dtype, arithmetic T => {
        T::sum_rows(x.dense::<T>(room)?.0, rows, width, out.elements()?, ends, order).map_err(no_such_row)
    }, else => Err(unsupported(dtype)))
}

/// A tensor with other parts in place of those at some coordinates.
#[derive(Debug, Default)]
struct TensorScatterUpdate {
    bad: BadIndices,
}

impl Op for TensorScatterUpdate {
    fn name(&self) -> &'static str {
        "TensorScatterUpdate"
    }
    fn attrs(&self) -> Attrs {
        self.bad.attrs()
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, indices, updates] = arity(inputs)?;
        allowed(same_dtype(&[*x, *updates])?, DType::has_elements, "numbers, bools and strings")?;
        check_indices(indices)?;
        check_updates(&updates.spec.shape, &indexed(&x.spec.shape, indices)?)?;
        Ok(vec![x.spec.clone()])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        (rows_room(&inputs[1]) + inputs[2].dense_room()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, indices, updates] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let out = &mut outputs[0];
        copy_view(*x, out)?;
        let room = scratch.take(rows_room(indices) + updates.dense_room())?;
        let (rows, room) = rows(indices, x.dims(), self.bad, room)?;
        let data: &[u8] = by_width!(x.dtype(), T => bytemuck::cast_slice(updates.dense::<T>(room)?.0));
        let [count, width] = matrix(x.dims(), indices);
        let (width, out) = (width * x.dtype().size(), out.bytes());
        if !self.bad.are_ignored() {
            return scatter_rows(data, rows, count, width, out).map_err(no_such_row);
        }
        let there = rows.iter().zip(data.chunks(width.max(1))).filter(|(row, _)| **row >= 0);
        there.for_each(|(&row, data)| out[row as usize * width..][..width].copy_from_slice(data));
        Ok(())
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        on_strings(self, inputs)
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (dy, indices, updates) = (b.dy(0), b.input(1), b.input(2));
        let emptied = || apply_one(TensorScatterUpdate { bad: self.bad }, &[dy, indices, &updates.zeros_like()?]);
        Ok(vec![b.when(0, emptied)?, None, b.when(2, || gather_nd(dy, indices, self.bad))?])
    }
}

/// The parts of a tensor at coordinates; zeros at those that are ignored.
pub(super) fn gather_nd(x: &Tensor, indices: &Tensor, bad: BadIndices) -> Result<Tensor> {
    apply_one(GatherNd { bad }, &[x, indices])
}

/// The shape of one part for each number, of inputs that are the data, the numbers of their parts and how many there are.
pub(super) fn segmented(inputs: &[Input]) -> Result<Shape> {
    let [x, ids, number] = arity(inputs)?;
    with_rank(&number.spec.shape, 0, "num_segments")?;
    let number = one_int(number, "num_segments")?.map(|number| {
        usize::try_from(number)
            .map_err(|_| Error::invalid_argument(format!("num_segments cannot be negative: {number}")))
    });
    let number = number.transpose()?;
    let (Some(dims), Some(at)) = (x.spec.shape.dims(), ids.spec.shape.dims()) else {
        return Ok(Shape::unknown());
    };
    let lead = dims.get(..at.len()).map(|lead| Shape::from(lead.to_vec()));
    if !lead.is_some_and(|lead| lead.is_compatible_with(&ids.spec.shape)) {
        return Err(Error::invalid_argument(format!(
            "the shape of the data must start with that of the ids: {} vs. {}",
            x.spec.shape, ids.spec.shape
        )));
    }
    let shape: Shape = std::iter::once(number).chain(dims[at.len()..].iter().copied()).collect();
    shape.known().map(count).transpose()?;
    Ok(shape)
}

/// The numbers of parts, of which none may be `count` or more.
pub(super) fn segment_ids<'r>(at: &View, count: usize, room: &'r mut [u128]) -> Result<(&'r [i64], &'r mut [u128])> {
    let (ids, room) = at.ints(room)?;
    if let Some(wrong) = ids.iter().position(|&id| id >= count as i64) {
        let (place, found) = (place(at.dims(), wrong), ids[wrong]);
        return Err(Error::invalid_argument(format!("segment_ids[{place}] = {found} is out of range [0, {count})")));
    }
    Ok((ids, room))
}

/// What stands for each part, by its number, as a tensor like the parts: 0 for those of negative numbers, which are no
/// part.
pub(super) fn of_each_part(of_segments: &Tensor, x: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let (Some(rank), Some(lead)) = (x.rank(), ids.rank()) else {
        return Err(Error::unimplemented("the gradient of segments needs the ranks"));
    };
    let mut counted = ids.greater_equal(0.0)?;
    for _ in lead..rank {
        counted = counted.expand_dims(-1)?;
    }
    let parts = of_segments.gather(&ids.maximum(0.0)?, 0)?;
    counted.select(&parts, &parts.zeros_like()?)
}

/// Sums of the parts that carry the same number.
#[derive(Debug, Default)]
pub(super) struct UnsortedSegmentSum;

impl Op for UnsortedSegmentSum {
    fn name(&self) -> &'static str {
        "UnsortedSegmentSum"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let shape = segmented(inputs)?;
        check_short_indices(&inputs[1])?;
        let numbers = |d: DType| d.is_float() || d.is_integer() || d.is_complex();
        Ok(vec![Spec::new(allowed(inputs[0].spec.dtype, numbers, "numbers")?, shape)])
    }
    fn scratch(&self, inputs: &[View], outputs: &[ViewMut]) -> usize {
        let ids = &inputs[1];
        (ids.ints_room() + sums_room(&inputs[0], ids.len(), outputs[0].dims()[0])) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let [x, at, _] = inputs else { return Err(Error::internal("three inputs were inferred")) };
        let out = &mut outputs[0];
        let (count, width) = (out.dims()[0], out.dims()[1..].iter().product::<usize>());
        let (ids, room) = segment_ids(at, count, scratch.take(at.ints_room() + sums_room(x, at.len(), count))?)?;
        sum_rows(x, ids, [count, width], out, room)
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(&inputs[..2])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(of_each_part(b.dy(0), b.input(0), b.input(1))?), None, None])
    }
}

impl Tensor {
    /// The elements at some indices (int32 or int64, of any shape, whose axes stand in place of `axis`).
    ///
    /// An error names the first index that is negative or beyond the axis. TensorFlow's `GatherV2`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let table = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// assert_eq!(table.gather(&Tensor::from([2, 0]), 0)?.to_vec::<f32>()?, [5.0, 6.0, 1.0, 2.0]);
    /// let error = table.gather(&Tensor::from([2, 3]), 0).unwrap_err();
    /// assert_eq!(error.to_string(), "indices[1] = 3 is not in [0, 3) [Op:GatherV2]");
    /// # Ok(())
    /// # }
    /// ```
    pub fn gather(&self, indices: &Tensor, axis: i64) -> Result<Tensor> {
        self.gather_batched(indices, axis, 0)
    }

    /// As [`gather`](Tensor::gather), for each index of the first `batch_dims` axes, which this and the indices share.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let rows = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(rows.gather_batched(&Tensor::from([[0], [2]]), 1, 1)?.to_vec::<i32>()?, [1, 6]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn gather_batched(&self, indices: &Tensor, axis: i64, batch_dims: i64) -> Result<Tensor> {
        apply_one(GatherV2 { batch_dims }, &[self, indices, &index_tensor(&[axis])?.reshape([])?])
    }

    /// The parts at coordinates: the last axis of the indices holds one coordinate for each of this tensor's first axes.
    /// TensorFlow's `GatherNd`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.gather_nd(&Tensor::from([[0, 1], [1, 0]]))?.to_vec::<i32>()?, [2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn gather_nd(&self, indices: &Tensor) -> Result<Tensor> {
        gather_nd(self, indices, BadIndices::default())
    }

    /// Zeros of these dims, to which `updates` are added at coordinates, those of equal coordinates together.
    /// TensorFlow's `ScatterNd`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (indices, updates) = (Tensor::from([[2], [0], [2]]), Tensor::from([1, 2, 3]));
    /// assert_eq!(Tensor::scatter_nd(&indices, &updates, [4])?.to_vec::<i32>()?, [2, 0, 4, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scatter_nd(indices: &Tensor, updates: &Tensor, dims: impl AsRef<[usize]>) -> Result<Tensor> {
        apply_one(ScatterNd::default(), &[indices, updates, &dims_tensor(dims.as_ref())?])
    }

    /// This with `updates` in place of the parts at coordinates; the last of equal coordinates counts. TensorFlow's
    /// `TensorScatterUpdate`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.scatter_update(&Tensor::from([[1]]), &Tensor::from([9]))?.to_vec::<i32>()?, [1, 9, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scatter_update(&self, indices: &Tensor, updates: &Tensor) -> Result<Tensor> {
        apply_one(TensorScatterUpdate::default(), &[self, indices, updates])
    }

    /// The sums of the parts that carry the same number, one for each number below `segments`; the numbers, `ids`, stand
    /// for the first axes, and a part of a negative one goes into no sum. TensorFlow's `UnsortedSegmentSum`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1, 2, 3, 4]);
    /// assert_eq!(x.segment_sum(&Tensor::from([0, 1, 0, -1]), 3)?.to_vec::<i32>()?, [4, 2, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn segment_sum(&self, ids: &Tensor, segments: usize) -> Result<Tensor> {
        let segments = i64::try_from(segments).unwrap_or(i64::MAX);
        apply_one(UnsortedSegmentSum, &[self, ids, &Tensor::scalar(segments)])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "GatherV2",
        parse: |attrs| Ok(Arc::new(GatherV2 { batch_dims: attrs.int("batch_dims", 0)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "GatherNd",
        parse: |attrs| Ok(Arc::new(GatherNd { bad: BadIndices::of(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "ScatterNd",
        parse: |attrs| Ok(Arc::new(ScatterNd { bad: BadIndices::of(attrs)? })),
        accuracy: Accuracy::Sum,
    },
    OpDef {
        name: "TensorScatterUpdate",
        parse: |attrs| Ok(Arc::new(TensorScatterUpdate { bad: BadIndices::of(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef::plain::<UnsortedSegmentSum>("UnsortedSegmentSum", Accuracy::Sum),
]];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{jvp, step};

    /// Moving elements is linear: its derivative in a direction is the move of the direction. By two passes backwards
    /// this takes the gradient of every gradient.
    #[test]
    fn the_derivative_of_a_move_is_the_move() {
        let x = Tensor::range(0.0_f64, 24.0, 1.0).unwrap().reshape([2, 3, 4]).unwrap();
        let tangent = x.square().unwrap();
        let indices = Tensor::from([[2, 0], [1, 1]]);
        let coordinates = Tensor::from([[1, 2], [0, 0], [1, 2]]);
        let updates = Tensor::from([[9.0_f64; 4]; 2]);
        type Move<'a> = &'a dyn Fn(&Tensor) -> Result<Tensor>;
        let moves: [(&str, Move); 15] = [
            ("slice", &|x| x.slice((1, step(.., -2), ..2))),
            ("block", &|x| x.block([0, 1, 0], [-1, 2, 3])),
            ("reverse", &|x| x.reverse([0, -1])),
            ("gather", &|x| x.gather(&indices, 1)),
            ("gather_batched", &|x| x.gather_batched(&indices, -1, 1)),
            ("gather_nd", &|x| x.gather_nd(&coordinates)),
            ("scatter_nd", &|x| Tensor::scatter_nd(&Tensor::from([[3], [3]]), x, [5, 3, 4])),
            ("segment_sum", &|x| x.segment_sum(&Tensor::from([[0, 2, -1], [2, 2, 0]]), 3)),
            ("pad", &|x| x.pad([[1, 0], [0, 2], [0, 0]])),
            ("pad_reflect", &|x| x.pad_reflect([[1, 1], [0, 2], [3, 0]])),
            ("pad_symmetric", &|x| x.pad_symmetric([[2, 1], [0, 3], [4, 0]])),
            ("tile", &|x| x.tile([2, 1, 3])),
            ("band_part", &|x| x.band_part(1, 0)),
            ("concat", &|x| Tensor::concat(&[x.slice((.., 1..))?, x.clone()], 1)),
            ("stack", &|x| Tensor::stack(&x.unstack(1)?, -1)),
        ];
        for (name, f) in moves {
            let (_, derivative) = jvp(f, &x, &tangent).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(derivative.to_vec::<f64>().unwrap(), f(&tangent).unwrap().to_vec::<f64>().unwrap(), "{name}");
        }
        let at = Tensor::from([[1, 2], [0, 0]]);
        let (_, derivative) = jvp(|x| x.scatter_update(&at, &updates), &x, &tangent).unwrap();
        let expected = tangent.scatter_update(&at, &updates.zeros_like().unwrap()).unwrap();
        assert_eq!(derivative.to_vec::<f64>().unwrap(), expected.to_vec::<f64>().unwrap());
    }

    #[test]
    fn strings_move_like_numbers() {
        let x = Tensor::strings([2, 2], ["a", "", "c", "d"]).unwrap();
        let check = |moved: Result<Tensor>, expected: &[&str]| {
            let found = moved.unwrap().to_strings().unwrap();
            assert_eq!(found.iter().map(|s| std::str::from_utf8(s).unwrap()).collect::<Vec<_>>(), expected);
        };
        check(x.gather(&Tensor::from([1]), 1), &["", "d"]);
        check(x.pad([[0, 1], [0, 0]]), &["a", "", "c", "d", "", ""]);
        check(x.transpose().unwrap().reshape([-1]), &["a", "c", "", "d"]);
        check(x.scatter_update(&Tensor::from([[0, 1]]), &Tensor::strings([1], ["b"]).unwrap()), &["a", "b", "c", "d"]);
        check(x.slice(step(.., -1)), &["c", "d", "a", ""]);
        check(Tensor::fill([2], &Tensor::strings([], ["z"]).unwrap()), &["z", "z"]);
    }

    #[test]
    fn an_index_that_is_not_there_is_named() {
        let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
        let indices = Tensor::from([[0, 1], [2, -1]]);
        let check = |result: Result<Tensor>, expected: &str| assert_eq!(result.unwrap_err().to_string(), expected);
        check(x.gather(&indices, 1), "indices[1,1] = -1 is not in [0, 3) [Op:GatherV2]");
        check(x.gather_nd(&indices), "indices[1] = [2,-1] does not index into shape [2,3] [Op:GatherNd]");
        check(
            x.segment_sum(&Tensor::from([0, 7]), 3),
            "segment_ids[1] = 7 is out of range [0, 3) [Op:UnsortedSegmentSum]",
        );
    }
}
