//! Where values stand among others: in a sorted row, between boundaries, among the greatest.

use super::order::descending;
use crate::dtype::dispatch;
use crate::op::{
    Accuracy, Attr, Attrs, Backward, Input, Op, OpDef, Operand, Scratch, View, ViewMut, allowed, apply_one, arity,
    at_least_rank, one_int, same_dtype, unsupported, with_rank,
};
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use bytemuck::Pod;
use std::sync::Arc;

/// Writes indices of int32 or int64.
fn write(out: &mut ViewMut, places: impl Iterator<Item = usize>) -> Result<()> {
    match out.dtype() {
        DType::I32 => out.elements::<i32>()?.iter_mut().zip(places).for_each(|(out, place)| *out = place as i32),
        _ => out.elements::<i64>()?.iter_mut().zip(places).for_each(|(out, place)| *out = place as i64),
    }
    Ok(())
}

fn out_type(attrs: &Attrs) -> Result<DType> {
    let dtype = attrs.dtype("out_type", DType::I32)?;
    allowed(dtype, |d| matches!(d, DType::I32 | DType::I64), "an out_type of int32 or int64")
}

/// One side on which a place is looked for a row: how many of a sorted row come before a value.
macro_rules! bounds {
    ($($op:ident |$x:ident, $value:ident| $before:expr;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                out_type: DType,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("out_type", self.out_type)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let [sorted, values] = arity(inputs)?;
                    allowed(same_dtype(inputs)?, |d| d.is_float() || d.is_integer(), "numbers")?;
                    let rows = with_rank(&sorted.spec.shape, 2, "sorted_inputs")?;
                    let shape = with_rank(&values.spec.shape, 2, "values")?;
                    let both = Shape::from(vec![rows.dim(0)]).merge(&vec![shape.dim(0)].into()).ok_or_else(|| {
                        Error::invalid_argument(format!(
                            "sorted_inputs and values must have as many rows, found {rows} and {shape}"
                        ))
                    })?;
                    Ok(vec![Spec::new(self.out_type, vec![both.dim(0), shape.dim(1)])])
                }
                fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
                    (inputs[0].dense_room() + inputs[1].dense_room()) * size_of::<u128>()
                }
                fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
                    let [sorted, values] = inputs else { return Err(Error::internal("two inputs were inferred")) };
                    let room = scratch.take(sorted.dense_room() + values.dense_room())?;
                    let (n, m) = (sorted.dims()[1], values.dims()[1]);
                    dispatch!(sorted.dtype(), number T => {
                        let (sorted, room) = sorted.dense::<T>(room)?;
                        let (values, _) = values.dense::<T>(room)?;
                        write(&mut outputs[0], values.iter().enumerate().map(|(i, $value)| {
                            sorted[i / m * n..][..n].partition_point(|$x| $before)
                        }))
                    }, else => Err(unsupported(sorted.dtype())))
                }
                fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None, None])
                }
            }
        )*
        const BOUNDS: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { out_type: out_type(attrs)? })),
            accuracy: Accuracy::Exact,
        }),*];
    };
}

bounds! {
    LowerBound |x, value| x < value;
    // Not `x <= value`: nothing is before a NaN, and everything is not after it.
    UpperBound |x, value| !matches!(value.partial_cmp(x), Some(std::cmp::Ordering::Less));
}

/// Between which boundaries each number lies.
#[derive(Debug)]
struct Bucketize {
    boundaries: Vec<f32>,
}

impl Op for Bucketize {
    fn name(&self) -> &'static str {
        "Bucketize"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("boundaries", Attr::List(self.boundaries.iter().map(|&x| Attr::Float(x)).collect()))
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x] = arity(inputs)?;
        let wide = |d: DType| matches!(d, DType::F32 | DType::F64 | DType::I32 | DType::I64);
        allowed(x.spec.dtype, wide, "float32, float64, int32 and int64")?;
        Ok(vec![Spec::new(DType::I32, &x.spec.shape)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        inputs[0].dense_room() * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, out) = (&inputs[0], &mut outputs[0]);
        let room = scratch.take(x.dense_room())?;
        let above = |x: f64| self.boundaries.partition_point(|&boundary| x.is_nan() || x >= f64::from(boundary));
        match x.dtype() {
            DType::F32 => write(out, x.dense::<f32>(room)?.0.iter().map(|&x| above(x.into()))),
            DType::F64 => write(out, x.dense::<f64>(room)?.0.iter().map(|&x| above(x))),
            DType::I32 => write(out, x.dense::<i32>(room)?.0.iter().map(|&x| above(x.into()))),
            _ => write(out, x.dense::<i64>(room)?.0.iter().map(|&x| above(x as f64))),
        }
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None])
    }
}

