//! Sums that are kept, and the rule by which values and weights become one number per sample.

use crate::loss::same_rank;
use modulor::module::{Module, name};
use modulor::ops::running_sum::running_sums;
use modulor::variable::commit;
use modulor::{DType, Error, Result, Tensor, Variable, scope};
use std::sync::{Arc, Mutex, PoisonError};

/// A sum in two variables: one that is saved, and an exact one that is believed as long as it rounds to the other.
#[derive(Clone, Copy)]
pub(super) struct Total<'a> {
    pub saved: &'a Variable,
    pub exact: &'a Variable,
}

impl Total<'_> {
    /// The sum: float64.
    pub fn read(&self) -> Result<Tensor> {
        let (saved, exact) = (self.saved.read()?, self.exact.read()?);
        let is_current = exact.cast(saved.dtype())?.equal(&saved)?;
        is_current.select(&exact, &saved.cast(DType::F64)?)
    }

    /// Gives both their shape.
    fn size(&self, dims: &[usize]) -> Result<()> {
        self.saved.size(dims)?;
        self.exact.size(dims)
    }
}

/// The sums of a metric.
pub(super) struct Totals<'a> {
    /// The metric itself.
    pub metric: &'a dyn Module,
    /// Its name.
    pub name: &'a str,
    /// Held while it counts: batches of two threads are counted one after the other.
    pub turn: &'a Arc<Mutex<()>>,
    pub totals: Vec<Total<'a>>,
}

impl Totals<'_> {
    /// Adds one number, or an array of them, to each sum, to all of them at once. Sums that have no shape yet get that of
    /// what is added.
    pub fn add(&self, more: &[Tensor]) -> Result<()> {
        for (total, more) in self.totals.iter().zip(more) {
            more.check()?;
            let dims = more.shape().known().map(<[_]>::to_vec);
            total.size(&dims.ok_or_else(|| Error::unimplemented("a metric of an unknown number of classes"))?)?;
        }
        self.write(|totals| {
            let sums = totals.iter().map(|total| Ok([total.saved.read()?, total.exact.read()?]));
            let sums = sums.collect::<Result<Vec<_>>>()?;
            running_sums(&sums.iter().map(|[saved, exact]| [saved, exact]).collect::<Vec<_>>(), more)
        })
    }

    /// The sums: float64. Those that have no shape yet get this one.
    pub fn read(&self, dims: Option<&[usize]>) -> Result<Vec<Tensor>> {
        let read = |total: &Total| {
            match dims.filter(|_| !total.saved.is_sized()) {
                Some(dims) => total.size(dims)?,
                None if total.saved.is_sized() => {}
                None => return Err(Error::failed_precondition("nothing has been counted yet")),
            }
            total.read()
        };
        self.totals.iter().map(read).collect()
    }

    /// Makes these float64 scalars the sums.
    pub fn set(&self, sums: &[f64]) -> Result<()> {
        self.totals.iter().try_for_each(|total| total.size(&[]))?;
        let set = |(total, &sum): (&Total, &f64)| {
            let sum = Tensor::scalar(sum);
            Ok([sum.cast(total.saved.dtype())?, sum])
        };
        self.write(|totals| totals.iter().zip(sums).map(set).collect())
    }

    /// Makes all sums 0.
    pub fn reset(&self) -> Result<()> {
        if self.totals.iter().any(|total| !total.saved.is_sized()) {
            return Ok(());
        }
        let zeros = |total: &Total| Ok([total.saved.read()?.zeros_like()?, total.exact.read()?.zeros_like()?]);
        self.write(|totals| totals.iter().map(zeros).collect())
    }

    /// Writes what the sums are to be, saved and exact.
    fn write(&self, next: impl FnOnce(&[Total]) -> Result<Vec<[Tensor; 2]>>) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.totals.iter().any(|total| total.saved.path().is_none()) {
            name::stamp(self.metric, self.name);
        }
        let next = scope::without_tapes(|| next(&self.totals))?;
        let write = |(total, [saved, exact]): (&Total, [Tensor; 2])| {
            [(total.saved.clone(), saved), (total.exact.clone(), exact)]
        };
        commit(self.totals.iter().zip(next).flat_map(write))
    }
}

/// A reduction along axes, [`Tensor::mean`] or [`Tensor::sum`].
pub(super) type Reduce = fn(&Tensor, &[i64]) -> Result<Tensor>;

/// Weighted values, one number per sample, and their weights if there are any: float64.
///
/// Where values have more dims than the weights, they are reduced to as many first; in the end all dims but the first
/// are reduced.
pub(super) fn by_sample(values: &Tensor, weight: Option<&Tensor>, reduce: Reduce) -> Result<(Tensor, Option<Tensor>)> {
    let values = values.with_mask(None).cast(DType::F64)?;
    let rest = |t: &Tensor, from: usize| match rank(t)? {
        rank if rank > from => reduce(t, &(from as i64..rank as i64).collect::<Vec<_>>()),
        _ => Ok(t.clone()),
    };
    let Some(weight) = weight else { return Ok((rest(&values, 1)?, None)) };
    let (values, weight) = same_rank(&values, &weight.with_mask(None).cast(DType::F64)?)?;
    let values = rest(&values, rank(&weight)?)?;
    if !fits(&weight, &values) {
        let (weight, values) = (weight.shape(), values.shape());
        return Err(Error::invalid_argument(format!("sample weights of shape {weight} do not fit values of {values}")));
    }
    let weight = weight.broadcast_like(&values)?;
    let values = values.mul(&weight)?;
    Ok((rest(&values, 1)?, Some(rest(&weight, 1)?)))
}

/// The weights of samples together with a mask, of which `true` counts.
pub(super) fn with_mask(weight: Option<&Tensor>, mask: Option<&Tensor>) -> Result<Option<Tensor>> {
    let Some(mask) = mask else { return Ok(weight.cloned()) };
    let kept = mask.cast(DType::F64)?;
    let Some(weight) = weight else { return Ok(Some(kept)) };
    let (kept, weight) = same_rank(&kept, &weight.cast(DType::F64)?)?;
    weight.mul(kept).map(Some)
}

pub(super) fn rank(t: &Tensor) -> Result<usize> {
    t.check()?;
    t.rank().ok_or_else(|| Error::unimplemented("a metric of values of unknown rank"))
}

/// Whether every dim of the weights is that of the values or 1, so that no value counts twice.
pub(super) fn fits(weight: &Tensor, values: &Tensor) -> bool {
    let (Some(w), Some(v)) = (weight.shape().dims(), values.shape().dims()) else { return true };
    let each = |(w, v): (&Option<usize>, &Option<usize>)| w.is_none() || v.is_none() || w == v || *w == Some(1);
    w.len() == v.len() && w.iter().zip(&v).all(each)
}
