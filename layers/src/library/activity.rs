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
    /// Adds the penalty of a layer's output to the losses of the running call.
    pub(crate) fn charge(&self, output: &Tensor) -> Result<()> {
        if let Some(regularizer) = &self.0 {
            add_loss(regularizer.penalty(output)?);
        }
        Ok(())
    }
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
