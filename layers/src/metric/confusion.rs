//! What is right and wrong above thresholds, and what follows from that.

use super::accuracy::alike;
use super::class::{counted, counters, defaults};
use super::total::{fits, rank};
use crate::OrNone;
use crate::loss::same_rank;
use modulor::{DType, Ellipsis, Error, Result, Tensor};
use serde::{Deserialize, Serialize};

/// One threshold, of which results are scalars, or some, of which they have one value each; all from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Thresholds {
    /// One.
    One(f64),
    /// Some.
    Many(Vec<f64>),
}

impl From<f64> for OrNone<Thresholds> {
    fn from(threshold: f64) -> Self {
        OrNone(Some(Thresholds::One(threshold)))
    }
}

impl From<Vec<f64>> for OrNone<Thresholds> {
    fn from(thresholds: Vec<f64>) -> Self {
        OrNone(Some(Thresholds::Many(thresholds)))
    }
}

impl<const N: usize> From<[f64; N]> for OrNone<Thresholds> {
    fn from(thresholds: [f64; N]) -> Self {
        thresholds.to_vec().into()
    }
}

/// What every score of a tensor is above of that is not among the best.
const LEAST: f64 = -1e10;

/// The thresholds of a setting; where there are none, ½, or one that all the best are above.
fn thresholds(setting: &OrNone<Thresholds>, top_k: Option<usize>) -> Vec<f64> {
    match &setting.0 {
        Some(Thresholds::One(threshold)) => vec![*threshold],
        Some(Thresholds::Many(thresholds)) => thresholds.clone(),
        None if top_k.is_some() => vec![LEAST],
        None => vec![0.5],
    }
}

/// So many thresholds at equal distances from 0 to 1; ½ if it is one.
pub(super) fn even_thresholds(count: usize) -> Vec<f64> {
    match count {
        1 => vec![0.5],
        _ => (0..count).map(|number| number as f64 / (count - 1) as f64).collect(),
    }
}

/// Whether thresholds stand at equal distances from 0 to 1, or as near to that as Keras asks for.
fn are_even(thresholds: &[f64]) -> bool {
    let even = even_thresholds(thresholds.len());
    let near = |(x, y): (&f64, &f64)| (x.clamp(0.0, 1.0) - y).abs() <= 1e-7 + 1e-5 * y;
    thresholds.len() >= 3 && thresholds.iter().zip(&even).all(near)
}

/// How a batch is counted.
pub(super) struct Counting<'a> {
    pub thresholds: &'a [f64],
    /// What scores are compared in.
    pub dtype: DType,
    /// How many of the best scores of a sample count as above the thresholds at most.
    pub top_k: Option<usize>,
    /// The only class that counts.
    pub class_id: Option<usize>,
    /// Whether every label has its own counts.
    pub by_label: bool,
    /// A weight for every label.
    pub label_weights: Option<&'a [f64]>,
}

/// The weights of what was right and wrong, for every threshold, or threshold and label: float64.
pub(super) struct Counts {
    pub true_positives: Tensor,
    pub false_positives: Tensor,
    pub true_negatives: Tensor,
    pub false_negatives: Tensor,
}

