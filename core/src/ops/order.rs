//! Places found by looking at the values.

use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, Scratch, View, ViewMut, allowed, apply, apply_one, arity,
    at_least_rank, int_values, rank_unknown, unsupported, with_rank,
};
use crate::{DType, Error, Result, Spec, Tensor};
use bytemuck::Pod;
use modulor_kernels::Number;
use std::cmp::Ordering;
use std::sync::Arc;

/// The largest elements along the last axis, and where they are.
#[derive(Debug)]
struct TopKV2 {
    /// Whether they are in order; if not, they are as [`heaped`] leaves them.
    sorted: bool,
    index_type: DType,
}

impl Op for TopKV2 {
    fn name(&self) -> &'static str {
        "TopKV2"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("sorted", self.sorted).with("index_type", self.index_type)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, k] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| d.is_float() || d.is_integer(), "numbers")?;
        allowed(self.index_type, |d| matches!(d, DType::I32 | DType::I64), "an index_type of int32 or int64")?;
        at_least_rank(&x.spec.shape, 1, "the input")?;
        with_rank(&k.spec.shape, 0, "k")?;
        let takes = |d| matches!(d, DType::I16 | DType::I32 | DType::I64);
        allowed(k.spec.dtype, takes, "k of int16, int32 or int64")?;
        let k = k.value.map(int_values).transpose()?.and_then(|k| k.first().copied());
        let mut shape = x.spec.shape.clone();
        if let Some(mut dims) = shape.dims()
            && let Some(last) = dims.last_mut()
        {
            let fits = |k: i64| k >= 0 && last.is_none_or(|last| k <= last as i64);
            if let Some(k) = k.filter(|&k| !fits(k)) {
                let message = format!("input must have at least k columns. Had {}, needed {k}", last.unwrap_or(0));
                return Err(Error::invalid_argument(message));
            }
            *last = k.map(|k| k as usize);
            shape = dims.into();
        }
        Ok(vec![Spec::new(dtype, &shape), Spec::new(self.index_type, shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        (inputs[0].dense_room() + row_room(&inputs[0])) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let x = &inputs[0];
        let (order, room) = scratch.take::<u128>(x.dense_room() + row_room(x))?.split_at_mut(row_room(x));
        dispatch!(x.dtype(), number T => top_k::<T>(x, self.sorted, outputs, bytemuck::cast_slice_mut(order), room),
            else => Err(unsupported(x.dtype())))
    }
    fn grad_waits(&self, inputs: &[Tensor]) -> bool {
        rank_unknown(&inputs[..1])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let x = b.input(0);
        let Some(last) = x.rank().and_then(|rank| rank.checked_sub(1)) else {
            return Err(Error::unimplemented("the gradient of the largest elements needs the rank of the input"));
        };
        Ok(vec![Some(super::gather::scattered(b.dy(0), x, b.output(1), last, last)?), None])
    }
}

/// [`Tensor::top_k`] of a number that is a tensor.
pub(super) fn largest(x: &Tensor, k: &Tensor) -> Result<(Tensor, Tensor)> {
    match <[Tensor; 2]>::try_from(apply(TopKV2 { sorted: true, index_type: DType::I32 }, &[x, k])?) {
        Ok([values, indices]) => Ok((values, indices)),
        Err(_) => Err(Error::internal("two outputs were inferred")),
    }
}

/// Words of scratch for an index of each place along the last axis.
fn row_room(x: &View) -> usize {
    x.dims().last().map_or(0, |n| n.div_ceil(2))
}

/// The larger first, NaN before all numbers, so that it is seen.
pub(super) fn descending<T: PartialOrd>(a: &T, b: &T) -> Ordering {
    let is_nan = |x: &T| x.partial_cmp(x).is_none();
    b.partial_cmp(a).unwrap_or_else(|| is_nan(b).cmp(&is_nan(a)))
}

/// Gathers in `order[..k]` those of `0..order.len()` that come first, as TensorFlow leaves them that need not be sorted: in a
/// heap of `k`, whose root is the last of them, and which each that comes before it enters in turn.
fn heaped(order: &mut [u64], k: usize, before: impl Fn(u64, u64) -> bool) {
    let sink = |heap: &mut [u64], mut at: usize| {
        while 2 * at + 1 < heap.len() {
            let left = 2 * at + 1;
            let right = left + 1;
            let last = if right < heap.len() && before(heap[left], heap[right]) { right } else { left };
            if before(heap[last], heap[at]) {
                break;
            }
            heap.swap(at, last);
            at = last;
        }
    };
    let (heap, rest) = order.split_at_mut(k + 1);
    (0..k.div_ceil(2)).rev().for_each(|at| sink(heap, at));
    heap.swap(0, k);
    sink(&mut heap[..k], 0);
    for &mut place in rest {
        if !before(place, heap[0]) {
            continue;
        }
        heap.swap(0, k - 1);
        sink(&mut heap[..k - 1], 0);
        let mut at = k - 1;
        heap[at] = place;
        while at > 0 && before(heap[(at - 1) / 2], heap[at]) {
            heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }
}

fn top_k<T: Pod + PartialOrd>(
    x: &View,
    sorted: bool,
    outputs: &mut [ViewMut],
    order: &mut [u64],
    room: &mut [u128],
) -> Result<()> {
    let [values, indices] = outputs else { return Err(Error::internal("two outputs were inferred")) };
    let (data, _) = x.dense::<T>(room)?;
    let n = x.dims().last().copied().unwrap_or(0);
    let k = values.dims().last().copied().unwrap_or(0);
    if k == 0 || data.is_empty() {
        return Ok(());
    }
    let wide = indices.dtype() == DType::I64;
    let values = values.elements::<T>()?;
    for (r, (row, values)) in data.chunks(n).zip(values.chunks_mut(k)).enumerate() {
        let order = &mut order[..n];
        order.iter_mut().enumerate().for_each(|(i, place)| *place = i as u64);
        // Of equals, the first comes first.
        let by_value = |a: &u64, b: &u64| descending(&row[*a as usize], &row[*b as usize]).then(a.cmp(b));
        let in_order = sorted || k == n;
        match in_order {
            false => heaped(order, k, |a, b| by_value(&a, &b).is_lt()),
            true if k < n => {
                order.select_nth_unstable_by(k - 1, by_value);
            }
            true => {}
        }
        let order = &mut order[..k];
        if in_order {
            order.sort_unstable_by(by_value);
        }
        values.iter_mut().zip(&*order).for_each(|(value, &i)| *value = row[i as usize]);
        if wide {
            indices.elements::<i64>()?[r * k..][..k].iter_mut().zip(&*order).for_each(|(to, &i)| *to = i as i64);
        } else {
            indices.elements::<i32>()?[r * k..][..k].iter_mut().zip(&*order).for_each(|(to, &i)| *to = i as i32);
        }
    }
    Ok(())
}

/// The indices of the elements that are true, or not 0.
#[derive(Debug, Default)]
struct Where;

impl Op for Where {
    fn name(&self) -> &'static str {
        "Where"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        allowed(x.spec.dtype, |d| d == DType::Bool || d.is_float() || d.is_integer(), "bools and real numbers")?;
        at_least_rank(&x.spec.shape, 1, "the input")?;
        Ok(vec![Spec::new(DType::I64, [None, x.spec.shape.rank()])])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let x = View::of(inputs[0])?;
        let mut truths = vec![0_u8; x.len()];
        match x.dtype() {
            DType::Bool => modulor_kernels::copy(x.elements()?, &mut truths),
            dtype => dispatch!(dtype, number T => T::nonzero(x.elements()?, &mut truths),
                else => return Err(unsupported(dtype))),
        }
        let (rank, mut places) = (x.dims().len(), Vec::new());
        for mut at in (0..truths.len()).filter(|&at| truths[at] != 0) {
            let first = places.len();
            places.resize(first + rank, 0_i64);
            for (place, &dim) in places[first..].iter_mut().zip(x.dims()).rev() {
                *place = (at % dim) as i64;
                at /= dim;
            }
        }
        Ok(vec![Tensor::new([places.len() / rank, rank], places)?])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// The permutation that undoes one.
#[derive(Debug, Default)]
struct InvertPermutation;

impl Op for InvertPermutation {
    fn name(&self) -> &'static str {
        "InvertPermutation"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "an int32 or int64 vector")?;
        Ok(vec![Spec::new(dtype, with_rank(&x.spec.shape, 1, "a permutation")?)])
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], _: &mut Scratch) -> Result<()> {
        let (x, out) = (&inputs[0], &mut outputs[0]);
        match out.dtype() {
            DType::I32 => invert(x, out.elements::<i32>()?),
            _ => invert(x, out.elements::<i64>()?),
        }
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

fn invert<T: Pod + PartialEq + TryFrom<i64>>(x: &View, out: &mut [T]) -> Result<()> {
    let wrong = |what: String| Error::invalid_argument(format!("{what}: each of the {} places stands once", x.len()));
    let narrow = |value: i64| T::try_from(value).map_err(|_| Error::internal("an index is not of its own type"));
    let unset = narrow(-1)?;
    out.fill(unset);
    for i in 0..x.len() {
        let found = x.int(i)?;
        let place = usize::try_from(found).ok().and_then(|found| out.get_mut(found));
        match place {
            Some(place) if *place == unset => *place = narrow(i as i64)?,
            Some(_) => return Err(wrong(format!("{found} is duplicated in the input"))),
            None => return Err(wrong(format!("{found} is not between 0 and {}", x.len()))),
        }
    }
    Ok(())
}

impl Tensor {
    /// The `k` largest elements along the last axis, in falling order, and their indices (int32); of equals the first
    /// comes first, and NaN before all numbers. TensorFlow's `TopKV2`, where the place of NaN follows from `k` and from where
    /// it stands.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (values, indices) = Tensor::from([0.1_f32, 0.7, 0.2]).top_k(2)?;
    /// assert_eq!(values.to_vec::<f32>()?, [0.7, 0.2]);
    /// assert_eq!(indices.to_vec::<i32>()?, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn top_k(&self, k: usize) -> Result<(Tensor, Tensor)> {
        largest(self, &Tensor::scalar(i64::try_from(k).unwrap_or(i64::MAX)))
    }

    /// The indices of the elements that are true, or not 0, as the rows of an int64 matrix in row-major order.
    /// TensorFlow's `Where`, `tf.where` of one.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[true, false], [false, true]]);
    /// assert_eq!(x.nonzero()?.to_vec::<i64>()?, [0, 0, 1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn nonzero(&self) -> Result<Tensor> {
        apply_one(Where, &[self])
    }

    /// The permutation that undoes this one, a vector of every number below its length. TensorFlow's `InvertPermutation`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([2, 0, 1]).invert_permutation()?.to_vec::<i32>()?, [1, 2, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn invert_permutation(&self) -> Result<Tensor> {
        apply_one(InvertPermutation, &[self])
    }
}

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[&[
    OpDef {
        name: "TopKV2",
        parse: |attrs| {
            let (sorted, index_type) = (attrs.bool("sorted", true)?, attrs.dtype("index_type", DType::I32)?);
            Ok(Arc::new(TopKV2 { sorted, index_type }))
        },
        accuracy: Accuracy::Exact,
    },
    OpDef::plain::<Where>("Where", Accuracy::Exact),
    OpDef::plain::<InvertPermutation>("InvertPermutation", Accuracy::Exact),
]];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_nan_before_them() {
        let x = Tensor::from([[1.0_f32, f32::NAN, 3.0, 3.0], [-0.0, 0.0, f32::NEG_INFINITY, -1.0]]);
        for k in 0..=4 {
            let (values, indices) = x.top_k(k).unwrap();
            let order = [[1, 2, 3, 0], [0, 1, 3, 2]].map(|row| row[..k].to_vec()).concat();
            assert_eq!(indices.to_vec::<i32>().unwrap(), order);
            assert_eq!(*values.shape(), [2, k]);
        }
        let error = x.top_k(5).unwrap_err();
        assert_eq!(error.to_string(), "input must have at least k columns. Had 4, needed 5 [Op:TopKV2]");
    }

    #[test]
    fn only_permutations_are_inverted() {
        let invert = |x: Vec<i64>| Tensor::from(x).invert_permutation()?.to_vec::<i64>();
        assert_eq!(invert(vec![1, 2, 0]).unwrap(), [2, 0, 1]);
        assert!(invert(vec![0, 2, 2]).unwrap_err().message().starts_with("2 is duplicated"));
        assert!(invert(vec![0, 3, 1]).unwrap_err().message().starts_with("3 is not between"));
        assert!(invert(vec![0, i64::MIN]).is_err());
    }
}
