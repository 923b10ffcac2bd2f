//! What surrounds a call: tapes that listen, the trace under way, the training phase, the path of names, the calls of
//! layers that it is in and the dtype that they compute in.
//!
//! All of it is of one thread, entered with a closure and restored when that closure returns or unwinds. To take it
//! to another thread, say so: `Scopes::current().enter(|| ..)`.

use super::{Call, DTypePolicy, node::Trace};
use crate::{DType, Result, Tensor};
use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

/// Listens to calls: a gradient tape.
pub trait Recorder: Send + Sync {
    /// Hears of a call that took place.
    fn record(&self, call: &Arc<Call>) -> Result<()>;

    /// Whether gradients with respect to this tensor, or the variable of this handle, may be asked for.
    fn depends(&self, tensor: &Tensor) -> bool;
}

/// Values of variables, by number, that reads see instead of the present ones.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub values: Mutex<HashMap<u64, Tensor>>,
    /// The one around this one, which has the word on the variables it holds.
    pub outer: Option<Arc<Snapshot>>,
}

/// Where layers put the losses that they add.
pub(crate) type Losses = Arc<Mutex<Vec<Tensor>>>;

/// How often the bodies of loops may still run, of so many times.
pub(crate) struct Budget {
    pub limit: u64,
    pub left: AtomicU64,
}

/// Everything ambient, as one value that can be carried to another thread.
#[derive(Clone, Default)]
pub struct Scopes {
    pub(crate) tapes: Vec<Arc<dyn Recorder>>,
    pub(crate) trace: Option<Arc<Trace>>,
    pub(crate) training: bool,
    pub(crate) path: Option<Arc<str>>,
    pub(crate) losses: Option<Losses>,
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    /// Where the outermost of the calls of layers under way was written.
    pub(crate) outermost: Option<&'static Location<'static>>,
    /// What layers are made with that are given no policy.
    pub(crate) policy: Option<DTypePolicy>,
    /// What reads of variables of floats are cast to: the compute dtype of the layer under way.
    pub(crate) autocast: Option<DType>,
    /// While a graph is traced: what the innermost of these calls' modules holds, as `layer::call` left it.
    pub(crate) holder: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) budget: Option<Arc<Budget>>,
    /// Whether functions run their bodies and are not traced.
    pub(crate) eager_functions: bool,
}

thread_local! {
    static SCOPES: RefCell<Scopes> = RefCell::default();
}

impl Scopes {
    /// What surrounds this thread now.
    pub fn current() -> Scopes {
        with(Scopes::clone)
    }

    /// Runs `f` surrounded by this, on whatever thread.
    pub fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        /// Puts back what was there, on return and on unwinding.
        struct Back(Option<Scopes>);
        impl Drop for Back {
            fn drop(&mut self) {
                SCOPES.replace(self.0.take().expect("taken once, here"));
            }
        }
        let _back = Back(Some(SCOPES.replace(self)));
        f()
    }

    /// Puts one more name at the end of the path.
    pub(crate) fn lengthen_path(&mut self, name: &str) {
        self.path = Some(match &self.path {
            Some(path) => Arc::from(format!("{path}/{name}")),
            None => Arc::from(name),
        });
    }
}

impl std::fmt::Debug for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scopes")
            .field("tapes", &self.tapes.len())
            .field("tracing", &self.trace.is_some())
            .field("training", &self.training)
            .field("path", &self.path)
            .finish()
    }
}

/// Looks at what surrounds this thread.
pub(crate) fn with<R>(f: impl FnOnce(&Scopes) -> R) -> R {
    SCOPES.with_borrow(f)
}

/// Runs `f` with something changed about what surrounds it.
pub(crate) fn changed<R>(change: impl FnOnce(&mut Scopes), f: impl FnOnce() -> R) -> R {
    let mut scopes = Scopes::current();
    change(&mut scopes);
    scopes.enter(f)
}

/// Adds to the losses of the running call, if anybody collects them.
pub(crate) fn add_losses(added: impl IntoIterator<Item = Tensor>) {
    let Some(losses) = with(|scopes| scopes.losses.clone()) else { return };
    losses.lock().unwrap_or_else(PoisonError::into_inner).extend(added);
}

/// Whether this is training: Dropout drops, BatchNormalization updates.
pub fn training() -> bool {
    with(|scopes| scopes.training)
}

/// Runs `f` in the training phase, or out of it.
pub fn with_training<R>(training: bool, f: impl FnOnce() -> R) -> R {
    changed(|scopes| scopes.training = training, f)
}

/// Whether a graph is being traced.
pub fn tracing() -> bool {
    with(|scopes| scopes.trace.is_some())
}

/// The names of the calls under way, as `my_model/dense_1`; empty outside of all.
pub fn path() -> String {
    with(|scopes| scopes.path.as_deref().unwrap_or_default().to_owned())
}

/// Runs `f` with one more name at the end of the path.
pub fn within<R>(name: &str, f: impl FnOnce() -> R) -> R {
    changed(|scopes| scopes.lengthen_path(name), f)
}

/// Runs `f` with a composite's name at the end of the path; in a trace with its number, `gelu:0`.
pub(crate) fn within_composite<R>(name: &str, f: impl FnOnce() -> R) -> R {
    let number = with(|scopes| {
        let path = format!("{}/{name}", scopes.path.as_deref().unwrap_or_default());
        scopes.trace.as_ref().map(|trace| trace.number(path))
    });
    match number {
        Some(number) => within(&format!("{name}:{number}"), f),
        None => within(name, f),
    }
}

/// Runs `f` with a recorder that hears of every operation, on this thread.
pub fn with_recorder<R>(recorder: Arc<dyn Recorder>, f: impl FnOnce() -> R) -> R {
    changed(|scopes| scopes.tapes.push(recorder), f)
}

/// Runs `f` with no tape listening.
pub fn without_tapes<R>(f: impl FnOnce() -> R) -> R {
    changed(|scopes| scopes.tapes.clear(), f)
}

/// Runs `f` outside of tapes, traces, snapshots and layers: what it computes does not depend on who asked first.
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    let alone = |scopes: &mut Scopes| {
        scopes.tapes.clear();
        scopes.trace = None;
        scopes.snapshot = None;
        scopes.autocast = None;
    };
    changed(alone, f)
}