impl Counting<'_> {
    pub fn count(&self, y_true: &Tensor, y_pred: &Tensor, weight: Option<&Tensor>) -> Result<Counts> {
        if let Some(wrong) = self.thresholds.iter().find(|t| **t != LEAST && !(-1e-6..=1.0 + 1e-6).contains(*t)) {
            return Err(Error::invalid_argument(format!("`thresholds` must be between 0 and 1, found {wrong}")));
        }
        let (y_true, y_pred) = alike(y_true, y_pred)?;
        let (mut is_true, mut scores) = (y_true.not_equal(&y_true.zeros_like()?)?, y_pred.cast(self.dtype)?);
        if let Some(k) = self.top_k {
            scores = best(&scores, k)?;
        }
        if let Some(class) = self.class_id {
            if rank(&scores)? < 2 {
                return Err(Error::invalid_argument(format!("`class_id` needs classes, found {}", y_pred.spec())));
            }
            let class = Tensor::from([class as i64]);
            (is_true, scores) = (is_true.gather(&class, -1)?, scores.gather(&class, -1)?);
        }
        let weights = self.weights(weight, &scores)?;
        if !self.by_label {
            let flat = |x: &Tensor| x.reshape([-1, 1]);
            let counts = self.of_labels(&flat(&is_true)?, &flat(&scores)?, &flat(&weights)?)?;
            let flat = |x: Tensor| x.squeeze([-1]);
            return Ok(Counts {
                true_positives: flat(counts.true_positives)?,
                false_positives: flat(counts.false_positives)?,
                true_negatives: flat(counts.true_negatives)?,
                false_negatives: flat(counts.false_negatives)?,
            });
        }
        if rank(&scores)? != 2 {
            let message =
                format!("labels with their own counts stand on the last axis of two, found {}", y_pred.spec());
            return Err(Error::invalid_argument(message));
        }
        self.of_labels(&is_true, &scores, &weights)
    }

    /// The weight of every score: float64.
    fn weights(&self, weight: Option<&Tensor>, scores: &Tensor) -> Result<Tensor> {
        let ones = scores.ones_like()?.cast(DType::F64)?;
        let mut weights = match weight {
            None => ones.clone(),
            Some(weight) => {
                let (scores, mut weight) = same_rank(scores, &weight.cast(DType::F64)?)?;
                while rank(&weight)? < rank(&scores)? && rank(&weight)? > 0 {
                    weight = weight.expand_dims(-1)?;
                }
                if rank(&weight)? > 0 && !fits(&weight, &scores) {
                    let (weight, scores) = (weight.shape(), scores.shape());
                    let message = format!("sample weights of shape {weight} do not fit values of {scores}");
                    return Err(Error::invalid_argument(message));
                }
                weight.broadcast_like(&ones)?
            }
        };
        if let Some(labels) = self.label_weights {
            let last = rank(scores)?.checked_sub(1).and_then(|last| scores.shape().dim(last));
            if last.is_none_or(|last| last != labels.len()) {
                let (count, scores) = (labels.len(), scores.shape());
                let message =
                    format!("`label_weights`, {count} of them, do not fit labels on the last axis of {scores}");
                return Err(Error::invalid_argument(message));
            }
            weights = weights.mul(Tensor::new([labels.len()], labels.to_vec())?)?;
        }
        Ok(weights)
    }

    /// The counts of shape `[thresholds, labels]`, of arguments of shape `[samples, labels]`.
    fn of_labels(&self, is_true: &Tensor, scores: &Tensor, weights: &Tensor) -> Result<Counts> {
        let positive = weights.mul(is_true.cast(DType::F64)?)?;
        let negative = weights.mul(is_true.logical_not()?.cast(DType::F64)?)?;
        let [true_positives, false_positives] = if are_even(self.thresholds) {
            let ids = self.bins(scores)?;
            [&positive, &negative].map(|weights| self.above_bins(weights, &ids))
        } else {
            let thresholds = Tensor::new([self.thresholds.len(), 1, 1], self.thresholds.to_vec())?.cast(self.dtype)?;
            let above = scores.expand_dims(0)?.greater(thresholds)?.cast(DType::F64)?;
            [&positive, &negative].map(|weights| above.mul(weights)?.sum(1))
        };
        let (true_positives, false_positives) = (true_positives?, false_positives?);
        Ok(Counts {
            false_negatives: positive.sum(0)?.sub(&true_positives)?,
            true_negatives: negative.sum(0)?.sub(&false_positives)?,
            true_positives,
            false_positives,
        })
    }

    /// Of every score, the number of the last threshold that it is above, with those of other labels behind one
    /// another; −1 where there is none.
    fn bins(&self, scores: &Tensor) -> Result<Tensor> {
        let Some(labels) = scores.shape().dim(1) else {
            return Err(Error::unimplemented("an unknown number of labels"));
        };
        let count = self.thresholds.len() as i64;
        let mut bins = (scores.clip_by_value(0.0, 1.0)? * (count - 1) as f64).ceil()? - 1.0;
        if self.thresholds.first().is_some_and(|first| *first < 0.0) {
            bins = bins.maximum(0.0)?;
        }
        let is_above = bins.greater_equal(0.0)?;
        let none = bins.zeros_like()? - 1.0;
        let first = Tensor::new([labels], (0..labels as i64).map(|label| label * count).collect::<Vec<_>>())?;
        let ids = is_above.select(&bins, &none)?.cast(DType::I64)?;
        is_above.select(&ids.add(first)?, &ids)
    }

    /// The weights of all scores above each threshold, of their bins.
    fn above_bins(&self, weights: &Tensor, ids: &Tensor) -> Result<Tensor> {
        let count = self.thresholds.len();
        let labels = weights.shape().dim(1).unwrap_or(1);
        let bins = weights.segment_sum(ids, labels * count)?.reshape([labels as i64, count as i64])?;
        bins.cumsum_with(-1, false, true)?.permute([1, 0])
    }
}

