//! The area under a curve of thresholds.

use super::class::{counted, counters, defaults};
use super::confusion::{Counting, even_thresholds, part};
use crate::OrNone;
use crate::family::EPSILON;
use modulor::module::{Track, Visitor};
use modulor::{Ellipsis, Error, Result, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A curve whose points are thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    /// The part of what is 1 that is above the threshold, over that of what is 0.
    #[default]
    #[serde(alias = "roc")]
    ROC,
    /// [`Precision`](super::Precision) over [`Recall`](super::Recall).
    #[serde(alias = "pr")]
    PR,
    /// The gain of precision over the gain of recall (Flach and Kull 2015).
    #[serde(alias = "prgain")]
    PRGAIN,
}

/// How high the curve is between two points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Summation {
    /// Halfway; under [`Curve::PR`] by the interpolation of counts (Davis and Goadrich 2006).
    #[default]
    #[serde(alias = "Interpolation")]
    Interpolation,
    /// As high as the higher one.
    #[serde(alias = "Majoring")]
    Majoring,
    /// As high as the lower one.
    #[serde(alias = "Minoring")]
    Minoring,
}

/// Thresholds of one's own, which configurations have only where there are some, as in Keras.
#[derive(Clone, Debug, Default, PartialEq)]
struct Own(Option<Vec<f64>>);

impl Track for Own {
    fn track(&self, _: &str, _: &mut dyn Visitor) {}

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        Ok(self.0.as_ref().map(|thresholds| thresholds.clone().into()))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let read = config.map(Option::<Vec<f64>>::deserialize).transpose();
        read.map(|given| Own(given.flatten())).map_err(|error| Error::invalid_argument(error.to_string()))
    }
}

/// Weights in configs: a list, or the object that Keras makes of a tensor.
mod tensor {
    use crate::OrNone;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use serde_json::Value;

    pub fn serialize<S: Serializer>(weights: &OrNone<Vec<f64>>, serializer: S) -> Result<S::Ok, S::Error> {
        weights.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OrNone<Vec<f64>>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let list = if value["class_name"] == "__tensor__" { value["config"]["value"].clone() } else { value };
        serde_json::from_value(list).map_err(D::Error::custom)
    }
}

counters! {
    /// The area under the curve of what is right and wrong at all thresholds: how likely what is 1 has a higher score than
    /// what is 0.
    ///
    /// ```
    /// use modulor::Tensor;
    /// use modulor_layers::metric::{AUC, Metric};
    /// # fn main() -> modulor::Result<()> {
    /// let auc = AUC::new();
    /// auc.update_state(&Tensor::from([0, 0, 1, 1]), &Tensor::from([0.1_f32, 0.5, 0.3, 0.9]), None)?;
    /// assert!((auc.result()?.item::<f32>()? - 0.75).abs() < 1e-6);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Variables
    ///
    /// `true_positives`, `false_positives`, `true_negatives` and `false_negatives`, each of one element for each threshold,
    /// with `multi_label` for each threshold and label.
    AUC "auc", F32;
    /// How many thresholds there are, at equal distances, the first just below 0 and the last just above 1; 200 unless set.
    #[config(default = 200)]
    num_thresholds: usize;
    /// The curve; [`Curve::ROC`] unless set.
    #[config(default)]
    curve: Curve;
    /// The height between two points; [`Summation::Interpolation`] unless set.
    #[config(default)]
    summation_method: Summation;
    #[module(default, rename = "thresholds")]
    own: Own;
    /// Whether every label, on the last axis of two, has its own area, of which the result is the mean.
    #[config(default)]
    multi_label: bool;
    /// The number of labels with `multi_label`; that of the first batch unless set.
    #[config(default, into)]
    num_labels: Option<usize>;
    /// A weight for every label; 1 for each unless set.
    #[config(default, into, with = tensor)]
    label_weights: OrNone<Vec<f64>>;
    /// Whether scores are logits, not probabilities.
    #[config(default)]
    from_logits: bool;
    => true_positives exact_true_positives, false_positives exact_false_positives,
        true_negatives exact_true_negatives, false_negatives exact_false_negatives;
}

defaults! { AUC }

impl AUC {
    /// Thresholds of one's own, from 0 to 1 and in any order, beside one just below 0 and one just above 1.
    #[must_use]
    pub fn thresholds(mut self, thresholds: impl Into<Vec<f64>>) -> Self {
        let mut thresholds = thresholds.into();
        thresholds.sort_by(f64::total_cmp);
        self.num_thresholds = thresholds.len() + 2;
        self.own = Own(Some(thresholds));
        self
    }

