//! Losses that layers add during a call.

use crate::Tensor;
use crate::op::scope;
use std::sync::{Arc, PoisonError};

/// Adds a scalar to the losses of the running call: an activity penalty, the divergence of a variational layer.
///
/// To be called in `forward`. It is kept if the call runs within [`collecting_losses`], as training does.
pub fn add_loss(loss: Tensor) {
    scope::add_losses([loss]);
}

/// Runs `body` and gives, beside its result, the losses that layers added in it, in their order.
///
/// Penalties on variables are not among them; those are
/// [`regularization_losses`](crate::ModuleExt::regularization_losses).
pub fn collecting_losses<R>(body: impl FnOnce() -> R) -> (R, Vec<Tensor>) {
    let losses = Arc::default();
    let within = Arc::clone(&losses);
    let result = scope::changed(|scopes| scopes.losses = Some(within), body);
    let losses = std::mem::take(&mut *losses.lock().unwrap_or_else(PoisonError::into_inner));
    (result, losses)
}