/// Scores of which all but the best `k` on the last axis are below every threshold.
fn best(scores: &Tensor, k: usize) -> Result<Tensor> {
    let Some(classes) = rank(scores)?.checked_sub(1).and_then(|last| scores.shape().dim(last)) else {
        return Err(Error::unimplemented("the best k of an unknown number of classes"));
    };
    let (_, places) = scores.top_k(k)?;
    let is_best = places.one_hot(classes, DType::Bool)?.any(-2)?;
    is_best.select(scores, &Tensor::scalar(LEAST).cast(scores.dtype())?)
}

/// A result of one threshold as a scalar.
fn of_one(result: Tensor, thresholds: &[f64]) -> Result<Tensor> {
    if thresholds.len() == 1 { result.slice((Ellipsis, 0)) } else { Ok(result) }
}

counters! {
    /// The weight of what is 1 and was predicted to be: above the threshold.
    ///
    /// # Variables
    ///
    /// `accumulator`, of one element for each threshold.
    TruePositives "true_positives", F32;
    /// The thresholds, one or some; ½ unless set.
    #[config(default, into)]
    thresholds: OrNone<Thresholds>;
    => accumulator exact_accumulator;

    /// The weight of what is 0 and was predicted to be: not above the threshold.
    ///
    /// # Variables
    ///
    /// `accumulator`, of one element for each threshold.
    TrueNegatives "true_negatives", F32;
    /// The thresholds, one or some; ½ unless set.
    #[config(default, into)]
    thresholds: OrNone<Thresholds>;
    => accumulator exact_accumulator;

    /// The weight of what is 0 and was predicted to be 1: above the threshold.
    ///
    /// # Variables
    ///
    /// `accumulator`, of one element for each threshold.
    FalsePositives "false_positives", F32;
    /// The thresholds, one or some; ½ unless set.
    #[config(default, into)]
    thresholds: OrNone<Thresholds>;
    => accumulator exact_accumulator;

    /// The weight of what is 1 and was predicted to be 0: not above the threshold.
    ///
    /// # Variables
    ///
    /// `accumulator`, of one element for each threshold.
    FalseNegatives "false_negatives", F32;
    /// The thresholds, one or some; ½ unless set.
    #[config(default, into)]
    thresholds: OrNone<Thresholds>;
    => accumulator exact_accumulator;

    /// The part that is 1 of what was predicted to be 1; 0 of nothing.
    ///
    /// ```
    /// use modulor::Tensor;
    /// use modulor_layers::metric::{Metric, Precision};
    /// # fn main() -> modulor::Result<()> {
    /// let precision = Precision::new().thresholds([0.25, 0.75]);
    /// let scores = Tensor::from([0.9_f32, 0.6, 0.5, 0.1]);
    /// precision.update_state(&Tensor::from([1, 0, 1, 1]), &scores, None)?;
    /// assert_eq!(precision.result()?.to_vec::<f32>()?, [2.0 / 3.0, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Variables
    ///
    /// `true_positives` and `false_positives`, each of one element for each threshold.
    Precision "precision", F32;
    /// The thresholds, one or some. Unless set it is ½, or with `top_k` none: all of the best count.
    #[config(default, into)]
    thresholds: OrNone<Thresholds>;
    /// How many of the best scores on the last axis may be predictions of 1; all unless set.
    #[config(default, into)]
    top_k: Option<usize>;
    /// The only class on the last axis that counts; all do unless set.
    #[config(default, into)]
    class_id: Option<usize>;
    => true_positives exact_true_positives, false_positives exact_false_positives;

    /// The part that was predicted to be 1 of what is 1; 0 of nothing.
    ///
    /// # Variables
    ///
    /// `true_positives` and `false_negatives`, each of one element for each threshold.
    Recall "recall", F32;
    /// The thresholds, one or some. Unless set it is ½, or with `top_k` none: all of the best count.
    #[config(default, into)]
    thresholds: OrNone<Thresholds>;
    /// How many of the best scores on the last axis may be predictions of 1; all unless set.
    #[config(default, into)]
    top_k: Option<usize>;
    /// The only class on the last axis that counts; all do unless set.
    #[config(default, into)]
    class_id: Option<usize>;
    => true_positives exact_true_positives, false_negatives exact_false_negatives;

    /// The best sensitivity, [`Recall`], of all thresholds at which the specificity is at least this.
    ///
    /// The specificity is the part that was predicted to be 0 of what is 0.
    ///
    /// # Variables
    ///
    /// `true_positives`, `false_positives`, `true_negatives` and `false_negatives`, each of one element for each threshold.
    SensitivityAtSpecificity "sensitivity_at_specificity", F32;
    #[config]
    specificity: f64;
    /// How many thresholds there are, at equal distances from 0 to 1; 200 unless set.
    #[config(default = 200)]
    num_thresholds: usize;
    /// The only class on the last axis that counts; all do unless set.
    #[config(default, into)]
    class_id: Option<usize>;
    => true_positives exact_true_positives, false_positives exact_false_positives,
        true_negatives exact_true_negatives, false_negatives exact_false_negatives;

    /// The best specificity of all thresholds at which the sensitivity, [`Recall`], is at least this.
    ///
    /// # Variables
    ///
    /// As [`SensitivityAtSpecificity`] has.
    SpecificityAtSensitivity "specificity_at_sensitivity", F32;
    #[config]
    sensitivity: f64;
    /// How many thresholds there are, at equal distances from 0 to 1; 200 unless set.
    #[config(default = 200)]
    num_thresholds: usize;
    /// The only class on the last axis that counts; all do unless set.
    #[config(default, into)]
    class_id: Option<usize>;
    => true_positives exact_true_positives, false_positives exact_false_positives,
        true_negatives exact_true_negatives, false_negatives exact_false_negatives;

    /// The best [`Precision`] of all thresholds at which the [`Recall`] is at least this.
    ///
    /// # Variables
    ///
    /// As [`SensitivityAtSpecificity`] has.
    PrecisionAtRecall "precision_at_recall", F32;
    #[config]
    recall: f64;
    /// How many thresholds there are, at equal distances from 0 to 1; 200 unless set.
    #[config(default = 200)]
    num_thresholds: usize;
    /// The only class on the last axis that counts; all do unless set.
    #[config(default, into)]
    class_id: Option<usize>;
    => true_positives exact_true_positives, false_positives exact_false_positives,
        true_negatives exact_true_negatives, false_negatives exact_false_negatives;

    /// The best [`Recall`] of all thresholds at which the [`Precision`] is at least this.
    ///
    /// # Variables
    ///
    /// As [`SensitivityAtSpecificity`] has.
    RecallAtPrecision "recall_at_precision", F32;
    #[config]
    precision: f64;
    /// How many thresholds there are, at equal distances from 0 to 1; 200 unless set.
    #[config(default = 200)]
    num_thresholds: usize;
    /// The only class on the last axis that counts; all do unless set.
    #[config(default, into)]
    class_id: Option<usize>;
    => true_positives exact_true_positives, false_positives exact_false_positives,
        true_negatives exact_true_negatives, false_negatives exact_false_negatives;
}

