use super::{accumulate, zero};
use modulor::{DType, Module, Result, Tensor, Variable, scope};

/// The weighted mean of values.
///
/// # Variables
///
/// `total` and `count`, float64 scalars: the mean is one by the other.
///
/// ```
/// use modulor::Tensor;
/// use modulor_layers::metric::Mean;
/// # fn main() -> modulor::Result<()> {
/// let mean = Mean::new();
/// mean.update_state(&Tensor::from([1.0_f32, 3.0, 5.0, 7.0]), Some(&Tensor::from([1.0_f32, 1.0, 0.0, 0.0])))?;
/// assert_eq!(mean.result()?.item::<f32>()?, 2.0);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
#[module(package = "keras.metrics")]
pub struct Mean {
    /// The name in logs.
    #[config(default = "mean".to_owned())]
    name: String,
    /// The dtype of the result, by name; float32 unless set.
    #[config(default = "float32".to_owned())]
    dtype: String,
    #[variable(shape = [], dtype = "float64", init = 0.0, trainable = false)]
    total: Variable,
    #[variable(shape = [], dtype = "float64", init = 0.0, trainable = false)]
    count: Variable,
}

/// The weighted sum of values.
///
/// # Variables
///
/// `total`, a float64 scalar.
#[derive(Module)]
#[module(package = "keras.metrics")]
pub struct Sum {
    /// The name in logs.
    #[config(default = "sum".to_owned())]
    name: String,
    /// The dtype of the result, by name; float32 unless set.
    #[config(default = "float32".to_owned())]
    dtype: String,
    #[variable(shape = [], dtype = "float64", init = 0.0, trainable = false)]
    total: Variable,
}

impl Mean {
    /// Takes values into account. A weight is a scalar, or has the first dims of the values.
    pub fn update_state(&self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let update = || accumulate::mean(values, sample_weight, values.mask(), &self.total, &self.count);
        scope::without_tapes(update).map_err(|error| error.within(self.name.as_str()))
    }

    /// The mean of all values since the last reset; 0 of none.
    pub fn result(&self) -> Result<Tensor> {
        accumulate::quotient(&self.total, &self.count, &self.dtype)
    }

    /// Forgets all values.
    pub fn reset_state(&self) -> Result<()> {
        zero(self)
    }
}

impl Sum {
    /// Takes values into account. A weight is a scalar, or has the first dims of the values.
    pub fn update_state(&self, values: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let update = || accumulate::sum(values, sample_weight, values.mask(), &self.total);
        scope::without_tapes(update).map_err(|error| error.within(self.name.as_str()))
    }

    /// The sum of all values since the last reset.
    pub fn result(&self) -> Result<Tensor> {
        self.total.read()?.cast(DType::from_name(&self.dtype)?)
    }

    /// Forgets all values.
    pub fn reset_state(&self) -> Result<()> {
        zero(self)
    }
}

impl Default for Mean {
    fn default() -> Self {
        Mean::new()
    }
}

impl Default for Sum {
    fn default() -> Self {
        Sum::new()
    }
}
