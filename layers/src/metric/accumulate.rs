//! Sums over all samples so far.

use crate::loss::same_rank;
use modulor::{DType, Error, Result, Tensor, Variable};

/// Adds weighted values to a total, and what they count for to a count.
pub(super) fn mean(
    values: &Tensor,
    weight: Option<&Tensor>,
    mask: Option<&Tensor>,
    total: &Variable,
    count: &Variable,
) -> Result<()> {
    let (values, weight) = samplewise(values, weight, mask, |t, axes| t.mean(axes))?;
    let counted = match weight {
        Some(weight) => weight.sum(..)?,
        None => values.size_tensor()?.cast(DType::F64)?,
    };
    total.assign_add(&values.sum(..)?)?;
    count.assign_add(&counted)
}

/// Adds weighted values to a total.
pub(super) fn sum(values: &Tensor, weight: Option<&Tensor>, mask: Option<&Tensor>, total: &Variable) -> Result<()> {
    let (values, _) = samplewise(values, weight, mask, |t, axes| t.sum(axes))?;
    total.assign_add(&values.sum(..)?)
}

/// One total by another, 0 of nothing, in the dtype of a name.
pub(super) fn quotient(total: &Variable, count: &Variable, dtype: &str) -> Result<Tensor> {
    total.read()?.div_no_nan(count.read()?)?.cast(DType::from_name(dtype)?)
}

/// Values in float64, one for each sample, weighted; and the weights, one for each sample.
///
/// Where values have more dims than weights, and where either have more than one, they are reduced along the rest.
fn samplewise(
    values: &Tensor,
    weight: Option<&Tensor>,
    mask: Option<&Tensor>,
    reduce: impl Fn(&Tensor, Vec<i64>) -> Result<Tensor>,
) -> Result<(Tensor, Option<Tensor>)> {
    let beyond = |t: &Tensor, first: usize| -> Result<Tensor> {
        let rank = t.rank().ok_or_else(|| Error::invalid_argument("a metric needs the rank of its values"))?;
        if rank > first { reduce(t, (first as i64..rank as i64).collect()) } else { Ok(t.clone()) }
    };
    let wide = |t: &Tensor| t.cast(DType::F64);
    let (values, mask) = (wide(values)?, mask.map(wide).transpose()?);
    let weight = match (weight.map(wide).transpose()?, mask) {
        (Some(weight), Some(mask)) => {
            let (mask, weight) = same_rank(&mask, &weight)?;
            Some(weight.mul(mask)?)
        }
        (weight, mask) => weight.or(mask),
    };
    let Some(weight) = weight else { return Ok((beyond(&values, 1)?, None)) };
    let (values, weight) = same_rank(&values, &weight)?;
    let values = beyond(&values, weight.rank().unwrap_or(0))?;
    // A weight counts once for each value that it weighs; values are never repeated to suit weights.
    let fits = weight.shape().dims().zip(values.shape().dims()).is_none_or(|(w, v)| {
        w.len() <= v.len() && w.iter().rev().zip(v.iter().rev()).all(|(w, v)| *w == Some(1) || w.is_none() || w == v)
    });
    if !fits {
        let message = format!("sample weights of shape {} do not fit values of shape {}", weight.shape(), values.shape());
        return Err(Error::invalid_argument(message));
    }
    let weight = weight.broadcast_like(&values)?;
    Ok((beyond(&(values * &weight), 1)?, Some(beyond(&weight, 1)?)))
}
