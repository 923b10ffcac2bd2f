//! What the output of a layer costs.

use crate::regularizer::AnyRegularizer;
use modulor::module::{Track, Visitor};
use modulor::variable::Regularizer;
use modulor::{Error, Result, Tensor, add_loss};
use serde_json::Value;

/// The setting `activity_regularizer`, which Keras leaves out of a configuration where there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActivityRegularizer(pub Option<AnyRegularizer>);

impl ActivityRegularizer {
    /// As [`charge`].
    pub(crate) fn charge(&self, output: &Tensor) -> Result<()> {
        charge(self.0.as_ref(), output)
    }
}

/// Adds the penalty of a layer's output, by the size of the batch, to the losses of the running call.
pub(super) fn charge(regularizer: Option<&AnyRegularizer>, output: &Tensor) -> Result<()> {
    let Some(regularizer) = regularizer else { return Ok(()) };
    let penalty = regularizer.penalty(output)?;
    let sample: Option<usize> = output.shape().dims().and_then(|dims| dims.iter().skip(1).copied().product());
    let sample = sample.ok_or_else(|| {
        let message = format!("an activity regularizer needs the dims of a sample, found {}", output.spec());
        Error::invalid_argument(message)
    })?;
    let batch = output.size_tensor()?.cast(penalty.dtype())? / sample.max(1) as f64;
    add_loss(penalty.div_no_nan(batch)?);
    Ok(())
}

impl Track for ActivityRegularizer {
    fn track(&self, _: &str, _: &mut dyn Visitor) {}

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        let written = self.0.as_ref().map(serde_json::to_value).transpose();
        written.map_err(|error| Error::invalid_argument(error.to_string()))
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        let read = config.map(|config| serde_json::from_value(config.clone())).transpose();
        read.map(|setting| ActivityRegularizer(setting.flatten()))
            .map_err(|error| Error::invalid_argument(error.to_string()))
    }
}
