//! The graphs of a function with `#[function]`.

use super::argument::Keep;
use crate::function::{Function, are_eager};
use crate::module::{Held, Module, SlotOf, Track, Visitor};
use crate::tensor::next_id;
use crate::variable::Handles;
use crate::{Error, Result, Structure, Variable};
use serde_json::Value;
use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

/// The most [`Function`]s that are kept of one function: one for each choice of modules that it is called with.
const KEPT: usize = 64;

/// All functions that were called.
static ALL: Mutex<Vec<&'static Traces>> = Mutex::new(Vec::new());

/// The graphs of one function in the source: of all its types, and of all modules that it is called with.
pub struct Traces {
    /// The least recently called first.
    entries: Mutex<Vec<Arc<Entry>>>,
    listed: Once,
}

/// What was traced for some modules.
struct Entry {
    number: u64,
    /// The path of the function, with the types that it is for.
    path: &'static str,
    identity: Mutex<Identity>,
    function: Box<dyn Erased>,
}

/// A [`Function`] of whatever types.
trait Erased: Any + Send + Sync {
    fn reasons(&self) -> Vec<String>;
    fn held(&self, counts: &mut HashMap<u64, usize>);
}

impl<In: Structure, Out: Structure, Key: Keep> Erased for Function<In, Out, Key> {
    fn reasons(&self) -> Vec<String> {
        self.traces()
    }

    fn held(&self, counts: &mut HashMap<u64, usize>) {
        Function::held(self, counts);
    }
}

/// Which modules a function is called with: their classes, variables and settings.
#[derive(Default)]
pub struct Identity {
    parts: Vec<Part>,
    settings: Vec<Option<Value>>,
    handles: Vec<(u64, Handles)>,
}

/// What a walk meets.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// A place by the hash of its name, with the class of the module there.
    Module(u64, TypeId),
    /// A variable by its number, and whether it is trained, if that was declared.
    Variable(u64, Option<bool>),
    /// There are no more fields.
    End,
}

impl Identity {
    /// One more module, variable, or container of them.
    pub(super) fn add<T: ?Sized + Track>(&mut self, of: &T) -> Result<()> {
        of.track("", self);
        let settings = of.field_config().map_err(|error| {
            error.note("a `#[function]` is traced for the settings of the modules that it is called with, which a config tells")
        })?;
        self.settings.push(settings);
        Ok(())
    }

    fn is(&self, other: &Identity) -> bool {
        self.parts == other.parts && self.settings == other.settings
    }

    /// Whether there is nothing new but variables, which have come into being or been declared since then.
    fn only_grew(&self, before: &Identity, since: u64) -> bool {
        let is_old = |part: &&Part| !matches!(part, Part::Variable(id, _) if *id > since);
        let is_same = |(now, before): (&Part, &Part)| match (now, before) {
            (Part::Variable(now, _), Part::Variable(before, None)) => now == before,
            _ => now == before,
        };
        let old: Vec<&Part> = self.parts.iter().filter(is_old).collect();
        let is_alike = old.len() == before.parts.len() && old.into_iter().zip(&before.parts).all(is_same);
        is_alike && self.settings == before.settings
    }

    /// Whether nobody holds the modules any more, beside the plans that hold variables so often.
    fn is_gone(&self, held: &HashMap<u64, usize>) -> bool {
        let is_gone = |(id, handles): &(u64, Handles)| handles.count() <= held.get(id).copied().unwrap_or(0);
        self.handles.iter().any(is_gone)
    }
}

impl Visitor for Identity {
    fn variable(&mut self, _: &str, variable: &Variable) {
        let trained = variable.declaration().map(|_| variable.trainable());
        self.parts.push(Part::Variable(variable.id(), trained));
        self.handles.push((variable.id(), variable.handles()));
    }

    fn module(&mut self, name: &str, module: &dyn Module) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let module = module.as_module();
        self.parts.push(Part::Module(hasher.finish(), module.type_id()));
        module.fields(self);
        self.parts.push(Part::End);
    }

    fn held(&mut self, name: &str, module: &dyn Module, _: Held) {
        self.module(name, module);
    }

    fn slot(&mut self, name: &str, variable: &Variable, _: SlotOf) {
        self.variable(name, variable);
    }
}

impl Traces {
    /// None yet.
    #[allow(clippy::new_without_default, reason = "a static is made by it")]
    pub const fn new() -> Traces {
        Traces { entries: Mutex::new(Vec::new()), listed: Once::new() }
    }

