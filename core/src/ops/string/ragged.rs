//! Rows of different lengths as a tensor.

use super::checked_splits;
use crate::op::{
    Accuracy, Attr, Attrs, Backward, Input, Op, OpDef, allowed, apply_one, int_values, ints, same_dtype, with_rank,
};
use crate::shape::count;
use crate::{DType, Error, Result, Shape, Spec, Tensor};
use std::sync::Arc;

/// How it is said which row a value belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Partition {
    /// Where rows begin and end.
    RowSplits,
    /// How many rows there are, and the row of each value, which does not fall.
    ValueRowIds,
}

impl Partition {
    fn of(attrs: &Attrs) -> Result<Partition> {
        let given = attrs.get("row_partition_types");
        let names: Vec<&str> = match given {
            Some(Attr::List(names)) => {
                names.iter().filter_map(|name| if let Attr::Str(name) = name { Some(&**name) } else { None }).collect()
            }
            _ => Vec::new(),
        };
        match &*names {
            ["ROW_SPLITS"] => Ok(Partition::RowSplits),
            ["FIRST_DIM_SIZE", "VALUE_ROWIDS"] => Ok(Partition::ValueRowIds),
            _ => Err(Error::unimplemented(format!(
                "`row_partition_types` is [\"ROW_SPLITS\"] or [\"FIRST_DIM_SIZE\", \"VALUE_ROWIDS\"], found {given:?}"
            ))),
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Partition::RowSplits => &["ROW_SPLITS"],
            Partition::ValueRowIds => &["FIRST_DIM_SIZE", "VALUE_ROWIDS"],
        }
    }
}

/// Rows of values as a tensor: cut, or filled up with another value.
#[derive(Debug)]
struct RaggedTensorToTensor {
    partition: Partition,
}

/// The shape that was asked for, as far as it is known: of rows, their length, and the dims of values.
fn wanted(shape: &Input) -> Result<Option<Vec<Option<usize>>>> {
    let dims = ints(shape, "the shape")?;
    let rank = shape.spec.shape.rank();
    let dims = match (rank, dims) {
        (_, None) | (Some(0), Some(_)) => return Ok(None),
        (_, Some(dims)) => dims,
    };
    if let Some(wrong) = dims.iter().find(|&&dim| dim < -1) {
        return Err(Error::invalid_argument(format!("a dim of the shape is at least 0, or -1, found {wrong}")));
    }
    if dims.len() < 2 {
        return Err(Error::invalid_argument(format!("the shape has at least 2 dims, found {dims:?}")));
    }
    Ok(Some(dims.into_iter().map(|dim| usize::try_from(dim).ok()).collect()))
}

impl RaggedTensorToTensor {
    /// Where the values of each row begin and end.
    fn rows(&self, partition: &[&Tensor], values: usize) -> Result<Vec<usize>> {
        match (self.partition, partition) {
            (Partition::RowSplits, [splits]) => checked_splits(&int_values(splits)?, values),
            (Partition::ValueRowIds, [size, ids]) => {
                let (rows, ids) = (int_values(size)?, int_values(ids)?);
                let rows = rows.first().and_then(|&rows| usize::try_from(rows).ok());
                let rows = rows.ok_or_else(|| Error::invalid_argument("the number of rows must not be negative"))?;
                if ids.len() != values {
                    let found = ids.len();
                    return Err(Error::invalid_argument(format!("there are {values} values, and rows of {found}")));
                }
                let (first, last) = (ids.first().copied().unwrap_or(0), ids.last().copied().unwrap_or(-1));
                if !ids.is_sorted() || first < 0 || last >= i64::try_from(rows).unwrap_or(i64::MAX) {
                    let message = format!("rows of values must not fall, and be among {rows}");
                    return Err(Error::invalid_argument(message));
                }
                count(&[rows])?;
                let mut splits = crate::tensor::room(rows.saturating_add(1))?;
                splits.extend((0..=rows).map(|row| ids.partition_point(|&id| id < row as i64)));
                Ok(splits)
            }
            _ => Err(Error::invalid_argument(format!(
                "{:?} are as many tensors, and {} were given",
                self.partition.names(),
                partition.len()
            ))),
        }
    }
}

