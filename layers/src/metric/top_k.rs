//! How often the right class is among the best.

use super::mean_metric;
use crate::loss::one_hot;
use modulor::{DType, Result, Tensor};

/// 1 where fewer than `k` predictions are above that of the class with the greatest target, else 0.
pub fn top_k_categorical_accuracy(y_true: &Tensor, y_pred: &Tensor, k: usize) -> Result<Tensor> {
    sparse_top_k_categorical_accuracy(&y_true.argmax(-1)?, y_pred, k)
}

/// 1 where fewer than `k` predictions are above that of the class id, else 0; 0 too where a prediction is not finite.
///
/// Class ids have the shape of the predictions without the last axis, or with 1 there; one that is no class is an error.
pub fn sparse_top_k_categorical_accuracy(y_true: &Tensor, y_pred: &Tensor, k: usize) -> Result<Tensor> {
    let ids = if y_true.rank() == y_pred.rank() { y_true.squeeze([-1])? } else { y_true.clone() };
    let chosen = one_hot(&ids.cast(DType::I64)?, y_pred)?;
    let own = chosen.select(y_pred, &y_pred.zeros_like()?)?.sum_keepdims(-1)?;
    let above = y_pred.greater(&own)?.cast(DType::I64)?.sum(-1)?;
    let finite = y_pred.is_finite()?.cast(DType::I64)?.min(-1)?.greater(0.0)?;
    above.less(k as f64)?.logical_and(&finite)?.cast(DType::F32)
}

mean_metric! {
    /// How often the right class is among the `k` best, for one-hot targets: [`top_k_categorical_accuracy`].
    TopKCategoricalAccuracy "top_k_categorical_accuracy"
        |metric, y_true, y_pred| top_k_categorical_accuracy(y_true, y_pred, metric.k);
    /// How many count as the best; 5 unless set.
    k: usize = 5;
}

mean_metric! {
    /// How often the right class is among the `k` best, for class ids: [`sparse_top_k_categorical_accuracy`].
    SparseTopKCategoricalAccuracy "sparse_top_k_categorical_accuracy"
        |metric, y_true, y_pred| sparse_top_k_categorical_accuracy(y_true, y_pred, metric.k);
    /// How many count as the best; 5 unless set.
    k: usize = 5;
}