defaults! { TruePositives TrueNegatives FalsePositives FalseNegatives Precision Recall }

macro_rules! of_thresholds {
    ($($class:ident $(($limits:ident))? |$($sum:ident),*| $result:expr;)*) => {
        counted! {
            $($class |metric| {
                dims Some(vec![of_thresholds!(@of metric $($limits)?).len()]);
                update |y_true, y_pred, weight| {
                    let thresholds = of_thresholds!(@of metric $($limits)?);
                    let counting = Counting {
                        thresholds: &thresholds,
                        dtype: metric.dtype,
                        top_k: of_thresholds!(@top_k metric $($limits)?),
                        class_id: of_thresholds!(@class_id metric $($limits)?),
                        by_label: false,
                        label_weights: None,
                    };
                    let counts = counting.count(y_true, y_pred, weight)?;
                    of_thresholds!(@sums $class counts $($sum),*)
                };
                result |$($sum),*| of_one($result?, &of_thresholds!(@of metric $($limits)?));
            })*
        }
    };
    (@of $metric:ident) => { thresholds(&$metric.thresholds, None) };
    (@of $metric:ident limits) => { thresholds(&$metric.thresholds, $metric.top_k) };
    (@top_k $metric:ident) => { None };
    (@top_k $metric:ident limits) => { $metric.top_k };
    (@class_id $metric:ident) => { None };
    (@class_id $metric:ident limits) => { $metric.class_id };
    (@sums TruePositives $counts:ident $sum:ident) => { vec![$counts.true_positives] };
    (@sums TrueNegatives $counts:ident $sum:ident) => { vec![$counts.true_negatives] };
    (@sums FalsePositives $counts:ident $sum:ident) => { vec![$counts.false_positives] };
    (@sums FalseNegatives $counts:ident $sum:ident) => { vec![$counts.false_negatives] };
    (@sums $class:ident $counts:ident $($sum:ident),*) => { vec![$($counts.$sum),*] };
}