    fn all_thresholds(&self) -> Vec<f64> {
        let mut all = match &self.own.0 {
            Some(own) => [&[0.0], own.as_slice(), &[1.0]].concat(),
            None => even_thresholds(self.num_thresholds),
        };
        if let [first, .., last] = &mut all[..] {
            (*first, *last) = (-EPSILON, 1.0 + EPSILON);
        }
        all
    }

    /// The mean of the areas of labels.
    fn of_labels(&self, areas: &Tensor) -> Result<Tensor> {
        match (&self.label_weights.0, self.multi_label) {
            (_, false) => Ok(areas.clone()),
            (None, true) => areas.mean(..),
            (Some(weights), true) => {
                let weights = Tensor::new([weights.len()], weights.clone())?;
                areas.mul(&weights)?.sum(..)?.div_no_nan(weights.sum(..)?)
            }
        }
    }
}

/// The values at the first threshold of each two, and those at the second.
fn pairs(y: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((y.slice((..-1, Ellipsis))?, y.slice((1.., Ellipsis))?))
}

/// The area under precision over recall, with the counts between two thresholds on a straight line.
fn interpolated(tp: &Tensor, fp: &Tensor, false_negatives: &Tensor) -> Result<Tensor> {
    let ((tp_before, tp_after), (all_before, all_after)) = (pairs(tp)?, pairs(&tp.add(fp)?)?);
    let step = tp_before.sub(&tp_after)?;
    let slope = step.div_no_nan(all_before.sub(&all_after)?.maximum(0.0)?)?;
    let intercept = &tp_after - &slope * &all_after;
    let both = all_before.greater(0.0)?.logical_and(&all_after.greater(0.0)?)?;
    let ratio = both.select(&all_before.div_no_nan(&all_after)?, &all_after.ones_like()?)?;
    let (_, missed) = pairs(false_negatives)?;
    slope.mul(intercept.mul(ratio.log()?)?.add(step)?)?.div_no_nan(tp_after.add(missed)?)?.sum(0)
}

counted! {
    AUC |metric| {
        dims match (metric.multi_label, metric.num_labels) {
            (false, _) => Some(vec![metric.all_thresholds().len()]),
            (true, labels) => labels.map(|labels| vec![metric.all_thresholds().len(), labels]),
        };
        update |y_true, y_pred, weight| {
            let thresholds = metric.all_thresholds();
            if thresholds.len() < 2 {
                let found = thresholds.len();
                return Err(Error::invalid_argument(format!("`num_thresholds` must be at least 2, found {found}")));
            }
            let counting = Counting {
                thresholds: &thresholds,
                dtype: metric.dtype,
                top_k: None,
                class_id: None,
                by_label: metric.multi_label,
                label_weights: metric.label_weights.0.as_deref().filter(|_| !metric.multi_label),
            };
            let scores = if metric.from_logits { y_pred.sigmoid()? } else { y_pred.clone() };
            let counts = counting.count(y_true, &scores, weight)?;
            vec![counts.true_positives, counts.false_positives, counts.true_negatives, counts.false_negatives]
        };
        result |tp, fp, tn, false_negatives| {
            if (metric.curve, metric.summation_method) == (Curve::PR, Summation::Interpolation) {
                return metric.of_labels(&interpolated(tp, fp, false_negatives)?)?.cast(metric.dtype);
            }
            let (x, y) = match metric.curve {
                Curve::ROC => (part(fp, tn)?, part(tp, false_negatives)?),
                Curve::PR => (part(tp, false_negatives)?, part(tp, fp)?),
                Curve::PRGAIN => {
                    let odds = tp.add(false_negatives)?.div_no_nan(tn.add(fp)?)?;
                    let gain = |wrong: &Tensor| Ok::<_, Error>(1.0 - odds.mul(wrong.div_no_nan(tp)?)?);
                    let is_none = tp.equal(0.0)?;
                    let recall = is_none.select(&tp.zeros_like()?, &gain(false_negatives)?)?;
                    (recall.maximum(0.0)?, is_none.select(&tp.ones_like()?, &gain(fp)?)?)
                }
            };
            let ((left, right), (before, after)) = (pairs(&x)?, pairs(&y)?);
            let height = match metric.summation_method {
                Summation::Interpolation => (before + after) / 2.0,
                Summation::Majoring => before.maximum(after)?,
                Summation::Minoring => before.minimum(after)?,
            };
            metric.of_labels(&(left - right).mul(height)?.sum(0)?)
        };
    }
}
