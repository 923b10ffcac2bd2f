//! From the losses of samples to one number.

use modulor::{Error, Result, Tensor};
use serde::{Deserialize, Serialize};

/// What becomes of the losses of all samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The sum of the weighted losses, by the number of losses.
    #[default]
    SumOverBatchSize,
    /// The same.
    Mean,
    /// The sum of the weighted losses, by the sum of the weights.
    MeanWithSampleWeight,
    /// The sum.
    Sum,
    /// Nothing: they stay as they are.
    None,
}

impl Reduction {
    /// The losses, weighted, masked and reduced.
    pub(super) fn reduce(self, losses: &Tensor, weight: Option<&Tensor>, mask: Option<&Tensor>) -> Result<Tensor> {
        let mean = matches!(self, Reduction::Mean | Reduction::SumOverBatchSize);
        let weight = match (mask, weight) {
            (None, None) => None,
            (None, Some(weight)) => Some(weight.cast(losses.dtype())?),
            (Some(mask), None) => Some(weights_of_mask(mask, losses, mean)?),
            (Some(mask), Some(weight)) => {
                let (mask, weight) = same_rank(&weights_of_mask(mask, losses, mean)?, &weight.cast(losses.dtype())?)?;
                Some(weight.mul(mask)?)
            }
        };
        let (values, weight) = match weight {
            None => (losses.with_mask(None), None),
            Some(weight) => {
                let (losses, weight) = same_rank(losses, &weight)?;
                fits(&weight, &losses)?;
                (losses.mul(&weight)?, Some(weight))
            }
        };
        // Keras leaves a batch of no sample as it is.
        if self == Reduction::None || matches!(values.shape().known(), Some([] | [0])) {
            return Ok(values);
        }
        let sum = values.sum(..)?;
        match (self, weight) {
            (Reduction::Sum, _) => Ok(sum),
            (Reduction::MeanWithSampleWeight, Some(weight)) => sum.div_no_nan(weight.sum(..)?),
            _ => sum.div_no_nan(values.size_tensor()?.cast(sum.dtype())?),
        }
    }
}

/// A mask as weights in the dtype of the losses: 0 and 1, or for a mean 0 and what makes the weights 1 on average.
pub(crate) fn weights_of_mask(mask: &Tensor, losses: &Tensor, mean: bool) -> Result<Tensor> {
    let kept = mask.cast(losses.dtype())?;
    if !mean {
        return Ok(kept);
    }
    let total = mask.size_tensor()?.cast(losses.dtype())?;
    kept.mul(total.div_no_nan(kept.sum(..)?)?)
}

/// Two tensors of one rank where their ranks differ by a last dim of 1: it is added to a vector, and taken from a tensor
/// beside one of two dims or more.
pub(crate) fn same_rank(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let (Some(rank_a), Some(rank_b)) = (a.rank(), b.rank()) else { return Ok((a.clone(), b.clone())) };
    let ends_in_one = |t: &Tensor, rank: usize| t.shape().dim(rank - 1) == Some(1);
    Ok(if rank_a == rank_b + 1 && ends_in_one(a, rank_a) {
        if rank_b == 1 { (a.clone(), b.expand_dims(-1)?) } else { (a.squeeze([-1])?, b.clone()) }
    } else if rank_b == rank_a + 1 && ends_in_one(b, rank_b) {
        if rank_a == 1 { (a.expand_dims(-1)?, b.clone()) } else { (a.clone(), b.squeeze([-1])?) }
    } else {
        (a.clone(), b.clone())
    })
}

/// Whether every dim of the weights is that of the losses or 1, so that no loss counts twice, or one loss, that of a whole
/// batch, is weighted by every sample, as in Keras.
fn fits(weight: &Tensor, losses: &Tensor) -> Result<()> {
    let (Some(w), Some(l)) = (weight.shape().dims(), losses.shape().dims()) else { return Ok(()) };
    let each = |(w, l): (&Option<usize>, &Option<usize>)| *w == Some(1) || w.is_none() || l.is_none() || w == l;
    if w.is_empty() || l.is_empty() || w.len() == l.len() && w.iter().zip(&l).all(each) {
        return Ok(());
    }
    Err(Error::invalid_argument(format!(
        "sample weights of shape {} do not fit losses of shape {}",
        weight.shape(),
        losses.shape()
    )))
}
