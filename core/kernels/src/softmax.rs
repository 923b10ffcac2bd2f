//! Softmax and the losses made of it, row by row.

use crate::float::{Real, maximum};
use crate::fold::{Reduce, Sum};
use crate::matmul::Factor;
use crate::operation::Fault;

/// What the elements of a row are scaled by: the greatest one, Σ e^(x − greatest), and its logarithm.
struct Scale<R> {
    greatest: R,
    sum: R,
    log_sum: R,
}

/// e^(x − greatest), the rounding error of the difference included.
#[inline(always)]
fn exp_below<R: Real>(x: R, greatest: R) -> R {
    let difference = x - greatest;
    let exp = difference.exp();
    if difference.is_finite() {
        let part = difference - x;
        let error = (x - (difference - part)) - (greatest + part);
        exp + exp * error
    } else {
        exp
    }
}

#[inline(always)]
fn scale<T: Factor>(row: &[T]) -> Scale<T::Term>
where
    T::Term: Real,
    Sum: Reduce<T::Term>,
{
    let greatest = row.iter().fold(T::Term::NEG_INFINITY, |greatest, &x| maximum(greatest, x.widen()));
    let total = row.iter().fold(Sum::start(), |total, &x| Sum::push(total, exp_below(x.widen(), greatest)));
    // The greatest itself counts 1: without it the logarithm is exact also where one element outweighs the others.
    let others = Sum::finish(Sum::push(total, -T::Term::ONE), row.len());
    Scale { greatest, sum: Sum::finish(total, row.len()), log_sum: others.log1p() }
}

#[inline(always)]
pub(crate) fn softmax<T: Factor>(x: &[T], n: usize, out: &mut [T], log: bool)
where
    T::Term: Real,
    Sum: Reduce<T::Term>,
{
    assert!(x.len() == out.len(), "a softmax has as many elements as its input");
    if n == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        let Scale { greatest, sum, log_sum } = scale(x);
        for (out, &x) in out.iter_mut().zip(x) {
            let x = x.widen();
            *out = T::narrow(if log { (x - greatest) - log_sum } else { exp_below(x, greatest) / sum });
        }
    }
}

#[inline(always)]
pub(crate) fn cross_entropy<T: Factor>(logits: &[T], labels: &[T], n: usize, loss: &mut [T], gradient: &mut [T])
where
    T::Term: Real,
    Sum: Reduce<T::Term>,
{
    let sizes = [logits.len(), labels.len(), gradient.len()];
    assert_eq!(sizes, [loss.len() * n; 3], "there is one loss for each row");
    if n == 0 {
        return loss.fill(T::zeroed());
    }
    let rows = logits.chunks_exact(n).zip(labels.chunks_exact(n)).zip(gradient.chunks_exact_mut(n));
    for (((logits, labels), gradient), loss) in rows.zip(loss) {
        let Scale { greatest, sum, log_sum } = scale(logits);
        let mut total = Sum::start();
        for ((gradient, &x), &label) in gradient.iter_mut().zip(logits).zip(labels) {
            let (x, label) = (x.widen(), label.widen());
            total = Sum::push(total, label * (log_sum - (x - greatest)));
            *gradient = T::narrow(exp_below(x, greatest) / sum - label);
        }
        *loss = T::narrow(Sum::finish(total, n));
    }
}

#[inline(always)]
pub(crate) fn sparse_cross_entropy<T: Factor>(
    logits: &[T],
    labels: &[i64],
    n: usize,
    loss: &mut [T],
    gradient: &mut [T],
) -> Result<(), Fault>
where
    T::Term: Real,
    Sum: Reduce<T::Term>,
{
    let sizes = [logits.len(), gradient.len()];
    assert!(sizes == [loss.len() * n; 2] && labels.len() == loss.len(), "there is one label and one loss for each row");
    let is_column = |&label: &i64| usize::try_from(label).is_ok_and(|label| label < n);
    if let Some(element) = labels.iter().position(|label| !is_column(label)) {
        return Err(Fault::LabelOutOfRange { element });
    }
    if n == 0 {
        return Ok(());
    }
    let rows = logits.chunks_exact(n).zip(labels).zip(gradient.chunks_exact_mut(n));
    for (((logits, &label), gradient), loss) in rows.zip(loss) {
        let Scale { greatest, sum, log_sum } = scale(logits);
        for (column, (gradient, &x)) in gradient.iter_mut().zip(logits).enumerate() {
            let share = exp_below(x.widen(), greatest) / sum;
            *gradient = T::narrow(if column as i64 == label { share - T::Term::ONE } else { share });
        }
        let chosen = logits[label as usize].widen();
        *loss = T::narrow(log_sum - (chosen - greatest));
    }
    Ok(())
}
