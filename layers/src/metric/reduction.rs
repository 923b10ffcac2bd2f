use super::class::mean;
use super::total::{Total, Totals, by_sample, with_mask};
use modulor::{DType, Error, Module, Result, Tensor, Variable};
use std::sync::{Arc, Mutex};

mean! {
    /// The weighted mean of values. The first dim counts samples; a sample of several values is their mean.
    Mean "mean";
}

impl Mean {
    /// The name that logs have.
    pub fn label(&self) -> &str {
        &self.name
    }

    /// Counts values, each by its weight if there are weights: a scalar, or of the first dims of the values. What the
    /// mask of the values leaves out does not count.
    pub fn update_state(&self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let add = || add_mean(&self.totals(), values, with_mask(sample_weight, values.mask())?.as_ref());
        add().map_err(|error| error.within(self.name.as_str()))
    }

    /// The mean since the last reset; 0 of nothing.
    pub fn result(&self) -> Result<Tensor> {
        ratio(&self.totals())
    }

    /// The exact sums, of values and of weights.
    pub(crate) fn sums(&self) -> Result<[f64; 2]> {
        match &self.totals().read(Some(&[]))?[..] {
            [total, count] => Ok([total.item()?, count.item()?]),
            _ => Err(Error::internal("a mean has two sums")),
        }
    }

    /// Gives the variables their shapes and names.
    pub(crate) fn prepare(&self) -> Result<()> {
        if self.totals().totals.iter().all(|total| total.saved.is_sized()) { Ok(()) } else { self.set_sums([0.0; 2]) }
    }

    /// Makes these the exact sums, and what is saved of them.
    pub(crate) fn set_sums(&self, sums: [f64; 2]) -> Result<()> {
        self.totals().set(&sums)
    }

    /// Begins anew.
    pub fn reset_state(&self) -> Result<()> {
        self.totals().reset()
    }
}

/// Counts values and their weights.
pub(super) fn add_mean(totals: &Totals, values: &Tensor, weight: Option<&Tensor>) -> Result<()> {
    let (values, weights) = by_sample(values, weight, |t, axes| t.mean(axes))?;
    let count = match weights {
        Some(weights) => sum(weights)?,
        None => values.size_tensor()?.cast(DType::F64)?,
    };
    totals.add(&[sum(values)?, count])
}

/// The sum of all elements; one number is its own.
fn sum(values: Tensor) -> Result<Tensor> {
    if values.rank() == Some(0) { Ok(values) } else { values.sum(..) }
}

/// The first sum by the second, in the dtype of the saved one; 0 where that is 0.
pub(super) fn ratio(totals: &Totals) -> Result<Tensor> {
    let [total, count] = &totals.totals[..] else { return Tensor::zeros([], DType::F32) };
    total.read()?.div_no_nan(count.read()?)?.cast(total.saved.dtype())
}

/// The weighted sum of values.
///
/// # Variables
///
/// `total`.
#[derive(Module)]
#[module(package = "keras.metrics", name = "sum")]
pub struct Sum {
    /// The name that logs have, and what the paths of its variables begin with.
    #[config(default = "sum".to_owned(), into)]
    name: String,
    /// The type of the result and of the variable; float32 unless set.
    #[config(default = DType::F32, with = super::class::dtype_name)]
    dtype: DType,
    #[variable(init = 0.0, dtype = dtype, trainable = false, weight = false)]
    total: Variable,
    #[variable(init = 0.0, dtype = DType::F64, trainable = false, weight = false, persistent = false)]
    exact_total: Variable,
    #[skip]
    turn: Arc<Mutex<()>>,
}

impl Default for Sum {
    fn default() -> Self {
        Sum::new()
    }
}

impl Sum {
    /// The name that logs have.
    pub fn label(&self) -> &str {
        &self.name
    }

    fn total(&self) -> Total<'_> {
        Total { saved: &self.total, exact: &self.exact_total }
    }

    fn totals(&self) -> Totals<'_> {
        Totals { metric: self, name: &self.name, turn: &self.turn, totals: vec![self.total()] }
    }

    /// Counts values, each by its weight if there are weights: a scalar, or of the first dims of the values. What the
    /// mask of the values leaves out does not count.
    pub fn update_state(&self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let add = || {
            let weight = with_mask(sample_weight, values.mask())?;
            let (values, _) = by_sample(values, weight.as_ref(), |t, axes| t.sum(axes))?;
            self.totals().add(&[sum(values)?])
        };
        add().map_err(|error| error.within(self.name.as_str()))
    }

    /// The sum since the last reset.
    pub fn result(&self) -> Result<Tensor> {
        self.total().read()?.cast(self.dtype)
    }

    /// Begins anew.
    pub fn reset_state(&self) -> Result<()> {
        self.totals().reset()
    }
}