    /// The entry for these modules, which becomes the last one.
    fn known<In: Structure, Out: Structure, Key: Keep>(&self, path: &str, identity: &Identity) -> Option<Arc<Entry>> {
        let is_this = |entry: &Arc<Entry>| {
            let function: &dyn Any = &*entry.function;
            entry.path == path && function.is::<Function<In, Out, Key>>() && lock(&entry.identity).is(identity)
        };
        let mut entries = lock(&self.entries);
        let at = entries.iter().rposition(is_this)?;
        entries[at..].rotate_left(1);
        entries.last().cloned()
    }

    /// Adds an entry, in the place of the least recently called if there are many.
    fn add(&'static self, entry: Arc<Entry>) {
        self.listed.call_once(|| lock(&ALL).push(self));
        sweep();
        let mut entries = lock(&self.entries);
        let dropped = (entries.len() == KEPT).then(|| entries.remove(0));
        entries.push(entry);
        // What it holds may be dropped for long.
        drop(entries);
        drop(dropped);
    }
}

/// Drops what was traced for modules that are gone.
fn sweep() {
    let all = lock(&ALL).clone();
    let mut held = HashMap::new();
    for traces in &all {
        lock(&traces.entries).iter().for_each(|entry| entry.function.held(&mut held));
    }
    let mut gone = Vec::new();
    for traces in &all {
        gone.extend(lock(&traces.entries).extract_if(.., |entry| lock(&entry.identity).is_gone(&held)));
    }
}

/// Calls a function: `body` does what the function says, with symbols in the place of what is fed.
///
/// `identify` tells the modules that it is called with.
pub fn call<In: Structure, Out: Structure, Key: Keep, F: Fn(&In) -> Result<Out>>(
    traces: &'static Traces,
    name: &str,
    identify: impl Fn(&mut Identity) -> Result<()>,
    key: Key,
    fed: In,
    body: F,
) -> Result<Out> {
    if are_eager() {
        return body(&fed);
    }
    let identified = || {
        let mut identity = Identity::default();
        identify(&mut identity).map(|()| identity)
    };
    let (identity, path) = (identified()?, type_name::<F>());
    let known = traces.known::<In, Out, Key>(path, &identity);
    let is_new = known.is_none();
    let entry = match known {
        Some(entry) => entry,
        None => {
            let function: Box<dyn Erased> = Box::new(Function::<In, Out, Key>::without_body(name));
            let entry = Entry { number: next_id(), path, identity: Mutex::new(identified()?), function };
            let entry = Arc::new(entry);
            traces.add(entry.clone());
            entry
        }
    };
    let function: &dyn Any = &*entry.function;
    let function = function.downcast_ref::<Function<In, Out, Key>>();
    let function = function.ok_or_else(|| Error::internal("an entry is found by its types"))?;
    let since = next_id();
    let result = function.call_with(&fed, &key, &|fed, _| body(fed))?;
    if is_new {
        // Modules that made variables in their first call are the same ones.
        let after = identified()?;
        if after.only_grew(&identity, since) {
            *lock(&entry.identity) = after;
        }
    }
    Ok(result)
}

/// Why a function with `#[function]` was traced, once for each graph that is kept of it: in the order of the modules that it
/// was called with, and for each of them in the order of the traces.
///
/// ```standalone_crate
/// # extern crate modulor_core as modulor;
/// use modulor::{Result, Tensor, autograph::traces_of, function};
///
/// #[function]
/// fn power(x: &Tensor, n: usize) -> Result<Tensor> {
///     let mut y = x.clone();
///     for _ in 1..n {
///         y = y.mul(x)?;
///     }
///     Ok(y)
/// }
///
/// # fn main() -> Result<()> {
/// for n in [2, 3, 2] {
///     power(&Tensor::scalar(2.0_f32), n)?;
/// }
/// assert_eq!(traces_of(power), ["it had not been traced", "the key is n = 3, and was n = 2"]);
/// # Ok(())
/// # }
/// ```
pub fn traces_of<F>(_function: F) -> Vec<String> {
    let path = type_name::<F>();
    let mut found = Vec::new();
    for traces in lock(&ALL).iter() {
        let entries = lock(&traces.entries);
        let is_of = |entry: &&Arc<Entry>| entry.path.strip_suffix("::{{closure}}") == Some(path);
        found.extend(entries.iter().filter(is_of).cloned());
    }
    found.sort_by_key(|entry| entry.number);
    found.iter().flat_map(|entry| entry.function.reasons()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
