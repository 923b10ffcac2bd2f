//! How far a step goes.

use super::schedule::{self, Schedule};
use modulor::module::{Track, Visitor};
use modulor::variable::{Declaration, IntoInit};
use modulor::{DType, Error, Result, Tensor, Variable};
use serde_json::Value;
use std::sync::Arc;

/// A learning rate: a number, kept in a float32 variable that can be changed between steps, or a [`Schedule`].
///
/// A config has the present value, as the float32 that it is, or the schedule.
#[derive(Clone, Debug)]
pub struct LearningRate(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Number { start: f64, variable: Variable },
    Schedule(Arc<dyn Schedule>),
}

impl From<f64> for LearningRate {
    fn from(start: f64) -> Self {
        let variable = Variable::default();
        let declaration = Declaration::new(start.into_init());
        variable.declare(Declaration { name: Some("learning_rate"), trainable: false, weight: false, ..declaration });
        LearningRate(Kind::Number { start, variable })
    }
}

impl<S: Schedule> From<S> for LearningRate {
    fn from(schedule: S) -> Self {
        LearningRate(Kind::Schedule(Arc::new(schedule)))
    }
}

impl LearningRate {
    /// The value after so many steps; the present one, if it is a number.
    pub fn at(&self, step: i64) -> Result<f64> {
        match &self.0 {
            Kind::Number { variable, .. } if variable.is_valued() => variable.value()?.item::<f32>().map(f64::from),
            Kind::Number { start, .. } => Ok(f64::from(*start as f32)),
            Kind::Schedule(schedule) => schedule.at(step),
        }
    }

    /// Changes it; an error for what is not a finite number of 0 or more, and where a schedule gives the learning rate.
    pub fn set(&self, rate: f64) -> Result<()> {
        sensible(rate)?;
        match &self.0 {
            Kind::Number { variable, .. } => variable.assign(&Tensor::scalar(rate as f32)),
            Kind::Schedule(schedule) => Err(Error::failed_precondition(format!(
                "the learning rate follows a schedule, and cannot be set: {schedule:?}"
            ))),
        }
    }

    /// The value as operations see it, a float32 scalar, where `iteration` says how many steps there have been.
    pub(super) fn read(&self, iteration: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Kind::Number { variable, .. } => variable.read(),
            Kind::Schedule(schedule) => schedule.rate(&iteration.cast(DType::F64)?)?.cast(DType::F32),
        }
    }

    /// Refuses a number of 0, with which a training cannot begin: it would change nothing.
    pub(crate) fn check_first(&self) -> Result<()> {
        let first = match &self.0 {
            Kind::Number { .. } => self.at(0)?,
            Kind::Schedule(_) => return Ok(()),
        };
        let what = "above 0 at first (a warm-up from 0 is a schedule, or set by a callback; what is not to be trained is frozen)";
        super::class::within("learning_rate", first, |rate| rate > 0.0, what)
    }

    pub(super) fn check(&self) -> Result<()> {
        match &self.0 {
            Kind::Number { .. } => sensible(self.at(0)?),
            Kind::Schedule(schedule) => schedule.check(),
        }
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
        if let Kind::Number { variable, .. } = &self.0 {
            visitor.variable(name, variable);
        }
    }

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        match &self.0 {
            Kind::Number { .. } => self.at(0).map(|rate| Some(rate.into())),
            Kind::Schedule(schedule) => schedule.object().map(Some),
        }
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        match config {
            Some(Value::Number(rate)) => Ok(rate.as_f64().unwrap_or(f64::NAN).into()),
            Some(object @ Value::Object(_)) => schedule::from_object(object).map(Kind::Schedule).map(LearningRate),
            other => Err(Error::invalid_argument(format!(
                "a learning rate is a number or a schedule, not {}",
                other.unwrap_or(&Value::Null)
            ))),
        }
    }
}
