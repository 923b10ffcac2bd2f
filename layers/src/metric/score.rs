//! Scores of labels, and of regressions.

use super::accuracy::equal_shapes;
use super::class::{counted, counters, defaults};
use super::total::rank;
use crate::OrNone;
use crate::family::EPSILON;
use crate::loss::same_rank;
use modulor::{DType, Error, Result, Tensor};
use serde::{Deserialize, Serialize};

/// What becomes of the scores of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Average {
    /// One score of all labels together.
    Micro,
    /// Their mean.
    Macro,
    /// Their mean by the number of samples that have the label.
    Weighted,
}

/// What becomes of the scores of the columns of a regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Their mean.
    UniformAverage,
    /// Their mean by the variance of what is true.
    VarianceWeightedAverage,
}

counters! {
    /// The harmonic mean of [`Precision`](super::Precision) and [`Recall`](super::Recall), for every label:
    /// [`FBetaScore`] with a β of 1.
    ///
    /// # Variables
    ///
    /// As [`FBetaScore`] has.
    F1Score "f1_score", F32;
    /// What becomes of the scores of labels; nothing unless set.
    #[config(default, into)]
    average: OrNone<Average>;
    /// What a score must exceed to count as 1, above 0 and up to 1. Unless set the highest score of a sample counts, if it
    /// is not 0.
    #[config(default, into)]
    threshold: Option<f64>;
    => true_positives exact_true_positives, false_positives exact_false_positives,
        false_negatives exact_false_negatives, intermediate_weights exact_intermediate_weights;

    /// `(1 + β²)·precision·recall / (β²·precision + recall)` for every label; `y_true` of 0 and 1, and scores `y_pred`, have
    /// shape `[samples, labels]`. What is divided by is 1e-7 more, as in Keras.
    ///
    /// ```
    /// use modulor::Tensor;
    /// use modulor_layers::metric::{Average, FBetaScore, Metric};
    /// # fn main() -> modulor::Result<()> {
    /// let score = FBetaScore::new().beta(2.0).average(Average::Micro);
    /// let scores = Tensor::from([[0.9_f32, 0.1], [0.8, 0.2]]);
    /// score.update_state(&Tensor::from([[1, 0], [0, 1]]), &scores, None)?;
    /// assert!((score.result()?.item::<f32>()? - 0.5).abs() < 1e-6);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Variables
    ///
    /// `true_positives`, `false_positives`, `false_negatives` and `intermediate_weights`, the weight of what is 1; each of
    /// one element for each label, or a scalar under [`Average::Micro`]. They are made by the first batch.
    FBetaScore "fbeta_score", F32;
    /// What becomes of the scores of labels; nothing unless set.
    #[config(default, into)]
    average: OrNone<Average>;
    /// β, above 0: how much more recall counts than precision; 1 unless set.
    #[config(default = 1.0)]
    beta: f64;
    /// What a score must exceed to count as 1, above 0 and up to 1. Unless set the highest score of a sample counts, if it
    /// is not 0.
    #[config(default, into)]
    threshold: Option<f64>;
    => true_positives exact_true_positives, false_positives exact_false_positives,
        false_negatives exact_false_negatives, intermediate_weights exact_intermediate_weights;

    /// The part of the variance that predictions explain, `1 − Σ(y_true − y_pred)² / Σ(y_true − mean)²`, of each column of
    /// `y_true` and `y_pred`, which have shape `[samples, columns]`; 0 where what is true does not vary.
    ///
    /// # Variables
    ///
    /// `num_samples`, a scalar; `squared_sum`, `sum`, `residual` and `count`, each of one element for each column, which are
    /// made by the first batch.
    R2Score "r2_score", F32;
    /// What becomes of the scores of columns; their mean unless set.
    #[config(default = OrNone(Some(Aggregation::UniformAverage)), into)]
    class_aggregation: OrNone<Aggregation>;
    /// The number of variables that predictions were made from, for the adjusted score; 0, for the plain one, unless set.
    /// Where there are no more samples than that the score is the plain one.
    #[config(default)]
    num_regressors: usize;
    => num_samples exact_num_samples, squared_sum exact_squared_sum, sum exact_sum, residual exact_residual,
        count exact_count;
}

defaults! { F1Score FBetaScore R2Score }

/// Both in a dtype and with the same two dims, which a weight for each sample, or each element, is given to: float64.
fn columns(y_true: &Tensor, y_pred: &Tensor, weight: Option<&Tensor>, dtype: DType) -> Result<[Tensor; 3]> {
    let (y_true, y_pred) = same_rank(y_true, y_pred)?;
    equal_shapes(&y_true, &y_pred)?;
    if rank(&y_pred)? != 2 {
        return Err(Error::invalid_argument(format!("expected samples of columns, found {}", y_pred.spec())));
    }
    let ones = y_pred.ones_like()?.cast(DType::F64)?;
    let weights = match weight {
        None => ones,
        Some(weight) => {
            let weight = weight.cast(DType::F64)?;
            let weight = if rank(&weight)? == 1 { weight.expand_dims(-1)? } else { weight };
            if rank(&weight)? > 0 && !super::total::fits(&weight, &y_pred) {
                let (weight, values) = (weight.shape(), y_pred.shape());
                let message = format!("sample weights of shape {weight} do not fit values of {values}");
                return Err(Error::invalid_argument(message));
            }
            weight.broadcast_like(&ones)?
        }
    };
    let wide = |y: Tensor| y.cast(dtype)?.cast(DType::F64);
    Ok([wide(y_true)?, wide(y_pred)?, weights])
}

