//! Copies: the same settings, other variables, the same values.

use super::{Module, fold, walk};
use crate::{Error, Result, Variable};
use std::cell::Cell;

thread_local! {
    static COPYING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the config that is being written is for a copy.
///
/// A module that gains variables by use, as an optimizer does, says there which ones it has; a config that is kept
/// does not.
pub fn copying() -> bool {
    COPYING.get()
}

/// Says that a copy is being made for as long as it lives.
struct Copying(bool);

impl Drop for Copying {
    fn drop(&mut self) {
        COPYING.set(self.0);
    }
}

/// A module made from the config of `module`, with the values of its variables.
pub(super) fn copy<M: Module>(module: &M) -> Result<M> {
    let copying = Copying(COPYING.replace(true));
    let config = super::writing(module.as_module(), || module.field_config())?;
    drop(copying);
    let copy = super::reading(|| M::from_field(config.as_ref()))?;
    let from = fold::cells(&walk(module));
    let to = fold::cells(&walk(&copy));
    for (path, variable) in &from {
        let Some((_, twin)) = to.iter().find(|(other, _)| other == path) else {
            return Err(lost(path));
        };
        transfer(variable, twin).map_err(|error| error.within(path.as_str()))?;
    }
    Ok(copy)
}

fn lost(path: &str) -> Error {
    let message = format!("the config does not bring back the variable at `{path}`, so it cannot be copied");
    Error::failed_precondition(message)
}

fn transfer(from: &Variable, to: &Variable) -> Result<()> {
    if let Some(declaration) = from.declaration() {
        to.declare(declaration);
    }
    if let Some(shape) = from.shape() {
        to.size(&shape)?;
    }
    to.set_trainable(!from.is_frozen());
    if let Some(path) = from.path() {
        to.stamp(&path);
    }
    if from.is_valued() {
        to.assign(&from.value()?)?;
    }
    Ok(())
}