/// The boundaries of an attribute, which must not fall.
fn boundaries(attrs: &Attrs) -> Result<Vec<f32>> {
    let wrong = |found: &Attr| {
        Error::invalid_argument(format!(
            "attribute `boundaries` takes a list of floats that do not fall, found {found:?}"
        ))
    };
    let Some(found) = attrs.get("boundaries") else {
        return Err(Error::invalid_argument("attribute `boundaries` is missing"));
    };
    let Attr::List(values) = found else { return Err(wrong(found)) };
    let float = |value: &Attr| match value {
        Attr::Float(value) => Ok(*value),
        Attr::Int(value) => Ok(*value as f32),
        _ => Err(wrong(found)),
    };
    let values = values.iter().map(float).collect::<Result<Vec<_>>>()?;
    if values.is_sorted() { Ok(values) } else { Err(wrong(found)) }
}

/// Whether the prediction of a class is among the greatest.
#[derive(Debug, Default)]
struct InTopKV2;

/// The same with the number as an attribute.
#[derive(Debug)]
struct InTopK {
    k: i64,
}

/// The shape of an answer for each row of predictions.
fn one_for_each(predictions: &Input, targets: &Input) -> Result<Vec<Spec>> {
    allowed(predictions.spec.dtype, |d| d == DType::F32, "predictions of float32")?;
    allowed(targets.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "targets of int32 or int64")?;
    let rows = with_rank(&predictions.spec.shape, 2, "the predictions")?;
    let number = with_rank(&targets.spec.shape, 1, "the targets")?;
    let both = number.merge(&vec![rows.dim(0)].into()).ok_or_else(|| {
        Error::invalid_argument(format!("there must be a target for each row of {rows}, found {number}"))
    })?;
    Ok(vec![Spec::new(DType::Bool, both)])
}

fn in_room(inputs: &[View]) -> usize {
    inputs[0].dense_room() + inputs[1].ints_room()
}

fn in_top_k(inputs: &[View], k: i64, out: &mut ViewMut, scratch: &mut Scratch) -> Result<()> {
    let room = scratch.take(in_room(inputs))?;
    let (targets, room) = inputs[1].ints(room)?;
    let (x, classes) = (inputs[0].dense::<f32>(room)?.0, inputs[0].dims()[1]);
    for (i, (out, &target)) in out.elements::<u8>()?.iter_mut().zip(&*targets).enumerate() {
        let row = &x[i * classes..][..classes];
        let own = usize::try_from(target).ok().and_then(|target| row.get(target)).filter(|own| own.is_finite());
        let told = own.filter(|_| row.iter().all(|x| x.is_finite()));
        *out = told.is_some_and(|own| (row.iter().filter(|&x| x > own).count() as i64) < k).into();
    }
    Ok(())
}

impl Op for InTopKV2 {
    fn name(&self) -> &'static str {
        "InTopKV2"
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [predictions, targets, k] = arity(inputs)?;
        with_rank(&k.spec.shape, 0, "k")?;
        one_int(k, "k")?;
        one_for_each(predictions, targets)
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        in_room(inputs) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        in_top_k(inputs, inputs[2].int(0)?, &mut outputs[0], scratch)
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 3])
    }
}

impl Op for InTopK {
    fn name(&self) -> &'static str {
        "InTopK"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("k", self.k)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [predictions, targets] = arity(inputs)?;
        one_for_each(predictions, targets)
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        in_room(inputs) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        in_top_k(inputs, self.k, &mut outputs[0], scratch)
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None; 2])
    }
}

/// The element of each row that stands in a place of the sorted row.
#[derive(Debug)]
struct NthElement {
    reverse: bool,
}

