//! Losses of what belongs together: labels of sequences with their steps, samples of a class with each other.

use super::class::losses;
use modulor::{DType, Error, Result, Tensor};

/// The loss of labels `[batch, most labels]` by logits `[batch, steps, classes]`, one value for each sequence: how unlikely
/// they are by all alignments with the steps. See [`Tensor::ctc_loss`].
///
/// Class 0 is the blank, and stands after the last label of a sequence that has fewer than others.
///
/// ```
/// use modulor::Tensor;
/// use modulor_layers::loss::ctc;
/// # fn main() -> modulor::Result<()> {
/// let logits = Tensor::from([[[0.0_f32, 0.0], [0.0, 0.0]]]);
/// let loss = ctc(&Tensor::from([[1, 0]]), &logits)?;
/// assert!((loss.item::<f32>()? - (4.0_f32 / 3.0).ln()).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub fn ctc(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    y_true.check()?;
    y_pred.check()?;
    if [y_true, y_pred].map(Tensor::rank) != [Some(2), Some(3)] {
        let message = format!(
            "targets are [batch, most labels] and predictions [batch, steps, classes], found shapes {} and {}",
            y_true.shape(),
            y_pred.shape()
        );
        return Err(Error::invalid_argument(message));
    }
    let labels = y_true.not_equal(0.0)?.cast(DType::I32)?.sum(1)?;
    let steps = y_pred.shape_tensor()?.slice(1)?.cast(DType::I32)?;
    let steps = labels.zeros_like()?.add(steps)?;
    y_pred.ctc_loss(y_true, &labels, &steps, 0)
}

/// The circle loss of embeddings `[batch, size]`, which have length 1, one value for each: how near are those of other
/// labels, and how far those of the same, each weighted by how much is missing.
///
/// With cosine distances d: `softplus(ln Σ exp(−gamma·(margin + d)·(margin − d)) + ln Σ exp(gamma·(1 + margin − d)⁺·(1 −
/// margin − d)))`, the first sum over samples of the same label, with `remove_diagonal` but for the sample itself, the second
/// over the others. Where there are none of the one or the other the loss is 0, and so, unlike Keras's, is its gradient.
/// Losses of 0 are masked.
pub fn circle(y_true: &Tensor, y_pred: &Tensor, gamma: f64, margin: f64, remove_diagonal: bool) -> Result<Tensor> {
    y_true.check()?;
    y_pred.check()?;
    if y_pred.rank() != Some(2) {
        let message = format!("predictions are embeddings [batch, size], found shape {}", y_pred.shape());
        return Err(Error::invalid_argument(message));
    }
    let labels = y_true.cast(DType::I32)?.reshape([-1, 1])?;
    let distances = (1.0 - y_pred.matmul_with(y_pred, false, true)?).maximum(0.0)?;
    let same = labels.equal(labels.reshape([1, -1])?)?;
    let other = same.logical_not()?;
    let same = match remove_diagonal {
        true => same.logical_and(&distances.ones_like()?.band_part(0, 0)?.equal(0.0)?)?,
        false => same,
    };
    let near = (&distances + margin).maximum(0.0)? * (margin - &distances) * -gamma;
    let far = ((1.0 + margin) - &distances).maximum(0.0)? * ((1.0 - margin) - &distances) * gamma;
    // Rows without any are kept finite, so that their gradient is none rather than not a number.
    let counts = same.any(1)?.logical_and(&other.any(1)?)?;
    let none = distances.zeros_like()?;
    let sum = |exponents: Tensor, of: &Tensor| {
        let whole = of.logical_or(&counts.expand_dims(1)?.logical_not()?)?;
        whole.select(&of.select(&exponents, &none)?, &(&none + f64::NEG_INFINITY))?.log_sum_exp(1)
    };
    let losses = sum(near, &same)?.add(sum(far, &other)?)?.softplus()?;
    let losses = counts.select(&losses, &losses.zeros_like()?)?;
    let counts = losses.greater(0.0)?;
    Ok(losses.with_mask(Some(counts)))
}

losses! {
    /// How unlikely labels of sequences are by any alignment with the steps: [`ctc`].
    CTC, "ctc" = ctc {}
    /// How near samples of other labels are, and how far those of the same: [`circle`].
    Circle, "circle" = circle {
        /// How steep the loss is; 80 unless set.
        gamma: f64 = 80.0,
        /// How near the same must be, and how far others; 0.4 unless set.
        margin: f64 = 0.4,
        /// Whether a sample does not count as one of its own label; true unless set.
        remove_diagonal: bool = true,
    }
}