of_thresholds! {
    TruePositives |sum| Ok::<_, Error>(sum.clone());
    TrueNegatives |sum| Ok::<_, Error>(sum.clone());
    FalsePositives |sum| Ok::<_, Error>(sum.clone());
    FalseNegatives |sum| Ok::<_, Error>(sum.clone());
    Precision (limits) |true_positives, false_positives| part(true_positives, false_positives);
    Recall (limits) |true_positives, false_negatives| part(true_positives, false_negatives);
}

/// `a / (a + b)`; 0 of nothing.
pub(super) fn part(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.div_no_nan(a.add(b)?)
}

macro_rules! at {
    ($($class:ident $limit:ident |$($sum:ident),*| $limited:expr, $wanted:expr;)*) => {
        counted! {
            $($class |metric| {
                dims Some(vec![metric.num_thresholds]);
                update |y_true, y_pred, weight| {
                    within(stringify!($limit), metric.$limit, metric.num_thresholds)?;
                    let thresholds = even_thresholds(metric.num_thresholds);
                    let counting = Counting {
                        thresholds: &thresholds,
                        dtype: metric.dtype,
                        top_k: None,
                        class_id: metric.class_id,
                        by_label: false,
                        label_weights: None,
                    };
                    let counts = counting.count(y_true, y_pred, weight)?;
                    vec![
                        counts.true_positives,
                        counts.false_positives,
                        counts.true_negatives,
                        counts.false_negatives,
                    ]
                };
                result |$($sum),*| {
                    // Compared in the dtype of the metric, so that 7 of 10 are 0.7.
                    let is_enough = $limited?.cast(metric.dtype)?.greater_equal(metric.$limit)?;
                    let wanted: Tensor = $wanted?;
                    is_enough.select(&wanted, &wanted.zeros_like()?)?.max(..)
                };
            })*
        }
    };
}

at! {
    SensitivityAtSpecificity specificity |tp, fp, tn, fn_| part(tn, fp), part(tp, fn_);
    SpecificityAtSensitivity sensitivity |tp, fp, tn, fn_| part(tp, fn_), part(tn, fp);
    PrecisionAtRecall recall |tp, fp, _tn, fn_| part(tp, fn_), part(tp, fp);
    RecallAtPrecision precision |tp, fp, _tn, fn_| part(tp, fp), part(tp, fn_);
}

/// Refuses a limit that is no part of a whole, and no thresholds.
fn within(name: &str, limit: f64, num_thresholds: usize) -> Result<()> {
    if !(0.0..=1.0).contains(&limit) {
        return Err(Error::invalid_argument(format!("`{name}` must be between 0 and 1, found {limit}")));
    }
    if num_thresholds == 0 {
        return Err(Error::invalid_argument("`num_thresholds` must be at least 1, found 0"));
    }
    Ok(())
}