impl Op for NthElement {
    fn name(&self) -> &'static str {
        "NthElement"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("reverse", self.reverse)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, n] = arity(inputs)?;
        let dtype = allowed(x.spec.dtype, |d| d.is_float() || d.is_integer(), "numbers")?;
        at_least_rank(&x.spec.shape, 1, "the input")?;
        with_rank(&n.spec.shape, 0, "n")?;
        let n = one_int(n, "n")?;
        let Some(mut dims) = x.spec.shape.dims() else { return Ok(vec![Spec::new(dtype, Shape::unknown())]) };
        let length = dims.pop().flatten();
        if let Some(n) = n.filter(|&n| n < 0 || length.is_some_and(|length| n >= length as i64)) {
            return Err(Error::invalid_argument(format!(
                "n must be a place along the last axis of {}, found {n}",
                x.spec.shape
            )));
        }
        Ok(vec![Spec::new(dtype, dims)])
    }
    fn scratch(&self, inputs: &[View], _: &[ViewMut]) -> usize {
        let x = &inputs[0];
        let row = x.dims().last().map_or(0, |n| (n * x.dtype().size()).div_ceil(size_of::<u128>()));
        (row + x.dense_room()) * size_of::<u128>()
    }
    fn run(&self, inputs: &[View], outputs: &mut [ViewMut], scratch: &mut Scratch) -> Result<()> {
        let (x, n) = (&inputs[0], inputs[1].int(0)? as usize);
        let row = x.dims().last().map_or(0, |n| (n * x.dtype().size()).div_ceil(size_of::<u128>()));
        let (own, room) = scratch.take::<u128>(row + x.dense_room())?.split_at_mut(row);
        dispatch!(x.dtype(), number T => nth::<T>(x, n, self.reverse, outputs[0].elements()?, own, room),
            else => Err(unsupported(x.dtype())))
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        let (x, y, dy) = (b.input(0), b.output(0).expand_dims(-1)?, b.dy(0).expand_dims(-1)?);
        let chosen = x.equal(y)?.cast(dy.dtype())?;
        let shares = dy / chosen.sum_keepdims(-1)?;
        Ok(vec![Some(chosen * shares), None])
    }
}

fn nth<T: Pod + PartialOrd>(
    x: &View,
    n: usize,
    reverse: bool,
    out: &mut [T],
    own: &mut [u128],
    room: &mut [u128],
) -> Result<()> {
    let length = x.dims().last().copied().unwrap_or(0);
    let own = &mut bytemuck::cast_slice_mut::<u128, T>(own)[..length];
    for (out, row) in out.iter_mut().zip(x.dense::<T>(room)?.0.chunks(length.max(1))) {
        own.copy_from_slice(row);
        // In falling order a NaN comes first, so that it is last in rising order.
        *out = *match reverse {
            true => own.select_nth_unstable_by(n, descending).1,
            false => own.select_nth_unstable_by(length - 1 - n, descending).1,
        };
    }
    Ok(())
}

impl Tensor {
    /// How many elements of this, which rises along its last axis, are less than each of `values` or, from the `right`,
    /// not greater (int32): the place where it could be put in. This is a vector, or has the axes of `values` but for the
    /// last, along which values may be as many as they like. TensorFlow's `LowerBound` and `UpperBound`,
    /// `tf.searchsorted`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (sorted, values) = (Tensor::from([1.0_f32, 3.0, 5.0]), Tensor::from([0.5_f32, 3.0]));
    /// assert_eq!(sorted.search_sorted(&values, false)?.to_vec::<i32>()?, [0, 1]);
    /// assert_eq!(sorted.search_sorted(&values, true)?.to_vec::<i32>()?, [0, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn search_sorted(&self, values: impl Operand, right: bool) -> Result<Tensor> {
        self.check()?;
        let values = values.operand(self.dtype())?;
        let rank = self.rank().ok_or_else(|| Error::failed_precondition("the rank of what is sorted is unknown"))?;
        let matrix = |x: &Tensor| match x.rank() {
            Some(rank) if rank > 0 => {
                let rows = Tensor::scalar(-1_i32);
                x.reshape_by(&Tensor::stack(&[rows, x.length(rank - 1)?], 0)?)
            }
            _ => x.reshape([-1, 1]),
        };
        let rows = if rank == 1 {
            [self.expand_dims(0)?, values.reshape([1, -1])?]
        } else {
            [matrix(self)?, matrix(&values)?]
        };
        let out_type = DType::I32;
        let found = match right {
            false => apply_one(LowerBound { out_type }, &[&rows[0], &rows[1]]),
            true => apply_one(UpperBound { out_type }, &[&rows[0], &rows[1]]),
        };
        found?.reshape_as(&values)
    }

    /// How many of the boundaries, which do not fall, are not above each element (int32): 0 below the first, and all for
    /// NaN. TensorFlow's `Bucketize`, for float32, float64, int32 and int64.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([-5, 0, 50, 100]);
    /// assert_eq!(x.bucketize([0.0, 10.0, 100.0])?.to_vec::<i32>()?, [0, 1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bucketize(&self, boundaries: impl AsRef<[f32]>) -> Result<Tensor> {
        let given = Attr::List(boundaries.as_ref().iter().map(|&x| Attr::Float(x)).collect());
        let boundaries = self::boundaries(&Attrs::new().with("boundaries", given)).map_err(|e| e.in_op("Bucketize"))?;
        apply_one(Bucketize { boundaries }, &[self])
    }

    /// For each row of these float32 predictions, whether fewer than `k` are greater than that of the row's target, an
    /// int32 or int64. False where a prediction is not finite or the target is no class. TensorFlow's `InTopKV2`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let predictions = Tensor::from([[0.1_f32, 0.7, 0.2], [0.5, 0.3, 0.2]]);
    /// assert_eq!(predictions.in_top_k(&Tensor::from([2, 2]), 2)?.to_vec::<bool>()?, [true, false]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_top_k(&self, targets: &Tensor, k: i64) -> Result<Tensor> {
        apply_one(InTopKV2, &[self, targets, &Tensor::scalar(k).cast(targets.dtype())?])
    }

    /// The element in place `n`, counted from 0, of the sorted elements along the last axis: in rising order or, in
    /// `reverse`, in falling order. NaN counts as greater than all numbers. TensorFlow's `NthElement`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([3, 1, 4, 1, 5]).nth_element(2, false)?.item::<i32>()?, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn nth_element(&self, n: usize, reverse: bool) -> Result<Tensor> {
        apply_one(NthElement { reverse }, &[self, &Tensor::scalar(i32::try_from(n).unwrap_or(i32::MAX))])
    }
}

