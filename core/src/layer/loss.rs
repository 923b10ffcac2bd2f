//! Losses that layers add during a call.

use crate::Tensor;
use std::cell::RefCell;

thread_local! {
    static LOSSES: RefCell<Vec<Vec<Tensor>>> = const { RefCell::new(Vec::new()) };
}

/// Adds a scalar to the losses of the running call: an activity penalty, the divergence of a variational layer.
///
/// To be called in `forward`. It is kept if the call runs within [`collecting_losses`], as training does.
pub fn add_loss(loss: Tensor) {
    LOSSES.with_borrow_mut(|collectors| {
        if let Some(losses) = collectors.last_mut() {
            losses.push(loss);
        }
    });
}

/// Runs `body` and gives, beside its result, the losses that layers added in it, in their order.
///
/// Penalties on variables are not among them; those are
/// [`regularization_losses`](crate::ModuleExt::regularization_losses).
pub fn collecting_losses<R>(body: impl FnOnce() -> R) -> (R, Vec<Tensor>) {
    /// Leaves no collector behind when `body` panics.
    struct Collector;
    impl Drop for Collector {
        fn drop(&mut self) {
            LOSSES.with_borrow_mut(Vec::pop);
        }
    }
    LOSSES.with_borrow_mut(|collectors| collectors.push(Vec::new()));
    let _collector = Collector;
    let result = body();
    let losses = LOSSES.with_borrow_mut(|collectors| collectors.last_mut().map(std::mem::take));
    (result, losses.unwrap_or_default())
}
