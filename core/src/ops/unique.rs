//! Elements told apart: those that are unique, and those of one list that are not in another.

use super::array::index_tensor;
use crate::op::{
    Accuracy, Attrs, Backward, Input, Op, OpDef, allowed, apply, arity, int_values, ints, same_dtype, with_rank,
};
use crate::shape::normalize_axis;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes that are equal where elements are; `None` of a NaN, which equals nothing.
fn identity(bytes: &[u8], dtype: DType) -> Option<Vec<u8>> {
    let part = match dtype {
        DType::Complex64 => 4,
        DType::Complex128 => 8,
        _ if dtype.is_float() => dtype.size(),
        _ => return Some(bytes.to_vec()),
    };
    // A float is little or big endian as the machine is; a number of its bits is neither.
    let float = |bytes: &[u8]| -> u64 {
        match part {
            2 => u16::from_ne_bytes([bytes[0], bytes[1]]).into(),
            4 => u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
            _ => bytes.try_into().map_or(0, u64::from_ne_bytes),
        }
    };
    let (infinity, sign) = match (dtype, part) {
        (DType::F16, _) => (0x7c00, 1 << 15),
        (DType::BF16, _) => (0x7f80, 1 << 15),
        (_, 4) => (0x7f80_0000, 1 << 31),
        _ => (0x7ff0_0000_0000_0000, 1 << 63),
    };
    let mut own = Vec::with_capacity(bytes.len());
    for bytes in bytes.chunks(part) {
        let bits = float(bytes);
        if bits & !sign > infinity {
            return None;
        }
        // Both zeros are one.
        own.extend_from_slice(&if bits == sign { 0_u64 } else { bits }.to_ne_bytes());
    }
    Some(own)
}

/// Each part of a tensor along an axis, as bytes that are equal where the parts are.
fn parts(x: &Tensor, axis: usize) -> Result<Vec<Option<Vec<u8>>>> {
    let dims = x.dims()?;
    let (length, inner) = (dims[axis], dims[axis + 1..].iter().product::<usize>());
    let outer: usize = dims[..axis].iter().product();
    if x.dtype() == DType::String {
        let texts = x.to_strings()?;
        let part = |i: usize| {
            let places = (0..outer).flat_map(|o| (0..inner).map(move |k| (o * length + i) * inner + k));
            let mut own = Vec::new();
            for text in places.map(|at| &texts[at]) {
                own.extend_from_slice(&(text.len() as u64).to_ne_bytes());
                own.extend_from_slice(text);
            }
            Some(own)
        };
        return Ok((0..length).map(part).collect());
    }
    let (bytes, width) = (x.to_bytes()?, inner * x.dtype().size());
    let part = |i: usize| {
        let mut own = Vec::with_capacity(outer * width);
        (0..outer).for_each(|o| own.extend_from_slice(&bytes[(o * length + i) * width..][..width]));
        identity(&own, x.dtype())
    };
    Ok((0..length).map(part).collect())
}

/// The same tensor, of which no tape hears.
fn unheard(x: &Tensor) -> Result<Tensor> {
    let value = x.evaluated()?;
    Ok(Tensor::value(x.dtype(), value.layout.clone(), value.storage.clone()))
}

/// Indices as a vector of int32 or int64.
fn places(values: &[usize], dtype: DType) -> Result<Tensor> {
    match dtype {
        DType::I32 => Tensor::new([values.len()], values.iter().map(|&i| i as i32).collect::<Vec<_>>()),
        _ => Tensor::new([values.len()], values.iter().map(|&i| i as i64).collect::<Vec<_>>()),
    }
}

/// An op's row that differs from the others in its name, whether it counts, and whether it is told an axis.
macro_rules! unique {
    ($($op:ident $counts:literal $axis:literal;)*) => {
        $(
            #[derive(Debug)]
            struct $op {
                out_idx: DType,
            }

            impl Op for $op {
                fn name(&self) -> &'static str {
                    stringify!($op)
                }
                fn attrs(&self) -> Attrs {
                    Attrs::new().with("out_idx", self.out_idx)
                }
                fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
                    let axis = if $axis { Some(arity::<2>(inputs)?[1]) } else { arity::<1>(inputs).map(|_| None)? };
                    unique_specs(inputs[0], axis, self.out_idx, $counts)
                }
                fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
                    unique(inputs[0], inputs.get(1).copied(), self.out_idx, $counts)
                }
                fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
                    Ok(vec![None; b.inputs().len()])
                }
            }
        )*
        const UNIQUE: &[OpDef] = &[$(OpDef {
            name: stringify!($op),
            parse: |attrs| Ok(Arc::new($op { out_idx: index_dtype(attrs)? })),
            accuracy: Accuracy::Exact,
        }),*];
    };
}