const OTHERS: &[OpDef] = &[
    OpDef {
        name: "Bucketize",
        parse: |attrs| Ok(Arc::new(Bucketize { boundaries: boundaries(attrs)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef {
        name: "InTopK",
        parse: |attrs| Ok(Arc::new(InTopK { k: attrs.int("k", None)? })),
        accuracy: Accuracy::Exact,
    },
    OpDef::plain::<InTopKV2>("InTopKV2", Accuracy::Exact),
    OpDef {
        name: "NthElement",
        parse: |attrs| Ok(Arc::new(NthElement { reverse: attrs.bool("reverse", false)? })),
        accuracy: Accuracy::Exact,
    },
];

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[BOUNDS, OTHERS];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::trace;

    #[test]
    fn values_of_any_rank_are_looked_for_in_rows() {
        let sorted = Tensor::from([1_i64, 3, 3, 7]);
        assert_eq!(sorted.search_sorted(3.0, true).unwrap().item::<i32>().unwrap(), 3);
        let matrix = sorted.search_sorted(Tensor::from([[0_i64, 3], [8, 7]]), false).unwrap();
        assert_eq!((matrix.dims().unwrap(), matrix.to_vec::<i32>().unwrap()), (&[2, 2][..], vec![0, 1, 4, 3]));
        let rows = Tensor::from([[[1.0_f32, 2.0]], [[10.0, 20.0]]]);
        let values = Tensor::from([[[0.0_f32, 1.5, 3.0]], [[15.0, 10.0, 5.0]]]);
        let found = rows.search_sorted(&values, false).unwrap();
        assert_eq!((found.dims().unwrap(), found.to_vec::<i32>().unwrap()), (&[2, 1, 3][..], vec![0, 1, 2, 1, 0, 0]));
        let specs = [Spec::new(DType::F32, vec![None, Some(1), None]), Spec::new(DType::F32, vec![None; 3])];
        let graph = trace(|x| Ok(vec![x[0].search_sorted(&x[1], false)?]), &specs).unwrap();
        assert_eq!(graph.run(&[&rows, &values]).unwrap()[0].to_vec::<i32>().unwrap(), [0, 1, 2, 1, 0, 0]);
    }

    #[test]
    fn nan_is_last_in_rising_order_and_first_in_falling_order() {
        let x = Tensor::from([[2.0_f32, f32::NAN, 1.0]]);
        assert!(x.nth_element(2, false).unwrap().to_vec::<f32>().unwrap()[0].is_nan());
        assert!(x.nth_element(0, true).unwrap().to_vec::<f32>().unwrap()[0].is_nan());
        assert_eq!(x.nth_element(1, true).unwrap().to_vec::<f32>().unwrap(), [2.0]);
    }

    #[test]
    fn boundaries_that_fall_are_refused() {
        let error = Tensor::from([1.0_f32]).bucketize([2.0, 1.0]).unwrap_err();
        assert_eq!(error.op(), Some("Bucketize"));
        assert!(Tensor::from([1.0_f32]).bucketize([f32::NAN]).is_ok());
    }
}
