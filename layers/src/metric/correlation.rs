//! Correlations along an axis.

use crate::family::EPSILON;
use crate::loss::aligned;
use modulor::{Result, Tensor};

/// A mean along an axis, kept with 1 element, and what is left without it.
fn centered(x: &Tensor, axis: i64) -> Result<(Tensor, Tensor)> {
    let mean = x.mean_keepdims(axis)?;
    let rest = x.sub(&mean)?;
    Ok((mean, rest))
}

/// The covariance along an axis by both standard deviations, from −1 to 1: 1 where `y_pred` is a multiple of `y_true` above
/// 0, plus a constant. NaN where one of them is constant.
///
/// ```
/// use modulor::Tensor;
/// use modulor_layers::metric::pearson_correlation;
/// # fn main() -> modulor::Result<()> {
/// let [a, b] = [[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]].map(Tensor::from);
/// assert!((pearson_correlation(&a, &b, -1)?.item::<f64>()? - 1.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn pearson_correlation(y_true: &Tensor, y_pred: &Tensor, axis: i64) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let unit = |y: &Tensor| {
        let (_, rest) = centered(y, axis)?;
        rest.div(rest.square()?.mean_keepdims(axis)?.sqrt()?)
    };
    unit(&y_true)?.mul(unit(&y_pred)?)?.mean(axis)
}

/// `2 cov / (var y_true + var y_pred + (mean y_true − mean y_pred)² + 1e-7)` along an axis (Lin 1989): 1 where both are the
/// same.
pub fn concordance_correlation(y_true: &Tensor, y_pred: &Tensor, axis: i64) -> Result<Tensor> {
    let (y_true, y_pred) = aligned(y_true, y_pred)?;
    let ((mean_true, rest_true), (mean_pred, rest_pred)) = (centered(&y_true, axis)?, centered(&y_pred, axis)?);
    let variance = |rest: &Tensor| rest.square()?.mean_keepdims(axis);
    let spread = variance(&rest_true)? + variance(&rest_pred)? + mean_true.sub(mean_pred)?.square()?;
    (rest_true.mul(rest_pred)? * 2.0).div(spread + EPSILON)?.mean(axis)
}
