//! How often predictions are right.

use super::class::{mean, metrics};
use super::total::rank;
use crate::loss::same_rank;
use crate::setting::WhereSet;
use modulor::{DType, Ellipsis, Error, Result, Tensor};

mean! {
    /// How often predictions equal what is true, element by element.
    Accuracy "accuracy";
}

mean! {
    /// How often a probability above the threshold meets a 1, and another one a 0.
    BinaryAccuracy "binary_accuracy";
    /// What a probability must exceed to count as 1; 0.5 unless set.
    threshold: f64 = 0.5;
}

mean! {
    /// How often the class of the highest score is the true one. `y_true` has one number per class, as `y_pred`: shape
    /// `[.., classes]`, one-hot or probabilities. Of equal scores the first counts.
    CategoricalAccuracy "categorical_accuracy";
}

mean! {
    /// How often the class of the highest score is the true one. `y_true` has numbers of classes, of the shape of
    /// `y_pred` without its last dim `classes`, or with that dim 1. Of equal scores the first counts.
    SparseCategoricalAccuracy "sparse_categorical_accuracy";
}

mean! {
    /// How often fewer than k classes have a higher score than the true one. `y_true` has one number per class, as
    /// `y_pred`. A sample with a score that is not finite counts as missed.
    TopKCategoricalAccuracy "top_k_categorical_accuracy";
    /// How many classes may be named, 1 or more; 5 unless set.
    k: usize = 5;
}

mean! {
    /// How often fewer than k classes have a higher score than the true one. `y_true` has numbers of classes, as for
    /// [`SparseCategoricalAccuracy`]. A sample with a score that is not finite, and a class that there is not, count as
    /// missed.
    SparseTopKCategoricalAccuracy "sparse_top_k_categorical_accuracy";
    /// How many classes may be named, 1 or more; 5 unless set.
    k: usize = 5;
    => from_sorted_ids: bool;
}

impl SparseTopKCategoricalAccuracy {
    /// Whether predictions are the numbers of classes, the best first, along the last axis, instead of a score for each class;
    /// not unless set.
    ///
    /// ```
    /// use modulor::Tensor;
    /// use modulor_layers::metric::{Metric, SparseTopKCategoricalAccuracy};
    /// # fn main() -> modulor::Result<()> {
    /// let metric = SparseTopKCategoricalAccuracy::new().k(1).from_sorted_ids(true);
    /// metric.update_state(&Tensor::from([2, 1]), &Tensor::from([[1, 0, 3], [1, 2, 3]]), None)?;
    /// assert_eq!(metric.result()?.item::<f32>()?, 0.5);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_sorted_ids(mut self, from_sorted_ids: bool) -> SparseTopKCategoricalAccuracy {
        self.from_sorted_ids = WhereSet(Some(from_sorted_ids).filter(|is_set| *is_set));
        self
    }
}

metrics! {
    Accuracy |metric, y_true, y_pred| {
        let (y_true, y_pred) = alike(&y_true, &y_pred)?;
        y_pred.equal(y_true.cast(y_pred.dtype())?)
    };
    BinaryAccuracy |metric, y_true, y_pred| {
        let (y_true, y_pred) = alike(&y_true, &y_pred)?;
        let y_pred = if y_pred.dtype().is_float() { y_pred } else { y_pred.cast(DType::F32)? };
        y_pred.greater(metric.threshold)?.cast(y_true.dtype())?.equal(&y_true)
    };
    CategoricalAccuracy |metric, y_true, y_pred| {
        equal_shapes(&y_true, &y_pred)?;
        y_true.argmax(-1)?.equal(y_pred.argmax(-1)?)
    };
    SparseCategoricalAccuracy |metric, y_true, y_pred| {
        let labels = labels(&y_true, &y_pred)?;
        y_pred.argmax(-1)?.cast(labels.dtype())?.equal(&labels)
    };
    TopKCategoricalAccuracy |metric, y_true, y_pred| {
        equal_shapes(&y_true, &y_pred)?;
        in_top_k(&y_true.argmax(-1)?, &y_pred, metric.k)
    };
    SparseTopKCategoricalAccuracy |metric, y_true, y_pred| {
        match metric.from_sorted_ids.0 {
            Some(true) => in_first_k(&labels(&y_true, &y_pred)?, &y_pred, metric.k),
            _ => in_top_k(&labels(&y_true, &y_pred)?.cast(DType::I64)?, &y_pred, metric.k),
        }
    };
}

