//! What the output of a layer costs.

use crate::regularizer::AnyRegularizer;
use crate::setting::WhereSet;
use modulor::module::{Track, Visitor};
use modulor::variable::Regularizer;
use modulor::{Result, Tensor, add_loss};
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
    let batch = output.shape_tensor()?.slice(0)?.cast(penalty.dtype())?;
    add_loss(penalty.div_no_nan(batch)?);
    Ok(())
}

impl Track for ActivityRegularizer {
    fn track(&self, _: &str, _: &mut dyn Visitor) {}

    fn share(&self) -> Self {
        self.clone()
    }

    fn field_config(&self) -> Result<Option<Value>> {
        WhereSet(self.0.clone()).field_config()
    }

    fn from_field(config: Option<&Value>) -> Result<Self> {
        WhereSet::from_field(config).map(|WhereSet(setting)| ActivityRegularizer(setting))
    }
}