unique! {
    Unique false false;
    UniqueV2 false true;
    UniqueWithCounts true false;
    UniqueWithCountsV2 true true;
}

fn index_dtype(attrs: &Attrs) -> Result<DType> {
    let dtype = attrs.dtype("out_idx", DType::I32)?;
    allowed(dtype, |d| matches!(d, DType::I32 | DType::I64), "an out_idx of int32 or int64")
}

/// The axis of an input that is a vector of one, or of none, which means that of a vector.
fn one_axis(axis: &[i64], rank: usize) -> Result<usize> {
    match (axis, rank) {
        ([], 1) => Ok(0),
        ([], _) => Err(Error::invalid_argument(format!("without an axis the input is a vector, found rank {rank}"))),
        ([axis], _) => normalize_axis(*axis, rank),
        _ => Err(Error::invalid_argument(format!("the axis is one number or none, found {axis:?}"))),
    }
}

fn unique_specs(x: Input, axis: Option<Input>, out_idx: DType, counts: bool) -> Result<Vec<Spec>> {
    let dtype = allowed(x.spec.dtype, DType::has_elements, "numbers, bools and strings")?;
    let axis = match axis {
        None => {
            with_rank(&x.spec.shape, 1, "the input")?;
            Some(vec![])
        }
        Some(axis) => {
            with_rank(&axis.spec.shape, 1, "the axis")?;
            ints(&axis, "the axis")?
        }
    };
    let (shape, length) = match (axis, x.spec.shape.dims()) {
        (Some(axis), Some(mut dims)) => {
            let axis = one_axis(&axis, dims.len())?;
            let length = dims[axis].take();
            (Shape::from(dims), length)
        }
        (None, Some(dims)) => (Shape::of_rank(dims.len()), None),
        _ => (Shape::unknown(), None),
    };
    let mut specs = vec![Spec::new(dtype, shape), Spec::new(out_idx, [length])];
    specs.extend(counts.then(|| Spec::new(out_idx, [None])));
    Ok(specs)
}

fn unique(x: &Tensor, axis: Option<&Tensor>, out_idx: DType, counts: bool) -> Result<Vec<Tensor>> {
    let axis = axis.map(int_values).transpose()?.unwrap_or_default();
    let axis = one_axis(&axis, x.dims()?.len())?;
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    let (mut first, mut numbers, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for (i, part) in parts(x, axis)?.into_iter().enumerate() {
        let new = first.len();
        let number = part.map_or(new, |part| *seen.entry(part).or_insert(new));
        if number == new {
            first.push(i as i64);
            times.push(0);
        }
        times[number] += 1;
        numbers.push(number);
    }
    let chosen = Tensor::new([first.len()], first)?;
    let mut outputs = vec![unheard(x)?.gather(&chosen, axis as i64)?, places(&numbers, out_idx)?];
    if counts {
        outputs.push(places(&times, out_idx)?);
    }
    Ok(outputs)
}

/// The elements of a list that are not in another.
#[derive(Debug)]
struct ListDiff {
    out_idx: DType,
}

impl Op for ListDiff {
    fn name(&self) -> &'static str {
        "ListDiff"
    }
    fn attrs(&self) -> Attrs {
        Attrs::new().with("out_idx", self.out_idx)
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [x, y] = arity(inputs)?;
        let dtype = allowed(same_dtype(inputs)?, DType::has_elements, "numbers, bools and strings")?;
        with_rank(&x.spec.shape, 1, "the list")?;
        with_rank(&y.spec.shape, 1, "what is left out")?;
        Ok(vec![Spec::new(dtype, [None]), Spec::new(self.out_idx, [None])])
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let [x, y] = inputs else { return Err(Error::internal("two inputs were inferred")) };
        let out: HashMap<Vec<u8>, ()> = parts(y, 0)?.into_iter().flatten().map(|part| (part, ())).collect();
        let kept = |part: &Option<Vec<u8>>| part.as_ref().is_none_or(|part| !out.contains_key(part));
        let kept: Vec<usize> = parts(x, 0)?.iter().enumerate().filter(|(_, part)| kept(part)).map(|(i, _)| i).collect();
        let places = places(&kept, self.out_idx)?;
        Ok(vec![unheard(x)?.gather(&places, 0)?, places])
    }
    fn grad(&self, _: &Backward) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![None, None])
    }
}