/// Both with equal shapes, where one of them may have a last dim of 1 more.
pub(super) fn alike(y_true: &Tensor, y_pred: &Tensor) -> Result<(Tensor, Tensor)> {
    let (a, b) = same_rank(y_true, y_pred)?;
    equal_shapes(&a, &b)?;
    Ok((a, b))
}

pub(super) fn equal_shapes(y_true: &Tensor, y_pred: &Tensor) -> Result<()> {
    y_true.check()?;
    y_pred.check()?;
    if y_true.shape().is_compatible_with(y_pred.shape()) {
        return Ok(());
    }
    let (y_true, y_pred) = (y_true.shape(), y_pred.shape());
    Err(Error::invalid_argument(format!("y_true of shape {y_true} and y_pred of shape {y_pred} do not fit")))
}

/// The numbers of classes, int64 or, where they are given as floats, float64; of the shape of the scores without their
/// last dim.
fn labels(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    let scores = rank(y_pred)?;
    if scores == 0 {
        return Err(Error::invalid_argument("y_pred is a scalar, and has no dim of classes"));
    }
    let squeezed = rank(y_true)? == scores && y_true.shape().dim(scores - 1) == Some(1);
    let labels = if squeezed { y_true.squeeze([-1])? } else { y_true.clone() };
    let expected = y_pred.shape().dims().map(|dims| dims[..scores - 1].to_vec());
    if expected.is_some_and(|dims| !labels.shape().is_compatible_with(&dims.into())) {
        let (y_true, y_pred) = (y_true.shape(), y_pred.shape());
        let message = format!("y_true of shape {y_true} does not number the classes of y_pred of shape {y_pred}");
        return Err(Error::invalid_argument(message));
    }
    labels.cast(if labels.dtype().is_float() { DType::F64 } else { DType::I64 })
}

/// Whether the label is one of the first `k` numbers along the last axis.
fn in_first_k(labels: &Tensor, ids: &Tensor, k: usize) -> Result<Tensor> {
    let first = i64::try_from(at_least_one(k)?).unwrap_or(i64::MAX);
    ids.slice((Ellipsis, ..first))?.equal(labels.cast(ids.dtype())?.expand_dims(-1)?)?.any(-1_i64)
}

fn at_least_one(k: usize) -> Result<usize> {
    match k {
        0 => Err(Error::invalid_argument("`k` must be at least 1, found 0")),
        k => Ok(k),
    }
}

/// Whether fewer than `k` of the scores along the last axis are above the one of the label.
fn in_top_k(labels: &Tensor, scores: &Tensor, k: usize) -> Result<Tensor> {
    let k = at_least_one(k)?;
    let Some(classes) = scores.shape().dims().and_then(|dims| *dims.last()?) else {
        return Err(Error::unimplemented("the best k of an unknown number of classes"));
    };
    let scores = if scores.dtype().is_float() { scores.clone() } else { scores.cast(DType::F64)? };
    let numbers = Tensor::new([classes], (0..classes as i64).collect::<Vec<_>>())?;
    let is_true = labels.expand_dims(-1)?.equal(numbers)?;
    let score = is_true.select(&scores, &scores.zeros_like()?)?.sum(-1_i64)?.expand_dims(-1)?;
    let above = scores.greater(score)?.cast(DType::F64)?.sum(-1_i64)?.less(k as f64)?;
    above.logical_and(&is_true.any(-1_i64)?)?.logical_and(&scores.is_finite()?.all(-1_i64)?)
}