/// What a batch adds to the sums of an F score.
fn labels(
    [y_true, y_pred, weights]: [Tensor; 3],
    average: Option<Average>,
    threshold: Option<f64>,
    dtype: DType,
) -> Result<Vec<Tensor>> {
    let is_positive = match threshold {
        Some(limit) if limit > 0.0 && limit <= 1.0 => y_pred.cast(dtype)?.greater(limit)?,
        Some(limit) => {
            return Err(Error::invalid_argument(format!("`threshold` must be above 0 and up to 1, found {limit}")));
        }
        None => {
            let is_highest = y_pred.greater_equal(y_pred.max_keepdims(-1)?)?;
            is_highest.logical_and(&y_pred.abs()?.greater(1e-9)?)?
        }
    };
    let positive = is_positive.cast(DType::F64)?;
    let (missing, wrong) = (1.0 - &positive, 1.0 - &y_true);
    let sum = |x: Tensor| {
        let x = x.mul(&weights)?;
        if average == Some(Average::Micro) { x.sum(..) } else { x.sum(0) }
    };
    Ok(vec![sum(&positive * &y_true)?, sum(positive * wrong)?, sum(missing * &y_true)?, sum(y_true)?])
}

/// The score of sums.
fn f_score(sums: [&Tensor; 4], beta: f64, average: Option<Average>) -> Result<Tensor> {
    if !(beta > 0.0 && beta.is_finite()) {
        return Err(Error::invalid_argument(format!("`beta` must be a finite number above 0, found {beta}")));
    }
    let [right, wrong, missed, weights] = sums;
    let [precision, recall] = [wrong, missed].map(|other| right.div(right + other + EPSILON));
    let (precision, recall) = (precision?, recall?);
    let squared = beta * beta;
    let scores = (&precision * &recall).div(precision * squared + recall + EPSILON)? * (1.0 + squared);
    match average {
        None | Some(Average::Micro) => Ok(scores),
        Some(Average::Macro) => scores.mean(..),
        Some(Average::Weighted) => scores.mul(weights.div(weights.sum(..)? + EPSILON)?)?.sum(..),
    }
}

/// The shape of sums that needs no batch.
fn scalar(average: Option<Average>) -> Option<Vec<usize>> {
    (average == Some(Average::Micro)).then(Vec::new)
}

counted! {
    F1Score |metric| {
        dims scalar(metric.average.0);
        update |y_true, y_pred, weight| {
            let columns = columns(y_true, y_pred, weight, metric.dtype)?;
            labels(columns, metric.average.0, metric.threshold, metric.dtype)?
        };
        result |right, wrong, missed, weights| f_score([right, wrong, missed, weights], 1.0, metric.average.0);
    }
    FBetaScore |metric| {
        dims scalar(metric.average.0);
        update |y_true, y_pred, weight| {
            let columns = columns(y_true, y_pred, weight, metric.dtype)?;
            labels(columns, metric.average.0, metric.threshold, metric.dtype)?
        };
        result |right, wrong, missed, weights| f_score([right, wrong, missed, weights], metric.beta, metric.average.0);
    }
    R2Score |metric| {
        dims None;
        update |y_true, y_pred, weight| {
            let [y_true, y_pred, weights] = columns(y_true, y_pred, weight, metric.dtype)?;
            let weighted = y_true.mul(&weights)?;
            vec![
                y_true.size_tensor()?.cast(DType::F64)?,
                y_true.mul(&weighted)?.sum(0)?,
                weighted.sum(0)?,
                y_true.sub(y_pred)?.square()?.mul(&weights)?.sum(0)?,
                weights.sum(0)?,
            ]
        };
        result |samples, squares, sum, residual, count| {
            let spread = squares - sum * (sum / count);
            let plain = 1.0 - residual.div(&spread)?;
            let plain = plain.is_inf()?.select(&plain.zeros_like()?, &plain)?;
            let score = match metric.class_aggregation.0 {
                None => plain,
                Some(Aggregation::UniformAverage) => plain.mean(..)?,
                Some(Aggregation::VarianceWeightedAverage) => spread.mul(plain)?.sum(..)?.div(spread.sum(..)?)?,
            };
            if metric.num_regressors == 0 {
                return score.cast(metric.dtype);
            }
            let left = samples - (metric.num_regressors as f64 + 1.0);
            let adjusted = 1.0 - (1.0 - &score) * (samples - 1.0) / &left;
            left.greater(0.0)?.select(&adjusted, &score)
        };
    }
}