/// Two outputs of an op that has as many.
fn pair(outputs: Vec<Tensor>) -> Result<(Tensor, Tensor)> {
    match <[Tensor; 2]>::try_from(outputs) {
        Ok([first, second]) => Ok((first, second)),
        Err(_) => Err(Error::internal("two outputs were inferred")),
    }
}

impl Tensor {
    /// The elements of a vector without repetitions, in the order in which each first comes, and for each element its
    /// place among them (int32). A NaN equals nothing, and 0 is −0. TensorFlow's `Unique`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (values, places) = Tensor::from([5, 2, 5, 7]).unique()?;
    /// assert_eq!(values.to_vec::<i32>()?, [5, 2, 7]);
    /// assert_eq!(places.to_vec::<i32>()?, [0, 1, 0, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unique(&self) -> Result<(Tensor, Tensor)> {
        pair(apply(Unique { out_idx: DType::I32 }, &[self])?)
    }

    /// As [`unique`](Tensor::unique), of the parts along an axis. TensorFlow's `UniqueV2`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (rows, _) = Tensor::from([[1, 2], [1, 2], [3, 4]]).unique_along(0)?;
    /// assert_eq!(rows.to_vec::<i32>()?, [1, 2, 3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unique_along(&self, axis: i64) -> Result<(Tensor, Tensor)> {
        pair(apply(UniqueV2 { out_idx: DType::I32 }, &[self, &index_tensor(&[axis])?])?)
    }

    /// As [`unique`](Tensor::unique), and how often each comes (int32). TensorFlow's `UniqueWithCounts`.
    pub fn unique_with_counts(&self) -> Result<(Tensor, Tensor, Tensor)> {
        triple(apply(UniqueWithCounts { out_idx: DType::I32 }, &[self])?)
    }

    /// As [`unique_along`](Tensor::unique_along), and how often each part comes (int32). TensorFlow's
    /// `UniqueWithCountsV2`.
    pub fn unique_with_counts_along(&self, axis: i64) -> Result<(Tensor, Tensor, Tensor)> {
        triple(apply(UniqueWithCountsV2 { out_idx: DType::I32 }, &[self, &index_tensor(&[axis])?])?)
    }

    /// The elements of a vector that are not in another, in their order, and where they stand (int32). TensorFlow's
    /// `ListDiff`, `tf.sets`' difference of lists.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (left, places) = Tensor::from([1, 2, 3, 4]).list_diff(&Tensor::from([1, 3]))?;
    /// assert_eq!(left.to_vec::<i32>()?, [2, 4]);
    /// assert_eq!(places.to_vec::<i32>()?, [1, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_diff(&self, other: &Tensor) -> Result<(Tensor, Tensor)> {
        pair(apply(ListDiff { out_idx: DType::I32 }, &[self, other])?)
    }
}

/// Three outputs of an op that has as many.
fn triple(outputs: Vec<Tensor>) -> Result<(Tensor, Tensor, Tensor)> {
    match <[Tensor; 3]>::try_from(outputs) {
        Ok([first, second, third]) => Ok((first, second, third)),
        Err(_) => Err(Error::internal("three outputs were inferred")),
    }
}

const LIST_DIFF: &[OpDef] = &[OpDef {
    name: "ListDiff",
    parse: |attrs| Ok(Arc::new(ListDiff { out_idx: index_dtype(attrs)? })),
    accuracy: Accuracy::Exact,
}];

/// The ops of this file.
pub(crate) const OPS: &[&[OpDef]] = &[UNIQUE, LIST_DIFF];