impl Op for RaggedTensorToTensor {
    fn name(&self) -> &'static str {
        "RaggedTensorToTensor"
    }
    fn attrs(&self) -> Attrs {
        let names = self.partition.names().iter().map(|&name| Attr::from(name)).collect();
        Attrs::new().with("row_partition_types", Attr::List(names))
    }
    fn infer(&self, inputs: &[Input]) -> Result<Vec<Spec>> {
        let [shape, values, default, partition @ ..] = inputs else {
            return Err(Error::invalid_argument(format!("expected at least 3 inputs, found {}", inputs.len())));
        };
        if partition.len() != self.partition.names().len() {
            let (names, found) = (self.partition.names(), partition.len());
            return Err(Error::invalid_argument(format!("{names:?} are as many tensors, and {found} were given")));
        }
        let dtype = allowed(same_dtype(&[*values, *default])?, DType::has_elements, "numbers, bools and strings")?;
        same_dtype(partition)?;
        for part in partition {
            allowed(part.spec.dtype, |d| matches!(d, DType::I32 | DType::I64), "rows of int32 or int64")?;
        }
        with_rank(&default.spec.shape, 0, "the default value")?;
        let inner = match values.spec.shape.dims() {
            Some(dims) if dims.is_empty() => {
                return Err(Error::invalid_argument("the values must be at least a vector"));
            }
            Some(dims) => Some(dims[1..].to_vec()),
            None => None,
        };
        let wanted = wanted(shape)?;
        let rows = match self.partition {
            Partition::RowSplits => {
                with_rank(&partition[0].spec.shape, 1, "the splits")?.dim(0).map(|count| count.saturating_sub(1))
            }
            Partition::ValueRowIds => {
                with_rank(&partition[1].spec.shape, 1, "the rows of values")?;
                with_rank(&partition[0].spec.shape, 0, "the number of rows")?;
                partition[0].value.map(int_values).transpose()?.and_then(|rows| usize::try_from(*rows.first()?).ok())
            }
        };
        let (Some(inner), shape) = (inner, &shape.spec.shape) else {
            return Ok(vec![Spec::new(dtype, Shape::unknown())]);
        };
        let mut dims = vec![None, None];
        // Of a shape that is not known yet the rows may be other than there are.
        let is_open = wanted.is_none() && shape.rank() != Some(0);
        dims.extend(inner.iter().copied());
        if let Some(wanted) = wanted {
            if wanted.len() != dims.len() {
                let (wanted, found) = (wanted.len(), dims.len());
                let message = format!("the shape has {wanted} dims, and rows of the values have {found}");
                return Err(Error::invalid_argument(message));
            }
            for (dim, given) in dims.iter_mut().zip(&wanted).skip(2) {
                if let (Some(dim), Some(given)) = (*dim, given)
                    && dim != *given
                {
                    let message = format!("the shape has a dim of {given} where the values have {dim}");
                    return Err(Error::invalid_argument(message));
                }
                *dim = dim.or(*given);
            }
            (dims[0], dims[1]) = (wanted[0].or(rows), wanted[1]);
        } else if !is_open {
            dims[0] = rows;
        }
        Ok(vec![Spec::new(dtype, dims)])
    }
    fn always_makes(&self) -> bool {
        true
    }
    fn make(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let [shape, values, default, partition @ ..] = inputs else {
            return Err(Error::internal("three inputs and more were inferred"));
        };
        let (total, inner) = match values.dims()? {
            [total, inner @ ..] => (*total, inner),
            [] => return Err(Error::internal("a vector was inferred")),
        };
        let splits = self.rows(partition, total)?;
        let wanted = wanted(&crate::op::see(shape))?.unwrap_or_default();
        let rows = splits.len().saturating_sub(1);
        let longest = splits.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        let [height, width] =
            [(0, rows), (1, longest)].map(|(axis, own)| wanted.get(axis).copied().flatten().unwrap_or(own));
        // Of each place the value, or the default behind them all.
        let mut places = crate::tensor::room(count(&[height, width])?)?;
        for row in 0..height {
            let own = splits.get(row..row + 2).map_or(0..0, |pair| pair[0]..pair[1]);
            places.extend((0..width).map(|column| if column < own.len() { own.start + column } else { total } as i64));
        }
        let rest: Vec<usize> = std::iter::once(1).chain(inner.iter().copied()).collect();
        let [values, default] = [values.alias()?, default.broadcast_to(rest)?];
        let all = Tensor::concat(&[values, default], 0)?;
        let made = all.gather(&Tensor::new([height, width], places)?, 0)?;
        Ok(vec![made.alias()?])
    }
    fn grad(&self, b: &Backward) -> Result<Vec<Option<Tensor>>> {
        if b.input(1).dtype().is_differentiable() {
            return Err(Error::unimplemented("the gradient of rows that were filled up"));
        }
        Ok(vec![None; b.inputs().len()])
    }
}

impl Tensor {
    /// A tensor of two axes more than one of these values has, less one: a row for each pair of neighbours among `splits`,
    /// with the values between them, cut to a length or filled up with `default`. Without a length it is that of the longest
    /// row. TensorFlow's `RaggedTensorToTensor`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let splits = Tensor::from([0_i64, 1, 1, 4]);
    /// let rows = Tensor::from([1, 2, 3, 4]).rows_to_tensor(&splits, None, &Tensor::scalar(0))?;
    /// assert_eq!(rows.dims()?, [3, 3]);
    /// assert_eq!(rows.to_vec::<i32>()?, [1, 0, 0, 0, 0, 0, 2, 3, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows_to_tensor(&self, splits: &Tensor, length: Option<usize>, default: &Tensor) -> Result<Tensor> {
        let inner = self.rank().map_or(0, |rank| rank.saturating_sub(1));
        let length = length.map_or(-1, |length| i64::try_from(length).unwrap_or(i64::MAX));
        let shape: Vec<i64> = [-1, length].into_iter().chain(std::iter::repeat_n(-1, inner)).collect();
        let op = RaggedTensorToTensor { partition: Partition::RowSplits };
        apply_one(op, &[&Tensor::new([shape.len()], shape)?, self, default, splits])
    }
}

pub(super) const OPS: &[OpDef] = &[OpDef {
    name: "RaggedTensorToTensor",
    parse: |attrs| Ok(Arc::new(RaggedTensorToTensor { partition: Partition::of(attrs)? })),
    accuracy: Accuracy::Exact,
}];
