//! How far a step goes.

use modulor::module::{Track, Visitor};
use modulor::variable::{Declaration, IntoInit};
use modulor::{Error, Result, Tensor, Variable};
use serde_json::Value;

/// A learning rate: a number, kept in a float32 variable that can be changed between steps.
///
/// A config has its present value, as the float32 that it is.
#[derive(Clone, Debug)]
pub struct LearningRate {
    start: f64,
    variable: Variable,
}

impl From<f64> for LearningRate {
    fn from(start: f64) -> Self {
        let variable = Variable::default();
        let declaration = Declaration::new(start.into_init());
        variable.declare(Declaration { name: Some("learning_rate"), trainable: false, weight: false, ..declaration });
        LearningRate { start, variable }
    }
}

impl LearningRate {
    /// The present value.
    pub fn value(&self) -> Result<f64> {
        if self.variable.is_valued() {
            return self.variable.value()?.item::<f32>().map(f64::from);
        }
        Ok(f64::from(self.start as f32))
    }

    /// Changes it; an error for what is not a finite number of 0 or more.
    pub fn set(&self, rate: f64) -> Result<()> {
        sensible(rate)?;
        self.variable.assign(&Tensor::scalar(rate as f32))
    }

    /// The value as operations see it: a float32 scalar.
    pub(super) fn read(&self) -> Result<Tensor> {
        self.variable.read()
    }

    pub(super) fn check(&self) -> Result<()> {
        sensible(self.value()?)
    }
}

fn sensible(rate: f64) -> Result<()> {
    super::class::within(
        "learning_rate",
        rate,
        |rate| rate >= 0.0 && (rate as f32).is_finite(),
        "a finite number not below 0",
    )
}

impl Track for LearningRate {
    fn track(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.variable(name, &self.variable);
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        self.value().map(|rate| Some(rate.into()))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        match config {
            Some(Value::Number(rate)) => Ok(rate.as_f64().unwrap_or(f64::NAN).into()),
            Some(Value::Object(schedule)) => {
                let class = schedule.get("class_name").unwrap_or(&Value::Null);
                Err(Error::unimplemented(format!("a learning rate is a number so far, not a schedule as {class}")))
            }
            other => Err(Error::invalid_argument(format!(
                "a learning rate is a number, not {}",
                other.unwrap_or(&Value::Null)
            ))),
        }
    }
}
